//! Carrying forward: a message that is pending for long is written again, so that its segment can go.
//!
//! Only deliveries are carried that no shard can hold before their new record is durable (the keeper picks
//! them, this checks again). So the log never says that a delivery is pending after it said that it ended.
//! They are carried a few at a time: publishers do not wait for old messages to be read.

use std::collections::VecDeque;

use posthaste_storage::Position;
use posthaste_storage::ledger::{Pending, Standing, Update};
use posthaste_storage::record::{Carried, Extras, Message, PendingDelivery, Record};

use super::{Block, Writer};
use crate::core::ids::MessageId;
use crate::keeper::{CARRY_MARGIN, Hold, LedgerUpdate};
use crate::keyring::key_of;
use crate::publish::OwnUrl;

/// Messages carried in one block.
const MESSAGES_MAX: usize = 256;
/// Bytes of a block at which no further message is carried.
const BLOCK_BYTES: usize = 1 << 20;
/// Deliveries carried with one copy of their message: with the largest payload they fit a record.
const DELIVERIES_MAX: usize = 10_000;

/// A message whose new record is in the block.
pub(super) struct StagedCarry {
    pending: Vec<Pending>,
    at: Position,
}

impl Writer {
    /// Stages the next messages that are to be carried.
    pub(super) fn stage_carrying(&mut self, block: &mut Block) {
        let Some(mut carrying) = self.state.carrying.take() else { return };
        for _ in 0..MESSAGES_MAX {
            if self.state.full || self.state.poisoned {
                // The next survey picks them again.
                carrying.clear();
            }
            if carrying.is_empty() {
                self.state.surveying = false;
                return;
            }
            if self.log.pending_bytes() >= BLOCK_BYTES {
                break;
            }
            let of_message = self.next_of_message(&mut carrying);
            if let Some(at) = self.carry(&of_message) {
                block.carried.push(StagedCarry { pending: of_message, at });
            }
        }
        self.state.carrying = Some(carrying);
    }

    /// Takes the deliveries of one message (they come sorted by it), and of those the ones that may be carried.
    fn next_of_message(&self, carrying: &mut VecDeque<Pending>) -> Vec<Pending> {
        let Some(&first) = carrying.front() else { return Vec::new() };
        let same =
            carrying.iter().take(DELIVERIES_MAX).take_while(|next| next.message == first.message).count();
        let late = (self.clock.now() + self.settings.horizon + CARRY_MARGIN).as_ms();
        let cancelled = self.state.cancelled.contains(MessageId(first.message));
        carrying.drain(..same).filter(|pending| pending.due_ms > late && !cancelled).collect()
    }

    /// `None` when the message stays where it is: there is nothing to carry, or it cannot be read.
    fn carry(&mut self, pending: &[Pending]) -> Option<Position> {
        let from = pending.first()?.message_at;
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
        let mut message = *owned.record().message()?;
        let (mut sealed, mut packed) = (None, Vec::new());
        if let Some(anew) = self.secret_anew(&message) {
            let sealed_url_secret = Some(sealed.insert(anew).as_slice());
            let extras = Extras { url_secret: None, sealed_url_secret, ..message.extras.unpack() };
            message.extras = extras.pack(&mut packed);
        }
        let carried = Record::Carried(Carried { message, pending: list.as_slice().into() });
        match self.log.append(&carried) {
            Ok(at) => Some(at),
            Err(error) => {
                tracing::error!(%error, "a message cannot be carried forward; its segment is kept");
                None
            }
        }
    }
}

impl Writer {
    /// The secret for the URL that a message brought along, sealed under the newest key, unless it is so already. One
    /// that cannot be opened stays as it is.
    fn secret_anew(&self, message: &Message<'_>) -> Option<Vec<u8>> {
        let extras = message.extras.unpack();
        if extras.sealed_url_secret.and_then(key_of) == Some(self.keyring.newest()) {
            return None;
        }
        let id = MessageId(message.id);
        OwnUrl::of(extras, id, &self.keyring).ok()??.sealed_secret(id, &self.keyring)
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
            hold: Hold::Nobody,
        })
    }
}
