//! Recovery: from what is on disk to where the process left off.
//!
//! The log is the truth. The ledger and the catalog's copy in sled say up to which place in the log they are
//! complete; from there the log is read again. When they are missing, damaged, or not to be trusted after a
//! power cut, they are set aside and everything is read again.
//!
//! What a delivery is after the replay:
//! - its message was read and nothing after it: fresh, to be attempted now;
//! - an attempt or a parking was read: the ledger has it;
//! - an end was read: done.
//!
//! Updates before the place that the ledger says is applied are in it already; for those only the list of
//! fresh messages learns.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use posthaste_storage::catalog::{CatalogChange, CatalogStore};
use posthaste_storage::disk::Disk;
use posthaste_storage::ledger::{Ledger, LedgerOptions, Standing, Update};
use posthaste_storage::log::{Log, LogOptions, LogReader, ReadError};
use posthaste_storage::record::{Carried, Message, Record};
use posthaste_storage::{EntryId, Position};

use crate::clock::Clock;
use crate::core::delivery::DeliveryState;
use crate::writer::{EventIds, Known};

/// Where things are below the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) log: PathBuf,
    pub(crate) ledger: PathBuf,
    pub(crate) catalog: PathBuf,
}

impl Folders {
    pub(crate) fn below(data: &Path) -> Self {
        Self { log: data.join("log"), ledger: data.join("ledger"), catalog: data.join("catalog") }
    }
}

/// What recovery needs to know.
pub(crate) struct RecoverySettings {
    pub(crate) folders: Folders,
    pub(crate) log: LogOptions,
    pub(crate) ledger: LedgerOptions,
    pub(crate) event_ids_max: usize,
}

/// What recovery found.
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) ledger: Ledger,
    pub(crate) catalog: CatalogStore,
    /// Messages with deliveries that only the log remembers, in its order.
    pub(crate) fresh: BTreeMap<Position, FreshMessage>,
    pub(crate) event_ids: EventIds,
}

/// A message with deliveries that were not attempted yet.
#[derive(Debug)]
pub(crate) struct FreshMessage {
    pub(crate) id: EntryId,
    pub(crate) application: u64,
    pub(crate) endpoints: Vec<u64>,
}

