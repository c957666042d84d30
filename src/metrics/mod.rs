//! What runs come to, as metrics for Prometheus and OpenTelemetry: asked for while `sync --every` runs, or in a file for the node exporter.
//!
//! ```text
//! Report ──▶ Metrics ──▶ text ──▶ GET /metrics
//!                │           └──▶ a file, from which the next process goes on
//!                └──▶ OpenTelemetry's, under the same names
//! ```
//!
//! No label has anything but names of profiles, resources, kinds and stages.

mod endpoint;
mod family;
mod otlp;
mod samples;
mod textfile;

use chrono::{DateTime, Utc};

pub use self::{
    endpoint::Endpoint,
    family::{FAMILIES, Family, Kind},
    otlp::{attribute, envelope},
};
use self::{
    family::{
        API_REQUESTS, API_RETRIES, BUILD, CHANGES, COMMITS, EXIT_CODE, FAILED_RUNS, FAILURES, GUARD_REFUSALS, HEAD,
        KNOWN, LAST_EXIT_CODE, LAST_RUN, LAST_RUN_DURATION, LAST_SUCCESS, MISSED_RUNS, NEXT_RUN, OLDEST_OPEN, OPEN,
        QUARANTINED, RECEIVED, REGRESSED, RELOADED, RUNS, STAGES, STALE, STORE_REQUESTS, STORE_WRITES,
        WEBHOOK_FAILURES, WITHHELD,
    },
    samples::{OfProfile, Samples},
};
use crate::sync::{PastRun, Report, ResourceReport};

/// What all runs came to so far.
#[derive(Debug, Clone)]
pub struct Metrics {
    samples: Samples,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::after(Samples::default())
    }
}

impl Metrics {
    fn after(mut samples: Samples) -> Self {
        samples.set(&BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        // What has not happened yet has happened no times: else the first time would be seen by nobody.
        samples.add(&MISSED_RUNS, &[], 0.0);
        let mut metrics = Self { samples };
        metrics.expect(None);
        metrics
    }

    fn expect(&mut self, profile: Option<&str>) {
        for counter in [&RUNS, &FAILED_RUNS, &WEBHOOK_FAILURES] {
            self.samples.of_profile(profile).add(counter, &[], 0.0);
        }
    }

    /// Forgets all profiles but these, and whatever is of none unless that is among them.
    pub fn keep_to(&mut self, profiles: &[Option<&str>]) {
        self.samples.keep_to(profiles);
        profiles.iter().for_each(|profile| self.expect(*profile));
    }

    /// Takes note of a run, of a profile if there are profiles, and of its report if it has one.
    pub fn note(&mut self, profile: Option<&str>, run: &PastRun, report: Option<&Report>) {
        let mut samples = self.samples.of_profile(profile);
        samples.add(&RUNS, &[], 1.0);
        samples.add(&FAILED_RUNS, &[], f64::from(u8::from(run.exit_code != 0)));
        samples.set(&LAST_EXIT_CODE, &[], f64::from(run.exit_code));
        samples.set(&LAST_RUN, &[], seconds(run.started_at));
        samples.set(&LAST_RUN_DURATION, &[], run.seconds);
        let Some(report) = report else { return };
        samples.add(&API_REQUESTS, &[], report.effort.api_requests as f64);
        samples.add(&API_RETRIES, &[], report.effort.api_retries as f64);
        samples.add(&STORE_REQUESTS, &[], report.effort.store_requests as f64);
        samples.add(&STORE_WRITES, &[], report.effort.store_objects_written as f64);
        report.resources.iter().for_each(|resource| note_resource(&mut samples, resource, report.started_at));
    }

    /// When the next run is due, and how many were left out before it.
    pub fn next_run(&mut self, due: DateTime<Utc>, missed: u64) {
        self.samples.set(&NEXT_RUN, &[], seconds(due));
        self.samples.add(&MISSED_RUNS, &[], missed as f64);
    }

    /// Whether the settings could be read again.
    pub fn reloaded(&mut self, successfully: bool) {
        self.samples.set(&RELOADED, &[], f64::from(u8::from(successfully)));
    }

    /// That the webhook did not take a message.
    pub fn webhook_failed(&mut self, profile: Option<&str>) {
        self.samples.of_profile(profile).add(&WEBHOOK_FAILURES, &[], 1.0);
    }

    /// All of it at this time (nanoseconds), as OTLP has it in JSON.
    #[must_use]
    pub fn to_otlp(&self, now: i64) -> String {
        otlp::request(&self.samples, now).to_string()
    }

    /// All of it, in Prometheus's text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.samples.to_text()
    }
}

