//! Publishing: may this message come in, and where does it go?
//!
//! The one place where a new message is judged, whichever door it comes through. What passes here is ready
//! to be stored: checked, routed, and with a digest if it may be published again.
//!
//!   NewMessage --admit--> Admitted --log--> message id
//!
//! Invariants
//! - Nothing here waits, and nothing takes a lock: the catalog is asked for snapshots.
//! - The payload is never changed, not even its white space.
//! - A repetition has the same digest as the first message; anything a receiver could tell apart has not.
//!
//! Not here: whether an event id was used before (only the log knows).

mod content_type;
mod error;
mod extras;
mod json;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::catalog::limits::{CHANNEL_BYTES_MAX, EVENT_TYPE_BYTES_MAX};
use crate::catalog::{Catalog, EventTypeStanding, RoutedApplication, is_identifier};
use crate::config::UnknownEventTypes;
use crate::core::ids::{ApplicationId, EndpointId};
use crate::payload::Payload;
use content_type::is_content_type;
pub(crate) use content_type::is_json;
pub use error::{Answer, PublishError};
pub use extras::{DELIVER_AT_AHEAD_MS_MAX, Extras, NewUrl, ORDERING_KEY_BYTES_MAX, OwnUrl, UrlJudge};
pub(crate) use json::check as check_json;

/// The longest event id, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 256;
/// The most channels of a message.
pub const CHANNELS_MAX: usize = 5;
/// The longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// The deepest nesting of a JSON payload: what common parsers take.
pub const JSON_DEPTH_MAX: usize = 128;
/// What a message without a content type is.
pub const CONTENT_TYPE_DEFAULT: &str = "application/json";

/// A message as a producer hands it over.
#[derive(Debug, Clone)]
pub struct NewMessage<'a> {
    /// Dotted name.
    pub event_type: &'a str,
    /// The producer's own id: publishing again under it is harmless.
    pub event_id: Option<&'a str>,
    /// Narrow the endpoints down to those that listen to one of them, or to all.
    pub channels: Vec<&'a str>,
    /// Media type of the payload; `None` for JSON.
    pub content_type: Option<&'a str>,
    /// What is delivered, byte for byte.
    pub payload: Bytes,
    /// Not sent before, unix milliseconds.
    pub deliver_at_ms: Option<u64>,
    /// Messages with the same key reach an endpoint one after the other, in the order of their ids.
    pub ordering_key: Option<&'a str>,
    /// Where it goes instead of its endpoint's URL.
    pub url: Option<NewUrl<'a>>,
}

/// What the configuration says about messages.
#[derive(Debug, Clone)]
pub struct PublishLimits {
    /// `limits.payload_bytes_max`
    pub payload_bytes_max: u64,
    /// `limits.unknown_event_types`
    pub unknown_event_types: UnknownEventTypes,
    /// Judges URLs that messages bring along.
    pub urls: UrlJudge,
}

/// A message that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Whose it is.
    pub application: ApplicationId,
    /// Dotted name.
    pub event_type: Box<str>,
    /// The producer's own id.
    pub event_id: Option<Box<str>>,
    /// In the order given.
    pub channels: Vec<Box<str>>,
    /// `None` for JSON.
    pub content_type: Option<Box<str>>,
    /// What is delivered.
    pub payload: Bytes,
    /// Where it goes: one delivery each. May be empty: then it is stored, and delivered to nobody.
    pub endpoints: Vec<EndpointId>,
    /// The first 16 bytes of a SHA-256 over everything that makes the message what it is, to tell a
    /// repetition from a conflict; zero without an event id.
    pub digest: [u8; 16],
    /// What few messages have.
    pub extras: Option<Box<Extras>>,
}

/// Judges a message and finds its endpoints. `application` is an id or a uid.
///
/// # Errors
/// The first thing that is wrong with it, cheapest check first.
pub fn admit(
    catalog: &Catalog,
    limits: &PublishLimits,
    application: &str,
    new: NewMessage<'_>,
) -> Result<Admitted, PublishError> {
    let routed =
        catalog.resolve(application).ok_or_else(|| PublishError::unknown_application(application))?;
    check_event_type(catalog, limits, new.event_type)?;
    check_event_id(new.event_id)?;
    check_channels(&new.channels)?;
    let content_type = check_content_type(new.content_type)?;
    check_payload(limits, content_type, &new.payload)?;
    extras::check_ordering_key(new.ordering_key)?;
    let due_ms = extras::check_due(new.deliver_at_ms)?;
    let payload = Payload::new(&new.payload, content_type.is_none_or(is_json));
    if routed.validates_payloads() {
        check_fit(catalog, new.event_type, &payload)?;
    }
    let (endpoints, extras) = direct(catalog, limits, &routed, &new, &payload, due_ms)?;
    let digest = new.event_id.map_or([0; 16], |_| digest(&new, content_type));
    Ok(Admitted {
        application: routed.id(),
        event_type: new.event_type.into(),
        event_id: new.event_id.map(Into::into),
        channels: new.channels.into_iter().map(Into::into).collect(),
        content_type: content_type.map(Into::into),
        payload: new.payload,
        endpoints,
        digest,
        extras,
    })
}

/// Judges an event type and a payload of it, as [`admit`] would.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn check_example(
    catalog: &Catalog,
    limits: &PublishLimits,
    event_type: &str,
    payload: &[u8],
) -> Result<(), PublishError> {
    check_event_type(catalog, limits, event_type)?;
    check_payload(limits, None, payload)
}

