//! A log on a simulated disk, beside a plain list of what it was told: the two must agree.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthaste_storage::disk::sim::{Crash, SimDisk};
use posthaste_storage::log::{CommitError, Log, LogError, LogOptions, LogReader, Recovery};
use posthaste_storage::record::{
    Attempt, Carried, Change, Channels, Course, Endpoints, Message, PackedExtras, Parked, PendingDelivery,
    PendingList, Record, Settled,
};
use posthaste_storage::{EntryId, Position};

pub(crate) const FOLDER: &str = "/log";

/// Small segments and blocks, so that a short test has many; everything in one thread.
pub(crate) fn options() -> LogOptions {
    LogOptions { block_bytes: 256, seal_in_background: false, salt_seed: Some(7), ..LogOptions::new(1 << 10) }
}

/// A record as text, by which records are compared.
pub(crate) type Told = (Position, String);

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) options: LogOptions,
    log: Option<Log>,
    /// What was acknowledged and not unlinked.
    pub(crate) durable: Vec<Told>,
    pending: Vec<Told>,
    /// A batch of which nobody knows whether it survives.
    unknown: Vec<Told>,
    pub(crate) now_ms: u64,
    pub(crate) messages: Vec<(EntryId, Position)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(options())
    }

    pub(crate) fn with(options: LogOptions) -> Self {
        let disk = SimDisk::new();
        let (log, _) = open(&disk, &options).unwrap();
        Self {
            disk,
            options,
            log: Some(log),
            durable: Vec::new(),
            pending: Vec::new(),
            unknown: Vec::new(),
            now_ms: 1_000,
            messages: Vec::new(),
        }
    }

    pub(crate) fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    pub(crate) fn reader(&self) -> LogReader {
        self.log.as_ref().expect("the log is open").reader()
    }

    fn id(&mut self) -> EntryId {
        self.now_ms += 1;
        let now_ms = self.now_ms;
        self.log().next_id(now_ms)
    }

    pub(crate) fn append(&mut self, record: &Record<'_>) -> Position {
        let at = self.log().append(record).unwrap();
        self.pending.push((at, describe(record)));
        at
    }

    pub(crate) fn message(&mut self, application: u64, payload: &[u8]) -> EntryId {
        let event_id = format!("event-{}", self.now_ms % 5);
        let id = self.id();
        let at = self.append(&Record::Message(message(id, application, Some(&event_id), payload)));
        self.messages.push((id, at));
        id
    }

    pub(crate) fn attempt(&mut self, message: EntryId, application: u64) -> EntryId {
        let id = self.id();
        self.append(&Record::Attempt(attempt(id, message, application)));
        id
    }

    pub(crate) fn parked(&mut self, message: EntryId, application: u64) {
        let message_at = Position { segment: 1, offset: 96 };
        self.append(&Record::Parked(Parked {
            message,
            application,
            endpoint: 3,
            attempts: 0,
            due_ms: 9,
            message_at,
        }));
    }

    pub(crate) fn settled(&mut self, message: EntryId, application: u64) {
        self.append(&Record::Settled(Settled { message, application, endpoint: 0, state: 4, at_ms: 9 }));
    }

    pub(crate) fn change(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.append(&Record::Change(Change { key, value }));
    }

    pub(crate) fn carried(&mut self, id: EntryId, application: u64) {
        let pending = [PendingDelivery { endpoint: 3, attempts: 2, due_ms: 99 }];
        let message = message(id, application, None, b"carried");
        self.append(&Record::Carried(Carried { message, pending: PendingList::from(&pending[..]) }));
    }

    pub(crate) fn commit(&mut self) -> Result<Position, CommitError> {
        let committed = self.log().commit();
        match &committed {
            Ok(_) => self.durable.append(&mut self.pending),
            Err(CommitError::Poisoned { .. }) if self.unknown.is_empty() => {
                self.unknown.append(&mut self.pending)
            }
            Err(CommitError::Poisoned { .. }) => self.pending.clear(),
            Err(_) => {}
        }
        committed
    }

    pub(crate) fn discard(&mut self) {
        self.log().discard_pending();
        self.pending.clear();
    }

    pub(crate) fn unlink(&mut self, segment: u32) {
        self.log().unlink(segment).unwrap();
        self.durable.retain(|(at, _)| at.segment > segment);
    }

    /// Closes the log and opens it again, after whatever `meanwhile` does to the disk.
    pub(crate) fn reopen(&mut self, meanwhile: impl FnOnce(&SimDisk)) -> Result<Recovery, LogError> {
        self.log = None;
        self.pending.clear();
        meanwhile(&self.disk);
        let (log, recovery) = open(&self.disk, &self.options)?;
        self.log = Some(log);
        // A batch that was neither acknowledged nor refused may be there, whole.
        let unknown = std::mem::take(&mut self.unknown);
        if !unknown.is_empty() && self.everything().len() > self.durable.len() {
            self.durable.extend(unknown);
        }
        Ok(recovery)
    }

    pub(crate) fn crash(&mut self, crash: Crash) -> Recovery {
        self.reopen(|disk| disk.crash(crash)).unwrap()
    }

    /// What the log says, from front to back.
    pub(crate) fn everything(&self) -> Vec<Told> {
        everything(&self.reader())
    }

    /// The log says what it was told, both ways, and record by record.
    pub(crate) fn check(&self) {
        assert_eq!(self.everything(), self.durable);
        let reader = self.reader();
        let mut back = Vec::new();
        reader.scan_back(reader.end(), |at, record| tell(&mut back, at, &record)).unwrap();
        back.reverse();
        assert_eq!(back, self.durable);
        for (at, told) in &self.durable {
            assert_eq!(&describe(&reader.record_at(*at).unwrap().unwrap().record()), told);
        }
    }

    pub(crate) fn path(&self, segment: u32, ending: &str) -> PathBuf {
        Path::new(FOLDER).join(format!("{segment:010}.{ending}"))
    }

    pub(crate) fn file(&self, segment: u32, ending: &str) -> Vec<u8> {
        self.disk.content(&self.path(segment, ending)).unwrap()
    }

    /// Commits `count` batches of a message and its attempt.
    pub(crate) fn fill(&mut self, count: u64) {
        for number in 0..count {
            let message = self.message(number % 7, format!("payload {number}").as_bytes());
            self.attempt(message, number % 7);
            self.commit().unwrap();
        }
    }
}

