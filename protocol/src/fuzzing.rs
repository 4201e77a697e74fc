//! What must hold for any bytes, as functions that both a fuzzer and a plain test can call.
//!
//! Each target takes bytes and panics when a property does not hold. `fuzz/` feeds them with guidance by coverage,
//! the test below with the files of `corpus/` and their mutations.
//!
//! Invariant: a target asserts more than the absence of panics: the same answer whatever the pieces, what is written
//! reads back, no more memory than the limits say.

use std::mem::discriminant;

use bytes::{Bytes, BytesMut};

use crate::client::{NewMessage, NewUrl};
use crate::command::{Command, CommandError};
use crate::frame::{Decoder, Limits, ProtocolError};
use crate::reply::{Encoder, Version};
use crate::small_talk::{Answer, Session};
use crate::value::{Value, ValueDecoder, ValueError, ValueLimits};
use crate::{OutcomeEntry, OutcomeRecord, StreamId};

/// Panics where what must hold for any bytes does not hold for these.
pub type Target = fn(&[u8]);

/// The targets of this crate by name.
pub const TARGETS: &[(&str, Target)] =
    &[("frames", frames), ("commands", commands), ("replies", replies), ("stream_ids", stream_ids)];

/// Small, so that a short input reaches each.
const LIMITS: Limits = Limits {
    arguments_max: 8,
    bulk_bytes_max: 64,
    line_bytes_max: 48,
    request_bytes_max: 128,
    authenticated: true,
};

const VALUE_LIMITS: ValueLimits = ValueLimits {
    depth_max: 4,
    values_max: 24,
    bulk_bytes_max: 64,
    reply_bytes_max: 320,
    line_bytes_max: 48,
};

/// Separates the arguments of [`commands`]: no text has it.
const SEPARATOR: u8 = 0xFF;

/// The bytes cut at places that `seed` chooses, mostly into small pieces.
pub fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, u32::from(seed) << 8 | 1);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = match state >> 29 {
            0 => state as usize >> 16 & 0x3F,
            short => short as usize,
        };
        let (piece, left) = rest.split_at(len.clamp(1, rest.len()));
        rest = left;
        Some(piece)
    })
}

/// Requests, then perhaps an error that ends them: the same however the bytes arrive. Two bytes choose the limits
/// and the pieces.
pub fn frames(data: &[u8]) {
    let Some((&[how, seed], bytes)) = data.split_first_chunk() else { return };
    let limits = if how & 1 == 0 { LIMITS } else { Limits::before_auth() };
    let whole = requests(limits, [bytes].into_iter());
    assert_eq!(requests(limits, pieces(bytes, seed)), whole, "in pieces, and whole");
    for arguments in whole.0 {
        let written = request_of(&arguments);
        let wide = Limits::after_auth(1 << 16);
        assert_eq!(requests(wide, [&written[..]].into_iter()), (vec![arguments], None));
    }
}

type Arguments = Vec<Bytes>;

fn requests<'b>(
    limits: Limits,
    pieces: impl Iterator<Item = &'b [u8]>,
) -> (Vec<Arguments>, Option<ProtocolError>) {
    let (mut decoder, mut input, mut requests) = (Decoder::new(limits), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
                Ok(Some(request)) => {
                    assert!((1..=limits.arguments_max).contains(&request.len()));
                    let arguments = request.arguments().map(Bytes::copy_from_slice).collect::<Arguments>();
                    let bytes: usize = arguments.iter().map(Bytes::len).sum();
                    assert!(bytes <= limits.request_bytes_max.max(limits.line_bytes_max));
                    requests.push(arguments);
                }
            }
        }
        assert!(input.len() <= limits.held_bytes_max(), "{} bytes wait", input.len());
    }
    (requests, None)
}

