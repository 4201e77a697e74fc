//! The writer: one thread, one log, one sync for everybody who came in the meantime.
//!
//! Ingest, the API and the shards hand their batches to one queue. The writer takes all that has gathered,
//! appends it as one block, syncs once, and only then answers: ids to publishers, deliveries to the shards,
//! updates to the ledger. While it syncs, the next block gathers. It never waits for a block to fill.
//!
//!   gather -> stage (encode into the log's block) -> commit (write, fdatasync) -> tell
//!
//! Invariants
//! - Nothing is acknowledged, and nothing told to a shard or to the ledger, before its record is synced.
//! - A full disk refuses publishers and keeps what the shards report until there is space.
//! - After a failed sync nothing is accepted until a restart.
//!
//! Not here: what a record looks like (`posthaste_storage`), and what is done with the ledger (`keeper`).

mod carry;
mod event_ids;
mod fresh;
mod retention;
mod stage;
mod tell;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use posthaste_storage::Position;
use posthaste_storage::catalog::CatalogStore;
use posthaste_storage::ledger::Pending;
use posthaste_storage::log::{CommitError as LogCommitError, Log};
use tokio::sync::oneshot;

use crate::catalog::{BoxFuture, Change, ChangeLog, CommitError};
use crate::clock::Clock;
use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, MessageId};
use crate::core::shard::{AttemptEnded, Incoming, Parked, Settled};
use crate::delivery::Ended as Report;
use crate::keeper::{KeeperProgress, LedgerBatch, LedgerUpdate};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::publish::{Admitted, PublishError};
use crate::shard::{ShardBatches, Shards};
pub(crate) use event_ids::{EventIds, Known};
use fresh::Fresh;

/// Answers to a batch of publishes, in its order.
pub(crate) type PublishReply = oneshot::Sender<Vec<Result<MessageId, PublishError>>>;

/// What came of deliveries, as a shard reports it.
#[derive(Debug)]
pub(crate) enum Event {
    /// An attempt ended, or was refused.
    Ended(Box<AttemptEnded<Report>>),
    /// The ledger takes a delivery.
    Parked(Parked),
    /// A delivery ended without an attempt.
    Settled(Settled),
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Store these messages and hand out their deliveries.
    Publish {
        /// The messages, checked and routed.
        messages: Vec<Admitted>,
        /// Answered after the sync.
        reply: PublishReply,
    },
    /// Store a change of the catalog.
    Change {
        /// All or nothing, as one batch.
        changes: Vec<Change>,
        /// Answered after the sync.
        reply: oneshot::Sender<Result<(), CommitError>>,
    },
    /// Store what a shard reports.
    Report {
        /// Which shard.
        shard: usize,
        /// In the order in which it happened.
        events: Vec<Event>,
    },
    /// Store that these deliveries ended without an attempt, found so by the keeper.
    Settle(Vec<Settled>),
    /// Store that a message is taken back.
    Cancel(Cancel),
    /// Write the messages of these deliveries again, so that their segments can be removed.
    Carry(Vec<Pending>),
    /// Store everything handed over before, and end.
    Stop,
}

/// Takes a message back: what is pending of it ends as cancelled.
#[derive(Debug)]
pub(crate) struct Cancel {
    /// Whose message it is.
    pub application: ApplicationId,
    /// Which message.
    pub message: MessageId,
    /// Answered after the sync.
    pub reply: oneshot::Sender<Result<(), CommitError>>,
}

/// Hands jobs to the writer. Cheap to clone.
///
/// The queue itself has no bound; what is in it has: publishers hold permits for the bytes they hand over,
/// a shard holds back new attempts while too many of its reports are not stored yet, and the API makes one
/// change at a time.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle(Sender<Job>);

impl WriterHandle {
    /// Hands a job over. `false` when the writer has ended.
    pub(crate) fn send(&self, job: Job) -> bool {
        self.0.send(job).is_ok()
    }
}

/// A queue for jobs, made before the writer so that others can hold its handle.
pub(crate) fn queue() -> (WriterHandle, Receiver<Job>) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    (WriterHandle(sender), receiver)
}

