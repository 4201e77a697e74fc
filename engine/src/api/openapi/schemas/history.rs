//! Deliveries, messages of an endpoint, and statistics.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, extended, list_of};

pub(super) fn schemas() -> Vec<Schema> {
    vec![
        ("EndpointMessageOut", endpoint_message_out()),
        ("ListResponse_EndpointMessageOut_", list_of("EndpointMessageOut")),
        ("DeliveryOut", delivery_out()),
        ("ListResponse_DeliveryOut_", list_of("DeliveryOut")),
        ("EndpointStats", stats()),
        ("EndpointVitals", vitals()),
        ("EndpointStretch", stretch()),
        ("EndpointStatsWindow", window()),
    ]
}

fn endpoint_message_out() -> Value {
    let more = json!({
        "status": named("MessageStatus"), "statusText": named("MessageStatusText"),
        "nextAttempt": or_null(time()),
        "state": described(named("DeliveryState"), "Ours: where the delivery stands"),
        "attempts": described(count(), "Ours: attempts made"),
    });
    let mut out = extended(super::message::message_out(), more);
    if let Some(required) = out["required"].as_array_mut() {
        required.extend(["status".into(), "statusText".into()]);
    }
    out
}

fn delivery_out() -> Value {
    let last = object(
        &["id", "outcome", "responseStatusCode", "timestamp"],
        json!({
            "id": id("atmpt_"), "outcome": text(), "responseStatusCode": response_status(),
            "timestamp": time(),
        }),
    );
    object(
        &["msgId", "endpointId", "state", "status", "statusText", "attempts"],
        json!({
            "msgId": id("msg_"), "eventId": or_null(text()),
            "eventType": described(or_null(event_type()), "Null when only attempts of the message are kept"),
            "endpointId": id("ep_"), "state": named("DeliveryState"), "status": named("MessageStatus"),
            "statusText": named("MessageStatusText"), "attempts": count(),
            "lastAttempt": or_null(last), "nextAttempt": or_null(time()),
        }),
    )
}

fn response_status() -> Value {
    described(number(0, 999), "0 when there was no response")
}

fn recent() -> Value {
    object(
        &["since", "lastMinute", "lastHour", "lastDay"],
        json!({
            "since": described(time(), "When the process began; nothing before it is counted"),
            "lastMinute": named("EndpointStatsWindow"), "lastHour": named("EndpointStatsWindow"),
            "lastDay": named("EndpointStatsWindow"),
        }),
    )
}

fn last_attempt() -> Value {
    object(
        &["outcome", "responseStatusCode", "timestamp", "durationMs"],
        json!({
            "outcome": text(), "responseStatusCode": response_status(), "timestamp": time(),
            "durationMs": { "type": "number" },
        }),
    )
}

fn health() -> Value {
    object(
        &["state"],
        json!({ "state": one_of(&["healthy", "locked_out", "probing"]), "until": or_null(time()) }),
    )
}

fn vitals() -> Value {
    let stretches = || json!({ "type": "array", "items": named("EndpointStretch") });
    let series = object(
        &["minutes", "halfHours"],
        json!({
            "minutes": described(stretches(), "The last hour, oldest first"),
            "halfHours": described(stretches(), "The last day, oldest first"),
        }),
    );
    object(
        &[],
        json!({
            "recent": or_null(recent()), "lastAttempt": or_null(last_attempt()), "health": or_null(health()),
            "series": described(or_null(series), "Where it is asked for and known"),
        }),
    )
}

fn stretch() -> Value {
    let ms = || or_null(json!({ "type": "number" }));
    object(
        &["since", "succeeded", "failed", "refused"],
        json!({
            "since": time(), "succeeded": count(), "failed": count(),
            "refused": described(count(), "Not sent, because of a lockout"), "meanMs": ms(), "maxMs": ms(),
        }),
    )
}

fn stats() -> Value {
    object(
        &["success", "pending", "sending", "fail"],
        json!({
            "success": count(), "pending": count(), "sending": count(), "fail": count(),
            "canceled": described(count(), "Ours: taken back"),
            "countedSince": described(time(), "Ours: where the counting began; later than asked if there was too much to read"),
            "complete": described(json!({ "type": "boolean" }), "Ours: whether all that was asked for is counted"),
            "recent": described(or_null(recent()), "Ours: how it did lately"),
            "lastAttempt": described(or_null(last_attempt()), "Ours"),
            "health": described(or_null(health()), "Ours: how it is doing, and until when it is locked out"),
        }),
    )
}

fn window() -> Value {
    let number = || or_null(json!({ "type": "number" }));
    object(
        &["attempts", "refused"],
        json!({
            "attempts": count(), "refused": described(count(), "Not sent, because of a lockout"),
            "successRate": number(), "meanMs": number(), "p99Ms": number(),
        }),
    )
}
