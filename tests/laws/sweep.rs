//! Every system call on the lake or the spool as the moment of a kill, or of an error of the disk.
//!
//! ```text
//! a run that is left alone ──▶ its calls: points ──▶ a run a point and fault ──▶ what it left ──▶ a clean sync ──▶ the truth
//! ```
//!
//! Whatever happens where: no panic; an exit code that says what happened; 0 only if the lake is right; what the report calls
//! committed is there; globs find whole rows, each once, and none is lost; and the next sync mends everything. The program
//! runs with one thread of each kind, so that every point is met again, which is asserted. Lakes are small, one a case, and
//! DuckDB looks at hundreds of them at once.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    program::{Ended, program, program_without_credentials, run},
    strace::{Fault, Point, Recorded, Tracer, can_mount},
    tiny::{self, Held, RESOURCES, Time},
};

/// Cases at once.
const WORKERS: usize = 3;
/// Cases between two looks of DuckDB.
const BATCH: usize = 240;
/// Runs that may miss their point before it counts as unreachable: partitions are projected side by side, so that not every
/// run reads its temporary files in the same order.
const ATTEMPTS: u32 = 12;
/// What a sync may say of an error of the disk: nothing, that the store failed, that an outcome is unknown.
const CODES: [i32; 3] = [0, 74, 79];
/// The probe of a new lake makes hundreds of equal calls, on its own paths, which are other ones each time, and on the folders
/// around them: this many of each are met.
const PROBE_POINTS_MAX: usize = 8;
/// The spool is read in many equal calls: this many of each on each file are met.
const SPOOL_POINTS_MAX: usize = 3;

/// Calls that can fail for want of space, as those can that make a file.
const NEED_SPACE: [&str; 7] = ["ftruncate", "fsync", "linkat", "mkdir", "pwrite64", "rename", "write"];
/// Calls that change what is there, as those do that make a file.
const WRITE: [&str; 8] = ["ftruncate", "fsync", "linkat", "mkdir", "pwrite64", "rename", "unlink", "write"];
/// Calls that give a descriptor.
const GIVE_DESCRIPTORS: [&str; 2] = ["fcntl", "openat"];
/// Calls that the runtime makes too, on what is no file, or the library of Parquet on a file that is open, and cannot do
/// without.
const NEVER_FAIL: [&str; 3] = ["close", "statx", "write"];

/// Where a demo is struck, by call: early, while its lake is new, and late.
const DEMO_POINTS: [(&str, &[usize]); 4] = [
    ("fsync", &[3, 100, 300, 500, 700]),
    ("linkat", &[2, 40, 90, 130]),
    ("mkdir", &[2, 60, 120]),
    ("rename", &[2, 40, 80, 120]),
];

/// Certificates are of no concern here; in one file they cost fewer calls than in hundreds.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A sync, and the lake it meets.
struct Scenario {
    api: ScriptedApi,
    /// The lake before, if there is one.
    lake: Option<PathBuf>,
    /// What is in it.
    from: Option<Time>,
    /// What is in it when the sync has ended well.
    to: Time,
    /// Records that `current/` has all the while.
    stay: &'static [&'static str],
    /// Which of its calls are of interest, by their path in the lake.
    of_interest: fn(&Point, &Path) -> bool,
}

/// The folders of one run.
struct Place(PathBuf);

impl Place {
    fn new(path: PathBuf) -> Self {
        let place = Self(path);
        [place.home(), place.spool()].iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        place
    }

    fn lake(&self) -> PathBuf {
        self.0.join("lake")
    }

    fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    fn tracer(&self) -> Tracer {
        Tracer::new(self.home().join("trace"))
    }

    /// Nameless files in the spool are the same ones in each run, if it is a file system of its own.
    fn tracer_of_spool(&self) -> Tracer {
        self.tracer().mounting(self.spool())
    }
}

