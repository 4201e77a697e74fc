//! Upkeep: what the writer looks after between blocks. Free space, the place from which a recovery would read the
//! log, and that ledger and catalog keep up with it.

use posthaste_storage::Position;
use posthaste_storage::catalog::CatalogChange;
use tokio::time::Instant;

use super::{HOUSEKEEPING, SPACE_CHECK, Writer};
use crate::core::ids::MessageId;
use crate::keeper::{LedgerBatch, LedgerUpdate};

impl Writer {
    pub(super) fn check_space(&mut self) {
        if self.state.space_checked.is_some_and(|at| at.elapsed() < SPACE_CHECK) {
            return;
        }
        self.state.space_checked = Some(Instant::now());
        let blocked = self.state.blocked_until.is_some_and(|until| Instant::now() < until);
        let available_bytes = (self.available_bytes)();
        self.metrics.disk_available.set(i64::try_from(available_bytes).unwrap_or(i64::MAX));
        let full = blocked || available_bytes < self.settings.reserve_bytes;
        if full != self.state.full {
            match full {
                true => tracing::error!(
                    reserve_bytes = self.settings.reserve_bytes,
                    "free space is below storage.reserve_bytes: publishers are refused until there is more"
                ),
                false => tracing::info!("there is space again: publishers are accepted"),
            }
        }
        self.set_full(full);
    }

    pub(super) fn set_full(&mut self, full: bool) {
        self.state.full = full;
        self.state.nothing_fits &= full;
        self.metrics.disk_full.set(full.into());
        self.readiness.set_full(full);
    }

    pub(super) fn housekeep(&mut self) {
        if self.state.housekept.is_some_and(|at| at.elapsed() < HOUSEKEEPING) {
            return;
        }
        self.state.housekept = Some(Instant::now());
        self.send_to_keeper(Vec::new(), Vec::new());
        self.bound_replay();
        self.note_oldest();
        // The catalog rarely changes: its place in the log would fall behind, and a recovery begins there.
        if self.catalog.position().segment < self.log.end().segment {
            self.move_catalog();
        }
        if !self.state.poisoned {
            self.retain();
        }
    }

    /// Says in the catalog's copy that it has every change up to the end of the log.
    pub(super) fn move_catalog(&mut self) {
        if self.log.end() > self.catalog.position() {
            self.apply_to_catalog(&[]);
        }
    }

    pub(super) fn apply_to_catalog(&mut self, changes: &[CatalogChange<'_>]) {
        if self.state.catalog_failed {
            return;
        }
        if let Err(error) = self.catalog.apply(changes, self.log.end()) {
            // The log has the changes, and keeps them: the copy stays behind until the next start completes it.
            self.state.catalog_failed = true;
            tracing::error!(%error, "the catalog's copy failed; it is completed at the next start");
        }
    }

    pub(super) fn note_oldest(&self) {
        let oldest_ms = self.state.ages.oldest_ms().unwrap_or(0);
        self.metrics.oldest_pending.set((oldest_ms / 1_000) as i64);
    }

    /// The oldest record a recovery must read because only the log has it.
    pub(super) fn low_water(&self) -> Position {
        self.state.fresh.oldest().unwrap_or_else(|| self.log.end())
    }

    pub(super) fn send_to_keeper(
        &mut self,
        updates: Vec<LedgerUpdate>,
        cancelled: Vec<(MessageId, Position)>,
    ) {
        let survey = std::mem::take(&mut self.state.survey);
        if survey.is_some() {
            // What was noted as needed is in this batch, or in one before it.
            self.keeper_progress.asks();
        }
        let batch =
            LedgerBatch { updates, cancelled, low_water: self.low_water(), end: self.log.end(), survey };
        // Blocks while the keeper is far behind: then the disk is the limit, for publishers too.
        if self.keeper.send(batch).is_err() && !self.state.stopping {
            tracing::error!("the ledger's thread has ended; the log alone remembers what is pending");
        }
    }

    /// Deliveries that wait in queues for long hold up the place from which a recovery replays the log.
    /// Beyond the configured amount they are handed to the ledger.
    fn bound_replay(&mut self) {
        let (oldest, end) = (self.low_water(), self.log.end());
        let bytes =
            u64::from(end.segment - oldest.segment) * self.settings.segment_bytes + u64::from(end.offset);
        // Asking again before the oldest has moved past what was asked for last would change nothing.
        if bytes > self.settings.replay_bytes_max && self.state.remembered_before <= oldest {
            self.state.remembered_before = end;
            self.shards.remember_before(end);
        }
    }
}
