//! A sandbox on a port.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::routes::router;
use super::stage::Stage;
use super::{Error, Options};

/// Serves a sandbox until `shutdown` resolves; then finishes the responses that have begun.
///
/// # Errors
///
/// [`Error::NotLoopback`] for a listener that other machines reach, [`Error::TooManyRecords`], or [`Error::Serve`].
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    serve_stage(listener, Arc::new(Stage::new(options)?), shutdown).await
}

/// Starts a sandbox on a port of 127.0.0.1, or on any free one for port 0.
///
/// # Errors
///
/// [`Error::Listen`] if the port is taken, [`Error::TooManyRecords`].
pub async fn start(options: Options, port: u16) -> Result<Running, Error> {
    let listen = |source| Error::Listen { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let stage = Arc::new(Stage::new(options)?);
    let (stop, stopped) = oneshot::channel();
    // A handle that is dropped stops the sandbox too.
    let shutdown = async move { stopped.await.unwrap_or(()) };
    let task = tokio::spawn(serve_stage(listener, stage.clone(), shutdown));
    Ok(Running { address, stage, stop, task })
}

/// A sandbox that runs in this process; dropping it stops it.
pub struct Running {
    address: SocketAddr,
    stage: Arc<Stage>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// What to put before a path, such as `http://127.0.0.1:8080`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The world's clock.
    pub fn clock(&self) -> DateTime<Utc> {
        self.stage.scene().snapshot.clock()
    }

    /// Moves the world's clock on, and returns it.
    ///
    /// # Errors
    ///
    /// [`Error::Clock`] for a time backwards, or beyond the world's end; the clock then stays.
    pub fn advance(&self, by: TimeDelta) -> Result<DateTime<Utc>, Error> {
        self.stage.advance(by)
    }

    /// Stops it, once the responses that have begun are finished.
    ///
    /// # Errors
    ///
    /// [`Error::Serve`] if it had stopped by itself.
    pub async fn stop(self) -> Result<(), Error> {
        // An error means that the task is over; the next line says how it ended.
        let _ = self.stop.send(());
        self.task.await.map_err(std::io::Error::other)?
    }
}

async fn serve_stage(
    listener: TcpListener,
    stage: Arc<Stage>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback);
    }
    tracing::info!(%address, "the sandbox is serving");
    let waiting = stage.clone();
    let shutdown = async move {
        shutdown.await;
        waiting.stop_waiting();
    };
    axum::serve(listener, router(stage)).with_graceful_shutdown(shutdown).await?;
    Ok(())
}
