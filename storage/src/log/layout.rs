//! The bytes of a segment: its header, the headers of batches and records.
//!
//! Numbers are little-endian; everything begins at a multiple of 8 bytes; every checksum is a CRC32C that
//! starts from the segment's salt and the offset of what it covers (`checksum`).
//!
//! | segment header, 64 bytes at offset 0 | batch header, 32 bytes | record header, 12 bytes |
//! |---|---|---|
//! | 0 magic `PHSTLOG1` | 0 magic `PBAT` | 0 body length u32 |
//! | 8 format version u32 | 4 length of its records u32 | 4 kind u8 |
//! | 12 segment number u32 | 8 count of its records u32 | 5 record version u8 |
//! | 16 salt u64 | 12 zero u32 | 6 zero u16 |
//! | 24 created, unix ms u64 | 16 batch number u64 | 8 checksum of the 8 bytes before and the body u32 |
//! | 32 number of its first batch u64 | 24 zero u32 | 12 body, then zeros up to a multiple of 8 |
//! | 40 last id handed out before u64 | 28 checksum of the 28 bytes before u32 | |
//! | 48 zeros | | |
//! | 60 checksum of the 60 bytes before u32 | | |
//!
//! The first four bytes of anything after the segment header say what begins there: the batch magic, a record's
//! length (which is always smaller than the magic read as a number), or zero: nothing was written from here on.

use super::limits::{
    ALIGN_BYTES, BATCH_HEADER_BYTES, RECORD_BYTES_MAX, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES,
};
use crate::EntryId;
use crate::checksum::Salt;

/// The format that is written, and the newest that is read.
pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"PBAT");
const SEGMENT_MAGIC: [u8; 8] = *b"PHSTLOG1";

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u32,
    pub(super) salt: Salt,
    pub(super) created_ms: u64,
    pub(super) first_batch: u64,
    /// The last id that was handed out before it: what is left when older segments are gone.
    pub(super) last_id: EntryId,
}

/// Why bytes are not the header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    Newer { version: u32 },
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.created_ms.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_batch.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_id.as_u64().to_le_bytes());
        let checksum = self.salt.checksum(0, &bytes[..60], &[]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES as usize]) -> Result<Self, HeaderFault> {
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(HeaderFault::Damaged);
        }
        // Before the checksum: a newer format may keep its checksum elsewhere.
        let version = u32_at(bytes, 8);
        if version > FORMAT_VERSION {
            return Err(HeaderFault::Newer { version });
        }
        let salt = Salt(u64_at(bytes, 16));
        if salt.checksum(0, &bytes[..60], &[]) != u32_at(bytes, 60) {
            return Err(HeaderFault::Damaged);
        }
        let (created_ms, first_batch) = (u64_at(bytes, 24), u64_at(bytes, 32));
        let last_id = EntryId::from_u64(u64_at(bytes, 40));
        Ok(Self { number: u32_at(bytes, 12), salt, created_ms, first_batch, last_id })
    }
}

/// What a batch says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    /// Bytes of its records, with their headers and padding.
    pub(super) bytes: u32,
    pub(super) records: u32,
    pub(super) number: u64,
}

impl BatchHeader {
    pub(super) fn encode(&self, at: u32, salt: Salt) -> [u8; BATCH_HEADER_BYTES as usize] {
        let mut bytes = [0; BATCH_HEADER_BYTES as usize];
        bytes[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.records.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        let checksum = salt.checksum(at, &bytes[..28], &[]);
        bytes[28..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in the first bytes, as written at offset `at`.
    pub(super) fn decode(bytes: &[u8], at: u32, salt: Salt) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ BATCH_HEADER_BYTES as usize }>()?;
        let whole =
            u32_at(bytes, 0) == BATCH_MAGIC && salt.checksum(at, &bytes[..28], &[]) == u32_at(bytes, 28);
        whole.then(|| Self { bytes: u32_at(bytes, 4), records: u32_at(bytes, 8), number: u64_at(bytes, 16) })
    }
}

/// A record's bytes, found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) version: u8,
    pub(super) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The record in the first bytes, as written at offset `at`; `None` when it is not whole.
    pub(super) fn decode(bytes: &'a [u8], at: u32, salt: Salt) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<{ RECORD_HEADER_BYTES as usize }>()?;
        let body = rest.get(..u32_at(head, 0) as usize)?;
        (salt.checksum(at, &head[..8], body) == u32_at(head, 8)).then_some(Self {
            kind: head[4],
            version: head[5],
            body,
        })
    }
}

/// The header of a record with this body, as written at offset `at`.
pub(super) fn record_header(
    kind: u8,
    version: u8,
    body: &[u8],
    at: u32,
    salt: Salt,
) -> [u8; RECORD_HEADER_BYTES as usize] {
    let mut bytes = [0; RECORD_HEADER_BYTES as usize];
    bytes[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    (bytes[4], bytes[5]) = (kind, version);
    let checksum = salt.checksum(at, &bytes[..8], body);
    bytes[8..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Bytes from a record's header to what follows it, for a body of this length.
pub(super) const fn record_span(body_bytes: u32) -> u32 {
    (RECORD_HEADER_BYTES + body_bytes).next_multiple_of(ALIGN_BYTES)
}

/// What the first four bytes of something announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Batch,
    Record {
        body_bytes: u32,
    },
    /// Nothing was written from here on.
    Nothing,
    Nonsense,
}

pub(super) const fn begins(first: [u8; 4]) -> Begins {
    match u32::from_le_bytes(first) {
        BATCH_MAGIC => Begins::Batch,
        0 => Begins::Nothing,
        body_bytes if body_bytes <= RECORD_BYTES_MAX => Begins::Record { body_bytes },
        _ => Begins::Nonsense,
    }
}

/// The number at `at`; callers have checked the length.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The number at `at`; callers have checked the length.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        number: 7,
        salt: Salt(0x5a17),
        created_ms: 1_732_300_000_000,
        first_batch: 99,
        last_id: EntryId::new(1_732_299_999_999, 3),
    };

    #[test]
    fn a_segment_header_reads_back_and_no_flipped_bit_goes_unseen() {
        let bytes = HEADER.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(HEADER));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_format_from_the_future_is_told_apart_from_damage() {
        let mut bytes = HEADER.encode();
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Newer { version: 2 }));
    }

    #[test]
    fn a_record_is_whole_only_where_it_was_written() {
        let mut bytes = record_header(5, 1, b"body", 128, HEADER.salt).to_vec();
        bytes.extend_from_slice(b"body");
        assert_eq!(
            Frame::decode(&bytes, 128, HEADER.salt),
            Some(Frame { kind: 5, version: 1, body: b"body" })
        );
        assert_eq!(Frame::decode(&bytes, 136, HEADER.salt), None);
        assert_eq!(Frame::decode(&bytes[..15], 128, HEADER.salt), None);
        assert_eq!(record_span(4), 16);
        assert_eq!(record_span(5), 24);
    }

    #[test]
    fn a_batch_header_reads_back_only_where_it_was_written() {
        let header = BatchHeader { bytes: 160, records: 3, number: 12 };
        let bytes = header.encode(64, HEADER.salt);
        assert_eq!(BatchHeader::decode(&bytes, 64, HEADER.salt), Some(header));
        assert_eq!(BatchHeader::decode(&bytes, 72, HEADER.salt), None);
        assert_eq!(begins([b'P', b'B', b'A', b'T']), Begins::Batch);
    }
}
