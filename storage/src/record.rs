//! Records: what the log remembers, one fact each.
//!
//! A record is a kind, a version and a body of little-endian numbers and length-prefixed bytes. Reading
//! borrows from the bytes that were read; nothing is copied to look at a payload. Where the record lies, and
//! whether its bytes are whole, is the log's business.
//!
//! Bodies, field by field (`len` is a LEB128 number below 2^32, `text` and `bytes` are `len` + content):
//!
//! | kind | body |
//! |---|---|
//! | 1 message | id u64, application u64, flags u8 (1 event id, 2 content type, 4 extras, 8 payload erased), event type text, [event id text], [content type text], [extras bytes, see `extras`], channels len x text, digest 16 bytes, endpoints len x u64, payload bytes |
//! | 2 attempt | id u64, message u64, application u64, endpoint u64, number u16, progress u16, started ms u64, duration us u32, outcome u8, status u16, state u8, flags u8 (1 next attempt, 2 response erased), [next attempt ms u64], endpoint revision u32, message at u64, response headers bytes, response body bytes, detail text, how it went, see `course` (version 1: the next attempt without flags, 0 for none; no course) |
//! | 3 parked | message u64, application u64, endpoint u64, attempts u16, due ms u64, message at u64 |
//! | 4 settled | message u64, application u64, endpoint u64, state u8, at ms u64 |
//! | 5 change | flags u8 (1 value), key bytes, [value bytes] |
//! | 6 carried | pending len x (endpoint u64, attempts u16, due ms u64), then the body of a message |
//!
//! Invariants
//! - Reading never panics, whatever the bytes.
//! - What was written reads back equal; bytes left over are an error.
//! - A kind number is never used for something else.

mod course;
mod cursor;
mod decode;
mod encode;
mod erase;
mod event;
mod extras;
mod lists;
mod owned;

pub use self::course::Course;
pub use self::decode::DecodeError;
pub(crate) use self::erase::erasure;
pub use self::event::{EventSeen, event_hash};
pub use self::extras::{Extras, PackedExtras};
pub use self::lists::{Channels, ChannelsIter, Endpoints, PendingDelivery, PendingList};
pub use self::owned::OwnedRecord;

use crate::{EntryId, Position};

/// The version that records are written in. A newer one found on disk is refused, never guessed at.
///
/// Version 2 added what few messages have (`extras`), and how attempts went (`course`). Version 1 is read as well.
pub(crate) const RECORD_VERSION: u8 = 2;

/// One fact in the log, borrowed from the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// A message was accepted.
    Message(Message<'a>),
    /// An attempt ended.
    Attempt(Attempt<'a>),
    /// A delivery without an attempt was moved out of memory.
    Parked(Parked),
    /// Deliveries ended without an attempt.
    Settled(Settled),
    /// An entry of the catalog was written or removed.
    Change(Change<'a>),
    /// A message with pending deliveries was copied forward, because its segment is to be unlinked.
    Carried(Carried<'a>),
}

/// What kind of fact a record states; the numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// See [`Record::Message`].
    Message = 1,
    /// See [`Record::Attempt`].
    Attempt = 2,
    /// See [`Record::Parked`].
    Parked = 3,
    /// See [`Record::Settled`].
    Settled = 4,
    /// See [`Record::Change`].
    Change = 5,
    /// See [`Record::Carried`].
    Carried = 6,
}

impl RecordKind {
    /// All kinds, in the order of their numbers (1, 2, ...).
    pub const ALL: [Self; 6] =
        [Self::Message, Self::Attempt, Self::Parked, Self::Settled, Self::Change, Self::Carried];

    /// The kind with this number on disk; `None` for a number this version does not know.
    pub const fn from_code(code: u8) -> Option<Self> {
        if code == 0 || code as usize > Self::ALL.len() { None } else { Some(Self::ALL[code as usize - 1]) }
    }
}

/// A message as it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its id, from [`Log::next_id`](crate::log::Log::next_id).
    pub id: EntryId,
    /// The application it belongs to.
    pub application: u64,
    /// Its event type.
    pub event_type: &'a str,
    /// The producer's own id for it, by which a repetition is recognised.
    pub event_id: Option<&'a str>,
    /// Media type of the payload; `None`: the usual one.
    pub content_type: Option<&'a str>,
    /// What few messages have.
    pub extras: PackedExtras<'a>,
    /// The channels it was sent on.
    pub channels: Channels<'a>,
    /// Digest of payload and fields, to tell a repetition from a conflict; zero without an event id.
    pub digest: [u8; 16],
    /// The endpoints it goes to: its deliveries.
    pub endpoints: Endpoints<'a>,
    /// What is delivered; empty once it was erased.
    pub payload: &'a [u8],
    /// Whether its payload was erased: zeros lie where it was.
    pub erased: bool,
}

/// An attempt as it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// Its id, from [`Log::next_id`](crate::log::Log::next_id).
    pub id: EntryId,
    /// The message that was to be delivered.
    pub message: EntryId,
    /// The application it belongs to.
    pub application: u64,
    /// The endpoint it was to be delivered to.
    pub endpoint: u64,
    /// Which attempt of the delivery; the first is 1.
    pub number: u16,
    /// How far the delivery has come with it, as the ledger keeps it.
    pub progress: u16,
    /// When it began, unix milliseconds.
    pub started_ms: u64,
    /// How long it took, microseconds.
    pub duration_us: u32,
    /// How it ended, as a number of the engine's.
    pub outcome: u8,
    /// The HTTP status; 0: none was received.
    pub status: u16,
    /// Where the delivery stands after it, as a number of the engine's.
    pub state: u8,
    /// When the next attempt is due, unix milliseconds; 0: there is none.
    pub next_attempt_ms: u64,
    /// The revision of the endpoint's settings that it was made with.
    pub endpoint_revision: u32,
    /// Where the message's record lies.
    pub message_at: Position,
    /// Headers of the response, as far as they are kept.
    pub response_headers: &'a [u8],
    /// Body of the response, as far as it is kept.
    pub response_body: &'a [u8],
    /// What went wrong, in words.
    pub detail: &'a str,
    /// How it went.
    pub course: Course,
    /// Whether its response was erased: zeros lie where headers and body were.
    pub erased: bool,
}

