//! Polls list endpoints.

use std::{error::Error as _, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{
    Certificate, Proxy, Response, StatusCode, Url,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, DATE, HeaderMap, HeaderName, HeaderValue,
        IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    },
    redirect, tls,
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::{
    BaseUrl, BodyStream, CodingError, Envelope, ListRequest, Pages, ProxyUrl, Traffic, WalkError,
    body::Bounds,
    coding::{self, Decoder},
    envelope::ENVELOPE_BYTES_MAX,
    pace::RateLimit,
    resolver::{LinkLocal, Resolver},
    retry::{self, Decision, Outcome, Pauses, RetryAfter},
    walk,
};
use crate::{record::RECORD_BYTES_MAX, schema::Resource};

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without a byte after which a connection is taken for dead.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for an error's body: what is wrong is known from the status.
const ENVELOPE_TIMEOUT: Duration = Duration::from_secs(10);

/// How the API is reached, and what its answers are held to.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where it is.
    pub base_url: BaseUrl,
    /// What stands between, if anything does; the environment is not asked.
    pub proxy: Option<ProxyUrl>,
    /// Certificates in PEM of authorities that are trusted beside the system's.
    pub authorities: Option<Vec<u8>>,
    /// Requests a second, on average.
    pub requests_per_second: f64,
    /// The largest answer, in bytes once it is decoded.
    pub body_bytes_max: u64,
    /// The longest that one answer may take.
    pub poll_timeout: Duration,
}

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
    connection: Connection,
    rate_limit: Arc<RateLimit>,
    pauses: Arc<Pauses>,
    traffic: Arc<Traffic>,
}

/// What answers polls: the API, or something that plays it.
pub trait Source: Send + Sync {
    /// What alone can be asked for, if that is not for the one who asks to choose.
    fn offers(&self) -> Option<ListRequest> {
        None
    }

    /// Asks for the list of a resource.
    ///
    /// # Errors
    ///
    /// [`ApiError`], after the retries that are due.
    fn poll(&self, resource: &Resource, request: &ListRequest)
    -> impl Future<Output = Result<Answer, ApiError>> + Send;

