//! The ledger: what is still pending, by due time.
//!
//! Think of a clerk with two trays and a cabinet. News from the log lands in the first tray (the *young*).
//! Most deliveries that failed once are settled within seconds, and their slip is simply thrown away. What
//! stays longer is filed in the cabinet (the *shelf*), in folders (*chunks*) of deliveries that fall due in
//! the same minute. As that minute comes near the folder is taken out and its deliveries handed to the
//! shards (*loaded*); the folder stays until the last of them is settled or has a new time.
//!
//! ```text
//!   apply --> young --flush, when old enough--> chunks on the shelf --load, when due soon--> shards
//!               |                                   ^                                          |
//!               +--settled: never filed             +-- flush rewrites those that lost some <--+
//! ```
//!
//! The log is the truth. The shelf may lose its latest batches or all of them, and the ledger is complete
//! again after a replay:
//!
//! - [`Ledger::replay_from`] (P): read the log from here.
//! - [`Ledger::applied_to`] (Q, never before P): updates from here on go through [`Ledger::apply_replayed`];
//!   those between P and Q are on the shelf, and only tell which deliveries of the messages after P are no
//!   longer fresh. A *fresh* delivery is one that was never reported here: it is known from the log only.
//! - After the replay, and not before, [`Ledger::load`] what is due.
//!
//! Who holds a delivery: a shard keeps in its wheel what falls due before [`Ledger::loaded_until`], and
//! reports it here too, so that it survives. What falls due later it may *forget*: then nobody but the ledger
//! knows of it, until a load hands it out. Should that time have moved on in the meantime, [`Ledger::apply`]
//! returns the delivery to the shard at once.
//!
//! Invariants
//! - A delivery counts in one place: young, or one chunk.
//! - Every delivery is in the hands of a shard, or will be handed out by a load; never both.
//! - Memory: the young and the overrides are bounded by [`LedgerOptions`], and, once the shelf has failed, by what shards
//!   hold; a loaded delivery costs tens of bytes; a delivery on the shelf costs none.
//!
//! Not here: when a delivery is tried again, and what to do about its endpoint. The ledger has no clock and
//! starts no thread of its own.

use std::io;
use std::path::Path;

use crate::Position;
use crate::shelf::{Shelf, SledShelf};

mod anew;
mod bookmark;
mod chunk;
mod error;
mod flush;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod load;
mod loaded;
mod options;
mod overrides;
mod pending;
mod young;

pub use error::LedgerError;
pub use options::LedgerOptions;
pub use pending::{Pending, Standing, Update};

use anew::InHand;
use bookmark::{Bookmark, BookmarkError};
use chunk::ChunkKey;
use loaded::Loaded;
use overrides::Overrides;
use young::{Recent, Young};

/// What is still pending, by due time. One owner: nothing here is shared between threads.
pub struct Ledger {
    shelf: Box<dyn Shelf>,
    options: LedgerOptions,
    bookmark: Bookmark,
    young: Young,
    loaded: Loaded,
    overrides: Overrides,
    /// The first chunk that was not loaded yet.
    cursor: ChunkKey,
    flushed_ms: u64,
    failed: bool,
    /// While everything is filed anew beside shards that work: what they hold.
    in_hand: Option<InHand>,
}

impl Ledger {
    /// Opens the ledger in `folder`, or makes an empty one there.
    ///
    /// # Errors
    /// When an option is out of its range; or when the files are not trusted, do not open or are damaged:
    /// then [`Self::set_aside`], open again and replay the whole log.
    pub fn open(folder: &Path, options: LedgerOptions) -> Result<Self, LedgerError> {
        options.check()?;
        Self::on_shelf(Box::new(SledShelf::open(folder, options.cache_bytes)?), options)
    }

    /// How it was told to behave.
    pub fn options(&self) -> LedgerOptions {
        self.options
    }

