//! An application: whose endpoints these are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::{self, FieldError};
use super::limits::{NAME_BYTES_MAX, UID_BYTES_MAX};
use super::record::id_text;
use crate::core::ids::ApplicationId;

/// An application. Its serde form is the one on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Given at creation.
    #[serde(with = "id_text")]
    pub id: ApplicationId,
    /// The platform's own name for it, usable wherever the id is; no two have the same.
    #[serde(default)]
    pub uid: Option<String>,
    /// For people.
    pub name: String,
    /// Messages a second to all of its endpoints together.
    #[serde(default)]
    pub throttle_rate: Option<u16>,
    /// Whatever the platform likes to keep with it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds.
    pub updated_ms: u64,
}

/// The part of an application that can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `Application`")]
pub struct ApplicationDraft {
    pub uid: Option<String>,
    pub name: String,
    pub throttle_rate: Option<u16>,
    pub metadata: BTreeMap<String, String>,
}

impl ApplicationDraft {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        check::uid(self.uid.as_deref(), UID_BYTES_MAX)?;
        check::text("name", &self.name, NAME_BYTES_MAX)?;
        if self.name.is_empty() {
            return Err(FieldError::new("name", "must not be empty"));
        }
        check::throttle_rate(self.throttle_rate)?;
        check::metadata(&self.metadata)
    }

    pub(super) fn into_application(self, id: ApplicationId, created_ms: u64, now_ms: u64) -> Application {
        let Self { uid, name, throttle_rate, metadata } = self;
        Application { id, uid, name, throttle_rate, metadata, created_ms, updated_ms: now_ms }
    }
}

impl From<&Application> for ApplicationDraft {
    fn from(application: &Application) -> Self {
        let Application { uid, name, throttle_rate, metadata, .. } = application.clone();
        Self { uid, name, throttle_rate, metadata }
    }
}
