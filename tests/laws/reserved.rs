//! What the contract reserves: lists read page by page, in part, or on condition; and what a check says of it.

use chrono::TimeDelta;

use super::records::assert_current_is_the_truth;
use crate::support::{
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, Synced, program, run},
    sandbox::Sandbox,
    tables::Resource,
    verified::assert_verified,
};

pub(super) const QUICK: &str = "requests_per_second = 1000.0\n";
pub(super) const PAGED: &str = "pagination = \"page\"\npage_size = 30\n";
pub(super) const WINDOWED: &str = "incremental = \"window\"\nlookback = \"1d\"\nfull_poll_every = \"365d\"\n";

struct World {
    lake: Lake,
    sandbox: Sandbox,
}

impl World {
    fn new(seed: u64, records: u64) -> Self {
        Self { lake: Lake::new(), sandbox: Sandbox::start(seed, records) }
    }

    fn sync(&self, settings: &str) -> Synced {
        Sync::new(&self.lake, &self.sandbox.url()).settings(&format!("{QUICK}{settings}")).run()
    }

    #[track_caller]
    fn succeed(&self, settings: &str) -> Synced {
        let synced = self.sync(settings);
        assert_eq!(synced.ended.code, Some(0), "{}\n{}", synced.ended.stdout, synced.ended.stderr);
        synced
    }

    /// Fails with the message, and leaves the lake as it was.
    #[track_caller]
    fn refuse(&self, settings: &str, code: i32, messages: &[&str]) {
        let before = self.lake.contents();
        let synced = self.sync(settings);
        assert_eq!(synced.ended.code, Some(code), "{}", synced.ended.stderr);
        let told = synced.resources.values().filter_map(|line| line["failure"]["message"].as_str());
        let told: Vec<_> = told.chain([synced.ended.stderr.as_str()]).collect();
        for message in messages {
            assert!(told.iter().any(|told| told.contains(message)), "{message}: {told:?}");
        }
        assert_untouched(&before, &self.lake.contents(), messages[0]);
    }

    fn assert_current(&self) {
        assert_current_is_the_truth(&mut DuckDb::start(), &self.lake, &self.sandbox, &documented());
        assert_verified(&self.lake);
    }

    fn check(&self, args: &[&str], settings: &str) -> Ended {
        let file = self.lake.folder().join("settings.toml");
        std::fs::write(&file, format!("{QUICK}{settings}")).unwrap();
        let mut command = program(self.lake.folder());
        command.args(["check", "--base-url", &self.sandbox.url(), "--config", "settings.toml", "--lake"]);
        run(command.arg(self.lake.path()).args(args))
    }
}

fn documented() -> Vec<Resource> {
    ["accounts", "wallets", "beneficiaries", "deposits", "withdrawals", "trades"].map(Resource::named).into()
}

fn transactions(synced: &Synced, figure: &str) -> u64 {
    ["deposits", "withdrawals", "trades"].iter().map(|name| synced.figure(name, figure)).sum()
}

#[test]
fn pages_of_either_shape_make_the_whole_list() {
    let world = World::new(11, 400);
    for shape in ["bare", "envelope"] {
        world.sandbox.switch(&format!("paginate?on=true&shape={shape}&size_max=25"));
        world.succeed(PAGED);
        world.assert_current();
        assert_eq!(transactions(&world.succeed(PAGED), "rows"), 0, "{shape}");
        world.sandbox.advance(TimeDelta::days(9));
    }
    world.sandbox.switch("paginate?on=false");
    world.succeed("");
    world.assert_current();
}

#[test]
fn a_server_that_begins_to_paginate_is_found_out_and_the_message_names_the_setting() {
    let world = World::new(12, 300);
    world.succeed("");
    world.sandbox.switch("paginate?on=true&shape=bare");
    world.refuse("", 65, &["as if it had begun to paginate", "hint: `pagination = \"page\"` in the settings"]);
    world.sandbox.switch("paginate?on=true&shape=envelope");
    world.refuse("", 65, &["an object with `content` instead of a list", "hint: `pagination = \"page\"`"]);
    assert_eq!(transactions(&world.succeed(PAGED), "rows"), 0);
}

#[test]
fn pages_that_do_not_make_a_list_are_refused() {
    let world = World::new(13, 300);
    world.succeed("");
    let rows = [
        ("paginate?on=false", "page 1 holds the same records as one before it"),
        ("paginate?on=true&ignore=true", "page 1 holds the same records as one before it"),
        ("paginate?on=true&ignore=true&shape=envelope", "page 1 says that it is page 0"),
        ("paginate?on=true&repeat=true", "page 2 holds the same records as one before it"),
        ("paginate?on=true&endless=true&size_max=10", "holds the same records as one before it"),
    ];
    for (switch, message) in rows {
        world.sandbox.switch(switch);
        world.refuse(PAGED, 65, &[message, "hint: `check --reserved` tells"]);
    }
    world.sandbox.switch("paginate?on=true");
    assert_eq!(transactions(&world.succeed(PAGED), "rows"), 0);
}