/// Where the message goes, and what else is to be known about that.
fn direct(
    catalog: &Catalog,
    limits: &PublishLimits,
    application: &RoutedApplication,
    new: &NewMessage<'_>,
    payload: &Payload<'_>,
    due_ms: Option<u64>,
) -> Result<(Vec<EndpointId>, Option<Box<Extras>>), PublishError> {
    let routed = application.route(new.event_type, &new.channels, payload);
    let (mut endpoints, mut chains) = (routed.endpoints, routed.chains);
    let mut url = None;
    if let Some(own) = new.url {
        let (endpoint, own) =
            extras::check_url(catalog, &limits.urls, &application.settings(), own, &endpoints)?;
        (endpoints, chains, url) = (vec![endpoint], Vec::new(), Some(own));
    }
    if due_ms.is_none() && new.ordering_key.is_none() && url.is_none() && chains.is_empty() {
        return Ok((endpoints, None));
    }
    let ordering_key = new.ordering_key.map(Into::into);
    Ok((endpoints, Some(Box::new(Extras { due_ms, ordering_key, url, chains }))))
}

fn check_event_type(catalog: &Catalog, limits: &PublishLimits, name: &str) -> Result<(), PublishError> {
    check_identifier("event type", name, EVENT_TYPE_BYTES_MAX)?;
    match (catalog.event_type_standing(name), limits.unknown_event_types) {
        (EventTypeStanding::Known, _) | (EventTypeStanding::Unknown, UnknownEventTypes::Accept) => Ok(()),
        (EventTypeStanding::Archived, _) => Err(PublishError::EventTypeArchived { name: name.into() }),
        (EventTypeStanding::Unknown, UnknownEventTypes::Refuse) => {
            Err(PublishError::EventTypeUnknown { name: name.into() })
        }
    }
}

fn check_event_id(event_id: Option<&str>) -> Result<(), PublishError> {
    event_id.map_or(Ok(()), |event_id| check_identifier("event id", event_id, EVENT_ID_BYTES_MAX))
}

fn check_channels(channels: &[&str]) -> Result<(), PublishError> {
    if channels.len() > CHANNELS_MAX {
        return Err(PublishError::TooManyChannels { count: channels.len(), max: CHANNELS_MAX });
    }
    channels.iter().try_for_each(|channel| check_identifier("channel", channel, CHANNEL_BYTES_MAX))
}

/// `None` for what is usual anyway, so that it need not be stored.
fn check_content_type(content_type: Option<&str>) -> Result<Option<&str>, PublishError> {
    let Some(content_type) = content_type.filter(|text| *text != CONTENT_TYPE_DEFAULT) else {
        return Ok(None);
    };
    check_size("content type", content_type.len(), CONTENT_TYPE_BYTES_MAX)?;
    if is_content_type(content_type) {
        return Ok(Some(content_type));
    }
    Err(PublishError::ContentTypeInvalid { value: error::shown(content_type) })
}

/// Judges a payload, as [`admit`] would.
///
/// # Errors
/// If it is too large, or JSON that is none.
pub fn check_payload(
    limits: &PublishLimits,
    content_type: Option<&str>,
    payload: &[u8],
) -> Result<(), PublishError> {
    let (bytes, max) = (payload.len() as u64, limits.payload_bytes_max);
    if bytes > max {
        return Err(PublishError::PayloadTooLarge { bytes, max });
    }
    if content_type.is_none_or(is_json) { json::check(payload) } else { Ok(()) }
}

/// Holds the payload against the newest schema of its event type, if it has one.
fn check_fit(catalog: &Catalog, event_type: &str, payload: &Payload<'_>) -> Result<(), PublishError> {
    catalog.check_payload(event_type, payload).map_err(|misfit| PublishError::PayloadMisfit {
        event_type: event_type.into(),
        misfit: misfit.into(),
    })
}

fn check_identifier(field: &'static str, text: &str, bytes_max: usize) -> Result<(), PublishError> {
    check_size(field, text.len(), bytes_max)?;
    if is_identifier(text) {
        return Ok(());
    }
    Err(PublishError::FieldInvalid { field, value: error::shown(text) })
}

fn check_size(field: &'static str, bytes: usize, max: usize) -> Result<(), PublishError> {
    if bytes > max { Err(PublishError::FieldTooLong { field, bytes, max }) } else { Ok(()) }
}

/// Every part goes in behind its length, so that no two messages look the same to the digest.
fn digest(new: &NewMessage<'_>, content_type: Option<&str>) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    };
    part(new.event_type.as_bytes());
    part(content_type.unwrap_or(CONTENT_TYPE_DEFAULT).as_bytes());
    part(&new.payload);
    new.channels.iter().for_each(|channel| part(channel.as_bytes()));
    // Names before the values, so that none is taken for a channel. (No channel has a space.)
    let url = new.url.as_ref();
    let extras = [
        ("ordering key", new.ordering_key),
        ("override url", url.map(|url| url.url)),
        ("override secret", url.and_then(|url| url.secret)),
        ("override endpoint", url.and_then(|url| url.endpoint)),
    ];
    for (name, value) in extras.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    let mut cut = [0; 16];
    cut.copy_from_slice(&context.finish().as_ref()[..16]);
    cut
}
