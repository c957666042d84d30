//! What a sync does with the versions that a poll finds: it drafts them for the lake, and counts what is odd in them.

use super::{observation::Sink, oddities::Oddities};
use crate::{
    decode::{Operation, Row},
    diff::{Filed, Verdict},
    lake::{
        Drafts, Effect, LakeError,
        defect::{Defect, has},
    },
    schema::Resource,
};

pub(super) struct Drafting {
    pub drafts: Drafts,
    pub oddities: Oddities,
}

impl Drafting {
    pub(super) fn new(drafts: Drafts) -> Self {
        Self { drafts, oddities: Oddities::default() }
    }

    fn draft(
        &mut self,
        resource: &Resource,
        operation: Operation,
        filed: Filed,
        row: &Row<'_>,
        effect: Effect,
    ) -> Result<(), LakeError> {
        self.oddities.look_at(row, resource);
        self.drafts.append(operation, filed, row, effect)
    }
}

impl Sink for Drafting {
    fn file(&self, event_time: Option<i64>) -> Filed {
        self.drafts.file(event_time)
    }

    fn take(&mut self, resource: &Resource, verdict: Verdict, row: &Row<'_>, _text: &[u8]) -> Result<(), LakeError> {
        let (open, event_time) = (row.is_open(resource), row.event_time(resource));
        match verdict {
            Verdict::Unchanged | Verdict::Waits => Ok(()),
            Verdict::Stale => {
                self.oddities.note_stale(row, resource);
                Ok(())
            }
            Verdict::Added(filed) => {
                let effect = Effect { event_time, ..Effect::added(open) };
                self.draft(resource, Operation::Added, filed, row, effect)
            }
            Verdict::Changed(mut filed) | Verdict::Listed(mut filed) => {
                if matches!(verdict, Verdict::Changed(_)) {
                    self.oddities.compare(row, filed, resource);
                }
                if has(Defect::MovesRecords) {
                    filed.partition = self.drafts.file(event_time).partition;
                }
                let effect = Effect { event_time, ..Effect::changed(filed.was_open, open) };
                self.draft(resource, Operation::Changed, filed, row, effect)
            }
        }
    }
}
