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
//! Where sled fails, the keeper files everything anew from the log, with waits between the tries: the writer waits for it
//! meanwhile, as for a start, and shards go on with what they hold.
//!
//! Invariant: the shards are told a horizon only after everything due before it was handed to them.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;
use posthaste_storage::ledger::{Ledger, LedgerError, Pending, Standing, Update};
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Attempt, Parked, Record, event_hash};
use posthaste_storage::{EntryId, Position};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::shard::{Home, Incoming, Settled};
use crate::core::tick::Tick;
use crate::metrics::Metrics;
use crate::recovery::{self, Derived, RecoveryError, Shelves};
use crate::shard::Shards;
use crate::writer::{Job, WriterHandle};

/// Batches that may wait for the keeper before the writer waits too.
pub(crate) const BATCHES_MAX: usize = 1_024;
/// Batches applied before the horizon is looked after again.
const BATCHES_PER_TURN: usize = 64;
/// How often the horizon is looked after when nothing comes.
const ROUND: Duration = Duration::from_millis(250);
/// A ledger that failed is built anew after this time, and after twice as long each time that does not succeed.
const MEND_WAIT_FIRST: Duration = Duration::from_secs(1);
const MEND_WAIT_MAX: Duration = Duration::from_secs(600);
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

/// What the last survey found, and what has become pending since: which segments are needed.
///
/// A survey takes a while, and deliveries become pending meanwhile. So the writer notes these beside it, and forgets its
/// notes only as it asks for the next survey, whose batch comes after all that they are about.
#[derive(Debug, Default)]
pub(crate) struct KeeperProgress {
    found: Mutex<Found>,
}

#[derive(Debug)]
struct Found {
    /// The end of the log as it stood at the last survey.
    surveyed: Position,
    /// The oldest segment that was needed then, or was noted before the survey that is under way was asked for.
    oldest: u32,
    /// The oldest segment noted since a survey was last asked for.
    noted: u32,
}

impl Default for Found {
    fn default() -> Self {
        Self { surveyed: Position::START, oldest: 0, noted: u32::MAX }
    }
}

impl KeeperProgress {
    /// The end of the log as it stood at the last survey.
    pub(crate) fn surveyed_at(&self) -> Position {
        self.found.lock().surveyed
    }

    /// A delivery of a message in this segment has become pending. The writer says so, before it tells the keeper.
    pub(crate) fn needs(&self, segment: u32) {
        let mut found = self.found.lock();
        found.noted = found.noted.min(segment);
    }

    /// The writer asks for a survey, after everything that was noted.
    pub(crate) fn asks(&self) {
        let mut found = self.found.lock();
        found.oldest = found.oldest.min(found.noted);
        found.noted = u32::MAX;
    }

    /// The keeper has found this, with all that it was told before it was asked.
    fn answers(&self, oldest: u32, surveyed: Position) {
        let mut found = self.found.lock();
        (found.oldest, found.surveyed) = (oldest, surveyed);
    }

    /// The oldest segment that is needed: what was found then, and what has become pending since by [`Self::needs`]. What
    /// is published later lies in later ones.
    pub(crate) fn oldest_segment(&self) -> u32 {
        let found = self.found.lock();
        found.oldest.min(found.noted)
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
    /// Where the ledger lies.
    pub(crate) shelves: Arc<dyn Shelves>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) failure: Option<Failure>,
}

