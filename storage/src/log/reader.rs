//! Reading the log: single records, everything from a place on, the newest first.
//!
//! Readers never wait for the writer's disk: they share with it the list of segments and the index, under locks
//! held for microseconds, and see what is committed and nothing else.
//!
//! Invariants
//! - A record is handed out only with a valid checksum for its place. Wrong bytes are an error, never an answer.
//! - What is damaged is an error; where damage is accepted, it is in the answer. It is never passed over in silence.

mod filter;
mod find;
mod replay;

use std::sync::Arc;

pub(super) use self::filter::Filter;
pub use self::filter::Search;
pub use self::replay::{Replayed, Searched};
use super::ReadError;
use super::files::FileKind;
use super::index::SegmentSummary;
use super::layout::{Begins, Frame, begins, record_span};
use super::limits::{GUESS_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::segment::{Segment, Shared};
use crate::disk::DiskFile;
use crate::record::{DecodeError, OwnedRecord};
use crate::{EntryId, Position};

/// Reads committed records. Clones are cheap and may be used by any thread; a reader outlives the log.
#[derive(Clone)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

impl LogReader {
    /// Where the committed records end.
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// Where the committed records begin: the oldest segment that was not unlinked.
    pub fn first(&self) -> Position {
        let begin =
            |segment: Arc<Segment>| Position { segment: segment.number(), offset: SEGMENT_HEADER_BYTES };
        self.shared.oldest().map_or(Position::START, begin)
    }

    /// The segments in numbers, oldest first.
    pub fn segments(&self) -> Vec<SegmentSummary> {
        self.shared.segments().iter().map(|segment| segment.summary()).collect()
    }

    /// The largest id of a message or attempt that is committed; [`EntryId::MIN`] if there is none.
    pub fn last_id(&self) -> EntryId {
        let last = |segment: &Arc<Segment>| segment.with_facts(|facts| facts.id_max);
        self.shared.segments().iter().rev().find_map(last).unwrap_or(EntryId::MIN)
    }

    /// How many messages of an application the log holds.
    pub fn messages_of(&self, application: u64) -> u64 {
        let count = |messages: &[(u64, u32)]| {
            let found = messages.binary_search_by_key(&application, |(application, _)| *application);
            found.map_or(0, |place| u64::from(messages[place].1))
        };
        self.segments().iter().map(|segment| count(&segment.messages)).sum()
    }

    /// The record at a position that [`Log::append`](super::Log::append) returned; `None` when its segment was
    /// unlinked since. One read for records up to 4 KiB, two for longer ones.
    pub fn record_at(&self, at: Position) -> Result<Option<OwnedRecord>, ReadError> {
        let Some(segment) = self.segment_of(at)? else { return Ok(None) };
        match self.open(&segment)? {
            Some(file) => read_record(&*file, &segment, at).map(Some),
            None => Ok(None),
        }
    }

    /// The segment of a committed position; `None` when it was unlinked.
    pub(super) fn segment_of(&self, at: Position) -> Result<Option<Arc<Segment>>, ReadError> {
        let end = self.end();
        if at >= end {
            return Err(ReadError::NotCommitted { at, end });
        }
        if let Some(segment) = self.shared.segment(at.segment) {
            return Ok(Some(segment));
        }
        match self.shared.oldest() {
            Some(oldest) if oldest.number() < at.segment => Err(ReadError::Damaged {
                segment: at.segment,
                offset: at.offset,
                what: "the segment is missing",
            }),
            _ => Ok(None),
        }
    }

    /// The segment's file; `None` when it was unlinked meanwhile.
    pub(super) fn open(&self, segment: &Segment) -> Result<Option<Arc<dyn DiskFile>>, ReadError> {
        match self.shared.files.open(segment.number(), FileKind::Segment) {
            Ok(file) => Ok(Some(file)),
            Err(_) if segment.is_unlinked() => Ok(None),
            Err(source) => Err(ReadError::Io { segment: segment.number(), source }),
        }
    }
}

fn read_record(file: &dyn DiskFile, segment: &Segment, at: Position) -> Result<OwnedRecord, ReadError> {
    let number = segment.number();
    let damaged = |what| ReadError::Damaged { segment: number, offset: at.offset, what };
    let mut guess = [0; GUESS_BYTES];
    let read = file.read_at(&mut guess, at.offset.into()).map_err(ReadError::io(number))?;
    let guess = &guess[..read];
    let body_bytes = match guess.first_chunk().map(|first| begins(*first)) {
        Some(Begins::Record { body_bytes }) if at.offset >= SEGMENT_HEADER_BYTES => body_bytes,
        _ => return Err(damaged("no record begins here")),
    };
    if u64::from(at.offset) + u64::from(record_span(body_bytes)) > segment.bytes().into() {
        return Err(damaged("the record reaches beyond the segment"));
    }
    let whole = (RECORD_HEADER_BYTES + body_bytes) as usize;
    let long;
    let bytes = if whole <= guess.len() {
        &guess[..whole]
    } else {
        long = read_long(file, guess, whole, at.offset).map_err(ReadError::io(number))?;
        &long[..]
    };
    let frame = Frame::decode(bytes, at.offset, segment.header.salt);
    let frame = frame.ok_or_else(|| damaged("the checksum of a record is wrong"))?;
    OwnedRecord::new(frame.kind, frame.version, frame.body.to_vec()).map_err(|error| match error {
        DecodeError::Newer { kind, version } => ReadError::Newer { at, kind, version },
        _ => damaged("a record with a valid checksum does not decode"),
    })
}

/// `whole` bytes from `offset`, of which the first were read already. Bytes beyond the file's end stay zero.
fn read_long(file: &dyn DiskFile, begun: &[u8], whole: usize, offset: u32) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; whole];
    let (known, rest) = bytes.split_at_mut(begun.len());
    known.copy_from_slice(begun);
    file.read_at(rest, u64::from(offset) + begun.len() as u64)?;
    Ok(bytes)
}
