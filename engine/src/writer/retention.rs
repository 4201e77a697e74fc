//! Retention: the oldest segment goes when it is too old or the log too large, and nobody needs it.
//!
//! Needed is a segment that holds the message of a pending delivery (the ledger knows, and the list of fresh
//! messages), or the only copy of a catalog entry. What is needed for long is carried forward: written again at
//! the end of the log. Segments go one at a time, whole, by unlinking them.

use std::time::Duration;

use posthaste_storage::catalog::CatalogError;
use posthaste_storage::log::{SegmentSummary, UnlinkError};
use tokio::time::Instant;

use super::{Block, Writer};
use crate::catalog::Change;
use crate::seam::{self, Bug};

/// A survey of the ledger reads all of it: it is not asked for more often than this.
const SURVEY_EVERY: Duration = Duration::from_secs(30);
/// Catalog entries written again in one block.
const CARRIED_MAX: usize = 1_000;
/// Bytes of catalog entries at which a block takes no more of them.
const CARRIED_BYTES_MAX: usize = 1 << 20;

impl Writer {
    pub(super) fn retain(&mut self) {
        let segments = self.log.segments();
        let bytes: u64 = segments.iter().map(|segment| u64::from(segment.bytes)).sum();
        self.metrics.log_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let [oldest, _, ..] = segments.as_slice() else { return };
        let surplus =
            bytes.saturating_sub(self.settings.retention_bytes).div_ceil(self.settings.segment_bytes.max(1));
        let old = segments.windows(2).take_while(|pair| self.is_too_old(&pair[0], &pair[1])).count();
        let in_the_way = old.max(usize::try_from(surplus).unwrap_or(usize::MAX)).min(segments.len() - 1);
        if in_the_way == 0 {
            return;
        }
        let (segment, last) = (oldest.number, segments[in_the_way - 1].number);
        if self.low_water().segment <= segment || !self.is_unneeded_by_ledger(segment, last) {
            return;
        }
        match self.carry_catalog(segment) {
            Ok(true) => self.unlink(segment),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the catalog's copy failed; the log is kept"),
        }
    }

    /// As old as its newest id; if it has none, as the segment that follows.
    fn is_too_old(&self, segment: &SegmentSummary, next: &SegmentSummary) -> bool {
        let newest_ms = segment.last_id.map_or(next.created_ms, |id| id.ms());
        let age = Duration::from_millis(self.clock.now().as_ms().saturating_sub(newest_ms));
        age > self.settings.retention_age
    }

    /// Whether the last survey says so; if it does not, perhaps another is asked for.
    fn is_unneeded_by_ledger(&mut self, segment: u32, in_the_way: u32) -> bool {
        // The survey counts the ledger and the fresh messages of its time; what is published later lies in later
        // segments. So its answer holds for every segment before its end, for ever.
        if seam::is_planted(Bug::RemoveNeeded) {
            return true;
        }
        let surveyed = self.keeper_progress.surveyed_at().segment > segment;
        if surveyed && self.keeper_progress.oldest_segment() > segment {
            return true;
        }
        let is_time = self.state.surveyed.is_none_or(|at| at.elapsed() >= SURVEY_EVERY);
        if is_time && !self.state.surveying {
            self.state.surveyed = Some(Instant::now());
            self.state.survey = Some(in_the_way);
            self.state.surveying = true;
        }
        false
    }

    /// Writes again the catalog entries whose record lies in this segment. `true` once there are none left.
    fn carry_catalog(&mut self, segment: u32) -> Result<bool, CatalogError> {
        if self.state.catalog_failed {
            return Ok(false);
        }
        let changes = self.catalog_entries_up_to(segment)?;
        if changes.is_empty() {
            // Removals in this segment must not come back with an older copy.
            self.catalog.apply(&[], self.log.end())?;
            self.catalog.hand_over()?;
            return Ok(true);
        }
        let mut block = Block::default();
        self.stage_changes(changes, None, &mut block);
        self.commit(block);
        Ok(false)
    }

    /// Some of the entries in this segment or before. Reads the whole catalog, but not again before a segment
    /// comes that has any: entries only move to later ones.
    fn catalog_entries_up_to(&mut self, segment: u32) -> Result<Vec<Change>, CatalogError> {
        let mut changes = Vec::new();
        if self.state.catalog_from > segment {
            return Ok(changes);
        }
        let mut bytes = 0;
        let mut from = self.log.end().segment;
        for entry in self.catalog.iter() {
            let entry = entry?;
            from = from.min(entry.at.segment);
            if entry.at.segment <= segment {
                bytes += entry.key.len() + entry.value.len();
                changes.push(Change { key: entry.key, value: Some(entry.value) });
            }
            if changes.len() >= CARRIED_MAX || bytes >= CARRIED_BYTES_MAX {
                return Ok(changes);
            }
        }
        self.state.catalog_from = from;
        Ok(changes)
    }

    fn unlink(&mut self, segment: u32) {
        match self.log.unlink(segment) {
            Ok(()) => tracing::info!(segment, "a log segment was removed"),
            Err(error @ UnlinkError::Poisoned { .. }) => self.stop_accepting(&error),
            Err(error) => tracing::error!(segment, %error, "a log segment could not be removed"),
        }
    }
}
