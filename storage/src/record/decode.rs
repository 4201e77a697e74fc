//! From bytes to record: borrowed, checked field by field, never a panic.

use super::cursor::Cursor;
use super::encode::{
    ATTEMPT_ERASED, HAS_CONTENT_TYPE, HAS_EVENT_ID, HAS_EXTRAS, HAS_NEXT, HAS_VALUE, MESSAGE_ERASED,
};
use crate::Position;

use super::{
    Attempt, Carried, Change, Channels, Course, Endpoints, Message, PackedExtras, Parked, PendingList,
    RECORD_VERSION, Record, RecordKind, Settled,
};

/// The first version in which attempts say how they went.
pub(super) const COURSE_SINCE: u8 = 2;

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer version of Posthaste wrote it.
    #[error("record kind {kind} in version {version} was written by a newer Posthaste")]
    Newer {
        /// The kind's number on disk.
        kind: u8,
        /// The record version on disk.
        version: u8,
    },
    /// The body ends inside a field.
    #[error("the record ends inside its {field}")]
    CutShort {
        /// The field.
        field: &'static str,
    },
    /// A length is 2^32 or more.
    #[error("the length of {field} is over 2^32")]
    LengthTooLarge {
        /// The field.
        field: &'static str,
    },
    /// A text is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: &'static str,
    },
    /// A flag has no meaning in this version.
    #[error("flags {flags:#04x} are not known")]
    UnknownFlags {
        /// All flags of the record.
        flags: u8,
    },
    /// The body goes on after the last field.
    #[error("{bytes} bytes are left over after the last field")]
    BytesLeftOver {
        /// How many.
        bytes: usize,
    },
}

impl<'a> Record<'a> {
    /// Reads a body of this kind and version (numbers as on disk).
    pub(crate) fn decode(kind: u8, version: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let newer = DecodeError::Newer { kind, version };
        if version > RECORD_VERSION {
            return Err(newer);
        }
        let mut cursor = Cursor::new(body);
        let record = match RecordKind::from_code(kind).ok_or(newer)? {
            RecordKind::Message => Self::Message(decode_message(&mut cursor)?),
            RecordKind::Attempt => Self::Attempt(decode_attempt(&mut cursor, version)?),
            RecordKind::Parked => Self::Parked(decode_parked(&mut cursor)?),
            RecordKind::Settled => Self::Settled(decode_settled(&mut cursor)?),
            RecordKind::Change => Self::Change(decode_change(&mut cursor)?),
            RecordKind::Carried => Self::Carried(decode_carried(&mut cursor)?),
        };
        cursor.finish()?;
        Ok(record)
    }
}

/// The flags, if all are known.
fn flags(cursor: &mut Cursor<'_>, known: u8) -> Result<u8, DecodeError> {
    let flags = cursor.u8("flags")?;
    if flags & !known == 0 { Ok(flags) } else { Err(DecodeError::UnknownFlags { flags }) }
}

/// The message; what lies where an erased payload was is no payload.
fn decode_message<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
    let mut message = message_fields(cursor)?;
    if message.erased {
        message.payload = &[];
    }
    Ok(message)
}

/// The fields of a message as they lie there.
pub(super) fn message_fields<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
    let id = cursor.id("message id")?;
    let application = cursor.u64("application")?;
    let flags = flags(cursor, HAS_EVENT_ID | HAS_CONTENT_TYPE | HAS_EXTRAS | MESSAGE_ERASED)?;
    let event_type = cursor.text("event type")?;
    let event_id = if flags & HAS_EVENT_ID == 0 { None } else { Some(cursor.text("event id")?) };
    let content_type = if flags & HAS_CONTENT_TYPE == 0 { None } else { Some(cursor.text("content type")?) };
    let extras = if flags & HAS_EXTRAS == 0 { PackedExtras::NONE } else { PackedExtras::decode(cursor)? };
    Ok(Message {
        id,
        application,
        event_type,
        event_id,
        content_type,
        extras,
        channels: Channels::decode(cursor)?,
        digest: cursor.digest("digest")?,
        endpoints: Endpoints::decode(cursor)?,
        payload: cursor.bytes("payload")?,
        erased: flags & MESSAGE_ERASED != 0,
    })
}

