//! Alerts and the audit log.

use serde_json::{Value, json};

use super::super::schema::*;
use super::{Schema, list_of};
use crate::catalog::AlertType;

pub(super) fn schemas() -> Vec<Schema> {
    let note = described(or_null(text()), "What people should know about it");
    vec![
        ("AlertOut", alert_out()),
        ("ListResponse_AlertOut_", list_of("AlertOut")),
        ("AlertType", one_of(&AlertType::ALL.map(AlertType::name))),
        ("AcknowledgeIn", object(&[], json!({ "note": note }))),
        ("AuditEntryOut", audit_entry_out()),
        ("OverviewOut", overview_out()),
        ("OverviewBeat", beat()),
        ("RetryPoliciesOut", retry_policies_out()),
        ("RetryPolicyOut", retry_policy_out()),
        ("ListResponse_AuditEntryOut_", list_of("AuditEntryOut")),
    ]
}

fn overview_out() -> Value {
    let bytes = || json!({ "type": "integer" });
    let beats = || json!({ "type": "array", "items": named("OverviewBeat") });
    let endpoint = object(
        &["appId", "endpointId", "url", "state"],
        json!({
            "appId": id("app_"), "endpointId": id("ep_"), "url": text(),
            "state": one_of(&["locked_out", "probing"]), "until": or_null(time()),
        }),
    );
    let locked_out = object(
        &["count", "endpoints"],
        json!({
            "count": count(),
            "endpoints": described(json!({ "type": "array", "items": endpoint }), "Some of them"),
        }),
    );
    let problem = object(
        &["class", "text", "hint"],
        json!({
            "class": described(text(), "For programs"), "text": text(), "hint": described(text(), "What to do"),
        }),
    );
    object(
        &["version", "since", "now", "problems", "seconds", "minutes"],
        json!({
            "version": text(), "since": described(time(), "When the process began"),
            "now": named("OverviewBeat"), "inFlight": count(), "inMemory": count(),
            "oldestPending": described(or_null(time()), "When the message of the delivery that has been pending longest was accepted, to ten seconds"),
            "lockedOut": locked_out,
            "openAlerts": described(count(), "250 stands for that many and more"),
            "logBytes": bytes(), "diskAvailableBytes": bytes(),
            "problems": { "type": "array", "items": problem },
            "seconds": described(beats(), "The last three minutes, oldest first"),
            "minutes": described(beats(), "The last day, oldest first"),
        }),
    )
}

fn beat() -> Value {
    let rate = |what| described(json!({ "type": "number" }), what);
    object(
        &["timestamp", "accepted", "delivered", "failed", "exhausted", "pending"],
        json!({
            "timestamp": described(time(), "Its end"), "accepted": rate("Messages a second"),
            "delivered": rate("Deliveries a second that arrived"),
            "failed": rate("Attempts a second that were sent and failed"),
            "exhausted": rate("Deliveries a second that were given up"), "pending": count(),
        }),
    )
}

fn retry_policies_out() -> Value {
    object(
        &["default", "named"],
        json!({
            "default": named("RetryPolicyOut"),
            "named": { "type": "array", "items": named("RetryPolicyOut") },
            "policy": described(or_null(named("RetryPolicyOut")), "The one that was asked for"),
        }),
    )
}

fn retry_policy_out() -> Value {
    object(
        &["policy", "waitsMs", "jitterPercent"],
        json!({
            "name": or_null(text()), "policy": described(text(), "As it is written"),
            "waitsMs": { "type": "array", "items": count(), "description": "Between its attempts, milliseconds" },
            "jitterPercent": described(count(), "By how much each is spread to either side"),
        }),
    )
}

fn alert_out() -> Value {
    let acknowledged = object(&["at"], json!({ "by": text(), "at": time(), "note": text() }));
    object(
        &["id", "type", "summary", "raisedAt", "applicationId", "endpointId", "detail"],
        json!({
            "id": id("al_"),
            "type": described(one_of(&AlertType::ALL.map(AlertType::event_type)), "As messages call it"),
            "summary": described(text(), "What happened, for people"),
            "raisedAt": time(), "endedAt": or_null(time()),
            "applicationId": id("app_"), "applicationUid": or_null(text()),
            "endpointId": id("ep_"), "endpointUid": or_null(text()),
            "url": described(or_null(text()), "The endpoint's URL without its query; null once it is gone"),
            "detail": described(json!({ "type": "object" }), "What there is to know, by type"),
            "acknowledged": described(or_null(acknowledged), "Who has seen it; by whom and with which note is told where all alerts are listed"),
        }),
    )
}

fn audit_entry_out() -> Value {
    let fields = json!({ "type": "array", "items": text(), "description": "The fields that were changed" });
    object(
        &["id", "at", "actor", "action", "object", "fields", "previous"],
        json!({
            "id": text(), "at": time(),
            "actor": described(text(), "In whose name: a token's, `anonymous`, or `posthaste` for the server"),
            "address": described(or_null(text()), "Where the request came from"),
            "action": described(text(), "What was done, such as `endpoint.update`"),
            "object": described(text(), "What it was done to"),
            "application": or_null(text()), "fields": fields,
            "before": described(text(), "Digest of the object before, under a key of the server"),
            "after": described(text(), "Digest of the object after; the next entry about it begins with the same"),
            "count": described(count(), "How often, where many are told as one"),
            "previous": described(text(), "SHA-256 of the entry before, in hex"),
        }),
    )
}
