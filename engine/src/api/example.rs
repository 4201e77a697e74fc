//! Example payloads: what an event type looks like, for those who want to see one arrive.

use bytes::Bytes;
use serde_json::json;

use crate::catalog::EventType;

/// The payload that the event type itself gives as an example.
pub(super) fn of(event_type: &EventType) -> Option<Bytes> {
    let schemas: serde_json::Value = serde_json::from_str(event_type.schemas.as_ref()?.get()).ok()?;
    let newest = schemas.as_object()?.iter().max_by_key(|(version, _)| version.parse::<u64>().ok())?.1;
    newest.get("examples")?.get(0).map(|example| Bytes::from(example.to_string()))
}

/// What is sent when nobody said what.
pub(super) fn plain(event_type: &str) -> Bytes {
    json!({ "example": true, "eventType": event_type }).to_string().into()
}