/// Where cases are run: in memory, if that can be, since every commit is synced.
fn stage() -> TempDir {
    let (memory, builder) = (Path::new("/dev/shm"), tempfile::Builder::new());
    if memory.is_dir() { builder.tempdir_in(memory).or_else(|_| builder.tempdir()) } else { builder.tempdir() }.unwrap()
}

impl Scenario {
    fn sync(&self, place: &Place) -> Command {
        let mut command = program(&place.home());
        command.args(["sync", "--json", "--base-url", &self.api.url(), "--lake"]).arg(place.lake());
        command.args(RESOURCES.iter().flat_map(|(name, _)| ["--resource", name]));
        command.env("TMPDIR", place.spool());
        // Of two that go on side by side, nobody knows which comes first.
        fs::write(place.home().join("settings.toml"), "polls_at_once = 1").unwrap();
        command.args(["--config", "settings.toml"]);
        if Path::new(CERTIFICATES).is_file() {
            command.env("SSL_CERT_FILE", CERTIFICATES);
        }
        command
    }

    /// The sync with one thread of each kind. Only then is the order of its calls always the same.
    fn ordered(&self, place: &Place) -> Command {
        let mut command = self.sync(place);
        command.env("LUMETRADE_THREADS", "1");
        command
    }

    /// The lake as the sync meets it. Other names for the same files are enough: none is ever written to again.
    fn prepare(&self, place: &Place) {
        if let Some(lake) = &self.lake {
            link_all(lake, &place.lake());
        }
    }

