//! What OpenTelemetry's collector is sent, as its own messages read it.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use lumetrade_export::metrics::FAMILIES;
use serde_json::Value;

use crate::support::{
    api::{Answer, ScriptedApi},
    lake::Lake,
    program::{Sync, Synced},
    python,
    sandbox::Sandbox,
};

const PATHS: [&str; 2] = ["/v1/metrics", "/v1/traces"];
/// A secret by itself.
const HEADER: &str = "canary-otlp-token";

struct World {
    lake: Lake,
    sandbox: Sandbox,
    collector: ScriptedApi,
}

impl World {
    fn new() -> Self {
        let collector = ScriptedApi::start();
        PATHS.iter().for_each(|path| collector.serve(path, "{}"));
        Self { lake: Lake::new(), sandbox: Sandbox::start(71, 200), collector }
    }

    fn sync(&self) -> Synced {
        let settings = format!("[operate]\notlp_endpoint = \"{}/\"", self.collector.url());
        let sync = Sync::new(&self.lake, &self.sandbox.url()).settings(&settings);
        sync.with("LUMETRADE_OTLP_HEADERS", &format!("x-api-key={HEADER}, x-tenant=7")).arg("-vv").run()
    }

    /// What was sent last to each of the paths.
    fn last(&self) -> [Value; 2] {
        let bodies = self.collector.bodies();
        let last = PATHS.iter().zip(&bodies[bodies.len() - 2..]).map(|(path, body)| read(path, body));
        last.collect::<Vec<_>>().try_into().unwrap()
    }
}

/// A request as OpenTelemetry's own messages have it.
#[track_caller]
fn read(path: &str, body: &str) -> Value {
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/otlp_driver.py");
    let mut command = Command::new(python::of_otlp());
    let mut child = command.arg(driver).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", serde_json::json!([path, body])).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{path}: {body}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn attribute<'a>(of: &'a Value, name: &str) -> &'a Value {
    let attributes = of["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == name);
    let value = &found.unwrap_or_else(|| panic!("no {name}: {of}"))["value"];
    value.get("stringValue").or_else(|| value.get("intValue")).unwrap()
}

#[test]
fn a_run_is_told_with_its_metrics_and_as_a_trace() {
    let world = World::new();
    let synced = world.sync();
    assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
    let requests = world.collector.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        let request = request.to_lowercase();
        assert!(request.contains("x-tenant: 7") && request.contains(&format!("x-api-key: {HEADER}")), "{request}");
        assert!(request.contains("content-type: application/json"), "{request}");
    }
    let [metrics, traces] = world.last();

    let service = &metrics["resourceMetrics"][0];
    assert_eq!(attribute(&service["resource"], "service.name"), "lumetrade-export");
    let metrics = service["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let named =
        |name: &str| metrics.iter().find(|metric| metric["name"] == format!("lumetrade_export_{name}")).unwrap();
    let names: BTreeSet<_> = metrics.iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    assert!(
        names.len() > 20 && names.iter().all(|name| FAMILIES.iter().any(|family| family.name == *name)),
        "{names:?}"
    );
    let known = named("known_records")["gauge"]["dataPoints"].as_array().unwrap();
    let trades = known.iter().find(|point| attribute(point, "resource") == "trades").unwrap();
    assert_eq!(trades["asDouble"].as_f64(), synced.resources["trades"]["known"].as_f64());
    let added = named("changes_total");
    assert_eq!(
        (&added["sum"]["isMonotonic"], &added["sum"]["aggregationTemporality"]),
        (&true.into(), &"AGGREGATION_TEMPORALITY_CUMULATIVE".into())
    );
    assert_eq!(
        (&named("received_bytes_total")["unit"], &named("last_run_duration_seconds")["unit"]),
        (&"By".into(), &"s".into())
    );
    let stages = named("stage_duration_seconds")["summary"]["dataPoints"].as_array().unwrap();
    let poll = stages
        .iter()
        .find(|point| (attribute(point, "resource"), attribute(point, "stage")) == (&"trades".into(), &"poll".into()));
    assert_eq!(poll.unwrap()["count"], "1");

    let spans = traces["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let ids: BTreeSet<_> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    let span = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let [run, trades] = ["sync", "trades"].map(span);
    assert!(run.get("parentSpanId").is_none_or(|id| id == ""), "{run}");
    assert_eq!(trades["parentSpanId"], run["spanId"]);
    assert_eq!(attribute(trades, "lumetrade.added"), &synced.figure("trades", "added").to_string());
    let time = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    let within = |inner: &Value, outer: &Value| {
        time(inner, "startTimeUnixNano") >= time(outer, "startTimeUnixNano") / 1_000_000 * 1_000_000
            // What ends at the same moment may be told to the millisecond alone.
            && time(inner, "endTimeUnixNano") <= time(outer, "endTimeUnixNano") + 1_000_000
    };
    assert!(within(trades, run), "{trades} {run}");
    let stages: Vec<_> = spans.iter().filter(|span| span["parentSpanId"] == trades["spanId"]).collect();
    assert_eq!(
        stages.iter().map(|span| span["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["settle", "poll", "commit", "project"]
    );
    assert!(stages.iter().all(|stage| within(stage, trades)), "{stages:?} {trades}");
    assert!(
        spans.iter().all(|span| span["traceId"] == run["traceId"] && span["status"]["code"] == "STATUS_CODE_OK"),
        "{spans:?}"
    );
}

#[test]
fn a_failure_is_a_span_with_an_error_and_no_secret() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    PATHS.iter().for_each(|path| api.serve(path, "{}"));
    api.answer("/api/v1/deposits", [Answer::error(403, "the key sandbox-key may not", "req_1")]);
    let settings = format!("[operate]\notlp_endpoint = \"{}\"", api.url());
    let synced = Sync::of(&lake, &api.url(), "deposits").settings(&settings).run();
    assert_eq!(synced.ended.code, Some(77), "{}", synced.ended.stderr);
    let bodies = api.bodies();
    assert!(!bodies.concat().contains("sandbox-key"), "{bodies:?}");
    let traces = read(PATHS[1], &bodies[1]);
    let spans = traces["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let status = |name: &str| &spans.iter().find(|span| span["name"] == name).unwrap()["status"];
    assert_eq!(
        (&status("sync")["code"], &status("deposits")["code"]),
        (&"STATUS_CODE_ERROR".into(), &"STATUS_CODE_ERROR".into())
    );
    assert!(status("deposits")["message"].as_str().unwrap().contains("the key [secret] may not"), "{spans:?}");
}

#[test]
fn a_collector_that_does_not_take_it_changes_nothing_of_the_sync() {
    let world = World::new();
    world.collector.answer(PATHS[0], [Answer::error(500, "no", "r")]);
    let synced = world.sync();
    assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
    assert!(synced.ended.stderr.contains("the collector was not told"), "{}", synced.ended.stderr);
    assert!(!synced.ended.stderr.contains(HEADER), "{}", synced.ended.stderr);
    let refused = Sync::of(&world.lake, &world.sandbox.url(), "trades")
        .settings("[operate]\notlp_endpoint = \"http://collector.example:4318\"")
        .run();
    assert_eq!(refused.ended.code, Some(78), "{}", refused.ended.stderr);
    assert!(refused.ended.stderr.contains("operate.otlp_endpoint"), "{}", refused.ended.stderr);
}
