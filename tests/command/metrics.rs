//! Metrics are what Prometheus reads, and say what the runs came to; so do the dashboard, the rules and the units beside them.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use chrono::TimeDelta;
use lumetrade_export::metrics::{FAMILIES, Family, Kind};
use serde_json::Value;

use crate::support::{
    lake::Lake,
    program::{Sync, Synced, executable},
    promtool::promtool,
    sandbox::Sandbox,
};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

/// A lake that is synced with metrics in a file.
struct World {
    lake: Lake,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Self {
        Self { lake: Lake::new(), sandbox: Sandbox::start(62, 300) }
    }

    fn sync(&self) -> Synced {
        Sync::new(&self.lake, &self.sandbox.url()).settings("[operate]\nmetrics_file = \"metrics.prom\"").run()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.lake.folder().join("metrics.prom")).unwrap()
    }

    /// The values of a metric whose labels have all of these.
    fn find(&self, name: &str, labels: &[&str]) -> Vec<f64> {
        let text = self.text();
        let of_name = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let meant = of_name.filter(|line| labels.iter().all(|label| line.contains(label)));
        meant.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// The only one.
    fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let values = self.find(name, labels);
        assert_eq!(values.len(), 1, "{name} {labels:?}:\n{}", self.text());
        values[0]
    }
}

#[test]
fn a_file_of_metrics_goes_on_from_one_sync_to_the_next_and_says_what_the_reports_say() {
    let world = World::new();
    let resource = "resource=\"deposits\"";
    let (mut added, mut open) = (0, 0);
    for _ in 0..3 {
        let synced = world.sync();
        assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
        added += synced.figure("deposits", "added");
        for (metric, figure) in [("known_records", "known"), ("open_records", "open"), ("head", "head")] {
            let expected = synced.figure("deposits", figure) as f64;
            assert_eq!(world.value(&format!("lumetrade_export_{metric}"), &[resource]), expected, "{metric}");
        }
        let now = world.value("lumetrade_export_last_run_timestamp_seconds", &[]);
        for (name, report) in &synced.resources {
            let oldest = world.find("lumetrade_export_oldest_open_record_timestamp_seconds", &[&format!("\"{name}\"")]);
            assert_eq!(oldest.len() as u64, report["open"].as_u64().unwrap().min(1), "{name}");
            // A first poll begins after the run that it is part of.
            assert!(oldest.iter().all(|oldest| (now - 600.0..now + 60.0).contains(oldest)), "{oldest:?}");
            open += oldest.len();
        }
        world.sandbox.advance(TimeDelta::days(3));
    }
    assert!(open > 0, "some records are open");
    assert_eq!(world.value("lumetrade_export_changes_total", &[resource, "kind=\"added\""]), added as f64);
    assert_eq!(world.value("lumetrade_export_runs_total", &[]), 3.0);

    world.sandbox.switch("fault?kind=short&resource=deposits");
    let (success, known) = ("lumetrade_export_last_success_timestamp_seconds", "lumetrade_export_known_records");
    let before = [success, known].map(|name| world.value(name, &[resource]));
    assert_eq!(world.sync().ended.code, Some(65));
    assert_eq!([success, known].map(|name| world.value(name, &[resource])), before, "a failure is no news of these");
    for (metric, value) in [("guard_refusals_total", 1.0), ("failures_total", 1.0), ("exit_code", 65.0)] {
        assert_eq!(world.value(&format!("lumetrade_export_{metric}"), &[resource]), value, "{metric}");
    }
    assert!(world.value(success, &["resource=\"trades\""]) > before[0]);
    let mode = fs::metadata(world.lake.folder().join("metrics.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "whoever collects it is another user");
}

#[test]
fn prometheus_accepts_the_metrics_and_their_names() {
    let world = World::new();
    world.sync();
    promtool(&["check", "metrics"], &world.text()).unwrap();
    assert!(promtool(&["check", "metrics"], "up{ 1\n").is_err());
}

#[test]
fn the_rules_and_the_dashboard_ask_for_metrics_that_exist_in_a_form_that_prometheus_reads() {
    let rules = format!("{CONFIG}/alerts.yml");
    promtool(&["check", "rules", &rules], "").unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids of panels are their own");
    let expressions: Vec<_> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m").replace("$resource", ".*"))
        .collect();
    let records: String =
        expressions.iter().enumerate().map(|(n, e)| format!("  - {{record: q{n}, expr: '{e}'}}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.yml");
    fs::write(&file, format!("groups:\n- name: queries\n  rules:\n{records}")).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "").unwrap();

    let known: BTreeSet<String> = FAMILIES
        .iter()
        .flat_map(|family| match family.kind {
            Kind::Summary => vec![format!("{}_sum", family.name), format!("{}_count", family.name)],
            Kind::Counter | Kind::Gauge => vec![family.name.to_owned()],
        })
        .collect();
    for (text, what) in [(read("grafana-dashboard.json"), "the dashboard"), (read("alerts.yml"), "a rule")] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let asked: BTreeSet<_> = words.filter(|word| word.starts_with("lumetrade_export_")).collect();
        assert!(asked.len() > 8);
        for name in asked {
            assert!(known.contains(name), "{what} asks for {name}, which there is not");
        }
    }
}

#[test]
fn the_readme_lists_every_metric_as_it_is() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for Family { name, labels, help, .. } in FAMILIES {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let name = name.strip_prefix("lumetrade_export_").unwrap();
        let row = format!("| `{name}` | {} | {help} |", labels.join(", ")).replace("|  |", "| |");
        assert!(readme.lines().any(|line| line == row), "{row}");
    }
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = ["lumetrade-export.service", "lumetrade-export-once.service", "lumetrade-export-once.timer"];
    let paths = units.map(|unit| {
        let text = read(unit).replace("/usr/local/bin/lumetrade-export", executable().to_str().unwrap());
        let path = folder.path().join(unit);
        fs::write(&path, text).unwrap();
        path
    });
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        assert!(Command::new("apt-get").args(["install", "-y", "systemd"]).status().unwrap().success());
    }
    let output = Command::new("systemd-analyze").arg("verify").args(&paths).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
    let sync = read(units[0]).lines().find(|line| line.starts_with("ExecStart=")).unwrap().to_owned();
    assert!(sync.contains(" sync --every 15m "), "{sync}");
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(CONFIG).join(name)).unwrap()
}
