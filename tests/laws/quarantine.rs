//! A record that no row can hold is set aside with its text and the reason, and harms no other.

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced},
    rows::{Records, changes, current},
    tables::Resource,
};

const PATH: &str = "/api/v1/deposits";

/// Eleven nines more than a column holds.
const TOO_LARGE: &str = "100000000000000000000";
const TOO_FINE: &str = "0.1234567890123456789";

struct Deposits {
    lake: Lake,
    api: ScriptedApi,
    duckdb: DuckDb,
    resource: Resource,
}

/// A row of the quarantine: key, path, reason, text, operation.
type Aside = [Option<String>; 5];

impl Deposits {
    fn new() -> Self {
        let (lake, api, duckdb) = (Lake::new(), ScriptedApi::start(), DuckDb::start());
        Self { lake, api, duckdb, resource: Resource::named("deposits") }
    }

    fn sync(&self, records: &[String]) -> Synced {
        self.api.serve(PATH, format!("[{}]", records.join(",")));
        Sync::of(&self.lake, &self.api.url(), "deposits").run()
    }

    /// Syncs, and fails the test if it does.
    fn take(&self, records: &[String]) -> Synced {
        let synced = self.sync(records);
        assert_eq!(synced.ended.code, Some(0), "{}{}", synced.ended.stdout, synced.ended.stderr);
        synced
    }

    fn current(&mut self) -> Records {
        current(&mut self.duckdb, &self.lake, &self.resource)
    }

    fn amount(&mut self, key: &str) -> Option<String> {
        self.current().get(key).map(|row| row["amount"].as_str().unwrap().to_owned())
    }

    /// The quarantine, oldest first.
    fn aside(&mut self) -> Vec<Aside> {
        let scan = self.lake.quarantine("deposits");
        let sql = format!("SELECT key, path, reason, text, _op FROM {scan} ORDER BY _observed_at, _op DESC, key, text");
        let row = |row: Vec<serde_json::Value>| std::array::from_fn(|n| row[n].as_str().map(str::to_owned));
        self.duckdb.query(&sql).rows.into_iter().map(row).collect()
    }
}

