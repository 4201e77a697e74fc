//! The catalog store: applications, event types, endpoints and keys, as the log last said.
//!
//! A map from bytes to bytes on a shelf. It knows how far in the log it is, so that a replay from there
//! completes it; and of each value which record wrote it, so that the log can carry forward what is still
//! valid before it drops its oldest segment. What keys and values mean is the engine's business.
//!
//! Invariants
//! - Changes and the position they lead to are stored together or not at all.
//! - A value that reads back is the one that was stored under its key; an open reads them all.
//!
//! Not here: snapshots for routing, and who may change what.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::Position;
use crate::shelf::{Shelf, ShelfBatch, ShelfError, SledShelf};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod stored;

use stored::{Bookmark, StoredError};

/// Bytes that sled's cache takes, about. The engine reads the catalog once and serves from memory.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Keys removed in one batch by a clear.
const CLEAR_KEYS: usize = 1_000;

pub use stored::{CATALOG_KEY_BYTES_MAX, CATALOG_VALUE_BYTES_MAX};

/// A change to the catalog, as the log has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CatalogChange<'a> {
    /// What is changed.
    pub key: &'a [u8],
    /// Its value from here on; `None` when it is removed.
    pub value: Option<&'a [u8]>,
    /// Where the log keeps the record that says so.
    pub at: Position,
}

/// A key of the catalog and what is stored under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CatalogEntry {
    /// The key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Where the log keeps the record that wrote it.
    pub at: Position,
}

/// Why the catalog store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store beneath does not open, or failed. Cured by a rebuild from the log.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// Something is not what was stored. Cured by a rebuild from the log.
    #[error("the catalog is damaged at {place}: {why}")]
    Damaged {
        /// What is damaged.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another version of Posthaste wrote it. Cured by a rebuild from the log.
    #[error("the catalog has format version {found}; this program reads version {known}")]
    OtherVersion {
        /// The version it has.
        found: u8,
        /// The version that is read.
        known: u8,
    },
    /// A key is too long; nothing was changed.
    #[error("a catalog key is {bytes} bytes; the limit is {CATALOG_KEY_BYTES_MAX}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A value is too large; nothing was changed.
    #[error("a catalog value is {bytes} bytes; the limit is {CATALOG_VALUE_BYTES_MAX}")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
    },
}

/// The catalog on a shelf.
pub struct CatalogStore {
    shelf: Box<dyn Shelf>,
    bookmark: Bookmark,
}

impl CatalogStore {
    /// Opens the catalog in `folder`, or makes an empty one there, and reads all of it.
    ///
    /// # Errors
    /// When the files are not trusted, do not open or are damaged: then [`Self::set_aside`], open again and
    /// replay the whole log.
    pub fn open(folder: &Path) -> Result<Self, CatalogError> {
        Self::on_shelf(Box::new(SledShelf::open(folder, CACHE_BYTES)?))
    }

