//! How a list is asked for.
//!
//! The contract reserves all of it: servers may pass it over, so that none of it is asked for unless the settings do.

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Url;

/// How a list is asked for; by default for the whole of it, in one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Page by page, with so many records each.
    pub page_size: Option<u32>,
    /// Only what has happened from here on.
    pub since: Option<DateTime<Utc>>,
    /// Only if the list's ETag is not this any more.
    pub etag: Option<String>,
}

impl ListRequest {
    /// The list's URL with what is asked of it.
    pub(super) fn url(&self, mut list: Url, page: u64) -> Url {
        if let Some(since) = self.since {
            // The contract's own form, which has no fractions: a part of a second earlier does no harm.
            list.query_pairs_mut().append_pair("dateFrom", &since.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
        if let Some(size) = self.page_size {
            list.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("size", &size.to_string());
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stands_in_the_url() {
        let since = DateTime::parse_from_rfc3339("2026-05-11T12:15:30.999+02:00").unwrap().to_utc();
        let list = || Url::parse("https://api.example/api/v1/trades").unwrap();
        let rows = [
            (ListRequest::default(), ""),
            (ListRequest { etag: Some("x".to_owned()), ..ListRequest::default() }, ""),
            (ListRequest { page_size: Some(100), ..ListRequest::default() }, "?page=3&size=100"),
            (ListRequest { since: Some(since), ..ListRequest::default() }, "?dateFrom=2026-05-11T10%3A15%3A30Z"),
            (
                ListRequest { since: Some(since), page_size: Some(5), etag: None },
                "?dateFrom=2026-05-11T10%3A15%3A30Z&page=3&size=5",
            ),
        ];
        for (request, query) in rows {
            assert_eq!(request.url(list(), 3).as_str(), format!("{}{query}", list()));
        }
    }
}
