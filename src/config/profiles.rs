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

use super::{ConfigError, File, KEYS, nearest, secret::Source, told};

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
    name.map_or_else(|| lake.to_owned(), |name| format!("{}/source={name}", lake.trim_end_matches('/')))
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
    let is_same = |profile: &&Profile| profile.key().is_some_and(|other| other.expose_secret() == key.expose_secret());
    match others.into_iter().find(is_same) {
        Some(other) => Err(ConfigError::SharedKey { name: name.to_owned(), other: other.name.clone() }),
        None => Ok(()),
    }
}
