//! `/app/{app}/msg`: publishing over HTTP, and what was published.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Api;
use super::application::create_if_described;
use super::backend::{Again, MessageQuery, StoredDelivery, StoredMessage};
use super::endpoint_fields::EndpointOut;
use super::error::ApiError;
use super::extract::{Body, Named, TheApplication, TheEndpoint};
use super::fields::Fields;
use super::paging::{ListOut, Paging};
use super::payload::{Shown, hidden, show};
use super::query::Query;
use super::time::{parse_rfc3339, rfc3339};
use crate::access::Caller;
use crate::catalog::Application;
use crate::clock::unix_ms;
use crate::config::Scope;
use crate::core::ids::MessageId;
use crate::publish::{Admitted, NewMessage, NewUrl, PublishError, admit, is_json};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageOut {
    pub(super) id: String,
    event_type: String,
    event_id: Option<String>,
    channels: Option<Vec<String>>,
    payload: Box<RawValue>,
    timestamp: String,
    // What follows is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering_key: Option<String>,
    /// The URL that the message brought along.
    #[serde(skip_serializing_if = "Option::is_none")]
    override_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_encoding: Option<&'static str>,
    /// Only where it is so: the payload was erased, and `{}` stands for it.
    #[serde(skip_serializing_if = "is_false")]
    payload_erased: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

impl MessageOut {
    pub(super) fn new(message: &StoredMessage, with_content: bool) -> Self {
        let Shown { value, encoding } = match with_content && !message.erased {
            true => show(message.content_type.as_deref(), &message.payload),
            false => hidden(),
        };
        let channels: Vec<String> = message.channels.iter().map(|channel| channel.to_string()).collect();
        Self {
            id: message.id.to_string(),
            event_type: message.event_type.to_string(),
            event_id: message.event_id.as_deref().map(Into::into),
            channels: (!channels.is_empty()).then_some(channels),
            payload: value,
            timestamp: rfc3339(message.id.0.ms()),
            deliver_at: message.due_ms.map(rfc3339),
            ordering_key: message.ordering_key.as_deref().map(Into::into),
            override_url: message.url.as_deref().map(Into::into),
            content_type: message.content_type.as_deref().map(Into::into),
            payload_encoding: encoding,
            payload_erased: message.erased,
        }
    }
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    named: Named,
    query: Query,
    Body(body): Body,
) -> Result<(StatusCode, Json<MessageOut>), ApiError> {
    let with_content = query.flag("with_content", true)?;
    let fields = Fields::parse(&body)?;
    let application = named.text("app_id");
    let described = fields.value::<&RawValue>("application")?;
    if described.is_some() && api.editor.catalog().resolve(application).is_none() {
        caller.check_may(Scope::Admin)?;
        create_if_described(&api, application, described).await?;
    }
    let admitted = parse_and_admit(&api, &caller, application, &fields)?;
    let mut stored = unpublished(&admitted);
    stored.id = api.messages.publish(admitted).await?;
    Ok((StatusCode::ACCEPTED, Json(MessageOut::new(&stored, with_content))))
}

/// Reads a message from its fields and judges it.
pub(super) fn parse_and_admit(
    api: &Api,
    caller: &Caller,
    application: &str,
    fields: &Fields<'_>,
) -> Result<Admitted, ApiError> {
    let event_type: Cow<'_, str> = fields.required("eventType")?;
    caller.check_may_publish(&event_type)?;
    let paced = caller.messages.take(api.clock.now());
    paced.map_err(|wait| PublishError::too_fast(wait, caller.messages.rate()))?;
    let event_id: Option<Cow<'_, str>> = fields.value("eventId")?;
    let channels: Vec<Cow<'_, str>> = fields.value("channels")?.unwrap_or_default();
    let content_type: Option<Cow<'_, str>> = fields.value("contentType")?;
    let payload: &RawValue = fields.required("payload")?;
    let ordering_key: Option<Cow<'_, str>> = fields.value("orderingKey")?;
    let own_url: Option<OverrideIn<'_>> = fields.value("override")?;
    let new = NewMessage {
        event_type: &event_type,
        event_id: event_id.as_deref(),
        channels: channels.iter().map(AsRef::as_ref).collect(),
        content_type: content_type.as_deref(),
        payload: payload_bytes(content_type.as_deref(), payload)?,
        deliver_at_ms: deliver_at_ms(fields)?,
        ordering_key: ordering_key.as_deref(),
        url: own_url.as_ref().map(|own| NewUrl {
            url: &own.url,
            secret: own.secret.as_deref(),
            endpoint: own.endpoint.as_deref(),
        }),
    };
    Ok(admit(api.editor.catalog(), &api.limits, application, new)?)
}

/// A URL that the message brings along.
#[derive(Deserialize)]
struct OverrideIn<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    secret: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    endpoint: Option<Cow<'a, str>>,
}

