//! The body of a 200: received in time, decoded, and no larger than it may be.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, ETAG},
};
use tokio::time::{Instant, timeout_at};

use super::{
    ApiError, Received,
    client::{header, reasons},
    coding::Decoder,
    pace::Throughput,
};

/// The body of a 200.
pub struct BodyStream {
    /// The body's ETag, where the server gave one.
    pub etag: Option<String>,
    /// How much of it has come.
    pub received: Received,
    chunks: BoxStream<'static, Result<Bytes, ApiError>>,
}

/// What a body is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// When it must have come to its end.
    pub deadline: Instant,
    /// How large it may be, decoded.
    pub bytes_max: u64,
    /// The longest that it may take, for the message.
    pub within: Duration,
}

impl Bounds {
    /// The error of an answer that did not come in time.
    pub(super) fn missed(&self, url: &str) -> ApiError {
        ApiError::TooLate { url: url.to_owned(), within: humantime::format_duration(self.within).to_string() }
    }
}

impl BodyStream {
    /// A body of these chunks, which ends where they do.
    #[must_use]
    pub fn new(etag: Option<String>, chunks: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static) -> Self {
        Self { etag, received: Received::default(), chunks: chunks.boxed() }
    }

    pub(super) fn of(response: Response, bounds: Bounds) -> Result<Self, ApiError> {
        let url = response.url().to_string();
        let coding = header(&response, CONTENT_ENCODING);
        let decoder = Decoder::new(coding.as_deref(), bounds.bytes_max)
            .map_err(|source| ApiError::Coding { url: url.clone(), source })?;
        let etag = header(&response, ETAG);
        let received = Received::of(response.content_length());
        let receiving = Receiving {
            url,
            chunks: response.bytes_stream().boxed(),
            decoder,
            received: received.clone(),
            throughput: Throughput::default(),
            bounds,
            ended: false,
        };
        let chunks = futures::stream::try_unfold(receiving, |mut receiving| async move {
            Ok(receiving.next().await?.map(|chunk| (chunk, receiving)))
        });
        Ok(Self { received, ..Self::new(etag, chunks) })
    }

    /// All of the body.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub(super) async fn collect(mut self) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The next chunk, or `None` at the declared end of the body.
    ///
    /// # Errors
    ///
    /// [`ApiError::Interrupted`] if the connection ends or stalls before the body does, [`ApiError::Coding`] if the body is
    /// not what its coding allows, or too large.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.chunks.try_next().await
    }
}

/// A body while it is received.
struct Receiving {
    url: String,
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    decoder: Decoder,
    received: Received,
    throughput: Throughput,
    bounds: Bounds,
    ended: bool,
}

impl Receiving {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        while !self.ended {
            let decoded = match self.receive().await? {
                Some(piece) => self.decoder.push(piece),
                None => {
                    self.ended = true;
                    self.decoder.finish()
                }
            };
            let decoded = decoded.map_err(|source| ApiError::Coding { url: self.url.clone(), source })?;
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
        Ok(None)
    }

    /// The next piece as it is on the wire.
    async fn receive(&mut self) -> Result<Option<Bytes>, ApiError> {
        let began = Instant::now();
        let interrupted = |reason: String| ApiError::Interrupted { url: self.url.clone(), reason };
        let piece = match timeout_at(self.bounds.deadline, self.chunks.try_next()).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Err(interrupted(reasons(&error))),
            Err(_) => return Err(self.bounds.missed(&self.url)),
        };
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        self.received.add(bytes);
        if piece.is_some() && self.throughput.is_too_slow(began.elapsed(), bytes) {
            return Err(interrupted("it comes at less than 1 KiB a second".to_owned()));
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A body of so many pieces, each of so many bytes and so long in coming.
    fn receiving(pieces: usize, bytes: usize, each: Duration, within: Duration) -> Receiving {
        let pieces = futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(each).await;
            Ok(Bytes::from(vec![b' '; bytes]))
        });
        Receiving {
            url: "https://api.example/x".to_owned(),
            chunks: pieces.boxed(),
            decoder: Decoder::new(None, u64::MAX).unwrap(),
            received: Received::default(),
            throughput: Throughput::default(),
            bounds: Bounds { deadline: Instant::now() + within, bytes_max: u64::MAX, within },
            ended: false,
        }
    }

    async fn receive(mut receiving: Receiving) -> Result<usize, String> {
        let mut bytes = 0;
        while let Some(piece) = receiving.next().await.map_err(|error| error.to_string())? {
            bytes += piece.len();
        }
        Ok(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_drips_is_given_up_after_half_a_minute() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let refused = receive(receiving(10_000, 1, second, 60 * MINUTE)).await.unwrap_err();
        assert!(refused.contains("less than 1 KiB a second"), "{refused}");
        assert_eq!(began.elapsed(), 30 * second);
        assert_eq!(receive(receiving(100, 2000, second, 60 * MINUTE)).await, Ok(200_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_to_come_to_its_end_in_time() {
        let began = Instant::now();
        let refused = receive(receiving(10_000, 1 << 20, Duration::from_secs(1), 5 * MINUTE)).await.unwrap_err();
        assert!(refused.contains("longer than `poll_timeout` allows (5m)"), "{refused}");
        assert_eq!(began.elapsed(), 5 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_asks_is_not_the_servers() {
        let mut receiving = receiving(100, 1, Duration::from_millis(1), 1000 * MINUTE);
        for _ in 0..100 {
            tokio::time::sleep(MINUTE).await;
            assert!(receiving.next().await.unwrap().is_some());
        }
    }
}
