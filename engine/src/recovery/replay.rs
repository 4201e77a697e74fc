//! Replaying: what the log says of deliveries and catalog, told to those who should know already.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use posthaste_storage::catalog::{CatalogChange, CatalogStore};
use posthaste_storage::ledger::{Ledger, Standing, Update};
use posthaste_storage::log::{Damage, LogReader};
use posthaste_storage::record::{Carried, Message, Record};
use posthaste_storage::{EntryId, Position};

use super::{FreshMessage, RecoveryError};
use crate::core::delivery::{DeliveryState, Marks, Progress};
use crate::core::ids::ApplicationId;
use crate::core::tick::Tick;
use crate::keeper::{DUE_MS_ORDERED, lane};
use crate::seam::{self, Bug};

/// Messages whose deliveries only the log remembers, found by either name.
#[derive(Default)]
pub(super) struct Fresh {
    pub(super) by_position: BTreeMap<Position, FreshMessage>,
    positions: HashMap<EntryId, Position>,
}

impl Fresh {
    fn insert(&mut self, at: Position, message: &Message<'_>, endpoints: Vec<u64>) {
        if endpoints.is_empty() {
            return;
        }
        let extras = message.extras.unpack();
        let fresh = FreshMessage {
            id: message.id,
            application: message.application,
            endpoints,
            due: extras.due_ms.map_or(Tick::ZERO, Tick::from_ms),
            marks: Marks::NONE
                .with(Marks::ELSEWHERE, extras.url.is_some())
                .with(Marks::ORDERED, extras.ordering_key.is_some()),
            lane: lane(ApplicationId::from_u64(message.application), extras.ordering_key),
            chained: extras.chains.iter().collect(),
        };
        self.positions.insert(message.id, at);
        self.by_position.insert(at, fresh);
    }

    /// This delivery is remembered elsewhere, or done. Endpoint 0 stands for all of the message.
    fn remove(&mut self, message: EntryId, endpoint: u64) {
        let Some(at) = self.positions.get(&message) else { return };
        let Some(fresh) = self.by_position.get_mut(at) else { return };
        fresh.endpoints.retain(|other| *other != endpoint && endpoint != 0);
        if fresh.endpoints.is_empty() {
            self.by_position.remove(at);
            self.positions.remove(&message);
        }
    }
}

pub(super) struct Replay<'r> {
    reader: &'r LogReader,
    pub(super) ledger: Ledger,
    /// Where the catalog is replayed too.
    catalog: Option<&'r mut CatalogStore>,
    pub(super) fresh: Fresh,
    changes: Vec<(Vec<u8>, Option<Vec<u8>>, Position)>,
    pub(super) updates: u64,
}

/// Catalog changes gathered before they are written.
const CHANGES_MAX: usize = 1_024;

impl<'r> Replay<'r> {
    pub(super) fn new(reader: &'r LogReader, ledger: Ledger, catalog: Option<&'r mut CatalogStore>) -> Self {
        Self { reader, ledger, catalog, fresh: Fresh::default(), changes: Vec::new(), updates: 0 }
    }

