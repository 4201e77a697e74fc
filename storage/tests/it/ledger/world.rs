//! A small engine around a ledger: a log that is never lost, a shard that holds what it was handed, and the
//! shelf as every batch left it, so that a crash may bring back any of the last ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use posthaste_storage::ledger::{Ledger, LedgerOptions, Pending, Standing, Update};
use posthaste_storage::shelf::{MemoryShelf, Pair, Shelf, ShelfBatch, ShelfError};
use posthaste_storage::{EntryId, Position};

/// How many batches a crash may take back at most.
const BATCHES_LOST_MAX: usize = 6;

pub(crate) type Key = (EntryId, u64);

/// A shelf that remembers how it looked after each of its last batches.
#[derive(Clone, Default)]
pub(crate) struct HistoryShelf {
    now: MemoryShelf,
    history: Arc<Mutex<VecDeque<MemoryShelf>>>,
}

impl HistoryShelf {
    /// The shelf as it was `batches` batches ago, or as long ago as is known.
    fn before(&self, batches: usize) -> Self {
        let history = self.history.lock();
        let index = history.len().saturating_sub(1 + batches);
        let now = history.get(index).map_or_else(MemoryShelf::new, MemoryShelf::snapshot);
        Self { now: now.clone(), history: Arc::new(Mutex::new(VecDeque::from([now.snapshot()]))) }
    }
}

impl Shelf for HistoryShelf {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError> {
        self.now.read(key)
    }

    fn next(&self, from: &[u8]) -> Result<Option<Pair>, ShelfError> {
        self.now.next(from)
    }

    fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError> {
        self.now.write(batch)?;
        let mut history = self.history.lock();
        history.push_back(self.now.snapshot());
        if history.len() > BATCHES_LOST_MAX {
            history.pop_front();
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), ShelfError> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), ShelfError> {
        Ok(())
    }
}

enum Record {
    Message { message: EntryId, endpoints: u64 },
    Update(Update),
}

pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) ledger: Ledger,
    options: LedgerOptions,
    shelf: HistoryShelf,
    log: Vec<Record>,
    /// Deliveries that were never reported to the ledger, and where their message is.
    fresh: BTreeMap<Key, Position>,
    /// Deliveries in the hands of the shard, fresh ones not included.
    held: BTreeSet<Key>,
    /// What the log says, read from its start.
    truth: BTreeMap<Key, Pending>,
}

fn position(index: usize) -> Position {
    Position { segment: 1, offset: 64 + 8 * index as u32 }
}

impl World {
    pub(crate) fn new(options: LedgerOptions) -> Self {
        let shelf = HistoryShelf::default();
        Self {
            now_ms: 1_732_300_000_000,
            ledger: Ledger::on_shelf(Box::new(shelf.clone()), options).unwrap(),
            options,
            shelf,
            log: Vec::new(),
            fresh: BTreeMap::new(),
            held: BTreeSet::new(),
            truth: BTreeMap::new(),
        }
    }

    pub(crate) fn publish(&mut self, endpoints: u64) {
        let message = EntryId::new(self.now_ms, self.log.len() as u16);
        let at = position(self.log.len());
        self.log.push(Record::Message { message, endpoints });
        self.fresh.extend((1..=endpoints).map(|endpoint| ((message, endpoint), at)));
    }

    /// The `pick`-th delivery in the hands of the shard, fresh or not.
    pub(crate) fn in_hand(&self, pick: usize) -> Option<Key> {
        let all = self.fresh.len() + self.held.len();
        (all > 0).then(|| self.fresh.keys().chain(&self.held).nth(pick % all).copied())?
    }

    /// The `pick`-th delivery that the ledger knows, in whoever's hands.
    pub(crate) fn known(&self, pick: usize) -> Option<Key> {
        self.truth.keys().nth(pick % self.truth.len().max(1)).copied()
    }

    /// The shard reports that an attempt failed; it forgets the delivery when it may, or when it is told to
    /// (as if it had not heard how far the ledger has loaded).
    pub(crate) fn fail(&mut self, key: Key, delay_ms: u64, forget: bool) {
        let due_ms = self.now_ms + delay_ms;
        let forgotten = forget || due_ms >= self.ledger.loaded_until();
        let update = self.append(key, Some((due_ms, forgotten)));
        let returned = self.ledger.apply(update, self.now_ms);
        self.settle_hands(key, forgotten, returned);
    }

    pub(crate) fn settle(&mut self, key: Key) {
        let update = self.append(key, None);
        assert_eq!(self.ledger.apply(update, self.now_ms), None);
        self.settle_hands(key, true, None);
    }

    /// Somebody who holds nothing cancels a delivery, or tries it out of turn.
    pub(crate) fn meddle(&mut self, key: Key, delay_ms: Option<u64>) {
        let update = self.append(key, delay_ms.map(|delay_ms| (self.now_ms + delay_ms, true)));
        let returned = self.ledger.apply_unheld(update, self.now_ms);
        self.settle_hands(key, true, returned);
    }

