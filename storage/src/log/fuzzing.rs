//! Any bytes where segments and index files are expected.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{GrowingIndex, Marks, Note, SealedIndex};
use super::layout::{BatchHeader, SegmentHeader, record_header, record_span};
use super::limits::{ALIGN_BYTES, BATCH_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::{Log, LogError, LogOptions, LogReader};
use crate::checksum::Salt;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::fuzzing::Choices;
use crate::record::{
    Attempt, Change, Channels, Course, Endpoints, EventSeen, Message, PackedExtras, RECORD_VERSION, Record,
    Settled,
};
use crate::{EntryId, Position};

const FOLDER: &str = "/log";
const SALT: Salt = Salt(7);
/// Records of a log that is to be damaged.
const RECORDS_MAX: usize = 24;

/// A record as text, and where it is.
type Told = (Position, String);

fn options(accept_damage: bool) -> LogOptions {
    LogOptions {
        accept_damage,
        block_bytes: 256,
        seal_in_background: false,
        salt_seed: Some(7),
        ..LogOptions::new(1 << 10)
    }
}

fn open(disk: &SimDisk, accept_damage: bool) -> Result<Log, LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(FOLDER), options(accept_damage)).map(|(log, _)| log)
}

fn path(segment: u32, ending: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{segment:010}.{ending}"))
}

/// What a log says from front to back, and whether something of it is lost.
fn everything(reader: &LogReader) -> (Vec<Told>, bool) {
    let mut told = Vec::new();
    let replayed = reader.replay(Position::START, reader.end(), |at, record| {
        told.push((at, format!("{record:?}")));
        ControlFlow::Continue(())
    });
    let lost = replayed.map_or(true, |replayed| !replayed.damage.is_empty());
    (told, lost)
}

/// A segment made of arbitrary records and arbitrary headers, each with the checksum that it needs to be believed:
/// either the log does not open, or it says the same every time, can be searched, and goes on.
pub(crate) fn segments(data: &[u8]) {
    let mut choices = Choices(data);
    let how = choices.u8();
    let disk = SimDisk::new();
    disk.put(&path(1, "seg"), segment(1, 1, &mut choices));
    if how & 2 != 0 {
        // A second one makes the first a closed one.
        disk.put(&path(2, "seg"), segment(2, u64::from(how >> 2), &mut choices));
    }
    let accept_damage = how & 1 != 0;
    let Ok(mut log) = open(&disk, accept_damage) else { return };
    let (told, lost) = everything(&log.reader());
    can_be_searched(&log.reader(), &told, lost);
    let id = log.next_id(5);
    log.append(&Record::Change(Change { key: b"key", value: None })).expect("the log takes a record");
    log.append(&Record::Settled(Settled { message: id, application: 1, endpoint: 1, state: 1, at_ms: 1 }))
        .expect("and another");
    log.commit().expect("the disk is fine");
    drop(log);
    let again = open(&disk, accept_damage).expect("it opened before");
    let (more, _) = everything(&again.reader());
    if !lost {
        assert_eq!(more[..told.len()], told, "what was there is there");
        assert_eq!(more.len(), told.len() + 2, "and what came");
    }
}

fn can_be_searched(reader: &LogReader, told: &[Told], lost: bool) {
    if !lost {
        let mut back = Vec::new();
        reader
            .scan_back(reader.end(), |at, record| {
                back.push((at, format!("{record:?}")));
                ControlFlow::Continue(())
            })
            .expect("what can be read forward can be read backward");
        back.reverse();
        assert_eq!(back, told);
    }
    for (at, told) in told {
        if let Ok(Some(record)) = reader.record_at(*at) {
            assert_eq!(&format!("{:?}", record.record()), told);
            if let Some(id) = record.record().about() {
                // Ids may be in any order here, so what is found is not known; that it ends is.
                let _ = reader.message(id);
                let _ = reader.seek(id);
            }
        }
    }
    let _ = reader.events_since(EntryId::MIN, |_| ControlFlow::Continue(()));
}

