//! A chunk: some of the deliveries that fall due in the same minute, packed into one value.
//!
//! Written one by one, keys cost sled ten times what the delivery itself costs the engine. So deliveries
//! share a value, and a key is only paid once for hundreds of them.
//!
//! ```text
//! key     minute u64 BE | number u64 BE          sorts by due minute, then by age
//! value   version u8 | 0 | count u16 | entry * count | CRC32C of key and value before it, u32
//! entry   message u64 | application u64 | endpoint u64 | message_at u64 | updated_at u64
//!         | attempts u16 | ms within the minute u16                       44 bytes
//! ```
//! Numbers are little-endian but for the key.
//!
//! Invariants
//! - A number is never used again, so that "older than" between chunks is "smaller number".
//! - Every delivery in a chunk falls due in the minute of its key.

use super::pending::{MINUTE_MS, Pending};
use crate::shelf::VALUE_BYTES_MAX;
use crate::{EntryId, Position};

/// The most deliveries a chunk holds.
pub(crate) const CHUNK_ENTRIES_MAX: u16 = 512;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 4;
const ENTRY_BYTES: usize = 44;
const CRC_BYTES: usize = 4;
const KEY_BYTES: usize = 16;

// A full chunk must be a small value to sled.
const _: () =
    assert!(HEADER_BYTES + CHUNK_ENTRIES_MAX as usize * ENTRY_BYTES + CRC_BYTES <= VALUE_BYTES_MAX / 16);
// A time within the minute must fit its field.
const _: () = assert!(MINUTE_MS <= u16::MAX as u64);

/// What a chunk is stored under. Sorts by minute, then by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ChunkKey {
    /// The minute in which its deliveries fall due, counted from 1970.
    pub(crate) minute: u64,
    /// Its number, never used again.
    pub(crate) number: u64,
}

impl ChunkKey {
    pub(crate) const FIRST: Self = Self { minute: 0, number: 0 };

    pub(crate) fn to_bytes(self) -> [u8; KEY_BYTES] {
        (u128::from(self.minute) << 64 | u128::from(self.number)).to_be_bytes()
    }

    /// The chunk key stored as `bytes`; `None` when they are the key of something else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let raw = u128::from_be_bytes(bytes.try_into().ok()?);
        Some(Self { minute: (raw >> 64) as u64, number: raw as u64 })
    }

    /// The key that follows it in the same minute.
    pub(crate) fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }
}

/// The value that holds `entries`, at most [`CHUNK_ENTRIES_MAX`] and all due in the minute of `key`.
pub(crate) fn encode(key: ChunkKey, entries: &[Pending]) -> Vec<u8> {
    debug_assert!(entries.len() <= usize::from(CHUNK_ENTRIES_MAX));
    let mut value = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES + CRC_BYTES);
    value.extend([VERSION, 0]);
    value.extend((entries.len() as u16).to_le_bytes());
    for entry in entries {
        encode_entry(entry, &mut value);
    }
    sealed(key, value)
}

/// The value with the checksum behind it that it needs under this key.
pub(super) fn sealed(key: ChunkKey, mut value: Vec<u8>) -> Vec<u8> {
    value.extend(checksum(key, &value).to_le_bytes());
    value
}

fn encode_entry(entry: &Pending, value: &mut Vec<u8>) {
    for number in [
        entry.message.as_u64(),
        entry.application,
        entry.endpoint,
        entry.message_at.as_u64(),
        entry.updated_at.as_u64(),
    ] {
        value.extend(number.to_le_bytes());
    }
    value.extend(entry.attempts.to_le_bytes());
    value.extend(((entry.due_ms % MINUTE_MS) as u16).to_le_bytes());
}

/// The deliveries in the value stored under `key`, or what is wrong with it.
pub(crate) fn decode(key: ChunkKey, value: &[u8]) -> Result<Vec<Pending>, &'static str> {
    let (content, crc) = value.split_last_chunk::<CRC_BYTES>().ok_or("it is too short")?;
    if checksum(key, content) != u32::from_le_bytes(*crc) {
        return Err("its checksum does not match");
    }
    let (&[version, _, low, high], entries) =
        content.split_first_chunk::<HEADER_BYTES>().ok_or("it is too short")?;
    if version != VERSION {
        return Err("its version is not known");
    }
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if entries.len() != usize::from(u16::from_le_bytes([low, high])) || !rest.is_empty() {
        return Err("its length does not match its count");
    }
    entries.iter().map(|entry| decode_entry(key.minute, entry)).collect()
}

