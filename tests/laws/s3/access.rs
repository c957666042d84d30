//! Who may do what, and where: credentials, permissions, regions, and stores that cannot hold a lake.

use std::time::Duration;

use super::world::{Place, World};
use crate::support::{
    duckdb::DuckDb,
    program::{KEY, SECRET, Synced, program_on, program_without_credentials, run},
    s3::{
        Options, REGION, S3,
        bucket::Verb,
        fault::{Class, FOR_EVER, Fault, What, When},
        policy::Policy,
    },
};

/// Fails unless a sync ended with this code, one line of error with these words in it, and nothing under `changes/`.
#[track_caller]
fn assert_refused(place: &Place, synced: &Synced, code: i32, words: &[&str]) {
    place.check_report(synced);
    let stderr = &synced.ended.stderr;
    assert_eq!(synced.ended.code, Some(code), "{stderr}");
    let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    let written = place.s3.contents().into_keys().filter(|key| key.starts_with("changes/")).count();
    assert_eq!(written, 0, "nothing was to be committed");
}

#[test]
fn credentials_that_do_not_hold_are_told_as_such() {
    let world = World::without_lake();
    let place = Place::new(S3::start(Options { session_token: true, ..Options::default() }));
    let denied = ["not allowed to read meta/lake.json"];
    let wrong_key = world.sync(&place).with("AWS_ACCESS_KEY_ID", "AKIAOTHER").run();
    assert_refused(&place, &wrong_key, 77, &denied);
    let no_token = world.sync(&place).without("AWS_SESSION_TOKEN").run();
    assert_refused(&place, &no_token, 77, &denied);
    let other_token = world.sync(&place).with("AWS_SESSION_TOKEN", "canary-of-another-session").run();
    assert_refused(&place, &other_token, 77, &denied);
    assert!(!other_token.ended.stderr.contains("canary"));
    world.sync(&place).succeed();
}

#[test]
fn a_session_that_expires_on_the_way_is_told_as_such_and_the_next_goes_on() {
    let world = World::new();
    let mut duckdb = DuckDb::start();
    for class in [Class::List, Class::Get, Class::Claim, Class::Data, Class::Cache] {
        let place = world.place_with(Options { session_token: true, ..Options::default() });
        let first = world.requests[&class].div_ceil(2);
        place.s3.inject(Fault { class, what: What::Expired, when: When::Before, first, times: FOR_EVER });
        let synced = world.sync(&place).run();
        place.check_report(&synced);
        assert_eq!(synced.ended.code, Some(77), "{class:?}: {}", synced.ended.stderr);
        assert!(synced.ended.stderr.contains("not allowed to "), "{class:?}: {}", synced.ended.stderr);
        place.s3.heal();
        world.sync(&place).succeed();
        world.assert_is_the_truth(&place, &mut duckdb);
    }
}

#[test]
fn a_bucket_that_is_not_there_or_in_another_region_is_a_matter_of_settings() {
    let world = World::without_lake();
    let place = Place::new(S3::start(Options { regional: true, ..Options::default() }));
    let elsewhere = world.sync(&place).with("AWS_REGION", "us-other-1").run();
    assert_refused(&place, &elsewhere, 78, &[REGION]);
    let requests = place.s3.seen().len();
    assert_eq!(requests, 1, "a redirect is not followed, and not asked for again");
    world.sync(&place).succeed();
    let nowhere = Place::new(S3::start(Options { named_otherwise: true, ..Options::default() }));
    assert_refused(&nowhere, &world.sync(&nowhere).run(), 78, &["bucket"]);
}

#[test]
fn the_bucket_may_be_in_the_host() {
    let world = World::without_lake();
    let place = Place::new(S3::start(Options { virtual_hosts: true, ..Options::default() }));
    world.sync(&place).with("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true").succeed();
    let keys = place.s3.contents();
    assert!(keys.contains_key("meta/lake.json") && keys.keys().any(|key| key.starts_with("changes/")), "{keys:?}");
}