    /// The calls of a sync on the lake and the spool.
    fn record(&self, place: &Place) -> Vec<Recorded> {
        self.prepare(place);
        let (ended, recorded) = place.tracer_of_spool().record(&self.ordered(place), &[&place.lake(), &place.spool()]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        recorded
    }

    /// The points on the lake and the spool that a sync comes to, each with what can happen there. Paths are as in `place`.
    fn cases(&self, place: &Place) -> Vec<(Point, Fault)> {
        let (lake, spool) = (place.lake(), place.spool());
        let recorded = self.record(place);
        // What a second run does not come to is no point: the machine was busy with something else.
        let again = Place::new(place.0.with_extension("again"));
        let again: HashSet<Point> =
            self.record(&again).iter().map(|recorded| recorded.point.moved(&again.0, &place.0)).collect();
        let listed = |recorded: &&Recorded| recorded.point.call == "getdents64";
        let listed: HashSet<PathBuf> =
            recorded.iter().filter(listed).map(|recorded| recorded.point.path.clone()).collect();
        let mut counts: BTreeMap<(&str, PathBuf, String), usize> = BTreeMap::new();
        let (mut seen, mut cases) = (HashSet::new(), Vec::new());
        for Recorded { point, anywhere } in recorded {
            let (part, folder, most) = if point.path.starts_with(lake.join("meta/probe")) {
                ("probe", PathBuf::new(), PROBE_POINTS_MAX)
            } else if point.path == lake || point.path == lake.join("meta") {
                ("lake", point.path.clone(), PROBE_POINTS_MAX)
            } else if point.path.starts_with(&spool) {
                ("spool", point.path.clone(), SPOOL_POINTS_MAX)
            } else {
                ("lake", PathBuf::new(), usize::MAX)
            };
            if !(self.of_interest)(&point, point.path.strip_prefix(&lake).unwrap_or(Path::new("spool"))) {
                continue;
            }
            // Nameless files cannot be told from each other where nothing can be mounted.
            let is_nameless = part == "spool" && point.path != spool && !can_mount();
            // Each trial of the store has a name of its own.
            if part != "probe" && !again.contains(&point) {
                continue;
            }
            let point = match anywhere {
                Some(nth) if part == "probe" => Point { path: PathBuf::new(), nth, ..point },
                None if part == "probe" => continue,
                _ => point,
            };
            let count = counts.entry((part, folder, point.call.clone())).or_default();
            if !is_nameless && *count < most && seen.insert(point.clone()) {
                *count += 1;
                cases.extend(faults(part, &point, &listed).into_iter().map(|fault| (point.clone(), fault)));
            }
        }
        let of = |part: &str| counts.iter().filter(|(key, _)| key.0 == part).map(|(_, count)| count).sum::<usize>();
        println!("points: {} on the lake, {} of its probe, {} on the spool", of("lake"), of("probe"), of("spool"));
        cases
    }

    /// A case in a new place: the run with its fault, what it left, and what a clean sync makes of that.
    fn run(&self, batch: &Batch, number: usize, point: &Point, fault: Fault) -> Case {
        let mut what = format!("{fault} at {point}");
        for attempt in 1.. {
            let place = Place::new(batch.0.join(format!("place-{number}-{attempt}")));
            self.prepare(&place);
            let point = point.moved(&batch.recorded().0, &place.0);
            let is_on_spool = point.path.starts_with(place.spool());
            let tracer = if is_on_spool { place.tracer_of_spool() } else { place.tracer() };
            let struck = tracer.strike(&self.ordered(&place), &point, fault);
            if struck.met.is_none() && attempt < ATTEMPTS {
                continue;
            }
            what = format!("{what}: {:?}", struck.met);
            link_all(&place.lake(), &batch.left().join(number.to_string()));
            let mended = run(&mut self.sync(&place));
            let verified = run(program_without_credentials(&place.home()).args(["verify", "--lake"]).arg(place.lake()));
            fs::rename(place.lake(), batch.mended().join(number.to_string())).unwrap();
            return Case { what, is_met: struck.met.is_some(), struck: struck.ended, mended, verified };
        }
        unreachable!()
    }

    /// Runs all cases, and says what is wrong.
    fn sweep(&self) {
        let stage = stage();
        let cases = self.cases(&Place::new(stage.path().join("recorded")));
        let (mut wrong, mut codes) = (Vec::new(), BTreeMap::<_, usize>::new());
        let begun = Instant::now();
        for (number, cases) in cases.chunks(BATCH).enumerate() {
            let batch = Batch::new(stage.path().join(number.to_string()));
            let done = batch.run(self, cases);
            // A new one each time: it remembers files that are gone.
            let mut duckdb = DuckDb::start();
            let (left, mended) = (tiny::held(&mut duckdb, &batch.left()), tiny::held(&mut duckdb, &batch.mended()));
            let nothing = Held::default();
            for (number, case) in done.iter().enumerate() {
                let held = |all: &BTreeMap<String, Held>| all.get(&number.to_string()).unwrap_or(&nothing).clone();
                *codes.entry(case.struck.code).or_default() += 1;
                let found = self.judge(case, &held(&left), &held(&mended));
                wrong.extend(found.into_iter().map(|problem| format!("{}: {problem}", case.what)));
            }
            fs::remove_dir_all(batch.0).unwrap();
        }
        println!("{} cases in {:?}, by exit code: {codes:?}", cases.len(), begun.elapsed());
        assert!(wrong.is_empty(), "{} problems\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    }

    /// What is wrong with a case.
    fn judge(&self, case: &Case, left: &Held, mended: &Held) -> Vec<String> {
        let mut wrong = Vec::new();
        let Case { struck, mended: sync, .. } = case;
        if !case.is_met {
            wrong.push("the point was not met".to_owned());
        }
        if struck.code.is_some_and(|code| !CODES.contains(&code)) {
            wrong.push(format!("exit code {:?}: {}", struck.code, struck.stderr));
        }
        if [struck, sync]
            .iter()
            .any(|ended| ended.stderr.contains("panicked") || ended.stderr.contains("internal error"))
        {
            wrong.push(format!("a panic: {}{}", struck.stderr, sync.stderr));
        }
        wrong.extend(self.unlawful(left).into_iter().map(|problem| format!("it left {problem}")));
        if struck.code == Some(0) {
            wrong
                .extend(self.incomplete(left).into_iter().map(|problem| format!("it ended with 0 and left {problem}")));
        }
        if struck.code.is_some() {
            wrong.extend(self.misreported(&struck.stdout, left));
        }
        if sync.code != Some(0) {
            wrong.push(format!("the next sync ended with {:?}: {}", sync.code, sync.stderr));
        }
        if case.verified.code != Some(0) {
            wrong.push(format!("verify: {}{}", case.verified.stdout, case.verified.stderr));
        }
        wrong.extend(
            self.unlawful(mended)
                .into_iter()
                .chain(self.incomplete(mended))
                .map(|problem| format!("in the end {problem}")),
        );
        wrong
    }

    /// What may be nowhere and at no time: rows that stand twice, or never were, or are lost.
    fn unlawful(&self, held: &Held) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut surplus = |layer: &str, found: &BTreeMap<String, u32>, known: BTreeSet<String>| {
            let odd = found.iter().filter(|(row, count)| **count != 1 || !known.contains(*row));
            wrong.extend(odd.map(|(row, count)| format!("`{row}` {count} times in {layer}")));
        };
        for (resource, _) in RESOURCES {
            surplus("changes", held.changes_of(resource), tiny::versions(resource, self.to));
            let known = self.times().flat_map(|time| tiny::rows(resource, time).into_values()).collect();
            surplus("current", held.current_of(resource), known);
        }
        surplus("current/trade_fills", &held.fills, self.times().flat_map(tiny::fills).collect());
        for (resource, _) in RESOURCES {
            let before = self.from.map(|time| tiny::versions(resource, time)).unwrap_or_default();
            let lost: Vec<_> = before.iter().filter(|row| !held.changes_of(resource).contains_key(*row)).collect();
            if !lost.is_empty() {
                wrong.push(format!("changes/{resource} without {lost:?}"));
            }
            let mut ids: Vec<_> = held.current_of(resource).keys().filter_map(|row| row.split(' ').next()).collect();
            let is_of_this = |id: &&&str| tiny::rows(resource, self.to).contains_key(**id);
            wrong.extend(
                self.stay
                    .iter()
                    .filter(is_of_this)
                    .filter(|id| !ids.contains(id))
                    .map(|id| format!("current without {id}")),
            );
            let count = ids.len();
            ids.dedup();
            if ids.len() != count {
                wrong.push(format!("current/{resource} with two rows of a record: {ids:?}"));
            }
        }
        if held.misfiled > 0 {
            wrong.push(format!("{} rows in another commit's file", held.misfiled));
        }
        wrong
    }

    /// What is missing of the truth.
    fn incomplete(&self, held: &Held) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |layer: &str, found: &BTreeMap<String, u32>, truth: BTreeSet<String>| {
            if !found.keys().eq(&truth) {
                wrong.push(format!("{layer} with {found:?} instead of {truth:?}"));
            }
        };
        for (resource, _) in RESOURCES {
            compare("changes", held.changes_of(resource), tiny::versions(resource, self.to));
            compare("current", held.current_of(resource), tiny::rows(resource, self.to).into_values().collect());
        }
        compare("current/trade_fills", &held.fills, tiny::fills(self.to));
        wrong
    }

    /// Where the report and the lake disagree on what was committed.
    fn misreported(&self, report: &str, left: &Held) -> Vec<String> {
        let lines: Vec<Value> = report.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut wrong = Vec::new();
        for (resource, _) in RESOURCES {
            let before = self.from.map_or(0, |time| tiny::versions(resource, time).len() as u64);
            let new = left.changes_of(resource).len() as u64 - before.min(left.changes_of(resource).len() as u64);
            let line = lines.iter().find(|line| line["resource"] == resource);
            let told = line.map_or(0, |line| line["rows"].as_u64().unwrap());
            let is_unknown = line.is_some_and(|line| line["failure"]["exit_code"] == 79);
            if told > new || (told < new && !is_unknown) {
                wrong.push(format!("it reports {told} rows of {resource}, and there are {new}: {report}"));
            }
        }
        wrong
    }

    fn times(&self) -> impl Iterator<Item = Time> + use<> {
        self.from.into_iter().chain([self.to])
    }
}

/// A run with a fault, what it said, and what the next said, and `verify`.
struct Case {
    what: String,
    is_met: bool,
    struck: Ended,
    mended: Ended,
    verified: Ended,
}

/// Cases that DuckDB looks at together. What each left is kept under other names for the same files.
struct Batch(PathBuf);

impl Batch {
    fn new(path: PathBuf) -> Self {
        let batch = Self(path);
        [batch.left(), batch.mended()].iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        batch
    }

