//! Carrying forward: a message that is pending for long is written again, so that its segment can go.
//!
//! Only deliveries are carried that no shard can hold before their new record is durable (the keeper picks
//! them, this checks again). So the log never says that a delivery is pending after it said that it ended.

use posthaste_storage::Position;
use posthaste_storage::ledger::{Pending, Standing, Update};
use posthaste_storage::record::{Carried, PendingDelivery, Record};

use super::{Block, Writer};
use crate::core::ids::MessageId;
use crate::keeper::{CARRY_MARGIN, LedgerUpdate};

/// A message whose new record is in the block.
pub(super) struct StagedCarry {
    pending: Vec<Pending>,
    at: Position,
}

impl Writer {
    /// Stages the messages of these deliveries, which come sorted by message.
    pub(super) fn stage_carried(&mut self, pending: Vec<Pending>, block: &mut Block) {
        let late = (self.clock.now() + self.settings.horizon + CARRY_MARGIN).as_ms();
        for of_message in pending.chunk_by(|a, b| a.message == b.message) {
            let cancelled = self.state.cancelled_since_survey.contains(&MessageId(of_message[0].message));
            let of_message: Vec<Pending> =
                of_message.iter().filter(|pending| pending.due_ms > late && !cancelled).copied().collect();
            if of_message.is_empty() || self.state.full || self.state.poisoned {
                continue;
            }
            if let Some(at) = self.carry(&of_message) {
                block.carried.push(StagedCarry { pending: of_message, at });
            }
        }
    }

    /// `None` when the message stays where it is: the block is full, or it cannot be read. The next survey tries
    /// again.
    fn carry(&mut self, pending: &[Pending]) -> Option<Position> {
        let from = pending[0].message_at;
        let owned = match self.log.reader().record_at(from) {
            Ok(owned) => owned?,
            Err(error) => {
                tracing::error!(%error, "a message cannot be carried forward; its segment is kept");
                return None;
            }
        };
        let list: Vec<PendingDelivery> = pending
            .iter()
            .map(|pending| PendingDelivery {
                endpoint: pending.endpoint,
                attempts: pending.attempts,
                due_ms: pending.due_ms,
            })
            .collect();
        let message = *owned.record().message()?;
        self.log.append(&Record::Carried(Carried { message, pending: list.as_slice().into() })).ok()
    }
}

impl StagedCarry {
    /// What follows for the ledger.
    pub(super) fn updates(self) -> impl Iterator<Item = LedgerUpdate> {
        let at = self.at;
        self.pending.into_iter().map(move |pending| LedgerUpdate {
            update: Update {
                message: pending.message,
                endpoint: pending.endpoint,
                at,
                to: Standing::Pending {
                    application: pending.application,
                    message_at: at,
                    attempts: pending.attempts,
                    due_ms: pending.due_ms,
                    forgotten: true,
                },
            },
            held: false,
        })
    }
}