fn deposit(n: usize, amount: &str) -> String {
    let status = r#""status":"COMPLETED","completedAt":"2026-05-11T10:15:30""#;
    format!(r#"{{"transactionId":"D{n:04}","currency":"ZAR","amount":{amount},"fee":0,{status}}}"#)
}

fn deposits(count: usize) -> Vec<String> {
    (0..count).map(|n| deposit(n, "1.5")).collect()
}

#[test]
fn what_does_not_fit_is_set_aside_with_its_exact_text_and_released_when_it_fits() {
    let mut deposits_api = Deposits::new();
    let mut records = deposits(20);
    records[3] = deposit(3, TOO_LARGE);
    records[4] = deposit(4, TOO_FINE);
    records[5] = deposit(5, "\"12\"");
    records[6] = r#"{ "currency" : "ZAR", "amount" : 1.50 }"#.to_owned();
    let synced = deposits_api.take(&records);
    assert_eq!(synced.figure("deposits", "quarantined"), 4);
    assert_eq!(synced.figure("deposits", "added"), 16);
    assert_eq!(deposits_api.current().len(), 16);
    let aside = deposits_api.aside();
    let expected = [
        (Some("D0003"), "amount", "more than 20 integer digits", &records[3]),
        (Some("D0004"), "amount", "more than 18 significant fractional digits", &records[4]),
        (Some("D0005"), "amount", "a decimal was expected, this is a string", &records[5]),
        (None, "$", "no key: `transactionId` is missing", &records[6]),
    ];
    assert_eq!(aside.len(), expected.len(), "{aside:?}");
    for ([key, path, reason, text, operation], (expected_key, expected_path, because, exact)) in
        aside.iter().zip(expected)
    {
        assert_eq!((key.as_deref(), path.as_deref()), (expected_key, Some(expected_path)));
        assert!(reason.as_deref().unwrap().contains(because), "{reason:?}");
        assert_eq!((text.as_ref(), operation.as_deref()), (Some(exact), Some("quarantined")));
    }

    let before = deposits_api.lake.listing();
    deposits_api.take(&records);
    assert_untouched(&before, &deposits_api.lake.listing(), "a second poll with the same misfits");

    records[3] = deposit(3, "99999999999999999999");
    deposits_api.take(&records);
    assert_eq!(deposits_api.amount("D0003").as_deref(), Some("99999999999999999999.000000000000000000"));
    assert_eq!(deposits_api.amount("D0004"), None);
    let [key, .., operation] = deposits_api.aside().pop().unwrap();
    assert_eq!((key.as_deref(), operation.as_deref()), (Some("D0003"), Some("released")));
}

#[test]
fn a_known_record_whose_new_version_does_not_fit_keeps_its_last_good_row() {
    let mut deposits_api = Deposits::new();
    let mut records = deposits(20);
    deposits_api.take(&records);
    records[7] = deposit(7, TOO_FINE);
    let synced = deposits_api.take(&records);
    let figures = ["changed", "removed", "quarantined"].map(|name| synced.figure("deposits", name));
    assert_eq!(figures, [0, 0, 1]);
    assert_eq!(deposits_api.amount("D0007").as_deref(), Some("1.500000000000000000"));
    let before = deposits_api.lake.listing();
    deposits_api.take(&records);
    assert_untouched(&before, &deposits_api.lake.listing(), "a second poll with the same misfit");

    records[7] = deposit(7, "2.25");
    deposits_api.take(&records);
    assert_eq!(deposits_api.amount("D0007").as_deref(), Some("2.250000000000000000"));
    let versions = changes(&mut deposits_api.duckdb, &deposits_api.lake, &deposits_api.resource);
    let operations: Vec<_> =
        versions.iter().filter(|version| version.key == "D0007").map(|version| version.operation.as_str()).collect();
    assert_eq!(operations, ["added", "changed"]);
}

#[test]
fn a_known_record_that_goes_while_it_is_set_aside_is_removed_with_its_last_good_values() {
    let mut deposits_api = Deposits::new();
    let mut records = deposits(23);
    deposits_api.take(&records);
    records[7] = deposit(7, TOO_LARGE);
    deposits_api.take(&records);
    records.remove(7);
    let synced = deposits_api.take(&records);
    assert_eq!(synced.figure("deposits", "removed"), 1);
    assert_eq!(deposits_api.amount("D0007"), None);
    let versions = changes(&mut deposits_api.duckdb, &deposits_api.lake, &deposits_api.resource);
    let last = versions.iter().rfind(|version| version.key == "D0007").unwrap();
    assert_eq!((last.operation.as_str(), last.row["amount"].as_str()), ("removed", Some("1.500000000000000000")));
    assert_eq!(deposits_api.aside().pop().unwrap()[4].as_deref(), Some("released"));
}

#[test]
fn ten_misfits_are_odd_records_and_eleven_are_another_contract() {
    let deposits_api = Deposits::new();
    let mut records = deposits(40);
    deposits_api.take(&records);
    for record in &mut records[..11] {
        *record = record.replace("1.5", TOO_LARGE);
    }
    let before = deposits_api.lake.contents();
    let synced = deposits_api.sync(&records);
    assert_eq!(synced.ended.code, Some(65));
    let told = synced.failure("deposits");
    assert!(told.contains("11 of 40 records do not fit") && told.contains("amount"), "{told}");
    assert_untouched(&before, &deposits_api.lake.contents(), "eleven misfits");

    records[10] = deposit(10, "1.5");
    assert_eq!(deposits_api.take(&records).figure("deposits", "quarantined"), 10);
}

#[test]
fn misfits_up_to_one_in_a_thousand_are_taken_and_a_setting_takes_fewer() {
    let deposits_api = Deposits::new();
    let mut records = deposits(12_000);
    for record in &mut records[..12] {
        *record = record.replace("1.5", TOO_FINE);
    }
    assert_eq!(deposits_api.take(&records).figure("deposits", "quarantined"), 12);
    let stricter = Sync::of(&deposits_api.lake, &deposits_api.api.url(), "deposits");
    let synced = stricter.settings("quarantine_max = 0.0005\n").run();
    assert_eq!(synced.ended.code, Some(65), "{}", synced.ended.stdout);
}

#[test]
fn while_a_record_has_no_readable_key_none_is_taken_for_removed() {
    let mut deposits_api = Deposits::new();
    let mut records = deposits(23);
    deposits_api.take(&records);
    // It may be the first record that came without its key.
    records[0] = records[0].replace("\"D0000\"", "null");
    let synced = deposits_api.take(&records);
    assert_eq!((synced.figure("deposits", "removed"), synced.figure("deposits", "withheld")), (0, 1));
    assert!(synced.ended.stderr.contains("removals are withheld"), "{}", synced.ended.stderr);
    assert_eq!(deposits_api.current().len(), 23);
    records.remove(0);
    assert_eq!(deposits_api.take(&records).figure("deposits", "removed"), 1);
    assert_eq!(deposits_api.current().len(), 22);
}

#[test]
fn who_is_sure_may_have_removals_beside_a_record_without_a_readable_key() {
    let mut deposits_api = Deposits::new();
    let mut records = deposits(23);
    deposits_api.take(&records);
    records[0] = records[0].replace("\"D0000\"", "null");
    assert_eq!(deposits_api.take(&records).figure("deposits", "withheld"), 1);
    let accepted = Sync::of(&deposits_api.lake, &deposits_api.api.url(), "deposits").arg("--accept-removals").succeed();
    assert_eq!((accepted.figure("deposits", "removed"), accepted.figure("deposits", "withheld")), (1, 0));
    assert_eq!(deposits_api.current().len(), 22);
}
