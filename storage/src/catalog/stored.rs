//! How the catalog lies on its shelf.
//!
//! ```text
//! key       "k" | the key                                  the bookmark's key is one byte, 0xFF
//! value     version u8 | log position u64 LE | bytes | CRC32C of the key and all before it, u32 LE
//! bookmark  version u8 | log position u64 LE | entries u64 LE | CRC32C likewise
//! ```

use crate::Position;
use crate::shelf::VALUE_BYTES_MAX;

/// The longest key of the catalog, in bytes.
pub const CATALOG_KEY_BYTES_MAX: usize = 1024;
/// The largest value of the catalog, in bytes.
pub const CATALOG_VALUE_BYTES_MAX: usize = 768 * 1024;

// A value must fit its place on the shelf, with what goes around it.
const _: () = assert!(CATALOG_VALUE_BYTES_MAX + HEADER_BYTES + CRC_BYTES <= VALUE_BYTES_MAX);

/// Where entries begin, and what each of their keys begins with.
pub(super) const FIRST_KEY: [u8; 1] = *b"k";
/// The key of the bookmark.
pub(super) const BOOKMARK_KEY: [u8; 1] = [0xFF];
/// The version of the format; another one is not read.
pub(super) const VERSION: u8 = 1;

const POSITION_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + POSITION_BYTES;
const CRC_BYTES: usize = 4;

/// Why something stored cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StoredError {
    Damaged,
    OtherVersion(u8),
}

/// How far in the log the catalog is, and how many keys it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bookmark {
    pub(super) position: Position,
    pub(super) entries: u64,
}

impl Bookmark {
    pub(super) fn encode(&self) -> Vec<u8> {
        encode(&BOOKMARK_KEY, &self.entries.to_le_bytes(), self.position)
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, StoredError> {
        let (position, entries) = decode(&BOOKMARK_KEY, value)?;
        let entries = entries.try_into().map_err(|_| StoredError::Damaged)?;
        Ok(Self { position, entries: u64::from_le_bytes(entries) })
    }
}

/// The key under which an entry is stored.
pub(super) fn key_of(key: &[u8]) -> Vec<u8> {
    [&FIRST_KEY, key].concat()
}

/// Whether this is the key of an entry.
pub(super) fn is_entry(stored_key: &[u8]) -> bool {
    stored_key.starts_with(&FIRST_KEY)
}

/// The smallest key after `stored_key`.
pub(super) fn after(stored_key: &[u8]) -> Vec<u8> {
    [stored_key, &[0]].concat()
}

/// The stored form of `value`, written by the record at `at`.
pub(super) fn encode(key: &[u8], value: &[u8], at: Position) -> Vec<u8> {
    let mut stored = Vec::with_capacity(HEADER_BYTES + value.len() + CRC_BYTES);
    stored.push(VERSION);
    stored.extend(at.as_u64().to_le_bytes());
    stored.extend(value);
    sealed(key, stored)
}

/// What is stored with the checksum behind it that it needs under this key.
pub(super) fn sealed(key: &[u8], mut stored: Vec<u8>) -> Vec<u8> {
    stored.extend(checksum(key, &stored).to_le_bytes());
    stored
}

/// The position and the value in what is stored under `key`.
pub(super) fn decode<'a>(key: &[u8], stored: &'a [u8]) -> Result<(Position, &'a [u8]), StoredError> {
    let (content, crc) = stored.split_last_chunk::<CRC_BYTES>().ok_or(StoredError::Damaged)?;
    if checksum(key, content) != u32::from_le_bytes(*crc) {
        return Err(StoredError::Damaged);
    }
    let (&version, content) = content.split_first().ok_or(StoredError::Damaged)?;
    if version != VERSION {
        return Err(StoredError::OtherVersion(version));
    }
    let (at, value) = content.split_first_chunk::<POSITION_BYTES>().ok_or(StoredError::Damaged)?;
    Ok((Position::from_u64(u64::from_le_bytes(*at)), value))
}

/// Covers the key, so that a value that ends up under another key is noticed.
fn checksum(key: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_reads_back_as_it_was_stored(key: Vec<u8>, value: Vec<u8>, at: u64) {
            let at = Position::from_u64(at);
            let stored = encode(&key, &value, at);
            prop_assert_eq!(decode(&key, &stored), Ok((at, &value[..])));
        }

        #[test]
        fn arbitrary_bytes_never_panic(key: Vec<u8>, stored: Vec<u8>) {
            prop_assert!(decode(&key, &stored).is_err());
            prop_assert!(Bookmark::decode(&stored).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let stored = encode(b"ep_1", b"https://example.com", Position { segment: 1, offset: 64 });
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(b"ep_1", &flipped), Err(StoredError::Damaged), "bit {bit}");
        }
        assert_eq!(decode(b"ep_2", &stored), Err(StoredError::Damaged));
    }

    #[test]
    fn a_bookmark_reads_back_as_it_was_written() {
        let bookmark = Bookmark { position: Position { segment: 3, offset: 9 }, entries: 7 };
        assert_eq!(Bookmark::decode(&bookmark.encode()), Ok(bookmark));
    }
}