/// Batches as the bytes say: lengths and counts are mostly true, and sometimes not.
fn segment(number: u32, first_batch: u64, choices: &mut Choices<'_>) -> Vec<u8> {
    let header = SegmentHeader { number, salt: SALT, created_ms: 1, first_batch, last_id: EntryId::MIN };
    let mut file = header.encode().to_vec();
    let mut batch = first_batch;
    for _ in 0..choices.u8() % 8 {
        if choices.is_spent() {
            break;
        }
        let twist = choices.u8();
        let at = file.len() as u32;
        file.resize(file.len() + BATCH_HEADER_BYTES as usize, 0);
        let records = u32::from(choices.u8() % 8);
        for _ in 0..records {
            put_record(&mut file, choices);
        }
        let bytes = file.len() as u32 - at - BATCH_HEADER_BYTES;
        let header = BatchHeader {
            bytes: if twist & 1 == 0 {
                bytes
            } else {
                bytes.wrapping_add_signed(i32::from(choices.u16() as i16))
            },
            records: if twist & 2 == 0 { records } else { u32::from(choices.u8()) },
            // Always true: who walks in from the middle has no other word for it.
            number: batch,
        };
        file[at as usize..][..BATCH_HEADER_BYTES as usize].copy_from_slice(&header.encode(at, SALT));
        if twist & 8 != 0 {
            let nonsense = choices.u8() % 64;
            file.extend_from_slice(choices.bytes(nonsense.into()));
            file.resize(file.len().next_multiple_of(ALIGN_BYTES as usize), 0);
        }
        batch = batch.wrapping_add(1);
    }
    let cut = usize::from(choices.u8() % 32);
    file.truncate((file.len() - cut).max(SEGMENT_HEADER_BYTES as usize));
    file
}

fn put_record(file: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let at = file.len() as u32;
    let (twist, kind, bytes) = (choices.u8(), choices.u8(), choices.u8());
    let mut body = Vec::new();
    if twist & 1 == 0 {
        // One that decodes, of a kind that indexes care for.
        some_record(kind, bytes).encode(&mut body);
    } else {
        body.extend_from_slice(choices.bytes(bytes.into()));
    }
    let (kind, version) = match twist & 3 {
        0 => (some_record(kind, bytes).kind() as u8, RECORD_VERSION),
        // No newer ones: a log that was not whole may well refuse them at the second look alone.
        _ => (1 + kind % 6, 1 + (twist >> 7)),
    };
    file.extend_from_slice(&record_header(kind, version, &body, at, SALT));
    file.extend_from_slice(&body);
    file.resize(at as usize + record_span(body.len() as u32) as usize, 0);
}

fn some_record(kind: u8, number: u8) -> Record<'static> {
    let id = EntryId::new(u64::from(number), u16::from(kind));
    match kind % 4 {
        0 => Record::Message(Message {
            id,
            application: u64::from(number % 3),
            event_type: "message.delivered",
            event_id: number.is_multiple_of(2).then_some("event"),
            content_type: None,
            extras: PackedExtras::NONE,
            channels: Channels::from(&["blue", "green"][..]),
            digest: [number; 16],
            endpoints: Endpoints::from(&[3, 4][..]),
            payload: &[b'x'; 64][..usize::from(number) % 64],
            erased: false,
        }),
        1 => Record::Attempt(Attempt {
            id,
            message: EntryId::new(u64::from(number / 2), 0),
            application: u64::from(number % 3),
            endpoint: 3,
            number: 1,
            progress: 1,
            started_ms: id.ms(),
            duration_us: 1_200,
            outcome: number,
            status: 200,
            state: number % 5,
            next_attempt_ms: 0,
            endpoint_revision: 1,
            message_at: Position { segment: 1, offset: 96 },
            response_headers: b"",
            response_body: b"ok",
            detail: "",
            course: Course::default(),
            erased: false,
        }),
        2 => Record::Settled(Settled { message: id, application: 1, endpoint: 0, state: 4, at_ms: 9 }),
        _ => Record::Change(Change { key: b"key", value: number.is_multiple_of(2).then_some(b"value") }),
    }
}

/// A log as it is written, then damaged as a disk might: nothing that was not written is ever read, and what is left
/// goes on.
pub(crate) fn damaged_logs(data: &[u8]) {
    let mut choices = Choices(data);
    let how = choices.u8();
    let disk = SimDisk::new();
    let durable = written(&disk, &mut choices);
    while !choices.is_spent() {
        damage(&disk, &mut choices);
    }
    let accept_damage = how & 1 != 0;
    let Ok(mut log) = open(&disk, accept_damage) else { return };
    let (told, _) = everything(&log.reader());
    let mut whole = durable.iter();
    assert!(told.iter().all(|told| whole.any(|candidate| candidate == told)), "a record was made up");
    log.append(&Record::Change(Change { key: b"key", value: None })).expect("the log takes a record");
    log.commit().expect("the disk is fine");
    let before = everything(&log.reader());
    assert!(before.0.len() > told.len() || before.1, "what was committed is read");
    drop(log);
    let again = open(&disk, accept_damage).expect("it opened before");
    assert_eq!(everything(&again.reader()), before);
}