    /// Opens the ledger on any shelf.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on_shelf(shelf: Box<dyn Shelf>, options: LedgerOptions) -> Result<Self, LedgerError> {
        options.check()?;
        let bookmark = match shelf.read(&bookmark::KEY)? {
            Some(value) => Bookmark::decode(&value).map_err(bookmark_error)?,
            None if shelf.next(&[])?.is_none() => Bookmark::default(),
            None => return Err(LedgerError::Damaged { place: "the bookmark".into(), why: "it is missing" }),
        };
        Ok(Self {
            shelf,
            options,
            bookmark,
            young: Young::default(),
            loaded: Loaded::default(),
            overrides: Overrides::default(),
            cursor: ChunkKey::FIRST,
            flushed_ms: 0,
            failed: false,
            in_hand: None,
        })
    }

    /// Moves the files in `folder` to `<folder>.damaged-<now_ms>`, so that the next open finds nothing. Only
    /// the last ones set aside are kept.
    ///
    /// # Errors
    /// When a folder cannot be moved or removed.
    pub fn set_aside(folder: &Path, now_ms: u64) -> io::Result<()> {
        SledShelf::set_aside(folder, now_ms)
    }

    /// P: the log must be replayed from here. Where there is no such position any more, the log was trimmed
    /// too far, and the ledger must be rebuilt.
    pub fn replay_from(&self) -> Position {
        self.bookmark.replay_from
    }

    /// Q: every update before this is on the shelf, or was overtaken by one at or after it.
    pub fn applied_to(&self) -> Position {
        self.bookmark.applied_to
    }

    /// How many deliveries are pending. After a restart, those that were updated shortly before it may be
    /// counted twice until the shelf was swept.
    pub fn len(&self) -> u64 {
        self.bookmark.entries - self.loaded.gone() + self.young.len() as u64
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many deliveries are kept in memory, young or loaded.
    pub fn in_memory(&self) -> usize {
        self.young.len() + self.loaded.len()
    }

    /// Takes in news about a delivery that a shard holds, or that is new here. `now_ms` is the time in unix
    /// milliseconds.
    ///
    /// The update must be in the log already, not only on its way: the shelf forgets what it overtakes.
    /// Updates come in the order of the log.
    ///
    /// Returns the delivery when it was forgotten but falls due before [`Self::loaded_until`]: it counts as
    /// handed out, and the shard must hold it.
    #[must_use = "a delivery that is returned is in nobody else's hands"]
    pub fn apply(&mut self, update: Update, now_ms: u64) -> Option<Pending> {
        self.forget(&update);
        self.remember(&update, now_ms)
    }

    /// As [`Self::apply`], for news about a delivery that may not have been handed out: somebody cancelled
    /// it or tried it out of turn.
    ///
    /// Costs more than `apply`: the entry it makes stale is looked for in the next flushes, and the log must
    /// be replayed from here until it is found.
    #[must_use = "a delivery that is returned is in nobody else's hands"]
    pub fn apply_unheld(&mut self, update: Update, now_ms: u64) -> Option<Pending> {
        self.overtake(&update);
        self.remember(&update, now_ms)
    }

    /// Takes in an update that a replay found in the log. Nobody holds the delivery, whatever the update
    /// says (but after [`Self::begin_again`]: then those do who did). Updates before [`Self::applied_to`] are on the shelf and are ignored.
    ///
    /// A replay of more than seconds must [`Self::flush`] whenever [`Self::wants_flush`], with the position
    /// it has come to as `end`, and with that position or the oldest fresh message's as `low_water`,
    /// whichever is earlier.
    pub fn apply_replayed(&mut self, mut update: Update) {
        if update.at < self.bookmark.applied_to {
            return;
        }
        if let Standing::Pending { forgotten, .. } = &mut update.to {
            *forgotten = true;
        }
        self.overtake(&update);
        if let Some((pending, _)) = update.pending() {
            let held = self.in_hand.as_ref().is_some_and(|in_hand| in_hand.has(&pending));
            self.young.insert(Recent { pending, updated_ms: 0, held });
        }
    }

    /// Calls `visit` with every pending delivery, in no order. Reads the whole shelf: seconds for millions.
    ///
    /// # Errors
    /// When the shelf failed or a chunk is damaged; what was visited is not all.
    pub fn for_each(&self, mut visit: impl FnMut(&Pending)) -> Result<(), LedgerError> {
        self.young.iter().for_each(&mut visit);
        let mut next = ChunkKey::FIRST;
        while let Some((key, entries)) = self.chunk_from(next)? {
            entries.iter().filter(|entry| self.counts(key.number, entry)).for_each(&mut visit);
            next = key.next();
        }
        Ok(())
    }

    /// Reads the whole shelf and checks it. Takes seconds for millions of deliveries.
    ///
    /// # Errors
    /// When the shelf failed or something on it is damaged.
    pub fn check(&self) -> Result<(), LedgerError> {
        let mut next = ChunkKey::FIRST;
        let mut entries = 0;
        while let Some((key, chunk)) = self.chunk_from(next)? {
            entries += chunk.len() as u64;
            next = key.next();
        }
        if entries == self.bookmark.entries {
            return Ok(());
        }
        Err(LedgerError::Damaged {
            place: "the chunks".into(),
            why: "their entries are not as many as recorded",
        })
    }

    /// Waits until the operating system has what was flushed, and returns [`Self::replay_from`]: the log may
    /// be trimmed up to there as far as the ledger is concerned. Until then the death of the process may
    /// bring back an older shelf, with an older `replay_from`.
    ///
    /// # Errors
    /// When the shelf failed; the ledger is of no further use.
    pub fn hand_over(&mut self) -> Result<Position, LedgerError> {
        self.unless_failed(|ledger| Ok(ledger.shelf.hand_over()?))?;
        Ok(self.replay_from())
    }

    /// Removes what was known of the delivery. Returns whether it was in memory.
    fn forget(&mut self, update: &Update) -> bool {
        let key = update.key();
        self.young.remove(&key).is_some() || self.loaded.remove(&key)
    }

    /// Removes what was known of the delivery, in whichever chunk it may be.
    fn overtake(&mut self, update: &Update) {
        // Messages later than any on the shelf have nothing there: the common case in a replay. And a shelf that failed
        // is not looked at again.
        let in_memory = self.forget(update);
        if !in_memory && !self.failed && update.message <= self.bookmark.newest_message {
            self.overrides.insert(update.key(), update.at, self.bookmark.next_chunk);
        }
    }

    /// Notes where the delivery stands now. Returns it when the shard must hold it.
    fn remember(&mut self, update: &Update, updated_ms: u64) -> Option<Pending> {
        let (pending, forgotten) = update.pending()?;
        let returned = forgotten && pending.due_ms < self.loaded_until();
        if self.failed && forgotten && !returned {
            // Memory would have no bound. The ledger that takes the place of this one finds it in the log.
            return None;
        }
        self.young.insert(Recent { pending, updated_ms, held: !forgotten || returned });
        returned.then_some(pending)
    }

    /// After an error what is in memory and what is on the shelf may disagree, and going on would move Q
    /// past updates that are nowhere.
    fn unless_failed<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if self.failed {
            return Err(LedgerError::Failed);
        }
        let result = act(self);
        self.failed = result.is_err();
        result
    }
}

fn bookmark_error(error: BookmarkError) -> LedgerError {
    match error {
        BookmarkError::Damaged => LedgerError::Damaged {
            place: "the bookmark".into(),
            why: "its checksum or length does not match",
        },
        BookmarkError::OtherVersion(found) => LedgerError::OtherVersion { found, known: bookmark::VERSION },
    }
}
