//! Flushing: bringing the shelf up to date with what is in memory.
//!
//! The log can be replayed, so the shelf need not be right about everything; it must only be right about
//! what the replay will not tell. With Q the position up to which updates are applied:
//!
//! - A delivery whose updates all lie before Q is on the shelf exactly as the last of them says.
//! - A delivery with an update at or after Q may be on the shelf in any state: the replay brings that update,
//!   and it overrides whatever is there.
//!
//! So a large flush may be written as several batches in any order, as long as only the last one moves Q.
//! And Q may not pass an update that is in memory only: that of a young delivery, or of an override.

use std::collections::BTreeMap;

use super::chunk::{self, ChunkKey};
use super::load::{damaged, decode};
use super::young::Recent;
use super::{Ledger, LedgerError, Pending, bookmark};
use crate::Position;
use crate::shelf::{ShelfBatch, VALUE_BYTES_MAX};

/// Bytes after which a batch is written. sled copies a batch several times on its way.
const BATCH_BYTES_MAX: usize = 4 * VALUE_BYTES_MAX;

impl Ledger {
    /// Brings the shelf up to date, if it is time (see [`LedgerOptions`]). Returns whether anything was
    /// written. Cheap when it is not time, so call it often: at least once a second, and whenever
    /// [`Self::wants_flush`].
    ///
    /// `low_water` is the position of the oldest message of which some delivery was never reported here and
    /// is not settled either: it is known from the log only. `end` is a position before which every update
    /// in the log was applied.
    ///
    /// # Errors
    /// When the shelf failed or a chunk is damaged; the ledger is of no further use.
    ///
    /// [`LedgerOptions`]: super::LedgerOptions
    pub fn flush(&mut self, now_ms: u64, low_water: Position, end: Position) -> Result<bool, LedgerError> {
        self.unless_failed(|ledger| {
            // A clock that was set back must not stop the flushes.
            let is_due = now_ms.abs_diff(ledger.flushed_ms) >= ledger.options.flush_every_ms;
            if !is_due && !ledger.wants_flush() {
                return Ok(false);
            }
            ledger.flushed_ms = now_ms;
            let full = ledger.young.len() >= ledger.options.young_max;
            let keep = if full { ledger.options.young_max / 2 } else { usize::MAX };
            let old = ledger.young.take_old(now_ms, ledger.options.flush_after_ms, keep);
            ledger.write_out(old, low_water, end)
        })
    }

    /// Whether memory asks for a flush, however short ago the last one was.
    pub fn wants_flush(&self) -> bool {
        self.young.len() >= self.options.young_max || self.overrides.len() >= self.options.overrides_max
    }

    /// Flushes everything and closes the ledger so that it is believed after any restart. The next open
    /// replays what fresh deliveries and unfinished sweeps ask for, and else nothing.
    ///
    /// # Errors
    /// When the shelf or the disk failed. If the machine keeps running, the ledger opens all the same.
    pub fn close(mut self, low_water: Position, end: Position) -> Result<(), LedgerError> {
        self.unless_failed(|ledger| {
            let all = ledger.young.take_old(0, 0, 0);
            ledger.write_out(all, low_water, end)
        })?;
        Ok(self.shelf.close()?)
    }

    fn write_out(
        &mut self,
        old: Vec<Recent>,
        low_water: Position,
        end: Position,
    ) -> Result<bool, LedgerError> {
        let before = self.bookmark;
        let mut batch = ShelfBatch::default();
        self.sweep(&mut batch)?;
        self.rewrite_dirty(&mut batch)?;
        self.shelve(old, &mut batch)?;
        let only_here = self.young.oldest().into_iter().chain(self.overrides.oldest());
        self.bookmark.applied_to = only_here.fold(end, Position::min).max(before.applied_to);
        self.bookmark.replay_from = low_water.min(self.bookmark.applied_to);
        if batch.is_empty() && self.bookmark == before {
            return Ok(false);
        }
        self.write(batch)?;
        Ok(true)
    }

