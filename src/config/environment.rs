//! The process's environment, of which the secrets are taken out.

use std::{collections::BTreeMap, path::PathBuf};

use super::{ConfigError, handover};
use crate::lake::S3Options;

/// The environment, as far as it concerns us. No `Debug`: it holds the credentials.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Where temporary files go.
    pub(super) temporary: PathBuf,
    /// Whether a terminal may be coloured: `NO_COLOR`, `CLICOLOR=0` and a terminal that can do nothing ask for plain text.
    pub colors: bool,
    /// Whether there may be a person at the terminal, which can do what terminals do.
    pub is_watched: bool,
}

pub(super) const API_KEY: &str = "LUMETRADE_API_KEY";
pub(super) const API_SECRET: &str = "LUMETRADE_API_SECRET";
pub(super) const BASE_URL: &str = "LUMETRADE_BASE_URL";
pub(super) const LAKE: &str = "LUMETRADE_LAKE";
pub(super) const HMAC_KEY: &str = "LUMETRADE_HMAC_KEY";
pub(super) const PERSONAL_DATA: &str = "LUMETRADE_PERSONAL_DATA";
const THREADS: &str = "LUMETRADE_THREADS";
pub(super) const WEBHOOK_URL: &str = "LUMETRADE_WEBHOOK_URL";
pub(super) const OTLP_HEADERS: &str = "LUMETRADE_OTLP_HEADERS";
pub(super) const OURS: [&str; 9] =
    [API_KEY, API_SECRET, BASE_URL, HMAC_KEY, LAKE, OTLP_HEADERS, PERSONAL_DATA, THREADS, WEBHOOK_URL];

/// Variables of S3 that hold secrets.
pub(super) const S3_SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// Variables that do not stay in the environment.
const SECRETS: [&str; 7] = [API_KEY, API_SECRET, HMAC_KEY, OTLP_HEADERS, WEBHOOK_URL, S3_SECRETS[0], S3_SECRETS[1]];

/// Whether a variable does not stay in the environment: one of these, or a credential of a profile.
fn is_secret(name: &str) -> bool {
    let of_profile = |variable| name.strip_prefix(variable).is_some_and(|rest| rest.starts_with('_'));
    SECRETS.contains(&name) || [API_KEY, API_SECRET].into_iter().any(of_profile)
}

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

    /// The value of a variable of ours that is set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
