//! The quarantine: a log of its own, without claims.

use std::collections::BTreeMap;

use super::{
    super::{
        LakeError,
        parquet_file::Content,
        quarantine::{QUARANTINE_KEY, QUARANTINED, Quarantined, RELEASED, rows, schema},
    },
    Depth, Law, Scope, Verification, difference,
    report::Problems,
};

/// What is quarantined, as far as the objects have been read.
struct Aside {
    records: BTreeMap<Quarantined, bool>,
    /// Whether all objects up to here could be read.
    is_whole: bool,
}

pub(super) async fn verify(scope: &Scope<'_>, report: &mut Verification) -> Result<(), LakeError> {
    let mut before = 0;
    let mut aside = Aside { records: BTreeMap::new(), is_whole: true };
    let layout = &scope.layout;
    for (object, number) in scope.list_numbered(&layout.quarantine(), |key| layout.parse_quarantined(key)).await? {
        let Some(number) = number else {
            report.find(Law::Strays, &object.key, "is no part of the quarantine");
            continue;
        };
        if number != before + 1 {
            report.find(Law::Quarantine, &layout.quarantined(before + 1), "is missing");
            aside.is_whole = false;
        }
        before = number;
        report.figures.quarantine_objects += 1;
        if scope.depth == Depth::Full && !aside.read(scope, &object.key, report).await? {
            aside.is_whole = false;
        }
    }
    Ok(())
}

impl Aside {
    /// Folds an object in; `false` if it cannot be read.
    async fn read(&mut self, scope: &Scope<'_>, key: &str, report: &mut Verification) -> Result<bool, LakeError> {
        let Some(file) = scope.lake.store.download(key, scope.spool).await? else {
            report.find(Law::Quarantine, key, "has vanished");
            return Ok(false);
        };
        let Some(content) = report.admit(Law::Quarantine, Content::open(key, file))? else { return Ok(false) };
        if content.entry(QUARANTINE_KEY).as_ref() != Some(&scope.lake.identity.id) {
            report.find(Law::Quarantine, key, "does not say that it is of this lake");
        }
        if let Some(difference) = difference(content.schema().fields(), schema().fields()) {
            report.find(Law::Quarantine, key, difference);
            return Ok(false);
        }
        let mut problems = Problems::of(key);
        for batch in content.batches(None)? {
            let Some(batch) = report.admit(Law::Quarantine, batch)? else { return Ok(false) };
            rows(&batch).into_iter().for_each(|(record, operation)| self.fold(record, &operation, &mut problems));
        }
        problems.findings().for_each(|finding| report.add(finding));
        Ok(true)
    }

    fn fold(&mut self, record: Quarantined, operation: &str, problems: &mut Problems<'_>) {
        let tell = || format!("one with {} at `{}`", record.reason, record.path);
        let is_in = self.records.get(&record).copied().unwrap_or_default();
        match (operation, is_in) {
            (QUARANTINED, true) if self.is_whole => problems.add(Law::Quarantine, "is in quarantine already", tell),
            (RELEASED, false) if self.is_whole => problems.add(Law::Quarantine, "is not in quarantine", tell),
            (QUARANTINED | RELEASED, _) => {}
            _ => problems.add(Law::Quarantine, "is neither quarantined nor released", tell),
        }
        self.records.insert(record, operation == QUARANTINED);
    }
}
