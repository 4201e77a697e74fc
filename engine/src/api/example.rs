//! Example payloads: what an event type looks like, for those who want to see one arrive.

use bytes::Bytes;
use serde_json::json;

use crate::catalog::EventType;

/// The payload that the event type's newest schema gives or describes.
pub(super) fn of(event_type: &EventType) -> Option<Bytes> {
    event_type.example().map(|example| example.to_string().into())
}

/// What is sent when nobody said what.
pub(super) fn plain(event_type: &str) -> Bytes {
    json!({ "example": true, "eventType": event_type }).to_string().into()
}