fn request_of(arguments: &[impl AsRef<[u8]>]) -> BytesMut {
    let mut out = BytesMut::from(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments.iter().map(AsRef::as_ref) {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Any arguments, separated by 0xFF: a command, or an error that fits on its line; a message means the same after the
/// client has written it again; small talk is answered with one reply.
pub fn commands(data: &[u8]) {
    let arguments: Vec<_> = data.split(|byte| *byte == SEPARATOR).take(64).collect();
    let mut input = request_of(&arguments);
    let mut decoder = Decoder::new(Limits::after_auth(1 << 20));
    let request = decoder.decode(&mut input).expect("within limits").expect("it is all there");
    let command = match Command::parse(&request) {
        Ok(command) => command,
        Err(error) => return stays_on_its_line(&error),
    };
    if let Command::Xadd(message) = &command {
        survives_the_client(&command, message);
    }
    for version in [Version::Resp2, Version::Resp3] {
        is_answered_once(&command, version);
    }
}

fn stays_on_its_line(error: &CommandError) {
    let mut out = BytesMut::new();
    Encoder::new(&mut out, Version::Resp2).error(error.code(), error);
    let text = out.strip_suffix(b"\r\n").expect("a line ends");
    assert!(out.len() < 600 && !text.iter().any(u8::is_ascii_control), "{error}");
}

fn survives_the_client(command: &Command<'_>, read: &crate::command::Xadd<'_>) {
    // The client has no words for a delay, nor for what belongs to a URL that is not there.
    let url = read.url.map(|url| NewUrl { url, secret: read.url_secret, endpoint: read.url_endpoint });
    if read.delay_ms.is_some()
        || (url.is_none() && (read.url_secret.is_some() || read.url_endpoint.is_some()))
    {
        return;
    }
    let channels: Vec<_> = read.channels.iter().collect();
    let message = NewMessage {
        application: read.application,
        event_type: read.event_type,
        payload: &read.payload,
        event_id: read.event_id,
        channels: &channels,
        content_type: read.content_type,
        deliver_at_ms: read.deliver_at_ms,
        ordering_key: read.ordering_key,
        url,
    };
    message.check().expect("channels that were read can be sent");
    let mut out = BytesMut::new();
    message.encode(&mut out);
    let mut decoder = Decoder::new(Limits::after_auth(1 << 20));
    let request = decoder.decode(&mut out).expect("within limits").expect("it is all there");
    assert_eq!(Command::parse(&request).as_ref(), Ok(command));
}

fn is_answered_once(command: &Command<'_>, version: Version) {
    let mut session = Session { version, ..Session::new(7) };
    let mut out = BytesMut::new();
    let answered = match command {
        Command::Hello(hello) => {
            session.hello(hello, "0.0.0", &mut out);
            Answer::Written
        }
        command => session.answer(command, &mut out),
    };
    let reply = ValueDecoder::new(ValueLimits::default()).decode(&mut out).expect("a reply reads");
    assert_eq!(reply.is_some(), answered != Answer::NotMine);
    assert!(out.is_empty(), "more than one reply");
    assert!(session.name.len() <= 128);
}

/// Replies, as a client reads them: the same however the bytes arrive, never deeper than the limit, and equal when
/// written and read again. One byte chooses the pieces.
pub fn replies(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let (whole, error) = values(VALUE_LIMITS, [bytes].into_iter());
    let (pieced, pieced_error) = values(VALUE_LIMITS, pieces(bytes, seed));
    assert_eq!(format!("{pieced:?}"), format!("{whole:?}"), "in pieces, and whole");
    // The sizes that an error names are those that had arrived.
    assert_eq!(pieced_error.as_ref().map(discriminant), error.as_ref().map(discriminant));
    for value in whole {
        assert!(depth(&value) <= VALUE_LIMITS.depth_max);
        let mut out = BytesMut::new();
        write(&value, &mut out);
        let read = values(ValueLimits::default(), [&out[..]].into_iter());
        assert_eq!(format!("{read:?}"), format!("{:?}", (vec![value.clone()], None::<ValueError>)));
        if let Some(outcome) = OutcomeRecord::decode(value) {
            reads_back(&outcome);
        }
    }
}

fn values<'b>(
    limits: ValueLimits,
    pieces: impl Iterator<Item = &'b [u8]>,
) -> (Vec<Value>, Option<ValueError>) {
    let (mut decoder, mut input, mut values) = (ValueDecoder::new(limits), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(value)) => values.push(value),
                Err(error) => return (values, Some(error)),
            }
        }
        assert!(
            input.len() <= limits.bulk_bytes_max.max(limits.line_bytes_max) + 2,
            "{} bytes wait",
            input.len()
        );
    }
    (values, None)
}

