//! Settings: from flags, the environment and a file, into types that need no further checking.
//!
//! ```text
//! flag ▷ environment ▷ file ▷ default ──▶ Config
//! ```
//!
//! The only reader of the environment. An unknown key is an error that names the nearest known one; a credential comes
//! from the environment, from a file that nobody else can read, or from a command, and never from a flag. Every secret is
//! registered to be masked when it is read.

mod handover;
mod operating;
mod personal;
mod polling;
mod profiles;
mod reconciling;
mod secret;

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;

pub use self::operating::{Operating, WebhookForm};
pub(crate) use self::polling::has_windows;
pub use self::polling::{Polling, Window};
pub use self::reconciling::{Basis, Reconciling, TradeAmount};
use self::{
    personal::PersonalData,
    profiles::{Profile, Profiles},
    secret::Source,
};
use crate::{
    api::{Connection, Credentials, DEFAULT_BASE_URL, InvalidBaseUrl},
    decode::Zone,
    diff::{Limits, QUARANTINE_MIN, QUARANTINE_SHARE_MAX},
    lake::S3Options,
    redact,
    schema::{Granularity, Resource, SchemaError, Schemas},
};

/// The settings file that is read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "lumetrade-export.toml";

/// What the flags say; `None` and empty where they say nothing.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--base-url`
    pub base_url: Option<String>,
    /// `--lake`
    pub lake: Option<String>,
    /// `--schemas`
    pub schemas: Option<PathBuf>,
    /// `--resource`, as often as given
    pub resources: Vec<String>,
    /// `--accept-removals`
    pub accept_removals: bool,
    /// `--profile`, as often as given
    pub profiles: Vec<String>,
}

/// Everything that can be set, as checked types.
#[derive(Debug, Clone)]
pub struct Config {
    /// The profile whose settings these are, where the file has profiles.
    pub profile: Option<String>,
    /// How the API is reached.
    pub connection: Connection,
    /// Where the lake is.
    pub lake: String,
    /// How to get there, if that is S3.
    pub s3: S3Options,
    /// How a new lake files its records.
    pub granularity: Granularity,
    /// The resources to sync, in the order in which they are polled.
    pub resources: Vec<Resource>,
    /// Whether these are all that the schemas describe.
    pub all_resources: bool,
    /// The zone of times without one.
    pub naive_zone: Zone,
    /// What the guards allow.
    pub limits: Limits,
    /// Whether what polls are answered with is kept.
    pub raw_archive: bool,
    /// How each resource is polled, by its name.
    pub polling: BTreeMap<String, Polling>,
    /// Resources that are synced at the same time, at most.
    pub polls_at_once: usize,
    /// What the books are reckoned by.
    pub reconciling: Reconciling,
    /// What is told of runs.
    pub operating: Operating,
    /// Folder for objects in the making.
    pub spool: PathBuf,
    credentials_for: String,
    api_key: Source,
    api_secret: Source,
    webhook_url: Source,
    otlp_headers: Source,
    profiles: Profiles,
}