/// The ledger failed.
#[derive(Debug)]
pub(crate) struct Failure {
    again_at: Instant,
    wait: Duration,
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
        self.mend_if_it_is_time();
        self.look_after().unwrap_or_else(|error| self.give_up(&error));
    }

    /// Whether the writer has ended, and everything it said has been applied.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.batches.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected))
    }

    /// The log has everything; shards go on with what they hold until the ledger is there again.
    pub(crate) fn give_up(&mut self, error: &LedgerError) {
        if self.failure.is_none() {
            tracing::error!(%error, "the ledger failed; it is rebuilt from the log");
            self.metrics.ledger_failed.set(1);
            // Nothing may be removed while the log is what the ledger is made from, nor before the new one was asked.
            self.progress.answers(0, Position::START);
            self.failure =
                Some(Failure { again_at: Instant::now() + MEND_WAIT_FIRST, wait: MEND_WAIT_FIRST });
        }
    }

    fn mend_if_it_is_time(&mut self) {
        if self.failure.as_ref().is_some_and(|failure| Instant::now() >= failure.again_at) {
            self.mend();
        }
    }

    /// Files everything anew. Where that does not succeed, it is tried again later.
    pub(crate) fn mend(&mut self) {
        let began = Instant::now();
        match self.rebuild() {
            Ok(ledger) => {
                self.ledger = ledger;
                self.failure = None;
                self.metrics.ledger_failed.set(0);
                let elapsed_ms = began.elapsed().as_millis() as u64;
                tracing::info!(
                    pending = self.ledger.len(),
                    elapsed_ms,
                    "the ledger was rebuilt from the log"
                );
            }
            Err(error) => {
                let wait = self.failure.as_ref().map_or(MEND_WAIT_FIRST, |failure| failure.wait * 2);
                let wait = wait.min(MEND_WAIT_MAX);
                tracing::warn!(%error, again_in_s = wait.as_secs(), "the ledger cannot be rebuilt yet");
                self.failure = Some(Failure { again_at: Instant::now() + wait, wait });
            }
        }
    }

    fn rebuild(&mut self) -> Result<Ledger, RecoveryError> {
        let (shelves, cache_bytes) = (self.shelves.clone(), self.ledger.options().cache_bytes);
        let empty = self.ledger.begin_again(|| -> Result<_, RecoveryError> {
            // Of no use to anybody, and perhaps the disk is full.
            shelves.discard(Derived::Ledger)?;
            Ok(shelves.open(Derived::Ledger, cache_bytes).map_err(LedgerError::from)?)
        })?;
        recovery::rebuild_ledger(&self.reader, empty, self.end)
    }

    fn apply(&mut self, batch: LedgerBatch) {
        let now_ms = self.clock.now().as_ms();
        let updates = batch.updates.into_iter();
        let returned: Vec<Pending> = updates.filter_map(|update| self.update(update, now_ms)).collect();
        self.hand_out(returned);
        (self.low_water, self.end) = (batch.low_water, batch.end);
        if !batch.cancelled.is_empty() {
            self.cancel(&batch.cancelled);
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
            _ if hold == Hold::OutOfTurn => self.ledger.apply_unheld(update, now_ms),
            // Carried forward, but so slowly that a shard has it by now. That one knows the old place of the
            // message, which therefore counts.
            Standing::Pending { due_ms, .. } if due_ms < self.ledger.loaded_until() => None,
            _ => self.ledger.apply_unheld(update, now_ms),
        }
    }

    /// Ends what is pending of these messages. What is in no shard's hands is recorded as ended from here; the shards
    /// do so for what is in theirs. The ledger forgets both now: the log has said that they ended, and after a
    /// restart it is perhaps not read again from there.
    fn cancel(&mut self, messages: &[(MessageId, Position)]) {
        // The writer told them already, but since then more may have been handed to them from here.
        messages.iter().for_each(|(message, _)| self.shards.cancel(*message));
        let mut pending = Vec::new();
        if self.failure.is_none()
            && let Err(error) = self.pending_of(messages, &mut pending)
        {
            self.give_up(&error);
        }
        if self.failure.is_some() {
            // It does not know all that is pending.
            pending.clear();
            for &(message, at) in messages {
                match pending_by_log(&self.reader, message.0, at) {
                    Ok(found) => pending.extend(found.into_iter().map(|pending| (pending, at))),
                    Err(error) => tracing::error!(%error, %message, "what was pending of it is not known"),
                }
            }
        }
        // Outcomes are told in this order: it is not left to chance.
        pending.sort_unstable_by_key(|(pending, _)| (pending.message, pending.endpoint));
        let (now_ms, loaded_until) = (self.clock.now().as_ms(), self.ledger.loaded_until());
        let mut settled = Vec::new();
        for (pending, at) in pending {
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
    }

    /// What the ledger has of these messages, each with where the log says that it was taken back.
    fn pending_of(
        &self,
        messages: &[(MessageId, Position)],
        into: &mut Vec<(Pending, Position)>,
    ) -> Result<(), LedgerError> {
        let wanted: HashMap<EntryId, Position> =
            messages.iter().map(|(message, at)| (message.0, *at)).collect();
        self.ledger.for_each(|pending| {
            if let Some(at) = wanted.get(&pending.message) {
                into.push((*pending, *at));
            }
        })
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
        self.progress.answers(oldest, self.end);
        Ok(carried)
    }

    fn look_after(&mut self) -> Result<(), LedgerError> {
        if self.failure.is_some() {
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

    /// Hands out what must not pass others, before anything else is: at the start. A ledger that turns out to be damaged
    /// is rebuilt first, once.
    pub(crate) fn hand_out_ordered(&mut self) -> Result<(), LedgerError> {
        let mut is_rebuilt = false;
        loop {
            match self.ledger.load(DUE_MS_ORDERED + 1, LOAD_MAX) {
                Ok(loaded) if loaded.is_empty() => return Ok(()),
                Ok(loaded) => self.hand_out(loaded),
                Err(error) if is_rebuilt => return Err(error),
                Err(error) => {
                    self.give_up(&error);
                    self.mend();
                    is_rebuilt = true;
                }
            }
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

/// What a ledger would have of this message, by the records before `before`: deliveries that were attempted or put off
/// and have not ended. Those that must not pass others are due at once, as the ledger has them.
fn pending_by_log(reader: &LogReader, message: EntryId, before: Position) -> Result<Vec<Pending>, ReadError> {
    let mut pending = HashMap::new();
    reader.records_about(message, before, |updated_at, record| {
        match record {
            Record::Attempt(attempt) if attempt.next_attempt_ms == 0 => {
                pending.remove(&attempt.endpoint);
            }
            Record::Settled(settled) if settled.endpoint == 0 => pending.clear(),
            Record::Settled(settled) => {
                pending.remove(&settled.endpoint);
            }
            Record::Attempt(Attempt {
                application,
                endpoint,
                message_at,
                progress: attempts,
                next_attempt_ms,
                ..
            }) => {
                let is_ordered = Progress::from_u16(attempts).marks.has(Marks::ORDERED);
                let due_ms = if is_ordered { DUE_MS_ORDERED } else { next_attempt_ms };
                let one =
                    Pending { message, application, endpoint, message_at, attempts, due_ms, updated_at };
                pending.insert(endpoint, one);
            }
            Record::Parked(Parked { application, endpoint, attempts, due_ms, message_at, .. }) => {
                let one =
                    Pending { message, application, endpoint, message_at, attempts, due_ms, updated_at };
                pending.insert(endpoint, one);
            }
            Record::Carried(carried) => {
                for of in carried.pending.iter() {
                    if let Some(one) = pending.get_mut(&of.endpoint) {
                        (one.message_at, one.updated_at) = (updated_at, updated_at);
                    }
                }
            }
            Record::Message(_) | Record::Change(_) => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(pending.into_values().collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_pending_while_a_survey_is_under_way_is_not_forgotten_by_its_answer() {
        let progress = KeeperProgress::default();
        let end = |segment| Position { segment, offset: 64 };
        progress.asks();
        progress.answers(9, end(9));
        assert_eq!(progress.oldest_segment(), 9);
        progress.asks();
        // Somebody wants a message of segment 4 sent again; the keeper, counting, has not heard of it.
        progress.needs(4);
        progress.answers(10, end(10));
        assert_eq!((progress.oldest_segment(), progress.surveyed_at()), (4, end(10)));
        // The next survey was asked for after the keeper was told. Until it answers, the note holds.
        progress.asks();
        assert_eq!(progress.oldest_segment(), 4);
        progress.answers(11, end(11));
        assert_eq!(progress.oldest_segment(), 11);
    }
}
