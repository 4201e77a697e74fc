//! The keeper: the thread that keeps the ledger, and hands out what falls due.
//!
//! The writer tells it, after each sync, what changed for pending deliveries. It applies that to the ledger,
//! writes the ledger to sled every few seconds, and loads from it what falls due within the horizon, for the
//! shards. Loading and applying happen in one thread, so a retry that a shard forgets at the edge of the
//! horizon is either still to be loaded or handed back at once, never lost between the two.
//!
//! Deliveries that must not pass others are filed as due at once, so that a start hands them out before anything else;
//! what the ledger does not say of them (their lane, when they are due) is looked up in the log.
//!
//! Invariant: the shards are told a horizon only after everything due before it was handed to them.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use posthaste_storage::ledger::{Ledger, LedgerError, Pending, Standing, Update};
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Record, event_hash};
use posthaste_storage::{EntryId, Position};

use crate::clock::Clock;
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::shard::{Home, Incoming, Settled};
use crate::core::tick::Tick;
use crate::shard::Shards;
use crate::writer::{Job, WriterHandle};

/// Batches that may wait for the keeper before the writer waits too.
pub(crate) const BATCHES_MAX: usize = 1_024;
/// Batches applied before the horizon is looked after again.
const BATCHES_PER_TURN: usize = 64;
/// How often the horizon is looked after when nothing comes.
const ROUND: Duration = Duration::from_millis(250);
/// A delivery is carried forward only if it is due this much later than what the shards may hold: so nothing else
/// can have happened to it by the time its new record is written.
pub(crate) const CARRY_MARGIN: Duration = Duration::from_secs(120);
/// Deliveries carried forward after one survey.
const CARRIED_MAX: usize = 100_000;
/// Deliveries loaded at once.
const LOAD_MAX: usize = 16_384;

/// The due time under which the ledger keeps deliveries that must not pass others.
pub(crate) const DUE_MS_ORDERED: u64 = 0;

/// What the writer tells the keeper after a sync.
#[derive(Debug)]
pub(crate) struct LedgerBatch {
    /// What changed, in the order of the log.
    pub updates: Vec<LedgerUpdate>,
    /// Messages taken back, and where the log says so.
    pub cancelled: Vec<(MessageId, Position)>,
    /// The oldest record that only the log remembers.
    pub low_water: Position,
    /// The end of the log; everything before it has been told.
    pub end: Position,
    /// Set when the writer wants to know which segments are still needed: those up to this one are in its way.
    pub survey: Option<u32>,
}

/// One change of what is pending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerUpdate {
    /// The change.
    pub update: Update,
    /// In whose hands it was.
    pub hold: Hold,
}

/// In whose hands a delivery was when it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// A shard held it.
    Shard,
    /// Perhaps nobody: the keeper itself ended it, or it was carried forward.
    Nobody,
    /// Whoever it was: a shard holds it from now on, because it is to be attempted out of turn.
    OutOfTurn,
}

/// What the last survey found, for the writer to read.
#[derive(Debug, Default)]
pub(crate) struct KeeperProgress {
    surveyed: AtomicU64,
    oldest_segment: AtomicU32,
}

impl KeeperProgress {
    /// The end of the log as it stood at the last survey.
    pub(crate) fn surveyed_at(&self) -> Position {
        Position::from_u64(self.surveyed.load(Ordering::Acquire))
    }

    /// A delivery of a message in this segment has become pending.
    pub(crate) fn needs(&self, segment: u32) {
        self.oldest_segment.fetch_min(segment, Ordering::AcqRel);
    }

    /// The oldest segment that is needed: what was found then, and what has become pending since by [`Self::needs`]. What
    /// is published later lies in later ones.
    pub(crate) fn oldest_segment(&self) -> u32 {
        self.oldest_segment.load(Ordering::Acquire)
    }
}

/// See the head of this file.
pub(crate) struct Keeper {
    pub(crate) ledger: Ledger,
    pub(crate) reader: LogReader,
    pub(crate) batches: Receiver<LedgerBatch>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) writer: WriterHandle,
    pub(crate) clock: Clock,
    pub(crate) progress: Arc<KeeperProgress>,
    /// How far ahead deliveries are held by the shards.
    pub(crate) horizon: Duration,
    pub(crate) low_water: Position,
    pub(crate) end: Position,
    pub(crate) failed: bool,
}

