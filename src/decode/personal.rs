//! Personal data: values that are dropped, or replaced by what tells equal ones from others and nothing else.
//!
//! A replacement is `hmac:<key id>:<hex>`: HMAC-SHA-256 with the key of that name, over the column's name, a zero byte, and
//! the text of a string, or the SHA-256 of a JSON value by what it means. So the same value has the same replacement in one
//! column, another in every other column, and none can be guessed without the key.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{
    digest::digest_json,
    json::{Kind, Parsed, Reader, minify},
};
use crate::schema::{Column, HmacKey, Treatment, Type};

/// What stands for a value that was dropped out of a text.
const DROPPED: &str = "\"[dropped]\"";

/// What stands for a value of a column; `None` if the key has been applied and the value is none that it made.
pub(super) fn replacement(value: &str, column: &Column, key: &HmacKey) -> Option<String> {
    let Some(secret) = key.expose() else { return made_by(key, value).map(str::to_owned) };
    let mut mac = mac(secret);
    mac.update(column.name.as_bytes());
    mac.update(&[0]);
    let by_meaning = match column.kind {
        Type::Json => digest_json(&mut Reader::new(value), &|bytes| Sha256::digest(bytes).to_vec()).ok(),
        _ => None,
    };
    mac.update(by_meaning.as_deref().unwrap_or(value.as_bytes()));
    Some(format!("hmac:{}:{}", key.id(), hex::encode(mac.finalize().into_bytes())))
}

/// The replacement that a text is, or a JSON string of it, if a key of this name can have made it.
fn made_by<'v>(key: &HmacKey, value: &'v str) -> Option<&'v str> {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let digest = value.strip_prefix("hmac:")?.strip_prefix(key.id())?.strip_prefix(':')?;
    let is_digest = digest.len() == 2 * Sha256::output_size() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(value)
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}

/// A record's text without the values of members that are not kept.
#[must_use]
pub fn without_personal<'t>(text: &'t str, columns: &[Column]) -> Cow<'t, str> {
    // Of what is no JSON it could not be told what is personal.
    replaced(text, columns, |_, _| Cow::Borrowed(DROPPED)).unwrap_or(Cow::Borrowed(DROPPED))
}

/// A record's text with personal data as the columns have it: null where it is dropped, and strings of what replaces the rest. So
/// it is read into the same row again, once the keys are [applied](HmacKey::applied), or rejected again.
#[must_use]
pub fn treated<'t>(text: &'t str, columns: &[Column]) -> Cow<'t, str> {
    replaced(text, columns, |value, column| match &column.personal {
        Some(Treatment::Hmac(key)) => treated_with(key, value, column).map_or(Cow::Borrowed(UNFIT), Cow::Owned),
        _ => Cow::Borrowed("null"),
    })
    .unwrap_or(Cow::Borrowed(DROPPED))
}

/// What no column of personal data can hold once its key has been applied.
const UNFIT: &str = "{}";

/// The JSON text of what replaces a value; `None` if the record cannot be a row because of it.
fn treated_with(key: &HmacKey, value: &str, column: &Column) -> Option<String> {
    let mut reader = Reader::new(value);
    let found = reader.kind().ok()?;
    if found == Kind::Null {
        return Some("null".to_owned());
    }
    let replacement = match column.kind {
        Type::Json => {
            reader.value().ok()?;
            let is_sound = reader.take_flaw().is_none();
            is_sound.then(|| replacement(&minify(value), column, key))??
        }
        _ if found == Kind::String => reader.string().ok()?.and_then(|text| replacement(text, column, key))?,
        _ => return None,
    };
    Some(format!("\"{replacement}\""))
}

/// A record's text with something else for the values of members that are not kept; `None` if it is no JSON.
fn replaced<'t>(
    text: &'t str,
    columns: &[Column],
    each: impl Fn(&str, &Column) -> Cow<'static, str>,
) -> Option<Cow<'t, str>> {
    let mut places = Vec::new();
    find(&mut Reader::new(text), columns, &mut places).ok()?;
    if places.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let mut kept = String::with_capacity(text.len());
    let mut end = 0;
    for (from, to, column) in places {
        kept.push_str(&text[end..from]);
        kept.push_str(&each(&text[from..to], column));
        end = to;
    }
    kept.push_str(&text[end..]);
    Some(Cow::Owned(kept))
}

