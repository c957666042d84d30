//! All metrics that there are. Names and units follow Prometheus's conventions: seconds, bytes, `_total` for what only grows,
//! and times as such, not as ages, which queries reckon.

/// A metric, with whatever labels it has.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether it is of the process, and not of a profile, where there are profiles.
    pub is_of_process: bool,
    /// Labels of each of its values, after that of the profile.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They are as things stand.
    Gauge,
    /// A sum and a count, both of which only grow.
    Summary,
}

impl Kind {
    /// As the text format has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        }
    }
}

macro_rules! families {
    ($($constant:ident: $kind:ident, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(pub(super) const $constant: Family = Family {
            name: concat!("lumetrade_export_", $name),
            kind: Kind::$kind,
            is_of_process: is_of_process($name),
            labels: &[$($label),*],
            help: $help,
        };)*

        /// All of them.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

/// Metrics of the process.
const fn is_of_process(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"build_info" | b"next_run_timestamp_seconds" | b"missed_runs_total" | b"settings_last_reload_successful"
    )
}

families! {
    BUILD: Gauge, "build_info", ["version"], "1, with the version of this program.";
    RUNS: Counter, "runs_total", [], "Runs that have ended.";
    FAILED_RUNS: Counter, "failed_runs_total", [], "Of these, those whose exit code was not 0.";
    LAST_RUN: Gauge, "last_run_timestamp_seconds", [], "When the last run began.";
    LAST_RUN_DURATION: Gauge, "last_run_duration_seconds", [], "How long the last run was.";
    LAST_EXIT_CODE: Gauge, "last_run_exit_code", [], "Exit code of the last run.";
    NEXT_RUN: Gauge, "next_run_timestamp_seconds", [], "When the next run is due, while `sync --every` runs.";
    MISSED_RUNS: Counter, "missed_runs_total", [], "Runs left out because the one before took longer than the period.";
    RELOADED: Gauge, "settings_last_reload_successful", [], "Whether the settings could be read when they were last asked for.";
    API_REQUESTS: Counter, "api_requests_total", [], "Requests to the API.";
    API_RETRIES: Counter, "api_retries_total", [], "Of these, those that were made again.";
    STORE_REQUESTS: Counter, "store_requests_total", [], "Requests to the store of the lake.";
    STORE_WRITES: Counter, "store_objects_written_total", [], "Objects created or replaced in the lake.";
    WEBHOOK_FAILURES: Counter, "webhook_failures_total", [], "Messages that the webhook did not take.";
    LAST_SUCCESS: Gauge, "last_success_timestamp_seconds", ["resource"], "When the last run began that synced the resource.";
    EXIT_CODE: Gauge, "exit_code", ["resource"], "What the last run of the resource came to: 0, or the exit code that its failure stands for.";
    FAILURES: Counter, "failures_total", ["resource"], "Runs that did not sync the resource.";
    GUARD_REFUSALS: Counter, "guard_refusals_total", ["resource"], "Of these, those in which a guard refused the API's answer.";
    CHANGES: Counter, "changes_total", ["resource", "kind"], "Rows committed.";
    COMMITS: Counter, "commits_total", ["resource"], "Commits made.";
    HEAD: Gauge, "head", ["resource"], "Number of the last commit.";
    KNOWN: Gauge, "known_records", ["resource"], "Records that have not gone: those that the API lists, and those that only files have told of.";
    OPEN: Gauge, "open_records", ["resource"], "Of these, the ones that are expected to change.";
    OLDEST_OPEN: Gauge, "oldest_open_record_timestamp_seconds", ["resource"], "When the first seen of the open records was first observed.";
    RECEIVED: Counter, "received_bytes_total", ["resource"], "Length of the API's lists, decompressed.";
    QUARANTINED: Gauge, "quarantined_records", ["resource"], "Records of the last list that went to quarantine.";
    WITHHELD: Gauge, "withheld_records", ["resource"], "Records missing from the last list that were not taken for removed.";
    REGRESSED: Counter, "regressed_records_total", ["resource"], "Records that had ended and came to be open again.";
    STALE: Counter, "stale_records_total", ["resource"], "Records skipped because a newer version is known.";
    STAGES: Summary, "stage_duration_seconds", ["resource", "stage"], "How long the stages of a sync took that came to their end.";
}
