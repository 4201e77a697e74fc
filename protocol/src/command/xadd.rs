//! XADD: publish a message.
//!
//! ```text
//!   XADD messages:<application> * type <event type> payload <bytes>
//!        [id <event id>] [channels <a,b>] [content-type <type>] [deliver-at <unix ms> | delay-ms <ms>]
//!        [ordering-key <key>] [url <url> [url-secret <secret>] [url-endpoint <endpoint>]]
//! ```
//!
//! The fields may come in any order, each once. Only what concerns their shape is checked here: present,
//! text, not absurdly long.

use bytes::Bytes;

use super::arguments::is_word;
use super::error::quoted;
use super::key::{self, MESSAGES_PREFIX};
use super::{Arguments, Command, CommandError};
use crate::decimal;

/// The longest event type, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 256;
/// The longest event id, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 256;
/// The longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// The longest ordering key, in bytes.
pub(super) const ORDERING_KEY_BYTES_MAX: usize = 256;
/// The longest URL, in bytes.
pub(super) const URL_BYTES_MAX: usize = 4_096;
/// The longest secret of a URL, in bytes.
pub(super) const URL_SECRET_BYTES_MAX: usize = 4_096;
/// The longest id or uid of an endpoint, in bytes.
pub(super) const ENDPOINT_BYTES_MAX: usize = 256;
/// The longest list of channels with its commas, in bytes.
pub const CHANNELS_BYTES_MAX: usize = 4_096;

/// Options of XADD in Redis: this stream is made and trimmed by the server.
const OPTIONS: [&str; 6] = ["NOMKSTREAM", "MAXLEN", "MINID", "LIMIT", "KEEPREF", "DELREF"];

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xadd<'r> {
    /// Whose endpoints shall get it: id or uid.
    pub application: &'r str,
    /// Field `type`: dotted name; 1 to 256 bytes.
    pub event_type: &'r str,
    /// Field `payload`: the body of the requests to come. Shares the read buffer; keep a copy.
    pub payload: Bytes,
    /// Field `id`: the producer's own id, by which a repetition is recognised; 1 to 256 bytes.
    pub event_id: Option<&'r str>,
    /// Field `channels`: comma separated.
    pub channels: Channels<'r>,
    /// Field `content-type`: what the payload is, if not JSON; 1 to 256 bytes.
    pub content_type: Option<&'r str>,
    /// Field `deliver-at`: not sent before, unix milliseconds.
    pub deliver_at_ms: Option<u64>,
    /// Field `delay-ms`: not sent for so long.
    pub delay_ms: Option<u64>,
    /// Field `ordering-key`: messages with the same one reach an endpoint in order; 1 to 256 bytes.
    pub ordering_key: Option<&'r str>,
    /// Field `url`: where it goes instead of its endpoint's URL; 1 to 4,096 bytes.
    pub url: Option<&'r str>,
    /// Field `url-secret`: the secret for that URL; 1 to 4,096 bytes.
    pub url_secret: Option<&'r str>,
    /// Field `url-endpoint`: the endpoint whose settings apply there, by id or uid; 1 to 256 bytes.
    pub url_endpoint: Option<&'r str>,
}

/// The channels of a message, in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Channels<'r>(&'r str);

impl<'r> Channels<'r> {
    /// Each channel; none is empty.
    pub fn iter(self) -> impl Iterator<Item = &'r str> {
        self.0.split(',').filter(|channel| !channel.is_empty())
    }

    /// Whether the message is on no channel.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

pub(super) fn parse<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let application = key::application("XADD", MESSAGES_PREFIX, arguments.expect()?)?;
    automatic_id(arguments.expect()?)?;
    let fields = Fields::parse(arguments)?;
    if fields.deliver_at_ms.is_some() && fields.delay_ms.is_some() {
        return Err(CommandError::FieldsExclude { one: "deliver-at", other: "delay-ms" });
    }
    Ok(Command::Xadd(Xadd {
        application,
        event_type: fields.event_type.ok_or(CommandError::FieldMissing { field: "type" })?,
        payload: fields.payload.ok_or(CommandError::FieldMissing { field: "payload" })?,
        event_id: fields.event_id,
        channels: fields.channels.unwrap_or_default(),
        content_type: fields.content_type,
        deliver_at_ms: fields.deliver_at_ms,
        delay_ms: fields.delay_ms,
        ordering_key: fields.ordering_key,
        url: fields.url,
        url_secret: fields.url_secret,
        url_endpoint: fields.url_endpoint,
    }))
}

