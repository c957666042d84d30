//! Polls list endpoints.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{
    BaseUrl, Envelope,
    envelope::ENVELOPE_BYTES_MAX,
    retry::{self, Decision},
};
use crate::schema::Resource;

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without a byte after which a connection is taken for dead.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The pair of headers that every request carries.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `X-API-KEY`
    pub key: SecretString,
    /// `X-API-SECRET`
    pub secret: SecretString,
}

/// Reads from one API with one pair of credentials.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: BaseUrl,
}

/// What answers polls: the API, or something that plays it.
pub trait Source: Send + Sync {
    /// Asks for the whole list of a resource.
    ///
    /// # Errors
    ///
    /// [`ApiError`], after the retries that are due.
    fn poll(&self, resource: &Resource) -> impl Future<Output = Result<Answer, ApiError>> + Send;
}

/// What a poll is answered with.
pub enum Answer {
    /// The records, still to be received.
    Body(BodyStream),
    /// An optional resource is not there.
    Absent,
}

/// The body of a 200.
pub struct BodyStream {
    /// The body's ETag, where the server gave one.
    pub etag: Option<String>,
    chunks: BoxStream<'static, Result<Bytes, ApiError>>,
}

/// Why there is no complete answer.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The credentials cannot be sent.
    #[error("{name} holds a character that no header can carry")]
    Credential {
        /// The header.
        name: &'static str,
    },
    /// No connection, or it broke.
    #[error("cannot {attempt} {url}: {reason}")]
    Unreachable {
        /// What was attempted.
        attempt: &'static str,
        /// Where.
        url: String,
        /// The whole chain of causes.
        reason: String,
    },
    /// 401 or 403.
    #[error("the API denies {url} ({status}): {envelope}")]
    Denied {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// What the API says.
        envelope: Envelope,
    },
    /// The server points elsewhere. The credentials are not taken there.
    #[error("{url} redirects ({status}) to {target}, and redirects are not followed")]
    Redirect {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// Host of the target.
        target: String,
    },
    /// Any other status than 200.
    #[error("the API answers {url} with {status}: {envelope}")]
    Status {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// What the API says.
        envelope: Envelope,
    },
}

impl Client {
    /// A client for the API at `base_url`.
    ///
    /// # Errors
    ///
    /// [`ApiError::Credential`] if a credential holds what no header can, [`ApiError::Unreachable`] if TLS cannot be set up.
    pub fn new(base_url: BaseUrl, credentials: &Credentials) -> Result<Self, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-api-key", sensitive("X-API-KEY", &credentials.key)?);
        headers.insert("x-api-secret", sensitive("X-API-SECRET", &credentials.secret)?);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("lumetrade-export/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| unreachable("set up TLS for", &base_url.to_string(), &error))?;
        Ok(Self { http, base_url })
    }
}

impl Source for Client {
    async fn poll(&self, resource: &Resource) -> Result<Answer, ApiError> {
        let url = self.base_url.join(&resource.path);
        let mut attempt = 1;
        loop {
            let (error, retry_after) = match self.http.get(url.clone()).send().await {
                Err(error) => (unreachable("reach", url.as_str(), &error), None),
                Ok(response) => match retry::decide(response.status().as_u16()) {
                    Decision::Accept => return Ok(Answer::Body(BodyStream::of(response))),
                    Decision::Fail if resource.optional && response.status() == StatusCode::NOT_FOUND => {
                        return Ok(Answer::Absent);
                    }
                    Decision::Fail => return Err(failure(url.as_str(), response).await),
                    Decision::Retry => {
                        let retry_after = header(&response, RETRY_AFTER);
                        (failure(url.as_str(), response).await, retry_after)
                    }
                },
            };
            if attempt == retry::ATTEMPTS_MAX {
                return Err(error);
            }
            let pause = retry::pause(attempt, retry_after.as_deref());
            tracing::warn!(resource = resource.name, attempt, pause_ms = pause.as_millis() as u64, %error, "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

impl BodyStream {
    /// A body of these chunks, which ends where they do.
    #[must_use]
    pub fn new(etag: Option<String>, chunks: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static) -> Self {
        Self { etag, chunks: chunks.boxed() }
    }

    fn of(response: Response) -> Self {
        let broken = |error: reqwest::Error| {
            let url = error.url().map(ToString::to_string).unwrap_or_default();
            unreachable("receive the whole answer of", &url, &error)
        };
        Self::new(header(&response, ETAG), response.bytes_stream().map_err(broken))
    }

    /// The next chunk, or `None` at the declared end of the body.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unreachable`] if the connection ends or stalls before the body does.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.chunks.try_next().await
    }
}

fn sensitive(name: &'static str, secret: &SecretString) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| ApiError::Credential { name })?;
    value.set_sensitive(true);
    Ok(value)
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn failure(url: &str, response: Response) -> ApiError {
    let url = url.to_owned();
    let status = response.status().as_u16();
    if response.status().is_redirection() {
        let location = header(&response, LOCATION).and_then(|target| response.url().join(&target).ok());
        let target = location.as_ref().and_then(|url| url.host_str()).unwrap_or("an unnamed place").to_owned();
        return ApiError::Redirect { url, status, target };
    }
    let envelope = Envelope::parse(&beginning(response).await);
    match status {
        401 | 403 => ApiError::Denied { url, status, envelope },
        _ => ApiError::Status { url, status, envelope },
    }
}

/// As much of an error's body as may be an envelope; what cannot be received is left out.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ENVELOPE_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ENVELOPE_BYTES_MAX {
            break;
        }
    }
    body
}

fn unreachable(attempt: &'static str, url: &str, error: &reqwest::Error) -> ApiError {
    let mut reasons = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reasons.push(cause.to_string());
        source = cause.source();
    }
    let reason = if reasons.is_empty() { error.to_string() } else { reasons.join(": ") };
    ApiError::Unreachable { attempt, url: url.to_owned(), reason }
}