    fn left(&self) -> PathBuf {
        self.0.join("left")
    }

    fn mended(&self) -> PathBuf {
        self.0.join("mended")
    }

    /// Where the points were recorded.
    fn recorded(&self) -> Place {
        Place(self.0.with_file_name("recorded"))
    }

    /// Runs cases, several at once, and returns them in their order.
    fn run(&self, scenario: &Scenario, cases: &[(Point, Fault)]) -> Vec<Case> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let number = next.fetch_add(1, Ordering::Relaxed)
                        && let Some((point, fault)) = cases.get(number)
                    {
                        let case = scenario.run(self, number, point, *fault);
                        done.lock().unwrap().insert(number, case);
                    }
                });
            }
        });
        done.into_inner().unwrap().into_values().collect()
    }
}

/// What can happen at a point. Nothing of the spool is in the lake, so a kill there is one at the lake's next call.
fn faults(part: &str, point: &Point, listed: &HashSet<PathBuf>) -> Vec<Fault> {
    let is = |calls: &[&str]| calls.contains(&point.call.as_str());
    let mut faults = if part == "spool" { Vec::new() } else { vec![Fault::Kill] };
    // The standard library takes it for a defect of its own if a folder that was listed cannot be closed.
    let always_closes = point.call == "close" && listed.contains(&point.path);
    let never_fails = (part == "probe" && is(&NEVER_FAIL)) || (part == "spool" && is(&["statx"]));
    if always_closes || never_fails {
        return faults;
    }
    faults.push(Fault::Once("EIO"));
    if is(&NEED_SPACE) || point.creates {
        faults.push(Fault::Once("ENOSPC"));
    }
    if is(&GIVE_DESCRIPTORS) {
        faults.push(Fault::Once("EMFILE"));
    }
    faults
}

