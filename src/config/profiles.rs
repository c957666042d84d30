//! Settings of several entities in one file: `[profiles.NAME]`, each with settings that take the place of the file's.
//!
//! ```text
//! file ──────────────┐
//!                    ├─▶ File of a profile ──▶ Config, with its lake at <lake>/source=NAME
//! [profiles.NAME] ───┘
//! ```
//!
//! Tables are merged key by key. What is the process's own, or decides where all lakes are, cannot differ. One entity's money under
//! two names would be a doubled sum, so no two profiles have the same API key.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use super::{
    ConfigError, File,
    file::{KEYS, nearest, told},
    secret::Source,
};
use crate::schema::SOURCE_COLUMN;

/// Settings that are the same for all profiles.
const COMMON: [&str; 4] = ["lake", "operate.metrics_file", "operate.metrics_listen", "profiles"];

/// Characters of a name, which is a folder, a schema of SQL and a label.
const NAME_MAX: usize = 32;

/// Names that databases have taken.
const TAKEN: [&str; 6] = ["information_schema", "main", "memory", "pg_catalog", "system", "temp"];

/// A profile's settings, as a file that has them alone; without profiles, the file itself under no name.
pub(super) fn files(path: &Path, text: &str) -> Result<Vec<(Option<String>, File)>, ConfigError> {
    let file = File::parse(path, text)?;
    if file.profiles.is_empty() {
        return Ok(vec![(None, file)]);
    }
    // It has been read once.
    let mut common: Table = text.parse().unwrap_or_default();
    common.remove("profiles");
    file.profiles.iter().map(|(name, own)| Ok((Some(name.clone()), merged(path, &common, name, own)?))).collect()
}

fn merged(path: &Path, common: &Table, name: &str, own: &Table) -> Result<File, ConfigError> {
    if !is_name(name) {
        let problem = format!(
            "`{name}` is no name of a profile: a small letter, then small letters, digits and underscores, {NAME_MAX} \
             characters at most, and not one of {}",
            TAKEN.join(", ")
        );
        return Err(ConfigError::Invalid { setting: "profiles", problem });
    }
    if let Some(key) = own.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let own_key = |key: &str| format!("profiles.{name}.{key}");
        let nearest = nearest(key, KEYS).map(|near| own_key(&near));
        return Err(ConfigError::UnknownKey { path: path.to_owned(), key: own_key(key), nearest });
    }
    if let Some(key) = COMMON.iter().find(|key| has(own, key)) {
        let problem = format!("`{key}` is the same for all profiles, and `{name}` cannot have its own");
        return Err(ConfigError::Invalid { setting: "profiles", problem });
    }
    let mut merged = common.clone();
    lay_over(&mut merged, own);
    let malformed = |error: toml::de::Error| ConfigError::Malformed {
        path: path.to_owned(),
        problem: format!("in profile `{name}`: {}", told(&error)),
    };
    merged.try_into().map_err(malformed)
}

/// The settings that are under a name, of which there may be one with a table's before it.
fn has(table: &Table, key: &str) -> bool {
    match key.split_once('.') {
        Some((outer, inner)) => table.get(outer).and_then(Value::as_table).is_some_and(|table| has(table, inner)),
        None => table.contains_key(key),
    }
}

/// Puts values in the place of others, and tables into them. A secret that is said to be elsewhere is not where it was said to be.
fn lay_over(below: &mut Table, above: &Table) {
    for key in above.keys() {
        for (one, other) in [("_file", "_command"), ("_command", "_file")] {
            if let Some(secret) = key.strip_suffix(one) {
                below.remove(&format!("{secret}{other}"));
            }
        }
    }
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            _ => drop(below.insert(key.clone(), value.clone())),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|character| matches!(character, 'a'..='z' | '0'..='9' | '_'))
        && name.len() <= NAME_MAX
        && !TAKEN.contains(&name)
}

/// The profiles that are asked for are among these.
pub(super) fn check_names(asked: &[String], names: &[Option<String>]) -> Result<(), ConfigError> {
    let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let problem = match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("there is no `{unknown}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no `{unknown}`, nor any other in the settings"),
        None => format!("there is no `{unknown}`; there are {}", known.join(", ")),
    };
    Err(ConfigError::Invalid { setting: "profiles", problem })
}