/// Why the settings cannot be used. Credentials are never part of a message.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{path}: {}", plain(problem))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        problem: String,
    },
    /// The file has a key that means nothing.
    #[error("{path}: `{}` is no setting{}", plain(key), nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// A key that is like it.
        nearest: Option<String>,
    },
    /// A value is not of the form expected.
    #[error("`{setting}`: {}", plain(problem))]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The base URL is not one that credentials may be sent to.
    #[error(transparent)]
    BaseUrl(#[from] InvalidBaseUrl),
    /// A schema cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A credential is nowhere to be found.
    #[error("no credential: set {variable}, or name a file with `{setting}`")]
    NoCredential {
        /// The environment variable.
        variable: String,
        /// The setting of the file.
        setting: &'static str,
    },
    /// Two profiles are one entity.
    #[error("the API key is that of profile `{other}` too: what it lists would be in the lake twice")]
    SharedKey {
        /// The other profile.
        other: String,
    },
    /// There is one lake to a command, and several profiles.
    #[error("this is of one profile; name it with --profile: {}", names.join(", "))]
    OneProfile {
        /// The profiles.
        names: Vec<String>,
    },
    /// A profile's settings cannot be used.
    #[error("profile `{name}`: {problem}")]
    OfProfile {
        /// The profile.
        name: String,
        /// Why.
        problem: Box<ConfigError>,
    },
    /// The credentials are for another host.
    #[error("the credentials are for {meant} (`credentials_for`), and the base URL is at {host}")]
    OtherHost {
        /// The host that they are for.
        meant: String,
        /// The base URL's.
        host: String,
    },
    /// What should give a secret does not.
    #[error("no secret from {from}: {problem}")]
    NoSecret {
        /// A file or a command.
        from: String,
        /// What happened.
        problem: String,
    },
    /// A secret's file is another's.
    #[error("{path} belongs to another user ({owner}); secrets are read from one's own files")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// A credential's file can be read by others.
    #[error("{path} can be read by others (mode {mode:04o}); make it 0600")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// The environment, as far as it concerns us. No `Debug`: it holds the credentials.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    temporary: PathBuf,
    /// Whether a terminal may be coloured: `NO_COLOR`, `CLICOLOR=0` and a terminal that can do nothing ask for plain text.
    pub colors: bool,
    /// Whether there may be a person at the terminal, which can do what terminals do.
    pub is_watched: bool,
}
const API_KEY: &str = "LUMETRADE_API_KEY";
const API_SECRET: &str = "LUMETRADE_API_SECRET";
const BASE_URL: &str = "LUMETRADE_BASE_URL";
const LAKE: &str = "LUMETRADE_LAKE";
const HMAC_KEY: &str = "LUMETRADE_HMAC_KEY";
const PERSONAL_DATA: &str = "LUMETRADE_PERSONAL_DATA";
const THREADS: &str = "LUMETRADE_THREADS";
const WEBHOOK_URL: &str = "LUMETRADE_WEBHOOK_URL";
const OTLP_HEADERS: &str = "LUMETRADE_OTLP_HEADERS";
const OURS: [&str; 9] =
    [API_KEY, API_SECRET, BASE_URL, HMAC_KEY, LAKE, OTLP_HEADERS, PERSONAL_DATA, THREADS, WEBHOOK_URL];

/// Variables of S3 that hold secrets.
const S3_SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// Variables that do not stay in the environment.
const SECRETS: [&str; 7] = [API_KEY, API_SECRET, HMAC_KEY, OTLP_HEADERS, WEBHOOK_URL, S3_SECRETS[0], S3_SECRETS[1]];

/// Whether a variable does not stay in the environment: one of these, or a credential of a profile.
fn is_secret(name: &str) -> bool {
    let of_profile = |variable| name.strip_prefix(variable).is_some_and(|rest| rest.starts_with('_'));
    SECRETS.contains(&name) || [API_KEY, API_SECRET].into_iter().any(of_profile)
}

/// A whole history may be this large unless the settings say otherwise.
const BODY_MIB_MAX: u64 = 16 << 10;
/// An answer that takes longer than this will not come.
const POLL_TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The API states no limit of requests, so this is polite.
const REQUESTS_PER_SECOND: f64 = 4.0;

/// Most lists are short, and waiting for one leaves time for another; each that is long takes up memory of its own.
const POLLS_AT_ONCE: usize = 2;
/// There are not so many resources.
const POLLS_AT_ONCE_MAX: usize = 64;

/// What the API plans as its maximum.
const PAGE_SIZE: u32 = 100;

/// More threads than this are a mistake.
const THREADS_MAX: usize = 1024;

