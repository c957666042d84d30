//! One message by POST to a URL of the user's choice, under the same rules of the network as polls: https or this machine, no
//! redirects, no link-local addresses, the proxy and the authorities of the settings.

use std::time::Duration;

use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{
    Connection,
    base_url::is_private,
    client::{build, reasons},
};

/// Time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts at one message.
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt; before the third it is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a message was not taken. The URL is never repeated: it is a secret.
#[derive(Debug, Error)]
pub enum PostError {
    /// It may not be used.
    #[error("its URL is none that begins with https:// (http:// is for loopback addresses alone)")]
    Url,
    /// What is to be sent beside it cannot be.
    #[error("its headers are no names and values as in `name=value,name=value`")]
    Headers,
    /// The connection cannot be set up, or there is no answer.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Another answer than that it was taken.
    #[error("it answers with {0}")]
    Status(u16),
}

/// Sends a message, up to three times; with headers of its own, as in `name=value,name=value`.
///
/// # Errors
///
/// [`PostError`] of the last attempt.
pub async fn post(
    connection: &Connection,
    url: &SecretString,
    headers: Option<&SecretString>,
    json: String,
) -> Result<(), PostError> {
    let url: Url = url.expose_secret().parse().map_err(|_| PostError::Url)?;
    if !is_private(&url) {
        return Err(PostError::Url);
    }
    let mut headers = headers.map_or(Some(HeaderMap::new()), read).ok_or(PostError::Headers)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let http = build(connection, headers, url.scheme() == "https").map_err(unreachable)?;
    let mut attempt = 1;
    loop {
        let sent = http.post(url.clone()).timeout(TIMEOUT).body(json.clone()).send().await;
        let error = match sent {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => PostError::Status(answer.status().as_u16()),
            Err(error) => unreachable(error),
        };
        if attempt == ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}

fn read(headers: &SecretString) -> Option<HeaderMap> {
    let header = |text: &str| -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = text.split_once('=')?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name.trim().parse().ok()?, value))
    };
    headers.expose_secret().split(',').map(header).collect()
}

fn unreachable(error: reqwest::Error) -> PostError {
    PostError::Unreachable(reasons(&error.without_url()))
}