    /// Opens the catalog on any shelf.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on_shelf(shelf: Box<dyn Shelf>) -> Result<Self, CatalogError> {
        let bookmark = match shelf.read(&stored::BOOKMARK_KEY)? {
            Some(value) => {
                Bookmark::decode(&value).map_err(|error| stored_error(error, || "the bookmark".into()))?
            }
            None if shelf.next(&[])?.is_none() => Bookmark::default(),
            None => return Err(CatalogError::Damaged { place: "the bookmark".into(), why: "it is missing" }),
        };
        let mut store = Self { shelf, bookmark };
        store.check()?;
        if store.position() == Position::START {
            store.clear()?; // a clear that was cut short
        }
        Ok(store)
    }

    /// Moves the files in `folder` to `<folder>.damaged-<now_ms>`, so that the next open finds nothing. Only
    /// the last ones set aside are kept.
    ///
    /// # Errors
    /// When a folder cannot be moved or removed.
    pub fn set_aside(folder: &Path, now_ms: u64) -> io::Result<()> {
        SledShelf::set_aside(folder, now_ms)
    }

    /// Every change before this position is in here; the log must be replayed from it.
    pub fn position(&self) -> Position {
        self.bookmark.position
    }

    /// How many keys there are.
    pub fn len(&self) -> u64 {
        self.bookmark.entries
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, in order of their keys.
    ///
    /// An item is an error when the shelf failed or a value is damaged; nothing follows it.
    pub fn iter(&self) -> impl Iterator<Item = Result<CatalogEntry, CatalogError>> {
        self.entries_after(None)
    }

    /// The entries whose record lies before `position` in the log, in order of their keys, from the first key
    /// after `after`: what must be written to the log again before it is trimmed up to `position`. Reads
    /// every entry on its way.
    ///
    /// An item is an error when the shelf failed or a value is damaged; nothing follows it.
    pub fn entries_before(
        &self,
        position: Position,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<CatalogEntry, CatalogError>> {
        self.entries_after(after)
            .filter(move |entry| entry.as_ref().map_or(true, |entry| entry.at < position))
    }

    /// Makes all `changes`, in their order, and moves to `up_to` (after [`Position::START`]); or none of it. The changes must be in the
    /// log already, and with them the store must have every change before `up_to`.
    ///
    /// # Errors
    /// When a key or value is over its limit: nothing was changed. When the shelf failed: the store is of
    /// no further use.
    pub fn apply(&mut self, changes: &[CatalogChange<'_>], up_to: Position) -> Result<(), CatalogError> {
        changes.iter().try_for_each(check_limits)?;
        let mut batch = ShelfBatch::default();
        let mut entries = self.bookmark.entries;
        let mut changed = HashMap::new();
        for &CatalogChange { key, value, at } in changes {
            let stored_key = stored::key_of(key);
            let was_there = match changed.insert(key, value.is_some()) {
                Some(was_there) => was_there,
                None => self.shelf.read(&stored_key)?.is_some(),
            };
            entries = entries + u64::from(value.is_some()) - u64::from(was_there);
            match value {
                Some(value) => batch.put(stored_key, stored::encode(key, value, at)),
                None => batch.remove(stored_key),
            }
        }
        self.write(batch, Bookmark { position: up_to, entries })
    }

    /// Removes everything; the log must be replayed from its start.
    ///
    /// # Errors
    /// When the shelf failed; the store is of no further use.
    pub fn clear(&mut self) -> Result<(), CatalogError> {
        while self.position() != Position::START || !self.is_empty() {
            let mut batch = ShelfBatch::default();
            let mut next = stored::FIRST_KEY.to_vec();
            let mut entries = self.bookmark.entries;
            for _ in 0..CLEAR_KEYS {
                let Some((key, _)) = self.shelf.next(&next)?.filter(|(key, _)| stored::is_entry(key)) else {
                    entries = 0;
                    break;
                };
                next = stored::after(&key);
                batch.remove(key);
                entries -= 1;
            }
            self.write(batch, Bookmark { position: Position::START, entries })?;
        }
        Ok(())
    }

    /// Waits until the operating system has what was applied, and returns [`Self::position`]: the log may be
    /// trimmed up to there as far as the catalog is concerned (see [`Self::entries_before`]). Until then the
    /// death of the process may bring back an older catalog.
    ///
    /// # Errors
    /// When the shelf failed; the store is of no further use.
    pub fn hand_over(&mut self) -> Result<Position, CatalogError> {
        self.shelf.hand_over()?;
        Ok(self.position())
    }

    /// Closes the store so that it is believed after any restart.
    ///
    /// # Errors
    /// When the shelf or the disk failed. If the machine keeps running, the store opens all the same.
    pub fn close(self) -> Result<(), CatalogError> {
        Ok(self.shelf.close()?)
    }

    fn check(&self) -> Result<(), CatalogError> {
        let mut entries = 0;
        for entry in self.iter() {
            entry?;
            entries += 1;
        }
        if entries == self.bookmark.entries {
            return Ok(());
        }
        Err(CatalogError::Damaged { place: "the keys".into(), why: "they are not as many as recorded" })
    }

    fn entries_after(
        &self,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<CatalogEntry, CatalogError>> {
        let first = after.map_or(stored::FIRST_KEY.to_vec(), |key| stored::after(&stored::key_of(key)));
        let mut next = Some(first);
        std::iter::from_fn(move || {
            let entry = self.entry_from(&next.take()?).transpose()?;
            next = entry.as_ref().ok().map(|entry| stored::after(&stored::key_of(&entry.key)));
            Some(entry)
        })
    }

    fn entry_from(&self, from: &[u8]) -> Result<Option<CatalogEntry>, CatalogError> {
        let Some((key, value)) = self.shelf.next(from)? else { return Ok(None) };
        let Some(key) = key.strip_prefix(&stored::FIRST_KEY) else { return Ok(None) };
        let (at, value) = stored::decode(key, &value)
            .map_err(|error| stored_error(error, || format!("key {}", key.escape_ascii())))?;
        Ok(Some(CatalogEntry { key: key.to_vec(), value: value.to_vec(), at }))
    }

    fn write(&mut self, mut batch: ShelfBatch, bookmark: Bookmark) -> Result<(), CatalogError> {
        batch.put(stored::BOOKMARK_KEY, bookmark.encode());
        self.shelf.write(batch)?;
        self.bookmark = bookmark;
        Ok(())
    }
}

fn check_limits(change: &CatalogChange<'_>) -> Result<(), CatalogError> {
    if change.key.len() > CATALOG_KEY_BYTES_MAX {
        return Err(CatalogError::KeyTooLong { bytes: change.key.len() });
    }
    let bytes = change.value.map_or(0, <[u8]>::len);
    if bytes > CATALOG_VALUE_BYTES_MAX {
        return Err(CatalogError::ValueTooLarge { bytes });
    }
    Ok(())
}

fn stored_error(error: StoredError, place: impl FnOnce() -> String) -> CatalogError {
    match error {
        StoredError::Damaged => {
            CatalogError::Damaged { place: place(), why: "its checksum or length does not match" }
        }
        StoredError::OtherVersion(found) => CatalogError::OtherVersion { found, known: stored::VERSION },
    }
}