    pub(crate) fn load(&mut self, horizon_ms: u64, entries_max: usize) {
        let until_ms = self.now_ms + horizon_ms;
        for pending in self.ledger.load(until_ms, entries_max).unwrap() {
            let key = (pending.message, pending.endpoint);
            assert_eq!(self.truth.get(&key), Some(&pending), "handed out, but the log says otherwise");
            assert!(self.held.insert(key), "{key:?} was handed out twice");
        }
        let loaded_until = self.ledger.loaded_until();
        for (key, pending) in &self.truth {
            let due = pending.due_ms < loaded_until;
            assert!(!due || self.held.contains(key), "{key:?} is due and in nobody's hands");
        }
    }

    pub(crate) fn flush(&mut self) {
        self.ledger.flush(self.now_ms, self.low_water(), position(self.log.len())).unwrap();
    }

    /// The process dies, and its last `batches_lost` batches with it.
    pub(crate) fn crash(&mut self, batches_lost: usize, flush_in_replay: bool) {
        self.shelf = self.shelf.before(batches_lost);
        self.ledger = Ledger::on_shelf(Box::new(self.shelf.clone()), self.options).unwrap();
        self.replay(flush_in_replay);
    }

    pub(crate) fn restart_cleanly(&mut self) {
        let (low_water, end) = (self.low_water(), position(self.log.len()));
        let fresh = std::mem::take(&mut self.fresh);
        let shelf = Box::new(self.shelf.clone());
        let ledger =
            std::mem::replace(&mut self.ledger, Ledger::on_shelf(shelf.clone(), self.options).unwrap());
        ledger.close(low_water, end).unwrap();
        self.ledger = Ledger::on_shelf(shelf, self.options).unwrap();
        assert!(self.ledger.applied_to() <= end);
        self.replay(false);
        assert_eq!(self.fresh, fresh);
    }

    fn replay(&mut self, flush_in_replay: bool) {
        self.fresh.clear();
        self.held.clear();
        let (replay_from, applied_to) = (self.ledger.replay_from(), self.ledger.applied_to());
        assert!(replay_from <= applied_to);
        for index in 0..self.log.len() {
            let at = position(index);
            if at < replay_from {
                continue;
            }
            match self.log[index] {
                Record::Message { message, endpoints } => {
                    self.fresh.extend((1..=endpoints).map(|endpoint| ((message, endpoint), at)));
                }
                Record::Update(update) => {
                    self.fresh.remove(&(update.message, update.endpoint));
                    self.ledger.apply_replayed(update);
                }
            }
            if flush_in_replay && (index % 7 == 0 || self.ledger.wants_flush()) {
                let reached = position(index + 1);
                let low_water = self.fresh.values().min().map_or(reached, |&fresh| fresh.min(reached));
                self.ledger.flush(self.now_ms + index as u64 * 1_000_000, low_water, reached).unwrap();
            }
        }
    }

    /// The ledger knows what the log says: nothing more, nothing less, nothing twice.
    pub(crate) fn check(&self) {
        let mut known = BTreeMap::new();
        self.ledger
            .for_each(|pending| {
                let key = (pending.message, pending.endpoint);
                assert_eq!(known.insert(key, *pending), None, "{key:?} is known twice");
            })
            .unwrap();
        assert_eq!(known, self.truth);
        assert!(self.ledger.len() >= self.truth.len() as u64);
        self.ledger.check().unwrap();
    }

    /// Once everything was flushed and swept, the count is exact and a replay has nothing to do.
    pub(crate) fn come_to_rest(&mut self) {
        for _ in 0..200 {
            self.now_ms += 1_000_000;
            self.flush();
        }
        assert_eq!(self.ledger.len(), self.truth.len() as u64);
        assert_eq!(self.ledger.applied_to(), position(self.log.len()));
        self.check();
    }

    fn low_water(&self) -> Position {
        self.fresh.values().min().copied().unwrap_or(position(self.log.len()))
    }

    /// Writes an update to the log; `to` is when it is due and whether it is forgotten, or settled.
    fn append(&mut self, key: Key, to: Option<(u64, bool)>) -> Update {
        let (message, endpoint) = key;
        let at = position(self.log.len());
        let before = self.truth.remove(&key);
        let message_at = before.map_or_else(|| self.fresh[&key], |before| before.message_at);
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        let application = endpoint + 100;
        let to = to.map_or(Standing::Settled, |(due_ms, forgotten)| {
            let pending =
                Pending { message, application, endpoint, message_at, attempts, due_ms, updated_at: at };
            self.truth.insert(key, pending);
            Standing::Pending { application, message_at, attempts, due_ms, forgotten }
        });
        let update = Update { message, endpoint, at, to };
        self.log.push(Record::Update(update));
        update
    }

    fn settle_hands(&mut self, key: Key, forgotten: bool, returned: Option<Pending>) {
        self.fresh.remove(&key);
        self.held.remove(&key);
        assert!(returned.is_none() || returned == self.truth.get(&key).copied());
        if returned.is_some() || !forgotten {
            self.held.insert(key);
        }
    }
}
