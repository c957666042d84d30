//! A lake's bucket: where `s3://bucket/prefix` is, and how requests to it are made.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
    prefix::PrefixStore,
};
use secrecy::{ExposeSecret, SecretString};

use super::wire::Wire;

/// Time to connect to the store.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one request. The largest object written whole passes in it at half a megabyte a second.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Retries of a request that the store's client makes by itself, within [`RETRY_TIMEOUT`].
const RETRIES_MAX: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The variables that are for the wire: to connect, and for one request.
const TIMEOUTS: [&str; 2] = ["AWS_CONNECT_TIMEOUT", "AWS_TIMEOUT"];

/// What the environment says of S3. Values do not print.
#[derive(Clone, Default)]
pub struct S3Options(BTreeMap<&'static str, SecretString>);

impl S3Options {
    /// The variables that count: those of Amazon's own tools, and the few that other servers take. None of them can turn
    /// off the verification of certificates, or the conditions that commits rely upon.
    pub const VARIABLES: [&'static str; 21] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_ALLOW_HTTP",
        "AWS_CONNECT_TIMEOUT",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_STS",
        "AWS_REGION",
        "AWS_REQUEST_PAYER",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SERVER_SIDE_ENCRYPTION",
        "AWS_SESSION_TOKEN",
        "AWS_SSE_KMS_KEY_ID",
        "AWS_TIMEOUT",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];

    /// Reads all variables by name.
    pub fn read(mut variable: impl FnMut(&'static str) -> Option<String>) -> Self {
        let found = Self::VARIABLES.into_iter().filter_map(|name| Some((name, SecretString::from(variable(name)?))));
        Self(found.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(ExposeSecret::expose_secret)
    }

    fn timeout(&self, name: &str) -> Result<Option<Duration>, String> {
        let duration = |text| humantime::parse_duration(text).map_err(|error| format!("{name}: {error}"));
        self.get(name).map(duration).transpose()
    }

    fn endpoint(&self) -> Option<&str> {
        self.get("AWS_ENDPOINT_URL_S3").or_else(|| self.get("AWS_ENDPOINT_URL"))
    }
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Opens `bucket/prefix`. Says what is wrong with the settings if it cannot; nothing is sent.
pub(super) fn open(bucket_and_prefix: &str, options: &S3Options) -> Result<Arc<dyn ObjectStore>, String> {
    let (bucket, prefix) = bucket_and_prefix.split_once('/').unwrap_or((bucket_and_prefix, ""));
    if bucket.is_empty() {
        return Err("it names no bucket".to_owned());
    }
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| error.to_string())?;
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retries());
    for (name, value) in &options.0 {
        if TIMEOUTS.contains(name) {
            continue;
        }
        let key: AmazonS3ConfigKey = name.to_ascii_lowercase().parse().map_err(|_| format!("{name} means nothing"))?;
        builder = builder.with_config(key, value.expose_secret());
    }
    if options.endpoint().is_some_and(is_loopback) {
        builder = builder.with_allow_http(true);
    }
    let connector = Wire {
        connect_timeout: options.timeout(TIMEOUTS[0])?.unwrap_or(CONNECT_TIMEOUT),
        request_timeout: options.timeout(TIMEOUTS[1])?.unwrap_or(REQUEST_TIMEOUT),
    };
    // An error of the builder may quote a value, but only one that is no secret: a flag, a time, a URL.
    let bucket = builder.with_http_connector(connector).build().map_err(|error| error.to_string())?;
    Ok(if prefix.as_ref().is_empty() { Arc::new(bucket) } else { Arc::new(PrefixStore::new(bucket, prefix)) })
}

fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
        backoff: BackoffConfig { max_backoff: RETRY_PAUSE_MAX, ..BackoffConfig::default() },
    }
}

/// Whether a URL stays on this machine, so that nobody listens in on plain `http`.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    let is_local = |ip: std::net::IpAddr| ip.is_loopback();
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> S3Options {
        S3Options::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn every_variable_means_something() {
        for name in S3Options::VARIABLES {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
            assert!(key.is_ok() || TIMEOUTS.contains(&name), "{name}");
        }
        assert!(TIMEOUTS.iter().all(|name| S3Options::VARIABLES.contains(name)));
    }

    #[test]
    fn options_do_not_print_what_they_hold() {
        let options = options(&[("AWS_SECRET_ACCESS_KEY", "canary"), ("AWS_SESSION_TOKEN", "canary")]);
        let printed = format!("{options:?}");
        assert!(printed.contains("AWS_SESSION_TOKEN") && !printed.contains("canary"), "{printed}");
    }

    #[test]
    fn a_location_or_a_variable_that_makes_no_sense_is_refused_with_a_reason() {
        let rows = [
            ("", &[][..], "names no bucket"),
            ("bucket/a//b", &[], "empty path segment"),
            ("bucket", &[("AWS_TIMEOUT", "soon")], "AWS_TIMEOUT"),
            ("bucket", &[("AWS_ACCESS_KEY_ID", "canary-id")], "SecretAccessKey"),
        ];
        for (location, variables, reason) in rows {
            let error = open(location, &options(variables)).unwrap_err();
            assert!(error.contains(reason) && !error.contains("canary"), "{location}: {error}");
        }
        assert!(open("bucket/a/b/", &options(&[])).is_ok());
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for local in ["http://127.0.0.1:9000", "http://localhost/", "http://lake.localhost:80", "http://[::1]:9000"] {
            assert!(is_loopback(local), "{local}");
        }
        for remote in ["http://10.0.0.1", "http://127.0.0.1.evil.example", "http://localhost.evil.example", ""] {
            assert!(!is_loopback(remote), "{remote}");
        }
    }
}
