//! The fields of an endpoint: those of a body, and those of an answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Api;
use super::application::set;
use super::error::ApiError;
use super::fields::Fields;
use super::time::rfc3339;
use crate::catalog::{
    Authorization, BodySecret, ChainPlace, ClientCertificate, Endpoint, EndpointDraft, Format, HeaderNames,
    SuccessRule, url_warnings,
};

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointOut {
    pub(super) id: String,
    uid: Option<String>,
    url: String,
    description: String,
    disabled: bool,
    event_types: Option<BTreeSet<String>>,
    /// The name of `eventTypes` in older SDKs.
    filter_types: Option<BTreeSet<String>>,
    channels: Option<BTreeSet<String>>,
    throttle_rate: Option<u16>,
    /// The name of `throttleRate` in older SDKs.
    rate_limit: Option<u16>,
    metadata: BTreeMap<String, String>,
    /// Older SDKs insist on it; the revision.
    version: u32,
    created_at: String,
    updated_at: String,
    // What follows is ours.
    disabled_reason: Option<&'static str>,
    authorization: Option<AuthorizationOut>,
    retry_policy: Option<String>,
    timeout_ms: Option<u32>,
    success_rule: &'static str,
    format: &'static str,
    has_body_secret: bool,
    header_names: &'static str,
    concurrency: Option<u16>,
    filter: Option<Box<str>>,
    chain: Option<ChainOut>,
    tell_response: bool,
    has_client_certificate: bool,
    ca_certificates: Option<Box<str>>,
    health: Option<HealthOut>,
    /// What is allowed, and should be known.
    warnings: Vec<&'static str>,
}