    /// Reads up to `end`, and returns what was lost on the way, if that is accepted.
    pub(super) fn run(&mut self, end: Position) -> Result<Vec<Damage>, RecoveryError> {
        let reader = self.reader;
        let catalog_from = self.catalog.as_ref().map_or(end, |catalog| catalog.position());
        let ledger_from = self.ledger.replay_from();
        let from = ledger_from.min(catalog_from);
        let mut failure = None;
        let replayed = reader.replay(from, end, |at, record| {
            let result = match record {
                Record::Change(change) if at >= catalog_from => {
                    self.changes.push((change.key.into(), change.value.map(Into::into), at));
                    if self.changes.len() >= CHANGES_MAX { self.write_changes(at) } else { Ok(()) }
                }
                Record::Change(_) => Ok(()),
                record if at >= ledger_from => self.delivery(at, record),
                _ => Ok(()),
            };
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match failure {
            Some(error) => Err(error),
            None => self.write_changes(end).map(|()| replayed.damage),
        }
    }

    fn write_changes(&mut self, up_to: Position) -> Result<(), RecoveryError> {
        let Some(catalog) = &mut self.catalog else { return Ok(()) };
        let changes = std::mem::take(&mut self.changes);
        let changes: Vec<CatalogChange<'_>> = changes
            .iter()
            .map(|(key, value, at)| CatalogChange { key, value: value.as_deref(), at: *at })
            .collect();
        // Without changes too: the next recovery need not begin where the catalog last changed.
        if up_to > catalog.position() {
            catalog.apply(&changes, up_to)?;
        }
        Ok(())
    }

    fn delivery(&mut self, at: Position, record: Record<'_>) -> Result<(), RecoveryError> {
        match record {
            Record::Message(message) => {
                self.fresh.insert(at, &message, message.endpoints.iter().collect());
            }
            Record::Carried(carried) => self.carried(at, &carried),
            Record::Attempt(attempt) if seam::is_planted(Bug::ForgetEnds) && attempt.next_attempt_ms == 0 => {
            }
            Record::Attempt(attempt) => {
                let state = DeliveryState::from_code(attempt.state);
                let to = match state.is_some_and(|state| state.is_final()) {
                    true => Standing::Settled,
                    false => Standing::Pending {
                        application: attempt.application,
                        message_at: attempt.message_at,
                        attempts: attempt.progress,
                        due_ms: match Progress::from_u16(attempt.progress).marks.has(Marks::ORDERED) {
                            true => DUE_MS_ORDERED,
                            false => attempt.next_attempt_ms,
                        },
                        forgotten: true,
                    },
                };
                self.update(attempt.message, attempt.endpoint, at, to);
            }
            Record::Parked(parked) => {
                let to = Standing::Pending {
                    application: parked.application,
                    message_at: parked.message_at,
                    attempts: parked.attempts,
                    due_ms: parked.due_ms,
                    forgotten: true,
                };
                self.update(parked.message, parked.endpoint, at, to);
            }
            Record::Settled(settled) if settled.endpoint == 0 => self.taken_back(settled.message, at)?,
            Record::Settled(settled) => {
                self.update(settled.message, settled.endpoint, at, Standing::Settled);
            }
            Record::Change(_) => {}
        }
        self.flush_if_large(at)
    }

    /// All of a message ended; the message itself says which deliveries it had.
    fn taken_back(&mut self, message: EntryId, at: Position) -> Result<(), RecoveryError> {
        let Some((_, owned)) = self.reader.message(message)? else { return Ok(()) };
        let mut endpoints: BTreeSet<u64> =
            owned.record().message().into_iter().flat_map(|m| m.endpoints.iter()).collect();
        // Those that followed in a chain, and those to whom somebody had it sent.
        self.reader.attempts_of(message, |_, record| {
            match record {
                Record::Attempt(attempt) => endpoints.insert(attempt.endpoint),
                Record::Parked(parked) => endpoints.insert(parked.endpoint),
                _ => false,
            };
            ControlFlow::Continue(())
        })?;
        for endpoint in endpoints {
            self.update(message, endpoint, at, Standing::Settled);
        }
        Ok(())
    }

    /// A long replay must not gather everything in memory.
    fn flush_if_large(&mut self, at: Position) -> Result<(), RecoveryError> {
        if self.ledger.wants_flush() {
            let low_water = self.fresh.by_position.keys().next().copied().unwrap_or(at).min(at);
            self.ledger.flush(0, low_water, at)?;
        }
        Ok(())
    }

    fn carried(&mut self, at: Position, carried: &Carried<'_>) {
        for pending in carried.pending.iter() {
            let to = Standing::Pending {
                application: carried.message.application,
                message_at: at,
                attempts: pending.attempts,
                due_ms: pending.due_ms,
                forgotten: true,
            };
            self.update(carried.message.id, pending.endpoint, at, to);
        }
    }

    fn update(&mut self, message: EntryId, endpoint: u64, at: Position, to: Standing) {
        self.fresh.remove(message, endpoint);
        if at >= self.ledger.applied_to() {
            self.updates += 1;
            self.ledger.apply_replayed(Update { message, endpoint, at, to });
        }
    }
}
