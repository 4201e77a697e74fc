//! Stream entries: the fields under which messages and outcomes are read, for both sides of the wire.
//!
//! One type for each stream writes the fields in a fixed order and, in the client, reads them in any order.
//! Every value is a bulk string, as in Redis; a number that does not apply is written 0.
//!
//! Not here: which outcomes exist and what their names mean (docs/protocol.md lists them).

use bytes::Bytes;

use crate::reply::Encoder;
use crate::value::Value;
use crate::{StreamId, decimal};

/// What the id of a message begins with wherever it is not a stream id.
const MESSAGE_PREFIX: &[u8] = b"msg_";

/// What `response_json` says.
const JSON_VALID: &[u8] = b"valid";
const JSON_BROKEN: &[u8] = b"broken";

/// One entry of `messages:<application>`, as XRANGE answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageEntry<'a> {
    /// Field `type`.
    pub event_type: &'a str,
    /// Field `payload`.
    pub payload: &'a [u8],
    /// Field `id`, if the producer gave one.
    pub event_id: Option<&'a str>,
    /// Field `channels`, comma separated, if there are any.
    pub channels: Option<&'a str>,
    /// Field `content-type`, if it is not JSON.
    pub content_type: Option<&'a str>,
    /// Field `deliver-at`, unix milliseconds, if it was not to be sent at once.
    pub deliver_at_ms: Option<u64>,
    /// Field `ordering-key`, if it has one.
    pub ordering_key: Option<&'a str>,
    /// Field `url`, if it brought one along.
    pub url: Option<&'a str>,
}

impl MessageEntry<'_> {
    /// Writes the entry: its id, then its fields, under the names that XADD takes.
    pub fn encode(&self, id: StreamId, reply: &mut Encoder<'_>) {
        let deliver_at = self.deliver_at_ms.map(|ms| ms.to_string());
        let optional = [
            ("id", self.event_id),
            ("channels", self.channels),
            ("content-type", self.content_type),
            ("deliver-at", deliver_at.as_deref()),
            ("ordering-key", self.ordering_key),
            ("url", self.url),
        ];
        let given = || optional.into_iter().filter_map(|(field, value)| Some((field, value?)));
        reply.entry(id, 2 + given().count());
        field(reply, "type", self.event_type.as_bytes());
        field(reply, "payload", self.payload);
        for (name, value) in given() {
            field(reply, name, value.as_bytes());
        }
    }
}

/// One entry of `outcomes:<application>`: how an attempt ended, and where its delivery stands since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEntry<'a> {
    /// Field `message`, there written `msg_<ms>-<seq>`.
    pub message: StreamId,
    /// Field `endpoint`: its id.
    pub endpoint: &'a str,
    /// Field `attempt`: its number within the delivery; the first is 1.
    pub attempt: u16,
    /// Field `outcome`: its name.
    pub outcome: &'a str,
    /// Field `status`: the HTTP status, where a response was received.
    pub status: Option<u16>,
    /// Field `latency_ms`: how long the attempt took, in milliseconds.
    pub latency_ms: u64,
    /// Field `next_attempt_ms`: when the delivery is tried again, in unix milliseconds, if it is.
    pub next_attempt_ms: Option<u64>,
    /// Field `state`: pending, delivered, exhausted or cancelled.
    pub state: &'a str,
    /// Field `event_id`, if the message had one and the endpoint asks for responses.
    pub event_id: Option<&'a str>,
    /// Field `response_body`, cut to the server's limit, if the endpoint asks for it.
    pub response_body: Option<&'a [u8]>,
    /// Field `response_json`, `valid` or `broken`: whether the body is JSON, if the response says that it is.
    pub response_json: Option<bool>,
}

impl OutcomeEntry<'_> {
    /// Writes the entry: the id of the attempt, then the fields.
    pub fn encode(&self, id: StreamId, reply: &mut Encoder<'_>) {
        let optional = [self.event_id.is_some(), self.response_body.is_some(), self.response_json.is_some()];
        reply.entry(id, 8 + optional.into_iter().filter(|given| *given).count());
        self.encode_message(reply);
        field(reply, "endpoint", self.endpoint.as_bytes());
        number(reply, "attempt", u64::from(self.attempt));
        field(reply, "outcome", self.outcome.as_bytes());
        number(reply, "status", u64::from(self.status.unwrap_or(0)));
        number(reply, "latency_ms", self.latency_ms);
        number(reply, "next_attempt_ms", self.next_attempt_ms.unwrap_or(0));
        field(reply, "state", self.state.as_bytes());
        if let Some(event_id) = self.event_id {
            field(reply, "event_id", event_id.as_bytes());
        }
        if let Some(body) = self.response_body {
            field(reply, "response_body", body);
        }
        if let Some(is_json) = self.response_json {
            field(reply, "response_json", if is_json { JSON_VALID } else { JSON_BROKEN });
        }
    }

    fn encode_message(&self, reply: &mut Encoder<'_>) {
        let id = self.message.to_text();
        field(reply, "message", &[MESSAGE_PREFIX, id.as_bytes()].concat());
    }
}

fn field(reply: &mut Encoder<'_>, name: &str, value: &[u8]) {
    reply.bulk(name.as_bytes());
    reply.bulk(value);
}

fn number(reply: &mut Encoder<'_>, name: &str, value: u64) {
    reply.bulk(name.as_bytes());
    reply.bulk_number(value);
}

