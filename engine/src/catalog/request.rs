//! How an endpoint wants its requests: the form of the body, the names of the headers, what it shows and trusts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{self, FieldError};
use super::limits::{CERTIFICATES_BYTES_MAX, CHAIN_POSITION_MAX, CHANNEL_BYTES_MAX, CREDENTIAL_BYTES_MAX};

/// What the body of a request looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The payload as it was published, byte for byte.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`, with brackets for what is nested.
    Form,
}

impl Format {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Form => "form",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Form].into_iter().find(|format| format.name() == name)
    }
}

/// What the headers are called that say id, time and signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderNames {
    /// `webhook-id` and so on (Standard Webhooks 1.0.0).
    #[default]
    Webhook,
    /// `svix-id` and so on.
    Svix,
    /// Both.
    Both,
}

impl HeaderNames {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Svix => "svix",
            Self::Both => "both",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Webhook, Self::Svix, Self::Both].into_iter().find(|names| names.name() == name)
    }
}

/// The parameter `secret` in the body of a form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BodySecret(pub Box<str>);

impl BodySecret {
    /// Errors never repeat it.
    pub(super) fn check(&self) -> Result<(), FieldError> {
        check::credential("bodySecret", &self.0, CREDENTIAL_BYTES_MAX)?;
        if self.0.is_empty() {
            return Err(FieldError::new("bodySecret", "must not be empty; null takes it away"));
        }
        Ok(())
    }
}

impl fmt::Debug for BodySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodySecret(redacted)")
    }
}

/// What shows a receiver who knocks (mutual TLS).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The certificate and those that lead to its authority, PEM.
    pub certificate: Box<str>,
    /// Its private key, PEM.
    pub key: Box<str>,
}

impl ClientCertificate {
    /// Errors never repeat the key.
    pub(super) fn check(&self) -> Result<(), FieldError> {
        check::size("clientCertificate.certificate", self.certificate.len(), CERTIFICATES_BYTES_MAX)?;
        check::size("clientCertificate.key", self.key.len(), CERTIFICATES_BYTES_MAX)
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(redacted)")
    }
}

/// Where an endpoint stands in a chain: it gets a message when those before it let it fall through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPlace {
    /// The chain's name within the application.
    pub name: Box<str>,
    /// Lower ones come first; of equal ones, the older endpoint.
    pub position: u16,
}

impl ChainPlace {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        check::identifier("chain.name", &self.name, CHANNEL_BYTES_MAX)?;
        if self.position > CHAIN_POSITION_MAX {
            let problem = format!("is {}; it must be 0 to {CHAIN_POSITION_MAX}", self.position);
            return Err(FieldError::new("chain.position", problem));
        }
        Ok(())
    }
}
