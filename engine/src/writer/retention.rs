//! Retention: the oldest segment goes when it is too old or the log too large, and nobody needs it.
//!
//! Needed is a segment that holds the message of a pending delivery (the ledger knows, and the list of fresh
//! messages), or the only copy of a catalog entry. What is needed for long is carried forward: written again at
//! the end of the log. Segments go one at a time, whole, by unlinking them.

use std::time::{Duration, Instant};

use posthaste_storage::Position;
use posthaste_storage::catalog::CatalogError;

use super::{Block, Writer};
use crate::catalog::Change;

/// A survey of the ledger reads all of it: it is not asked for more often than this.
const SURVEY_EVERY: Duration = Duration::from_secs(30);
/// Catalog entries written again in one block.
const CARRIED_MAX: usize = 1_000;

impl Writer {
    pub(super) fn retain(&mut self) {
        let segments = self.log.segments();
        let bytes: u64 = segments.iter().map(|segment| u64::from(segment.bytes)).sum();
        self.metrics.log_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let [oldest, next, ..] = segments.as_slice() else { return };
        let age = Duration::from_millis(self.clock.now().as_ms().saturating_sub(next.created_ms));
        if age <= self.settings.retention_age && bytes <= self.settings.retention_bytes {
            return;
        }
        let segment = oldest.number;
        let surplus =
            bytes.saturating_sub(self.settings.retention_bytes) / self.settings.segment_bytes.max(1);
        let in_the_way = segment + u32::try_from(surplus).unwrap_or(u32::MAX - segment);
        if self.low_water().segment <= segment || !self.is_unneeded_by_ledger(segment, in_the_way) {
            return;
        }
        match self.carry_catalog(segment) {
            Ok(true) => self.unlink(segment),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the catalog's copy failed; the log is kept"),
        }
    }

    /// Whether the last survey says so; if it does not, perhaps another is asked for.
    fn is_unneeded_by_ledger(&mut self, segment: u32, in_the_way: u32) -> bool {
        // The survey counts the ledger and the fresh messages of its time; what is published later lies in later
        // segments. So its answer holds for every segment before its end, for ever.
        let surveyed = self.keeper_progress.surveyed_at().segment > segment;
        if surveyed && self.keeper_progress.oldest_segment() > segment {
            return true;
        }
        if self.state.surveyed.is_none_or(|at| at.elapsed() >= SURVEY_EVERY) {
            self.state.surveyed = Some(Instant::now());
            self.state.survey = Some(in_the_way);
            self.state.cancelled_since_survey.clear();
        }
        false
    }

    /// Writes again the catalog entries whose record lies in this segment. `true` once there are none left.
    fn carry_catalog(&mut self, segment: u32) -> Result<bool, CatalogError> {
        let after = Position { segment: segment + 1, offset: 0 };
        let entries = self.catalog.entries_before(after, None).take(CARRIED_MAX);
        let changes =
            entries.map(|entry| entry.map(|entry| Change { key: entry.key, value: Some(entry.value) }));
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        if changes.is_empty() {
            // Removals in this segment must not come back with an older copy.
            self.catalog.apply(&[], self.log.end())?;
            self.catalog.hand_over()?;
            return Ok(true);
        }
        let mut block = Block::default();
        self.stage_change(changes, None, &mut block);
        self.commit(block);
        Ok(false)
    }

    fn unlink(&mut self, segment: u32) {
        match self.log.unlink(segment) {
            Ok(()) => tracing::info!(segment, "a log segment was removed"),
            Err(error) => tracing::error!(segment, %error, "a log segment could not be removed"),
        }
    }
}
