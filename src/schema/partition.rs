//! How records are filed by the time they happened.
//!
//! A record's event partition is decided when it is first seen and never moves, so it is kept with the record and not
//! computed again. Its name is made here from a date alone: nothing that the API sends reaches a path.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

/// The column that the folders of several lakes side by side give, each of which is `source=NAME`.
pub const SOURCE_COLUMN: &str = "source";

/// How finely a lake files its records. Fixed when the lake is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// `event_day=2026-05-11`
    Day,
    /// `event_month=2026-05`
    #[default]
    Month,
    /// `event_year=2026`
    Year,
    /// No partitions.
    None,
}

/// The day on which a partition begins, as days since 1970; 0 where nothing is partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventPartition(pub i32);

impl Granularity {
    /// The partition that holds this time (microseconds, UTC).
    #[must_use]
    pub fn partition_of(self, micros: i64) -> EventPartition {
        let Some(time) = DateTime::from_timestamp_micros(micros) else { return EventPartition::default() };
        let date = time.date_naive();
        let start = match self {
            Granularity::Day => Some(date),
            Granularity::Month => date.with_day(1),
            Granularity::Year => date.with_ordinal(1),
            Granularity::None => None,
        };
        EventPartition(start.map_or(0, |start| start.to_epoch_days()))
    }

    /// The partition's folder, as in `event_month=2026-05`; `None` where nothing is partitioned.
    #[must_use]
    pub fn folder(self, partition: EventPartition) -> Option<String> {
        Some(format!("{}={}", self.column()?, self.value(partition)?))
    }

    /// What a partition is called, as in `2026-05`; `None` where nothing is partitioned.
    #[must_use]
    pub fn value(self, partition: EventPartition) -> Option<String> {
        self.column()?;
        let date = NaiveDate::from_epoch_days(partition.0)?;
        let format = match self {
            Granularity::Day => "%Y-%m-%d",
            Granularity::Month => "%Y-%m",
            Granularity::Year | Granularity::None => "%Y",
        };
        Some(date.format(format).to_string())
    }

    /// The partition whose folder this is; `None` if the name is no folder of this granularity.
    #[must_use]
    pub fn parse_folder(self, folder: &str) -> Option<EventPartition> {
        let value = folder.strip_prefix(self.column()?)?.strip_prefix('=')?;
        let first_day = match self {
            Granularity::Day => value.to_owned(),
            Granularity::Month => format!("{value}-01"),
            Granularity::Year | Granularity::None => format!("{value}-01-01"),
        };
        let partition = EventPartition(NaiveDate::parse_from_str(&first_day, "%Y-%m-%d").ok()?.to_epoch_days());
        (self.folder(partition).as_deref() == Some(folder)).then_some(partition)
    }

    /// Name of the partition column.
    #[must_use]
    pub fn column(self) -> Option<&'static str> {
        match self {
            Granularity::Day => Some("event_day"),
            Granularity::Month => Some("event_month"),
            Granularity::Year => Some("event_year"),
            Granularity::None => None,
        }
    }
}

/// Whether a partition column has this name, in a lake of any granularity.
#[must_use]
pub fn is_partition_column(name: &str) -> bool {
    [Granularity::Day, Granularity::Month, Granularity::Year]
        .iter()
        .any(|granularity| granularity.column() == Some(name))
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Granularity::Day => "day",
            Granularity::Month => "month",
            Granularity::Year => "year",
            Granularity::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    #[test]
    fn a_time_is_filed_under_the_start_of_its_period() {
        let rows = [
            (Granularity::Day, "2026-05-31T23:59:59.999999Z", Some("event_day=2026-05-31")),
            (Granularity::Month, "2026-05-31T23:59:59.999999Z", Some("event_month=2026-05")),
            (Granularity::Month, "2026-06-01T00:00:00Z", Some("event_month=2026-06")),
            (Granularity::Month, "1969-12-31T23:59:59Z", Some("event_month=1969-12")),
            (Granularity::Year, "0001-03-01T00:00:00Z", Some("event_year=0001")),
            (Granularity::None, "2026-05-31T23:59:59Z", None),
        ];
        for (granularity, time, folder) in rows {
            let partition = granularity.partition_of(micros(time));
            assert_eq!(granularity.folder(partition).as_deref(), folder, "{time}");
        }
    }

    #[test]
    fn only_folders_that_are_made_here_are_read_back() {
        for folder in
            ["event_month=2026-5", "event_month=2026-13", "event_day=2026-05-01", "event_month=..", "event_month="]
        {
            assert_eq!(Granularity::Month.parse_folder(folder), None, "{folder}");
        }
    }

    proptest! {
        #[test]
        fn a_folder_names_its_partition(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000, pick in 0..3) {
            let granularity = [Granularity::Day, Granularity::Month, Granularity::Year][pick as usize];
            let partition = granularity.partition_of(micros);
            let folder = granularity.folder(partition).unwrap();
            prop_assert_eq!(granularity.parse_folder(&folder), Some(partition));
        }
    }
}
