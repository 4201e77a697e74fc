//! The bookmark: how far in the log the shelf is, and what is on it. One small value, written with every
//! batch.
//!
//! ```text
//! version u8 | replay_from u64 | applied_to u64 | entries u64 | newest_message u64 | next_chunk u64 | CRC32C u32
//! ```

use crate::{EntryId, Position};

/// Its key: after every chunk, since no minute begins with this byte.
pub(crate) const KEY: [u8; 1] = [0xFF];

/// The version of the ledger's format; another one is not read.
pub(crate) const VERSION: u8 = 1;
const NUMBERS: usize = 5;
const CRC_BYTES: usize = 4;

/// How far in the log the shelf is, and what is on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bookmark {
    /// The log must be replayed from here.
    pub(crate) replay_from: Position,
    /// Every update before this is on the shelf, or was overtaken by a later one.
    pub(crate) applied_to: Position,
    /// Entries in all chunks, stale ones included.
    pub(crate) entries: u64,
    /// No entry in any chunk is of a later message.
    pub(crate) newest_message: EntryId,
    /// The number of the next chunk.
    pub(crate) next_chunk: u64,
}

/// Why a stored bookmark cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BookmarkError {
    Damaged,
    OtherVersion(u8),
}

impl Bookmark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        let numbers = [
            self.replay_from.as_u64(),
            self.applied_to.as_u64(),
            self.entries,
            self.newest_message.as_u64(),
            self.next_chunk,
        ];
        for number in numbers {
            value.extend(number.to_le_bytes());
        }
        value.extend(crc32c::crc32c(&value).to_le_bytes());
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, BookmarkError> {
        let (content, crc) = value.split_last_chunk::<CRC_BYTES>().ok_or(BookmarkError::Damaged)?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(BookmarkError::Damaged);
        }
        let (&version, numbers) = content.split_first().ok_or(BookmarkError::Damaged)?;
        if version != VERSION {
            return Err(BookmarkError::OtherVersion(version));
        }
        let (numbers, rest) = numbers.as_chunks::<8>();
        let numbers: &[_; NUMBERS] = numbers.try_into().map_err(|_| BookmarkError::Damaged)?;
        if !rest.is_empty() {
            return Err(BookmarkError::Damaged);
        }
        let [replay_from, applied_to, entries, newest_message, next_chunk] = numbers.map(u64::from_le_bytes);
        Ok(Self {
            replay_from: Position::from_u64(replay_from),
            applied_to: Position::from_u64(applied_to),
            entries,
            newest_message: EntryId::from_u64(newest_message),
            next_chunk,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Bookmark {
        Bookmark {
            replay_from: Position { segment: 2, offset: 64 },
            applied_to: Position { segment: 3, offset: 128 },
            entries: 10_000_000,
            newest_message: EntryId::new(1_732_300_000_000, 1),
            next_chunk: 20_000,
        }
    }

    #[test]
    fn a_bookmark_reads_back_as_it_was_written() {
        assert_eq!(Bookmark::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn a_damaged_bookmark_is_noticed() {
        let value = sample().encode();
        for byte in 0..value.len() {
            let mut flipped = value.clone();
            flipped[byte] ^= 0x10;
            assert_eq!(Bookmark::decode(&flipped), Err(BookmarkError::Damaged), "byte {byte}");
            assert_eq!(Bookmark::decode(&value[..byte]), Err(BookmarkError::Damaged), "{byte} bytes");
        }
    }

    #[test]
    fn a_bookmark_of_another_version_is_told_apart_from_damage() {
        let mut value = vec![VERSION + 1, 0, 0];
        value.extend(crc32c::crc32c(&value).to_le_bytes());
        assert_eq!(Bookmark::decode(&value), Err(BookmarkError::OtherVersion(VERSION + 1)));
    }
}
