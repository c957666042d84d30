//! Requests that are not answered with data: why, and the API's one envelope for it.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::stage::Stage;

/// Why a request is not answered with data.
#[derive(Debug)]
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

impl Refusal {
    /// The response, stamped with the sandbox's clock.
    pub(super) fn response(self, stage: &Stage) -> Response {
        let (status, code, message) = match &self {
            Refusal::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, 1001, "The request could not be authenticated"),
            Refusal::NotFound => (StatusCode::NOT_FOUND, 1133, "The resource was not found"),
            Refusal::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, 1005, "The method is not supported here"),
            Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, 1002, "The request is not valid"),
            Refusal::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 1000, "An unexpected error occurred"),
        };
        let errors = match self {
            Refusal::Unauthenticated(field) => vec![FieldError { field, message: "is missing or invalid".into() }],
            Refusal::Invalid(message) => vec![FieldError { field: "query", message }],
            Refusal::NotFound | Refusal::MethodNotAllowed | Refusal::Internal => Vec::new(),
        };
        let envelope = Envelope {
            code,
            message,
            http_status: status.as_u16(),
            request_id: stage.next_request_id(),
            timestamp: stage.scene().snapshot.clock(),
            errors,
        };
        (status, json(&envelope)).into_response()
    }
}

/// A small JSON response.
pub(super) fn json(content: &impl Serialize) -> Response {
    // What is passed here has text keys and plain values, which always serialize.
    let text = serde_json::to_vec(content).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
