//! A key of the API: a token with a name, that may do some things and can be revoked.
//!
//! The token itself is kept nowhere. It has 256 bits that nobody can guess, so its SHA-256 tells as little about it as a
//! slow hash would, and is as good to know it by.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::check::{self, FieldError};
use super::limits::{EVENT_TYPE_BYTES_MAX, KEY_EVENT_TYPES_MAX, NAME_BYTES_MAX};
use super::record::id_text;
use crate::config::{Scope, sha256_of_hex};
use crate::core::ids::{ApiKeyId, ApplicationId};
use crate::routing::Pattern;

/// The most messages a second that a key can be allowed.
pub const EVENTS_PER_SECOND_MAX: u32 = 10_000_000;

/// A key. Its serde form is the one on disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Given at creation; stands in the token, and in records of who did what.
    #[serde(with = "id_text")]
    pub id: ApiKeyId,
    /// For people.
    pub name: String,
    /// Of the token.
    #[serde(with = "hex_text")]
    pub sha256: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The application that it is for alone.
    #[serde(default, with = "optional_id")]
    pub application: Option<ApplicationId>,
    /// Event types and patterns that it may publish; `None`: all.
    #[serde(default)]
    pub event_types: Option<Vec<String>>,
    /// Messages a second; `None`: as everybody.
    #[serde(default)]
    pub events_per_second: Option<u32>,
    /// When it ends, unix milliseconds.
    #[serde(default)]
    pub expires_ms: Option<u64>,
    /// When it was last used, as far as that was written down, unix milliseconds.
    #[serde(default)]
    pub last_used_ms: Option<u64>,
    /// Unix milliseconds.
    pub created_ms: u64,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}, {:?}, {:?})", self.id, self.scopes, self.application)
    }
}

/// The part of a key that can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `ApiKey`")]
pub struct ApiKeyDraft {
    pub name: String,
    pub scopes: Vec<Scope>,
    pub application: Option<ApplicationId>,
    pub event_types: Option<Vec<String>>,
    pub events_per_second: Option<u32>,
    pub expires_ms: Option<u64>,
}

impl ApiKeyDraft {
    pub(super) fn check(&self, now_ms: u64) -> Result<(), FieldError> {
        check::text("name", &self.name, NAME_BYTES_MAX)?;
        if self.name.is_empty() {
            return Err(FieldError::new("name", "must not be empty"));
        }
        check::count("scopes", self.scopes.len(), 1, Scope::ALL.len())?;
        if let Some(event_types) = &self.event_types {
            check::count("eventTypes", event_types.len(), 1, KEY_EVENT_TYPES_MAX)?;
            for text in event_types {
                let (Pattern::Exact(name) | Pattern::Prefix(name)) = Pattern::of(text);
                check::identifier("eventTypes", name, EVENT_TYPE_BYTES_MAX)?;
            }
        }
        if let Some(rate) = self.events_per_second.filter(|rate| !(1..=EVENTS_PER_SECOND_MAX).contains(rate))
        {
            let problem =
                format!("is {rate}; it must be 1 to {EVENTS_PER_SECOND_MAX}, or null for the usual");
            return Err(FieldError::new("eventsPerSecond", problem));
        }
        match self.expires_ms {
            Some(expires_ms) if expires_ms <= now_ms => {
                Err(FieldError::new("expiresAt", "is over already; it must be in the future"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn into_key(self, id: ApiKeyId, sha256: [u8; 32], created_ms: u64) -> ApiKey {
        ApiKey {
            id,
            name: self.name,
            sha256,
            scopes: self.scopes,
            application: self.application,
            event_types: self.event_types,
            events_per_second: self.events_per_second,
            expires_ms: self.expires_ms,
            last_used_ms: None,
            created_ms,
        }
    }
}

/// A use of a key that is to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyUse {
    /// Which key.
    pub(crate) id: ApiKeyId,
    /// When, unix milliseconds.
    pub(crate) at_ms: u64,
    /// Where from.
    pub(crate) from: Option<IpAddr>,
    /// Whether it is the first.
    pub(crate) is_first: bool,
}

/// For `#[serde(with)]`: 32 bytes as 64 hex digits.
mod hex_text {
    use super::{Deserialize, Deserializer, Serializer, sha256_of_hex};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        to.serialize_str(&hex)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let hex = String::deserialize(from)?;
        sha256_of_hex(&hex).ok_or_else(|| serde::de::Error::custom("a digest has 64 hex digits"))
    }
}

/// For `#[serde(with)]`: an id as its text, or nothing.
mod optional_id {
    use super::{ApplicationId, Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(id: &Option<ApplicationId>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D>(from: D) -> Result<Option<ApplicationId>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}