fn written(disk: &SimDisk, choices: &mut Choices<'_>) -> Vec<Told> {
    let mut log = open(disk, false).expect("an empty folder is an empty log");
    for _ in 0..usize::from(choices.u8()) % RECORDS_MAX {
        let what = choices.u8();
        let id = log.next_id(u64::from(what));
        let record = match some_record(what, what >> 2) {
            Record::Message(message) => Record::Message(Message { id, ..message }),
            Record::Attempt(attempt) => Record::Attempt(Attempt { id, ..attempt }),
            other => other,
        };
        log.append(&record).expect("it fits");
        if what & 0x80 == 0 {
            log.commit().expect("the disk is fine");
        }
    }
    log.commit().expect("the disk is fine");
    everything(&log.reader()).0
}

fn damage(disk: &SimDisk, choices: &mut Choices<'_>) {
    let (which, how, at) = (choices.u8(), choices.u8(), usize::from(choices.u16()));
    let path = path(u32::from(which >> 1) % 4 + 1, if which & 1 == 0 { "seg" } else { "idx" });
    let Some(mut file) = disk.content(&path).filter(|file| !file.is_empty()) else { return };
    let at = at % file.len();
    match how % 6 {
        0 | 1 => file[at] ^= 1 << (how >> 5),
        2 => file.truncate(at),
        3 => file[at..].iter_mut().take(usize::from(how)).for_each(|byte| *byte = 0),
        4 => {
            // A sector of the file, written to the wrong place of it.
            let from = usize::from(choices.u16()) % file.len();
            let sector = file[from..(from + 64).min(file.len())].to_vec();
            file[at..].iter_mut().zip(sector).for_each(|(byte, copied)| *byte = copied);
        }
        _ => {
            disk.remove(&path).expect("the file is there");
            return;
        }
    }
    disk.put(&path, file);
}

/// An index file of arbitrary content whose checksums are right, or one as it is written with some bytes changed:
/// it is read or not, and when it is, answers without reading beyond itself. One as it is written says what it was
/// told.
pub(crate) fn index_files(data: &[u8]) {
    let mut choices = Choices(data);
    let how = choices.u8();
    let header =
        SegmentHeader { number: 1, salt: SALT, created_ms: 1, first_batch: 1, last_id: EntryId::MIN };
    let mut index = GrowingIndex::new(1, 256);
    let mut events = Vec::new();
    for number in 0..choices.u8() % 16 {
        let record = some_record(choices.u8(), choices.u8());
        let at = 64 + u32::from(number) * 256;
        let mut marks = Marks::default();
        marks.add(&record);
        index.add_batch(u64::from(number) + 1, at, at + 256, &[Note::new(at + 32, &record)], &marks);
        events.extend(record.event());
    }
    let mut file = SealedIndex::encode(&header, &index);
    let segment_bytes = u64::from(index.facts().bytes);
    if how & 1 == 0 {
        assert_eq!(answers(&file, &header, segment_bytes), Some(events));
    }
    if how & 2 != 0 {
        // A head of one's own.
        file.truncate(64);
        file[28..32].copy_from_slice(&(choices.0.len() as u32).to_le_bytes());
        file[32..44].copy_from_slice(&[how; 12]);
        file.extend_from_slice(choices.0);
    } else {
        while !choices.is_spent() {
            let at = 24 + usize::from(choices.u16()) % (file.len() - 24);
            file[at] = choices.u8();
        }
    }
    let head_bytes = u32::from_le_bytes([file[28], file[29], file[30], file[31]]) as usize;
    if let Some(head) = file.get(64..64 + head_bytes) {
        let checksum = SALT.checksum(0, &file[..60], head);
        file[60..64].copy_from_slice(&checksum.to_le_bytes());
    }
    let claimed = u64::from(u32::from_le_bytes([file[24], file[25], file[26], file[27]]));
    let _ = answers(&file, &header, claimed);
}

/// The events that an index file tells of, after it was asked for the rows of many hashes.
fn answers(bytes: &[u8], header: &SegmentHeader, segment_bytes: u64) -> Option<Vec<EventSeen>> {
    let disk = SimDisk::new();
    let path = path(1, "idx");
    disk.put(&path, bytes.to_vec());
    let file = disk.open(&path).expect("it is there");
    let index = SealedIndex::read(&*file, header, segment_bytes).expect("the disk is fine")?;
    for hash in [0, 1 << 31, u32::MAX] {
        let _ = index.offsets(&*file, hash).expect("the disk is fine");
    }
    assert!(index.blocks.len() * 212 <= bytes.len(), "more blocks than there are bytes for");
    index.events(&*file).expect("the disk is fine")
}
