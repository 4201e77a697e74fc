//! A writer, a keeper and one shard played by the test, on a disk that fails on purpose; one step at a time.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthaste_storage::disk::sim::{Crash, SimDisk};
use posthaste_storage::disk::{Disk, DiskFile};
use posthaste_storage::ledger::{LedgerOptions, Pending};
use posthaste_storage::log::LogOptions;
use posthaste_storage::{EntryId, Position};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::failing::Failing;
use crate::budget::Held;
use crate::catalog::{Change, CommitError};
use crate::clock::Clock;
use crate::core::delivery::{DeliveryKey, DeliveryState, Progress};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::shard::{AttemptEnded, Home, Incoming, Parked, Settled};
use crate::core::tick::Tick;
use crate::keeper::{BATCHES_MAX, Keeper, KeeperProgress};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::publish::{Admitted, PublishError};
use crate::recovery::{self, Folders, Recovered, RecoverySettings};
use crate::shard::{Shards, ToShard};
use crate::vitals::Vitals;
use crate::writer::{Cancel, Event, Job, PublishReply, State, Writer, WriterHandle, WriterSettings, queue};

pub(crate) const APPLICATION: ApplicationId = ApplicationId::from_u64(1);
/// Endpoints 1 to 3 live in the only shard.
pub(crate) const ENDPOINTS: std::ops::RangeInclusive<u64> = 1..=3;
pub(crate) const HORIZON: Duration = Duration::from_secs(120);
/// Beyond what shards hold and what the keeper takes for late.
pub(crate) const FAR: Duration = Duration::from_secs(3_600);

/// A message and an endpoint.
pub(crate) type Key = (EntryId, u64);
pub(crate) type Answers = oneshot::Receiver<Vec<Result<MessageId, PublishError>>>;
pub(crate) type Answer = oneshot::Receiver<Result<(), CommitError>>;

/// What outlives a crash.
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    pub(crate) folder: TempDir,
    /// In the folder; that of the ledger fails on demand.
    pub(crate) shelves: Failing,
    pub(crate) segment_bytes: u32,
    pub(crate) event_ids_max: usize,
}

/// Which of the derived folders a crash leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derived {
    Kept,
    Deleted,
}

