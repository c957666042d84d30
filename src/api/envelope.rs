//! The API's error envelope, read leniently: an error must not be hidden by its own form.

use std::fmt;

use serde::Deserialize;

/// Bytes of an error's body that are read.
pub(super) const ENVELOPE_BYTES_MAX: usize = 64 << 10;
/// Characters of a text that are shown.
const TEXT_MAX: usize = 200;

/// What the API says of an error, as far as it says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The API's own error code.
    pub code: Option<i64>,
    /// What went wrong, for people.
    pub message: Option<String>,
    /// What support needs to find the request.
    pub request_id: Option<String>,
    /// Field and message of each detail.
    pub details: Vec<String>,
}

impl Envelope {
    /// Reads an envelope; what is not there or not of the expected kind is left out.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        // Details that cannot be read, as those nested too deep, do not hide the rest.
        let without_details = || Some(Raw { main: serde_json::from_slice(body).ok()?, ..Raw::default() });
        let raw: Raw = serde_json::from_slice(body).ok().or_else(without_details).unwrap_or_default();
        let details = match raw.errors {
            Some(serde_json::Value::Array(errors)) => errors.iter().take(5).filter_map(detail).collect(),
            _ => Vec::new(),
        };
        Self {
            code: raw.main.code.and_then(|code| code.as_i64()),
            message: raw.main.message.and_then(text),
            request_id: raw.main.request_id.and_then(text),
            details,
        }
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.as_deref().unwrap_or("the API gives no message"))?;
        for detail in &self.details {
            write!(f, "; {detail}")?;
        }
        match (self.code, &self.request_id) {
            (Some(code), Some(id)) => write!(f, " (code {code}, request {id})"),
            (Some(code), None) => write!(f, " (code {code})"),
            (None, Some(id)) => write!(f, " (request {id})"),
            (None, None) => Ok(()),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(flatten)]
    main: Main,
    errors: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Main {
    code: Option<serde_json::Value>,
    message: Option<serde_json::Value>,
    request_id: Option<serde_json::Value>,
}

fn detail(error: &serde_json::Value) -> Option<String> {
    let part = |name: &str| error.get(name).cloned().and_then(text);
    match (part("field"), part("message")) {
        (Some(field), Some(message)) => Some(format!("{field}: {message}")),
        (field, message) => field.or(message),
    }
}

/// The text, without control characters and cut to a readable length.
fn text(value: serde_json::Value) -> Option<String> {
    let serde_json::Value::String(text) = value else { return None };
    let mut printable: String = text.chars().filter(|character| !character.is_control()).take(TEXT_MAX).collect();
    if text.chars().count() > TEXT_MAX {
        printable.push('…');
    }
    Some(printable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::fuzz::Target;

    #[test]
    fn an_envelope_is_shown_as_far_as_it_goes() {
        let whole =
            br#"{"code":1133,"message":"Bad\u001b[31m key","httpStatus":400,"requestId":"req_1","timestamp":"x",
            "errors":[{"field":"a","message":"b"},{"message":"c"},7]}"#;
        let rows: [(&[u8], &str); 5] = [
            (whole, "Bad[31m key; a: b; c (code 1133, request req_1)"),
            (br#"{"message":7,"code":"x","errors":{}}"#, "the API gives no message"),
            (b"<html>", "the API gives no message"),
            (b"", "the API gives no message"),
            (br#"{"requestId":"r"}"#, "the API gives no message (request r)"),
        ];
        for (body, shown) in rows {
            assert_eq!(Envelope::parse(body).to_string(), shown);
        }
        let deep = format!(r#"{{"errors":{}{},"message":"m","requestId":"r"}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(Envelope::parse(deep.as_bytes()).to_string(), "m (request r)");
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5000));
        assert_eq!(Envelope::parse(long.as_bytes()).to_string().chars().count(), TEXT_MAX + 1);
    }

    /// Of what an envelope is made, and what else may come.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            Just("{".to_owned()),
            Just("}".to_owned()),
            Just("[".to_owned()),
            Just("]".to_owned()),
            Just(",".to_owned()),
            Just(":".to_owned()),
            Just("\"message\":".to_owned()),
            Just("\"code\":".to_owned()),
            Just("\"requestId\":".to_owned()),
            Just("\"errors\":".to_owned()),
            Just("\"field\":".to_owned()),
            "\"(\\PC|\\\\u00[01][0-9a-f]|\\\\ud8[0-9a-f]{2}){0,300}\"",
            "-?[0-9]{1,30}(e[0-9]{1,4})?",
        ];
        let tokens = proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes());
        prop_oneof![tokens, proptest::collection::vec(any::<u8>(), 0..200)]
    }

    #[test]
    fn the_mutants_of_the_corpus_are_shown_short_and_plain() {
        let words = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u001b",
            "\\ud83e",
            "\\n",
            "null",
            "-1",
            "1e400",
            "\"message\":",
            "\"code\":",
            "\"requestId\":",
            "\"errors\":[",
            "\"field\":",
            "\u{1b}[31m",
            "\u{202e}",
            "{\"message\":\"m\"}",
        ];
        Target { name: "envelope", words: &words, twist: None }.run(|body| {
            let envelope = Envelope::parse(body);
            let shown = envelope.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            assert!(shown.chars().count() < 15 * TEXT_MAX, "{}", shown.len());
            if serde_json::from_slice::<serde_json::Value>(body).is_err() {
                assert!(envelope.details.is_empty(), "{shown}");
            }
            (envelope.code.is_some(), envelope.message.is_some(), envelope.request_id.is_some(), envelope.details.len())
        });
    }

    proptest! {
        #[test]
        fn whatever_comes_is_shown_short_and_plain(body in body()) {
            let shown = Envelope::parse(&body).to_string();
            prop_assert!(!shown.chars().any(char::is_control), "{:?}", shown);
            prop_assert!(shown.chars().count() < 15 * TEXT_MAX, "{}", shown.len());
        }
    }
}