#[test]
fn a_list_that_moves_while_it_is_walked_loses_and_doubles_nothing() {
    let world = World::new(14, 400);
    world.succeed("");
    // Records that are put in front are seen twice.
    world.sandbox.switch("paginate?on=true&shift=1");
    let synced = world.succeed(PAGED);
    assert_eq!(transactions(&synced, "rows"), 0);
    assert!(transactions(&synced, "repeated") > 0);
    // Where some are taken away, others move to a page that was read already: they are asked for, and are there.
    world.sandbox.switch("paginate?on=true&shift=-1");
    let synced = world.succeed(PAGED);
    assert_eq!(transactions(&synced, "rows"), 0);
    assert!(transactions(&synced, "withheld") > 0);
    assert!(synced.ended.stderr.contains("may have moved while its pages were read"), "{}", synced.ended.stderr);
    world.sandbox.switch("paginate?on=true");
    world.sandbox.advance(TimeDelta::days(30));
    world.succeed(PAGED);
    world.assert_current();
}

#[test]
fn a_window_finds_what_is_new_and_what_was_open_and_the_whole_list_finds_the_rest() {
    let world = World::new(15, 600);
    world.sandbox.switch("filters?dates=event_time");
    let first = world.succeed(WINDOWED);
    assert!(first.resources["trades"]["since"].is_null(), "nothing was known");
    let known = world.sandbox.truth(&Resource::named("trades")).len() as u64;
    world.sandbox.advance(TimeDelta::days(10));
    let all = world.sandbox.truth(&Resource::named("trades")).len() as u64;
    let second = world.succeed(WINDOWED);
    assert!(second.resources["trades"]["since"].is_string(), "{}", second.ended.stdout);
    assert_eq!((second.figure("trades", "added"), second.figure("trades", "removed")), (all - known, 0));
    assert!(second.figure("trades", "body_bytes") < first.figure("trades", "body_bytes") / 4);
    assert!(second.resources["accounts"]["since"].is_null(), "accounts have no times");
    assert_verified(&world.lake);
    assert_eq!(transactions(&world.succeed(WINDOWED), "rows"), 0);
    // No trade is left open that is not open any more.
    let truth = world.sandbox.truth(&Resource::named("trades"));
    let still_open = truth.values().filter(|trade| trade["status"] == "PENDING").count();
    let scan = world.lake.scan("current", "trades");
    let found = DuckDb::start().value(&format!("SELECT count(*)::VARCHAR FROM {scan} WHERE status = 'PENDING'"));
    assert_eq!(found, still_open.to_string());

    let due = WINDOWED.replace("365d", "0s");
    assert!(world.succeed(&due).resources["trades"]["since"].is_null());
    world.assert_current();
}

#[test]
fn a_window_that_the_server_passes_over_does_no_harm() {
    let world = World::new(16, 200);
    world.succeed(WINDOWED);
    world.sandbox.advance(TimeDelta::days(20));
    let synced = world.succeed(WINDOWED);
    assert!(synced.resources["trades"]["since"].is_string());
    let transactions = ["deposits", "withdrawals", "trades"].map(Resource::named);
    assert_current_is_the_truth(&mut DuckDb::start(), &world.lake, &world.sandbox, &transactions);
    assert_verified(&world.lake);
}

#[test]
fn the_quarantine_tells_of_the_whole_list_whatever_part_was_asked_for() {
    let world = World::new(20, 300);
    world.sandbox.switch("filters?dates=event_time");
    world.sandbox.switch("fault?kind=huge-amount&resource=trades");
    assert_eq!(world.succeed(WINDOWED).figure("trades", "quarantined"), 1);
    let quarantined =
        |world: &World| world.lake.contents().into_iter().filter(|(file, _)| file.starts_with("quarantine/"));
    let before: Vec<_> = quarantined(&world).collect();
    world.sandbox.switch("reset");
    world.sandbox.switch("filters?dates=event_time");
    world.sandbox.advance(TimeDelta::days(3));
    assert!(world.succeed(WINDOWED).resources["trades"]["since"].is_string());
    assert!(quarantined(&world).eq(before), "a part of the list heals nothing");
    world.sandbox.advance(TimeDelta::days(3));
    world.sandbox.switch("fault?kind=no-id&resource=trades");
    let synced = world.succeed(WINDOWED);
    assert_eq!(synced.figure("trades", "quarantined"), 1);
    assert!(synced.resources["trades"]["since"].is_null(), "the whole list was read");
    assert!(synced.ended.stderr.contains("reading the whole list"), "{}", synced.ended.stderr);
}

