//! What the API says: versions of records.

use std::fmt;

/// A version of a record, in the order in which the API says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Version {
    Unseen,
    Pending,
    Completed,
    Reversed,
}

impl Version {
    pub(super) fn next(self) -> Self {
        match self {
            Version::Unseen => Version::Pending,
            Version::Pending => Version::Completed,
            Version::Completed | Version::Reversed => Version::Reversed,
        }
    }
}

/// Where a record is filed. Each has one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Partition {
    May,
    June,
}

impl Partition {
    pub(super) const ALL: [Self; 2] = [Partition::May, Partition::June];
}

/// A version of each record, by partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Records(pub [Version; 2]);

impl Records {
    pub(super) const UNSEEN: Self = Records([Version::Unseen; 2]);

    pub(super) fn of(&self, partition: Partition) -> Version {
        self.0[partition as usize]
    }

    pub(super) fn set(&mut self, partition: Partition, version: Version) {
        self.0[partition as usize] = version;
    }

    /// Partitions of the records that have been seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = Partition> {
        Partition::ALL.into_iter().filter(|partition| self.of(*partition) != Version::Unseen)
    }

    /// What these are where `known` differs, and unseen elsewhere.
    pub(super) fn differing_from(&self, known: Records) -> Records {
        let mut rows = *self;
        for partition in Partition::ALL {
            if known.of(partition) == self.of(partition) {
                rows.set(partition, Version::Unseen);
            }
        }
        rows
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Records([may, june]) = self;
        write!(f, "May {may:?}, June {june:?}")
    }
}
