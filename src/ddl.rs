//! The lake as tables of a database: the statements that a user pastes or pipes into it, and files for dbt.

use std::{collections::BTreeSet, path::Path};

use crate::{
    catalog::{self, Catalog},
    config::{Config, ConfigError},
    error::Error,
    lake::{Lake, LakeError, Store},
    schema::Granularity,
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
/// Of several profiles it is for all their lakes.
///
/// # Errors
///
/// If there is no lake, or it cannot be listed; [`ConfigError::Invalid`] for Athena, if it lies in a folder, and
/// for dbt, if there are braces in its location; with several profiles, [`ConfigError::OneProfile`] for any but DuckDB, and
/// [`ConfigError::Invalid`] if their schemas differ in a column's type.
pub async fn make(configs: &[Config], dialect: Dialect, ambient: &Ambient) -> Result<Files, Error> {
    let now = ambient.now().timestamp_micros();
    match configs {
        [config] => Place::of(config, dialect).await.map(|place| place.text(config, dialect, now)),
        _ if dialect == Dialect::DuckDb => of_all(configs, now).await,
        _ => {
            let names = configs.iter().filter_map(|config| config.profile.clone()).collect();
            Err(ConfigError::OneProfile { names }.into())
        }
    }
}

/// Statements for DuckDB over the lakes of all profiles. One that is not there is no reason to leave it out unsaid.
async fn of_all(configs: &[Config], now: i64) -> Result<Files, Error> {
    let mut places = Vec::new();
    for config in configs {
        let of_profile = |problem| Error::OfProfile {
            profile: config.profile.clone().unwrap_or_default(),
            problem: Box::new(problem),
        };
        places.push(Place::of(config, Dialect::DuckDb).await.map_err(of_profile)?);
    }
    let each = configs.iter().zip(&places);
    let catalogs: Vec<_> = each.map(|(config, place)| place.catalog(config, config.profile.as_deref(), now)).collect();
    if let Some(column) = catalog::disagreement(&catalogs) {
        let problem = format!("{column} is not of the same type in all profiles, so that there is no view over them");
        return Err(ConfigError::Invalid { setting: "profiles", problem }.into());
    }
    Ok(vec![(String::new(), catalog::duckdb_of_all(&catalogs))])
}

/// What the text says of a lake.
struct Place {
    location: String,
    granularity: Granularity,
    folders: BTreeSet<String>,
}

impl Place {
    async fn of(config: &Config, dialect: Dialect) -> Result<Self, Error> {
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
        let location = location.trim_end_matches('/').to_owned();
        Ok(Self { location, granularity: lake.granularity(), folders })
    }

    fn catalog<'p>(&'p self, config: &'p Config, schema: Option<&'p str>, now: i64) -> Catalog<'p> {
        Catalog {
            location: &self.location,
            granularity: self.granularity,
            resources: &config.resources,
            folders: &self.folders,
            schema,
            now,
        }
    }

    fn text(&self, config: &Config, dialect: Dialect, now: i64) -> Files {
        let catalog = self.catalog(config, None, now);
        let one = |text| vec![(String::new(), text)];
        match dialect {
            Dialect::DuckDb => one(catalog.duckdb()),
            Dialect::Athena => one(catalog.athena()),
            Dialect::Glue => one(catalog.glue()),
            Dialect::Dbt => catalog.dbt(),
        }
    }
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
