//! Requests to a sandbox over its socket, and its answers byte by byte.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Options, Running, start};

pub(super) const CREDENTIALS: &str = "X-API-KEY: sandbox-key\r\nX-API-SECRET: sandbox-secret\r\n";

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's value; names are in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

pub(super) async fn sandbox() -> Running {
    start(Options { records: 1000, ..Options::default() }, 0).await.unwrap()
}

/// HTTP/1.0 has neither chunks nor a connection that stays, so a response is what comes until the end.
pub(super) async fn exchange(sandbox: &Running, method: &str, path: &str, headers: &str) -> Answer {
    send(sandbox, &format!("{method} {path} HTTP/1.0\r\n{headers}\r\n")).await
}

/// Sends a request as it stands, and takes what comes until the end.
pub(super) async fn send(sandbox: &Running, request: &str) -> Answer {
    let mut stream = TcpStream::connect(sandbox.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(response[..end].to_vec()).unwrap();
    Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: response.split_off(end + 4) }
}

pub(super) async fn ask(sandbox: &Running, method: &str, path: &str, headers: &str) -> (u16, String) {
    let answer = exchange(sandbox, method, path, headers).await;
    (answer.status, answer.text())
}

/// A list or a record, whatever the answer says of it.
pub(super) async fn fetch(sandbox: &Running, path: &str) -> Answer {
    exchange(sandbox, "GET", path, CREDENTIALS).await
}

pub(super) async fn get(sandbox: &Running, path: &str) -> String {
    let (status, body) = ask(sandbox, "GET", path, CREDENTIALS).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

pub(super) async fn post(sandbox: &Running, path: &str) -> Value {
    let (status, body) = ask(sandbox, "POST", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}