    /// Asks for one record by its key; `None` if the API does not have it, or does not give it.
    ///
    /// # Errors
    ///
    /// [`ApiError`], after the retries that are due.
    fn single(&self, resource: &Resource, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, ApiError>> + Send;
}

/// What a poll is answered with.
pub enum Answer {
    /// The records, still to be received.
    Body(BodyStream),
    /// The list has the ETag that was asked about.
    NotModified,
    /// An optional resource is not there.
    Absent,
}

/// How an answer begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How long it took to begin.
    pub took: Duration,
    /// The server's time.
    pub date: Option<DateTime<Utc>>,
    /// Whether it is a list.
    pub is_list: bool,
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
    /// The settings of the connection cannot be used.
    #[error("cannot set up the connection to {url}: {reason}")]
    Setup {
        /// Where.
        url: String,
        /// The whole chain of causes.
        reason: String,
    },
    /// No connection, or it broke before an answer began.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// The whole chain of causes.
        reason: String,
    },
    /// The name is an address at which no API can be.
    #[error("{url} is not asked: {reason}")]
    Forbidden {
        /// Where.
        url: String,
        /// Which address it is.
        reason: LinkLocal,
    },
    /// An answer began and did not come to its end.
    #[error("cannot receive the whole answer of {url}: {reason}")]
    Interrupted {
        /// Where.
        url: String,
        /// What happened.
        reason: String,
    },
    /// An answer takes longer than it may.
    #[error("cannot receive the whole answer of {url}: it takes longer than `poll_timeout` allows ({within})")]
    TooLate {
        /// Where.
        url: String,
        /// How long it may take.
        within: String,
    },
    /// An answer's body cannot be decoded, or is too large.
    #[error("the answer of {url} is refused: {source}")]
    Coding {
        /// Where.
        url: String,
        /// Why.
        source: CodingError,
    },
    /// The pages of a list do not make one.
    #[error("the pages of {url} are refused: {source}")]
    Walk {
        /// Where.
        url: String,
        /// Why.
        source: WalkError,
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
    /// A client that reaches the API so. `seed` is chance, for the lengths of pauses.
    ///
    /// # Errors
    ///
    /// [`ApiError::Credential`] if a credential holds what no header can, [`ApiError::Setup`] if the connection's settings
    /// cannot be used.
    pub fn new(connection: Connection, credentials: &Credentials, seed: u64) -> Result<Self, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, coding::ACCEPTED);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-api-key", sensitive("X-API-KEY", &credentials.key)?);
        headers.insert("x-api-secret", sensitive("X-API-SECRET", &credentials.secret)?);
        let http = build(&connection, headers, !connection.base_url.is_loopback()).map_err(|error| {
            let url = connection.base_url.to_string();
            ApiError::Setup { url, reason: reasons(&error) }
        })?;
        let rate_limit = Arc::new(RateLimit::new(connection.requests_per_second));
        Ok(Self { http, connection, rate_limit, pauses: Arc::new(Pauses::new(seed)), traffic: Arc::default() })
    }

    /// What was asked so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What an answer that is asked for now is held to.
    pub(super) fn bounds(&self) -> Bounds {
        let Connection { poll_timeout: within, body_bytes_max: bytes_max, .. } = self.connection;
        Bounds { deadline: Instant::now() + within, bytes_max, within }
    }

    /// The URL of a page of a resource's list, or of the whole.
    pub(super) fn list_url(&self, resource: &Resource, request: &ListRequest, page: u64) -> Url {
        request.url(self.connection.base_url.join(&resource.path), page)
    }

    /// Asks until there is an answer to go by.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answered, ApiError> {
        let Question { resource, url, etag, may_lack } = question;
        let mut attempt = 1;
        loop {
            self.rate_limit.wait().await;
            self.traffic.request(attempt);
            let bounds = self.bounds();
            let mut get = self.http.get(url.clone());
            if let Some(etag) = etag {
                get = get.header(IF_NONE_MATCH, etag);
            }
            let Ok(answered) = timeout_at(bounds.deadline, get.send()).await else {
                return Err(bounds.missed(url.as_str()));
            };
            let outcome = match &answered {
                Ok(response) => Outcome::Status(response.status().as_u16()),
                Err(error) if is_distrust(error) => Outcome::Untrusted,
                Err(_) => Outcome::NoAnswer,
            };
            let (error, asked, date) = match (retry::decide(outcome), answered) {
                (Decision::Accept, Ok(response)) => return Ok(Answered::With(response, bounds)),
                (_, Ok(response)) if may_lack && response.status() == StatusCode::NOT_FOUND => {
                    return Ok(Answered::Lacking);
                }
                (_, Ok(response)) if etag.is_some() && response.status() == StatusCode::NOT_MODIFIED => {
                    return Ok(Answered::NotModified);
                }
                (Decision::Retry, Ok(response)) => {
                    let (asked, date) = (header(&response, RETRY_AFTER), header(&response, DATE));
                    (failure(url.as_str(), response).await, asked, date)
                }
                (_, Ok(response)) => return Err(failure(url.as_str(), response).await),
                (Decision::Retry, Err(error)) => (no_answer(url.as_str(), &error), None, None),
                (_, Err(error)) => return Err(no_answer(url.as_str(), &error)),
            };
            let retry_after = RetryAfter { asked: asked.as_deref(), date: date.as_deref() };
            let Some(pause) = self.pauses.next(attempt, retry_after) else { return Err(error) };
            tracing::warn!(resource, attempt, pause_ms = pause.as_millis() as u64, %error, "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Asks for the first two pages of a list, with so many records each.
    ///
    /// # Errors
    ///
    /// As [`poll`](Source::poll); [`ApiError::Walk`] if they are no pages.
    pub async fn first_pages(&self, resource: &Resource, size: u32) -> Result<Pages, ApiError> {
        let request = ListRequest { page_size: Some(size), ..ListRequest::default() };
        walk::first_pages(self.clone(), resource.clone(), request).await
    }

    /// Looks at how an answer begins, and receives no more of it; `None` if the API lacks the resource and may.
    ///
    /// # Errors
    ///
    /// As [`poll`](Source::poll).
    pub async fn look(&self, resource: &Resource) -> Result<Option<Look>, ApiError> {
        let began = Instant::now();
        let url = self.list_url(resource, &ListRequest::default(), 0);
        let question = Question { resource: &resource.name, url, etag: None, may_lack: resource.optional };
        let Answered::With(response, bounds) = self.ask(question).await? else { return Ok(None) };
        let date = header(&response, DATE).and_then(|text| DateTime::parse_from_rfc2822(&text).ok());
        let took = began.elapsed();
        let mut body = BodyStream::of(response, bounds)?;
        let mut first_byte = None;
        while let (None, Some(chunk)) = (first_byte, body.next().await?) {
            first_byte = chunk.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        }
        Ok(Some(Look { took, date: date.map(|date| date.to_utc()), is_list: first_byte == Some(b'[') }))
    }
}

/// A client that keeps to the rules of the network.
pub(super) fn build(connection: &Connection, headers: HeaderMap, https_only: bool) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("lumetrade-export/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Resolver))
        .https_only(https_only)
        .tls_version_min(tls::Version::TLS_1_2)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    if let Some(proxy) = &connection.proxy {
        builder = builder.proxy(Proxy::all(proxy.as_str())?);
    }
    if let Some(authorities) = &connection.authorities {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(authorities)?);
    }
    builder.build()
}

