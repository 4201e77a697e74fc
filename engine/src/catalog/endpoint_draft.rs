//! The part of an endpoint that can be chosen, and what it may say.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, EndpointRules, FieldError};
use super::limits::{
    CERTIFICATES_BYTES_MAX, CHANNEL_BYTES_MAX, CONCURRENCY_MAX, DESCRIPTION_BYTES_MAX, ENDPOINT_CHANNELS_MAX,
    ENDPOINT_EVENT_TYPES_MAX, EVENT_TYPE_BYTES_MAX, FILTER_BYTES_MAX, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN,
    UID_BYTES_MAX,
};
use super::request::{BodySecret, ChainPlace, ClientCertificate, Format, HeaderNames};
use super::secret::Secret;
use super::{Authorization, Disabled, Endpoint, SuccessRule};
use crate::core::ids::{ApplicationId, EndpointId};
use crate::filter::Filter;
use crate::routing::Pattern;

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
    pub format: Format,
    pub body_secret: Option<BodySecret>,
    pub header_names: HeaderNames,
    pub concurrency: Option<u16>,
    pub filter: Option<Box<str>>,
    pub chain: Option<Box<ChainPlace>>,
    pub tell_response: bool,
    pub client_certificate: Option<Box<ClientCertificate>>,
    pub ca_certificates: Option<Box<str>>,
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
            format: endpoint.format,
            header_names: endpoint.header_names,
            concurrency: endpoint.concurrency,
            filter: endpoint.filter,
            chain: endpoint.chain,
            tell_response: endpoint.tell_response,
            client_certificate: endpoint.client_certificate,
            ca_certificates: endpoint.ca_certificates,
            body_secret: endpoint.body_secret,
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
        self.check_form()?;
        self.check_identity(rules)?;
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

    fn check_form(&self) -> Result<(), FieldError> {
        if let Some(secret) = &self.body_secret {
            secret.check()?;
            if self.format != Format::Form {
                return Err(FieldError::new("bodySecret", "needs format form"));
            }
        }
        match self.concurrency {
            Some(attempts) if !(1..=CONCURRENCY_MAX).contains(&attempts) => {
                let problem =
                    format!("is {attempts}; it must be 1 to {CONCURRENCY_MAX}, or null for the usual");
                return Err(FieldError::new("concurrency", problem));
            }
            _ => {}
        }
        if let Some(filter) = &self.filter {
            check::text("filter", filter, FILTER_BYTES_MAX)?;
            if filter.trim().is_empty() {
                return Err(FieldError::new("filter", "must not be empty; null takes it away"));
            }
            Filter::parse(filter)
                .map_err(|error| FieldError::new("filter", format!("cannot be read: {error}")))?;
        }
        self.chain.as_ref().map_or(Ok(()), |place| place.check())?;
        self.client_certificate.as_ref().map_or(Ok(()), |certificate| certificate.check())?;
        let ca_bytes = self.ca_certificates.as_ref().map_or(0, |pem| pem.len());
        check::size("caCertificates", ca_bytes, CERTIFICATES_BYTES_MAX)
    }

    fn check_identity(&self, rules: &EndpointRules) -> Result<(), FieldError> {
        let (client, authorities) = (self.client_certificate.as_deref(), self.ca_certificates.as_deref());
        let is_encrypted = self.url.starts_with("https:");
        for (field, is_given) in
            [("clientCertificate", client.is_some()), ("caCertificates", authorities.is_some())]
        {
            if is_given && !is_encrypted {
                return Err(FieldError::new(field, "needs a URL with https"));
            }
        }
        (rules.check_identity)(client, authorities)
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
            format: self.format,
            header_names: self.header_names,
            concurrency: self.concurrency,
            filter: self.filter,
            chain: self.chain,
            tell_response: self.tell_response,
            client_certificate: self.client_certificate,
            ca_certificates: self.ca_certificates,
            body_secret: self.body_secret,
            sealed: None,
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
