//! The index file of a closed segment.
//!
//! | part | content |
//! |---|---|
//! | header, 64 bytes | magic `PHSTIDX1`, version u32, segment u32, salt u64, segment bytes u32, head bytes u32, rows u32, events u32, checksum of the events u32, zeros; at 60: checksum of the 60 bytes before and the head |
//! | head | next batch u64, first id u64, largest id u64 (0: none), largest id seen u64, then five lists of u32 length: records of each kind (u32), blocks (offset u32, largest id u64, applications 8 x u64, endpoints 16 x u64, traits u32), pages (first hash u32, checksum u32), messages (application u64, count u32), damage (from u32, to u32) |
//! | rows | (hash u32, offset u32) in ascending order, in pages of 512 rows (4 KiB); the last may be shorter |
//! | events | (hash u64, message u64, digest 16 bytes) in the order of the segment |
//!
//! The head stays in memory; a page or the events are read when asked for. The file is not synced: a checksum
//! tells what a power cut left of it, and the segment has all it says. The salt ties it to its segment.

use std::io;
use std::sync::Arc;

use super::block::{ApplicationSet, Block};
use super::facts::Facts;
use super::growing::GrowingIndex;
use super::marks::Marks;
use super::note::Row;
use crate::EntryId;
use crate::checksum::Salt;
use crate::disk::DiskFile;
use crate::log::layout::{SegmentHeader, u32_at, u64_at};
use crate::record::EventSeen;

const MAGIC: [u8; 8] = *b"PHSTIDX1";
/// Version 2 added what blocks know of endpoints and traits. Files of version 1 are made again.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 64;
const ROW_BYTES: usize = 8;
const PAGE_ROWS: usize = 512;
const PAGE_BYTES: usize = ROW_BYTES * PAGE_ROWS;
const EVENT_BYTES: usize = 32;

/// What stays in memory of a closed segment's index.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::log) struct SealedIndex {
    pub(in crate::log) facts: Facts,
    pub(in crate::log) blocks: Box<[Block]>,
    pub(in crate::log) messages: Arc<[(u64, u32)]>,
    pages: Box<[Page]>,
    salt: Salt,
    head_bytes: u32,
    rows: u32,
    events: u32,
    events_checksum: u32,
}

/// A page of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    first_hash: u32,
    checksum: u32,
}

impl SealedIndex {
    /// The bytes of the index file.
    pub(in crate::log) fn encode(header: &SegmentHeader, index: &GrowingIndex) -> Vec<u8> {
        let mut rows: Vec<Row> = index.rows().iter().flat_map(|chunk| chunk.rows().iter().copied()).collect();
        rows.sort_unstable();
        let rows_bytes: Vec<u8> = rows.iter().flat_map(|row| pair(row.hash, row.at)).collect();
        let mut events = Vec::with_capacity(index.events().len() * EVENT_BYTES);
        index.events().iter().for_each(|event| put_event(&mut events, event));
        let head = encode_head(header.salt, index, &rows_bytes);

        let mut bytes = Vec::with_capacity(HEADER_BYTES + head.len() + rows_bytes.len() + events.len());
        bytes.extend_from_slice(&MAGIC);
        put_u32s(&mut bytes, [VERSION, header.number]);
        put_u64s(&mut bytes, [header.salt.0]);
        let counts = [index.facts().bytes, head.len() as u32, rows.len() as u32, index.events().len() as u32];
        put_u32s(&mut bytes, counts);
        put_u32s(&mut bytes, [header.salt.checksum(0, &events, &[])]);
        bytes.resize(HEADER_BYTES - 4, 0);
        let checksum = header.salt.checksum(0, &bytes, &head);
        put_u32s(&mut bytes, [checksum]);
        for part in [head, rows_bytes, events] {
            bytes.extend_from_slice(&part);
        }
        bytes
    }