/// A delivery that waits in the ledger without ever having had an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// The message to be delivered.
    pub message: EntryId,
    /// The application it belongs to.
    pub application: u64,
    /// The endpoint it goes to.
    pub endpoint: u64,
    /// Attempts made so far.
    pub attempts: u16,
    /// When it is due, unix milliseconds.
    pub due_ms: u64,
    /// Where the message's record lies.
    pub message_at: Position,
}

/// Deliveries that ended without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The message.
    pub message: EntryId,
    /// The application it belongs to.
    pub application: u64,
    /// The endpoint whose delivery ended; 0: all deliveries of the message.
    pub endpoint: u64,
    /// How they ended, as a number of the engine's.
    pub state: u8,
    /// When, unix milliseconds.
    pub at_ms: u64,
}

/// One entry of the catalog, as it is from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The catalog's key.
    pub key: &'a [u8],
    /// The new value; `None`: the entry is removed.
    pub value: Option<&'a [u8]>,
}

/// A message copied forward with the deliveries that are still pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The message, with the id it always had.
    pub message: Message<'a>,
    /// Its deliveries that are still pending.
    pub pending: PendingList<'a>,
}

impl<'a> Record<'a> {
    /// Its kind.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Message(_) => RecordKind::Message,
            Self::Attempt(_) => RecordKind::Attempt,
            Self::Parked(_) => RecordKind::Parked,
            Self::Settled(_) => RecordKind::Settled,
            Self::Change(_) => RecordKind::Change,
            Self::Carried(_) => RecordKind::Carried,
        }
    }

    /// The id that was drawn for this record. Such ids grow in the order of the log; a carried message has
    /// its old id and so has none here.
    pub const fn own_id(&self) -> Option<EntryId> {
        match self {
            Self::Message(message) => Some(message.id),
            Self::Attempt(attempt) => Some(attempt.id),
            Self::Parked(_) | Self::Settled(_) | Self::Change(_) | Self::Carried(_) => None,
        }
    }

    /// The application it belongs to; changes of the catalog belong to none.
    pub const fn application(&self) -> Option<u64> {
        match self {
            Self::Message(message) => Some(message.application),
            Self::Attempt(attempt) => Some(attempt.application),
            Self::Parked(parked) => Some(parked.application),
            Self::Settled(settled) => Some(settled.application),
            Self::Carried(carried) => Some(carried.message.application),
            Self::Change(_) => None,
        }
    }

    /// The message that an attempt, a parked or a settled delivery speaks of.
    pub const fn about(&self) -> Option<EntryId> {
        match self {
            Self::Attempt(attempt) => Some(attempt.message),
            Self::Parked(parked) => Some(parked.message),
            Self::Settled(settled) => Some(settled.message),
            Self::Message(_) | Self::Change(_) | Self::Carried(_) => None,
        }
    }

    /// The message in it: new or carried.
    pub const fn message(&self) -> Option<&Message<'a>> {
        match self {
            Self::Message(message) => Some(message),
            Self::Carried(carried) => Some(&carried.message),
            _ => None,
        }
    }

    /// The event id in it, as repetitions are recognised by; `None` without one.
    pub fn event(&self) -> Option<EventSeen> {
        let message = self.message()?;
        let hash = event_hash(message.application, message.event_id?);
        Some(EventSeen { hash, message: message.id, digest: message.digest })
    }
}
