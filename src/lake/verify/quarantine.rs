//! The quarantine: a log of its own, without claims.

use std::collections::BTreeMap;

use super::{
    super::{
        LakeError,
        layout::parse_number,
        parquet_file::Content,
        quarantine::{QUARANTINE_KEY, QUARANTINED, Quarantined, RELEASED, rows, schema},
        store::Listed,
    },
    Depth, Law, Scope, Verification, damage, difference,
    report::Problems,
};

pub(super) async fn verify(scope: &Scope<'_>, report: &mut Verification) -> Result<(), LakeError> {
    let number = |object: &Listed| {
        parse_number(&object.key, ".parquet")
            .filter(|number| *number > 0 && scope.layout.quarantined(*number) == object.key)
    };
    let is_whole = |listed: &[Listed]| {
        let numbers: Vec<u64> = listed.iter().filter_map(number).collect();
        numbers.last().copied().unwrap_or_default() == numbers.len() as u64
    };
    let mut before = 0;
    let mut aside = BTreeMap::new();
    for object in scope.list_until(&scope.layout.quarantine(), is_whole).await? {
        let Some(number) = number(&object) else {
            report.find(Law::Strays, &object.key, "is no part of the quarantine");
            continue;
        };
        if number != before + 1 {
            report.find(Law::Quarantine, &scope.layout.quarantined(before + 1), "is missing");
        }
        before = number;
        report.figures.quarantine_objects += 1;
        if scope.depth == Depth::Full {
            read(scope, &object.key, &mut aside, report).await?;
        }
    }
    Ok(())
}

async fn read(
    scope: &Scope<'_>,
    key: &str,
    aside: &mut BTreeMap<Quarantined, bool>,
    report: &mut Verification,
) -> Result<(), LakeError> {
    let Some(file) = scope.lake.store.download(key, scope.spool).await? else {
        report.find(Law::Quarantine, key, "has vanished");
        return Ok(());
    };
    let Some(content) = report.admit(Law::Quarantine, Content::open(key, file))? else { return Ok(()) };
    if content.entry(QUARANTINE_KEY).as_ref() != Some(&scope.lake.identity.id) {
        report.find(Law::Quarantine, key, "does not say that it is of this lake");
    }
    if let Some(difference) = difference(content.schema().fields(), schema().fields()) {
        report.find(Law::Quarantine, key, difference);
        return Ok(());
    }
    let mut problems = Problems::of(key);
    for batch in content.batches(None)? {
        let batch = match damage(batch)? {
            Ok(batch) => batch,
            Err(problem) => {
                report.find(Law::Quarantine, key, problem);
                break;
            }
        };
        for (record, operation) in rows(&batch) {
            let tell = || format!("one with {} at `{}`", record.reason, record.path);
            match operation.as_str() {
                QUARANTINED | RELEASED => {}
                _ => problems.add(Law::Quarantine, "is neither quarantined nor released", tell),
            }
            let is_in = aside.get(&record).copied().unwrap_or_default();
            if is_in == (operation == QUARANTINED) {
                problems.add(
                    Law::Quarantine,
                    if is_in { "is in quarantine already" } else { "is not in quarantine" },
                    tell,
                );
            }
            aside.insert(record, operation == QUARANTINED);
        }
    }
    problems.findings().for_each(|finding| report.add(finding));
    Ok(())
}
