//! An endpoint: a URL that wants messages, with everything that is needed to bring them there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{self, EndpointRules, FieldError};
use super::limits::{
    CHANNEL_BYTES_MAX, CREDENTIAL_BYTES_MAX, DESCRIPTION_BYTES_MAX, ENDPOINT_CHANNELS_MAX,
    ENDPOINT_EVENT_TYPES_MAX, EVENT_TYPE_BYTES_MAX, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN, UID_BYTES_MAX,
};
use super::record::id_text;
use super::secret::Secret;
use crate::core::ids::{ApplicationId, EndpointId};
use crate::routing::{Interest, Pattern};

/// An endpoint. Its serde form is the one on disk.
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
    pub secrets: Vec<Secret>,
    /// Messages a second.
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

    fn check(&self) -> Result<(), FieldError> {
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
        Interest { event_types: self.event_types.as_ref(), channels: self.channels.as_ref() }
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

/// The part of an endpoint that can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `Endpoint`")]
pub struct EndpointDraft {
    pub uid: Option<String>,
    pub url: String,
    pub description: String,
    pub disabled: bool,
    pub event_types: Option<BTreeSet<String>>,
    pub channels: Option<BTreeSet<String>>,
    pub headers: BTreeMap<String, String>,
    pub authorization: Option<Authorization>,
    pub throttle_rate: Option<u16>,
    pub metadata: BTreeMap<String, String>,
    pub retry_policy: Option<String>,
    pub timeout_ms: Option<u32>,
    pub success: SuccessRule,
}

impl From<&Endpoint> for EndpointDraft {
    fn from(endpoint: &Endpoint) -> Self {
        let endpoint = endpoint.clone();
        Self {
            uid: endpoint.uid,
            url: endpoint.url,
            description: endpoint.description,
            disabled: endpoint.disabled.is_some(),
            event_types: endpoint.event_types,
            channels: endpoint.channels,
            headers: endpoint.headers,
            authorization: endpoint.authorization,
            throttle_rate: endpoint.throttle_rate,
            metadata: endpoint.metadata,
            retry_policy: endpoint.retry_policy,
            timeout_ms: endpoint.timeout_ms,
            success: endpoint.success,
        }
    }
}

impl EndpointDraft {
    /// Checks every field and brings URL and header names into normal form. A URL that is `present` already
    /// is not judged again, so that a stricter policy does not stand in the way of other changes.
    pub(super) fn check(
        &mut self,
        present: Option<&Endpoint>,
        rules: &EndpointRules,
    ) -> Result<(), FieldError> {
        check::uid(self.uid.as_deref(), UID_BYTES_MAX)?;
        if present.is_none_or(|present| present.url != self.url) {
            self.url = (rules.check_url)(&self.url).map_err(|problem| FieldError::new("url", problem))?;
        }
        check::text("description", &self.description, DESCRIPTION_BYTES_MAX)?;
        check::throttle_rate(self.throttle_rate)?;
        check::metadata(&self.metadata)?;
        self.check_wishes()?;
        self.check_request(rules)
    }

    fn check_wishes(&self) -> Result<(), FieldError> {
        if let Some(event_types) = &self.event_types {
            check::count("eventTypes", event_types.len(), 1, ENDPOINT_EVENT_TYPES_MAX)?;
            for text in event_types {
                let (Pattern::Exact(name) | Pattern::Prefix(name)) = Pattern::of(text);
                check::identifier("eventTypes", name, EVENT_TYPE_BYTES_MAX)?;
            }
        }
        if let Some(channels) = &self.channels {
            check::count("channels", channels.len(), 1, ENDPOINT_CHANNELS_MAX)?;
            for channel in channels {
                check::identifier("channels", channel, CHANNEL_BYTES_MAX)?;
            }
        }
        Ok(())
    }

    fn check_request(&mut self, rules: &EndpointRules) -> Result<(), FieldError> {
        let headers: Vec<_> = std::mem::take(&mut self.headers).into_iter().collect();
        (rules.check_headers)(&headers).map_err(|problem| FieldError::new("headers", problem))?;
        self.headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        if let Some(authorization) = &self.authorization {
            authorization.check()?;
            if self.headers.contains_key("authorization") {
                let problem = "cannot be set beside a custom header 'authorization'";
                return Err(FieldError::new("authorization", problem));
            }
        }
        if let Some(policy) = &self.retry_policy {
            (rules.check_retry_policy)(policy).map_err(|problem| FieldError::new("retryPolicy", problem))?;
        }
        match self.timeout_ms {
            Some(ms) if !(TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(&ms) => {
                let problem = format!("is {ms}; it must be {TIMEOUT_MS_MIN} to {TIMEOUT_MS_MAX}");
                Err(FieldError::new("timeoutMs", problem))
            }
            _ => Ok(()),
        }
    }

    /// A new endpoint.
    pub(super) fn into_endpoint(
        self,
        id: EndpointId,
        application: ApplicationId,
        secrets: Vec<Secret>,
        now_ms: u64,
    ) -> Endpoint {
        Endpoint {
            id,
            application,
            disabled: self.disabled.then_some(Disabled::ByHand),
            uid: self.uid,
            url: self.url,
            description: self.description,
            event_types: self.event_types,
            channels: self.channels,
            headers: self.headers,
            authorization: self.authorization,
            secrets,
            throttle_rate: self.throttle_rate,
            metadata: self.metadata,
            retry_policy: self.retry_policy,
            timeout_ms: self.timeout_ms,
            success: self.success,
            revision: 1,
            created_ms: now_ms,
            updated_ms: now_ms,
        }
    }

    /// The next revision of `present`. What disabled it stays on record while it is disabled.
    pub(super) fn revise(self, present: &Endpoint, now_ms: u64) -> Endpoint {
        let disabled = self.disabled.then_some(present.disabled.unwrap_or(Disabled::ByHand));
        let next = self.into_endpoint(present.id, present.application, present.secrets.clone(), now_ms);
        Endpoint {
            disabled,
            revision: present.revision.saturating_add(1),
            created_ms: present.created_ms,
            ..next
        }
    }
}
