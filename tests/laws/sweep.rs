//! Every system call on the lake or the spool as the moment of a kill, or of an error of the disk.
//!
//! ```text
//! a run that is left alone ──▶ its calls, each a point ──▶ a run a point and fault ──▶ what it left ──▶ a clean sync ──▶ the truth
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
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    program::{Ended, behind, program, run},
    strace::{Fault, Point, in_one_thread, record, strike},
    tiny::{self, Held, RESOURCES, Time},
};

/// Cases at once.
const WORKERS: usize = 3;
/// Cases between two looks of DuckDB.
const BATCH: usize = 240;
/// What a sync may say of an error of the disk: nothing, that the store failed, that an outcome is unknown.
const CODES: [i32; 3] = [0, 74, 79];
/// The probe of a new lake makes hundreds of equal calls, on paths that are other ones each time: this many of each are met.
const PROBE_POINTS_MAX: usize = 8;
/// The spool is read in many equal calls: this many on each file are met.
const SPOOL_POINTS_MAX: usize = 3;

/// Calls that can fail for want of space, as others can if they make a file.
const NEED_SPACE: [&str; 7] = ["ftruncate", "fsync", "linkat", "mkdir", "pwrite64", "rename", "write"];
/// Calls that give a descriptor.
const GIVE_DESCRIPTORS: [&str; 2] = ["fcntl", "openat"];
/// Calls that the runtime makes too, on what is no file: it cannot do without them.
const OF_THE_RUNTIME: [&str; 2] = ["close", "write"];

/// Certificates are of no concern here; in one file they cost fewer calls than in hundreds.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A command, and the lake it meets.
struct Scenario {
    api: ScriptedApi,
    /// The lake before, if there is one.
    lake: Option<PathBuf>,
    /// What is in it.
    from: Option<Time>,
    /// What is in it when the command has ended well.
    to: Time,
    /// Trades that `current/` has all the while.
    stay: &'static [&'static str],
}

/// A run with a fault, and what it said.
struct Case {
    what: String,
    ended: Ended,
    mended: Ended,
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

    fn trace(&self) -> PathBuf {
        self.home().join("trace")
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
        if Path::new(CERTIFICATES).is_file() {
            command.env("SSL_CERT_FILE", CERTIFICATES);
        }
        command
    }

    /// The sync to be traced. Files in its spool have the same names in every run, since it is a file system of its own.
    fn traced(&self, place: &Place) -> Command {
        let sync = in_one_thread(self.sync(place));
        if !can_mount() {
            return sync;
        }
        sync
    }

    /// The lake as the command meets it. Other names for the same files are enough: none is ever written to again.
    fn prepare(&self, place: &Place) {
        if let Some(lake) = &self.lake {
            link_all(lake, &place.lake());
        }
    }

    /// The points on the lake and the spool that a run of this scenario comes to, each with what can happen there.
    fn cases(&self, place: &Place) -> Vec<(Point, Fault)> {
        self.prepare(place);
        let folders = [&*place.lake(), &*place.spool()];
        let (ended, recorded) = record(&self.traced(place), &folders, &place.trace());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut cases = Vec::new();
        for Recorded { point, anywhere } in recorded {
            let is_probe = point.path.starts_with(place.lake().join("meta/probe"));
            let is_spool = point.path.starts_with(place.spool());
            let point = match anywhere {
                Some(nth) if is_probe => Point { path: PathBuf::new(), nth, ..point },
                None if is_probe => continue,
                _ => point,
            };
            let part = if is_probe { "probe" } else if is_spool { point.path.to_str().unwrap() } else { "lake" };
            let count = counts.entry(format!("{part} {}", point.call)).or_default();
            let enough = if is_probe { PROBE_POINTS_MAX } else if is_spool { SPOOL_POINTS_MAX } else { usize::MAX };
            if *count < enough && seen.insert(point.clone()) {
                *count += 1;
                cases.extend(faults(&point, is_spool).into_iter().map(|fault| (point.clone(), fault)));
            }
        }
        println!("{}: {} points, {} cases", self.name(), seen.len(), cases.len());
        cases
    }
}
