//! Requests to S3, by a client that takes nothing for an answer that is none.
//!
//! The store's own client reads any 200 as success: a page of markup becomes an object, an error in XML an empty listing. Here
//! an object has an ETag, a listing is a `ListBucketResult`, and what is neither is an interrupted request, which is made
//! again. Redirects are not followed: they would carry a session's token elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use object_store::{
    ClientConfigKey, ClientOptions, Result as StoreResult,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};
use thiserror::Error;

/// How much of an answer is looked at to say what it is.
const BEGINNING_BYTES: usize = 256;

/// Makes the clients: for the bucket, and for credentials that the machine has from elsewhere.
#[derive(Debug)]
pub(super) struct Wire {
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

#[derive(Debug)]
struct Strict {
    /// With a deadline for the whole request.
    bounded: reqwest::Client,
    /// With a deadline for the answer, and for each part of it: an object may take as long as it is large.
    streaming: reqwest::Client,
}

/// What a request is answered with if all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Object,
    Listing,
    Other,
}

/// An answer that is none.
#[derive(Debug, Error)]
enum NoAnswer {
    #[error("redirect refused: the bucket is in region {0}")]
    OtherRegion(String),
    #[error("redirect refused: the server points elsewhere")]
    Elsewhere,
    #[error("an answer without an ETag is no object")]
    NoObject,
    #[error("the answer is no listing")]
    NoListing,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> StoreResult<HttpClient> {
        let plain_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|allowed| allowed == "true");
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("lumetrade-export/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .https_only(!plain_http)
                .connect_timeout(self.connect_timeout)
        };
        let failed = |source| object_store::Error::Generic { store: "S3", source: Box::new(source) };
        Ok(HttpClient::new(Strict {
            bounded: client().timeout(self.request_timeout).build().map_err(failed)?,
            streaming: client().read_timeout(self.request_timeout).build().map_err(failed)?,
        }))
    }
}

#[async_trait]
impl HttpService for Strict {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let expected = Expected::of(&request);
        let client = if expected == Expected::Object { &self.streaming } else { &self.bounded };
        let response = client.call(request).await?;
        let status = response.status();
        if status.is_redirection() && status != 304 {
            let region = response.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            let refusal = region.map_or(NoAnswer::Elsewhere, |region| NoAnswer::OtherRegion(region.to_owned()));
            return Err(HttpError::new(HttpErrorKind::Unknown, refusal));
        }
        match expected {
            Expected::Object if status.is_success() && !response.headers().contains_key("etag") => {
                Err(HttpError::new(HttpErrorKind::Interrupted, NoAnswer::NoObject))
            }
            Expected::Listing if status.is_success() => only_listing(response).await,
            _ => Ok(response),
        }
    }
}

impl Expected {
    /// Only requests to the bucket are signed in their headers.
    fn of(request: &HttpRequest) -> Self {
        let signed = request.headers().contains_key("authorization");
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        match request.method().as_str() {
            "GET" if signed && is_listing => Expected::Listing,
            "GET" | "HEAD" if signed => Expected::Object,
            _ => Expected::Other,
        }
    }
}

async fn only_listing(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (head, body) = response.into_parts();
    let body = body.bytes().await?;
    let beginning = String::from_utf8_lossy(&body[..body.len().min(BEGINNING_BYTES)]);
    if beginning.contains("<ListBucketResult") {
        Ok(HttpResponse::from_parts(head, body.into()))
    } else {
        Err(HttpError::new(HttpErrorKind::Interrupted, NoAnswer::NoListing))
    }
}