fn decode_attempt<'a>(cursor: &mut Cursor<'a>, version: u8) -> Result<Attempt<'a>, DecodeError> {
    let mut attempt = Attempt {
        id: cursor.id("attempt id")?,
        message: cursor.id("message id")?,
        application: cursor.u64("application")?,
        endpoint: cursor.u64("endpoint")?,
        number: cursor.u16("attempt number")?,
        progress: cursor.u16("progress")?,
        started_ms: cursor.u64("start")?,
        duration_us: cursor.u32("duration")?,
        outcome: cursor.u8("outcome")?,
        status: cursor.u16("status")?,
        state: cursor.u8("delivery state")?,
        next_attempt_ms: 0,
        endpoint_revision: 0,
        message_at: Position::START,
        response_headers: &[],
        response_body: &[],
        detail: "",
        course: Course::default(),
        erased: false,
    };
    // Version 1 has no flags: the next attempt is always there.
    let known = HAS_NEXT | ATTEMPT_ERASED;
    let flags = if version < COURSE_SINCE { HAS_NEXT } else { flags(cursor, known)? };
    if flags & HAS_NEXT != 0 {
        attempt.next_attempt_ms = cursor.u64("next attempt")?;
    }
    attempt.endpoint_revision = cursor.u32("endpoint revision")?;
    attempt.message_at = cursor.position("message position")?;
    attempt.response_headers = cursor.bytes("response headers")?;
    attempt.response_body = cursor.bytes("response body")?;
    attempt.detail = cursor.text("detail")?;
    if version >= COURSE_SINCE {
        attempt.course = Course::decode(cursor, attempt.started_ms)?;
    }
    attempt.erased = flags & ATTEMPT_ERASED != 0;
    if attempt.erased {
        // What lies there is no response.
        (attempt.response_headers, attempt.response_body, attempt.detail) = (&[], &[], "");
    }
    Ok(attempt)
}

fn decode_parked(cursor: &mut Cursor<'_>) -> Result<Parked, DecodeError> {
    Ok(Parked {
        message: cursor.id("message id")?,
        application: cursor.u64("application")?,
        endpoint: cursor.u64("endpoint")?,
        attempts: cursor.u16("attempts")?,
        due_ms: cursor.u64("due time")?,
        message_at: cursor.position("message position")?,
    })
}

fn decode_settled(cursor: &mut Cursor<'_>) -> Result<Settled, DecodeError> {
    Ok(Settled {
        message: cursor.id("message id")?,
        application: cursor.u64("application")?,
        endpoint: cursor.u64("endpoint")?,
        state: cursor.u8("delivery state")?,
        at_ms: cursor.u64("time")?,
    })
}

fn decode_change<'a>(cursor: &mut Cursor<'a>) -> Result<Change<'a>, DecodeError> {
    let flags = flags(cursor, HAS_VALUE)?;
    let key = cursor.bytes("key")?;
    let value = if flags & HAS_VALUE == 0 { None } else { Some(cursor.bytes("value")?) };
    Ok(Change { key, value })
}

