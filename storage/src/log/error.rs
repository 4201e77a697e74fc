//! What can go wrong with the log, and whether to try again.

use std::io;

use crate::Position;
use crate::record::RecordKind;

/// A part of the log that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment it is in.
    pub segment: u32,
    /// Where it begins, in bytes.
    pub from: u32,
    /// Where the log goes on after it, in bytes; `u32::MAX`: with the next segment.
    pub to: u32,
    /// What was found.
    pub what: &'static str,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {} byte {}: {}", self.segment, self.from, self.what)
    }
}

/// Why the log does not open.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// An option is out of range.
    #[error("log option {field} is {value}; it must be from {min} to {max}")]
    Option {
        /// The option.
        field: &'static str,
        /// What was given.
        value: u64,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// Something that was durable is not what was written. Opens only with `accept_damage`.
    #[error("the log is damaged: {0}")]
    Damaged(Damage),
    /// A newer version of Posthaste wrote a segment or a record of it.
    #[error("{at} was written by a newer Posthaste ({what}); this one does not read it")]
    Newer {
        /// Where.
        at: Position,
        /// What is newer.
        what: String,
    },
    /// The disk refused.
    #[error("the log cannot {doing}: {source}")]
    Io {
        /// What was being done, and to what.
        doing: String,
        /// What the disk said.
        source: io::Error,
    },
}

impl LogError {
    /// For `map_err`: the disk refused to `doing`.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The record is longer than the log can hold. It will never fit.
    #[error("the {kind:?} record is at least {bytes} bytes; the limit is {max}")]
    RecordTooLarge {
        /// Its kind.
        kind: RecordKind,
        /// Bytes of its body, or of its largest fields when they alone are too much.
        bytes: u64,
        /// The most a body may have.
        max: u64,
    },
    /// The pending batch is full. Commit it, then try again.
    #[error("the pending batch has {bytes} bytes; it takes no more from {max} on")]
    BatchFull {
        /// Bytes pending.
        bytes: u64,
        /// From where on nothing more is taken.
        max: u64,
    },
    /// The log stopped. Only opening it again helps.
    #[error("the log stopped ({why}); nothing is accepted until a restart")]
    Poisoned {
        /// What stopped it.
        why: String,
    },
}

/// Why a batch is not durable. Whatever the reason, none of its records may be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The disk is full. What was written of the batch was taken back, the batch is still pending: commit again
    /// later, or discard it.
    #[error("the disk is full: no room for a batch of {bytes} bytes")]
    Full {
        /// Bytes of the batch.
        bytes: u64,
    },
    /// The process has no file descriptor left for a new segment. Nothing was written, the batch is still
    /// pending: commit again later, or discard it.
    #[error("no file descriptor is left to begin segment {segment} (ulimit -n)")]
    OutOfFiles {
        /// The segment that could not be begun.
        segment: u32,
    },
    /// A write could not be taken back or a sync failed, now or before. The batch may or may not survive.
    /// Everything is refused until the log is opened again.
    #[error("the log stopped ({why}); nothing is accepted until a restart")]
    Poisoned {
        /// What stopped it.
        why: String,
    },
}

/// Why content was not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The record has no content, or is of a version in which it cannot be erased.
    #[error("what lies at {at} has no content that can be erased")]
    Unsupported {
        /// Where it lies.
        at: Position,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk refused; nothing has changed.
    #[error("the list of what is erased cannot be written: {why}")]
    Io {
        /// Whether it is full.
        full: bool,
        /// What the disk said.
        why: String,
    },
    /// The log stopped, now or before. What was begun is completed when it is opened again.
    #[error("the log stopped ({why}); nothing is erased until a restart")]
    Poisoned {
        /// What stopped it.
        why: String,
    },
}

/// Why a segment was not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnlinkError {
    /// Segments go in the order in which they were written, and the one being written stays.
    #[error("segment {segment} is not the oldest closed one")]
    NotOldest {
        /// The segment that was to be removed.
        segment: u32,
    },
    /// The disk refused; the segment is still there.
    #[error("segment {segment} cannot be removed: {why}")]
    Io {
        /// The segment that was to be removed.
        segment: u32,
        /// What the disk said.
        why: String,
    },
    /// The log stopped, now or before.
    #[error("the log stopped ({why}); nothing is removed until a restart")]
    Poisoned {
        /// What stopped it.
        why: String,
    },
}

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What is there is not what was written.
    #[error("the log is damaged: segment {segment} byte {offset}: {what}")]
    Damaged {
        /// The segment.
        segment: u32,
        /// Where in it, in bytes.
        offset: u32,
        /// What was found.
        what: &'static str,
    },
    /// A newer version of Posthaste wrote the record.
    #[error("the record at {at} (kind {kind}, version {version}) was written by a newer Posthaste")]
    Newer {
        /// Where.
        at: Position,
        /// The kind's number.
        kind: u8,
        /// The record version.
        version: u8,
    },
    /// Nothing is committed there yet.
    #[error("{at} is not committed; the log ends at {end}")]
    NotCommitted {
        /// What was asked for.
        at: Position,
        /// Where the log ends.
        end: Position,
    },
    /// The disk refused.
    #[error("segment {segment} cannot be read: {source}")]
    Io {
        /// The segment.
        segment: u32,
        /// What the disk said.
        source: io::Error,
    },
}

impl ReadError {
    /// For `map_err`: the disk refused to read this segment.
    pub(super) fn io(segment: u32) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { segment, source }
    }
}
