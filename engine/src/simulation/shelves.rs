//! Shelves of a simulation: what sled may do to ledger and catalog, on demand.
//!
//! A kill keeps what the operating system was given, and of the later batches some first ones. After a power cut a
//! shelf is believed only if it was closed before; otherwise its files may be torn, and opening says so. That of the
//! ledger may fail while it is used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use posthaste_storage::shelf::{Pair, Shelf, ShelfBatch, ShelfError};

use super::dice::Dice;
use crate::recovery::{Derived, Shelves};

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;
type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The shelves of one machine. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct SimShelves {
    ledger: SimShelf,
    catalog: SimShelf,
}

#[derive(Clone, Default)]
struct SimShelf(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pairs: Pairs,
    /// What the operating system has for certain.
    handed: Pairs,
    /// What was written since.
    since: Vec<Batch>,
    exists: bool,
    torn: bool,
    closed: bool,
    trouble: Option<Trouble>,
}

/// After so many operations so many fail.
#[derive(Clone, Copy)]
struct Trouble {
    after: u64,
    times: u64,
}

impl SimShelves {
    fn of(&self, what: Derived) -> &SimShelf {
        match what {
            Derived::Ledger => &self.ledger,
            Derived::Catalog => &self.catalog,
        }
    }

    /// The process dies, the machine goes on.
    pub(super) fn kill(&self, dice: &Dice) {
        for shelf in [&self.ledger, &self.catalog] {
            let mut state = shelf.0.lock();
            state.trouble = None;
            let kept = dice.index(state.since.len() + 1);
            let mut pairs = state.handed.clone();
            state.since[..kept].iter().for_each(|batch| apply(&mut pairs, batch));
            state.settle(pairs);
        }
    }

    /// The power is cut.
    pub(super) fn cut_power(&self) {
        for shelf in [&self.ledger, &self.catalog] {
            let mut state = shelf.0.lock();
            state.trouble = None;
            state.torn |= state.exists && !state.closed;
        }
    }

    /// Somebody deletes it.
    pub(super) fn delete(&self, what: Derived) {
        let mut state = self.of(what).0.lock();
        *state = State { trouble: state.trouble, ..State::default() };
    }

    /// After so many operations on the ledger so many fail.
    pub(super) fn fail(&self, after: u64, times: u64) {
        self.ledger.0.lock().trouble = Some(Trouble { after, times });
    }

    /// What fails works again.
    pub(super) fn heal(&self) {
        self.ledger.0.lock().trouble = None;
    }
}

impl Shelves for SimShelves {
    fn is_missing(&self, what: Derived) -> bool {
        !self.of(what).0.lock().exists
    }

    fn open(&self, what: Derived, _: u64) -> Result<Box<dyn Shelf>, ShelfError> {
        let shelf = self.of(what).clone();
        let mut state = shelf.0.lock();
        state.operate("open")?;
        if state.torn {
            let why = "the power was cut while it was open".to_owned();
            return Err(ShelfError::NotTrusted { folder: PathBuf::from(format!("/sim/{what:?}")), why });
        }
        (state.exists, state.closed) = (true, false);
        drop(state);
        Ok(Box::new(shelf))
    }

    fn set_aside(&self, what: Derived, _: u64) -> std::io::Result<()> {
        self.discard(what)
    }

    fn discard(&self, what: Derived) -> std::io::Result<()> {
        self.delete(what);
        Ok(())
    }
}

impl State {
    fn operate(&mut self, doing: &'static str) -> Result<(), ShelfError> {
        let Some(Trouble { after, times }) = &mut self.trouble else { return Ok(()) };
        if *after > 0 {
            *after -= 1;
            return Ok(());
        }
        *times -= 1;
        if *times == 0 {
            self.trouble = None;
        }
        Err(ShelfError::Failed { doing, folder: PathBuf::from("/sim/Ledger"), why: "it was told to".into() })
    }

    fn settle(&mut self, pairs: Pairs) {
        self.handed.clone_from(&pairs);
        self.pairs = pairs;
        self.since.clear();
    }
}

fn apply(pairs: &mut Pairs, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => pairs.insert(key.clone(), value.clone()),
            None => pairs.remove(key),
        };
    }
}

impl Shelf for SimShelf {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError> {
        let mut state = self.0.lock();
        state.operate("read")?;
        Ok(state.pairs.get(key).cloned())
    }

    fn next(&self, from: &[u8]) -> Result<Option<Pair>, ShelfError> {
        let mut state = self.0.lock();
        state.operate("read")?;
        let next = state
            .pairs
            .range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .next();
        Ok(next.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError> {
        let mut state = self.0.lock();
        state.operate("write")?;
        let batch: Batch = batch.into_iter().collect();
        apply(&mut state.pairs, &batch);
        state.since.push(batch);
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), ShelfError> {
        let mut state = self.0.lock();
        state.operate("hand over")?;
        let pairs = std::mem::take(&mut state.pairs);
        state.settle(pairs);
        Ok(())
    }

    fn close(mut self: Box<Self>) -> Result<(), ShelfError> {
        self.hand_over()?;
        self.0.lock().closed = true;
        Ok(())
    }
}
