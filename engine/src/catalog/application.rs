//! An application: whose endpoints these are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::{self, FieldError};
use super::limits::{ALLOWED_PORTS_MAX, NAME_BYTES_MAX, UID_BYTES_MAX};
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
    /// Whether its endpoints must have https URLs.
    #[serde(default)]
    pub require_https: bool,
    /// The ports that its endpoints may have; `None` for those of the configuration.
    #[serde(default)]
    pub allowed_ports: Option<Vec<u16>>,
    /// Whether payloads must fit the schema of their event type.
    #[serde(default)]
    pub validate_payloads: bool,
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
    pub require_https: bool,
    pub allowed_ports: Option<Vec<u16>>,
    pub validate_payloads: bool,
}

impl ApplicationDraft {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        check::uid(self.uid.as_deref(), UID_BYTES_MAX)?;
        check::text("name", &self.name, NAME_BYTES_MAX)?;
        if self.name.is_empty() {
            return Err(FieldError::new("name", "must not be empty"));
        }
        check::throttle_rate(self.throttle_rate)?;
        check::metadata(&self.metadata)?;
        if let Some(ports) = &self.allowed_ports {
            check::count("allowedPorts", ports.len(), 1, ALLOWED_PORTS_MAX)?;
            if ports.contains(&0) {
                return Err(FieldError::new("allowedPorts", "has 0, which is no port"));
            }
        }
        Ok(())
    }

    pub(super) fn into_application(self, id: ApplicationId, created_ms: u64, now_ms: u64) -> Application {
        Application {
            id,
            uid: self.uid,
            name: self.name,
            throttle_rate: self.throttle_rate,
            metadata: self.metadata,
            require_https: self.require_https,
            allowed_ports: self.allowed_ports,
            validate_payloads: self.validate_payloads,
            created_ms,
            updated_ms: now_ms,
        }
    }
}

impl From<&Application> for ApplicationDraft {
    fn from(application: &Application) -> Self {
        let application = application.clone();
        Self {
            uid: application.uid,
            name: application.name,
            throttle_rate: application.throttle_rate,
            metadata: application.metadata,
            require_https: application.require_https,
            allowed_ports: application.allowed_ports,
            validate_payloads: application.validate_payloads,
        }
    }
}