/// Finds the values that are not kept, in their order.
fn find<'c>(
    reader: &mut Reader<'_>,
    columns: &'c [Column],
    places: &mut Vec<(usize, usize, &'c Column)>,
) -> Parsed<()> {
    if reader.kind()? != Kind::Object {
        return reader.value().map(drop);
    }
    reader.object(|reader| {
        let key = reader.key()?;
        let name = key.unescape();
        let name = name.as_deref().unwrap_or(key.raw());
        let column = columns.iter().find(|column| column.json == name);
        reader.skip_space();
        let start = reader.at();
        match column.map(|column| (column, &column.personal, &column.kind)) {
            Some((column, Some(treatment), _)) if *treatment != Treatment::Keep => {
                reader.value()?;
                places.push((start, reader.at(), column));
                Ok(())
            }
            Some((_, _, Type::List(list))) if reader.kind()? == Kind::Array => {
                reader.array(|reader| find(reader, &list.columns, places))
            }
            _ => reader.value().map(drop),
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        decode::{Cell, Decoder, Zone},
        schema::{Resource, Schemas},
    };

    /// Beneficiaries whose personal columns are treated like this.
    pub(in crate::decode) fn beneficiaries(treatment: &Treatment) -> Resource {
        let mut resource = Schemas::builtin().unwrap().get("beneficiaries").unwrap().clone();
        resource
            .columns
            .iter_mut()
            .filter_map(|column| column.personal.as_mut())
            .for_each(|of| *of = treatment.clone());
        resource
    }

    fn hmac(key: &str) -> Treatment {
        Treatment::Hmac(HmacKey::new("k1", key.into()))
    }

    fn decode(treatment: &Treatment, text: &str) -> (Option<String>, Option<String>) {
        let resource = beneficiaries(treatment);
        let mut decoder = Decoder::new(&resource, Zone::UTC);
        let row = decoder.decode(text.as_bytes()).unwrap();
        let text = |name: &str| {
            let at = resource.columns.iter().position(|column| column.name == name).unwrap();
            match &row.cells[at] {
                Cell::Text(text) => Some(text.to_string()),
                _ => None,
            }
        };
        assert_eq!(row.extra, None);
        (text("nickname"), text("withdraw_form_details"))
    }

    const RECORD: &str = r#"{"id":"b1","nickname":"Canary","withdrawFormDetails":{"iban":"CANARY","n":1.0}}"#;

    #[test]
    fn a_column_is_kept_dropped_or_replaced() {
        let (nickname, details) = decode(&Treatment::Keep, RECORD);
        assert_eq!((nickname.as_deref(), details.as_deref()), (Some("Canary"), Some(r#"{"iban":"CANARY","n":1.0}"#)));
        assert_eq!(decode(&Treatment::Drop, RECORD), (None, None));
        let (nickname, details) = decode(&hmac("key"), RECORD);
        // python3 -c 'import hmac; print(hmac.new(b"key", b"nickname\0Canary", "sha256").hexdigest())'
        let known = "hmac:k1:b9b1c86dcf12070af0f9a586e9541f43ab9f661935234a2846573cfdaf479a4f";
        assert_eq!(nickname.as_deref(), Some(known));
        assert_ne!(nickname, details);
    }

    #[test]
    fn what_means_the_same_has_one_replacement_for_each_key_and_column() {
        let written_otherwise =
            r#"{"id":"b1","nickname":"\u0043anary","withdrawFormDetails":{ "n":1, "iban":"C\u0041NARY" }}"#;
        assert_eq!(decode(&hmac("key"), written_otherwise), decode(&hmac("key"), RECORD));
        assert_ne!(decode(&hmac("other"), RECORD), decode(&hmac("key"), RECORD));
        let other = r#"{"id":"b1","nickname":"Canaria","withdrawFormDetails":{"iban":"CANARIA","n":1}}"#;
        let (nickname, details) = decode(&hmac("key"), other);
        assert!(nickname != decode(&hmac("key"), RECORD).0 && details != decode(&hmac("key"), RECORD).1);
    }

    #[test]
    fn what_is_dropped_cannot_reject_its_record() {
        let odd = r#"{"id":"b1","nickname":7,"withdrawFormDetails":{"a":1,"a":2}}"#;
        assert_eq!(decode(&Treatment::Drop, odd), (None, None));
    }

    #[test]
    fn null_and_absent_stay_null() {
        for treatment in [Treatment::Drop, hmac("key")] {
            assert_eq!(decode(&treatment, r#"{"id":"b1","nickname":null}"#).0, None);
        }
    }

    #[test]
    fn a_text_is_shown_without_what_is_not_kept() {
        let text = r#"{"id":7, "nick\u006eame" : "Canary","withdrawFormDetails": {"iban":["CANARY"]} ,"x":[1]}"#;
        let shown = r#"{"id":7, "nick\u006eame" : "[dropped]","withdrawFormDetails": "[dropped]" ,"x":[1]}"#;
        for treatment in [Treatment::Drop, hmac("key")] {
            assert_eq!(without_personal(text, &beneficiaries(&treatment).columns), shown);
        }
        assert_eq!(without_personal(text, &beneficiaries(&Treatment::Keep).columns), text);
        for other in ["7", "[1]", "null"] {
            assert_eq!(without_personal(other, &beneficiaries(&Treatment::Drop).columns), other);
        }
    }

    #[test]
    fn a_key_does_not_print() {
        assert!(!format!("{:?}", hmac("canary-key")).contains("canary"));
    }
}
