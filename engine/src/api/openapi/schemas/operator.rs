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
        ("ListResponse_AuditEntryOut_", list_of("AuditEntryOut")),
    ]
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