/// What bounds the writer.
#[derive(Debug, Clone)]
pub(crate) struct WriterSettings {
    /// Free space below which publishers are refused.
    pub reserve_bytes: u64,
    /// Age beyond which segments are removed.
    pub retention_age: Duration,
    /// Size of the log beyond which the oldest segments are removed.
    pub retention_bytes: u64,
    /// Log that a recovery may have to read again.
    pub replay_bytes_max: u64,
    /// Size of a segment.
    pub segment_bytes: u64,
    /// How far ahead deliveries are held by the shards.
    pub horizon: Duration,
}

/// Bytes gathered into one block before it is committed.
const BLOCK_BYTES: usize = 4 << 20;
/// How often the writer looks after retention and the ledger when nobody asks for anything.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// How often free space is looked at, and a full disk is tried again.
const SPACE_CHECK: Duration = Duration::from_millis(100);

/// Everything the writer works with.
pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) catalog: CatalogStore,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) keeper: Sender<LedgerBatch>,
    pub(crate) keeper_progress: Arc<KeeperProgress>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) settings: WriterSettings,
    pub(crate) available_bytes: Box<dyn Fn() -> u64 + Send>,
    pub(crate) event_ids: EventIds,
    pub(crate) state: State,
}

/// What the writer remembers between blocks.
#[derive(Default)]
pub(crate) struct State {
    fresh: Fresh,
    /// Reports that wait for space, oldest first.
    held: Vec<(Option<usize>, Event)>,
    full: bool,
    poisoned: bool,
    space_checked: Option<Instant>,
    housekept: Option<Instant>,
    remembered_before: Position,
    /// Set when the keeper is to be asked which segments are still needed.
    survey: Option<u32>,
    cancelled_since_survey: HashSet<MessageId>,
    surveyed: Option<Instant>,
    stopping: bool,
}

impl State {
    /// A message found by recovery whose deliveries only the log remembers. Returns its place.
    pub(crate) fn recovered(&mut self, at: Position, deliveries: u32) -> u32 {
        self.fresh.push(at, deliveries)
    }
}

impl State {
    /// Puts a delivery into the batch of its shard. One whose endpoint was removed ends.
    pub(crate) fn hand_out(
        &mut self,
        batches: &mut ShardBatches,
        shards: &Shards,
        incoming: Incoming<Arc<Message>>,
    ) {
        let settled = Settled {
            key: incoming.key,
            application: incoming.application,
            message_at: incoming.message_at,
            progress: incoming.progress,
            state: DeliveryState::Cancelled,
            home: incoming.home,
        };
        if !batches.deliver(shards, incoming) {
            self.held.push((None, Event::Settled(settled)));
        }
    }
}

/// What one block holds, to be told after the sync.
#[derive(Default)]
struct Block {
    publishes: Vec<stage::StagedPublish>,
    changes: Vec<stage::StagedChange>,
    cancels: Vec<Cancel>,
    carried: Vec<carry::StagedCarry>,
    events: Vec<stage::StagedEvent>,
}

impl Block {
    fn is_empty(&self) -> bool {
        self.publishes.is_empty()
            && self.changes.is_empty()
            && self.cancels.is_empty()
            && self.carried.is_empty()
            && self.events.is_empty()
    }
}

impl Writer {
    /// Works until told to stop. Returns the log and the catalog, everything stored.
    pub(crate) fn run(mut self) -> (Log, CatalogStore) {
        while !self.state.stopping {
            let mut block = Block::default();
            let wait = if self.state.held.is_empty() { HOUSEKEEPING } else { SPACE_CHECK };
            match self.jobs.recv_timeout(wait) {
                Ok(job) => self.gather(job, &mut block),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.state.stopping = true,
            }
            self.stage_held(&mut block);
            self.commit(block);
            self.housekeep();
        }
        (self.log, self.catalog)
    }

    /// Stages this job and all that have come meanwhile, up to a block's size.
    fn gather(&mut self, first: Job, block: &mut Block) {
        self.check_space();
        self.stage(first, block);
        while self.log.pending_bytes() < BLOCK_BYTES && !self.state.stopping {
            match self.jobs.try_recv() {
                Ok(job) => self.stage(job, block),
                Err(_) => break,
            }
        }
    }

