//! The address of the API: https, or http for this machine alone.

use std::{fmt, net::IpAddr, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use thiserror::Error;

use super::resolver::is_link_local;

/// The only production server that the reference lists.
pub const DEFAULT_BASE_URL: &str = "https://api.lumetrade.com";

/// What cannot stand in a segment of a path as it is (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A base URL to which credentials may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is not taken for a base URL. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidBaseUrl {
    /// It is no URL.
    #[error("the base URL is no URL: {0}")]
    NotAUrl(String),
    /// It would send the credentials unencrypted.
    #[error("the base URL must begin with https:// (http:// is for loopback addresses alone)")]
    NotHttps,
    /// It is an address at which machines are told about themselves.
    #[error("the base URL is an address of this link alone, where no API is")]
    LinkLocal,
    /// It has a user name, a password, a query or a fragment.
    #[error("the base URL must be scheme, host, port and path alone; credentials have settings of their own")]
    TooMuch,
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url = Url::parse(text).map_err(|error| InvalidBaseUrl::NotAUrl(error.to_string()))?;
        if address_of(&url).is_some_and(is_link_local) {
            return Err(InvalidBaseUrl::LinkLocal);
        }
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        match url.scheme() {
            "https" if plain => Ok(Self(url)),
            "http" if plain && is_loopback(&url) => Ok(Self(url)),
            "https" => Err(InvalidBaseUrl::TooMuch),
            "http" if is_loopback(&url) => Err(InvalidBaseUrl::TooMuch),
            _ => Err(InvalidBaseUrl::NotHttps),
        }
    }
}

impl BaseUrl {
    /// Whether it is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// The host's name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The URL of a path that begins with a slash.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }

    /// The URL of one record: the path with the key in the place of `{key}`, as one segment whatever the key is.
    pub(super) fn join_item(&self, item_path: &str, key: &str) -> Url {
        // Dots alone are a step up, however they are encoded: encoded twice they are a name, though of nothing.
        let dots = if key.bytes().all(|byte| byte == b'.') { key.replace('.', "%2E") } else { key.to_owned() };
        self.join(&item_path.replace("{key}", &utf8_percent_encode(&dots, RESERVED).to_string()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Whether what is sent to a URL is read at its other end alone, and that is no address of this link.
pub(super) fn is_private(url: &Url) -> bool {
    let encrypted = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
    encrypted && !address_of(url).is_some_and(is_link_local)
}

/// A proxy for the requests to the API: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

/// A text that is no proxy. It is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a proxy is http://host:port or https://host:port, without a user name or a password")]
pub struct InvalidProxyUrl;

impl FromStr for ProxyUrl {
    type Err = InvalidProxyUrl;

    fn from_str(text: &str) -> Result<Self, InvalidProxyUrl> {
        let url = Url::parse(text).map_err(|_| InvalidProxyUrl)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none();
        if plain && matches!(url.scheme(), "http" | "https") { Ok(Self(url)) } else { Err(InvalidProxyUrl) }
    }
}

impl ProxyUrl {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || address_of(url).is_some_and(|address| address.to_canonical().is_loopback())
}

/// The host, where it is an address and no name.
fn address_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_encrypted_or_not_at_all() {
        let rows = [
            (DEFAULT_BASE_URL, Ok("https://api.lumetrade.com/api/v1/trades")),
            ("https://staging.example/x/", Ok("https://staging.example/x/api/v1/trades")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080/api/v1/trades")),
            ("http://[::1]:8080", Ok("http://[::1]:8080/api/v1/trades")),
            ("http://localhost", Ok("http://localhost/api/v1/trades")),
            ("http://api.lumetrade.com", Err(InvalidBaseUrl::NotHttps)),
            ("http://127.0.0.1.evil.example", Err(InvalidBaseUrl::NotHttps)),
            ("http://localhost.evil.example", Err(InvalidBaseUrl::NotHttps)),
            ("file:///etc/passwd", Err(InvalidBaseUrl::NotHttps)),
            ("https://169.254.169.254/latest", Err(InvalidBaseUrl::LinkLocal)),
            ("https://[::ffff:169.254.169.254]", Err(InvalidBaseUrl::LinkLocal)),
            ("http://2852039166", Err(InvalidBaseUrl::LinkLocal)),
            ("https://user:canary@host", Err(InvalidBaseUrl::TooMuch)),
            ("https://host/?key=canary", Err(InvalidBaseUrl::TooMuch)),
        ];
        for (text, expected) in rows {
            let joined = text.parse::<BaseUrl>().map(|base| base.join("/api/v1/trades").to_string());
            assert_eq!(joined.as_deref().map_err(Clone::clone), expected, "{text}");
            assert!(!joined.is_err_and(|error| error.to_string().contains("canary")));
        }
        assert!(matches!("nonsense".parse::<BaseUrl>(), Err(InvalidBaseUrl::NotAUrl(_))));
    }

    #[test]
    fn a_proxy_is_a_host_and_no_password() {
        assert_eq!("http://proxy.example:3128".parse::<ProxyUrl>().unwrap().as_str(), "http://proxy.example:3128/");
        for text in ["http://user:canary@proxy.example", "ftp://proxy.example", "proxy.example:3128", "http://x/y", ""]
        {
            assert_eq!(text.parse::<ProxyUrl>(), Err(InvalidProxyUrl), "{text}");
        }
    }

    #[test]
    fn a_key_is_one_segment_of_a_path_whatever_it_is() {
        let base: BaseUrl = "https://api.example/base/".parse().unwrap();
        let rows = [
            ("DP9H2K7P", "DP9H2K7P"),
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("%2e%2e", "%252e%252e"),
            ("..", "%252E%252E"),
            (".", "%252E"),
            ("a.b", "a.b"),
            ("é \\", "%C3%A9%20%5C"),
            ("{key}", "%7Bkey%7D"),
        ];
        for (key, segment) in rows {
            let url = base.join_item("/api/v1/trades/{key}", key);
            assert_eq!(url.as_str(), format!("https://api.example/base/api/v1/trades/{segment}"));
        }
    }
}