fn decode_carried<'a>(cursor: &mut Cursor<'a>) -> Result<Carried<'a>, DecodeError> {
    let pending = PendingList::decode(cursor)?;
    Ok(Carried { message: decode_message(cursor)?, pending })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Course, Extras, PendingDelivery};
    use crate::{EntryId, Position};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn reads_back(record: &Record<'_>) {
        let mut body = Vec::new();
        record.encode(&mut body);
        assert_eq!(Record::decode(record.kind() as u8, RECORD_VERSION, &body).as_ref(), Ok(record));
        for bytes in 0..body.len() {
            let part = Record::decode(record.kind() as u8, RECORD_VERSION, &body[..bytes]);
            assert!(part.is_err(), "the first {bytes} of {} bytes read as {part:?}", body.len());
        }
    }

    proptest! {
        #[test]
        fn a_message_reads_back_as_it_was_written_also_when_carried(
            id: u64, application: u64, event_type in ".{0,8}", event_id in option::of(".{0,8}"),
            content_type in option::of(".{0,8}"), channels in vec(".{0,5}", 0..4), digest: [u8; 16],
            endpoints in vec(any::<u64>(), 0..4), payload in vec(any::<u8>(), 0..150),
            pending in vec((any::<u64>(), any::<u16>(), any::<u64>()), 0..5), due_ms in option::of(any::<u64>()),
            ordering_key in option::of(".{0,8}"), url in option::of(".{0,8}"), url_secret in option::of(".{0,8}"), erased: bool,
            sealed in option::of(vec(any::<u8>(), 0..40)),
        ) {
            let extras = Extras {
                due_ms, ordering_key: ordering_key.as_deref(), url: url.as_deref(),
                url_secret: url_secret.as_deref(), sealed_url_secret: sealed.as_deref(), chains: Endpoints::from(&endpoints[..]),
            };
            let mut packed = Vec::new();
            let packed = extras.pack(&mut packed);
            prop_assert_eq!(packed.unpack(), extras);
            let message = Message {
                id: EntryId::from_u64(id), application, event_type: &event_type, event_id: event_id.as_deref(),
                content_type: content_type.as_deref(), extras: packed, channels: Channels::from(&channels[..]), digest,
                endpoints: Endpoints::from(&endpoints[..]), payload: if erased { &[] } else { &payload }, erased,
            };
            let pending: Vec<_> = pending
                .into_iter()
                .map(|(endpoint, attempts, due_ms)| PendingDelivery { endpoint, attempts, due_ms })
                .collect();
            reads_back(&Record::Message(message));
            reads_back(&Record::Carried(Carried { message, pending: PendingList::from(&pending[..]) }));
        }

        #[test]
        fn every_other_record_reads_back_as_it_was_written(
            a: u64, b: u64, c: u64, d: u64, ms: u64, short: u16, byte: u8, number: u32,
            headers in vec(any::<u8>(), 0..150), detail in ".{0,8}", value in option::of(vec(any::<u8>(), 0..150)),
            signed_secs in option::of(any::<u64>()), reused: bool, parts: [u32; 4],
        ) {
            let [dns_us, connect_us, tls_us, first_byte_us] = parts;
            let course = Course { dns_us, connect_us, tls_us, first_byte_us, reused, signed_secs, trigger: byte };
            let (id, message, at) = (EntryId::from_u64(a), EntryId::from_u64(b), Position::from_u64(d));
            reads_back(&Record::Attempt(Attempt {
                id, message, application: c, endpoint: d, number: short, progress: short, started_ms: ms, duration_us: number,
                outcome: byte, status: short, state: byte, next_attempt_ms: ms, endpoint_revision: number,
                message_at: at, response_headers: &headers, response_body: value.as_deref().unwrap_or_default(),
                detail: &detail, course, erased: false,
            }));
            reads_back(&Record::Parked(Parked {
                message, application: c, endpoint: d, attempts: short, due_ms: ms, message_at: at,
            }));
            reads_back(&Record::Settled(Settled { message, application: c, endpoint: d, state: byte, at_ms: ms }));
            reads_back(&Record::Change(Change { key: &headers, value: value.as_deref() }));
        }

        #[test]
        fn arbitrary_bytes_never_panic(kind in 0u8..9, version in 0u8..4, body in vec(any::<u8>(), 0..400)) {
            if let Ok(record) = Record::decode(kind, version, &body) {
                let _ = format!("{record:?}");
                let mut again = Vec::new();
                record.encode(&mut again);
                prop_assert_eq!(Record::decode(kind, RECORD_VERSION, &again), Ok(record));
            }
        }
    }

    #[test]
    fn an_attempt_of_the_first_version_reads_without_its_course() {
        let attempt = Attempt {
            id: EntryId::new(2, 0),
            message: EntryId::new(1, 0),
            application: 1,
            endpoint: 3,
            number: 1,
            progress: 1,
            started_ms: 5,
            duration_us: 9,
            outcome: 1,
            status: 200,
            state: 2,
            next_attempt_ms: 0,
            endpoint_revision: 1,
            message_at: Position::from_u64(64),
            response_headers: b"a: b",
            response_body: b"ok",
            detail: "",
            course: Course::default(),
            erased: false,
        };
        let mut body = Vec::new();
        Record::Attempt(attempt).encode(&mut body);
        // There the time of the next attempt was always written, and nothing came behind the detail.
        let next_at = 32 + 2 + 2 + 8 + 4 + 1 + 2 + 1;
        body.splice(next_at..=next_at, [0; 8]);
        body.pop();
        assert_eq!(Record::decode(2, 1, &body), Ok(Record::Attempt(attempt)));
        body.push(0);
        assert_eq!(Record::decode(2, 1, &body), Err(DecodeError::BytesLeftOver { bytes: 1 }));
    }

    #[test]
    fn a_kind_or_version_from_the_future_is_told_apart_from_damage() {
        let newer = |kind, version| Err(DecodeError::Newer { kind, version });
        assert_eq!(Record::decode(7, 1, b""), newer(7, 1));
        assert_eq!(Record::decode(1, 3, b""), newer(1, 3));
        assert_eq!(Record::decode(1, 1, b""), Err(DecodeError::CutShort { field: "message id" }));
    }
}
