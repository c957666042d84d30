//! The settings file: its keys, their defaults, and what it says of how the API is reached.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{ConfigError, invalid, operating, path, polling, profiles, reconciling};
use crate::{
    api::{Connection, DEFAULT_BASE_URL},
    diff::QUARANTINE_SHARE_MAX,
    schema::Granularity,
};

/// The settings file that is read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "lumetrade-export.toml";

/// A whole history may be this large unless the settings say otherwise.
const BODY_MIB_MAX: u64 = 16 << 10;
/// An answer that takes longer than this will not come.
const POLL_TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The API states no limit of requests, so this is polite.
const REQUESTS_PER_SECOND: f64 = 4.0;
/// Most lists are short, and waiting for one leaves time for another; each that is long takes up memory of its own.
const POLLS_AT_ONCE: usize = 2;
/// What the API plans as its maximum.
const PAGE_SIZE: u32 = 100;

/// The settings file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub base_url: String,
    pub api_key_file: String,
    pub api_secret_file: String,
    pub api_key_command: Vec<String>,
    pub api_secret_command: Vec<String>,
    pub credentials_for: String,
    pub proxy: String,
    pub ca_file: String,
    pub requests_per_second: f64,
    pub polls_at_once: usize,
    pub poll_timeout: String,
    pub body_max_mib: u64,
    pub lake: String,
    pub partition: Granularity,
    pub resources: Vec<String>,
    pub schemas: String,
    pub naive_zone: String,
    pub quarantine_max: f64,
    pub spool: String,
    pub raw_archive: bool,
    pub personal_data: String,
    pub hmac_key_file: String,
    pub hmac_key_command: Vec<String>,
    pub hmac_key_id: String,
    pub pagination: String,
    pub page_size: u32,
    pub conditional: bool,
    pub incremental: String,
    pub lookback: String,
    pub full_poll_every: String,
    pub polling: BTreeMap<String, polling::Raw>,
    pub personal_columns: BTreeMap<String, String>,
    pub reconcile: reconciling::Raw,
    pub operate: operating::Raw,
    pub profiles: BTreeMap<String, toml::Table>,
}

/// Keys of the file. A test holds them to [`File`] and to `config/example.toml`.
pub(super) const KEYS: [&str; 35] = [
    "base_url",
    "api_key_file",
    "api_secret_file",
    "api_key_command",
    "api_secret_command",
    "credentials_for",
    "proxy",
    "ca_file",
    "requests_per_second",
    "polls_at_once",
    "poll_timeout",
    "body_max_mib",
    "lake",
    "partition",
    "resources",
    "schemas",
    "naive_zone",
    "quarantine_max",
    "spool",
    "raw_archive",
    "personal_data",
    "hmac_key_file",
    "hmac_key_command",
    "hmac_key_id",
    "pagination",
    "page_size",
    "conditional",
    "incremental",
    "lookback",
    "full_poll_every",
    "polling",
    "personal_columns",
    "reconcile",
    "operate",
    "profiles",
];

impl Default for File {
    fn default() -> Self {
        Self {
            base_url: DEFAULT_BASE_URL.to_owned(),
            api_key_file: String::new(),
            api_secret_file: String::new(),
            api_key_command: Vec::new(),
            api_secret_command: Vec::new(),
            credentials_for: String::new(),
            proxy: String::new(),
            ca_file: String::new(),
            requests_per_second: REQUESTS_PER_SECOND,
            polls_at_once: POLLS_AT_ONCE,
            poll_timeout: "1h".to_owned(),
            body_max_mib: BODY_MIB_MAX,
            lake: "./lake".to_owned(),
            partition: Granularity::default(),
            resources: Vec::new(),
            schemas: String::new(),
            naive_zone: "UTC".to_owned(),
            quarantine_max: QUARANTINE_SHARE_MAX,
            spool: String::new(),
            raw_archive: false,
            personal_data: "drop".to_owned(),
            hmac_key_file: String::new(),
            hmac_key_command: Vec::new(),
            hmac_key_id: "1".to_owned(),
            pagination: "none".to_owned(),
            page_size: PAGE_SIZE,
            conditional: false,
            incremental: "none".to_owned(),
            lookback: "7d".to_owned(),
            full_poll_every: "1d".to_owned(),
            polling: BTreeMap::new(),
            personal_columns: BTreeMap::new(),
            reconcile: reconciling::Raw::default(),
            operate: operating::Raw::default(),
            profiles: BTreeMap::new(),
        }
    }
}

impl File {
    /// What is in the settings file, of each profile with its name.
    pub(super) fn load(named: Option<&Path>) -> Result<Vec<(Option<String>, Self)>, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => profiles::files(path, &text),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(vec![(None, Self::default())])
            }
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let malformed = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            ConfigError::Malformed { path: path.to_owned(), problem: format!("line {line}: {}", told(&error)) }
        };
        let table: toml::Table = text.parse().map_err(malformed)?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let nearest = nearest(key, KEYS);
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key: key.clone(), nearest });
        }
        toml::from_str(text).map_err(malformed)
    }

    pub(super) fn polling_of_all(&self) -> polling::Raw {
        polling::Raw {
            pagination: Some(self.pagination.clone()),
            page_size: Some(self.page_size),
            conditional: Some(self.conditional),
            incremental: Some(self.incremental.clone()),
            lookback: Some(self.lookback.clone()),
            full_poll_every: Some(self.full_poll_every.clone()),
        }
    }

    /// How the API is reached, at another base URL if one is given.
    pub(super) fn connection(&self, base_url: Option<String>) -> Result<Connection, ConfigError> {
        let requests_per_second = self.requests_per_second;
        if !(0.001..=1000.0).contains(&requests_per_second) {
            let problem = format!("{requests_per_second} is no number of requests between 0.001 and 1000");
            return Err(ConfigError::Invalid { setting: "requests_per_second", problem });
        }
        let poll_timeout =
            humantime::parse_duration(&self.poll_timeout).map_err(|error| invalid("poll_timeout", &error))?;
        if poll_timeout.is_zero() || poll_timeout > POLL_TIMEOUT_MAX {
            let problem = format!("{} is not between no time and 30 days", self.poll_timeout);
            return Err(ConfigError::Invalid { setting: "poll_timeout", problem });
        }
        let bytes_max = self.body_max_mib.checked_mul(1 << 20).filter(|bytes| *bytes > 0);
        let too_large = || ConfigError::Invalid {
            setting: "body_max_mib",
            problem: format!("{} is no size in mebibytes", self.body_max_mib),
        };
        let read = |path: PathBuf| std::fs::read(&path).map_err(|source| ConfigError::Unreadable { path, source });
        Ok(Connection {
            base_url: base_url.as_ref().unwrap_or(&self.base_url).parse()?,
            proxy: match self.proxy.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|error| invalid("proxy", &error))?),
            },
            authorities: path(&self.ca_file).map(read).transpose()?,
            requests_per_second,
            body_bytes_max: bytes_max.ok_or_else(too_large)?,
            poll_timeout,
        })
    }
}

/// What is wrong, without the line itself and the value found, which may be a secret.
pub(super) fn told(error: &toml::de::Error) -> String {
    match error.message().rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => error.message().to_owned(),
    }
}

/// The name that was meant, if one is like it.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let alike = known.into_iter().map(|known| (strsim::jaro(known, name), known)).filter(|(like, _)| *like > 0.7);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known.to_owned())
}
