//! How each resource's list is polled: whole, or by what the contract reserves and a server may one day offer.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{ConfigError, invalid};
use crate::schema::{Resource, Schemas};

/// The largest page that may be asked for.
const PAGE_SIZE_MAX: u32 = 10_000;

/// How a resource is polled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Polling {
    /// Records a page, if the list is read page by page.
    pub page_size: Option<u32>,
    /// Whether the list's ETag is sent, so that an unchanged list need not be.
    pub conditional: bool,
    /// Whether only what is new and what is open is asked for, most of the time.
    pub window: Option<Window>,
}

/// A poll of a part of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// How far before the newest event time that is known it begins.
    pub lookback: Duration,
    /// How often the whole list is polled all the same, since any record may change at any time.
    pub full_poll_every: Duration,
}

/// Of the settings file: for all resources at its top level, for one under `[polling.<resource>]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub pagination: Option<String>,
    pub page_size: Option<u32>,
    pub conditional: Option<bool>,
    pub incremental: Option<String>,
    pub lookback: Option<String>,
    pub full_poll_every: Option<String>,
}

impl Raw {
    /// The same, with what it leaves out as `all` has it.
    fn over(&self, all: &Self) -> Self {
        Self {
            pagination: self.pagination.clone().or_else(|| all.pagination.clone()),
            page_size: self.page_size.or(all.page_size),
            conditional: self.conditional.or(all.conditional),
            incremental: self.incremental.clone().or_else(|| all.incremental.clone()),
            lookback: self.lookback.clone().or_else(|| all.lookback.clone()),
            full_poll_every: self.full_poll_every.clone().or_else(|| all.full_poll_every.clone()),
        }
    }

    fn parse(&self, resource: &Resource) -> Result<Polling, ConfigError> {
        let problem = |setting, problem: String| Err(ConfigError::Invalid { setting, problem });
        let size = self.page_size.unwrap_or_default();
        if !(1..=PAGE_SIZE_MAX).contains(&size) {
            return problem("page_size", format!("{size} is no number of records from 1 to {PAGE_SIZE_MAX}"));
        }
        let page_size = match self.pagination.as_deref() {
            Some("none") | None => None,
            Some("page") => Some(size),
            Some(other) => return problem("pagination", format!("`{other}` is none of `none` and `page`")),
        };
        let duration = |setting, text: &Option<String>| {
            humantime::parse_duration(text.as_deref().unwrap_or_default()).map_err(|error| invalid(setting, &error))
        };
        let lookback = duration("lookback", &self.lookback)?;
        let full_poll_every = duration("full_poll_every", &self.full_poll_every)?;
        let window = match self.incremental.as_deref() {
            Some("none") | None => None,
            Some("window") if has_windows(resource) => Some(Window { lookback, full_poll_every }),
            // Nothing to go by, or so few records that what has gone is best seen at once.
            Some("window") => None,
            Some(other) => return problem("incremental", format!("`{other}` is none of `none` and `window`")),
        };
        let conditional = self.conditional.unwrap_or_default();
        if conditional && page_size.is_some() {
            return problem("conditional", format!("{} is read page by page, and pages have no ETag", resource.name));
        }
        Ok(Polling { page_size, conditional, window })
    }
}

/// Whether a part of its list can be asked for: reference resources are read whole.
pub(crate) fn has_windows(resource: &Resource) -> bool {
    resource.partitioned && !resource.event_time.is_empty()
}

/// How each resource of the schemas is polled.
pub(super) fn of_all(
    schemas: &Schemas,
    all: &Raw,
    own: &BTreeMap<String, Raw>,
) -> Result<BTreeMap<String, Polling>, ConfigError> {
    if let Some(unknown) = own.keys().find(|name| schemas.get(name).is_none()) {
        let problem = format!("there is no resource `{unknown}`");
        return Err(ConfigError::Invalid { setting: "polling", problem });
    }
    let polling = |resource: &Resource| {
        let raw = own.get(&resource.name).map_or_else(|| all.clone(), |own| own.over(all));
        Ok((resource.name.clone(), raw.parse(resource)?))
    };
    schemas.iter().map(polling).collect()
}