/// `deliverAt`, a time, or `delayMs` from now.
fn deliver_at_ms(fields: &Fields<'_>) -> Result<Option<u64>, ApiError> {
    let (at, delay) = (fields.value::<String>("deliverAt")?, fields.value::<u64>("delayMs")?);
    match (at, delay) {
        (Some(_), Some(_)) => {
            Err(ApiError::body("delayMs", "delayMs and deliverAt cannot be given together"))
        }
        (None, delay) => Ok(delay.map(|ms| unix_ms().saturating_add(ms))),
        (Some(at), None) => parse_rfc3339(&at).map(Some).ok_or_else(|| {
            ApiError::body("deliverAt", "deliverAt must be a time such as 2025-01-31T12:00:00Z")
        }),
    }
}

/// JSON is taken as it was written, byte for byte; any other content comes as a JSON text that holds it.
fn payload_bytes(content_type: Option<&str>, payload: &RawValue) -> Result<Bytes, ApiError> {
    if content_type.is_none_or(is_json) {
        return Ok(Bytes::copy_from_slice(payload.get().as_bytes()));
    }
    let text: Result<String, _> = serde_json::from_str(payload.get());
    text.map(Bytes::from)
        .map_err(|_| ApiError::body("payload", "payload must be a text if contentType is not JSON"))
}

/// What will be stored once it has an id.
pub(super) fn unpublished(admitted: &Admitted) -> StoredMessage {
    StoredMessage {
        id: MessageId(Default::default()),
        event_type: admitted.event_type.clone(),
        event_id: admitted.event_id.clone(),
        channels: admitted.channels.clone(),
        content_type: admitted.content_type.clone(),
        payload: admitted.payload.clone(),
        due_ms: admitted.extras.as_ref().and_then(|extras| extras.due_ms),
        ordering_key: admitted.extras.as_ref().and_then(|extras| extras.ordering_key.clone()),
        url: admitted.extras.as_ref().and_then(|extras| Some(extras.url.as_ref()?.url.clone())),
        erased: false,
    }
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    query: Query,
) -> Result<Json<ListOut<MessageOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let wanted = message_query(&query, &paging)?;
    let with_content = wanted.with_content;
    let page = api.history.messages(application.id, wanted).await?;
    let data = page.items.iter().map(|message| MessageOut::new(message, with_content)).collect();
    let resume = page.resume.map(|id| MessageId(id).to_string());
    Ok(Json(paging.history(data, page.done, resume, |message| message.id.clone())))
}

/// What a list of messages is asked for with.
pub(super) fn message_query(query: &Query, paging: &Paging<'_>) -> Result<MessageQuery, ApiError> {
    Ok(MessageQuery {
        limit: paging.limit,
        start: paging.start()?,
        event_types: query.identifiers("event_types")?,
        channel: query.identifier("channel")?.map(Into::into),
        before_ms: query.time_ms("before")?,
        after_ms: query.time_ms("after")?,
        with_content: query.flag("with_content", true)?,
    })
}

pub(super) async fn read(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
    query: Query,
) -> Result<Json<MessageOut>, ApiError> {
    let with_content = query.flag("with_content", true)?;
    let id = message_id(&api, &application, named.text("msg_id")).await?;
    let message = api.history.message(application.id, id).await?;
    let message = message.ok_or_else(|| ApiError::not_found("message"))?;
    Ok(Json(MessageOut::new(&message, with_content)))
}