fn depth(value: &Value) -> usize {
    let deepest = |values: &mut dyn Iterator<Item = &Value>| values.map(depth).max().unwrap_or(0);
    match value {
        Value::Array(values) | Value::Set(values) | Value::Push(values) if !values.is_empty() => {
            1 + deepest(&mut values.iter())
        }
        Value::Map(pairs) if !pairs.is_empty() => {
            1 + deepest(&mut pairs.iter().flat_map(|(key, value)| [key, value]))
        }
        _ => 0,
    }
}

/// A value in RESP3, each type in one way.
fn write(value: &Value, out: &mut BytesMut) {
    let mut line = |mark: char, text: &[u8]| {
        out.extend_from_slice(mark.to_string().as_bytes());
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    };
    let length = |len: usize| len.to_string().into_bytes();
    match value {
        Value::Simple(text) => line('+', text),
        Value::Integer(number) => line(':', number.to_string().as_bytes()),
        Value::Null => line('_', b""),
        Value::Boolean(value) => line('#', if *value { b"t" } else { b"f" }),
        Value::Double(number) => line(',', format!("{number:?}").as_bytes()),
        Value::BigNumber(digits) => line('(', digits),
        Value::Error(text) => write_string('!', &[], text, out),
        Value::Bulk(bytes) => write_string('$', &[], bytes, out),
        Value::Verbatim { format, text } => write_string('=', &[format, &b":"[..]].concat(), text, out),
        Value::Array(values) | Value::Set(values) | Value::Push(values) => {
            let mark = match value {
                Value::Array(_) => '*',
                Value::Set(_) => '~',
                _ => '>',
            };
            line(mark, &length(values.len()));
            values.iter().for_each(|value| write(value, out));
        }
        Value::Map(pairs) => {
            line('%', &length(pairs.len()));
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
        }
    }
}

fn write_string(mark: char, before: &[u8], bytes: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(format!("{mark}{}\r\n", before.len() + bytes.len()).as_bytes());
    out.extend_from_slice(before);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn reads_back(read: &OutcomeRecord) {
    let entry = OutcomeEntry {
        message: read.message,
        endpoint: &read.endpoint,
        attempt: read.attempt,
        outcome: &read.outcome,
        status: read.status,
        latency_ms: read.latency_ms,
        next_attempt_ms: read.next_attempt_ms,
        state: &read.state,
        event_id: read.event_id.as_deref(),
        response_body: read.response_body.as_deref(),
        response_json: read.response_json,
    };
    let mut out = BytesMut::new();
    entry.encode(read.id, &mut Encoder::new(&mut out, Version::Resp2));
    let (mut values, _) = values(ValueLimits::default(), [&out[..]].into_iter());
    assert_eq!(values.pop().and_then(OutcomeRecord::decode).as_ref(), Some(read));
}

/// An id that is read is written the same, and has its neighbours.
pub fn stream_ids(data: &[u8]) {
    let Ok(id) = StreamId::parse(data, u64::MAX) else { return };
    assert_eq!(StreamId::parse(id.to_text().as_bytes(), 0), Ok(id));
    assert_eq!(id.to_text().as_bytes(), id.to_string().as_bytes());
    assert!(id.next().is_none_or(|next| next > id && next.previous() == Some(id)));
    assert!(id.previous().is_none_or(|previous| previous < id && previous.next() == Some(id)));
}

#[cfg(test)]
mod tests {
    use super::TARGETS;

    #[test]
    fn what_fuzzing_found_worth_keeping_and_its_mutations_break_nothing() {
        posthaste_corpus::replay_all(TARGETS, |_| 20_000);
    }
}