/// Where a profile's lake is.
pub(super) fn lake(lake: &str, name: Option<&str>) -> String {
    name.map_or_else(|| lake.to_owned(), |name| format!("{}/{SOURCE_COLUMN}={name}", lake.trim_end_matches('/')))
}

/// The environment variable that has a profile's own secret.
pub(super) fn variable(variable: &str, name: Option<&str>) -> String {
    name.map_or_else(|| variable.to_owned(), |name| format!("{variable}_{}", name.to_ascii_uppercase()))
}

/// A profile of the settings, and where its API key comes from.
#[derive(Debug)]
pub(super) struct Profile {
    pub name: String,
    api_key: Source,
    read: OnceLock<SecretString>,
}

/// All profiles of the settings.
pub(super) type Profiles = Arc<[Profile]>;

impl Profile {
    pub(super) fn new(name: String, api_key: Source) -> Self {
        Self { name, api_key, read: OnceLock::new() }
    }

    /// The key, which is asked for once. That it cannot be read is told where it is used.
    fn key(&self) -> Option<&SecretString> {
        if self.read.get().is_none() {
            let _ = self.read.set(self.api_key.read().ok()?);
        }
        self.read.get()
    }
}

/// Refuses a profile's key if it is another profile's too.
pub(super) fn refuse_shared(key: &SecretString, name: &str, profiles: &Profiles) -> Result<(), ConfigError> {
    let others = profiles.iter().filter(|profile| profile.name != name);
    // A header's value begins and ends where its blanks do (RFC 9110, 5.5).
    let sent = |key: &SecretString| key.expose_secret().trim().to_owned();
    let is_same = |profile: &&Profile| profile.key().is_some_and(|other| sent(other) == sent(key));
    match others.into_iter().find(is_same) {
        Some(other) => Err(ConfigError::SharedKey { other: other.name.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Config, Environment, Flags},
        *,
    };

    fn load(text: &str, variables: &[(&'static str, &str)], asked: &[&str]) -> Result<Vec<Config>, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        std::fs::write(&file, text).unwrap();
        let profiles = asked.iter().map(|name| (*name).to_owned()).collect();
        let flags = Flags { config: Some(file), profiles, ..Flags::default() };
        Config::load_all(flags, &Environment::of(variables))
    }

    #[test]
    fn a_profile_has_what_the_file_says_unless_it_says_otherwise_key_by_key() {
        let text = "lake = \"s3://b/x/\"\npage_size = 7\nresources = [\"trades\"]\n[reconcile]\ntolerance = \"1\"\n\
                    [operate]\nruns_kept = 3\n[profiles.b]\nresources = [\"wallets\"]\n[profiles.b.operate]\n\
                    otlp_endpoint = \"http://127.0.0.1:4318\"\n[profiles.a]\npartition = \"day\"\n";
        let configs = load(text, &[], &[]).unwrap();
        let told = |config: &Config| {
            let operating = &config.operating;
            let resources: Vec<_> = config.resources.iter().map(|resource| resource.name.clone()).collect();
            (config.profile.clone().unwrap(), config.lake.clone(), resources[0].clone(), operating.runs_kept)
        };
        let row =
            |name: &str, resource: &str| (name.to_owned(), format!("s3://b/x/source={name}"), resource.to_owned(), 3);
        assert_eq!(configs.iter().map(told).collect::<Vec<_>>(), [row("a", "trades"), row("b", "wallets")]);
        assert_ne!(configs[0].granularity, configs[1].granularity);
        assert!(configs[0].operating.otlp_endpoint.is_none() && configs[1].operating.otlp_endpoint.is_some());
        let one = load(text, &[("LUMETRADE_LAKE", "elsewhere")], &["b"]).unwrap();
        assert_eq!(one.iter().map(|config| config.lake.as_str()).collect::<Vec<_>>(), ["elsewhere/source=b"]);
        assert!(one[0].profile_names().eq(["a", "b"]), "also those that are not asked for");
    }

    #[test]
    fn what_no_profile_can_be_is_refused_by_name() {
        let rows = [
            ("[profiles.a]\nlake = \"x\"", "`lake` is the same for all profiles"),
            ("[profiles.a.operate]\nmetrics_listen = \"x\"", "`operate.metrics_listen` is the same for all"),
            ("[profiles.a.operate]\nmetrics_file = \"x\"", "`operate.metrics_file` is the same for all"),
            ("[profiles.a.profiles.b]", "`profiles` is the same for all"),
            (
                "[profiles.a]\nbase_ulr = \"x\"",
                "`profiles.a.base_ulr` is no setting; did you mean `profiles.a.base_url`?",
            ),
            ("[profiles.a]\npage_size = \"canary\"", "in profile `a`: expected u32"),
            ("[profiles.a.operate]\nruns = 1", "in profile `a`: unknown field `runs`"),
            ("[profiles.a]\npage_size = 0", "profile `a`: `page_size`: 0 is no number of records"),
            ("[profiles.A]", "`profiles`: `A` is no name"),
            ("[profiles.main]", "`profiles`: `main` is no name"),
            ("[profiles.1a]", "`profiles`: `1a` is no name"),
            ("[profiles.\"a/../b\"]", "is no name of a profile"),
            ("[profiles.a23456789012345678901234567890123]", "is no name of a profile"),
            ("profiles = 1", "expected a map"),
            ("[profiles]\na = \"canary\"", "expected a map"),
        ];
        for (text, expected) in rows {
            let message = load(text, &[], &[]).unwrap_err().to_string();
            assert!(message.contains(expected) && !message.contains("canary"), "{text}: {message}");
        }
        for (asked, expected) in [("acme_zz", "did you mean `acme_za`?"), ("x", "there are acme_za")] {
            let message = load("[profiles.acme_za]", &[], &[asked]).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let message = load("[profiles]", &[], &["a"]).unwrap_err().to_string();
        assert!(message.contains("nor any other in the settings"), "{message}");
    }

    #[test]
    fn a_profile_has_credentials_of_its_own_and_none_of_another() {
        let text = "[profiles.a]\n[profiles.b]";
        let secrets = [("LUMETRADE_API_SECRET_A", "s"), ("LUMETRADE_API_SECRET_B", "s")];
        let keys = |a, b| {
            let variables = [&secrets[..], &[("LUMETRADE_API_KEY_A", a), ("LUMETRADE_API_KEY_B", b)]].concat();
            load(text, &variables, &[]).unwrap().iter().map(Config::credentials).collect::<Vec<_>>()
        };
        let told = keys("one", "other");
        assert_eq!(told[0].as_ref().unwrap().key.expose_secret(), "one");
        assert_eq!(told[1].as_ref().unwrap().key.expose_secret(), "other");
        for same in ["one", "one ", "\tone"] {
            assert!(
                keys("one", same).iter().all(|told| matches!(told, Err(ConfigError::SharedKey { .. }))),
                "{same:?}"
            );
        }
        let plain = [&secrets[..], &[("LUMETRADE_API_KEY", "x")]].concat();
        let message = load(text, &plain, &[]).unwrap()[1].credentials().unwrap_err().to_string();
        assert!(message.contains("set LUMETRADE_API_KEY_B,"), "{message}");
    }

    #[test]
    fn a_secret_of_a_profile_s_own_command_is_not_read_from_the_file_of_all() {
        let text = "api_key_file = \"/nonexistent\"\n[profiles.a]\napi_key_command = [\"printf\", \"canary\"]";
        let configs = load(text, &[("LUMETRADE_API_SECRET_A", "s")], &[]).unwrap();
        assert_eq!(configs[0].credentials().unwrap().key.expose_secret(), "canary");
    }

    #[test]
    fn a_command_of_one_lake_asks_which() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        let load = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::load(Flags { config: Some(file.clone()), ..Flags::default() }, &Environment::of(&[]))
        };
        assert_eq!(load("[profiles.a]").unwrap().profile.as_deref(), Some("a"));
        let message = load("[profiles.a]\n[profiles.b]").unwrap_err().to_string();
        assert!(message.ends_with("name it with --profile: a, b"), "{message}");
    }
}