pub(crate) fn open(disk: &SimDisk, options: &LogOptions) -> Result<(Log, Recovery), LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(FOLDER), options.clone())
}

pub(crate) fn everything(reader: &LogReader) -> Vec<Told> {
    let mut told = Vec::new();
    let replayed =
        reader.replay(Position::START, reader.end(), |at, record| tell(&mut told, at, &record)).unwrap();
    assert_eq!(replayed.to, reader.end());
    assert!(replayed.damage.is_empty());
    told
}

pub(crate) fn tell(into: &mut Vec<Told>, at: Position, record: &Record<'_>) -> ControlFlow<()> {
    into.push((at, describe(record)));
    ControlFlow::Continue(())
}

/// A record as text; a long one is cut and ends in its hash, so that a failed comparison can be read.
pub(crate) fn describe(record: &Record<'_>) -> String {
    let mut text = format!("{record:?}");
    if text.len() > 150 {
        let hash = posthaste_storage::record::event_hash(0, &text);
        text.truncate(150);
        text.push_str(&format!("... {hash:x}"));
    }
    text
}

pub(crate) fn message<'a>(
    id: EntryId,
    application: u64,
    event_id: Option<&'a str>,
    payload: &'a [u8],
) -> Message<'a> {
    Message {
        id,
        application,
        event_type: "message.delivered",
        event_id,
        content_type: None,
        extras: PackedExtras::NONE,
        channels: Channels::from(&["blue", "green"][..]),
        digest: [id.sequence() as u8; 16],
        endpoints: Endpoints::from(&[3, 4][..]),
        payload,
        erased: false,
    }
}

pub(crate) fn attempt(id: EntryId, message: EntryId, application: u64) -> Attempt<'static> {
    Attempt {
        id,
        message,
        application,
        endpoint: 3,
        number: 1,
        progress: 1,
        started_ms: id.ms(),
        duration_us: 1_200,
        outcome: 1,
        status: 200,
        state: 2,
        next_attempt_ms: 0,
        endpoint_revision: 1,
        message_at: Position { segment: 1, offset: 96 },
        response_headers: b"",
        response_body: b"",
        detail: "",
        course: Course { first_byte_us: 1_000, reused: true, ..Course::default() },
        erased: false,
    }
}
