//! A walk through a segment, from front to back: batch headers and records, each checked before it is shown.
//!
//! The walk may begin at a batch or at any record. It reads in large pieces, and what it meets it either
//! vouches for or calls invalid; it never guesses. After something invalid it stands still, until it is told
//! to skip to the next thing that is whole.
//!
//! Invariants
//! - A record is shown only with a valid checksum for its place.
//! - A batch has as many records and bytes as its header says, and the number after that of the batch before.

use std::io;

use super::layout::{BatchHeader, Begins, Frame, begins, record_span};
use super::limits::{ALIGN_BYTES, BATCH_HEADER_BYTES, RECORD_HEADER_BYTES, WALK_BYTES};
use crate::checksum::Salt;
use crate::disk::DiskFile;
use crate::record::{DecodeError, Record};

/// What the walk meets next.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Batch {
        at: u32,
        number: u64,
    },
    Record {
        at: u32,
        record: Record<'a>,
    },
    /// Not what was written here. The walk stays where it is.
    Invalid {
        at: u32,
        what: &'static str,
    },
    /// Whole, but from a newer version. The walk stays where it is.
    Newer {
        at: u32,
        kind: u8,
        version: u8,
    },
    End,
}

pub(super) struct Walker<'a> {
    file: &'a dyn DiskFile,
    salt: Salt,
    at: u32,
    /// Where the walk is to end.
    stop: u32,
    /// Where the segment ends.
    end: u32,
    window: Vec<u8>,
    window_at: u32,
    batch: Standing,
    /// The number that the next batch must have, when known.
    next_number: Option<u64>,
    /// Bytes to the next record, if the lengths in the invalid one are right.
    hop: Option<u32>,
}

/// Where the walk stands with respect to batches.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// It began at a record; the batch's header was not seen.
    Unknown,
    Between,
    Inside {
        end: u32,
        left: u32,
    },
}

impl<'a> Walker<'a> {
    /// A walk over `from..stop` of a segment that is `end` bytes long.
    pub(super) fn new(file: &'a dyn DiskFile, salt: Salt, from: u32, stop: u32, end: u32) -> Self {
        Self {
            file,
            salt,
            at: from,
            stop: stop.min(end),
            end,
            window: Vec::new(),
            window_at: from,
            batch: Standing::Unknown,
            next_number: None,
            hop: None,
        }
    }

    /// Requires the walk to begin with the batch of this number.
    pub(super) fn expect_batch(mut self, number: u64) -> Self {
        (self.batch, self.next_number) = (Standing::Between, Some(number));
        self
    }

    /// Where the walk is.
    pub(super) fn at(&self) -> u32 {
        self.at
    }

    /// Whether the batch that was begun has been seen to its end, or left.
    pub(super) fn is_between_batches(&self) -> bool {
        match self.batch {
            Standing::Unknown => false,
            Standing::Between => true,
            Standing::Inside { end, left } => left == 0 && self.at == end,
        }
    }

