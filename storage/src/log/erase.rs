//! Erasing: the one time that something in the log is written over.
//!
//! The bytes of a payload are replaced by zeros, where they lie, under a new checksum. A process that dies in the
//! middle would leave a record that is neither; so first all that is to be written goes into a file of its own, the
//! **list**, and only when that is durable is it done. A start that finds a whole list does it (again), before
//! anything is read; one that is not whole is proof that nothing was begun.
//!
//!   write list, sync --> write over, sync --> remove list
//!                  \--- a crash from here on: the next start writes over again
//!
//! | list | |
//! |---|---|
//! | magic `PHSTERA1` | then writes, then a CRC32C of all before it, u32 |
//! | a write | segment u32, salt u64, offset u32, length u32, kind u8 (0 zeros, 1 bytes), [bytes] |
//!
//! Invariants
//! - Nothing of what is erased is in the list.
//! - A write that is made twice is the same as one.
//! - What was there after `Ok` cannot be read from the files any more. (What a disk keeps of a sector that was
//!   written over, and copies that others made, are beyond this.)

use std::io;

use super::files::{FileKind, Files};
use super::layout::{Begins, Frame, SegmentHeader, begins, record_header, u32_at, u64_at};
use super::limits::{RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::segment::Segment;
use super::{EraseError, Log, LogError};
use crate::Position;
use crate::checksum::Salt;
use crate::disk::{DiskFile, is_full};
use crate::record::erasure;

const MAGIC: &[u8; 8] = b"PHSTERA1";
/// Zeros that are written at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// Bytes of a write in the list, without what it writes.
const WRITE_BYTES: usize = 21;

/// One write.
struct Overwrite {
    segment: u32,
    salt: Salt,
    offset: u32,
    what: What,
}

enum What {
    Zeros(u32),
    Bytes(Vec<u8>),
}

impl Log {
    /// Erases the payloads of the messages, and the responses of the attempts, whose records lie at these positions.
    /// Records that are gone already are left out.
    ///
    /// After `Ok` they are overwritten on disk, also after a power cut. After [`EraseError::Unsupported`] and
    /// [`EraseError::Io`] nothing has changed. After [`EraseError::Poisoned`] the next opening completes it, or it
    /// was never begun.
    pub fn erase(&mut self, places: &[Position]) -> Result<(), EraseError> {
        if let Some(why) = &self.poisoned {
            return Err(EraseError::Poisoned { why: why.clone() });
        }
        let reader = self.reader();
        let mut writes = Vec::new();
        for at in places {
            if let Some(segment) = reader.segment_of(*at)?
                && let Some(file) = reader.open(&segment)?
            {
                plan(&*file, &segment, *at, &mut writes)?;
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        let files = &self.shared.files;
        if let Err(error) = write_list(files, &writes) {
            let removed = files.remove_list();
            return Err(match removed {
                Ok(()) => EraseError::Io { full: is_full(&error), why: error.to_string() },
                // A list that is there and not wanted would be done at the next start.
                Err(_) => EraseError::Poisoned { why: self.poison("list what is erased for", 0, &error) },
            });
        }
        let done = apply(files, &writes).and_then(|()| files.remove_list());
        done.map_err(|error| EraseError::Poisoned { why: self.poison("erase from", 0, &error) })
    }
}

/// Completes what was being erased when the last process ended.
pub(super) fn complete(files: &Files) -> Result<(), LogError> {
    let failed = || LogError::io("complete the erasing that was under way");
    let Some(list) = files.read_list().map_err(failed())? else { return Ok(()) };
    if let Some(writes) = decode(&list) {
        apply(files, &writes).map_err(failed())?;
        tracing::info!(writes = writes.len(), "completed an erasing that was under way");
    }
    files.remove_list().map_err(failed())
}

/// What has to be written to erase one record.
fn plan(
    file: &dyn DiskFile,
    segment: &Segment,
    at: Position,
    writes: &mut Vec<Overwrite>,
) -> Result<(), EraseError> {
    let number = segment.number();
    let read = |error: io::Error| EraseError::Read(super::ReadError::io(number)(error));
    let damaged =
        |what| EraseError::Read(super::ReadError::Damaged { segment: number, offset: at.offset, what });
    let mut head = [0; RECORD_HEADER_BYTES as usize];
    file.read_at(&mut head, at.offset.into()).map_err(read)?;
    let body_bytes = match head.first_chunk().map(|first| begins(*first)) {
        Some(Begins::Record { body_bytes }) => body_bytes,
        _ => return Err(damaged("no record begins here")),
    };
    let mut bytes = vec![0; (RECORD_HEADER_BYTES + body_bytes) as usize];
    file.read_at(&mut bytes, at.offset.into()).map_err(read)?;
    let salt = segment.header.salt;
    let frame = Frame::decode(&bytes, at.offset, salt);
    let Frame { kind, version, body } = frame.ok_or_else(|| damaged("the checksum of a record is wrong"))?;
    let erasure = erasure(kind, version, body).ok_or(EraseError::Unsupported { at })?;
    let mut body = body.to_vec();
    body[erasure.flags_at] |= erasure.flag;
    erasure.zeros.iter().for_each(|zeros| body[zeros.clone()].fill(0));
    let mut write = |at_byte: u32, what| {
        writes.push(Overwrite { segment: number, salt, offset: at.offset + at_byte, what });
    };
    // The length, kind and version of the record stay what they are: the first eight bytes.
    let header = record_header(kind, version, &body, at.offset, salt);
    write(8, What::Bytes(header[8..].to_vec()));
    write(RECORD_HEADER_BYTES + erasure.flags_at as u32, What::Bytes(vec![body[erasure.flags_at]]));
    for zeros in erasure.zeros.iter().filter(|zeros| !zeros.is_empty()) {
        write(RECORD_HEADER_BYTES + zeros.start as u32, What::Zeros(zeros.len() as u32));
    }
    Ok(())
}

fn write_list(files: &Files, writes: &[Overwrite]) -> io::Result<()> {
    let file = files.create_list()?;
    file.write_at(&encode(writes), 0)?;
    file.sync()?;
    files.sync_folder()
}

fn apply(files: &Files, writes: &[Overwrite]) -> io::Result<()> {
    let mut touched: Vec<(u32, std::sync::Arc<dyn DiskFile>)> = Vec::new();
    for write in writes {
        let file = match touched.iter().find(|(segment, _)| *segment == write.segment) {
            Some((_, file)) => std::sync::Arc::clone(file),
            None => match files.open(write.segment, FileKind::Segment) {
                // It was removed since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => {
                    let file = opened?;
                    touched.push((write.segment, std::sync::Arc::clone(&file)));
                    file
                }
            },
        };
        if !is_of(&*file, write.salt)? {
            continue;
        }
        match &write.what {
            What::Bytes(bytes) => file.write_at(bytes, write.offset.into())?,
            What::Zeros(count) => {
                let (mut at, mut left) = (u64::from(write.offset), *count as usize);
                while left > 0 {
                    let piece = left.min(ZEROS.len());
                    file.write_at(&ZEROS[..piece], at)?;
                    at += piece as u64;
                    left -= piece;
                }
            }
        }
    }
    touched.iter().try_for_each(|(_, file)| file.sync())
}

/// Whether the file is the segment with this salt.
fn is_of(file: &dyn DiskFile, salt: Salt) -> io::Result<bool> {
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    let read = file.read_at(&mut header, 0)?;
    Ok(read == header.len() && SegmentHeader::decode(&header).is_ok_and(|header| header.salt == salt))
}

fn encode(writes: &[Overwrite]) -> Vec<u8> {
    let mut list = MAGIC.to_vec();
    for write in writes {
        list.extend_from_slice(&write.segment.to_le_bytes());
        list.extend_from_slice(&write.salt.0.to_le_bytes());
        list.extend_from_slice(&write.offset.to_le_bytes());
        match &write.what {
            What::Zeros(count) => {
                list.extend_from_slice(&count.to_le_bytes());
                list.push(0);
            }
            What::Bytes(bytes) => {
                list.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                list.push(1);
                list.extend_from_slice(bytes);
            }
        }
    }
    let checksum = Salt(0).checksum(0, &list, &[]);
    list.extend_from_slice(&checksum.to_le_bytes());
    list
}

/// `None` for a list that was not written to its end.
fn decode(list: &[u8]) -> Option<Vec<Overwrite>> {
    let (content, checksum) = list.split_at_checked(list.len().checked_sub(4)?)?;
    let mut rest = content.strip_prefix(MAGIC)?;
    if Salt(0).checksum(0, content, &[]) != u32_at(checksum, 0) {
        return None;
    }
    let mut writes = Vec::new();
    while !rest.is_empty() {
        let (head, behind) = rest.split_at_checked(WRITE_BYTES)?;
        let count = u32_at(head, 16);
        let (what, left) = match head[20] {
            0 => (What::Zeros(count), behind),
            _ => {
                let (bytes, left) = behind.split_at_checked(count as usize)?;
                (What::Bytes(bytes.to_vec()), left)
            }
        };
        let (segment, salt, offset) = (u32_at(head, 0), Salt(u64_at(head, 4)), u32_at(head, 12));
        writes.push(Overwrite { segment, salt, offset, what });
        rest = left;
    }
    Some(writes)
}
