//! The writer: one thread, one log, one sync for everybody who came in the meantime.
//!
//! Ingest, the API and the shards hand their batches to one queue. The writer takes all that has gathered,
//! appends it as one block, syncs once, and only then answers: ids to publishers, deliveries to the shards,
//! updates to the ledger. While it syncs, the next block gathers. It never waits for a block to fill: only reports,
//! which nobody waits for, are given a few milliseconds for a message to come along, because a sync costs the same
//! for one record as for a hundred.
//!
//!   gather -> stage (encode into the log's block) -> commit (write, fdatasync) -> tell
//!
//! Invariants
//! - Nothing is acknowledged, and nothing told to a shard or to the ledger, before its record is synced.
//! - What the shards report is stored in the order in which it was handed over, or a replay would end with what
//!   was true before.
//! - A full disk refuses publishers and keeps what the shards report until there is space.
//! - After a failed sync nothing is accepted until a restart.
//!
//! Not here: what a record looks like (`posthaste_storage`), and what is done with the ledger (`keeper`).

mod ages;
mod cancelled;
mod carry;
mod chain;
mod erase;
mod event_ids;
mod extra;
mod fresh;
mod job;
mod retention;
mod stage;
mod tell;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use posthaste_storage::catalog::CatalogStore;
use posthaste_storage::ledger::Pending;
use posthaste_storage::log::{CommitError as LogCommitError, Log};
use posthaste_storage::{EntryId, Position};
use tokio::time::Instant;

use crate::alerts::Ear;
use crate::catalog::CommitError;
use crate::clock::Clock;
use crate::core::delivery::DeliveryState;
use crate::core::shard::{Incoming, Settled};
use crate::history::FreshFrom;
use crate::keeper::{KeeperProgress, LedgerBatch};
use crate::keyring::Keyring;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::publish::PublishError;
use crate::readiness::Readiness;
use crate::seam::{self, Bug};
use crate::shard::{ShardBatches, Shards};
use crate::traces::Tracer;
use crate::vitals::Vitals;
pub(crate) use ages::Ages;
use cancelled::Cancelled;
pub(crate) use chain::ANSWER_BYTES_MAX;
pub(crate) use erase::Erase;
pub use erase::EraseRefusal;
pub(crate) use event_ids::{EventIds, Known};
pub(crate) use extra::ExtraDelivery;
use fresh::Fresh;
pub(crate) use job::{Cancel, Event, Job, PublishReply, WriterHandle, queue};

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
    /// How long what shards report may wait for somebody who is waited for, and share their sync.
    pub report_wait: Duration,
}

/// Bytes gathered into one block before it is committed.
const BLOCK_BYTES: usize = 4 << 20;
/// Reports gathered into one block before it is committed, whatever they could wait for.
const REPORTS_MAX: usize = 2_048;
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
    /// Hears how attempts ended, for alerts.
    pub(crate) ear: Ear,
    /// Makes spans of what was stored, where traces are wanted.
    pub(crate) tracer: Option<Tracer>,
    pub(crate) clock: Clock,
    pub(crate) settings: WriterSettings,
    pub(crate) available_bytes: Box<dyn Fn() -> u64 + Send>,
    pub(crate) event_ids: EventIds,
    /// Seals the secrets that messages bring along.
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) fresh_from: Arc<FreshFrom>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) state: State,
}

/// What the writer remembers between blocks.
#[derive(Default)]
pub(crate) struct State {
    fresh: Fresh,
    ages: Ages,
    /// Reports that wait for space or for the next block, oldest first. While there are any, further ones wait
    /// behind them.
    held: VecDeque<(Option<usize>, Event)>,
    /// Publishers are refused.
    full: bool,
    /// The disk took nothing; it is not tried again before this.
    blocked_until: Option<Instant>,
    /// Whether, since the disk became full, there was no room for reports either.
    nothing_fits: bool,
    poisoned: bool,
    /// The catalog's copy failed. It must not move on past a change that it does not have.
    catalog_failed: bool,
    /// No entry of the catalog's copy lies in an older segment.
    catalog_from: u32,
    space_checked: Option<Instant>,
    housekept: Option<Instant>,
    remembered_before: Position,
    /// Set when the keeper is to be asked which segments are still needed.
    survey: Option<u32>,
    /// Whether it was asked and what is to be carried has not all been carried.
    surveying: bool,
    surveyed: Option<Instant>,
    /// What is to be carried, once the keeper has said so.
    carrying: Option<VecDeque<Pending>>,
    cancelled: Cancelled,
    stopping: bool,
}