/// The policy that the project gives out is enough for everything that a sync does, also for healing, and for no more.
#[test]
fn a_sync_needs_no_right_that_the_policy_does_not_give() {
    let mut duckdb = DuckDb::start();
    let policed = || Options { policy: Some(Policy::of_config("iam-policy.json")), ..Options::default() };
    let fresh = World::without_lake();
    let place = Place::new(S3::start(policed()));
    let first = fresh.sync(&place).settings("raw_archive = true\n[operate]\nruns_kept = 2").succeed();
    assert_eq!(first.outcome("withdrawals"), "committed");
    assert!(place.s3.contents().keys().any(|key| key.ends_with("meta/runs.json")), "{}", first.ended.stderr);
    // What was archived makes a lake anew, in a folder as well as here.
    let mut replay = program_without_credentials(place.folder.path());
    replay.args(["replay", "--lake", "anew", "--from", &place.s3.location().location]);
    let replayed = run(replay.envs(&place.s3.location().environment));
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let rows = format!("FROM '{}/anew/changes/withdrawals/**/*.parquet'", place.folder.path().display());
    let rows = duckdb.value(&format!("SELECT CAST(count(*) AS VARCHAR) {rows}"));
    assert_eq!(rows, first.figure("withdrawals", "rows").to_string());
    let world = World::new();
    let place = world.place_with(policed());
    let assert_nothing_denied = |place: &Place| {
        let denied: Vec<_> = place.s3.seen().into_iter().filter(|seen| seen.status == Some(403)).collect();
        assert!(denied.is_empty(), "{denied:?}");
    };
    for damage in ["", "current/withdrawals/", "meta/withdrawals/state/", "meta/withdrawals/current.json"] {
        if !damage.is_empty() {
            let keys = place.s3.contents().into_keys().filter(|key| key.starts_with(damage));
            keys.for_each(|key| place.s3.forget(&key));
        }
        world.sync(&place).succeed();
        world.assert_is_the_truth(&place, &mut duckdb);
    }
    let mut compact = program_on(&place.s3.location(), place.folder.path(), "compact");
    let compacted = run(compact.args(["--min-commits", "1"]));
    assert_eq!(compacted.code, Some(0), "{}", compacted.stderr);
    assert!(place.s3.contents().keys().any(|key| key.starts_with("snapshots/withdrawals/")));
    assert_nothing_denied(&place);
    // A claim left open is settled, too.
    let place = world.place_with(policed());
    place.s3.inject(Fault { class: Class::Data, what: What::Late, when: When::After, first: 2, times: 1 });
    let mut writer = world.sync(&place).with("AWS_TIMEOUT", "60 seconds").spawn();
    place.s3.await_late(1);
    writer.kill().unwrap();
    writer.wait().unwrap();
    world.sync(&place).succeed();
    assert_eq!(place.s3.land(), 0);
    world.assert_is_the_truth(&place, &mut duckdb);
    assert_nothing_denied(&place);
}

#[test]
fn with_the_readers_policy_alone_nothing_can_be_written() {
    let world = World::new();
    let policy = Policy::of_config("iam-policy-reader.json");
    let place = world.place_with(Options { policy: Some(policy), ..Options::default() });
    let before = place.s3.contents();
    let synced = world.sync(&place).run();
    assert_eq!(synced.ended.code, Some(77), "{}", synced.ended.stderr);
    assert_eq!(place.s3.contents(), before);
}

#[test]
fn a_comparison_with_the_api_only_reads_the_bucket() {
    let world = World::new();
    let place = world.place();
    let (before, asked) = (place.s3.contents(), place.s3.seen().len());
    let compare = || {
        let mut verify = program_on(&place.s3.location(), place.folder.path(), "verify");
        verify.args(["--against-api", "--base-url", &world.api.url(), "--resource", "withdrawals"]);
        run(verify.env("LUMETRADE_API_KEY", KEY).env("LUMETRADE_API_SECRET", SECRET))
    };
    let differs = compare();
    assert_eq!(differs.code, Some(65), "{}", differs.stderr);
    let writes: Vec<_> = place.s3.seen().split_off(asked).into_iter().filter(|seen| seen.verb.writes()).collect();
    assert!(writes.is_empty() && place.s3.contents() == before, "{writes:?}");
    world.sync(&place).succeed();
    let equal = compare();
    assert_eq!(equal.code, Some(0), "{}{}", equal.stdout, equal.stderr);
}

