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

mod event_ids;
mod replay;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use posthaste_storage::catalog::{CatalogError, CatalogStore};
use posthaste_storage::disk::Disk;
use posthaste_storage::ledger::{Ledger, LedgerError, LedgerOptions};
use posthaste_storage::log::{Log, LogOptions, LogReader, ReadError};
use posthaste_storage::shelf::{Shelf, ShelfError, SledShelf};
use posthaste_storage::{EntryId, Position};

use crate::clock::Clock;
use crate::core::delivery::{DeliveryKey, Marks, Progress};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::shard::{Home, Incoming};
use crate::core::tick::Tick;
use crate::metrics::Metrics;
use crate::shard::Shards;
use crate::writer::{EventIds, State};
use event_ids::recall_event_ids;
use replay::{Fresh, Replay};

/// Bytes that sled's cache takes for the catalog, about. The engine reads it once and serves from memory.
const CATALOG_CACHE_BYTES: u64 = 16 << 20;

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

/// Where ledger and catalog lie, derived from the log. A simulation has them elsewhere than in files.
pub(crate) trait Shelves: Send + Sync {
    /// Whether there is nothing of it, not even damaged.
    fn is_missing(&self, what: Derived) -> bool;

    /// Opens it, or makes an empty one.
    fn open(&self, what: Derived, cache_bytes: u64) -> Result<Box<dyn Shelf>, ShelfError>;

    /// Moves it away, so that the next open finds nothing.
    fn set_aside(&self, what: Derived, now_ms: u64) -> std::io::Result<()>;

    /// Removes it, so that the next open finds nothing.
    fn discard(&self, what: Derived) -> std::io::Result<()>;
}

/// What is derived from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derived {
    Ledger,
    Catalog,
}

impl Folders {
    fn of(&self, what: Derived) -> &Path {
        match what {
            Derived::Ledger => &self.ledger,
            Derived::Catalog => &self.catalog,
        }
    }
}

impl Shelves for Folders {
    fn is_missing(&self, what: Derived) -> bool {
        !self.of(what).is_dir()
    }

    fn open(&self, what: Derived, cache_bytes: u64) -> Result<Box<dyn Shelf>, ShelfError> {
        Ok(Box::new(SledShelf::open(self.of(what), cache_bytes)?))
    }

    fn set_aside(&self, what: Derived, now_ms: u64) -> std::io::Result<()> {
        SledShelf::set_aside(self.of(what), now_ms)
    }

    fn discard(&self, what: Derived) -> std::io::Result<()> {
        SledShelf::discard(self.of(what))
    }
}

/// What recovery needs to know.
pub(crate) struct RecoverySettings {
    /// Where the log is.
    pub(crate) log_folder: PathBuf,
    pub(crate) shelves: Arc<dyn Shelves>,
    pub(crate) log: LogOptions,
    pub(crate) ledger: LedgerOptions,
    pub(crate) event_ids_max: usize,
}

/// What recovery found.
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) shelves: Arc<dyn Shelves>,
    pub(crate) ledger: Ledger,
    pub(crate) catalog: CatalogStore,
    /// Messages with deliveries that only the log remembers, in its order.
    pub(crate) fresh: BTreeMap<Position, FreshMessage>,
    /// Deliveries in the ledger that are pending. Its own count is a little high after a crash.
    pub(crate) in_ledger: u64,
    pub(crate) event_ids: EventIds,
}