/// A process that has recovered.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) writer: Writer,
    pub(crate) keeper: Keeper,
    pub(crate) handle: WriterHandle,
    pub(crate) shards: Arc<Shards>,
    pub(crate) clock: Clock,
    /// What the shard holds.
    pub(crate) hands: BTreeMap<Key, Incoming<Arc<Message>>>,
    /// What may not be handed out again.
    pub(crate) done: HashSet<Key>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            disk: SimDisk::new(),
            shelves: Failing::new(Folders::below(folder.path())),
            folder,
            segment_bytes: 1 << 20,
            event_ids_max: 100,
        }
    }

    /// A machine whose segments are closed after a message or two.
    pub(crate) fn with_small_segments() -> Self {
        Self { segment_bytes: 1 << 10, ..Self::new() }
    }

    pub(crate) fn folders(&self) -> Folders {
        Folders::below(self.folder.path())
    }

    fn recover(&self, clock: Clock) -> Recovered {
        self.try_recover(clock, false).expect("what a crash leaves opens")
    }

    pub(crate) fn try_recover(
        &self,
        clock: Clock,
        accept_damage: bool,
    ) -> Result<Recovered, recovery::RecoveryError> {
        let settings = RecoverySettings {
            log_folder: self.folders().log,
            shelves: Arc::new(self.shelves.clone()),
            log: LogOptions {
                accept_damage,
                seal_in_background: false,
                salt_seed: Some(1),
                ..LogOptions::new(self.segment_bytes)
            },
            ledger: LedgerOptions {
                flush_after_ms: 0,
                flush_every_ms: 0,
                young_max: 8,
                overrides_max: 16,
                chunk_entries_max: 2,
                sweep_chunks: 2,
                cache_bytes: 1 << 20,
            },
            event_ids_max: self.event_ids_max,
        };
        recovery::recover(Arc::new(self.disk.clone()), settings, clock)
    }

    pub(crate) fn start(self) -> World {
        World::start(self)
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Machine::new().start()
    }

    fn start(machine: Machine) -> Self {
        let clock = Clock::start();
        let Recovered { log, shelves, ledger, catalog, fresh, in_ledger, event_ids } = machine.recover(clock);
        let shards = Shards::new(1);
        for endpoint in ENDPOINTS {
            shards.places.set(EndpointId::from_u64(endpoint), 0);
        }
        let metrics = Metrics::new();
        // Nobody listens: what is said is lost.
        let (ear, _) = crate::alerts::ear(metrics.clone());
        metrics.pending.inc_by(in_ledger as i64);
        let low_water = fresh.keys().next().copied().unwrap_or(log.end());
        let mut state = State::default();
        let (handle, jobs) = queue();
        let (batches_in, batches) = crossbeam_channel::bounded(BATCHES_MAX);
        let progress = Arc::new(KeeperProgress::default());
        let mut keeper = Keeper {
            ledger,
            reader: log.reader(),
            batches,
            shards: shards.clone(),
            writer: handle.clone(),
            clock,
            progress: progress.clone(),
            horizon: HORIZON,
            low_water,
            end: log.end(),
            shelves,
            metrics: metrics.clone(),
            failure: None,
        };
        keeper.hand_out_ordered().expect("a ledger that works");
        recovery::hand_out_fresh(fresh, &mut state, &shards, &metrics);
        let disk = machine.disk.clone();
        let writer = Writer {
            outcomes: Outcomes::new(log.reader()),
            log,
            catalog,
            jobs,
            keeper: batches_in,
            keeper_progress: progress,
            shards: shards.clone(),
            metrics,
            ear,
            tracer: None,
            clock,
            settings: WriterSettings {
                reserve_bytes: 0,
                report_wait: Duration::ZERO,
                retention_age: Duration::from_secs(86_400),
                retention_bytes: u64::MAX,
                replay_bytes_max: u64::MAX,
                segment_bytes: machine.segment_bytes.into(),
                horizon: HORIZON,
            },
            available_bytes: Box::new(move || {
                disk.available_bytes(std::path::Path::new("/")).unwrap_or(u64::MAX)
            }),
            event_ids,
            keyring: Arc::new(crate::keyring::Keyring::ephemeral()),
            fresh_from: Arc::default(),
            vitals: Arc::new(Vitals::new(Tick::ZERO)),
            readiness: Arc::default(),
            state,
        };
        let (hands, done) = (BTreeMap::new(), HashSet::new());
        let mut world = Self { machine, writer, keeper, handle, shards, clock, hands, done };
        world.keeper.turn();
        world.receive();
        world
    }

    /// Ends the process without closing anything, and the machine as `crash` says; starts again.
    pub(crate) fn crash(self, crash: Crash, derived: Derived) -> Self {
        let Self { machine, writer, keeper, done, .. } = self;
        drop((writer, keeper));
        machine.disk.crash(crash);
        let folders = machine.folders();
        if derived == Derived::Deleted {
            for folder in [&folders.ledger, &folders.catalog] {
                std::fs::remove_dir_all(folder).expect("it was there");
            }
        }
        let mut world = Self::start(machine);
        // What ended before must not come back.
        for key in world.hands.keys() {
            assert!(!done.contains(key), "{key:?} ended before the crash and came back");
        }
        world.done = done;
        world
    }

    /// The process dies; the machine goes on.
    pub(crate) fn kill(self) -> Self {
        self.crash(Crash::KeepUnsynced, Derived::Kept)
    }

    /// Ends as the engine does, and starts again.
    pub(crate) fn restart(self) -> Self {
        let Self { machine, writer, mut keeper, handle, .. } = self;
        handle.send(Job::Stop);
        let (log, catalog) = writer.run();
        keeper.turn();
        keeper.ledger.close(keeper.low_water, keeper.end).expect("the ledger closes");
        catalog.close().expect("the catalog closes");
        drop(log);
        Self::start(machine)
    }

    // ---- Time passes

    /// The writer commits one block; nobody hears of it yet but publishers.
    pub(crate) fn commit(&mut self) {
        self.writer.step(Duration::ZERO);
    }

    /// Writer, keeper and shard do what there is to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..4 {
            self.commit();
            self.keeper.turn();
            self.receive();
        }
    }

    /// Half a minute passes without a job: retention, surveys.
    pub(crate) fn housekeep(&mut self) {
        self.writer.state.housekept = None;
        self.writer.state.surveyed = None;
        self.settle();
        self.writer.state.housekept = None;
        self.settle();
    }

    /// The pause after a full disk passes.
    pub(crate) fn pause(&mut self) {
        self.writer.state.blocked_until = None;
        self.writer.state.space_checked = None;
    }

    /// The shard takes its inbox. It holds every delivery once, and none that ended.
    pub(crate) fn receive(&mut self) {
        for what in self.shards.take_inbox(0) {
            match what {
                ToShard::Deliver(incoming) => {
                    let key = (incoming.key.message.0, incoming.key.endpoint.as_u64());
                    assert!(!self.done.contains(&key), "{key:?} was handed out after it ended");
                    assert!(self.hands.insert(key, incoming).is_none(), "{key:?} was handed out twice");
                }
                ToShard::Cancel(message) => self.cancel_in_hands(message),
                _ => {}
            }
        }
    }

    fn cancel_in_hands(&mut self, message: MessageId) {
        let keys: Vec<Key> = self.hands.keys().filter(|key| key.0 == message.0).copied().collect();
        for key in keys {
            let held = self.hands.remove(&key).expect("it is in hands");
            self.done.insert(key);
            self.report(Event::Settled(Settled {
                key: held.key,
                application: held.application,
                message_at: held.message_at,
                progress: held.progress,
                state: DeliveryState::Cancelled,
                home: held.home,
            }));
        }
    }

    // ---- Publishers and the API

    pub(crate) fn publish_many(&self, messages: Vec<Admitted>) -> Answers {
        let (reply, answers) = PublishReply::holding(Held::NOTHING);
        self.handle.send(Job::Publish { messages, reply });
        answers
    }

    /// Publishes one message, which must be accepted.
    pub(crate) fn publish(&mut self, endpoints: &[u64]) -> EntryId {
        let answers = self.publish_many(vec![message(endpoints)]);
        self.commit();
        let id = accepted(answers)[0];
        self.receive();
        id
    }

    pub(crate) fn cancel(&mut self, id: EntryId) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.handle.send(Job::Cancel(Cancel { application: APPLICATION, message: MessageId(id), reply }));
        answer
    }

    pub(crate) fn change(&mut self, key: &str, value: Option<&str>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let change = Change { key: key.into(), value: value.map(Into::into) };
        self.handle.send(Job::Change { changes: vec![change], reply });
        answer
    }

    // ---- The shard

    pub(crate) fn report(&self, event: Event) {
        self.handle.send(Job::Report { shard: 0, events: vec![event] });
    }

    /// An attempt ends for good.
    pub(crate) fn end(&mut self, key: Key, state: DeliveryState) {
        let held = self.hands.remove(&key).expect("the shard holds it");
        self.done.insert(key);
        let outcome = Outcome::Success { status: 200 };
        self.report(attempt(&held, outcome, state, None, false));
    }

    /// An attempt fails and is to be made again after `wait`; the shard keeps it, unless it is to forget it.
    /// Returns attempts made and due time.
    pub(crate) fn fail(&mut self, key: Key, wait: Duration, forget: bool) -> (u16, u64) {
        let mut held = self.hands.remove(&key).expect("the shard holds it");
        let due = self.clock.now() + wait;
        let outcome = Outcome::BadStatus { status: 500 };
        let before = held.clone();
        held.progress.attempts += 1;
        let progress = held.progress;
        let Event::Ended(mut ended) = attempt(&before, outcome, DeliveryState::Pending, Some(due), forget)
        else {
            unreachable!("an attempt ends")
        };
        ended.progress = progress;
        self.report(Event::Ended(ended));
        if !forget {
            (held.home, held.due) = (Home::Ledger, due);
            self.hands.insert(key, held);
        }
        (progress.to_u16(), due.as_ms())
    }

    /// The shard hands a delivery to the ledger.
    pub(crate) fn park(&mut self, key: Key, wait: Duration) -> (u16, u64) {
        let held = self.hands.remove(&key).expect("the shard holds it");
        let due = self.clock.now() + wait;
        self.report(Event::Parked(Parked {
            key: held.key,
            application: held.application,
            message_at: held.message_at,
            progress: held.progress,
            due,
            home: held.home,
            forgotten: true,
        }));
        (held.progress.to_u16(), due.as_ms())
    }

    // ---- Looking

    /// What the ledger has: attempts made, and when due.
    pub(crate) fn ledger(&self) -> BTreeMap<Key, (u16, u64)> {
        let mut found = BTreeMap::new();
        let visit = |pending: &Pending| {
            let before =
                found.insert((pending.message, pending.endpoint), (pending.attempts, pending.due_ms));
            assert_eq!(before, None, "{pending:?} is there twice");
        };
        self.keeper.ledger.for_each(visit).expect("the ledger reads");
        found
    }

    pub(crate) fn message_at(&self, key: Key) -> Option<Position> {
        let mut at = None;
        let visit = |pending: &Pending| {
            if (pending.message, pending.endpoint) == key {
                at = Some(pending.message_at);
            }
        };
        self.keeper.ledger.for_each(visit).expect("the ledger reads");
        at
    }

    /// The catalog's copy, as text.
    pub(crate) fn catalog(&self) -> BTreeMap<String, String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("tests write text");
        let entries = self.writer.catalog.iter().map(|entry| entry.expect("it reads"));
        entries.map(|entry| (text(entry.key), text(entry.value))).collect()
    }

    /// The gauge of pending deliveries.
    pub(crate) fn pending(&self) -> i64 {
        self.writer.metrics.pending.get()
    }

    pub(crate) fn oldest_segment(&self) -> u32 {
        self.writer.log.segments()[0].number
    }

    /// The oldest segment that somebody needs, as far as the writer knows.
    pub(crate) fn needed_from(&self) -> u32 {
        self.writer.keeper_progress.oldest_segment()
    }

    /// Publishes messages to nobody until the log has this many segments more.
    pub(crate) fn fill_segments(&mut self, count: u32) {
        let end = self.writer.log.end().segment + count;
        while self.writer.log.end().segment < end {
            drop(self.publish_many(vec![Admitted { payload: vec![b' '; 900].into(), ..message(&[]) }]));
            self.commit();
        }
    }

    /// How full the disk is made: nothing more fits.
    pub(crate) fn fill_disk(&self) {
        let segments = self.writer.log.segments();
        let used: u64 = segments.iter().map(|segment| u64::from(segment.bytes)).sum();
        self.machine.disk.set_capacity(Some(used));
    }

    /// The file of a segment.
    pub(crate) fn segment_file(&self, number: u32) -> PathBuf {
        self.machine.folders().log.join(format!("{number:010}.seg"))
    }

    pub(crate) fn open_file(&self, number: u32) -> Option<Arc<dyn DiskFile>> {
        self.machine.disk.open(&self.segment_file(number)).ok()
    }

    pub(crate) fn unstored(&self) -> usize {
        self.writer.state.held.len()
    }

    pub(crate) fn surveyed(&self) -> bool {
        self.writer.keeper_progress.surveyed_at() > Position::START
    }
}

