//! An event type: a dotted name that endpoints subscribe to, with what is known about its payloads.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::check::{self, FieldError};
use super::limits::{DESCRIPTION_BYTES_MAX, EVENT_TYPE_BYTES_MAX};
use super::schemas;

/// An event type. Its serde form is the one on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventType {
    /// Dotted name; no two have the same.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// No longer in use: no message may have it, no endpoint may newly ask for it.
    #[serde(default)]
    pub archived: bool,
    /// Still in use, but not recommended.
    #[serde(default)]
    pub deprecated: bool,
    /// JSON Schemas by version, kept as they were given; the highest version is the newest (`schemas`).
    #[serde(default)]
    pub schemas: Option<Box<RawValue>>,
    /// Who may see it, for a portal.
    #[serde(default)]
    pub feature_flag: Option<String>,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds.
    pub updated_ms: u64,
}

impl EventType {
    /// A payload as its newest schema describes it: the first of the schema's own `examples`, or one made up
    /// from its types, always the same. `None` without schemas.
    pub fn example(&self) -> Option<Value> {
        self.schemas.as_deref().and_then(schemas::example)
    }
}

/// The part of an event type that can be chosen.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the fields are those of `EventType`")]
pub struct EventTypeDraft {
    pub description: String,
    pub archived: bool,
    pub deprecated: bool,
    pub schemas: Option<Box<RawValue>>,
    pub feature_flag: Option<String>,
}

impl EventTypeDraft {
    pub(super) fn check(&self, name: &str) -> Result<(), FieldError> {
        check::identifier("name", name, EVENT_TYPE_BYTES_MAX)?;
        if name.starts_with('-') {
            // Lists are paged by name, and a '-' in front means: the page before.
            return Err(FieldError::new("name", "must not begin with '-'"));
        }
        check::text("description", &self.description, DESCRIPTION_BYTES_MAX)?;
        self.schemas.as_deref().map_or(Ok(()), schemas::check)?;
        match &self.feature_flag {
            Some(flag) => check::identifier("featureFlag", flag, EVENT_TYPE_BYTES_MAX),
            None => Ok(()),
        }
    }

    pub(super) fn into_event_type(self, name: String, created_ms: u64, now_ms: u64) -> EventType {
        let Self { description, archived, deprecated, schemas, feature_flag } = self;
        let updated_ms = now_ms;
        EventType { name, description, archived, deprecated, schemas, feature_flag, created_ms, updated_ms }
    }
}

impl From<&EventType> for EventTypeDraft {
    fn from(event_type: &EventType) -> Self {
        let EventType { description, archived, deprecated, schemas, feature_flag, .. } = event_type.clone();
        Self { description, archived, deprecated, schemas, feature_flag }
    }
}