    /// Goes one step.
    pub(super) fn step(&mut self) -> io::Result<Step<'_>> {
        self.hop = None;
        if self.is_between_batches() {
            self.batch = Standing::Between;
        }
        if self.at >= self.stop {
            let torn = self.stop == self.end && matches!(self.batch, Standing::Inside { .. });
            return Ok(if torn { self.invalid("the batch is cut short") } else { Step::End });
        }
        if !self.load(4)? {
            return Ok(self.invalid("the segment ends inside a header"));
        }
        match begins(*self.loaded().first_chunk().expect("four bytes were loaded")) {
            Begins::Batch => self.step_batch(),
            Begins::Record { body_bytes } => self.step_record(body_bytes),
            Begins::Nothing => Ok(self.invalid("zeros where something should begin")),
            Begins::Nonsense => Ok(self.invalid("neither a batch nor a record begins here")),
        }
    }

    fn step_batch(&mut self) -> io::Result<Step<'_>> {
        let header = match self.load(BATCH_HEADER_BYTES)? {
            true => BatchHeader::decode(self.loaded(), self.at, self.salt),
            false => None,
        };
        let Some(header) = header else { return Ok(self.invalid("the checksum of a batch header is wrong")) };
        if matches!(self.batch, Standing::Inside { .. }) {
            return Ok(self.invalid("a batch begins inside another"));
        }
        if self.next_number.is_some_and(|expected| expected != header.number) {
            return Ok(self.invalid("a batch does not have the number after the one before"));
        }
        let at = self.at;
        let begin = at + BATCH_HEADER_BYTES;
        let Some(end) = begin.checked_add(header.bytes).filter(|end| *end <= self.end) else {
            return Ok(self.invalid("the batch is cut short"));
        };
        self.batch = Standing::Inside { end, left: header.records };
        self.next_number = Some(header.number + 1);
        self.at = begin;
        Ok(Step::Batch { at, number: header.number })
    }

    fn step_record(&mut self, body_bytes: u32) -> io::Result<Step<'_>> {
        let room = match self.batch {
            Standing::Unknown => self.end - self.at,
            Standing::Between | Standing::Inside { left: 0, .. } => {
                return Ok(self.invalid("a record begins outside of a batch"));
            }
            Standing::Inside { end, .. } => end.saturating_sub(self.at),
        };
        let span = record_span(body_bytes);
        if span > room || !self.load(RECORD_HEADER_BYTES + body_bytes)? {
            return Ok(self.invalid("a record reaches beyond its batch"));
        }
        self.hop = Some(span);
        let at = self.at;
        // Borrowed from the window alone, so that the walk can move on.
        let bytes = &self.window[(at - self.window_at) as usize..];
        let Some(frame) = Frame::decode(bytes, at, self.salt) else {
            return Ok(self.invalid("the checksum of a record is wrong"));
        };
        match Record::decode(frame.kind, frame.version, frame.body) {
            Ok(record) => {
                self.at += span;
                if let Standing::Inside { left, .. } = &mut self.batch {
                    *left -= 1;
                }
                Ok(Step::Record { at, record })
            }
            Err(DecodeError::Newer { kind, version }) => Ok(Step::Newer { at, kind, version }),
            Err(_) => Ok(Step::Invalid { at, what: "a record with a valid checksum does not decode" }),
        }
    }

    /// Leaves what is invalid for the next thing that is whole: the next record of the batch, if only this one
    /// is bad, else the next batch, else the end. Returns where that is.
    pub(super) fn skip_invalid(&mut self) -> io::Result<u32> {
        if let (Some(span), Standing::Inside { end, left }) = (self.hop.take(), self.batch) {
            let next = self.at + span;
            if next == end || self.is_record(next)? {
                self.at = next;
                self.batch = Standing::Inside { end, left: if next == end { 0 } else { left - 1 } };
                return Ok(next);
            }
        }
        let found = self.find_batch(self.behind_invalid(), self.next_number.unwrap_or(0))?;
        self.batch = Standing::Between;
        (self.at, self.next_number) = match found {
            Some((at, number)) => (at, Some(number)),
            None => (self.end, None),
        };
        Ok(self.at)
    }

    /// From where on something whole may follow what is invalid. Inside a batch, what is invalid may be the beginning
    /// of the next one: it was written where the end of this one had been lost.
    pub(super) fn behind_invalid(&self) -> u32 {
        match self.batch {
            Standing::Inside { .. } => self.at,
            Standing::Between | Standing::Unknown => self.at + ALIGN_BYTES,
        }
    }

    /// The first valid batch header at or after `from` with at least this number: its offset and number.
    pub(super) fn find_batch(&mut self, from: u32, number_min: u64) -> io::Result<Option<(u32, u64)>> {
        let stood_at = self.at;
        self.at = from.next_multiple_of(ALIGN_BYTES);
        let mut found = None;
        while found.is_none() && self.load(BATCH_HEADER_BYTES)? {
            let header = BatchHeader::decode(self.loaded(), self.at, self.salt);
            found =
                header.filter(|header| header.number >= number_min).map(|header| (self.at, header.number));
            self.at += ALIGN_BYTES;
        }
        self.at = stood_at;
        Ok(found)
    }

    fn is_record(&mut self, at: u32) -> io::Result<bool> {
        let stood_at = std::mem::replace(&mut self.at, at);
        let mut whole = false;
        if self.load(4)?
            && let Begins::Record { body_bytes } =
                begins(*self.loaded().first_chunk().expect("four bytes were loaded"))
            && self.load(RECORD_HEADER_BYTES + body_bytes)?
        {
            whole = Frame::decode(self.loaded(), at, self.salt).is_some();
        }
        self.at = stood_at;
        Ok(whole)
    }

    fn invalid(&self, what: &'static str) -> Step<'static> {
        Step::Invalid { at: self.at, what }
    }

    /// What is loaded from where the walk is.
    fn loaded(&self) -> &[u8] {
        &self.window[(self.at - self.window_at) as usize..]
    }

    /// Makes sure that `bytes` from where the walk is are loaded; false when the segment ends before.
    fn load(&mut self, bytes: u32) -> io::Result<bool> {
        let Some(until) = self.at.checked_add(bytes).filter(|until| *until <= self.end) else {
            return Ok(false);
        };
        if self.at >= self.window_at && (until - self.window_at) as usize <= self.window.len() {
            return Ok(true);
        }
        // Nearly all walks stop at `stop`; what lies behind it is read only when asked for.
        let ahead = (self.stop.saturating_sub(self.at) as usize).min(WALK_BYTES).max(bytes as usize);
        self.window.resize(ahead, 0);
        let read = self.file.read_at(&mut self.window, u64::from(self.at));
        self.window_at = self.at;
        self.window.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? >= bytes as usize)
    }
}