impl Keeper {
    /// Works until the writer has ended. Returns the ledger and what it is to be closed with: the oldest record
    /// that only the log remembers, and the end of the log.
    pub(crate) fn run(mut self) -> (Ledger, Position, Position) {
        loop {
            match self.batches.recv_timeout(ROUND) {
                Ok(batch) => self.apply(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.turn();
        }
        (self.ledger, self.low_water, self.end)
    }

    /// Applies what has come meanwhile, and looks after the ledger.
    pub(crate) fn turn(&mut self) {
        for _ in 0..BATCHES_PER_TURN {
            let Ok(batch) = self.batches.try_recv() else { break };
            self.apply(batch);
        }
        self.look_after().unwrap_or_else(|error| self.give_up(&error));
    }

    /// Whether the writer has ended, and everything it said has been applied.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.batches.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected))
    }

    /// The log has everything; this process goes on without the ledger until its next start rebuilds it.
    fn give_up(&mut self, error: &LedgerError) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(%error, "the ledger failed; retries due later wait for a restart, which rebuilds it");
        }
    }

    fn apply(&mut self, batch: LedgerBatch) {
        let now_ms = self.clock.now().as_ms();
        let updates = batch.updates.into_iter();
        let returned: Vec<Pending> = updates.filter_map(|update| self.update(update, now_ms)).collect();
        self.hand_out(returned);
        (self.low_water, self.end) = (batch.low_water, batch.end);
        if !batch.cancelled.is_empty() {
            self.cancel(&batch.cancelled).unwrap_or_else(|error| self.give_up(&error));
        }
        if let Some(segment) = batch.survey {
            let carried = self.survey(segment).unwrap_or_else(|error| {
                self.give_up(&error);
                Vec::new()
            });
            self.writer.send(Job::Carry(carried));
        }
    }

    /// Returns the delivery when a shard must hold it.
    fn update(&mut self, LedgerUpdate { update, hold }: LedgerUpdate, now_ms: u64) -> Option<Pending> {
        match update.to {
            _ if hold == Hold::Shard => self.ledger.apply(update, now_ms),
            Standing::Pending { message_at, .. } if hold == Hold::OutOfTurn => {
                // Its message is perhaps older than anything that was pending when it was last looked.
                self.progress.needs(message_at.segment);
                self.ledger.apply_unheld(update, now_ms)
            }
            // Carried forward, but so slowly that a shard has it by now. That one knows the old place of the
            // message, which therefore counts.
            Standing::Pending { due_ms, .. } if due_ms < self.ledger.loaded_until() => None,
            _ => self.ledger.apply_unheld(update, now_ms),
        }
    }

    /// Ends what is pending of these messages. What is in no shard's hands is recorded as ended from here; the shards
    /// do so for what is in theirs. The ledger forgets both now: the log has said that they ended, and after a
    /// restart it is perhaps not read again from there.
    fn cancel(&mut self, messages: &[(MessageId, Position)]) -> Result<(), LedgerError> {
        let wanted: HashMap<EntryId, Position> =
            messages.iter().map(|(message, at)| (message.0, *at)).collect();
        let mut ended = Vec::new();
        self.ledger.for_each(|pending| {
            if let Some(at) = wanted.get(&pending.message) {
                ended.push((*pending, *at));
            }
        })?;
        // The writer told them already, but since then more may have been handed to them from here.
        messages.iter().for_each(|(message, _)| self.shards.cancel(*message));
        let (now_ms, loaded_until) = (self.clock.now().as_ms(), self.ledger.loaded_until());
        let mut settled = Vec::new();
        for (pending, at) in ended {
            let Pending { message, endpoint, .. } = pending;
            let update = Update { message, endpoint, at, to: Standing::Settled };
            let returned = self.ledger.apply_unheld(update, now_ms);
            debug_assert_eq!(returned, None, "what has ended is in nobody's hands");
            if pending.due_ms >= loaded_until {
                settled.push(cancelled(&pending));
            }
        }
        if !settled.is_empty() {
            self.writer.send(Job::Settle(settled));
        }
        Ok(())
    }

    /// Finds the oldest segment that a pending delivery, or a replay after the death of this process, needs. Returns
    /// the deliveries whose messages are to be carried forward out of the segments that are in the way: those that
    /// are due late. What is due sooner moves on by itself.
    fn survey(&mut self, in_the_way: u32) -> Result<Vec<Pending>, LedgerError> {
        // A message that only the log remembers now may be in the ledger by the time the answer is read.
        let mut oldest = self.ledger.hand_over()?.segment.min(self.low_water.segment);
        let late = (self.clock.now() + self.horizon + CARRY_MARGIN * 2).as_ms();
        let mut carried = Vec::new();
        self.ledger.for_each(|pending| {
            let segment = pending.message_at.segment;
            oldest = oldest.min(segment);
            if segment <= in_the_way && pending.due_ms > late && carried.len() < CARRIED_MAX {
                carried.push(*pending);
            }
        })?;
        carried.sort_unstable_by_key(|pending| pending.message_at);
        self.progress.oldest_segment.store(oldest, Ordering::Release);
        self.progress.surveyed.store(self.end.as_u64(), Ordering::Release);
        Ok(carried)
    }

    fn look_after(&mut self) -> Result<(), LedgerError> {
        if self.failed {
            return Ok(());
        }
        let now = self.clock.now();
        self.ledger.flush(now.as_ms(), self.low_water, self.end)?;
        let until = now + self.horizon;
        // Half a horizon of slack: loading is by the minute, not by the round.
        if self.ledger.loaded_until() >= (now + self.horizon / 2).as_ms() {
            return Ok(());
        }
        // While the shards are behind, the next round goes on from here.
        while self.ledger.loaded_until() < until.as_ms() && !self.shards.is_pressed() {
            let loaded = self.ledger.load(until.as_ms(), LOAD_MAX)?;
            self.hand_out(loaded);
            // What is due at this very time is not loaded yet.
            self.shards.horizon(Tick::from_ms(self.ledger.loaded_until().saturating_sub(1)));
        }
        Ok(())
    }

    /// Hands out what must not pass others, before anything else is: at the start.
    pub(crate) fn hand_out_ordered(&mut self) -> Result<(), LedgerError> {
        loop {
            let loaded = self.ledger.load(DUE_MS_ORDERED + 1, LOAD_MAX)?;
            if loaded.is_empty() {
                return Ok(());
            }
            self.hand_out(loaded);
        }
    }

    fn incoming<B>(&self, pending: &Pending) -> Incoming<B> {
        if !Progress::from_u16(pending.attempts).marks.has(Marks::ORDERED) {
            return incoming(pending, 0, Tick::from_ms(pending.due_ms));
        }
        let (lane, due) = match order_of(&self.reader, pending) {
            Ok(found) => found.unwrap_or((0, Tick::ZERO)),
            Err(error) => {
                tracing::error!(%error, message = %pending.message, "what it must not pass is not known");
                (0, Tick::ZERO)
            }
        };
        incoming(pending, lane, due)
    }

    /// Gives pending deliveries to the shards that make them. One whose endpoint is not there any more ends.
    fn hand_out(&self, pending: Vec<Pending>) {
        if pending.is_empty() {
            return;
        }
        let mut batches = self.shards.batches();
        let mut orphans = Vec::new();
        for pending in pending {
            if !batches.deliver(&self.shards, self.incoming(&pending)) {
                orphans.push(cancelled(&pending));
            }
        }
        self.shards.put_batches(batches);
        if !orphans.is_empty() {
            self.writer.send(Job::Settle(orphans));
        }
    }
}