/// What a failed resource had committed counts; how it stands is as the last run knew it that did not fail.
fn note_resource(samples: &mut OfProfile<'_>, report: &ResourceReport, started_at: DateTime<Utc>) {
    let name = report.resource.as_str();
    let resource = &[("resource", name)];
    for (kind, count) in [("added", report.added), ("changed", report.changed), ("removed", report.removed)] {
        samples.add(&CHANGES, &[("resource", name), ("kind", kind)], count as f64);
    }
    for (stage, duration) in &report.seconds {
        samples.observe(&STAGES, &[("resource", name), ("stage", stage.name())], duration.as_secs_f64());
    }
    samples.add(&COMMITS, resource, report.commits.len() as f64);
    samples.add(&RECEIVED, resource, report.body_bytes as f64);
    samples.add(&REGRESSED, resource, report.regressed as f64);
    samples.add(&STALE, resource, report.stale_skipped as f64);
    let failure = report.failure.as_ref();
    samples.add(&FAILURES, resource, f64::from(u8::from(failure.is_some())));
    samples.add(&GUARD_REFUSALS, resource, f64::from(u8::from(failure.is_some_and(|failure| failure.by_guard))));
    samples.set(&EXIT_CODE, resource, failure.map_or(0.0, |failure| f64::from(failure.exit_code)));
    if failure.is_some() {
        return;
    }
    samples.set(&LAST_SUCCESS, resource, seconds(started_at));
    samples.set(&HEAD, resource, report.head as f64);
    samples.set(&KNOWN, resource, report.known as f64);
    samples.set(&OPEN, resource, report.open as f64);
    samples.set(&QUARANTINED, resource, report.quarantined as f64);
    samples.set(&WITHHELD, resource, report.withheld as f64);
    match report.oldest_open_at {
        Some(at) => samples.set(&OLDEST_OPEN, resource, seconds(at)),
        None if report.open == 0 => samples.remove(&OLDEST_OPEN, resource),
        // A list that had not changed was not looked into.
        None => {}
    }
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::{
        error::Error,
        sync::{Effort, Stage, Stopwatch},
    };

    fn noted(metrics: &mut Metrics, change: impl FnOnce(&mut ResourceReport)) {
        let mut resource = ResourceReport::new("trades");
        change(&mut resource);
        let report = Report { started_at: DateTime::UNIX_EPOCH, resources: vec![resource], effort: Effort::default() };
        let ended = Ok(report);
        metrics.note(None, &PastRun::of(DateTime::UNIX_EPOCH, Stopwatch::start(), &ended), ended.as_ref().ok());
    }

    fn values<'t>(text: &'t str, family: &Family) -> Vec<&'t str> {
        let rest = |line: &'t str| line.split(['{', ' ']).next()?.strip_prefix(family.name);
        text.lines().filter(|line| ["", "_sum", "_count"].map(Some).contains(&rest(line))).collect()
    }

    #[test]
    fn every_metric_is_told_with_its_labels_and_no_others() {
        let mut metrics = Metrics::default();
        noted(&mut metrics, |resource| {
            resource.oldest_open_at = Some(DateTime::UNIX_EPOCH);
            resource.seconds.insert(Stage::Poll, Duration::from_secs(1));
        });
        metrics.next_run(DateTime::UNIX_EPOCH, 0);
        metrics.reloaded(true);
        let text = metrics.to_text();
        for family in FAMILIES {
            let values = values(&text, family);
            assert!(!values.is_empty(), "{} is not told:\n{text}", family.name);
            for value in values {
                let labels = value.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
                let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0));
                assert_eq!(names.collect::<Vec<_>>(), family.labels, "{value}");
            }
        }
        let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len(), "a name is given twice");
    }

    #[test]
    fn a_failure_leaves_how_a_resource_stands_as_it_was() {
        let mut metrics = Metrics::default();
        let standing = |metrics: &Metrics| {
            let text = metrics.to_text();
            [&LAST_SUCCESS, &KNOWN, &OPEN, &OLDEST_OPEN, &HEAD].map(|family| values(&text, family).concat())
        };
        noted(&mut metrics, |resource| {
            (resource.known, resource.open, resource.head) = (7, 2, 3);
            resource.oldest_open_at = Some(DateTime::UNIX_EPOCH);
        });
        let before = standing(&metrics);
        noted(&mut metrics, |resource| resource.fail(&Error::Bug("x".to_owned())));
        assert_eq!(standing(&metrics), before);
        noted(&mut metrics, |resource| resource.open = 2);
        assert_eq!(standing(&metrics)[3], before[3], "a list that had not changed was not looked into");
        noted(&mut metrics, |resource| resource.open = 0);
        assert_eq!(standing(&metrics)[3], "");
    }

    #[test]
    fn a_run_that_could_not_begin_is_a_failed_run_of_no_resource() {
        let (mut metrics, ended) = (Metrics::default(), Err(Error::Bug("x".to_owned())));
        metrics.note(None, &PastRun::of(DateTime::UNIX_EPOCH, Stopwatch::start(), &ended), None);
        let text = metrics.to_text();
        assert!(text.contains("failed_runs_total 1\n") && text.contains("last_run_exit_code 70\n"), "{text}");
        assert!(!text.contains("resource="), "{text}");
    }
}