/// Gives every file in a folder a second name in another.
fn link_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_all(&entry.path(), &target);
        } else {
            fs::hard_link(entry.path(), target).unwrap();
        }
    }
}

/// A lake as a first sync leaves it, and the API as it is afterwards.
fn synced(place: &Place) -> ScriptedApi {
    let api = ScriptedApi::start();
    tiny::serve(&api, Time::Before);
    let scenario = Scenario { api, lake: None, from: None, to: Time::Before, stay: &[], of_interest: |_, _| true };
    let ended = run(&mut scenario.sync(place));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    tiny::serve(&scenario.api, Time::After);
    scenario.api
}

#[test]
fn a_sync_that_makes_the_lake_may_be_killed_or_fail_at_every_call() {
    let api = ScriptedApi::start();
    tiny::serve(&api, Time::Before);
    let of_interest = |_: &Point, path: &Path| {
        let is_part = |part: &str| path.starts_with(part);
        let is_identity =
            path.to_str().is_some_and(|path| path.is_empty() || path == "meta" || path.starts_with("meta/lake.json"));
        is_identity
            || is_part("meta/probe")
            || is_part("changes") && path.components().count() == 1
            || path.to_str().is_some_and(|path| path.starts_with("trial"))
    };
    Scenario { api, lake: None, from: None, to: Time::Before, stay: &[], of_interest }.sweep();
}

