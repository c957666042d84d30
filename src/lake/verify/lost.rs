//! The partitions of which nothing more can be said, since a commit of theirs cannot be read.

use std::collections::HashSet;

use super::super::layout::Layout;
use crate::schema::EventPartition;

/// Names that are told.
const TOLD_MAX: usize = 3;

#[derive(Default)]
pub(super) struct Lost {
    partitions: HashSet<EventPartition>,
    all: bool,
}

impl Lost {
    /// Loses a partition, or all if it is not known which.
    pub(super) fn add(&mut self, partition: Option<EventPartition>) {
        match partition {
            Some(partition) => drop(self.partitions.insert(partition)),
            None => self.all = true,
        }
    }

    pub(super) fn has(&self, partition: EventPartition) -> bool {
        self.all || self.partitions.contains(&partition)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.partitions.is_empty()
    }

    /// Where the records are of which nothing can be said.
    pub(super) fn tell(&self, layout: &Layout) -> String {
        let name = |partition: &EventPartition| layout.granularity().folder(*partition);
        let mut names: Vec<String> = self.partitions.iter().filter_map(name).collect();
        names.sort();
        if self.all || names.is_empty() {
            return "of the whole resource".to_owned();
        }
        match names.len().saturating_sub(TOLD_MAX) {
            0 => format!("in {}", names.join(", ")),
            more => format!("in {} and {more} more partitions", names[..TOLD_MAX].join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Granularity, Schemas};

    #[test]
    fn what_is_lost_is_told_by_partition_as_far_as_it_is_known() {
        let schemas = Schemas::builtin().unwrap();
        let layout = |name| Layout::new(schemas.get(name).unwrap(), Granularity::Month);
        let mut lost = Lost::default();
        assert!(lost.is_empty());
        for (days, told) in [
            (0, "in event_month=1970-01"),
            (40, "in event_month=1970-01, event_month=1970-02"),
            (70, "in event_month=1970-01, event_month=1970-02, event_month=1970-03"),
            (100, "in event_month=1970-01, event_month=1970-02, event_month=1970-03 and 1 more partitions"),
        ] {
            lost.add(Some(EventPartition(days)));
            assert_eq!(lost.tell(&layout("deposits")), told);
        }
        assert_eq!(lost.tell(&layout("accounts")), "of the whole resource");
        assert!(lost.has(EventPartition(40)) && !lost.has(EventPartition(41)));
        lost.add(None);
        assert_eq!(lost.tell(&layout("deposits")), "of the whole resource");
        assert!(lost.has(EventPartition(41)));
    }
}