impl State {
    /// With what is known of the deliveries that wait in the ledger.
    pub(crate) fn new(ages: Ages) -> Self {
        Self { ages, ..Self::default() }
    }

    /// A message found by recovery whose deliveries only the log remembers. Returns its place.
    pub(crate) fn recovered(&mut self, message: EntryId, at: Position, deliveries: u32) -> u32 {
        self.ages.add(message, deliveries.into());
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
            self.held.push_back((None, Event::Settled(settled)));
        }
    }
}

#[cfg(any(test, feature = "simulation"))]
impl Writer {
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.stopping
    }

    /// Whether nothing waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.state.carrying.is_none()
    }

    pub(crate) fn waits_for_space(&self) -> bool {
        !self.state.held.is_empty()
    }

    /// Whether a step could have to wait for the keeper.
    pub(crate) fn keeper_is_behind(&self) -> bool {
        self.keeper.len() > crate::keeper::BATCHES_MAX / 2
    }
}

/// What one block holds, to be told after the sync.
#[derive(Default)]
struct Block {
    publishes: Vec<stage::StagedPublish>,
    changes: Vec<stage::StagedChange>,
    cancels: Vec<stage::StagedCancel>,
    carried: Vec<carry::StagedCarry>,
    extras: Vec<extra::StagedExtra>,
    extra_answers: Vec<extra::ExtraAnswer>,
    events: Vec<stage::StagedEvent>,
}

impl Block {
    fn is_empty(&self) -> bool {
        self.publishes.is_empty()
            && self.changes.is_empty()
            && self.cancels.is_empty()
            && self.carried.is_empty()
            && self.extras.is_empty()
            && self.extra_answers.is_empty()
            && self.events.is_empty()
    }

    /// Whether it holds reports alone, and not too many of them.
    fn may_wait(&self) -> bool {
        let waited_for = self.publishes.len()
            + self.changes.len()
            + self.cancels.len()
            + self.carried.len()
            + self.extra_answers.len();
        waited_for == 0 && (1..REPORTS_MAX).contains(&self.events.len())
    }

    fn records(&self) -> usize {
        let published: usize = self.publishes.iter().map(|staged| staged.stored.len()).sum();
        let changes: usize = self.changes.iter().map(|staged| staged.positions.len()).sum();
        published + changes + self.cancels.len() + self.carried.len() + self.extras.len() + self.events.len()
    }
}

impl Writer {
    /// Works until told to stop. Returns the log and the catalog, everything stored.
    pub(crate) fn run(mut self) -> (Log, CatalogStore) {
        while !self.state.stopping {
            self.step(if self.state.held.is_empty() { HOUSEKEEPING } else { SPACE_CHECK });
        }
        self.finish()
    }

    /// Stores what is left. Returns the log and the catalog.
    pub(crate) fn finish(mut self) -> (Log, CatalogStore) {
        self.store_held();
        self.move_catalog();
        self.send_to_keeper(Vec::new(), Vec::new());
        (self.log, self.catalog)
    }

