//! Settings: from flags, the environment and a file, into types that need no further checking.
//!
//! ```text
//! flag ▷ environment ▷ file ▷ default ──▶ Config
//! ```
//!
//! The only reader of the environment. An unknown key is an error that names the nearest known one; a credential comes
//! from the environment, from a file that nobody else can read, or from a command, and never from a flag. Every secret is
//! registered to be masked when it is read.

mod environment;
mod error;
mod file;
mod handover;
mod operating;
mod personal;
mod polling;
mod profiles;
mod reconciling;
mod secret;

use std::{cell::OnceCell, collections::BTreeMap, path::PathBuf};

use secrecy::SecretString;

pub(crate) use self::polling::has_windows;
pub use self::{
    environment::Environment,
    error::ConfigError,
    file::DEFAULT_FILE,
    operating::{Operating, WebhookForm},
    polling::{Polling, Window},
    reconciling::{Basis, Reconciling, TradeAmount},
};
use self::{
    environment::{
        API_KEY, API_SECRET, BASE_URL, HMAC_KEY, LAKE, OTLP_HEADERS, PERSONAL_DATA, S3_SECRETS, WEBHOOK_URL,
    },
    file::File,
    personal::PersonalData,
    profiles::{Profile, Profiles},
    secret::Source,
};
use crate::{
    api::{Connection, Credentials},
    decode::Zone,
    diff::{Limits, QUARANTINE_MIN},
    lake::S3Options,
    redact,
    schema::{Granularity, Resource, Schemas},
};

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

/// There are not so many resources.
const POLLS_AT_ONCE_MAX: usize = 64;

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
                believed: None,
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

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::{file::KEYS, *};
    use crate::{api::DEFAULT_BASE_URL, schema::Treatment, tests::fuzz::Target};

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