fn decode_entry(minute: u64, entry: &[u8; ENTRY_BYTES]) -> Result<Pending, &'static str> {
    let (numbers, small) = entry.as_chunks::<8>();
    let number = |index: usize| u64::from_le_bytes(numbers[index]);
    let &[attempts_low, attempts_high, ms_low, ms_high] = small else { return Err("an entry is cut short") };
    let ms_within = u64::from(u16::from_le_bytes([ms_low, ms_high]));
    if ms_within >= MINUTE_MS {
        return Err("an entry falls due in another minute");
    }
    let minute_ms = minute.checked_mul(MINUTE_MS).ok_or("its minute is beyond time")?;
    Ok(Pending {
        message: EntryId::from_u64(number(0)),
        application: number(1),
        endpoint: number(2),
        message_at: Position::from_u64(number(3)),
        updated_at: Position::from_u64(number(4)),
        attempts: u16::from_le_bytes([attempts_low, attempts_high]),
        due_ms: minute_ms.checked_add(ms_within).ok_or("its minute is beyond time")?,
    })
}

/// Covers the key, so that a value that ends up under another key is noticed.
fn checksum(key: ChunkKey, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&key.to_bytes()), content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn pending_in(minute: u64)(
            ids in any::<[u64; 5]>(), attempts in any::<u16>(), ms_within in 0..MINUTE_MS,
        ) -> Pending {
            Pending {
                message: EntryId::from_u64(ids[0]),
                application: ids[1],
                endpoint: ids[2],
                message_at: Position::from_u64(ids[3]),
                updated_at: Position::from_u64(ids[4]),
                attempts,
                due_ms: minute * MINUTE_MS + ms_within,
            }
        }
    }

    fn sample() -> (ChunkKey, Vec<Pending>) {
        let key = ChunkKey { minute: 29_000_000, number: 7 };
        let entry = |endpoint| Pending {
            message: EntryId::new(1_732_300_000_000, 3),
            application: 5,
            endpoint,
            message_at: Position { segment: 1, offset: 64 },
            attempts: 2,
            due_ms: key.minute * MINUTE_MS + 59_999,
            updated_at: Position { segment: 1, offset: 4_096 },
        };
        (key, vec![entry(1), entry(2)])
    }

    proptest! {
        #[test]
        fn a_chunk_reads_back_as_it_was_written(
            number: u64, entries in proptest::collection::vec(pending_in(28_871_666), 0..40),
        ) {
            let key = ChunkKey { minute: 28_871_666, number };
            prop_assert_eq!(decode(key, &encode(key, &entries)), Ok(entries));
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            minute: u64, number: u64, value in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let key = ChunkKey { minute, number };
            prop_assert!(decode(key, &value).is_err());
        }

        #[test]
        fn keys_sort_as_their_bytes_do(a: (u64, u64), b: (u64, u64)) {
            let key = |(minute, number)| ChunkKey { minute, number };
            prop_assert_eq!(key(a).cmp(&key(b)), key(a).to_bytes().cmp(&key(b).to_bytes()));
            prop_assert_eq!(ChunkKey::from_bytes(&key(a).to_bytes()), Some(key(a)));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (key, entries) = sample();
        let value = encode(key, &entries);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(key, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_chunk_under_the_key_of_another_is_noticed() {
        let (key, entries) = sample();
        assert!(decode(key.next(), &encode(key, &entries)).is_err());
    }

    #[test]
    fn a_chunk_cut_short_is_noticed() {
        let (key, entries) = sample();
        let value = encode(key, &entries);
        for bytes in 0..value.len() {
            assert!(decode(key, &value[..bytes]).is_err(), "{bytes} bytes");
        }
    }
}
