//! Answers that are no lists, and lists that do not come as they should.

use std::convert::Infallible;
use std::io::{self, Write};
use std::iter;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};

use super::Body;
use super::envelope::{JSON, Refusal};
use super::fault::{Code, Fault, HeaderText};
use super::stage::Stage;

/// Longer than any client waits.
const HANG: Duration = Duration::from_secs(3600);
/// Between two bytes that drip.
const DRIP: Duration = Duration::from_secs(1);
/// What was sent before a connection breaks off is on its way by then.
const FLUSH: Duration = Duration::from_millis(100);
/// White space of a bomb: a gibibyte, piece by piece.
static SPACES: [u8; 64 * 1024] = [b' '; 64 * 1024];
const SPACES_COUNT: usize = 16 * 1024;

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in</h1>\
    <form method=\"post\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body></html>\n";

/// What is answered instead of a list, if something is.
pub(super) async fn instead(fault: &Fault, stage: &Stage) -> Option<Response> {
    Some(match fault {
        Fault::Status { code: Code(status), retry_after } => {
            let mut response = Refusal::Rehearsed(*status).into_response();
            response.headers_mut().extend(retry_after.clone().map(|HeaderText(text)| (RETRY_AFTER, text)));
            response
        }
        Fault::Html {} => ([(CONTENT_TYPE, "text/html; charset=utf-8")], LOGIN_PAGE).into_response(),
        Fault::ErrorIn200 {} => {
            let mut response = Refusal::Internal.into_response();
            *response.status_mut() = StatusCode::OK;
            response
        }
        Fault::Redirect { to: HeaderText(to), code: Code(status) } => {
            (*status, [(LOCATION, to.clone())]).into_response()
        }
        Fault::Hang {} => {
            stage.wait(HANG).await;
            Refusal::Rehearsed(StatusCode::GATEWAY_TIMEOUT).into_response()
        }
        _ => return None,
    })
}

/// A list as the fault lets it come.
pub(super) fn deliver(fault: &Fault, body: Body, stage: Arc<Stage>) -> Response {
    let (body, is_gzip) = match fault {
        Fault::Drip {} => (drip(body, stage), false),
        Fault::Cut {} => (cut(body), false),
        Fault::GzipBomb {} => (whole(bomb(body)), true),
        _ => (whole(body), false),
    };
    let mut response = ([(CONTENT_TYPE, JSON)], body).into_response();
    if is_gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn whole(chunks: impl Iterator<Item = Bytes> + Send + 'static) -> HttpBody {
    HttpBody::from_stream(stream::iter(chunks.map(Ok::<_, Infallible>)))
}

fn drip(body: Body, stage: Arc<Stage>) -> HttpBody {
    let bytes = stream::iter(body.flatten()).then(move |byte| {
        let stage = stage.clone();
        async move {
            let goes_on = stage.wait(DRIP).await;
            goes_on.then(|| Bytes::copy_from_slice(&[byte])).ok_or_else(broken_off)
        }
    });
    HttpBody::from_stream(bytes)
}

fn cut(body: Body) -> HttpBody {
    let end = stream::once(async {
        tokio::time::sleep(FLUSH).await;
        Err(broken_off())
    });
    HttpBody::from_stream(stream::iter(body.map(Ok)).chain(end))
}

/// The error with which the server closes the connection.
fn broken_off() -> io::Error {
    io::Error::other("the sandbox breaks off")
}

/// A list and white space behind it, compressed.
fn bomb(body: Body) -> impl Iterator<Item = Bytes> {
    let spaces = iter::repeat_n(Bytes::from_static(&SPACES), SPACES_COUNT);
    Gzip { pieces: body.chain(spaces), encoder: Some(GzEncoder::new(Vec::new(), Compression::default())) }
}

/// Pieces that are compressed while they are sent.
struct Gzip<I> {
    pieces: I,
    /// `None` once all is sent.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I: Iterator<Item = Bytes>> Iterator for Gzip<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            let encoder = self.encoder.as_mut()?;
            let Some(piece) = self.pieces.next() else { return Some(self.encoder.take()?.finish().ok()?.into()) };
            encoder.write_all(&piece).ok()?;
            let out = mem::take(encoder.get_mut());
            if !out.is_empty() {
                return Some(out.into());
            }
        }
    }
}