impl Environment {
    /// Reads the process's environment and takes the secrets out of it. Variables that are empty count as not set.
    ///
    /// To be called first of all: if there are secrets, the program begins again, in the same process.
    ///
    /// # Errors
    ///
    /// What the operating system says if it cannot begin again.
    pub fn take() -> std::io::Result<Self> {
        let secrets = handover::take(is_secret)?;
        let others = OURS.into_iter().chain(S3Options::VARIABLES);
        let others = others.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)));
        // What is not UTF-8 is kept in a form that names nothing that is there, and not passed over.
        let text = |(name, value): (_, std::ffi::OsString)| (name, value.to_string_lossy().into_owned());
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_capable = is_set("TERM") && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb");
        Ok(Self {
            variables: others.chain(secrets).map(text).filter(|(_, value)| !value.is_empty()).collect(),
            temporary: std::env::temp_dir(),
            colors: is_capable && !is_set("NO_COLOR") && std::env::var_os("CLICOLOR").is_none_or(|value| value != "0"),
            is_watched: is_capable && !is_set("CI"),
        })
    }

    /// With these variables alone.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&'static str, &str)]) -> Self {
        Self {
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            temporary: std::env::temp_dir(),
            colors: false,
            is_watched: false,
        }
    }

    /// The same with these credentials.
    #[must_use]
    pub fn with_credentials(&self, key: &str, secret: &str) -> Self {
        let mut environment = self.clone();
        environment.variables.insert(API_KEY.to_owned(), key.to_owned());
        environment.variables.insert(API_SECRET.to_owned(), secret.to_owned());
        environment
    }

    /// Threads that work, and as many again that wait for the disk; `None` leaves it to the machine.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if it is no number, or one that no machine has a use for.
    pub fn threads(&self) -> Result<Option<usize>, ConfigError> {
        let Some(text) = self.get(THREADS) else { return Ok(None) };
        match text.parse() {
            Ok(count @ 1..=THREADS_MAX) => Ok(Some(count)),
            _ => {
                let problem = format!("`{text}` is no number of threads, from 1 to {THREADS_MAX}");
                Err(ConfigError::Invalid { setting: THREADS, problem })
            }
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// The settings file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
struct File {
    base_url: String,
    api_key_file: String,
    api_secret_file: String,
    api_key_command: Vec<String>,
    api_secret_command: Vec<String>,
    credentials_for: String,
    proxy: String,
    ca_file: String,
    requests_per_second: f64,
    polls_at_once: usize,
    poll_timeout: String,
    body_max_mib: u64,
    lake: String,
    partition: Granularity,
    resources: Vec<String>,
    schemas: String,
    naive_zone: String,
    quarantine_max: f64,
    spool: String,
    raw_archive: bool,
    personal_data: String,
    hmac_key_file: String,
    hmac_key_command: Vec<String>,
    hmac_key_id: String,
    pagination: String,
    page_size: u32,
    conditional: bool,
    incremental: String,
    lookback: String,
    full_poll_every: String,
    polling: BTreeMap<String, polling::Raw>,
    personal_columns: BTreeMap<String, String>,
    reconcile: reconciling::Raw,
    operate: operating::Raw,
    profiles: BTreeMap<String, toml::Table>,
}

/// Keys of the file. A test holds them to [`File`] and to `config/example.toml`.
const KEYS: [&str; 35] = [
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

impl Config {
    /// Puts the settings together and checks them: those of one lake.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first setting that cannot be used; [`ConfigError::OneProfile`] if there are several profiles and
    /// the flags do not name one of them.
    pub fn load(flags: Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let mut configs = Self::load_all(flags, environment)?;
        match configs.pop() {
            Some(config) if configs.is_empty() => Ok(config),
            _ => {
                let names = configs.first().map(|config| config.profile_names().map(str::to_owned).collect());
                Err(ConfigError::OneProfile { names: names.unwrap_or_default() })
            }
        }
    }

    /// The same for every profile, or for those that the flags name; without profiles, the settings alone. There is always one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first setting that cannot be used, of whichever profile.
    pub fn load_all(flags: Flags, environment: &Environment) -> Result<Vec<Self>, ConfigError> {
        let files = File::load(flags.config.as_deref())?;
        let (names, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        profiles::check_names(&flags.profiles, &names)?;
        let resolve = |(name, file): (Option<String>, File)| {
            Self::resolve(flags.clone(), environment, file, name.clone()).map_err(|problem| match name {
                Some(name) => ConfigError::OfProfile { name, problem: Box::new(problem) },
                None => problem,
            })
        };
        let mut configs = names.into_iter().zip(files).map(resolve).collect::<Result<Vec<_>, _>>()?;
        let profile = |config: &Self| Some(Profile::new(config.profile.clone()?, config.api_key.clone()));
        let profiles: Profiles = configs.iter().filter_map(profile).collect();
        let is_asked = |config: &Self| {
            flags.profiles.is_empty() || config.profile.as_ref().is_some_and(|name| flags.profiles.contains(name))
        };
        configs.retain(is_asked);
        configs.iter_mut().for_each(|config| config.profiles = profiles.clone());
        Ok(configs)
    }

    /// The names of all profiles of the settings, whichever of them the flags have named.
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// The same without a settings file.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn without_file(flags: Flags, environment: &Environment) -> Result<Self, ConfigError> {
        Self::resolve(flags, environment, File::default(), None)
    }

    fn resolve(
        flags: Flags,
        environment: &Environment,
        file: File,
        profile: Option<String>,
    ) -> Result<Self, ConfigError> {
        for secret in S3_SECRETS.into_iter().filter_map(|name| environment.get(name)) {
            redact::register(&secret.into());
        }
        let connection = file.connection(flags.base_url.or_else(|| environment.get(BASE_URL)))?;
        let schemas = match flags.schemas.or_else(|| path(&file.schemas)) {
            Some(folder) => Schemas::builtin()?.with_overrides(&folder)?,
            None => Schemas::builtin()?,
        };
        let polling = polling::of_all(&schemas, &file.polling_of_all(), &file.polling)?;
        let reconciling = file.reconcile.parse(&schemas)?;
        let secret = |name: &str| environment.get(name).map(SecretString::from);
        let own = |variable: &str| profiles::variable(variable, profile.as_deref());
        let source = |variable: &str, setting, file: &str, command: &[String]| Source {
            variable: variable.to_owned(),
            value: secret(variable),
            setting,
            file: path(file),
            command: command.to_vec(),
            command_secrets: S3_SECRETS.into_iter().filter_map(|name| Some((name, secret(name)?))).collect(),
        };
        let hmac_key = source(HMAC_KEY, "hmac_key_file", &file.hmac_key_file, &file.hmac_key_command);
        let personal_data = PersonalData {
            treatment: &environment.get(PERSONAL_DATA).unwrap_or(file.personal_data),
            columns: &file.personal_columns,
            key: &hmac_key,
            key_id: &file.hmac_key_id,
            key_read: OnceCell::new(),
        };
        let schemas = personal_data.applied_to(schemas)?;
        let names = if flags.resources.is_empty() { file.resources } else { flags.resources };
        Ok(Self {
            connection,
            lake: profiles::lake(
                &flags.lake.or_else(|| environment.get(LAKE)).unwrap_or(file.lake),
                profile.as_deref(),
            ),
            s3: S3Options::read(|name| environment.get(name)),
            granularity: file.partition,
            raw_archive: file.raw_archive,
            polling,
            polls_at_once: polls_at_once(file.polls_at_once)?,
            reconciling,
            operating: file.operate.parse()?,
            resources: choose(&schemas, &names)?,
            all_resources: names.is_empty(),
            naive_zone: file.naive_zone.parse().map_err(|error| invalid("naive_zone", &error))?,
            limits: Limits {
                accept_removals: flags.accept_removals,
                paged: false,
                quarantine_share_max: share(file.quarantine_max)?,
                quarantine_min: QUARANTINE_MIN,
            },
            spool: spool(&file.spool, environment)?,
            credentials_for: file.credentials_for,
            api_key: source(&own(API_KEY), "api_key_file", &file.api_key_file, &file.api_key_command),
            api_secret: source(&own(API_SECRET), "api_secret_file", &file.api_secret_file, &file.api_secret_command),
            webhook_url: source(
                WEBHOOK_URL,
                "operate.webhook_url_file",
                &file.operate.webhook_url_file,
                &file.operate.webhook_url_command,
            ),
            otlp_headers: source(
                OTLP_HEADERS,
                "operate.otlp_headers_file",
                &file.operate.otlp_headers_file,
                &file.operate.otlp_headers_command,
            ),
            profiles: Profiles::from([]),
            profile,
        })
    }

    /// The credentials, wherever they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OtherHost`] if they are not for the API at the base URL, [`ConfigError::SharedKey`] if another profile has
    /// the same key, and where one cannot be read
    /// [`ConfigError::NoCredential`], [`ConfigError::NoSecret`], [`ConfigError::Exposed`], [`ConfigError::Foreign`] or
    /// [`ConfigError::Unreadable`].
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let (meant, host) = (&self.credentials_for, self.connection.base_url.host());
        if !meant.is_empty() && meant != host {
            return Err(ConfigError::OtherHost { meant: meant.clone(), host: host.to_owned() });
        }
        let credentials = Credentials { key: self.api_key.read()?, secret: self.api_secret.read()? };
        if let Some(name) = &self.profile {
            profiles::refuse_shared(&credentials.key, name, &self.profiles)?;
        }
        Ok(credentials)
    }

    /// Whom to tell of failures, if anybody. The URL is a secret: who knows it can write there.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, as [`credentials`](Self::credentials).
    pub fn webhook_url(&self) -> Result<Option<SecretString>, ConfigError> {
        self.webhook_url.is_set().then(|| self.webhook_url.read()).transpose()
    }

    /// What is sent beside OpenTelemetry's metrics and traces, if anything, as in `name=value,name=value`.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, as [`credentials`](Self::credentials).
    pub fn otlp_headers(&self) -> Result<Option<SecretString>, ConfigError> {
        self.otlp_headers.is_set().then(|| self.otlp_headers.read()).transpose()
    }
}

impl File {
    /// What is in the settings file, of each profile with its name.
    fn load(named: Option<&Path>) -> Result<Vec<(Option<String>, Self)>, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => profiles::files(path, &text),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(vec![(None, Self::default())])
            }
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
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

    fn polling_of_all(&self) -> polling::Raw {
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
    fn connection(&self, base_url: Option<String>) -> Result<Connection, ConfigError> {
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
fn told(error: &toml::de::Error) -> String {
    match error.message().rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => error.message().to_owned(),
    }
}

/// The name that was meant, if one is like it.
fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let alike = known.into_iter().map(|known| (strsim::jaro(known, name), known)).filter(|(like, _)| *like > 0.7);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known.to_owned())
}

/// The resources of these names in their order, or all in the order of the schemas.
fn choose(schemas: &Schemas, names: &[String]) -> Result<Vec<Resource>, ConfigError> {
    if let Some(unknown) = names.iter().find(|name| schemas.get(name).is_none()) {
        let known: Vec<_> = schemas.iter().map(|resource| resource.name.as_str()).collect();
        let problem = format!("there is no resource `{unknown}`; there are {}", known.join(", "));
        return Err(ConfigError::Invalid { setting: "resources", problem });
    }
    if names.is_empty() {
        return Ok(schemas.iter().cloned().collect());
    }
    let first = |(nth, name): &(usize, &String)| !names[..*nth].contains(name);
    Ok(names.iter().enumerate().filter(first).filter_map(|(_, name)| schemas.get(name).cloned()).collect())
}

fn share(value: f64) -> Result<f64, ConfigError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::Invalid { setting: "quarantine_max", problem: format!("{value} is no share between 0 and 1") })
    }
}

