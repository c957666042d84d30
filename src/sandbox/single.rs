//! What single reads say of a record that the list has.

use serde::{Deserialize, Serialize};

use super::value::Record;

/// The switch `/control/single-reads`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SingleReads {
    shape: SingleShape,
}

/// How a single read differs from the list's element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SingleShape {
    /// Not at all.
    #[default]
    Same,
    /// It lacks `createdAt`, as the reference's page of a single deposit does.
    Narrow,
    /// There is none.
    Missing,
}

impl SingleReads {
    /// The record as a single read shows it, if it does.
    pub(super) fn show(self, mut record: Record) -> Option<Record> {
        match self.shape {
            SingleShape::Same => Some(record),
            SingleShape::Narrow => {
                record.retain(|member| member.name != "createdAt");
                Some(record)
            }
            SingleShape::Missing => None,
        }
    }
}