/// A message with deliveries that were not attempted yet.
#[derive(Debug)]
pub(crate) struct FreshMessage {
    pub(crate) id: EntryId,
    pub(crate) application: u64,
    pub(crate) endpoints: Vec<u64>,
    /// Not sent before.
    pub(crate) due: Tick,
    pub(crate) marks: Marks,
    /// See [`Incoming::lane`].
    pub(crate) lane: u64,
    /// Those of its endpoints that begin a chain.
    pub(crate) chained: Vec<u64>,
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
    Ledger(#[from] LedgerError),
    /// The catalog's copy cannot be made or written.
    #[error("the catalog cannot be made: {0}")]
    Catalog(#[from] CatalogError),
    /// A record was not readable while it was being erased.
    #[error("what the log says changed while it was read")]
    Changed,
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
    make_folder(&*disk, &settings.log_folder)?;
    let shelves = settings.shelves;
    let was_missing = [Derived::Ledger, Derived::Catalog].map(|what| shelves.is_missing(what));
    let ledger = ledger_on_shelf(&*shelves, settings.ledger);
    let catalog = catalog_on_shelf(&*shelves);
    // They hear of nothing before it is durable, so that the log cannot end before them.
    let speaks_of = [
        ledger.as_ref().map_or(Position::START, Ledger::applied_to),
        catalog.as_ref().map_or(Position::START, CatalogStore::position),
    ];
    let durable_to = speaks_of.into_iter().fold(Position::START, Position::max);
    let options = LogOptions { durable_to, ..settings.log };
    let (log, found) = Log::open(disk, &settings.log_folder, options)?;
    report(&found);
    let reader = log.reader();
    let [ledger_missing, catalog_missing] = was_missing;
    say_if_missing("ledger", ledger_missing, &reader);
    say_if_missing("catalog", catalog_missing, &reader);
    let ledger = judge_ledger(ledger, &*shelves, settings.ledger, &reader, clock)?;
    let mut catalog = judge_catalog(catalog, &*shelves, &reader, clock)?;
    let (ledger, fresh, in_ledger) = match replay(&reader, ledger, &mut catalog) {
        // What lies deeper in it is read only now.
        Err(RecoveryError::Ledger(error)) => {
            let anew = ledger_anew(&*shelves, settings.ledger, &error.to_string(), clock)?;
            replay(&reader, anew, &mut catalog)?
        }
        replayed => replayed?,
    };
    let event_ids = recall_event_ids(&reader, settings.event_ids_max)?;
    tracing::info!(
        fresh = fresh.by_position.len(),
        ledger = in_ledger,
        log_end = %log.end(),
        elapsed_ms = started.elapsed().as_millis() as u64,
        "recovered"
    );
    Ok(Recovered { log, shelves, ledger, catalog, fresh: fresh.by_position, in_ledger, event_ids })
}

/// Brings both up to the end of the log. Returns the ledger, what is fresh, and how much is pending in the ledger.
fn replay(
    reader: &LogReader,
    ledger: Ledger,
    catalog: &mut CatalogStore,
) -> Result<(Ledger, Fresh, u64), RecoveryError> {
    let mut replay = Replay::new(reader, ledger, Some(catalog));
    replay.run(reader.end())?;
    let Replay { ledger, fresh, updates, .. } = replay;
    let in_ledger = if updates == 0 { ledger.len() } else { count(&ledger)? };
    Ok((ledger, fresh, in_ledger))
}

/// Files everything that is pending up to `end` into a ledger that is empty, while shards hold what they hold.
pub(crate) fn rebuild_ledger(
    reader: &LogReader,
    ledger: Ledger,
    end: Position,
) -> Result<Ledger, RecoveryError> {
    let mut replay = Replay::new(reader, ledger, None);
    let damage = replay.run(end)?;
    let mut ledger = replay.ledger;
    // Damage that is accepted is there the second time too. A record that was just being erased is not.
    if !damage.is_empty()
        && reader.replay(Position::START, end, |_, _| ControlFlow::Continue(()))?.damage != damage
    {
        return Err(RecoveryError::Changed);
    }
    ledger.finish_again();
    Ok(ledger)
}

/// Makes the log's folder such that a power cut does not take it away with all that is in it.
fn make_folder(disk: &dyn Disk, folder: &Path) -> std::io::Result<()> {
    disk.create_folder(folder)?;
    folder.parent().map_or(Ok(()), |parent| disk.sync_folder(parent))
}

fn count(ledger: &Ledger) -> Result<u64, RecoveryError> {
    let mut pending = 0;
    ledger.for_each(|_| pending += 1)?;
    Ok(pending)
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

fn say_if_missing(what: &str, is_missing: bool, reader: &LogReader) {
    if is_missing && reader.end() != Position::START {
        tracing::warn!("the {what} is missing and is rebuilt from the log");
    }
}

fn ledger_on_shelf(shelves: &dyn Shelves, options: LedgerOptions) -> Result<Ledger, LedgerError> {
    Ledger::on_shelf(shelves.open(Derived::Ledger, options.cache_bytes)?, options)
}

fn catalog_on_shelf(shelves: &dyn Shelves) -> Result<CatalogStore, CatalogError> {
    CatalogStore::on_shelf(shelves.open(Derived::Catalog, CATALOG_CACHE_BYTES)?)
}

/// The ledger that was found, or a new one in its place.
fn judge_ledger(
    found: Result<Ledger, LedgerError>,
    shelves: &dyn Shelves,
    options: LedgerOptions,
    reader: &LogReader,
    clock: Clock,
) -> Result<Ledger, RecoveryError> {
    let why = match found {
        Ok(ledger) if is_within(reader, ledger.replay_from()) && ledger.applied_to() <= reader.end() => {
            return Ok(ledger);
        }
        Ok(ledger) => format!("it speaks of {}, which the log does not have", ledger.replay_from()),
        Err(error) => error.to_string(),
    };
    ledger_anew(shelves, options, &why, clock)
}

/// An empty ledger in place of the one that there is.
fn ledger_anew(
    shelves: &dyn Shelves,
    options: LedgerOptions,
    why: &str,
    clock: Clock,
) -> Result<Ledger, RecoveryError> {
    tracing::warn!(why, "the ledger is set aside and rebuilt from the log");
    shelves.set_aside(Derived::Ledger, clock.now().as_ms())?;
    Ok(ledger_on_shelf(shelves, options)?)
}

/// The catalog's copy that was found, or a new one in its place.
fn judge_catalog(
    found: Result<CatalogStore, CatalogError>,
    shelves: &dyn Shelves,
    reader: &LogReader,
    clock: Clock,
) -> Result<CatalogStore, RecoveryError> {
    let why = match found {
        Ok(catalog) if is_within(reader, catalog.position()) => return Ok(catalog),
        Ok(catalog) => format!("it speaks of {}, which the log does not have", catalog.position()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(why, "the catalog is set aside and rebuilt from the log");
    shelves.set_aside(Derived::Catalog, clock.now().as_ms())?;
    Ok(catalog_on_shelf(shelves)?)
}

/// Gives the deliveries that only the log remembers to their shards, before anything else happens.
pub(crate) fn hand_out_fresh(
    fresh: BTreeMap<Position, FreshMessage>,
    state: &mut State,
    shards: &Shards,
    metrics: &Metrics,
) {
    let mut batches = shards.batches();
    for (at, message) in fresh {
        let place = state.recovered(message.id, at, message.endpoints.len() as u32);
        metrics.pending.inc_by(message.endpoints.len() as i64);
        for endpoint in message.endpoints {
            let marks = message.marks.with(Marks::CHAINED, message.chained.contains(&endpoint));
            let incoming = Incoming {
                key: DeliveryKey { message: MessageId(message.id), endpoint: EndpointId::from_u64(endpoint) },
                application: ApplicationId::from_u64(message.application),
                message_at: at,
                progress: Progress { marks, ..Progress::default() },
                due: message.due,
                lane: message.lane,
                home: Home::Log(place),
                replaces: false,
                body: None,
            };
            state.hand_out(&mut batches, shards, incoming);
        }
    }
    shards.put_batches(batches);
}

#[cfg(test)]
mod tests;
