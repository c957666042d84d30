//! Which records a list is asked for: those with a member of some text, and those of some time.
//!
//! Text filters are part of the contract and always honoured. The contract reserves `dateFrom` and `dateTo` and does not say
//! which time they compare; the switch does:
//!
//! | `/control/filters?dates=` | a record is listed if |
//! |---|---|
//! | `ignored` | it exists |
//! | `event_time` | its `createdAt`, or where it has none its `completedAt`, lies between the two, both included |
//! | `completed_at` | its `completedAt` does |
//!
//! The time that counts is the one that the record shows. A record that has none is not listed while either is given.

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use super::Resource;
use super::clock::Nanos;
use super::envelope::Refusal;
use super::parameters::Parameters;
use super::value::{Record, Value};
use super::world::has_text;

/// The switch `/control/filters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filtering {
    pub(super) dates: DateFilter,
}

/// Which time `dateFrom` and `dateTo` compare, in lists of deposits, withdrawals and trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DateFilter {
    /// None.
    #[default]
    Ignored,
    /// `createdAt`, else `completedAt`.
    EventTime,
    /// `completedAt`.
    CompletedAt,
}

/// What the records of one list have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    /// Members that a record must have, and their text.
    texts: Vec<(&'static str, String)>,
    dates: Option<Dates>,
}

/// A span of time, both ends included.
#[derive(Clone, Copy, Debug)]
struct Dates {
    /// Members that may hold the time that is compared; the first that does counts.
    members: &'static [&'static str],
    from: Nanos,
    to: Nanos,
}

impl Filters {
    /// The filters that a query asks for.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a date that counts and is not one of RFC 3339.
    pub(super) fn read(resource: Resource, switch: Filtering, asked: &Parameters) -> Result<Filters, Refusal> {
        let texts = resource.filters().iter().filter_map(|name| Some((*name, asked.get(name)?.to_owned())));
        let dates = if resource.is_transaction() { Dates::read(switch.dates, asked)? } else { None };
        Ok(Filters { texts: texts.collect(), dates })
    }

    /// Whether the record is asked for.
    pub(super) fn admit(&self, record: &Record) -> bool {
        self.texts.iter().all(|(name, text)| has_text(record, name, text))
            && self.dates.is_none_or(|dates| dates.admit(record))
    }

    /// Whether every record is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.dates.is_none()
    }

    /// The span of time outside which no record is asked for.
    pub(super) fn span(&self) -> Option<(Nanos, Nanos)> {
        self.dates.map(|dates| (dates.from, dates.to))
    }
}

impl Dates {
    fn read(filter: DateFilter, asked: &Parameters) -> Result<Option<Dates>, Refusal> {
        let members: &[_] = match filter {
            DateFilter::Ignored => return Ok(None),
            DateFilter::EventTime => &["createdAt", "completedAt"],
            DateFilter::CompletedAt => &["completedAt"],
        };
        let (from, to) = (moment(asked, "dateFrom")?, moment(asked, "dateTo")?);
        let is_asked = from.is_some() || to.is_some();
        Ok(is_asked.then_some(Dates { members, from: from.unwrap_or(Nanos::MIN), to: to.unwrap_or(Nanos::MAX) }))
    }

    fn admit(self, record: &Record) -> bool {
        let time = |name: &&str| {
            record.iter().find_map(|member| match &member.value {
                Value::Time(timestamp) if member.name == *name => Some(timestamp.shown()),
                _ => None,
            })
        };
        self.members.iter().find_map(time).is_some_and(|at| (self.from..=self.to).contains(&at))
    }
}

fn moment(asked: &Parameters, name: &str) -> Result<Option<Nanos>, Refusal> {
    let Some(text) = asked.get(name) else { return Ok(None) };
    let at = DateTime::parse_from_rfc3339(text).map_err(|error| Refusal::Invalid(format!("{name}: {error}")))?;
    Ok(Some(nanos(at)))
}

/// A year that nanoseconds cannot hold lies beyond either end of the world.
fn nanos(at: DateTime<FixedOffset>) -> Nanos {
    let beyond = if at.timestamp() < 0 { Nanos::MIN } else { Nanos::MAX };
    at.timestamp_nanos_opt().unwrap_or(beyond)
}
