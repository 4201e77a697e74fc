//! XREAD: read the outcomes of attempts, or wait for them.
//!
//! ```text
//!   XREAD [COUNT <n>] [BLOCK <ms>] STREAMS outcomes:<application> ... <last id> ...
//! ```

use super::key::{self, OUTCOMES_PREFIX};
use super::{Arguments, Command, CommandError};
use crate::StreamId;

/// The most streams one XREAD may name.
pub const STREAMS_MAX: usize = 64;

/// Which outcomes to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xread<'r> {
    /// The most entries of each stream, at least 1; `None` leaves it to the server.
    pub count: Option<u32>,
    /// How long to wait, in milliseconds, if there is nothing to read: 0 is without end, `None` not at all.
    pub block_ms: Option<u64>,
    /// Whose outcomes, and from where; 1 to [`STREAMS_MAX`].
    pub streams: Vec<(&'r str, StreamStart)>,
}

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// After this id. [`StreamId::MIN`] is the beginning.
    After(StreamId),
    /// After whatever is there now.
    Latest,
}

impl StreamStart {
    /// Everything that is still kept.
    pub const BEGINNING: Self = Self::After(StreamId::MIN);

    fn parse(id: &[u8]) -> Result<Self, CommandError> {
        match id {
            b"$" => Ok(Self::Latest),
            id => Ok(Self::After(StreamId::parse(id, 0)?)),
        }
    }
}

pub(super) fn parse<'r>(mut arguments: Arguments<'r>) -> Result<Command<'r>, CommandError> {
    let mut count = None;
    let mut block_ms = None;
    while !arguments.take_word("STREAMS") {
        if arguments.take_word("COUNT") {
            count = arguments.expect_count()?;
        } else if arguments.take_word("BLOCK") {
            block_ms = Some(block(&mut arguments)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(Command::Xread(Xread { count, block_ms, streams: streams(arguments)? }))
}

fn block(arguments: &mut Arguments<'_>) -> Result<u64, CommandError> {
    match arguments.expect_integer() {
        Err(CommandError::NotAnInteger) => Err(CommandError::BlockNotAnInteger),
        Err(other) => Err(other),
        Ok(ms) => u64::try_from(ms).map_err(|_| CommandError::BlockNegative),
    }
}

/// All keys come first, then one id for each.
fn streams<'r>(mut keys: Arguments<'r>) -> Result<Vec<(&'r str, StreamStart)>, CommandError> {
    let count = keys.len() / 2;
    if count == 0 || !keys.len().is_multiple_of(2) {
        return Err(CommandError::StreamsUnbalanced);
    }
    if count > STREAMS_MAX {
        return Err(CommandError::StreamsTooMany { given: count, max: STREAMS_MAX });
    }
    let mut ids = keys.clone();
    ids.skip(count);
    let pair = |_| {
        let application = key::application("XREAD", OUTCOMES_PREFIX, keys.expect()?)?;
        Ok((application, StreamStart::parse(ids.expect()?)?))
    };
    (0..count).map(pair).collect()
}
