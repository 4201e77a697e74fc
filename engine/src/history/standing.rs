//! Where the deliveries of one message stand, out of all that the log says about it.
//!
//! The last word about a delivery is the last record that speaks of it: an attempt, a settlement, a move into the
//! ledger, a copy of the message that was carried forward. Until there is one, it is the message itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Message, OwnedRecord, Record};
use posthaste_storage::{EntryId, Position};

use crate::api::{LastAttempt, StoredDelivery};
use crate::core::delivery::{DeliveryState, Progress};
use crate::core::ids::{AttemptId, EndpointId};
use crate::core::outcome::Outcome;

/// A delivery, and who says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stands {
    pub(super) delivery: StoredDelivery,
    pub(super) last: Option<LastAttempt>,
    /// Where the record lies that has the last word.
    pub(super) at: Position,
}

/// A message, and where its deliveries stand.
pub(crate) struct Standing {
    /// `None` when it is gone, and only attempts of it are left.
    message: Option<(Position, OwnedRecord)>,
    pub(super) deliveries: BTreeMap<u64, Stands>,
    taken_back: bool,
}

impl Standing {
    /// As the records before `before` say it. `message_at` is where the message may lie, if that is known.
    pub(crate) fn read(
        reader: &LogReader,
        id: EntryId,
        message_at: Option<Position>,
        before: Position,
    ) -> Result<Self, ReadError> {
        let found = find_message(reader, id, message_at)?;
        let mut standing = Self { message: None, deliveries: BTreeMap::new(), taken_back: false };
        if let Some((at, owned)) = found {
            if let Record::Message(message) = owned.record() {
                standing.begin(at, &message);
            }
            standing.message = Some((at, owned));
        }
        reader.records_about(id, before, |at, record| {
            standing.advance(at, &record);
            ControlFlow::Continue(())
        })?;
        Ok(standing)
    }

    /// How the delivery to this endpoint stands; `None` if there was never one.
    pub(crate) fn state(&self, endpoint: EndpointId) -> Option<DeliveryState> {
        self.deliveries.get(&endpoint.as_u64()).map(|stands| stands.delivery.state)
    }

    /// Whether the producer took the message back while something of it was pending.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.taken_back
    }

    /// The message in its record, new or carried.
    pub(super) fn message(&self) -> Option<Message<'_>> {
        self.message.as_ref()?.1.record().message().copied()
    }

    /// Where the message lies.
    pub(super) fn message_at(&self) -> Option<Position> {
        self.message.as_ref().map(|(at, _)| *at)
    }

    fn begin(&mut self, at: Position, message: &Message<'_>) {
        let due_ms = message.extras.unpack().due_ms;
        for endpoint in message.endpoints.iter() {
            self.stands(endpoint, at).delivery.next_attempt_ms = due_ms;
        }
    }

    /// The delivery to this endpoint, about which `at` has the last word now.
    fn stands(&mut self, endpoint: u64, at: Position) -> &mut Stands {
        let stands = self.deliveries.entry(endpoint).or_insert_with(|| Stands {
            delivery: StoredDelivery {
                endpoint: EndpointId::from_u64(endpoint),
                state: DeliveryState::Pending,
                attempts: 0,
                next_attempt_ms: None,
            },
            last: None,
            at,
        });
        stands.at = at;
        stands
    }

    fn advance(&mut self, at: Position, record: &Record<'_>) {
        match record {
            Record::Attempt(attempt) => {
                let stands = self.stands(attempt.endpoint, at);
                let delivery = &mut stands.delivery;
                delivery.state = DeliveryState::from_code(attempt.state).unwrap_or(delivery.state);
                delivery.attempts = attempt.number;
                delivery.next_attempt_ms = (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms);
                if let Some(outcome) = Outcome::from_code(attempt.outcome, attempt.status) {
                    let (id, started_ms) = (AttemptId(attempt.id), attempt.started_ms);
                    stands.last = Some(LastAttempt { id, outcome, started_ms });
                }
            }
            Record::Settled(settled) => {
                self.taken_back |= settled.endpoint == 0;
                let state = DeliveryState::from_code(settled.state);
                let ended = |one: &u64, stands: &Stands| {
                    *one == settled.endpoint || settled.endpoint == 0 && !stands.delivery.state.is_final()
                };
                for (_, stands) in self.deliveries.iter_mut().filter(|(one, stands)| ended(one, stands)) {
                    stands.delivery.state = state.unwrap_or(stands.delivery.state);
                    stands.delivery.next_attempt_ms = None;
                    stands.at = at;
                }
            }
            Record::Parked(parked) => self.pends(parked.endpoint, at, parked.attempts, parked.due_ms),
            Record::Carried(carried) => {
                for pending in carried.pending.iter() {
                    self.pends(pending.endpoint, at, pending.attempts, pending.due_ms);
                }
            }
            _ => {}
        }
    }

    fn pends(&mut self, endpoint: u64, at: Position, progress: u16, due_ms: u64) {
        let delivery = &mut self.stands(endpoint, at).delivery;
        delivery.state = DeliveryState::Pending;
        delivery.attempts = delivery.attempts.max(Progress::from_u16(progress).made());
        delivery.next_attempt_ms = (due_ms > 0).then_some(due_ms);
    }
}

fn find_message(
    reader: &LogReader,
    id: EntryId,
    message_at: Option<Position>,
) -> Result<Option<(Position, OwnedRecord)>, ReadError> {
    if let Some(at) = message_at
        && let Some(owned) = reader.record_at(at)?
        && owned.record().message().is_some_and(|message| message.id == id)
    {
        return Ok(Some((at, owned)));
    }
    reader.message(id)
}