    /// Gathers one block and commits it. Waits up to `patience` for a job if there is nothing else to do.
    pub(crate) fn step(&mut self, patience: Duration) {
        self.check_space();
        let mut block = Block::default();
        self.stage_held(&mut block);
        self.stage_carrying(&mut block);
        let mut patience = if block.is_empty() { patience } else { Duration::ZERO };
        let mut reports_until = None;
        while self.log.pending_bytes() < BLOCK_BYTES {
            match self.next_job(patience) {
                Ok(job) => self.gather(job, &mut block),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => self.state.stopping = true,
            }
            if self.state.stopping || !block.may_wait() {
                break;
            }
            let until = *reports_until.get_or_insert_with(|| Instant::now() + self.settings.report_wait);
            patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                break;
            }
        }
        self.commit(block);
        self.housekeep();
    }

    fn next_job(&self, patience: Duration) -> Result<Job, RecvTimeoutError> {
        // Waiting for no time at all would still spin for a while.
        match self.jobs.try_recv() {
            Ok(job) => Ok(job),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) if patience.is_zero() => Err(RecvTimeoutError::Timeout),
            Err(TryRecvError::Empty) => self.jobs.recv_timeout(patience),
        }
    }

    /// Stages this job and all that have come meanwhile, up to a block's size.
    fn gather(&mut self, first: Job, block: &mut Block) {
        self.stage(first, block);
        while self.log.pending_bytes() < BLOCK_BYTES && !self.state.stopping {
            match self.jobs.try_recv() {
                Ok(job) => self.stage(job, block),
                Err(_) => break,
            }
        }
    }

    /// Commits what the block holds already if so many bytes more would be too much for it.
    fn make_room(&mut self, bytes: usize, block: &mut Block) {
        if self.log.pending_bytes() + bytes > BLOCK_BYTES {
            self.commit(std::mem::take(block));
        }
    }

    fn commit(&mut self, block: Block) {
        if block.is_empty() {
            return;
        }
        if self.log.pending_bytes() == 0 {
            return self.tell(block);
        }
        if seam::is_planted(Bug::AcknowledgeBeforeSync) {
            self.tell(block);
            return drop(self.log.commit());
        }
        let started = Instant::now();
        match self.log.commit() {
            Ok(_) => {
                self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                self.metrics.commit_records.observe(block.records() as f64);
                if let Some(tracer) = &mut self.tracer {
                    let (end_us, took) = (self.clock.now_us(), started.elapsed().as_micros() as u64);
                    tracer.committed(end_us.saturating_sub(took), end_us, block.records());
                }
                self.tell(block);
            }
            Err(error @ (LogCommitError::Full { .. } | LogCommitError::OutOfFiles { .. })) => {
                self.commit_without_publishers(block, &error);
            }
            Err(error) => self.poison(block, &error),
        }
    }

    /// Nothing can be written: publishers are refused, and what the shards report is kept for later.
    fn commit_without_publishers(&mut self, block: Block, error: &LogCommitError) {
        if !std::mem::replace(&mut self.state.nothing_fits, true) {
            tracing::error!(
                %error,
                "publishers are refused until there is space, and what became of attempts waits in memory"
            );
        }
        self.state.blocked_until = Some(Instant::now() + SPACE_CHECK);
        self.set_full(true);
        self.log.discard_pending();
        let events = self.refuse(block, &PublishError::Full, CommitError::Full);
        events.into_iter().rev().for_each(|event| self.state.held.push_front(event));
    }

    fn poison(&mut self, block: Block, error: &LogCommitError) {
        self.stop_accepting(error);
        self.log.discard_pending();
        // Reports are lost with the log: their attempts may be repeated after the restart, under the same
        // message id. Shards stop by themselves once too many of their reports have not been stored.
        drop(self.refuse(block, &PublishError::LogPoisoned, CommitError::Poisoned));
    }

    fn stop_accepting(&mut self, error: &dyn std::error::Error) {
        if !self.state.poisoned {
            tracing::error!(%error, "the log stopped: nothing is accepted or recorded until a restart");
        }
        self.state.poisoned = true;
        self.metrics.poisoned.set(1);
        self.readiness.set_poisoned();
    }

    /// At the end: what is still held, as far as the disk takes it.
    fn store_held(&mut self) {
        self.state.blocked_until = None;
        while !self.state.held.is_empty() && !self.state.poisoned && self.state.blocked_until.is_none() {
            let mut block = Block::default();
            self.stage_held(&mut block);
            self.commit(block);
        }
        if !self.state.held.is_empty() {
            let reports = self.state.held.len();
            tracing::error!(reports, "what became of attempts could not be stored; they may be repeated");
        }
    }
}
