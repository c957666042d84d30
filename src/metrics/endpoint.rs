//! Metrics to be asked for, at `/metrics` of an address of this machine.

use std::{io, net::SocketAddr};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use tokio::{net::TcpListener, sync::watch};

use super::Metrics;

/// The text format, which all scrapers read.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves what was published last, until it is dropped.
pub struct Endpoint {
    text: watch::Sender<String>,
    address: SocketAddr,
}

impl Endpoint {
    /// Listens.
    ///
    /// # Errors
    ///
    /// If nobody may listen there, or somebody does.
    pub async fn listen(address: SocketAddr, metrics: &Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (text, published) = watch::channel(metrics.to_text());
        let mut dropped = published.clone();
        let answer = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], published.borrow().clone()) };
        let server = axum::serve(listener, Router::new().route("/metrics", get(answer)));
        let server = server.with_graceful_shutdown(async move { while dropped.changed().await.is_ok() {} });
        tokio::spawn(async move { server.await.inspect_err(|error| tracing::warn!(%error, "metrics end")) });
        Ok(Self { text, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these from here on.
    pub fn publish(&self, metrics: &Metrics) {
        self.text.send_replace(metrics.to_text());
    }
}