#[test]
fn a_store_that_breaks_a_law_is_refused_by_that_law_and_keeps_no_commit() {
    let world = World::without_lake();
    let rows = [
        (Flaw::IgnoresConditions, "If-None-Match"),
        (Flaw::Races, "creates of one key at once"),
        (Flaw::ListsLate, "a listing afterwards does not show it"),
    ];
    for (flaw, law) in rows {
        let place = flawed(flaw);
        let synced = world.sync(&place).run();
        assert_refused(&place, &synced, 76, &["cannot hold a lake", law]);
        assert!(!place.s3.contents().contains_key("meta/lake.json"), "{flaw:?}: no lake was to be made");
        assert!(synced.ended.stderr.contains("another store"), "{}", synced.ended.stderr);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    IgnoresConditions,
    Races,
    ListsLate,
}

fn flawed(flaw: Flaw) -> Place {
    let s3 = S3::start(Options { races: flaw == Flaw::Races, ..Options::default() });
    s3.bucket(|bucket| {
        bucket.ignores_conditions = flaw == Flaw::IgnoresConditions;
        bucket.listing_lag = if flaw == Flaw::ListsLate { Duration::from_secs(3600) } else { Duration::ZERO };
    });
    Place::new(s3)
}

/// A store that comes to list late when it already holds a lake is not asked by the probe again; the claims hold all the same.
#[test]
fn listings_that_come_to_lag_behind_do_not_double_anything() {
    let world = World::new();
    let mut duckdb = DuckDb::start();
    let place = world.place();
    place.s3.bucket(|bucket| bucket.listing_lag = Duration::from_secs(3600));
    for _ in 0..2 {
        let synced = world.sync(&place).run();
        place.check_report(&synced);
        let code = synced.ended.code;
        assert!(matches!(code, Some(74..=76)), "{code:?}: {}", synced.ended.stderr);
    }
    place.s3.bucket(|bucket| bucket.listing_lag = Duration::ZERO);
    world.sync(&place).succeed();
    world.assert_is_the_truth(&place, &mut duckdb);
}

#[test]
fn no_output_however_verbose_tells_a_secret() {
    let world = World::new();
    let options = || Options { session_token: true, ..Options::default() };
    let fault = |class, what| Fault { class, what, when: When::Before, first: 1, times: 2 };
    let faults = [
        None,
        Some(fault(Class::Get, What::Expired)),
        Some(fault(Class::Claim, What::Expired)),
        Some(fault(Class::Data, What::Reset)),
        Some(fault(Class::List, What::Html)),
        Some(fault(Class::Cache, What::Conflict)),
    ];
    for verbosity in ["-vv", "-vvvv"] {
        for fault in faults {
            let place = world.place_with(options());
            fault.into_iter().for_each(|fault| place.s3.inject(fault));
            let synced = world.sync(&place).arg(verbosity).run();
            assert!(!synced.ended.stderr.is_empty(), "{verbosity} says more");
            place.check_report(&synced);
        }
        let place = world.place_with(options());
        // A secret that is no setting for anything: what is told of it names the variable alone.
        let synced = world.sync(&place).arg(verbosity).without("AWS_ACCESS_KEY_ID").run();
        assert!(matches!(synced.ended.code, Some(77 | 78)), "{:?}", synced.ended);
        place.check_report(&synced);
    }
}

#[test]
fn every_listing_of_some_length_has_pages_and_nothing_is_asked_that_need_not_be() {
    let world = World::new();
    let place = world.place();
    world.sync(&place).succeed();
    let before = place.s3.seen().len();
    world.sync(&place).succeed();
    let quiet = place.s3.seen().split_off(before);
    let writes: Vec<_> = quiet.iter().filter(|seen| seen.verb.writes()).collect();
    assert!(writes.is_empty(), "a sync that finds nothing new writes nothing: {writes:?}");
    let log = quiet.iter().filter(|seen| seen.verb == Verb::List && seen.key.starts_with("meta/withdrawals/log"));
    assert_eq!(log.count(), 1, "claims that are known are not listed");
    let before = place.s3.seen().len();
    let status = run(&mut program_on(&place.s3.location(), place.folder.path(), "status"));
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    let looks = place.s3.seen().split_off(before);
    let commits = looks.iter().filter(|seen| seen.verb == Verb::List && seen.key.starts_with("changes/withdrawals"));
    assert!(commits.count() >= 3, "eight commits are listed by three");
}