    fn commit(&mut self, block: Block) {
        if block.is_empty() {
            return;
        }
        if self.log.pending_bytes() == 0 {
            return self.tell(block);
        }
        let started = Instant::now();
        match self.log.commit() {
            Ok(_) => {
                self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                self.state.full = false;
                self.tell(block);
            }
            Err(LogCommitError::Full { .. } | LogCommitError::OutOfFiles { .. }) => {
                self.commit_without_publishers(block);
            }
            Err(error) => self.poison(block, &error),
        }
    }

    /// The disk is full: publishers are refused, and what the shards report is kept for later.
    fn commit_without_publishers(&mut self, block: Block) {
        if !self.state.full {
            tracing::error!("the disk is full: publishers are refused until there is space");
        }
        self.state.full = true;
        self.metrics.disk_full.set(1);
        self.log.discard_pending();
        let events = self.refuse(block, &PublishError::Full, CommitError::Full);
        self.state.held.splice(0..0, events);
    }

    fn poison(&mut self, block: Block, error: &LogCommitError) {
        if !self.state.poisoned {
            tracing::error!(%error, "the log stopped: nothing is accepted or recorded until a restart");
        }
        self.state.poisoned = true;
        self.metrics.poisoned.set(1);
        // Reports are lost with the log: their attempts may be repeated after the restart, under the same
        // message id. Shards stop by themselves once too many of their reports have not been stored.
        drop(self.refuse(block, &PublishError::LogPoisoned, CommitError::Poisoned));
    }

    fn check_space(&mut self) {
        if self.state.space_checked.is_some_and(|at| at.elapsed() < SPACE_CHECK) {
            return;
        }
        self.state.space_checked = Some(Instant::now());
        let full = (self.available_bytes)() < self.settings.reserve_bytes;
        if full != self.state.full {
            match full {
                true => tracing::error!(
                    reserve_bytes = self.settings.reserve_bytes,
                    "free space is below storage.reserve_bytes: publishers are refused until there is more"
                ),
                false => tracing::info!("there is space again: publishers are accepted"),
            }
        }
        self.state.full = full;
        self.metrics.disk_full.set(full.into());
    }

    fn housekeep(&mut self) {
        if self.state.housekept.is_some_and(|at| at.elapsed() < HOUSEKEEPING) {
            return;
        }
        self.state.housekept = Some(Instant::now());
        self.send_to_keeper(Vec::new(), Vec::new());
        self.bound_replay();
        self.retain();
    }

    /// The oldest record a recovery must read because only the log has it.
    fn low_water(&self) -> Position {
        self.state.fresh.oldest().unwrap_or_else(|| self.log.end())
    }

    fn send_to_keeper(&mut self, updates: Vec<LedgerUpdate>, cancelled: Vec<MessageId>) {
        let batch = LedgerBatch {
            updates,
            cancelled,
            low_water: self.low_water(),
            end: self.log.end(),
            survey: std::mem::take(&mut self.state.survey),
        };
        // Blocks while the keeper is far behind: then the disk is the limit, for publishers too.
        if self.keeper.send(batch).is_err() && !self.state.stopping {
            tracing::error!("the ledger's thread has ended; the log alone remembers what is pending");
        }
    }

    /// Deliveries that wait in queues for long hold up the place from which a recovery replays the log.
    /// Beyond the configured amount they are handed to the ledger.
    fn bound_replay(&mut self) {
        let (oldest, end) = (self.low_water(), self.log.end());
        let bytes =
            u64::from(end.segment - oldest.segment) * self.settings.segment_bytes + u64::from(end.offset);
        // Asking again before the oldest has moved past what was asked for last would change nothing.
        if bytes > self.settings.replay_bytes_max && self.state.remembered_before <= oldest {
            self.state.remembered_before = end;
            self.shards.remember_before(end);
        }
    }
}

impl ChangeLog for WriterHandle {
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Change { changes, reply });
        Box::pin(async move { answer.await.unwrap_or(Err(CommitError::ShuttingDown)) })
    }
}