    /// Reads header and head; `None` when they are not whole, or not of this segment at this size.
    pub(in crate::log) fn read(
        file: &dyn DiskFile,
        segment: &SegmentHeader,
        segment_bytes: u64,
    ) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        let read = file.read_at(&mut header, 0)?;
        let expected = header[..8] == MAGIC
            && u32_at(&header, 8) == VERSION
            && u32_at(&header, 12) == segment.number
            && u64_at(&header, 16) == segment.salt.0
            && u64::from(u32_at(&header, 24)) == segment_bytes;
        let head_bytes = u32_at(&header, 28);
        if read < HEADER_BYTES || !expected || u64::from(head_bytes) > file.bytes()? {
            return Ok(None);
        }
        let mut head = vec![0; head_bytes as usize];
        let read = file.read_at(&mut head, HEADER_BYTES as u64)?;
        let checksum = segment.salt.checksum(0, &header[..HEADER_BYTES - 4], &head);
        if read < head.len() || checksum != u32_at(&header, HEADER_BYTES - 4) {
            return Ok(None);
        }
        let file_bytes = file.bytes()?;
        Ok(Self::decode(&header, &head, segment.salt).filter(|index| index.fills(file_bytes)))
    }

    /// Whether what it says of its rows and events is what a file of so many bytes has.
    fn fills(&self, file_bytes: u64) -> bool {
        let bytes = self.rows_at() as u64
            + u64::from(self.rows) * ROW_BYTES as u64
            + u64::from(self.events) * EVENT_BYTES as u64;
        bytes == file_bytes && self.pages.len() == (self.rows as usize).div_ceil(PAGE_ROWS)
    }

    fn decode(header: &[u8; HEADER_BYTES], head: &[u8], salt: Salt) -> Option<Self> {
        let mut head = Head(head);
        let mut facts = Facts::new(head.u64()?);
        facts.bytes = u32_at(header, 24);
        [facts.id_first, facts.id_max] = [head.some_id()?, head.some_id()?];
        facts.id_seen_max = EntryId::from_u64(head.u64()?);
        // Kinds that came later are not in it, and not in its segment.
        let records = head.list(Head::u32)?;
        facts.records.iter_mut().zip(records).for_each(|(count, read)| *count = read);
        let blocks = head.list(|head| {
            let mut block = Block::new(head.u32()?);
            block.id_max = EntryId::from_u64(head.u64()?);
            block.applications = ApplicationSet { bits: head.u64s()? };
            block.marks = Marks { endpoints: head.u64s()?, traits: head.u32()? };
            Some(block)
        })?;
        let pages = head.list(|head| Some(Page { first_hash: head.u32()?, checksum: head.u32()? }))?;
        let messages = head.list(|head| Some((head.u64()?, head.u32()?)))?;
        facts.damage = head.list(|head| Some((head.u32()?, head.u32()?)))?;
        Some(Self {
            facts,
            blocks: blocks.into(),
            messages: messages.into(),
            pages: pages.into(),
            salt,
            head_bytes: u32_at(header, 28),
            rows: u32_at(header, 32),
            events: u32_at(header, 36),
            events_checksum: u32_at(header, 40),
        })
    }

    /// Offsets of the records with this row hash, ascending; `None` when a page is damaged.
    pub(in crate::log) fn offsets(&self, file: &dyn DiskFile, hash: u32) -> io::Result<Option<Vec<u32>>> {
        let mut offsets = Vec::new();
        // Rows of one hash may begin in the page before the first that starts with it.
        let first = self.pages.partition_point(|page| page.first_hash < hash).saturating_sub(1);
        for (number, page) in self.pages.iter().enumerate().skip(first) {
            if page.first_hash > hash {
                break;
            }
            let Some(bytes) = self.read_page(file, number, *page)? else { return Ok(None) };
            let rows = bytes.chunks_exact(ROW_BYTES).map(|row| (u32_at(row, 0), u32_at(row, 4)));
            offsets.extend(rows.filter(|(of, _)| *of == hash).map(|(_, at)| at));
        }
        Ok(Some(offsets))
    }

    fn read_page(&self, file: &dyn DiskFile, number: usize, page: Page) -> io::Result<Option<Vec<u8>>> {
        let begin = number * PAGE_BYTES;
        let mut bytes = vec![0; PAGE_BYTES.min(self.rows as usize * ROW_BYTES - begin)];
        let read = file.read_at(&mut bytes, (self.rows_at() + begin) as u64)?;
        let whole = read == bytes.len() && self.salt.checksum(number as u32, &bytes, &[]) == page.checksum;
        Ok(whole.then_some(bytes))
    }

    /// The event ids seen in the segment; `None` when they are damaged.
    pub(in crate::log) fn events(&self, file: &dyn DiskFile) -> io::Result<Option<Vec<EventSeen>>> {
        let at = self.rows_at() + self.rows as usize * ROW_BYTES;
        let mut bytes = vec![0; self.events as usize * EVENT_BYTES];
        let read = file.read_at(&mut bytes, at as u64)?;
        if read < bytes.len() || self.salt.checksum(0, &bytes, &[]) != self.events_checksum {
            return Ok(None);
        }
        Ok(Some(bytes.as_chunks::<EVENT_BYTES>().0.iter().map(event).collect()))
    }

    fn rows_at(&self) -> usize {
        HEADER_BYTES + self.head_bytes as usize
    }
}

