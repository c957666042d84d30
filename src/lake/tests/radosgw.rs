//! A real S3 server, one for all tests of this process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde::Deserialize;

use crate::lake::{S3Options, Store};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/radosgw.py");

#[derive(Deserialize)]
struct Server {
    endpoint: String,
    region: String,
    access_key: String,
    secret_key: String,
    bucket: String,
    #[serde(skip)]
    _script: Option<Child>,
}

/// A store in the server's bucket, below `prefix`.
pub(super) fn store(prefix: &str) -> Store {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(start);
    let options = S3Options::read(|name| match name {
        "AWS_ENDPOINT_URL" => Some(server.endpoint.clone()),
        "AWS_REGION" => Some(server.region.clone()),
        "AWS_ACCESS_KEY_ID" => Some(server.access_key.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(server.secret_key.clone()),
        _ => None,
    });
    Store::open(&format!("s3://{}/{prefix}", server.bucket), &options, false).unwrap()
}

/// The server lives as long as its script's input is open: to the end of this process, however it ends.
fn start() -> Server {
    let mut script = Command::new("python3").arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server: Server = serde_json::from_str(&line).expect("the server says where it is");
    Server { _script: Some(script), ..server }
}