/// Why the process cannot start from what is on disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    /// The log does not open.
    #[error("the log does not open: {0}")]
    Log(#[from] posthaste_storage::log::LogError),
    /// The log cannot be read where it must be.
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The ledger cannot be made or written.
    #[error("the ledger cannot be made: {0}")]
    Ledger(#[from] posthaste_storage::ledger::LedgerError),
    /// The catalog's copy cannot be made or written.
    #[error("the catalog cannot be made: {0}")]
    Catalog(#[from] posthaste_storage::catalog::CatalogError),
    /// A folder cannot be set aside.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Opens everything and replays the log where needed.
pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    settings: RecoverySettings,
    clock: Clock,
) -> Result<Recovered, RecoveryError> {
    let started = Instant::now();
    let (log, found) = Log::open(disk, &settings.folders.log, settings.log)?;
    report(&found);
    let reader = log.reader();
    let ledger = open_ledger(&settings.folders.ledger, settings.ledger, &reader, clock)?;
    let catalog = open_catalog(&settings.folders.catalog, &reader, clock)?;
    let mut replay =
        Replay { reader: &reader, ledger, catalog, fresh: Fresh::default(), changes: Vec::new() };
    replay.run()?;
    let Replay { ledger, catalog, fresh, .. } = replay;
    let event_ids = recall_event_ids(&reader, settings.event_ids_max)?;
    tracing::info!(
        fresh = fresh.by_position.len(),
        ledger = ledger.len(),
        log_end = %log.end(),
        elapsed_ms = started.elapsed().as_millis() as u64,
        "recovered"
    );
    Ok(Recovered { log, ledger, catalog, fresh: fresh.by_position, event_ids })
}

fn report(found: &posthaste_storage::log::Recovery) {
    if found.torn_bytes > 0 {
        tracing::warn!(bytes = found.torn_bytes, at = %found.end, "a batch that was never acknowledged was cut off");
    }
    if !found.indexes_rebuilt.is_empty() {
        tracing::warn!(segments = ?found.indexes_rebuilt, "index files were missing or damaged, and were made again");
    }
    for damage in &found.damage {
        tracing::error!(%damage, "the log is damaged; what was there is lost (storage.accept_damage)");
    }
}

/// Whether the log can still be replayed from this position, so that a store complete up to it is of use.
fn is_within(reader: &LogReader, position: Position) -> bool {
    position == Position::START || (reader.first()..=reader.end()).contains(&position)
}

fn open_ledger(
    folder: &Path,
    options: LedgerOptions,
    reader: &LogReader,
    clock: Clock,
) -> Result<Ledger, RecoveryError> {
    let why = match Ledger::open(folder, options) {
        Ok(ledger) if is_within(reader, ledger.replay_from()) && ledger.applied_to() <= reader.end() => {
            return Ok(ledger);
        }
        Ok(ledger) => format!("it speaks of {}, which the log does not have", ledger.replay_from()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(why, "the ledger is set aside and rebuilt from the log");
    Ledger::set_aside(folder, clock.now().as_ms())?;
    Ok(Ledger::open(folder, options)?)
}

fn open_catalog(folder: &Path, reader: &LogReader, clock: Clock) -> Result<CatalogStore, RecoveryError> {
    let why = match CatalogStore::open(folder) {
        Ok(catalog) if is_within(reader, catalog.position()) => return Ok(catalog),
        Ok(catalog) => format!("it speaks of {}, which the log does not have", catalog.position()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(why, "the catalog is set aside and rebuilt from the log");
    CatalogStore::set_aside(folder, clock.now().as_ms())?;
    Ok(CatalogStore::open(folder)?)
}

/// Messages whose deliveries only the log remembers, found by either name.
#[derive(Default)]
struct Fresh {
    by_position: BTreeMap<Position, FreshMessage>,
    positions: std::collections::HashMap<EntryId, Position>,
}

impl Fresh {
    fn insert(&mut self, at: Position, message: &Message<'_>, endpoints: Vec<u64>) {
        if endpoints.is_empty() {
            return;
        }
        let fresh = FreshMessage { id: message.id, application: message.application, endpoints };
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

struct Replay<'r> {
    reader: &'r LogReader,
    ledger: Ledger,
    catalog: CatalogStore,
    fresh: Fresh,
    changes: Vec<(Vec<u8>, Option<Vec<u8>>, Position)>,
}

/// Catalog changes gathered before they are written.
const CHANGES_MAX: usize = 1_024;

impl Replay<'_> {
    fn run(&mut self) -> Result<(), RecoveryError> {
        let reader = self.reader;
        let from = self.ledger.replay_from().min(self.catalog.position());
        let end = reader.end();
        let (ledger_from, catalog_from) = (self.ledger.replay_from(), self.catalog.position());
        let mut failure = None;
        reader.replay(from, end, |at, record| {
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
            None => self.write_changes(end),
        }
    }

    fn write_changes(&mut self, up_to: Position) -> Result<(), RecoveryError> {
        let changes = std::mem::take(&mut self.changes);
        let changes: Vec<CatalogChange<'_>> = changes
            .iter()
            .map(|(key, value, at)| CatalogChange { key, value: value.as_deref(), at: *at })
            .collect();
        if !changes.is_empty() {
            self.catalog.apply(&changes, up_to)?;
        }
        Ok(())
    }

    fn delivery(&mut self, at: Position, record: Record<'_>) -> Result<(), RecoveryError> {
        match record {
            Record::Message(message) => {
                self.fresh.insert(at, &message, message.endpoints.iter().collect());
            }
            Record::Carried(carried) => self.carried(at, &carried),
            Record::Attempt(attempt) => {
                let state = DeliveryState::from_code(attempt.state);
                let to = match state.is_some_and(|state| state.is_final()) {
                    true => Standing::Settled,
                    false => Standing::Pending {
                        application: attempt.application,
                        message_at: attempt.message_at,
                        attempts: attempt.progress,
                        due_ms: attempt.next_attempt_ms,
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
        let endpoints: Vec<u64> =
            owned.record().message().into_iter().flat_map(|m| m.endpoints.iter()).collect();
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
            self.ledger.apply_replayed(Update { message, endpoint, at, to });
        }
    }
}

fn recall_event_ids(reader: &LogReader, max: usize) -> Result<EventIds, ReadError> {
    let mut found = Vec::new();
    reader.events_since(EntryId::MIN, |event| {
        found.push(event);
        // Newest segments come first; within one, the oldest. A segment too many is sorted out below.
        if found.len() >= max.saturating_mul(2) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    found.sort_unstable_by_key(|event| event.message);
    let mut ids = EventIds::new(max);
    for event in found {
        ids.remember(event.hash, Known { message: event.message, digest: event.digest });
    }
    Ok(ids)
}
