//! The lake as tables of a database: the statements that a user pastes or pipes into it, and files for dbt.

use std::path::Path;

use crate::{
    catalog::Catalog,
    config::{Config, ConfigError},
    error::Error,
    lake::{Lake, LakeError, Store},
    sync::Ambient,
};

/// For what the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Views for DuckDB.
    DuckDb,
    /// External tables and views for Athena.
    Athena,
    /// The same external tables as Glue takes them.
    Glue,
    /// Sources and staging models for dbt.
    Dbt,
}

/// Text with the paths of its files, where it has more than one.
pub type Files = Vec<(String, String)>;

/// Makes the text for a lake that is there: a file, which has no path, or several. Nothing is written, and the API is not asked.
///
/// # Errors
///
/// If there is no lake, or it cannot be listed; [`ConfigError::Invalid`] for Athena, if it lies in a folder, and
/// for dbt, if there are braces in its location.
pub async fn make(config: &Config, dialect: Dialect, ambient: &Ambient) -> Result<Files, Error> {
    let lake = Lake::open(Store::open(&config.lake, &config.s3, false)?).await?;
    let location = lake.location();
    if matches!(dialect, Dialect::Athena | Dialect::Glue) && !location.starts_with("s3://") {
        let problem = format!("Athena and Glue read from S3, and the lake is at {location}");
        return Err(ConfigError::Invalid { setting: "lake", problem }.into());
    }
    if dialect == Dialect::Dbt && location.contains(['{', '}']) {
        let problem = format!("dbt takes what is in braces for its own, and the lake is at {location}");
        return Err(ConfigError::Invalid { setting: "lake", problem }.into());
    }
    let folders = lake.folders(&config.resources).await?;
    let catalog = Catalog {
        location: location.trim_end_matches('/'),
        granularity: lake.granularity(),
        resources: &config.resources,
        folders: &folders,
        now: ambient.now().timestamp_micros(),
    };
    let one = |text| vec![(String::new(), text)];
    Ok(match dialect {
        Dialect::DuckDb => one(catalog.duckdb()),
        Dialect::Athena => one(catalog.athena()),
        Dialect::Glue => one(catalog.glue()),
        Dialect::Dbt => catalog.dbt(),
    })
}

/// Writes files into a folder, in place of those that are there, and says which.
///
/// # Errors
///
/// [`LakeError::Io`] if one cannot be written.
pub fn write(files: &Files, folder: &Path) -> Result<String, Error> {
    let mut told = String::new();
    for (path, text) in files {
        let file = folder.join(path);
        let failed = |source| LakeError::file("write", &file.display().to_string(), source);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&file, text).map_err(failed)?;
        told += &format!("{}\n", file.display());
    }
    Ok(told)
}

/// Files as one text, each under its path.
#[must_use]
pub fn show(files: &Files) -> String {
    match files.as_slice() {
        [(path, text)] if path.is_empty() => text.clone(),
        files => files.iter().map(|(path, text)| format!("# {path}\n\n{text}\n")).collect(),
    }
}
