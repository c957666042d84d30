//! Values of metrics as OpenTelemetry has them: OTLP 1, in JSON (opentelemetry-proto, `metrics.proto`, and the mapping of protobuf
//! to JSON, in which numbers of 64 bits are texts).
//!
//! Names are Prometheus's, so that a query means the same on either way. Sums are of all that a process has seen, or has read from
//! the metrics' file, since a time that is not told.

use serde_json::{Value, json};

use super::{
    family::{FAMILIES, Family, Kind},
    samples::Samples,
};

/// Sums that only grow are told from their beginning on (`AGGREGATION_TEMPORALITY_CUMULATIVE`).
const CUMULATIVE: u32 = 2;

/// What is sent to `/v1/metrics`.
pub(super) fn request(samples: &Samples, now: i64) -> Value {
    let metrics: Vec<_> = FAMILIES.iter().filter_map(|family| metric(samples, family, now)).collect();
    envelope(["resourceMetrics", "scopeMetrics", "metrics"], metrics)
}

/// A request with these metrics or spans of this program. Given are the names of their lists, the outermost first.
#[must_use]
pub fn envelope([resources, scopes, list]: [&str; 3], values: Vec<Value>) -> Value {
    let (name, version) = ("lumetrade-export", env!("CARGO_PKG_VERSION"));
    json!({ resources: [{
        "resource": { "attributes": [attribute("service.name", name), attribute("service.version", version)] },
        scopes: [{ "scope": { "name": name, "version": version }, list: values }],
    }] })
}

/// An attribute that is a text.
#[must_use]
pub fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

fn metric(samples: &Samples, family: &Family, now: i64) -> Option<Value> {
    let time = now.to_string();
    let point = |labels: &[(String, String)], values: Value| {
        let attributes: Vec<_> = labels.iter().map(|(name, value)| attribute(name, value)).collect();
        let mut point = json!({ "timeUnixNano": time, "attributes": attributes });
        if let (Some(point), Value::Object(values)) = (point.as_object_mut(), values) {
            point.extend(values);
        }
        point
    };
    let values: Vec<_> = samples.of(family).collect();
    if values.is_empty() {
        return None;
    }
    let numbers =
        || values.iter().map(|(_, labels, value)| point(labels, json!({ "asDouble": value }))).collect::<Vec<_>>();
    let (form, data) = match family.kind {
        Kind::Counter => {
            ("sum", json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": numbers() }))
        }
        Kind::Gauge => ("gauge", json!({ "dataPoints": numbers() })),
        Kind::Summary => {
            let counts = values.iter().filter(|(rest, ..)| *rest == "_count");
            let points = counts.map(|(_, labels, count)| {
                let sum = values.iter().find(|(rest, of, _)| *rest == "_sum" && of == labels);
                let sum = sum.map_or(0.0, |(.., sum)| *sum);
                point(labels, json!({ "count": (*count as u64).to_string(), "sum": sum }))
            });
            ("summary", json!({ "dataPoints": points.collect::<Vec<_>>() }))
        }
    };
    let mut metric = json!({ "name": family.name, "description": family.help, "unit": unit(family.name) });
    metric[form] = data;
    Some(metric)
}

/// In the symbols of UCUM.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "1",
    }
}
