//! One message by POST to a URL of the user's choice, under the same rules of the network as polls: https or this machine, no
//! redirects, no link-local addresses, the proxy and the authorities of the settings.

use std::time::Duration;

use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
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
pub enum WebhookError {
    /// It may not be used.
    #[error("the webhook's URL is none that begins with https:// (http:// is for loopback addresses alone)")]
    Url,
    /// The connection cannot be set up, or there is no answer.
    #[error("cannot reach the webhook: {0}")]
    Unreachable(String),
    /// Another answer than that it was taken.
    #[error("the webhook answers with {0}")]
    Status(u16),
}

/// Sends a message, up to three times.
///
/// # Errors
///
/// [`WebhookError`] of the last attempt.
pub async fn post(connection: &Connection, url: &SecretString, json: String) -> Result<(), WebhookError> {
    let url: Url = url.expose_secret().parse().map_err(|_| WebhookError::Url)?;
    if !is_private(&url) {
        return Err(WebhookError::Url);
    }
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let http = build(connection, headers, url.scheme() == "https").map_err(unreachable)?;
    let mut attempt = 1;
    loop {
        let sent = http.post(url.clone()).timeout(TIMEOUT).body(json.clone()).send().await;
        let error = match sent {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => WebhookError::Status(answer.status().as_u16()),
            Err(error) => unreachable(error),
        };
        if attempt == ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}

fn unreachable(error: reqwest::Error) -> WebhookError {
    WebhookError::Unreachable(reasons(&error.without_url()))
}
