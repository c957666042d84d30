//! The network edge: one complete read of a list endpoint, as a stream of chunks.
//!
//! ```text
//! Resource ──▶ Client ──▶ status? ──▶ 200: Answer::Body, chunk by chunk
//!                            ├──────▶ 404 of an optional resource: Answer::Absent
//!                            ├──────▶ 304, where the list's ETag was sent: Answer::NotModified
//!                            └──────▶ anything else: ApiError, after the retries that the table in `retry` allows
//! ```
//!
//! The law: nothing but the body of a 200 is ever taken for records, credentials go to the configured host alone, and
//! redirects are not followed. An answer that is late, slow, too large or not to its end is no answer. HTTP is used in this
//! module alone. A list that is asked for page by page is one body too: see `walk`.

mod base_url;
mod body;
mod client;
mod coding;
mod envelope;
mod pace;
mod post;
mod request;
mod resolver;
mod retry;
mod traffic;
mod walk;

pub use base_url::{BaseUrl, DEFAULT_BASE_URL, InvalidBaseUrl, InvalidProxyUrl, ProxyUrl};
pub use body::BodyStream;
pub use client::{Answer, ApiError, Client, Connection, Credentials, Look, Source};
pub use coding::CodingError;
pub use envelope::Envelope;
pub use post::{PostError, post};
pub use request::ListRequest;
pub use resolver::LinkLocal;
pub use traffic::{Received, Traffic};
pub use walk::{Pages, WalkError};