fn polls_at_once(count: usize) -> Result<usize, ConfigError> {
    if (1..=POLLS_AT_ONCE_MAX).contains(&count) {
        return Ok(count);
    }
    let problem = format!("{count} is no number of resources from 1 to {POLLS_AT_ONCE_MAX}");
    Err(ConfigError::Invalid { setting: "polls_at_once", problem })
}

fn spool(folder: &str, environment: &Environment) -> Result<PathBuf, ConfigError> {
    let folder = path(folder).unwrap_or_else(|| environment.temporary.clone());
    if folder.is_dir() {
        return Ok(folder);
    }
    let problem = format!("{} is no folder; make it, or name another", folder.display());
    Err(ConfigError::Invalid { setting: "spool", problem })
}

fn invalid(setting: &'static str, error: &dyn std::error::Error) -> ConfigError {
    ConfigError::Invalid { setting, problem: error.to_string() }
}

/// A text without what could steer a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{schema::Treatment, tests::fuzz::Target};

    const EXAMPLE: &str = include_str!("../../config/example.toml");

    fn parse(text: &str) -> Result<File, ConfigError> {
        File::parse(Path::new("x.toml"), text)
    }

    #[test]
    fn the_example_holds_every_setting_with_its_default() {
        assert_eq!(parse(EXAMPLE).unwrap(), File::default());
        let table: toml::Table = EXAMPLE.parse().unwrap();
        let mut keys: Vec<_> = table.keys().map(String::as_str).collect();
        let mut known = KEYS;
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }

    #[test]
    fn a_mistyped_key_names_the_one_that_was_meant() {
        let message = parse("laek = \"x\"").unwrap_err().to_string();
        assert_eq!(message, "x.toml: `laek` is no setting; did you mean `lake`?");
        assert!(!parse("zzz = 1").unwrap_err().to_string().contains("did you mean"));
        assert!(parse("lake = 1").unwrap_err().to_string().contains("expected a string"));
        let message = parse("lake = \"x\"\nbase_url = \"https://user:canary@host\n").unwrap_err().to_string();
        assert!(message.contains("line 2") && !message.contains("canary"), "{message}");
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        std::fs::write(&file, "lake = \"from-file\"\n").unwrap();
        let load = |flag: Option<&str>, variables: &[(&'static str, &str)]| {
            let flags = Flags { config: Some(file.clone()), lake: flag.map(str::to_owned), ..Flags::default() };
            Config::load(flags, &Environment::of(variables)).unwrap().lake
        };
        assert_eq!(load(None, &[]), "from-file");
        assert_eq!(load(None, &[(LAKE, "from-environment")]), "from-environment");
        assert_eq!(load(Some("from-flag"), &[(LAKE, "from-environment")]), "from-flag");
    }

    #[test]
    fn threads_are_counted_from_one_and_left_to_the_machine_if_not_set() {
        let threads = |text: &str| Environment::of(&[(THREADS, text)]).threads();
        assert_eq!(Environment::of(&[]).threads().unwrap(), None);
        assert_eq!(threads("1").unwrap(), Some(1));
        for text in ["0", "-1", "1025", "two", "1.5"] {
            let message = threads(text).unwrap_err().to_string();
            assert!(message.contains("`LUMETRADE_THREADS`") && message.contains(text), "{message}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let rows = [
            ("naive_zone = \"Mars\"", "`naive_zone`: `Mars` is no zone"),
            ("quarantine_max = 2.0", "`quarantine_max`: 2 is no share"),
            ("resources = [\"deposit\"]", "there is no resource `deposit`"),
            ("base_url = \"http://api.lumetrade.com\"", "must begin with https://"),
            ("schemas = \"/nonexistent\"", "cannot read /nonexistent"),
            ("partition = \"week\"", "unknown variant `week`"),
            ("spool = \"/nonexistent\"", "`spool`: /nonexistent is no folder"),
            ("requests_per_second = 0.0", "`requests_per_second`: 0 is no number of requests"),
            ("polls_at_once = 0", "`polls_at_once`: 0 is no number of resources"),
            ("[operate]\nmetrics_listen = \"9184\"", "`operate.metrics_listen`: `9184` is no address with a port"),
            ("[operate]\nruns_kept = 10001", "`operate.runs_kept`: 10001 is more than 10000"),
            ("[operate]\nwebhook_form = \"xml\"", "unknown variant `xml`"),
            ("requests_per_second = nan", "`requests_per_second`: NaN is no number of requests"),
            ("poll_timeout = \"soon\"", "`poll_timeout`: expected number"),
            ("poll_timeout = \"0s\"", "`poll_timeout`: 0s is not between"),
            ("poll_timeout = \"1000years\"", "`poll_timeout`: 1000years is not between"),
            ("body_max_mib = 0", "`body_max_mib`: 0 is no size"),
            ("body_max_mib = 9223372036854775807", "`body_max_mib`: 9223372036854775807 is no size"),
            ("proxy = \"http://user:canary@proxy\"", "`proxy`: a proxy is http://host:port"),
            ("ca_file = \"/nonexistent\"", "cannot read /nonexistent"),
            ("base_url = \"https://169.254.169.254\"", "address of this link alone"),
            ("personal_data = \"mask\"", "`personal_data`: `mask` is none of"),
            (
                "[personal_columns]\n\"trades.status\" = \"drop\"",
                "`trades.status` is no column of personal data; there are wal",
            ),
            ("[personal_columns]\n\"wallets.deposit_details\" = \"x\"", "`personal_columns`: `x` is none of"),
            ("pagination = \"cursor\"", "`pagination`: `cursor` is none of"),
            ("page_size = 0", "`page_size`: 0 is no number of records"),
            ("incremental = \"yes\"", "`incremental`: `yes` is none of"),
            ("lookback = \"-1d\"", "`lookback`: expected number"),
            ("[polling.trade]\nconditional = true", "`polling`: there is no resource `trade`"),
            ("[polling.trades]\npages = 1", "unknown field `pages`"),
            ("pagination = \"page\"\nconditional = true", "`conditional`: accounts is read page by page"),
            ("[reconcile]\ntolerance = \"-1\"", "`reconcile.tolerance`: `-1` is less than nothing"),
            ("[reconcile]\ntolerance = \"a cent\"", "`reconcile.tolerance`: `a cent` is no amount"),
            ("[reconcile]\ndeposit_amount = \"whole\"", "unknown variant `whole`"),
            ("[reconcile]\nfees = true", "unknown field `fees`"),
            ("[reconcile.opening]\nZAR = \"1e3\"", "`reconcile.opening`: `1e3` is no amount"),
            ("[reconcile.opening]\nZAR = 0.1", "expected a string"),
            (
                "[reconcile]\ntrade_statuses = [\"FAILED\"]",
                "`reconcile.trade_statuses`: trades have no status `FAILED`",
            ),
            ("personal_data = \"hmac\"", "set LUMETRADE_HMAC_KEY, or name a file with `hmac_key_file`"),
            ("personal_data = \"hmac\"\nhmac_key_id = \"a b\"", "`hmac_key_id`: `a b` is no name of a key"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        for (text, expected) in rows {
            std::fs::write(&file, text).unwrap();
            let flags = Flags { config: Some(file.clone()), ..Flags::default() };
            let message = Config::load(flags, &Environment::of(&[])).unwrap_err().to_string();
            assert!(message.contains(expected) && !message.contains("canary"), "{text}: {message}");
        }
    }

    #[test]
    fn personal_data_is_dropped_unless_the_settings_say_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        let load = |text: &str, variables: &[(&'static str, &str)]| {
            std::fs::write(&file, text).unwrap();
            let flags = Flags { config: Some(file.clone()), ..Flags::default() };
            let config = Config::load(flags, &Environment::of(variables)).unwrap();
            let columns = config.resources.into_iter().flat_map(|resource| resource.columns);
            columns.filter_map(|column| Some((column.name, column.personal?))).collect::<BTreeMap<_, _>>()
        };
        let dropped = load("", &[]);
        assert_eq!(dropped.len(), 4);
        assert!(dropped.values().all(|treatment| *treatment == Treatment::Drop));
        let one = load("[personal_columns]\n\"beneficiaries.nickname\" = \"keep\"", &[]);
        assert_eq!((&one["nickname"], &one["deposit_details"]), (&Treatment::Keep, &Treatment::Drop));
        let kept = load("", &[(PERSONAL_DATA, "keep")]);
        assert!(kept.values().all(|treatment| *treatment == Treatment::Keep));
        let hashed = load("personal_data = \"hmac\"\nhmac_key_id = \"2026\"", &[(HMAC_KEY, "canary")]);
        assert!(hashed.values().all(|treatment| matches!(treatment, Treatment::Hmac(key) if key.id() == "2026")));
    }

    #[test]
    fn resources_are_polled_in_the_order_in_which_they_are_named_each_once() {
        let named = |names: &[&str]| {
            let flags = Flags { resources: names.iter().map(|name| (*name).to_owned()).collect(), ..Flags::default() };
            let resources = Config::without_file(flags, &Environment::of(&[])).unwrap().resources;
            resources.into_iter().map(|resource| resource.name).collect::<Vec<_>>()
        };
        assert_eq!(named(&["trades", "accounts", "trades"]), ["trades", "accounts"]);
        assert_eq!(named(&[])[..2], ["accounts", "wallets"]);
    }

    #[test]
    fn one_resource_may_be_polled_otherwise_than_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        let settings = "pagination = \"page\"\nincremental = \"window\"\n[polling.trades]\npagination = \"none\"\nconditional = true\nlookback = \"2h\"";
        std::fs::write(&file, settings).unwrap();
        let polling =
            Config::load(Flags { config: Some(file), ..Flags::default() }, &Environment::of(&[])).unwrap().polling;
        let day = Duration::from_secs(24 * 60 * 60);
        let window = |lookback| Some(Window { lookback, full_poll_every: day });
        let expected = Polling { page_size: None, conditional: true, window: window(day / 12) };
        assert_eq!(polling["trades"], expected);
        assert_eq!(polling["deposits"], Polling { page_size: Some(100), conditional: false, window: window(7 * day) });
        assert_eq!(polling["accounts"], Polling { page_size: Some(100), ..Polling::default() }, "it has no times");
        assert_eq!(polling["beneficiaries"].window, None, "they are few, and go");
    }

    #[test]
    fn credentials_go_to_the_host_that_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        std::fs::write(&file, "credentials_for = \"api.lumetrade.com\"").unwrap();
        let credentials = |base_url: &str| {
            let flags = Flags { config: Some(file.clone()), base_url: Some(base_url.to_owned()), ..Flags::default() };
            Config::load(flags, &Environment::of(&[(API_KEY, "k"), (API_SECRET, "s")])).unwrap().credentials()
        };
        assert!(credentials(DEFAULT_BASE_URL).is_ok());
        let message = credentials("https://api.lumetrade.com.evil.example").unwrap_err().to_string();
        assert!(message.contains("are for api.lumetrade.com (`credentials_for`)"), "{message}");
    }

    #[test]
    fn a_credential_comes_from_the_environment_or_from_a_file_that_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "canary\n").unwrap();
        let settings = folder.path().join("s.toml");
        std::fs::write(&settings, format!("api_secret_file = \"{}\"\n", secret.display())).unwrap();
        let flags = Flags { config: Some(settings), ..Flags::default() };
        let load =
            |variables: &[(&'static str, &str)]| Config::load(flags.clone(), &Environment::of(variables)).unwrap();

        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
        let message = load(&[(API_KEY, "k")]).credentials().unwrap_err().to_string();
        assert!(message.contains("mode 0640"), "{message}");

        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&secret, "\n").unwrap();
        let message = load(&[(API_KEY, "k")]).credentials().unwrap_err().to_string();
        assert!(message.contains("set LUMETRADE_API_SECRET"), "{message}");

        std::fs::write(&secret, "canary\n").unwrap();
        let config = load(&[(API_KEY, "k")]);
        assert_eq!(config.credentials().unwrap().secret.expose_secret(), "canary");
        assert!(!format!("{config:?} {:?}", config.credentials()).contains("canary"));

        let message = load(&[]).credentials().unwrap_err().to_string();
        assert!(message.contains("set LUMETRADE_API_KEY"), "{message}");
    }

    /// A file becomes settings, or an error of one line that names the file or the setting. What names files, folders and
    /// commands is left out: none of them is ours.
    #[test]
    fn the_mutants_of_the_corpus_are_settings_or_refused_by_name() {
        let words: Vec<_> = KEYS
            .iter()
            .copied()
            .chain([
                " = ",
                "\"",
                "'",
                "[",
                "]",
                "[[",
                "{",
                "}",
                "\n",
                "#",
                "\"\"\"",
                ".",
                "=",
                ",",
                "0",
                "-1",
                "nan",
                "inf",
                "1e999",
                "true",
                "\\u001b",
                "\"hmac\"",
                "\"keep\"",
                "\"drop\"",
                "\"1h\"",
                "\"https://x\"",
                "\"http://127.0.0.1:1\"",
                "\"+02:00\"",
                "[personal_columns]\n",
                "\"wallets.deposit_details\"",
                "9223372036854775808",
                "\u{1b}",
            ])
            .collect();
        Target { name: "settings", words: &words, twist: None }.run(|input| {
            let Ok(text) = std::str::from_utf8(input) else { return "no text".to_owned() };
            let (text_only, mut named) = (parse(text), "x.toml");
            let loaded = text_only.and_then(|file| {
                named = "`";
                let none = String::new;
                let file = File {
                    api_key_file: none(),
                    api_key_command: Vec::new(),
                    api_secret_file: none(),
                    api_secret_command: Vec::new(),
                    ca_file: none(),
                    schemas: none(),
                    spool: none(),
                    hmac_key_file: none(),
                    hmac_key_command: Vec::new(),
                    ..file
                };
                Config::resolve(Flags::default(), &Environment::of(&[(HMAC_KEY, "canary")]), file, None)
            });
            let Err(error) = loaded else { return "settings".to_owned() };
            let message = error.to_string();
            let is_base_url = matches!(error, ConfigError::BaseUrl(_));
            assert!(message.contains(named) || is_base_url, "{message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
            assert!(message.chars().count() < 1000 + text.len(), "{message}");
            if matches!(error, ConfigError::UnknownKey { .. }) {
                return "unknown".to_owned();
            }
            // What kind of error it is, whatever it names.
            message.chars().filter(|character| character.is_ascii_lowercase()).take(24).collect()
        });
    }

    proptest! {
        #[test]
        fn whatever_a_file_says_its_values_are_not_repeated_where_they_may_be_secrets(
            key in proptest::sample::select(&KEYS[..]).prop_filter("of a few words", |key| *key != "partition"),
            value in "[\\[{\"']{0,2}canary[0-9]{0,4}[\\]}\"'\n=]{0,3}",
            rest in "\\PC{0,40}",
        ) {
            for text in [format!("{key} = {value}{rest}"), format!("{rest}\n{key} = {value}")] {
                if let Err(error) = parse(&text) {
                    let message = error.to_string();
                    prop_assert!(!message.contains("canary") || rest.contains("canary"), "{}: {}", text, message);
                }
            }
        }
    }
}
