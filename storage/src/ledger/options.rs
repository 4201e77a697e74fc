//! What the ledger may cost, and how eager it is.

use super::LedgerError;
use super::chunk::CHUNK_ENTRIES_MAX;

/// What the ledger may cost, and how eager it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerOptions {
    /// Bytes that sled's cache takes, about.
    pub cache_bytes: u64,
    /// How old an update must be, in milliseconds, before it is worth a place on the shelf. Longer saves
    /// work for deliveries that are retried and settled soon; it also lengthens the replay after a crash.
    pub flush_after_ms: u64,
    /// The least time between two flushes, in milliseconds, unless memory asks for one. Each flush rewrites
    /// every chunk that lost a delivery since the last.
    pub flush_every_ms: u64,
    /// Updates kept in memory before they go to the shelf early; at least 2.
    pub young_max: usize,
    /// Overrides kept in memory before a flush sweeps all chunks for them at once; at least 1.
    pub overrides_max: usize,
    /// Deliveries in one chunk; from 1 to 512.
    pub chunk_entries_max: u16,
    /// Chunks that one flush sweeps for overrides; at least 1.
    pub sweep_chunks: usize,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            flush_after_ms: 10_000,
            flush_every_ms: 5_000,
            young_max: 200_000,
            overrides_max: 1_000_000,
            chunk_entries_max: CHUNK_ENTRIES_MAX,
            sweep_chunks: 256,
        }
    }
}

impl LedgerOptions {
    /// # Errors
    /// Names the first option that is out of its range.
    pub(crate) fn check(&self) -> Result<(), LedgerError> {
        let largest = u64::from(CHUNK_ENTRIES_MAX);
        let ranges = [
            ("young_max", self.young_max as u64, 2, u64::MAX),
            ("overrides_max", self.overrides_max as u64, 1, u64::MAX),
            ("chunk_entries_max", u64::from(self.chunk_entries_max), 1, largest),
            ("sweep_chunks", self.sweep_chunks as u64, 1, u64::MAX),
        ];
        for (option, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                return Err(LedgerError::OptionOutOfRange { option, value, min, max });
            }
        }
        Ok(())
    }
}