fn automatic_id(id: &[u8]) -> Result<(), CommandError> {
    if id == b"*" {
        return Ok(());
    }
    Err(match OPTIONS.into_iter().find(|option| is_word(id, option)) {
        Some(option) => CommandError::OptionUnsupported { option },
        None => CommandError::IdNotAutomatic { given: quoted(id) },
    })
}

#[derive(Default)]
struct Fields<'r> {
    event_type: Option<&'r str>,
    payload: Option<Bytes>,
    event_id: Option<&'r str>,
    channels: Option<Channels<'r>>,
    content_type: Option<&'r str>,
    deliver_at_ms: Option<u64>,
    delay_ms: Option<u64>,
    ordering_key: Option<&'r str>,
    url: Option<&'r str>,
    url_secret: Option<&'r str>,
    url_endpoint: Option<&'r str>,
}

impl<'r> Fields<'r> {
    fn parse(mut arguments: Arguments<'r>) -> Result<Self, CommandError> {
        if !arguments.len().is_multiple_of(2) {
            return Err(CommandError::ArgumentCount { command: "xadd" });
        }
        let mut fields = Self::default();
        while let Some(field) = arguments.take() {
            fields.accept(field, &mut arguments)?;
        }
        Ok(fields)
    }

    /// Takes the value of `field`, once the field is known to exist.
    fn accept(&mut self, field: &[u8], values: &mut Arguments<'r>) -> Result<(), CommandError> {
        match field {
            b"type" => once("type", &mut self.event_type, text("type", values, EVENT_TYPE_BYTES_MAX)?),
            b"payload" => {
                once("payload", &mut self.payload, values.take_bytes().ok_or(CommandError::Syntax)?)
            }
            b"id" => once("id", &mut self.event_id, text("id", values, EVENT_ID_BYTES_MAX)?),
            b"channels" => once("channels", &mut self.channels, channels(values)?),
            b"content-type" => {
                let content_type = text("content-type", values, CONTENT_TYPE_BYTES_MAX)?;
                once("content-type", &mut self.content_type, content_type)
            }
            b"deliver-at" => once("deliver-at", &mut self.deliver_at_ms, number("deliver-at", values)?),
            b"delay-ms" => once("delay-ms", &mut self.delay_ms, number("delay-ms", values)?),
            b"ordering-key" => {
                let key = text("ordering-key", values, ORDERING_KEY_BYTES_MAX)?;
                once("ordering-key", &mut self.ordering_key, key)
            }
            b"url" => once("url", &mut self.url, text("url", values, URL_BYTES_MAX)?),
            b"url-secret" => {
                once("url-secret", &mut self.url_secret, text("url-secret", values, URL_SECRET_BYTES_MAX)?)
            }
            b"url-endpoint" => once(
                "url-endpoint",
                &mut self.url_endpoint,
                text("url-endpoint", values, ENDPOINT_BYTES_MAX)?,
            ),
            unknown => Err(CommandError::FieldUnknown { given: quoted(unknown) }),
        }
    }
}

fn once<T>(field: &'static str, place: &mut Option<T>, value: T) -> Result<(), CommandError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::FieldTwice { field }),
    }
}

fn text<'r>(field: &'static str, values: &mut Arguments<'r>, max: usize) -> Result<&'r str, CommandError> {
    match values.expect()? {
        [] => Err(CommandError::FieldEmpty { field }),
        value if value.len() > max => Err(CommandError::FieldTooLong { field, bytes: value.len(), max }),
        value => std::str::from_utf8(value).map_err(|_| CommandError::FieldNotText { field }),
    }
}

/// A whole number in decimal digits.
fn number(field: &'static str, values: &mut Arguments<'_>) -> Result<u64, CommandError> {
    decimal::parse_unsigned(values.expect()?).ok_or(CommandError::FieldNotANumber { field })
}

/// An empty list is no channel at all, so that a producer need not leave the field out.
fn channels<'r>(values: &mut Arguments<'r>) -> Result<Channels<'r>, CommandError> {
    if values.peek().is_some_and(<[u8]>::is_empty) {
        values.take();
        return Ok(Channels::default());
    }
    let list = text("channels", values, CHANNELS_BYTES_MAX)?;
    match list.split(',').any(str::is_empty) {
        true => Err(CommandError::FieldEmpty { field: "channels" }),
        false => Ok(Channels(list)),
    }
}
