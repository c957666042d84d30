//! A real S3 server, which `tests/radosgw.py` starts, and what lies in its bucket.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder};
use serde::Deserialize;

use super::{lake::Lake, program::S3Location};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/radosgw.py");

/// A server of its own.
pub struct Radosgw {
    script: Child,
    server: Server,
}

#[derive(Deserialize)]
struct Server {
    endpoint: String,
    region: String,
    access_key: String,
    secret_key: String,
    bucket: String,
}

impl Radosgw {
    pub fn start() -> Self {
        let mut command = Command::new("python3");
        let mut script = command.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let server = serde_json::from_str(&line).expect("the server says where it is");
        Self { script, server }
    }

    /// A lake below `prefix`.
    pub fn location(&self, prefix: &str) -> S3Location {
        let server = &self.server;
        let variable = |name, value: &String| (name, value.clone());
        let environment = BTreeMap::from([
            variable("AWS_ENDPOINT_URL", &server.endpoint),
            variable("AWS_REGION", &server.region),
            variable("AWS_ACCESS_KEY_ID", &server.access_key),
            variable("AWS_SECRET_ACCESS_KEY", &server.secret_key),
        ]);
        S3Location { location: format!("s3://{}/{prefix}", server.bucket), environment }
    }

    /// What DuckDB needs to read from here.
    pub fn duckdb_secret(&self) -> String {
        let Server { endpoint, region, access_key, secret_key, .. } = &self.server;
        let endpoint = endpoint.trim_start_matches("http://");
        format!(
            "CREATE SECRET (TYPE s3, PROVIDER config, KEY_ID '{access_key}', SECRET '{secret_key}', REGION '{region}', \
             ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"
        )
    }

    /// Every object below `prefix`, as files.
    pub fn lake(&self, prefix: &str) -> Lake {
        let Server { endpoint, region, access_key, secret_key, bucket } = &self.server;
        let store = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_region(region)
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .with_bucket_name(bucket)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let files = runtime.block_on(async {
            let listed: Vec<_> = store.list(Some(&prefix.into())).try_collect().await.unwrap();
            let mut files = BTreeMap::new();
            for meta in listed {
                let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
                let key = meta.location.as_ref().strip_prefix(prefix).unwrap().trim_start_matches('/').to_owned();
                files.insert(key, bytes.to_vec());
            }
            files
        });
        Lake::of(&files)
    }
}

impl Drop for Radosgw {
    fn drop(&mut self) {
        // The server ends with the input of its script.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
