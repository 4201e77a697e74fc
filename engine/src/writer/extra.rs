//! Extra deliveries: of messages that were accepted long ago. Somebody wants one sent again, or the endpoint before
//! in a chain let the message through.
//!
//! The record is that of a delivery which the ledger takes without an attempt, due now; so a replay finds it pending
//! like any other.

use posthaste_storage::Position;
use posthaste_storage::ledger::{Standing, Update};
use posthaste_storage::record::{Parked as ParkedRecord, Record};
use tokio::sync::oneshot;

use super::{Block, Writer};
use crate::catalog::CommitError;
use crate::core::delivery::{DeliveryKey, Marks, Progress};
use crate::core::ids::ApplicationId;
use crate::core::shard::{Home, Incoming};
use crate::keeper::{DUE_MS_ORDERED, Hold, LedgerUpdate};
use crate::shard::ShardBatches;

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtraDelivery {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Whose message it is.
    pub application: ApplicationId,
    /// Where the message stands in the log.
    pub message_at: Position,
    /// No attempts, and what is special about it.
    pub progress: Progress,
    /// See [`Incoming::lane`].
    pub lane: u64,
    /// Whether it was pending already, and is only to be attempted now.
    pub was_pending: bool,
}

/// Whom to tell how many of the deliveries are on record; not those whose messages are gone.
pub(crate) type ExtraReply = oneshot::Sender<Result<usize, CommitError>>;

/// An extra delivery whose record is in the block.
pub(super) struct StagedExtra {
    delivery: ExtraDelivery,
    at: Position,
}

/// What was asked for together is answered together.
pub(super) struct ExtraAnswer {
    reply: ExtraReply,
    count: usize,
}

impl Writer {
    /// Stages deliveries that somebody asked for.
    pub(super) fn stage_extras(
        &mut self,
        mut deliveries: Vec<ExtraDelivery>,
        reply: ExtraReply,
        block: &mut Block,
    ) {
        self.make_room(deliveries.len() * RECORD_BYTES_MAX, block);
        let refusal = match (self.state.poisoned, self.state.full) {
            (true, _) => Some(CommitError::Poisoned),
            (false, true) => Some(CommitError::Full),
            (false, false) => None,
        };
        if let Some(refusal) = refusal {
            // Whoever asked may have gone; then there is nobody to tell.
            let _ = reply.send(Err(refusal));
            return;
        }
        // Retention may have come between whoever looked the messages up and here.
        let first = self.log.segments().first().map_or(0, |segment| segment.number);
        deliveries.retain(|delivery| delivery.message_at.segment >= first);
        let (mut all, count) = (true, deliveries.len());
        for delivery in deliveries {
            // Taken back before, and wanted again.
            self.state.cancelled.remove(delivery.key.message);
            all &= self.stage_extra(delivery, block);
        }
        if all {
            block.extra_answers.push(ExtraAnswer { reply, count });
        } else {
            // Nobody is told that all is well. Those that are staged are made all the same: once too often at most.
            let _ = reply.send(Err(CommitError::Full));
        }
    }

    /// Whether the block took it; if not, that has been logged.
    pub(super) fn stage_extra(&mut self, delivery: ExtraDelivery, block: &mut Block) -> bool {
        let record = ParkedRecord {
            message: delivery.key.message.0,
            application: delivery.application.as_u64(),
            endpoint: delivery.key.endpoint.as_u64(),
            attempts: delivery.progress.to_u16(),
            due_ms: delivery.ledger_due_ms(self.clock.now().as_ms()),
            message_at: delivery.message_at,
        };
        match self.log.append(&Record::Parked(record)) {
            Ok(at) => block.extras.push(StagedExtra { delivery, at }),
            Err(error) => {
                tracing::error!(%error, "an extra delivery cannot be stored");
                return false;
            }
        }
        true
    }

    /// Hands a durable one to its shard. Returns what follows for the ledger.
    pub(super) fn tell_extra(
        &mut self,
        StagedExtra { delivery, at }: StagedExtra,
        batches: &mut ShardBatches,
    ) -> LedgerUpdate {
        if !delivery.was_pending {
            self.metrics.pending.inc();
            self.state.ages.add(delivery.key.message.0, 1);
        }
        let due = self.clock.now();
        // The keeper hears of it later: until then its segment may not go.
        self.keeper_progress.needs(delivery.message_at.segment);
        let incoming = Incoming {
            key: delivery.key,
            application: delivery.application,
            message_at: delivery.message_at,
            progress: delivery.progress,
            due,
            lane: delivery.lane,
            home: Home::Ledger,
            replaces: delivery.was_pending,
            body: None,
        };
        self.state.hand_out(batches, &self.shards, incoming);
        let update = Update {
            message: delivery.key.message.0,
            endpoint: delivery.key.endpoint.as_u64(),
            at,
            to: Standing::Pending {
                application: delivery.application.as_u64(),
                message_at: delivery.message_at,
                attempts: delivery.progress.to_u16(),
                due_ms: delivery.ledger_due_ms(due.as_ms()),
                forgotten: false,
            },
        };
        LedgerUpdate { update, hold: Hold::OutOfTurn }
    }
}

impl ExtraDelivery {
    /// When the ledger is to hand it out, if it is due now.
    fn ledger_due_ms(&self, now_ms: u64) -> u64 {
        if self.progress.marks.has(Marks::ORDERED) { DUE_MS_ORDERED } else { now_ms }
    }
}

/// At least what the record of an extra delivery takes in a block.
const RECORD_BYTES_MAX: usize = 128;

impl ExtraAnswer {
    pub(super) fn tell(self, answer: Result<(), CommitError>) {
        // Whoever asked may have gone; then there is nobody to tell.
        let _ = self.reply.send(answer.map(|()| self.count));
    }
}
