//! Requests that are not answered with data: why, and the API's one envelope for it.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Error;
use super::stage::Stage;

/// The media type of all that the API says.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request is not answered with data.
///
/// As a response it is only a status, and itself as an extension: [`seal`] writes the envelope, which takes the sandbox's clock.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// A credential header is missing or wrong.
    Unauthenticated(&'static str),
    /// There is no such path, or no such record.
    NotFound,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The query is not understood.
    Invalid(String),
    /// The sandbox failed.
    Internal,
    /// The request is to be answered with this status.
    Rehearsed(StatusCode),
}

/// The error envelope of the API's overview.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    code: u32,
    message: &'static str,
    http_status: u16,
    request_id: String,
    timestamp: DateTime<Utc>,
    errors: Vec<FieldError>,
}

#[derive(Serialize)]
struct FieldError {
    field: &'static str,
    message: String,
}

/// Gives a refusal its envelope; any other response stays as it is.
pub(super) fn seal(mut response: Response, stage: &Stage) -> Response {
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        *response.body_mut() = Body::from(text(&refusal.envelope(stage)));
        // That of the empty body that the router has seen.
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    response
}

/// A small JSON response.
pub(super) fn json(content: &impl Serialize) -> Response {
    ([(CONTENT_TYPE, JSON)], text(content)).into_response()
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Rehearsed(status) => *status,
        }
    }

    fn envelope(self, stage: &Stage) -> Envelope {
        let http_status = self.status().as_u16();
        let (code, message, error) = match self {
            Refusal::Unauthenticated(header) => {
                (1001, "The request could not be authenticated", Some((header, "is missing or invalid".into())))
            }
            Refusal::NotFound => (1133, "The resource was not found", None),
            Refusal::MethodNotAllowed => (1005, "The method is not supported here", None),
            Refusal::Invalid(message) => (1002, "The request is not valid", Some(("query", message))),
            Refusal::Internal => (1000, "An unexpected error occurred", None),
            Refusal::Rehearsed(status) => (1000, status.canonical_reason().unwrap_or("An error occurred"), None),
        };
        Envelope {
            code,
            message,
            http_status,
            request_id: stage.next_request_id(),
            timestamp: stage.scene().snapshot.clock(),
            errors: error.map(|(field, message)| FieldError { field, message }).into_iter().collect(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Refusal {
        Refusal::Invalid(rejection.body_text())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Invalid(error.to_string())
    }
}

fn text(content: &impl Serialize) -> Vec<u8> {
    // What is passed here has text for keys and plain values, which always serialize.
    serde_json::to_vec(content).unwrap_or_default()
}