fn encode_head(salt: Salt, index: &GrowingIndex, rows: &[u8]) -> Vec<u8> {
    let facts = index.facts();
    let id = |id: Option<EntryId>| id.map_or(0, EntryId::as_u64);
    let mut head = Vec::new();
    put_u64s(&mut head, [facts.next_batch, id(facts.id_first), id(facts.id_max), facts.id_seen_max.as_u64()]);
    put_u32s(&mut head, [facts.records.len() as u32]);
    put_u32s(&mut head, facts.records);
    put_u32s(&mut head, [index.blocks().len() as u32]);
    for block in index.blocks() {
        put_u32s(&mut head, [block.at]);
        put_u64s(&mut head, [block.id_max.as_u64()]);
        put_u64s(&mut head, block.applications.bits);
        put_u64s(&mut head, block.marks.endpoints);
        put_u32s(&mut head, [block.marks.traits]);
    }
    put_u32s(&mut head, [rows.chunks(PAGE_BYTES).len() as u32]);
    for (number, page) in rows.chunks(PAGE_BYTES).enumerate() {
        put_u32s(&mut head, [u32_at(page, 0), salt.checksum(number as u32, page, &[])]);
    }
    let messages = index.messages();
    put_u32s(&mut head, [messages.len() as u32]);
    for (application, count) in messages {
        put_u64s(&mut head, [application]);
        put_u32s(&mut head, [count]);
    }
    put_u32s(&mut head, [facts.damage.len() as u32]);
    for (from, to) in &facts.damage {
        put_u32s(&mut head, [*from, *to]);
    }
    head
}

/// Reads the head from front to back.
struct Head<'a>(&'a [u8]);

impl Head<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*taken))
    }

    fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*taken))
    }

    fn u64s<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.u64()?;
        }
        Some(words)
    }

    fn some_id(&mut self) -> Option<Option<EntryId>> {
        self.u64().map(|id| (id != 0).then_some(EntryId::from_u64(id)))
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.u32()?).map(|_| item(self)).collect()
    }
}

fn put_u32s<const N: usize>(into: &mut Vec<u8>, numbers: [u32; N]) {
    numbers.iter().for_each(|number| into.extend_from_slice(&number.to_le_bytes()));
}

fn put_u64s<const N: usize>(into: &mut Vec<u8>, numbers: [u64; N]) {
    numbers.iter().for_each(|number| into.extend_from_slice(&number.to_le_bytes()));
}

fn pair(first: u32, second: u32) -> [u8; ROW_BYTES] {
    (u64::from(second) << 32 | u64::from(first)).to_le_bytes()
}

fn put_event(into: &mut Vec<u8>, event: &EventSeen) {
    put_u64s(into, [event.hash, event.message.as_u64()]);
    into.extend_from_slice(&event.digest);
}

fn event(bytes: &[u8; EVENT_BYTES]) -> EventSeen {
    let (numbers, digest) = bytes.as_chunks::<16>().0.split_at(1);
    EventSeen {
        hash: u64_at(&numbers[0], 0),
        message: EntryId::from_u64(u64_at(&numbers[0], 8)),
        digest: digest[0],
    }
}
