//! A run as OpenTelemetry's trace: OTLP 1, in JSON. Pure.
//!
//! ```text
//! sync                                   from the run's beginning to its end
//!   ├─ trades                            a resource, with what it came to
//!   │    ├─ settle ├─ poll ├─ commit ├─ project    its stages, one behind the other, each with all its attempts
//!   └─ …
//! ```
//!
//! Identifiers are hashes of the lake, of when the run began and of what a span is, so that a trace that is sent twice is one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::{
    error::Error,
    metrics::{attribute, envelope},
    sync::{PastRun, Report, ResourceReport},
};

/// Within this program (`SPAN_KIND_INTERNAL`).
const INTERNAL: u32 = 1;
/// `STATUS_CODE_OK` and `STATUS_CODE_ERROR`.
const STATUS: [u32; 2] = [1, 2];

/// What is sent to `/v1/traces`. Failures are quoted in it: it may have secrets in it.
pub(super) fn request(lake: &str, run: &PastRun, ended: &Result<Report, Error>) -> String {
    let trace = Trace { id: format!("{} {lake}", run.started_at) };
    let took = Duration::try_from_secs_f64(run.seconds).unwrap_or_default();
    let failure = match ended {
        Ok(_) if run.exit_code == 0 => None,
        Ok(_) => Some(format!("exit code {}", run.exit_code)),
        Err(error) => Some(error.to_string()),
    };
    let attributes = vec![number("lumetrade.exit_code", run.exit_code.into()), attribute("lumetrade.lake", lake)];
    let mut spans = vec![trace.span("", "sync", run.started_at, took, attributes, failure.as_deref())];
    for resource in ended.iter().flat_map(|report| &report.resources) {
        trace.add_resource(resource, &mut spans);
    }
    envelope(["resourceSpans", "scopeSpans", "spans"], spans).to_string()
}

fn number(name: &str, value: u64) -> Value {
    json!({ "key": name, "value": { "intValue": value.to_string() } })
}

struct Trace {
    /// What tells it from others.
    id: String,
}

impl Trace {
    fn add_resource(&self, resource: &ResourceReport, spans: &mut Vec<Value>) {
        let Some(started_at) = resource.started_at else { return };
        let name = &resource.resource;
        let attributes = vec![
            attribute("lumetrade.resource", name),
            attribute("lumetrade.outcome", &resource.outcome.to_string()),
            number("lumetrade.added", resource.added),
            number("lumetrade.changed", resource.changed),
            number("lumetrade.removed", resource.removed),
            number("lumetrade.quarantined", resource.quarantined),
            number("lumetrade.body_bytes", resource.body_bytes),
            number("lumetrade.head", resource.head),
        ];
        let failure = resource.failure.as_ref().map(|failure| failure.message.as_str());
        spans.push(self.span("sync", name, started_at, resource.took, attributes, failure));
        let mut begins = started_at;
        for (stage, took) in &resource.seconds {
            spans.push(self.span(&format!("sync/{name}"), stage.name(), begins, *took, Vec::new(), None));
            begins += *took;
        }
    }

    /// A span within another, which is named by its path; the first is within none.
    fn span(
        &self,
        parent: &str,
        name: &str,
        started_at: DateTime<Utc>,
        took: Duration,
        attributes: Vec<Value>,
        failure: Option<&str>,
    ) -> Value {
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        let mut status = json!({ "code": STATUS[usize::from(failure.is_some())] });
        if let Some(failure) = failure {
            status["message"] = failure.into();
        }
        json!({
            "traceId": format!("{:032x}", xxh3_128(self.id.as_bytes())),
            "spanId": self.span_id(&path),
            "parentSpanId": if parent.is_empty() { String::new() } else { self.span_id(parent) },
            "name": name,
            "kind": INTERNAL,
            "startTimeUnixNano": nanos(started_at),
            "endTimeUnixNano": nanos(started_at + took),
            "attributes": attributes,
            "status": status,
        })
    }

    fn span_id(&self, path: &str) -> String {
        format!("{:016x}", xxh3_64(format!("{} {path}", self.id).as_bytes()))
    }
}

fn nanos(time: DateTime<Utc>) -> String {
    time.timestamp_nanos_opt().unwrap_or_default().to_string()
}
