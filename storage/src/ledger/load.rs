//! Loading: handing out what falls due soon, as the wheel turns.
//!
//! A cursor moves over the chunks in order of their due minute. What it has passed is in a shard's hands;
//! what it has not passed is known here only.
//!
//! Invariants
//! - Every delivery due before [`Ledger::loaded_until`] was handed out, or was never forgotten.
//! - No delivery is handed out twice, unless it was forgotten anew in between.

use super::chunk::{self, ChunkKey};
use super::pending::MINUTE_MS;
use super::{Ledger, LedgerError, Pending};

impl Ledger {
    /// Hands out the deliveries that fall due up to `until_ms` (unix milliseconds) and were not handed out
    /// yet, those of the earliest minute first. The caller's shard holds them from here on.
    ///
    /// Deliveries are kept by the minute, so it may be up to a minute more than was asked for. It stops
    /// once there are `entries_max` or more (at most a chunk more); [`Self::loaded_until`] says how far it
    /// came, and the next call goes on from there.
    ///
    /// # Errors
    /// When the shelf failed or a chunk is damaged; nothing was handed out by this call, and the ledger is of no further
    /// use.
    pub fn load(&mut self, until_ms: u64, entries_max: usize) -> Result<Vec<Pending>, LedgerError> {
        self.unless_failed(|ledger| ledger.load_minutes(until_ms / MINUTE_MS, entries_max))
    }

    /// Every delivery due before this (unix milliseconds) is in a shard's hands. A shard may forget those
    /// that are due at this time or later.
    pub fn loaded_until(&self) -> u64 {
        self.cursor.minute.saturating_mul(MINUTE_MS)
    }

    fn load_minutes(&mut self, last_minute: u64, entries_max: usize) -> Result<Vec<Pending>, LedgerError> {
        let mut out = self.young.hand_out(self.loaded_until(), entries_max);
        while self.cursor.minute <= last_minute && out.len() < entries_max {
            let chunk = match self.chunk_from(self.cursor) {
                // What was found so far is on its way to the shards; the next call meets the error, and loses nothing.
                Err(_) if !out.is_empty() => break,
                chunk => chunk?.filter(|(key, _)| key.minute <= last_minute),
            };
            let minute = chunk.as_ref().map_or(last_minute + 1, |(key, _)| key.minute);
            out.extend(self.young.hand_out(minute.saturating_mul(MINUTE_MS), entries_max - out.len()));
            if out.len() >= entries_max {
                // There may be more young ones before this chunk: the cursor must not pass them.
                break;
            }
            self.cursor = match chunk {
                Some((key, entries)) => {
                    self.load_chunk(key, entries, &mut out);
                    key.next()
                }
                None => ChunkKey { minute, number: 0 },
            };
        }
        Ok(out)
    }

    fn load_chunk(&mut self, key: ChunkKey, mut entries: Vec<Pending>, out: &mut Vec<Pending>) {
        if self.loaded.contains_chunk(key.number) {
            return; // written from deliveries that a shard held
        }
        let stored = entries.len();
        entries.retain(|entry| self.counts(key.number, entry));
        self.loaded.insert(key, stored, entries.iter().map(Pending::key));
        out.extend(entries);
    }

    /// Whether this entry of a chunk is the one that counts for its delivery.
    pub(super) fn counts(&self, chunk_number: u64, entry: &Pending) -> bool {
        let key = entry.key();
        if self.loaded.contains_chunk(chunk_number) {
            return self.loaded.counts_in(&key, chunk_number);
        }
        // A safeguard: overrides say so already, if every caller told the truth about who held what.
        let elsewhere = self.young.contains(&key) || self.loaded.contains(&key);
        !elsewhere && !self.overrides.is_stale(&key, chunk_number)
    }

    /// The first chunk at or after `from`, with its entries, stale ones included.
    pub(super) fn chunk_from(&self, from: ChunkKey) -> Result<Option<(ChunkKey, Vec<Pending>)>, LedgerError> {
        let Some((key, value)) = self.shelf.next(&from.to_bytes())? else { return Ok(None) };
        // What follows the last chunk is the bookmark.
        let Some(key) = ChunkKey::from_bytes(&key) else { return Ok(None) };
        Ok(Some((key, decode(key, &value)?)))
    }
}

/// The entries of the chunk stored under `key`.
pub(super) fn decode(key: ChunkKey, value: &[u8]) -> Result<Vec<Pending>, LedgerError> {
    chunk::decode(key, value).map_err(|why| damaged(key, why))
}

pub(super) fn damaged(key: ChunkKey, why: &'static str) -> LedgerError {
    LedgerError::Damaged { place: format!("chunk {} of minute {}", key.number, key.minute), why }
}