fn key(pending: &Pending) -> DeliveryKey {
    DeliveryKey { message: MessageId(pending.message), endpoint: EndpointId::from_u64(pending.endpoint) }
}

/// What the log says of a delivery that must not pass others: its lane, and when it is due.
fn order_of(reader: &LogReader, pending: &Pending) -> Result<Option<(u64, Tick)>, ReadError> {
    let Some(owned) = reader.record_at(pending.message_at)? else { return Ok(None) };
    let Some(message) = owned.record().message().copied() else { return Ok(None) };
    let extras = message.extras.unpack();
    let mut due_ms = extras.due_ms.unwrap_or(0);
    reader.attempts_of(pending.message, |_, record| {
        if let Record::Attempt(attempt) = record
            && attempt.endpoint == pending.endpoint
        {
            due_ms = attempt.next_attempt_ms;
        }
        ControlFlow::Continue(())
    })?;
    let lane = lane(ApplicationId::from_u64(pending.application), extras.ordering_key);
    Ok(Some((lane, Tick::from_ms(due_ms))))
}

/// Deliveries of one application with the same ordering key are in one lane; without a key in none.
pub(crate) fn lane(application: ApplicationId, ordering_key: Option<&str>) -> u64 {
    ordering_key.map_or(0, |key| event_hash(application.as_u64(), key).max(1))
}

fn incoming<B>(pending: &Pending, lane: u64, due: Tick) -> Incoming<B> {
    Incoming {
        key: key(pending),
        application: ApplicationId::from_u64(pending.application),
        message_at: pending.message_at,
        progress: Progress::from_u16(pending.attempts),
        due,
        lane,
        home: Home::Ledger,
        replaces: false,
        body: None,
    }
}

fn cancelled(pending: &Pending) -> Settled {
    Settled {
        key: key(pending),
        application: ApplicationId::from_u64(pending.application),
        message_at: pending.message_at,
        progress: Progress::from_u16(pending.attempts),
        state: DeliveryState::Cancelled,
        home: Home::Ledger,
    }
}
