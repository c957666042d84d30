//! An API behind TLS, with a certificate of `tests/fixtures/tls`: all are of one authority that nobody else knows.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::python;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls_server.py");

/// A server that lists one wallet.
pub struct TlsApi {
    child: Child,
    port: u16,
}

/// A file of `tests/fixtures/tls`.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls")).join(name)
}

impl TlsApi {
    /// With the certificate of this name; `options` are the server's own.
    pub fn start(certificate: &str, options: &[&str]) -> Self {
        let mut child = Command::new(python::of_duckdb())
            .args([SERVER.into(), fixture(&format!("{certificate}.pem")), fixture(&format!("{certificate}.key"))])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python of the tests starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap_or_else(|_| panic!("no port: {line}")) }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

impl Drop for TlsApi {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
