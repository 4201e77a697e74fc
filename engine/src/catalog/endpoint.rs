//! An endpoint: a URL that wants messages, with everything that is needed to bring them there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{self, FieldError};
use super::limits::CREDENTIAL_BYTES_MAX;
use super::record::id_text;
use super::request::{BodySecret, ChainPlace, ClientCertificate, Format, HeaderNames};
use super::sealed::Sealed;
use super::secret::Secret;
use crate::core::ids::{ApplicationId, EndpointId};
use crate::routing::Interest;

/// An endpoint. Its serde form is the one on disk, where what is secret of it is sealed (`sealed`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Given at creation.
    #[serde(with = "id_text")]
    pub id: EndpointId,
    /// Whose it is.
    #[serde(with = "id_text")]
    pub application: ApplicationId,
    /// The platform's own name for it; no two of an application have the same.
    #[serde(default)]
    pub uid: Option<String>,
    /// Where to deliver, in normal form.
    pub url: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Why it gets nothing, if so.
    #[serde(default)]
    pub disabled: Option<Disabled>,
    /// Exact event types and patterns such as `call.*`; `None` for all.
    #[serde(default)]
    pub event_types: Option<BTreeSet<String>>,
    /// The channels it listens to; `None` for all.
    #[serde(default)]
    pub channels: Option<BTreeSet<String>>,
    /// Custom headers; names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What the `authorization` header says.
    #[serde(default)]
    pub authorization: Option<Authorization>,
    /// Newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Messages a second at most, those sent again included.
    #[serde(default)]
    pub throttle_rate: Option<u16>,
    /// Whatever the platform likes to keep with it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Name or text of its retry policy; `None` for the configured one.
    #[serde(default)]
    pub retry_policy: Option<String>,
    /// Time to answer in milliseconds; `None` for the configured one.
    #[serde(default)]
    pub timeout_ms: Option<u32>,
    /// Which answers count as success.
    #[serde(default)]
    pub success: SuccessRule,
    /// What the body of its requests looks like.
    #[serde(default)]
    pub format: Format,
    /// The parameter `secret` in the body, where that is a form.
    #[serde(default)]
    pub body_secret: Option<BodySecret>,
    /// What the headers are called that say id, time and signature.
    #[serde(default)]
    pub header_names: HeaderNames,
    /// Attempts in flight at most; `None` for the configured number.
    #[serde(default)]
    pub concurrency: Option<u16>,
    /// Only messages for which this expression is true.
    #[serde(default)]
    pub filter: Option<Box<str>>,
    /// Where it stands in a chain.
    #[serde(default)]
    pub chain: Option<Box<ChainPlace>>,
    /// Whether the outcome stream tells what it answered.
    #[serde(default)]
    pub tell_response: bool,
    /// What it is shown (mutual TLS).
    #[serde(default)]
    pub client_certificate: Option<Box<ClientCertificate>>,
    /// Authorities that it is trusted by, PEM, beside those of the platform.
    #[serde(default)]
    pub ca_certificates: Option<Box<str>>,
    /// Everything secret of it, where that could not be opened: then it gets no request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<Sealed>>,
    /// Grows with every change; the first is 1.
    pub revision: u32,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds.
    pub updated_ms: u64,
}

/// Why an endpoint gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disabled {
    /// Somebody wanted it so.
    ByHand,
    /// It answered 410.
    Gone,
    /// It has been failing for too long.
    Failing,
}

impl Disabled {
    /// Its name in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// What a delivery is told that it keeps from being made.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::ByHand => "the endpoint is disabled (by_hand)",
            Self::Gone => "the endpoint is disabled: it answered 410 (gone)",
            Self::Failing => "the endpoint is disabled: it has been failing for too long (failing)",
        }
    }
}

/// What an endpoint's `authorization` header says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Authorization {
    /// `Bearer <token>` (RFC 6750 section 2.1).
    Bearer {
        /// The token.
        token: String,
    },
    /// `Basic <base64 of username:password>` (RFC 7617 section 2).
    Basic {
        /// Without a colon.
        username: String,
        /// May be empty.
        password: String,
    },
}

impl Authorization {
    /// The scheme's name in the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
        }
    }

    pub(super) fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Bearer { token } => {
                check::credential("authorization.token", token, CREDENTIAL_BYTES_MAX)?;
                if token.is_empty() {
                    return Err(FieldError::new("authorization.token", "must not be empty"));
                }
                Ok(())
            }
            Self::Basic { username, password } => {
                check::credential("authorization.username", username, CREDENTIAL_BYTES_MAX)?;
                if username.contains(':') {
                    return Err(FieldError::new("authorization.username", "must not contain ':'"));
                }
                check::credential("authorization.password", password, CREDENTIAL_BYTES_MAX)
            }
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorization({}, redacted)", self.name())
    }
}

/// Which answers count as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuccessRule {
    /// Every status from 200 to 299.
    #[default]
    #[serde(rename = "any_2xx")]
    Any2xx,
    /// 200 alone.
    #[serde(rename = "only_200")]
    Only200,
}

impl SuccessRule {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any2xx => "any_2xx",
            Self::Only200 => "only_200",
        }
    }

    /// The rule of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Any2xx, Self::Only200].into_iter().find(|rule| rule.name() == name)
    }
}

impl Endpoint {
    /// What routing needs to know.
    pub fn interest(&self) -> Interest<'_> {
        Interest {
            event_types: self.event_types.as_ref(),
            channels: self.channels.as_ref(),
            chain: self.chain.as_ref().map(|place| (&*place.name, place.position)),
            filter: self.filter.as_deref(),
        }
    }

    /// Whether it gets nothing for now.
    pub const fn is_disabled(&self) -> bool {
        self.disabled.is_some()
    }

    /// The secrets that sign at `now_ms`, newest first.
    pub fn secrets_at(&self, now_ms: u64) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |secret| secret.is_valid_at(now_ms))
    }
}