/// An [`OutcomeEntry`] as a client received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The id of the attempt: where to resume reading.
    pub id: StreamId,
    /// The message, as XADD answered it.
    pub message: StreamId,
    /// The endpoint's id.
    pub endpoint: String,
    /// The attempt's number within its delivery; the first is 1.
    pub attempt: u16,
    /// The name of the outcome.
    pub outcome: String,
    /// The HTTP status, where a response was received.
    pub status: Option<u16>,
    /// How long the attempt took, in milliseconds.
    pub latency_ms: u64,
    /// When the delivery is tried again, in unix milliseconds, if it is.
    pub next_attempt_ms: Option<u64>,
    /// Where the delivery stands: pending, delivered, exhausted or cancelled.
    pub state: String,
    /// The producer's id of the message, if it gave one.
    pub event_id: Option<String>,
    /// The beginning of the response's body, if the endpoint asks for it.
    pub response_body: Option<Bytes>,
    /// Whether that is JSON, if the response says that it is.
    pub response_json: Option<bool>,
}

impl OutcomeRecord {
    /// Reads an entry; `None` when a field is missing or of another form. Unknown fields are passed over, so
    /// that a server may add some.
    pub fn decode(entry: Value) -> Option<Self> {
        let [id, fields] = <[Value; 2]>::try_from(entry.into_array()?).ok()?;
        let fields = Fields(fields.into_array()?);
        let message = fields.bytes("message")?;
        Some(Self {
            id: StreamId::parse(id.as_bytes()?, 0).ok()?,
            message: StreamId::parse(message.strip_prefix(MESSAGE_PREFIX)?, 0).ok()?,
            endpoint: fields.text("endpoint")?,
            attempt: u16::try_from(fields.number("attempt")?).ok()?,
            outcome: fields.text("outcome")?,
            status: Some(u16::try_from(fields.number("status")?).ok()?).filter(|&status| status != 0),
            latency_ms: fields.number("latency_ms")?,
            next_attempt_ms: Some(fields.number("next_attempt_ms")?).filter(|&at| at != 0),
            state: fields.text("state")?,
            event_id: fields.text("event_id"),
            response_body: fields.bytes("response_body").cloned(),
            response_json: fields.bytes("response_json").map(|given| &given[..] == JSON_VALID),
        })
    }
}

/// Names and values in turn.
struct Fields(Vec<Value>);

impl Fields {
    fn bytes(&self, name: &str) -> Option<&Bytes> {
        let pair = |pair: &'_ &[Value]| pair[0].as_bytes().is_some_and(|given| &given[..] == name.as_bytes());
        self.0.chunks_exact(2).find(pair)?[1].as_bytes()
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(std::str::from_utf8(self.bytes(name)?).ok()?.to_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        decimal::parse_unsigned(self.bytes(name)?)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::reply::Version;
    use crate::value::{ValueDecoder, ValueLimits};

    fn decoded(out: &mut BytesMut) -> Value {
        ValueDecoder::new(ValueLimits::default()).decode(out).unwrap().unwrap()
    }

    #[test]
    fn an_outcome_reads_back_as_it_was_written() {
        let entry = OutcomeEntry {
            message: StreamId::new(5, 1),
            endpoint: "ep_1",
            attempt: 2,
            outcome: "bad_status",
            status: Some(500),
            latency_ms: 12,
            next_attempt_ms: Some(99),
            state: "pending",
            event_id: Some("e1"),
            response_body: Some(b"oops"),
            response_json: Some(false),
        };
        let bare = OutcomeEntry {
            status: None,
            next_attempt_ms: None,
            event_id: None,
            response_body: None,
            response_json: None,
            ..entry.clone()
        };
        for entry in [entry, bare] {
            let mut out = BytesMut::new();
            entry.encode(StreamId::new(6, 0), &mut Encoder::new(&mut out, Version::Resp2));
            let record = OutcomeRecord::decode(decoded(&mut out)).unwrap();
            assert_eq!((record.id, record.message), (StreamId::new(6, 0), entry.message));
            assert_eq!((record.endpoint.as_str(), record.attempt), (entry.endpoint, entry.attempt));
            assert_eq!((record.outcome.as_str(), record.status), (entry.outcome, entry.status));
            assert_eq!(
                (record.latency_ms, record.next_attempt_ms),
                (entry.latency_ms, entry.next_attempt_ms)
            );
            assert_eq!((record.state.as_str(), record.event_id.as_deref()), (entry.state, entry.event_id));
            assert_eq!(record.response_body.as_deref(), entry.response_body);
            assert_eq!(record.response_json, entry.response_json);
        }
    }

    #[test]
    fn an_entry_without_its_fields_is_no_outcome() {
        for bytes in ["*2\r\n$3\r\n1-1\r\n*0\r\n", "*1\r\n$1\r\nx\r\n", ":1\r\n", "*2\r\n:1\r\n:1\r\n"] {
            assert_eq!(OutcomeRecord::decode(decoded(&mut BytesMut::from(bytes))), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_message_is_read_under_the_names_it_was_published_with() {
        let entry = MessageEntry {
            event_type: "a",
            payload: b"{}",
            event_id: Some("e"),
            channels: None,
            content_type: None,
            deliver_at_ms: Some(7),
            ordering_key: None,
            url: None,
        };
        let mut out = BytesMut::new();
        entry.encode(StreamId::new(1, 0), &mut Encoder::new(&mut out, Version::Resp3));
        let expected = "*2\r\n$3\r\n1-0\r\n*8\r\n$4\r\ntype\r\n$1\r\na\r\n$7\r\npayload\r\n$2\r\n{}\r\n$2\r\nid\r\n$1\r\ne\r\n\
                        $10\r\ndeliver-at\r\n$1\r\n7\r\n";
        assert_eq!(out, expected.as_bytes());
    }
}