#[test]
fn a_first_sync_may_be_killed_or_fail_at_every_call() {
    let stage = stage();
    let (synced_place, new) = (Place::new(stage.path().join("synced")), stage.path().join("new"));
    let api = synced(&synced_place);
    tiny::serve(&api, Time::Before);
    fs::create_dir_all(new.join("meta")).unwrap();
    fs::hard_link(synced_place.lake().join("meta/lake.json"), new.join("meta/lake.json")).unwrap();
    Scenario { api, lake: Some(new), from: None, to: Time::Before, stay: &[], of_interest: |_, _| true }.sweep();
}

#[test]
fn a_later_sync_may_be_killed_or_fail_at_every_call_that_writes() {
    let stage = stage();
    let place = Place::new(stage.path().to_owned());
    let api = synced(&place);
    let stay = &["A1", "A2", "T1", "T3", "T4"];
    // The calls that read are met in a sync that reads more.
    let of_interest = |point: &Point, _: &Path| point.creates || WRITE.contains(&point.call.as_str());
    Scenario { api, lake: Some(place.lake()), from: Some(Time::Before), to: Time::After, stay, of_interest }.sweep();
}

#[test]
fn a_later_sync_that_has_to_mend_the_lake_may_be_killed_or_fail_at_every_call() {
    let stage = stage();
    let place = Place::new(stage.path().to_owned());
    let api = synced(&place);
    let in_lake = |path: &str| place.lake().join(path);
    // Of the trades, another writer has claimed a number and was never seen again, and half of the caches are gone.
    let claim = serde_json::json!({
        "seq": 3, "key": "changes/trades/event_month=2026-03/00000000000000000003.parquet",
        "size": 1, "sha256": "0".repeat(64), "poll_id": "another",
    });
    fs::write(in_lake("meta/trades/log/00000000000000000003.json"), claim.to_string()).unwrap();
    for cache in ["current/trades/event_month=2026-01/data.parquet", "meta/trades/state/known.bin"] {
        fs::remove_file(in_lake(cache)).unwrap();
    }
    let stay = &["A1", "A2", "T3", "T4"];
    let of_interest = |_: &Point, _: &Path| true;
    Scenario { api, lake: Some(place.lake()), from: Some(Time::Before), to: Time::After, stay, of_interest }.sweep();
}

#[test]
fn a_demo_may_be_killed_or_fail_anywhere_and_leaves_a_lake_that_is_right() {
    let stage = stage();
    let cases: Vec<(Point, Fault)> = DEMO_POINTS
        .iter()
        .flat_map(|(call, points)| {
            points.iter().map(|nth| Point { call: (*call).into(), path: PathBuf::new(), nth: *nth, creates: false })
        })
        .flat_map(|point| [Fault::Kill, Fault::Once("EIO"), Fault::Once("ENOSPC")].map(|fault| (point.clone(), fault)))
        .collect();
    let (next, met) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some((point, fault)) = cases.get(number)
        {
            let place = Place::new(stage.path().join(number.to_string()));
            let mut demo = program_without_credentials(&place.home());
            demo.args(["demo", "--lake"]).arg(place.lake()).env("LUMETRADE_THREADS", "1").env("TMPDIR", place.spool());
            let struck = place.tracer().strike(&demo, point, *fault);
            let Ended { code, stderr, .. } = &struck.ended;
            let is_told = code.is_none_or(|code| CODES.contains(&code)) && !stderr.contains("panicked");
            assert!(is_told, "{fault} at {point}: {:?}", struck.ended);
            met.fetch_add(usize::from(struck.met.is_some()), Ordering::Relaxed);
            let verified = run(program_without_credentials(&place.home()).args(["verify", "--lake"]).arg(place.lake()));
            let is_made = place.lake().join("meta/lake.json").exists();
            let expected = if is_made { 0 } else { 78 };
            assert_eq!(verified.code, Some(expected), "{fault} at {point}: {verified:?}");
            fs::remove_dir_all(&place.0).unwrap();
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let met = met.into_inner();
    println!("{met} of {} points were met", cases.len());
    assert!(met * 4 >= cases.len() * 3, "{met} of {} points were met", cases.len());
}