#[test]
fn a_window_does_not_hide_that_the_server_has_begun_to_paginate() {
    let world = World::new(21, 600);
    world.sandbox.switch("filters?dates=event_time");
    world.succeed(WINDOWED);
    world.sandbox.switch("paginate?on=true&size_max=10");
    world.sandbox.advance(TimeDelta::days(90));
    world.refuse(WINDOWED, 65, &["as if it had begun to paginate", "the part is as long as a page"]);
}

#[test]
fn where_single_reads_say_less_the_whole_list_is_read() {
    let world = World::new(17, 4_000);
    world.sandbox.switch("filters?dates=event_time");
    world.sandbox.switch("single-reads?shape=narrow");
    world.succeed(WINDOWED);
    world.sandbox.advance(TimeDelta::days(3));
    let synced = world.succeed(WINDOWED);
    assert!(synced.resources["trades"]["since"].is_null() || synced.resources["withdrawals"]["since"].is_null());
    assert!(synced.ended.stderr.contains("a single read says less than the list"), "{}", synced.ended.stderr);
}

#[test]
fn an_unchanged_list_is_not_sent_again() {
    let world = World::new(18, 200);
    world.sandbox.switch("etags?on=true");
    let conditional = "conditional = true\n";
    let first = world.succeed(conditional);
    let second = world.succeed(conditional);
    for name in ["deposits", "trades", "wallets"] {
        assert_eq!((second.outcome(name), second.figure(name, "body_bytes")), ("unchanged", 0));
        assert_eq!(second.figure(name, "unchanged"), first.figure(name, "added"));
    }
    world.sandbox.advance(TimeDelta::days(20));
    world.succeed(conditional);
    world.assert_current();
    // Whoever does not ask on condition gets the list.
    assert!(world.succeed("").figure("trades", "body_bytes") > 0);
    // A cache that has gone has to be made from the list: another value of a record may lie in it.
    let states = world.lake.files().into_iter().filter(|file| file.starts_with("meta/trades/state"));
    states.for_each(|file| std::fs::remove_file(world.lake.path().join(file)).unwrap());
    assert!(world.succeed(conditional).figure("trades", "body_bytes") > 0);
}

#[test]
fn a_check_says_what_a_server_makes_of_what_is_reserved() {
    let world = World::new(19, 300);
    let said = |ended: &Ended, what: &str| {
        let line = ended.stdout.lines().find(|line| line.split_whitespace().next() == Some(what));
        line.unwrap_or_else(|| panic!("{what}: {}{}", ended.stdout, ended.stderr)).to_owned()
    };
    assert!(!world.check(&[], "").stdout.contains("trades.pages"), "it is tried where it is wanted");
    let ended = world.check(&["--reserved"], "");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    for (what, expected) in [
        ("trades.pages", "well    `size` is passed over: a page of 2 has"),
        ("trades.dateFrom", "well    `dateFrom` is passed over: all records are listed"),
        ("trades.ETag", "well    lists come without an ETag"),
        ("trades.single", "well    single reads say what the list says"),
    ] {
        assert!(said(&ended, what).contains(expected), "{}", said(&ended, what));
    }

    let ended = world.check(&[], &format!("{PAGED}{WINDOWED}"));
    assert_eq!(ended.code, Some(78), "{}", ended.stdout);
    let expected = "FAILED  `dateFrom` is passed over: all records are listed, and the settings rely on it";
    assert!(said(&ended, "trades.dateFrom").contains(expected), "{}", ended.stdout);
    assert!(said(&ended, "trades.pages").contains("FAILED"), "{}", ended.stdout);

    world.sandbox.switch("paginate?on=true&ignore=true&size_max=5");
    assert!(
        said(&world.check(&["--reserved", "--resource", "wallets"], ""), "wallets.pages")
            .contains("`page` is passed over")
    );
    world.sandbox.switch("paginate?on=false");
    for switch in ["filters?dates=event_time", "etags?on=true"] {
        world.sandbox.switch(switch);
    }
    let ended = world.check(&[], &format!("conditional = true\n{WINDOWED}"));
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(said(&ended, "trades.dateFrom").contains("well    `dateFrom` is honoured"), "{}", ended.stdout);
    assert!(said(&ended, "trades.ETag").contains("well    `If-None-Match` is honoured"), "{}", ended.stdout);

    for (switch, what, expected) in [
        ("filters?dates=completed_at", "trades.dateFrom", "`dateFrom` compares another time: it leaves out"),
        ("single-reads?shape=narrow", "trades.single", "single reads leave out what the list has: created_at"),
        ("single-reads?shape=missing", "trades.single", "is not given by itself (404)"),
    ] {
        world.sandbox.switch(switch);
        let ended = world.check(&["--resource", "trades"], WINDOWED);
        assert_eq!(ended.code, Some(78), "{switch}: {}", ended.stdout);
        assert!(said(&ended, what).contains(expected), "{switch}: {}", ended.stdout);
    }
    assert!(!world.lake.path().exists(), "a check writes nothing");
}
