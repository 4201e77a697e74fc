//! OTLP in JSON: the body of `POST /v1/traces` (opentelemetry-proto 1.x, `ExportTraceServiceRequest`).
//!
//! The JSON of protobuf, but ids in hex; enumerations as numbers, 64-bit integers as text (OTLP specification, "JSON
//! Protobuf Encoding"). Attributes are called as OpenTelemetry's semantic conventions have it, and `posthaste.*` where
//! they have nothing.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::span::{Attempt, Publish, Span, What};

/// Numbers of `SpanKind` and of `StatusCode`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;

/// A batch of spans as one request.
pub(super) fn encode(service: &str, spans: &[Span]) -> Bytes {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [text("service.name", service), text("service.version", version)];
    let request = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{
            "scope": { "name": "posthaste", "version": version },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]});
    request.to_string().into()
}

fn span(span: &Span) -> Value {
    let (name, kind) = match &span.what {
        What::Publish(_) => ("publish", SERVER),
        What::Store { .. } => ("store", INTERNAL),
        What::Attempt(_) => ("attempt", CLIENT),
    };
    let mut attributes = vec![text("messaging.message.id", &span.message.to_string())];
    match &span.what {
        What::Publish(publish) => attributes.extend(of_publish(publish)),
        What::Store { records } => attributes.push(number("posthaste.commit.records", *records as u64)),
        What::Attempt(attempt) => attributes.extend(of_attempt(attempt)),
    }
    let mut json = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanos(span.begin_us),
        "endTimeUnixNano": nanos(span.end_us),
        "attributes": attributes,
        "status": status(&span.what),
    });
    if !matches!(span.what, What::Publish(_)) {
        json["parentSpanId"] = span.trace.publish().to_string().into();
    }
    json
}

fn of_publish(publish: &Publish) -> Vec<Value> {
    vec![
        text("posthaste.application.id", &publish.application.to_string()),
        text("posthaste.event_type", &publish.event_type),
        number("messaging.message.body.size", publish.payload_bytes as u64),
        number("posthaste.deliveries", publish.deliveries as u64),
    ]
}

fn of_attempt(attempt: &Attempt) -> Vec<Value> {
    let mut attributes = vec![
        text("posthaste.application.id", &attempt.application.to_string()),
        text("posthaste.endpoint.id", &attempt.endpoint.to_string()),
        number("posthaste.attempt.number", attempt.number.into()),
        text("posthaste.outcome", attempt.outcome.name()),
        text("posthaste.delivery.state", attempt.state.name()),
        flag("posthaste.connection.reused", attempt.reused),
        flag("posthaste.sent", attempt.outcome.is_sent()),
    ];
    if let Some(status) = attempt.outcome.status() {
        attributes.push(number("http.response.status_code", status.into()));
    }
    if !attempt.outcome.is_success() {
        attributes.push(text("error.type", attempt.outcome.name()));
    }
    let timing = attempt.timing;
    let phases = [
        ("posthaste.phase.dns_us", timing.dns_us),
        ("posthaste.phase.connect_us", timing.connect_us),
        ("posthaste.phase.tls_us", timing.tls_us),
        ("posthaste.phase.first_byte_us", timing.first_byte_us),
    ];
    // Those that did not happen are left out.
    let phases = phases.into_iter().filter(|(_, us)| *us > 0);
    attributes.extend(phases.map(|(name, us)| number(name, us.into())));
    attributes
}

/// Unset where all is well: only who knows better may say "ok" (OpenTelemetry specification, "Set Status").
fn status(what: &What) -> Value {
    match what {
        What::Attempt(attempt) if !attempt.outcome.is_success() => {
            let words = if attempt.detail.is_empty() { attempt.outcome.name() } else { &attempt.detail };
            json!({ "code": ERROR, "message": words })
        }
        _ => json!({}),
    }
}

fn nanos(us: u64) -> String {
    us.saturating_mul(1_000).to_string()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn flag(key: &str, value: bool) -> Value {
    json!({ "key": key, "value": { "boolValue": value } })
}

/// How many spans an answer says were not taken. A collector may answer anything that it calls success.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        partial_success: Option<Partial>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Partial {
        rejected_spans: Option<Value>,
    }
    let answer = serde_json::from_slice::<Answer>(answer).ok();
    let count = answer.and_then(|answer| answer.partial_success?.rejected_spans);
    // Text by the rules, a number in practice.
    count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok())).unwrap_or(0)
}
