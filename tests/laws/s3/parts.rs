//! Objects that are uploaded in parts: a fault at any step leaves at worst an upload that nobody sees.

use crate::{
    laws::s3::world::{Place, run_all},
    support::{
        api::ScriptedApi,
        lake::Lake,
        program::Sync,
        random::Random,
        s3::{
            Options, S3,
            bucket::Bucket,
            fault::{Class, Fault, What, When},
            policy::Policy,
        },
    },
};

/// A table of this size in `current/` takes two parts.
const RECORDS: usize = 1100;
const RECORD_BYTES: usize = 20 << 10;

const PATH: &str = "/api/v1/withdrawals";

struct World {
    api: ScriptedApi,
    bucket: Bucket,
}

impl World {
    /// A lake without records, in a store that replaces on no condition, and an API with many bytes.
    fn new() -> Self {
        let mut random = Random::seeded(3103);
        let record = |number| {
            let noise: String = (0..RECORD_BYTES / 16).map(|_| format!("{:016x}", random.next())).collect();
            format!(
                r#"{{"transactionId":"W{number:06}","createdAt":"2026-03-03T00:00:00Z","withdrawDetails":"{noise}"}}"#
            )
        };
        let records: Vec<String> = (0..RECORDS).map(record).collect();
        let api = ScriptedApi::start();
        let place = Place::new(S3::start(Options::default()));
        place.s3.bucket(|bucket| bucket.never_replaces_on_condition = true);
        api.serve(PATH, "[]");
        let world = Self { api, bucket: Bucket::default() };
        world.sync(&place).succeed();
        world.api.serve(PATH, format!("[{}]", records.join(",")));
        Self { bucket: place.s3.bucket(|bucket| bucket.clone()), ..world }
    }

    fn sync(&self, place: &Place) -> Sync {
        let sync = Sync::into_bucket(place.folder.path(), &place.s3.location(), &self.api.url());
        sync.with("AWS_TIMEOUT", "3 seconds").arg("--resource").arg("withdrawals")
    }
}

fn cases() -> Vec<Fault> {
    let mut cases = Vec::new();
    for (class, first) in [(Class::Begin, 1), (Class::Part, 1), (Class::Part, 2), (Class::Complete, 1)] {
        for what in [What::InternalError, What::Reset, What::Timeout, What::ErrorBody, What::Html] {
            cases.extend([When::Before, When::After].map(|when| Fault { class, what, when, first, times: 1 }));
        }
    }
    cases
}

#[test]
fn an_upload_in_parts_that_goes_wrong_anywhere_is_made_good() {
    let world = World::new();
    run_all(&cases(), |fault, duckdb| {
        // What is begun in vain may not even be dropped.
        let policy = Some(Policy::of_config("iam-policy.json"));
        let place = Place::new(S3::with(world.bucket.clone(), Options { policy, ..Options::default() }));
        place.s3.inject(*fault);
        let synced = world.sync(&place).run();
        assert!(place.s3.heal() > 0, "the fault has not happened");
        assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
        place.check_report(&synced);
        world.sync(&place).succeed();
        let lake = Lake::of(&place.s3.contents());
        let [changes, current] = ["changes", "current"].map(|layer| lake.scan(layer, "withdrawals"));
        let count = |table: &str| format!("SELECT CAST(count(*) AS VARCHAR) FROM {table}");
        assert_eq!(duckdb.value(&count(&changes)), RECORDS.to_string());
        assert_eq!(duckdb.value(&count(&current)), RECORDS.to_string());
        assert_eq!(duckdb.rows_apart(&changes, &current), "0");
    });
}