impl Source for Client {
    async fn poll(&self, resource: &Resource, request: &ListRequest) -> Result<Answer, ApiError> {
        if request.page_size.is_some() {
            let body = walk::walk(self.clone(), resource.clone(), request.clone()).await?;
            return Ok(body.map_or(Answer::Absent, Answer::Body));
        }
        let etag = request.etag.as_deref();
        let url = self.list_url(resource, request, 0);
        let question = Question { resource: &resource.name, url, etag, may_lack: resource.optional };
        Ok(match self.ask(question).await? {
            Answered::With(response, bounds) => Answer::Body(BodyStream::of(response, bounds)?),
            Answered::NotModified => Answer::NotModified,
            Answered::Lacking => Answer::Absent,
        })
    }

    async fn single(&self, resource: &Resource, key: &str) -> Result<Option<Vec<u8>>, ApiError> {
        let url = self.connection.base_url.join_item(&resource.item_path, key);
        let question = Question { resource: &resource.name, url, etag: None, may_lack: true };
        let Answered::With(response, bounds) = self.ask(question).await? else { return Ok(None) };
        let bounds = Bounds { bytes_max: bounds.bytes_max.min(RECORD_BYTES_MAX as u64), ..bounds };
        BodyStream::of(response, bounds)?.collect().await.map(Some)
    }
}

/// One request, which may be made several times.
pub(super) struct Question<'q> {
    /// For whom, in the log.
    pub resource: &'q str,
    pub url: Url,
    /// Only if it is not this any more.
    pub etag: Option<&'q str>,
    /// Whether a 404 is an answer.
    pub may_lack: bool,
}

/// An answer to go by.
pub(super) enum Answered {
    /// A 200, still to be received within these bounds.
    With(Response, Bounds),
    NotModified,
    Lacking,
}

impl ApiError {
    /// Whether the answer did not hold together, so that it may at another time.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        match self {
            ApiError::Interrupted { .. } => true,
            ApiError::Walk { source, .. } => source.is_torn(),
            _ => false,
        }
    }
}

fn sensitive(name: &'static str, secret: &SecretString) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| ApiError::Credential { name })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn header(response: &Response, name: HeaderName) -> Option<String> {
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

/// As much of an error's body as may be an envelope; what cannot be received in time, or decoded, is left out.
async fn beginning(mut response: Response) -> Vec<u8> {
    let deadline = Instant::now() + ENVELOPE_TIMEOUT;
    let coding = header(&response, CONTENT_ENCODING);
    let mut body = Vec::new();
    let Ok(mut decoder) = Decoder::new(coding.as_deref(), u64::MAX) else { return body };
    while body.len() < ENVELOPE_BYTES_MAX
        && let Ok(Ok(received)) = timeout_at(deadline, response.chunk()).await
    {
        let ended = received.is_none();
        let decoded = match received {
            Some(chunk) => decoder.push(chunk),
            None => decoder.finish(),
        };
        body.extend_from_slice(&decoded.unwrap_or_default());
        if ended {
            break;
        }
    }
    body.truncate(ENVELOPE_BYTES_MAX);
    body
}

fn no_answer(url: &str, error: &reqwest::Error) -> ApiError {
    let url = url.to_owned();
    match causes(error).find_map(|cause| cause.downcast_ref::<LinkLocal>()) {
        Some(reason) => ApiError::Forbidden { url, reason: reason.clone() },
        None => ApiError::Unreachable { url, reason: reasons(error) },
    }
}

/// What rustls says of a certificate that it does not accept.
const DISTRUST: &str = "invalid peer certificate";

/// Whether there is no answer because nobody is there to be trusted: another attempt will not change that.
fn is_distrust(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<LinkLocal>() || cause.to_string().starts_with(DISTRUST))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// What an error says, from what it is made of: its own text repeats the URL.
pub(super) fn reasons(error: &reqwest::Error) -> String {
    let reasons: Vec<String> = causes(error).map(ToString::to_string).collect();
    if reasons.is_empty() { error.to_string() } else { reasons.join(": ") }
}
