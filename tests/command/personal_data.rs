//! Personal data is where the settings want it, and nowhere else.

use std::collections::BTreeMap;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, Synced},
    replayed::assert_replayed,
};

const PATH: &str = "/api/v1/beneficiaries";
const CANARIES: [&str; 2] = ["CanaryNick", "ZA00CANARYIBAN"];

struct Beneficiaries {
    lake: Lake,
    api: ScriptedApi,
    duckdb: DuckDb,
}

fn beneficiary(id: &str) -> String {
    let details = r#"{"iban":"ZA00CANARYIBAN","bankName":"Bank"}"#;
    format!(r#"{{"id":"{id}","currency":"ZAR","nickname":"CanaryNick","withdrawFormDetails":{details}}}"#)
}

/// A record that no row can hold.
fn misfit(id: &str) -> String {
    beneficiary(id).replace("\"ZAR\"", "7")
}

impl Beneficiaries {
    fn new() -> Self {
        Self { lake: Lake::new(), api: ScriptedApi::start(), duckdb: DuckDb::start() }
    }

    fn sync(&self, settings: &str, records: &[String]) -> Synced {
        self.api.serve(PATH, format!("[{}]", records.join(",")));
        let sync = Sync::of(&self.lake, &self.api.url(), "beneficiaries").without("LUMETRADE_PERSONAL_DATA");
        sync.settings(&format!("raw_archive = true\n{settings}")).arg("-vvv").succeed()
    }

    /// Nickname and details of each row, by id.
    fn columns(&mut self, layer: &str) -> BTreeMap<String, [Option<String>; 2]> {
        let scan = self.lake.scan(layer, "beneficiaries");
        let sql = format!("SELECT id || ' ' || _seq, nickname, withdraw_form_details FROM {scan}");
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let rows = self.duckdb.query(&sql).rows.into_iter();
        rows.map(|row| (text(&row[0]).unwrap(), [text(&row[1]), text(&row[2])])).collect()
    }

    /// Everything in the lake, as a reader of any kind would find it.
    fn everything(&mut self) -> String {
        let mut everything = String::new();
        for (file, bytes) in self.lake.contents() {
            everything.push_str(&file);
            everything.push_str(&String::from_utf8_lossy(&bytes));
            if file.ends_with(".zst") {
                everything.push_str(&String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap());
            }
            if file.ends_with(".parquet") {
                let path = self.lake.path().join(&file);
                let rows =
                    self.duckdb.query(&format!("SELECT to_json(t)::VARCHAR FROM read_parquet('{}') t", path.display()));
                everything.push_str(&format!("{:?}", rows.rows));
            }
        }
        everything
    }

    /// Makes the lake anew from its archive, by settings that say nothing of personal data: it is as it was.
    #[track_caller]
    fn assert_replayed(&self) {
        assert_replayed(&self.lake, &["--resource=beneficiaries"]);
    }
}

#[test]
fn what_is_dropped_is_nowhere_and_that_is_said_once() {
    let mut world = Beneficiaries::new();
    let first = world.sync("", &[beneficiary("b1"), misfit("b2")]);
    assert!(first.ended.stderr.contains("personal data is not stored"), "{}", first.ended.stderr);
    assert!(first.ended.stderr.contains("nickname, withdraw_form_details"), "{}", first.ended.stderr);
    let second = world.sync("", &[beneficiary("b1"), misfit("b2"), beneficiary("b3")]);
    assert!(!second.ended.stderr.contains("personal data"), "{}", second.ended.stderr);
    let everything = world.everything();
    assert!(everything.contains("[dropped]"), "the quarantine shows the rest of the record");
    for canary in CANARIES {
        for text in [&everything, &first.ended.stdout, &first.ended.stderr, &second.ended.stdout, &second.ended.stderr]
        {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
    }
    assert_eq!(world.columns("current")["b1 1"], [None, None]);
    world.assert_replayed();
}

#[test]
fn another_value_of_what_is_dropped_is_no_change() {
    let world = Beneficiaries::new();
    world.sync("", &[beneficiary("b1")]);
    let renamed = beneficiary("b1").replace("CanaryNick", "Other");
    let synced = world.sync("", &[renamed]);
    assert_eq!((synced.figure("beneficiaries", "unchanged"), synced.figure("beneficiaries", "rows")), (1, 0));
}

#[test]
fn what_is_hashed_can_be_joined_and_not_read() {
    let mut world = Beneficiaries::new();
    let settings =
        "personal_data = \"hmac\"\nhmac_key_command = [\"echo\", \"canary-hmac-key\"]\nhmac_key_id = \"2026-11\"";
    let renamed = beneficiary("b3").replace("CanaryNick", "Other");
    world.sync(settings, &[beneficiary("b1"), beneficiary("b2"), renamed, misfit("b4")]);
    let everything = world.everything();
    for canary in CANARIES.into_iter().chain(["canary-hmac-key"]) {
        assert!(!everything.contains(canary), "{canary}");
    }
    let rows = world.columns("current");
    let nickname = |id: &str| rows[id][0].clone().unwrap();
    // python3 -c 'import hmac; print(hmac.new(b"canary-hmac-key", b"nickname\0CanaryNick", "sha256").hexdigest())'
    let known = "6c92b654532bdf6c424ebbc3bda915adc84022ca8655cfb755fabe89bf8e4b63";
    assert_eq!(nickname("b1 1"), format!("hmac:2026-11:{known}"));
    assert_eq!(rows["b1 1"], rows["b2 1"]);
    assert!(nickname("b3 1") != nickname("b1 1") && rows["b3 1"][1] == rows["b1 1"][1]);
    world.assert_replayed();
}

#[test]
fn under_another_key_a_value_has_another_hash_and_what_was_committed_keeps_its_own() {
    let mut world = Beneficiaries::new();
    let settings = |key: &str, id: &str| {
        format!("personal_data = \"hmac\"\nhmac_key_command = [\"echo\", \"{key}\"]\nhmac_key_id = \"{id}\"")
    };
    world.sync(&settings("canary-first", "2026"), &[beneficiary("b1")]);
    let rotated = world.sync(&settings("canary-second", "2027"), &[beneficiary("b1")]);
    assert_eq!(rotated.figure("beneficiaries", "changed"), 1);
    let again = world.sync(&settings("canary-second", "2027"), &[beneficiary("b1")]);
    assert_eq!(again.figure("beneficiaries", "rows"), 0);
    let versions = world.columns("changes");
    let [first, second] = ["b1 1", "b1 2"].map(|version| versions[version][0].clone().unwrap());
    assert!(first.starts_with("hmac:2026:") && second.starts_with("hmac:2027:"), "{first} {second}");
    assert_ne!(first.rsplit(':').next(), second.rsplit(':').next());
    let everything = world.everything();
    for canary in CANARIES.into_iter().chain(["canary-first", "canary-second"]) {
        assert!(!everything.contains(canary), "{canary}");
    }
    world.assert_replayed();
}

#[test]
fn a_column_has_a_treatment_of_its_own_and_another_treatment_is_another_version() {
    let mut world = Beneficiaries::new();
    let keep = "personal_data = \"keep\"";
    world.sync(keep, &[beneficiary("b1")]);
    let details = Some(r#"{"iban":"ZA00CANARYIBAN","bankName":"Bank"}"#.to_owned());
    assert_eq!(world.columns("current")["b1 1"], [Some("CanaryNick".to_owned()), details.clone()]);

    let but_one = "[personal_columns]\n\"beneficiaries.nickname\" = \"keep\"";
    let synced = world.sync(but_one, &[beneficiary("b1")]);
    assert_eq!(synced.figure("beneficiaries", "changed"), 1);
    assert_eq!(world.columns("current"), BTreeMap::from([("b1 2".to_owned(), [Some("CanaryNick".to_owned()), None])]));
    assert_eq!(world.columns("changes")["b1 1"][1], details, "what was committed stays");
    assert_eq!(world.sync(but_one, &[beneficiary("b1")]).figure("beneficiaries", "rows"), 0);
}
