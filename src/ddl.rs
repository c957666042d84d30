//! The lake as tables of a database: the statements that a user pastes or pipes into it.

use crate::{
    catalog::Catalog,
    config::{Config, ConfigError},
    error::Error,
    lake::{Lake, Store},
    sync::Ambient,
};

/// For what the statements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Views for DuckDB.
    DuckDb,
    /// External tables and views for Athena.
    Athena,
    /// The same external tables as Glue takes them.
    Glue,
}

/// Makes the statements for a lake that is there. Nothing is written, and the API is not asked.
///
/// # Errors
///
/// If there is no lake, or it cannot be listed; [`ConfigError::Invalid`] for Athena, if it lies in a folder.
pub async fn statements(config: &Config, dialect: Dialect, ambient: &Ambient) -> Result<String, Error> {
    let lake = Lake::open(Store::open(&config.lake, &config.s3, false)?).await?;
    let location = lake.location();
    if dialect != Dialect::DuckDb && !location.starts_with("s3://") {
        let problem = format!("Athena and Glue read from S3, and the lake is at {location}");
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
    Ok(match dialect {
        Dialect::DuckDb => catalog.duckdb(),
        Dialect::Athena => catalog.athena(),
        Dialect::Glue => catalog.glue(),
    })
}
