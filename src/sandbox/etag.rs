//! ETags of lists, and requests that know one already.
//!
//! A tag is made from what the body is made from, not from the body, which is made only while it is sent: equal tags mean equal
//! bytes, and an unknown tag says nothing.

use std::fmt::Debug;

use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// The switch `/control/etags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tagging {
    /// Whether lists carry an ETag, and are left unsent to those who have it.
    pub(super) on: bool,
}

/// The strong tag of a body that is made from these parts and nothing else.
pub(super) fn etag(parts: &impl Debug) -> HeaderValue {
    let text = format!("\"{:032x}\"", xxh3_128(format!("{parts:?}").as_bytes()));
    // Quotes and hexadecimal digits always make a header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether a request asks for the body only if its tag is another (RFC 9110, 13.1.2: the comparison is weak).
pub(super) fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let fields = headers.get_all(IF_NONE_MATCH).iter().filter_map(|field| field.to_str().ok());
    let mut tags = fields.flat_map(|field| field.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_by_itself_in_a_list_and_as_a_weak_one() {
        let tag = etag(&("deposits", 7));
        let text = tag.to_str().unwrap();
        assert_eq!((text.len(), etag(&("deposits", 7))), (34, tag.clone()));
        assert_ne!(etag(&("deposits", 8)), tag);
        for (field, known) in [
            (text.to_owned(), true),
            (format!("W/{text}"), true),
            (format!("\"a\" , {text}"), true),
            ("*".to_owned(), true),
            ("\"a\"".to_owned(), false),
            (text.trim_matches('"').to_owned(), false),
            (String::new(), false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::try_from(&field).unwrap())]);
            assert_eq!(is_known(&headers, &tag), known, "{field}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
    }
}
