//! What can be wrong with settings.

use std::path::PathBuf;

use thiserror::Error;

use crate::{api::InvalidBaseUrl, schema::SchemaError};

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