/// A message for these endpoints, without an event id.
pub(crate) fn message(endpoints: &[u64]) -> Admitted {
    Admitted {
        application: APPLICATION,
        event_type: "order.paid".into(),
        event_id: None,
        channels: Vec::new(),
        content_type: None,
        payload: Bytes::from_static(b"{}"),
        endpoints: endpoints.iter().map(|endpoint| EndpointId::from_u64(*endpoint)).collect(),
        digest: [0; 16],
        extras: None,
    }
}

/// A message with an event id, and what it says as a digest.
pub(crate) fn event(event_id: &str, says: u8) -> Admitted {
    Admitted { event_id: Some(event_id.into()), digest: [says; 16], ..message(&[]) }
}

/// The ids of a batch that must have been answered and accepted.
pub(crate) fn accepted(mut answers: Answers) -> Vec<EntryId> {
    let answers = answers.try_recv().expect("it was answered");
    answers.into_iter().map(|answer| answer.expect("it was accepted").0).collect()
}

fn attempt(
    held: &Incoming<Arc<Message>>,
    outcome: Outcome,
    state: DeliveryState,
    next_attempt: Option<Tick>,
    forgotten: bool,
) -> Event {
    Event::Ended(Box::new(AttemptEnded {
        key: DeliveryKey { ..held.key },
        application: held.application,
        message_at: held.message_at,
        number: held.progress.made() + 1,
        revision: 1,
        started: Tick::from_ms(1),
        outcome,
        state,
        next_attempt,
        progress: Progress { ..held.progress },
        home: held.home,
        forgotten,
        report: None,
    }))
}
