//! `/endpoint/probe`, `.../test`, `.../send-example`: is anybody there, and do they take what we send?
//!
//! | | endpoint | what is sent | how |
//! |---|---|---|---|
//! | `probe` | from the body, not saved | `payload`, or an example | one attempt at once, result in the answer |
//! | `test` | one that is there, disabled or not | the same | the same |
//! | `send-example` | one that is there | the example of the event type | an ordinary message, to it alone |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::endpoint_fields::EndpointPatch;
use super::error::ApiError;
use super::example;
use super::extract::{Body, TheApplication, TheEndpoint};
use super::fields::Fields;
use super::message::{MessageOut, unpublished};
use super::payload::{Shown, show};
use super::sensitive::masked;
use super::timing::TimingOut;
use crate::catalog::Endpoint;
use crate::probe::{Probe, Probed};
use crate::publish::{self, NewMessage, admit};

/// The event type of a test for which none was given. The catalog need not have it.
const EVENT_TYPE_DEFAULT: &str = "endpoint.test";

pub(super) async fn probe(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    Body(body): Body,
) -> Result<Json<ProbeOut>, ApiError> {
    let fields = Fields::parse(&body)?;
    let draft = EndpointPatch::parse_whole(&fields)?.into_draft(None);
    let secret: Option<String> = fields.value("secret")?;
    let endpoint = api.editor.try_endpoint(application.id, draft, secret.as_deref())?;
    make(&api, Arc::new(endpoint), &fields).await
}

pub(super) async fn test(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<Json<ProbeOut>, ApiError> {
    make(&api, endpoint, &Fields::parse_or_none(&body)?).await
}

async fn make(api: &Api, endpoint: Arc<Endpoint>, fields: &Fields<'_>) -> Result<Json<ProbeOut>, ApiError> {
    let (event_type, payload) = wanted(api, fields)?;
    let probed = api.probes.probe(Probe { endpoint, payload: payload.clone() }).await?;
    Ok(Json(ProbeOut::new(event_type.into_owned(), &payload, probed)))
}

/// The event type and the payload to send.
fn wanted<'a>(api: &Api, fields: &Fields<'a>) -> Result<(Cow<'a, str>, Bytes), ApiError> {
    let event_type: Option<Cow<'a, str>> = fields.value("eventType")?;
    let payload: Option<&RawValue> = fields.value("payload")?;
    let catalog = api.editor.catalog();
    let payload = payload.map(|payload| Bytes::copy_from_slice(payload.get().as_bytes()));
    let Some(event_type) = event_type else {
        let payload = payload.unwrap_or_else(|| example::plain(EVENT_TYPE_DEFAULT));
        publish::check_payload(&api.limits, None, &payload)?;
        return Ok((EVENT_TYPE_DEFAULT.into(), payload));
    };
    let payload = payload
        .or_else(|| example::of(&*catalog.event_type(&event_type)?))
        .unwrap_or_else(|| example::plain(&event_type));
    publish::check_example(catalog, &api.limits, &event_type, &payload)?;
    Ok((event_type, payload))
}

/// Publishes the example of an event type to this endpoint alone, whatever it subscribes to.
pub(super) async fn send_example(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<(StatusCode, Json<MessageOut>), ApiError> {
    let fields = Fields::parse(&body)?;
    let name: Cow<'_, str> = fields.required("eventType")?;
    let catalog = api.editor.catalog();
    let event_type = catalog.event_type(&name);
    let event_type =
        event_type.ok_or_else(|| ApiError::body("eventType", format!("there is no event type '{name}'")))?;
    let payload = example::of(&event_type).ok_or_else(|| {
        let what = format!("'{name}' has no schema to make an example from");
        ApiError::body("eventType", what)
    })?;
    if endpoint.is_disabled() {
        let detail = "The endpoint is disabled and gets nothing; test it with /test instead".into();
        return Err(ApiError::Plain { status: StatusCode::CONFLICT, code: "endpoint_disabled", detail });
    }
    let new = NewMessage {
        event_type: &name,
        event_id: None,
        channels: Vec::new(),
        content_type: None,
        payload,
        deliver_at_ms: None,
        ordering_key: None,
        url: None,
    };
    let mut admitted = admit(catalog, &api.limits, &endpoint.application.to_string(), new)?;
    (admitted.endpoints, admitted.extras) = (vec![endpoint.id], None);
    let mut stored = unpublished(&admitted);
    stored.id = api.messages.publish(admitted).await?;
    Ok((StatusCode::OK, Json(MessageOut::new(&stored, true))))
}

/// What came of a test.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProbeOut {
    /// The `webhook-id` it was sent with; nothing is stored under it.
    message_id: String,
    event_type: String,
    payload: Box<RawValue>,
    outcome: &'static str,
    /// The same in words.
    outcome_text: String,
    /// `null` when there was no response.
    status: Option<u16>,
    response: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_encoding: Option<&'static str>,
    response_headers: BTreeMap<String, String>,
    /// Whether headers and body of the response are left out, because the receiver is not on the public internet.
    response_hidden: bool,
    timing: TimingOut,
    /// As they were sent, but for what is secret in them.
    request_headers: BTreeMap<String, String>,
}

impl ProbeOut {
    fn new(event_type: String, payload: &[u8], probed: Probed) -> Self {
        let ended = probed.ended;
        let status = ended.outcome.status();
        let body =
            (status.is_some() && !probed.is_hidden).then(|| show(Some("text/plain"), &ended.response_body));
        let (response, response_encoding) = match body {
            Some(Shown { value, encoding }) => (Some(value), encoding),
            None => (None, None),
        };
        let outcome_text = match status {
            Some(status) if ended.detail.is_empty() => format!("the receiver answered {status}"),
            _ => ended.detail.into_owned(),
        };
        let headers = String::from_utf8_lossy(&ended.response_headers);
        let headers = headers.lines().filter_map(|line| line.split_once(": "));
        Self {
            message_id: probed.message.to_string(),
            event_type,
            payload: show(None, payload).value,
            outcome: ended.outcome.name(),
            outcome_text,
            status,
            response,
            response_encoding,
            response_headers: by_name(headers.map(|(name, value)| (name.to_owned(), value.to_owned()))),
            response_hidden: probed.is_hidden,
            timing: TimingOut::from(ended.timing),
            request_headers: by_name(probed.request_headers.into_iter().map(masked)),
        }
    }
}

/// What has the same name becomes one value (RFC 9110 section 5.3).
fn by_name(headers: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut by_name = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        by_name
            .entry(name)
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert(value);
    }
    by_name
}
