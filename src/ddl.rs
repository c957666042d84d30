//! The lake as tables of a database: the statements that a user pastes or pipes into it, and files for dbt.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    catalog::{self, Catalog},
    config::{Config, ConfigError},
    error::Error,
    lake::{Lake, LakeError, Store},
    schema::{Granularity, Resource, SOURCE_COLUMN},
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
/// for dbt, if there are braces in its location; with several profiles, if their schemas differ in a column's type, or for
/// Athena and dbt in anything.
pub async fn make(configs: &[Config], dialect: Dialect, ambient: &Ambient) -> Result<Files, Error> {
    let now = ambient.now().timestamp_micros();
    match configs {
        [config] => Place::of(config, dialect).await.map(|place| text(&place.catalog(config, None, now), dialect)),
        _ => of_all(configs, dialect, now).await,
    }
}

/// Statements over the lakes of all profiles. One that is not there is no reason to leave it out unsaid.
async fn of_all(configs: &[Config], dialect: Dialect, now: i64) -> Result<Files, Error> {
    let mut places = Vec::new();
    for config in configs {
        let of_profile = |problem| Error::OfProfile {
            profile: config.profile.clone().unwrap_or_default(),
            problem: Box::new(problem),
        };
        places.push(Place::of(config, dialect).await.map_err(of_profile)?);
    }
    if dialect == Dialect::DuckDb {
        let each = configs.iter().zip(&places);
        let catalogs: Vec<_> =
            each.map(|(config, place)| place.catalog(config, config.profile.as_deref(), now)).collect();
        if let Some(column) = catalog::disagreement(&catalogs) {
            let problem =
                format!("{column} is not of the same type in all profiles, so that there is no view over them");
            return Err(ConfigError::Invalid { setting: "profiles", problem }.into());
        }
        return Ok(vec![(String::new(), catalog::duckdb_of_all(&catalogs))]);
    }
    let over_all = Place::over_all(configs, &places)?;
    let mut resources: Vec<Resource> = Vec::new();
    for resource in configs.iter().flat_map(|config| &config.resources) {
        if !resources.iter().any(|other| other.name == resource.name) {
            resources.push(resource.clone());
        }
    }
    let sources: Vec<String> = configs.iter().filter_map(|config| config.profile.clone()).collect();
    let catalog = Catalog { resources: &resources, sources: &sources, ..over_all.catalog(&configs[0], None, now) };
    Ok(text(&catalog, dialect))
}

fn text(catalog: &Catalog<'_>, dialect: Dialect) -> Files {
    let text = match dialect {
        Dialect::DuckDb => catalog.duckdb(),
        Dialect::Athena => catalog.athena(),
        Dialect::Glue => catalog.glue(),
        Dialect::Dbt => return catalog.dbt(),
    };
    vec![(String::new(), text)]
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
            sources: &[],
            schema,
            now,
        }
    }

    /// The folder that has the lakes of all profiles, which must be alike: tables are made over all of them at once.
    fn over_all(configs: &[Config], places: &[Self]) -> Result<Self, ConfigError> {
        let differ = |what: &str| ConfigError::Invalid {
            setting: "profiles",
            problem: format!(
                "{what} not the same in all profiles, so that there is no table over them; --profile names one"
            ),
        };
        let granularity = places[0].granularity;
        if places.iter().any(|place| place.granularity != granularity) {
            return Err(differ("the lakes' partitions are"));
        }
        let form = |resource: &Resource| {
            let tables = resource.tables().into_iter();
            let fields = tables.flat_map(|table| table.schema.fields().iter().cloned().collect::<Vec<_>>());
            fields.map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>()
        };
        let mut forms = BTreeMap::new();
        for resource in configs.iter().flat_map(|config| &config.resources) {
            if *forms.entry(&resource.name).or_insert_with(|| form(resource)) != form(resource) {
                return Err(differ(&format!("the columns of {} are", resource.name)));
            }
        }
        let last = configs[0].profile.as_deref().map(|name| format!("/{SOURCE_COLUMN}={name}"));
        let location = last.and_then(|last| places[0].location.strip_suffix(&last).map(str::to_owned));
        let folders = places.iter().flat_map(|place| place.folders.clone()).collect();
        Ok(Self { location: location.ok_or_else(|| differ("the lakes' place is"))?, granularity, folders })
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
