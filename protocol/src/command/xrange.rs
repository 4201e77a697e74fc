//! XRANGE, XREVRANGE and XLEN: read back what was published.
//!
//! ```text
//!   XRANGE    messages:<application> <start> <end> [COUNT <n>]
//!   XREVRANGE messages:<application> <end> <start> [COUNT <n>]
//!   XLEN      messages:<application>
//! ```
//!
//! A bound is `<ms>-<seq>`, `<ms>` (all of that millisecond), `-` or `+` (either end); `(` before an id
//! leaves the id itself out.

use super::key::{self, MESSAGES_PREFIX};
use super::{Arguments, Command, CommandError};
use crate::StreamId;

/// Which messages to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xrange<'r> {
    /// Whose messages: id or uid.
    pub application: &'r str,
    /// The oldest id wanted.
    pub start: StreamId,
    /// The newest id wanted; nothing is found when it is before `start`.
    pub end: StreamId,
    /// The most messages, at least 1; `None` leaves it to the server.
    pub count: Option<u32>,
    /// Newest first (XREVRANGE), not oldest first.
    pub newest_first: bool,
}

pub(super) fn parse_forward<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let application = key::application("XRANGE", MESSAGES_PREFIX, arguments.expect()?)?;
    let start = start(arguments.expect()?)?;
    let end = end(arguments.expect()?)?;
    let count = count(arguments)?;
    Ok(Command::Xrange(Xrange { application, start, end, count, newest_first: false }))
}

pub(super) fn parse_backward<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let application = key::application("XREVRANGE", MESSAGES_PREFIX, arguments.expect()?)?;
    let end = end(arguments.expect()?)?;
    let start = start(arguments.expect()?)?;
    let count = count(arguments)?;
    Ok(Command::Xrange(Xrange { application, start, end, count, newest_first: true }))
}

pub(super) fn parse_len<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let application = key::application("XLEN", MESSAGES_PREFIX, arguments.expect()?)?;
    Ok(Command::Xlen { application })
}

fn count(mut arguments: Arguments<'_>) -> Result<Option<u32>, CommandError> {
    if arguments.len() == 0 {
        return Ok(None);
    }
    if !arguments.take_word("COUNT") {
        return Err(CommandError::Syntax);
    }
    let count = arguments.expect_count()?;
    arguments.expect_end()?;
    Ok(count)
}

fn start(bound: &[u8]) -> Result<StreamId, CommandError> {
    match bound {
        [b'(', id @ ..] => StreamId::parse(id, 0)?.next().ok_or(CommandError::Interval { end: "start" }),
        bound => either_end(bound, 0),
    }
}

fn end(bound: &[u8]) -> Result<StreamId, CommandError> {
    match bound {
        [b'(', id @ ..] => {
            StreamId::parse(id, u64::MAX)?.previous().ok_or(CommandError::Interval { end: "end" })
        }
        bound => either_end(bound, u64::MAX),
    }
}

fn either_end(bound: &[u8], seq_default: u64) -> Result<StreamId, CommandError> {
    match bound {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        id => Ok(StreamId::parse(id, seq_default)?),
    }
}