/// Cancels what is pending. Doing so again is fine.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
) -> Result<StatusCode, ApiError> {
    let id = present_message(&api, &application, &named).await?;
    // First: nothing is done that is not recorded.
    api.editor.record_deed("message.cancel", id.to_string(), Some(application.id.to_string())).await?;
    api.messages.cancel(application.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erases the payload, and cancels what is pending. Doing so again is fine.
pub(super) async fn erase(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
) -> Result<StatusCode, ApiError> {
    let id = present_message(&api, &application, &named).await?;
    api.editor.record_deed("message.erase", id.to_string(), Some(application.id.to_string())).await?;
    api.messages.erase(application.id, id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delivers a message to an endpoint again, now, whatever became of it; or for the first time.
pub(super) async fn resend(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    TheEndpoint(endpoint): TheEndpoint,
    named: Named,
) -> Result<(StatusCode, Json<EmptyOut>), ApiError> {
    let message = present_message(&api, &application, &named).await?;
    if endpoint.is_disabled() {
        return Err(ApiError::conflict("The endpoint is disabled; enable it first"));
    }
    api.editor.record_deed("message.resend", message.to_string(), Some(application.id.to_string())).await?;
    let again = Again { application: application.id, message, endpoint: endpoint.id };
    match api.messages.deliver_again(vec![again]).await? {
        0 => Err(ApiError::not_found("message")),
        _ => Ok((StatusCode::ACCEPTED, Json(EmptyOut {}))),
    }
}

/// `{}`
#[derive(Debug, Serialize)]
pub(super) struct EmptyOut {}

/// The message that the path names, once it is known to be there.
async fn present_message(api: &Api, application: &Application, named: &Named) -> Result<MessageId, ApiError> {
    let id = message_id(api, application, named.text("msg_id")).await?;
    let found = api.history.message(application.id, id).await?;
    found.map(|_| id).ok_or_else(|| ApiError::not_found("message"))
}

/// The message that a path names by its id or event id.
pub(super) async fn message_id(
    api: &Api,
    application: &Application,
    id_or_event_id: &str,
) -> Result<MessageId, ApiError> {
    if let Ok(id) = id_or_event_id.parse() {
        return Ok(id);
    }
    let id = api.history.message_by_event_id(application.id, id_or_event_id).await?;
    id.ok_or_else(|| ApiError::not_found("message"))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryOut {
    #[serde(flatten)]
    endpoint: EndpointOut,
    status: u8,
    status_text: &'static str,
    next_attempt: Option<String>,
    // What follows is ours.
    state: &'static str,
    attempts: u16,
}

/// Where the deliveries of a message stand; those to endpoints that are gone are left out.
pub(super) async fn deliveries(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
    query: Query,
) -> Result<Json<ListOut<DeliveryOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let id = message_id(&api, &application, named.text("msg_id")).await?;
    let mut deliveries = api.history.deliveries(application.id, id).await?;
    deliveries.sort_unstable_by_key(|delivery| delivery.endpoint);
    let (deliveries, done) = paging.slice(&deliveries, |delivery| delivery.endpoint)?;
    let data = deliveries.iter().filter_map(|delivery| delivery_out(&api, delivery)).collect();
    Ok(Json(paging.list(data, done, |delivery| delivery.endpoint.id.clone())))
}

fn delivery_out(api: &Api, delivery: &StoredDelivery) -> Option<DeliveryOut> {
    let endpoint = api.editor.catalog().endpoint_by_id(delivery.endpoint)?;
    let status = delivery.status(unix_ms());
    Some(DeliveryOut {
        endpoint: EndpointOut::new(api, &endpoint),
        status: status as u8,
        status_text: status.name(),
        next_attempt: delivery.next_attempt_ms.map(rfc3339),
        state: delivery.state.name(),
        attempts: delivery.attempts,
    })
}