/// Only the scheme; what is secret is not shown again.
#[derive(Debug, Clone, Serialize)]
struct AuthorizationOut {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct ChainOut {
    name: Box<str>,
    position: u16,
}

#[derive(Debug, Clone, Serialize)]
struct HealthOut {
    state: &'static str,
    until: Option<String>,
}

impl EndpointOut {
    pub(super) fn new(api: &Api, endpoint: &Endpoint) -> Self {
        let health = api.health.as_ref().and_then(|health| health.endpoint(endpoint));
        let Endpoint { uid, url, description, event_types, channels, metadata, retry_policy, .. } =
            endpoint.clone();
        Self {
            warnings: url_warnings(&url),
            id: endpoint.id.to_string(),
            uid,
            url,
            description,
            disabled: endpoint.is_disabled(),
            filter_types: event_types.clone(),
            event_types,
            channels,
            throttle_rate: endpoint.throttle_rate,
            rate_limit: endpoint.throttle_rate,
            metadata,
            version: endpoint.revision,
            created_at: rfc3339(endpoint.created_ms),
            updated_at: rfc3339(endpoint.updated_ms),
            disabled_reason: endpoint.disabled.map(|disabled| disabled.name()),
            authorization: endpoint.authorization.as_ref().map(|auth| AuthorizationOut { kind: auth.name() }),
            retry_policy,
            timeout_ms: endpoint.timeout_ms,
            success_rule: endpoint.success.name(),
            format: endpoint.format.name(),
            has_body_secret: endpoint.body_secret.is_some(),
            header_names: endpoint.header_names.name(),
            concurrency: endpoint.concurrency,
            filter: endpoint.filter.clone(),
            chain: endpoint
                .chain
                .as_ref()
                .map(|place| ChainOut { name: place.name.clone(), position: place.position }),
            tell_response: endpoint.tell_response,
            has_client_certificate: endpoint.client_certificate.is_some(),
            ca_certificates: endpoint.ca_certificates.clone(),
            health: health.map(|health| HealthOut {
                state: health.state,
                until: health.until.map(|until| rfc3339(until.as_ms())),
            }),
        }
    }
}

/// What a body says of an endpoint; what it leaves out is `None`.
#[derive(Debug)]
pub(super) struct EndpointPatch {
    uid: Option<Option<String>>,
    url: Option<String>,
    description: Option<String>,
    disabled: Option<bool>,
    event_types: Option<Option<BTreeSet<String>>>,
    channels: Option<Option<BTreeSet<String>>>,
    headers: Option<BTreeMap<String, String>>,
    authorization: Option<Option<Authorization>>,
    throttle_rate: Option<Option<u16>>,
    metadata: Option<BTreeMap<String, String>>,
    retry_policy: Option<Option<String>>,
    timeout_ms: Option<Option<u32>>,
    success: Option<SuccessRule>,
    format: Option<Format>,
    body_secret: Option<Option<BodySecret>>,
    header_names: Option<HeaderNames>,
    concurrency: Option<Option<u16>>,
    filter: Option<Option<Box<str>>>,
    chain: Option<Option<Box<ChainPlace>>>,
    tell_response: Option<bool>,
    client_certificate: Option<Option<Box<ClientCertificate>>>,
    ca_certificates: Option<Option<Box<str>>>,
}

impl EndpointPatch {
    /// The body of a patch.
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            uid: fields.nullable("uid")?,
            url: fields.value("url")?,
            description: fields.value("description")?,
            disabled: fields.value("disabled")?,
            event_types: fields.nullable("eventTypes")?,
            channels: fields.nullable("channels")?,
            headers: fields.value("headers")?,
            authorization: authorization(fields)?,
            throttle_rate: fields.nullable("throttleRate")?,
            metadata: fields.value("metadata")?,
            retry_policy: fields.nullable("retryPolicy")?,
            timeout_ms: fields.nullable("timeoutMs")?,
            success: named(fields, "successRule", SuccessRule::from_name, "any_2xx or only_200")?,
            format: named(fields, "format", Format::from_name, "json or form")?,
            body_secret: secret(fields, "bodySecret", "a text or null")?,
            header_names: named(fields, "headerNames", HeaderNames::from_name, "webhook, svix or both")?,
            concurrency: fields.nullable("concurrency")?,
            filter: fields.nullable("filter")?,
            chain: fields.nullable("chain")?,
            tell_response: fields.value("tellResponse")?,
            client_certificate: secret(fields, "clientCertificate", r#"{"certificate","key"} or null"#)?,
            ca_certificates: fields.nullable("caCertificates")?,
        })
    }

    /// A body that describes an endpoint as a whole.
    pub(super) fn parse_whole(fields: &Fields<'_>) -> Result<Self, ApiError> {
        fields.required::<String>("url")?;
        Self::parse(fields)
    }

    /// Sets what the body has.
    pub(super) fn apply(self, draft: &mut EndpointDraft) {
        set(&mut draft.uid, self.uid);
        set(&mut draft.url, self.url);
        set(&mut draft.description, self.description);
        set(&mut draft.disabled, self.disabled);
        set(&mut draft.event_types, self.event_types);
        set(&mut draft.channels, self.channels);
        set(&mut draft.headers, self.headers);
        set(&mut draft.authorization, self.authorization);
        set(&mut draft.throttle_rate, self.throttle_rate);
        set(&mut draft.metadata, self.metadata);
        set(&mut draft.retry_policy, self.retry_policy);
        set(&mut draft.timeout_ms, self.timeout_ms);
        set(&mut draft.success, self.success);
        set(&mut draft.format, self.format);
        set(&mut draft.header_names, self.header_names);
        set(&mut draft.concurrency, self.concurrency);
        set(&mut draft.filter, self.filter);
        set(&mut draft.chain, self.chain);
        set(&mut draft.tell_response, self.tell_response);
        set(&mut draft.client_certificate, self.client_certificate);
        set(&mut draft.ca_certificates, self.ca_certificates);
        set(&mut draft.body_secret, self.body_secret);
    }

    /// The endpoint as a whole body describes it. What has a path of its own (headers), and what the SDKs do
    /// not know and thus cannot repeat (ours), stays as it is unless the body has it.
    pub(super) fn into_draft(self, present: Option<&Endpoint>) -> EndpointDraft {
        let mut draft = match present.map(EndpointDraft::from) {
            None => EndpointDraft::default(),
            Some(present) => EndpointDraft {
                headers: present.headers,
                authorization: present.authorization,
                retry_policy: present.retry_policy,
                timeout_ms: present.timeout_ms,
                success: present.success,
                format: present.format,
                header_names: present.header_names,
                concurrency: present.concurrency,
                filter: present.filter,
                chain: present.chain,
                tell_response: present.tell_response,
                client_certificate: present.client_certificate,
                ca_certificates: present.ca_certificates,
                body_secret: present.body_secret,
                ..EndpointDraft::default()
            },
        };
        self.apply(&mut draft);
        draft
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
enum AuthorizationIn {
    Bearer { token: String },
    Basic { username: String, password: String },
}

/// Errors do not repeat what may be secret.
fn authorization(fields: &Fields<'_>) -> Result<Option<Option<Authorization>>, ApiError> {
    let read = fields.nullable::<AuthorizationIn>("authorization").map_err(|_| {
        let forms = r#"{"type":"bearer","token"}, {"type":"basic","username","password"} or null"#;
        ApiError::body("authorization", format!("authorization must be {forms}"))
    })?;
    Ok(read.map(|given| {
        given.map(|given| match given {
            AuthorizationIn::Bearer { token } => Authorization::Bearer { token },
            AuthorizationIn::Basic { username, password } => Authorization::Basic { username, password },
        })
    }))
}

/// One of a few names.
fn named<T>(
    fields: &Fields<'_>,
    field: &'static str,
    from_name: impl Fn(&str) -> Option<T>,
    names: &str,
) -> Result<Option<T>, ApiError> {
    let Some(name) = fields.value::<String>(field)? else { return Ok(None) };
    from_name(&name).map(Some).ok_or_else(|| ApiError::body(field, format!("{field} must be {names}")))
}

/// What may be secret: errors do not repeat it.
fn secret<T: DeserializeOwned>(
    fields: &Fields<'_>,
    field: &'static str,
    form: &str,
) -> Result<Option<Option<T>>, ApiError> {
    fields.nullable(field).map_err(|_| ApiError::body(field, format!("{field} must be {form}")))
}