    /// Drops stale entries from a few chunks, or from all when there are too many overrides.
    fn sweep(&mut self, batch: &mut ShelfBatch) -> Result<(), LedgerError> {
        let Some(mut next) = self.overrides.round() else { return Ok(()) };
        let too_many = self.overrides.len() >= self.options.overrides_max;
        let chunks = if too_many { usize::MAX } else { self.options.sweep_chunks };
        for _ in 0..chunks {
            // What the cursor has passed was sifted when it was loaded.
            let Some((key, entries)) = self.chunk_from(next.max(self.cursor))? else {
                self.overrides.end_round();
                return Ok(());
            };
            next = key.next();
            if !self.loaded.contains_chunk(key.number) {
                self.keep_what_counts(key, entries, batch)?;
            }
        }
        self.overrides.rest_at(next);
        Ok(())
    }

    /// Rewrites the loaded chunks that lost deliveries, and removes those that lost all.
    fn rewrite_dirty(&mut self, batch: &mut ShelfBatch) -> Result<(), LedgerError> {
        while let Some((key, was)) = self.loaded.take_dirty() {
            if was.live == 0 {
                self.bookmark.entries -= was.stored as u64;
                batch.remove(key.to_bytes());
                continue;
            }
            let value = self.shelf.read(&key.to_bytes())?.ok_or_else(|| damaged(key, "it is missing"))?;
            let kept = self.keep_what_counts(key, decode(key, &value)?, batch)?;
            if kept != was.live {
                return Err(damaged(key, "it lost entries"));
            }
        }
        Ok(())
    }

    /// Rewrites a chunk with those of its entries that count. Returns how many do.
    fn keep_what_counts(
        &mut self,
        key: ChunkKey,
        mut entries: Vec<Pending>,
        batch: &mut ShelfBatch,
    ) -> Result<usize, LedgerError> {
        let stored = entries.len();
        entries.retain(|entry| self.counts(key.number, entry));
        if entries.len() == stored {
            return Ok(stored);
        }
        self.bookmark.entries -= (stored - entries.len()) as u64;
        if entries.is_empty() {
            batch.remove(key.to_bytes());
        } else {
            batch.put(key.to_bytes(), chunk::encode(key, &entries));
        }
        self.write_if_large(batch)?;
        Ok(entries.len())
    }

    /// Packs deliveries into new chunks. Those that a shard holds get chunks of their own, loaded already.
    fn shelve(&mut self, old: Vec<Recent>, batch: &mut ShelfBatch) -> Result<(), LedgerError> {
        let mut groups: BTreeMap<(u64, bool), Vec<Pending>> = BTreeMap::new();
        for Recent { pending, held, .. } in old {
            groups.entry((pending.minute(), held)).or_default().push(pending);
        }
        for ((minute, held), mut entries) in groups {
            // Neighbours in time are settled together, so that fewer chunks are rewritten by each flush.
            entries.sort_unstable_by_key(|entry| entry.due_ms);
            for entries in entries.chunks(usize::from(self.options.chunk_entries_max)) {
                self.shelve_chunk(minute, held, entries, batch);
                self.write_if_large(batch)?;
            }
        }
        Ok(())
    }

    fn shelve_chunk(&mut self, minute: u64, held: bool, entries: &[Pending], batch: &mut ShelfBatch) {
        let key = ChunkKey { minute, number: self.bookmark.next_chunk };
        self.bookmark.next_chunk += 1;
        self.bookmark.entries += entries.len() as u64;
        let newest = entries.iter().map(|entry| entry.message).max();
        self.bookmark.newest_message = self.bookmark.newest_message.max(newest.unwrap_or_default());
        batch.put(key.to_bytes(), chunk::encode(key, entries));
        if held {
            self.loaded.insert(key, entries.len(), entries.iter().map(Pending::key));
        } else {
            // Only a replay after a load can bring deliveries that the cursor has passed: it goes back.
            self.cursor = self.cursor.min(key);
        }
    }

    /// Writes a part of a flush. The bookmark still has the old Q then, so that a crash after it is harmless.
    fn write_if_large(&mut self, batch: &mut ShelfBatch) -> Result<(), LedgerError> {
        if batch.bytes() < BATCH_BYTES_MAX {
            return Ok(());
        }
        self.write(std::mem::take(batch))
    }

    fn write(&mut self, mut batch: ShelfBatch) -> Result<(), LedgerError> {
        batch.put(bookmark::KEY, self.bookmark.encode());
        Ok(self.shelf.write(batch)?)
    }
}
