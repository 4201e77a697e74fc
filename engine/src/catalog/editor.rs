//! The editor: the only way to change the catalog.
//!
//!   check against what there is -> commit to the log -> apply -> answer
//!
//! One change at a time, so that what was checked still holds when the change takes effect. The commit and
//! what follows run in a task of their own: a caller who goes away (a client that hangs up) cannot leave a
//! change in the log that is not in the catalog.
//!
//! Here: what is common. What is checked for each kind of thing: `api_keys`, `applications`, `endpoints`,
//! `event_types`. What is recorded of each change: `deeds`. What the engine itself notes: `notes`.

mod api_keys;
mod applications;
mod deeds;
mod endpoints;
mod event_types;
mod notes;
mod tasks;

use std::fmt;
use std::sync::Arc;

pub use notes::{KeptLimits, NOTES_MAX, Note};
use tokio::sync::OwnedMutexGuard;

use super::change::{ChangeLog, CommitError};
use super::check::{CatalogError, EndpointRules};
use super::record::{Key, Record};
use super::{Catalog, Change};
use crate::seam;

/// See the head of this file. Cheap to clone.
#[derive(Clone)]
pub struct Editor {
    catalog: Arc<Catalog>,
    log: Arc<dyn ChangeLog>,
    rules: Arc<EndpointRules>,
    kept: KeptLimits,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

/// What came of putting something under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put<T> {
    /// There was nothing of that name.
    Created(T),
    /// It was there, and is now as it was asked for (or has been left as it was, if that was asked).
    Present(T),
}

/// The right to make the next change.
type Turn = OwnedMutexGuard<()>;

impl Editor {
    /// An editor of `catalog` whose changes become durable in `log`.
    pub fn new(
        catalog: Arc<Catalog>,
        log: Arc<dyn ChangeLog>,
        rules: EndpointRules,
        kept: KeptLimits,
    ) -> Self {
        let one_at_a_time = Arc::default();
        Self { catalog, log, rules: Arc::new(rules), kept, one_at_a_time }
    }

    /// The catalog that it edits.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    async fn turn(&self) -> Turn {
        Arc::clone(&self.one_at_a_time).lock_owned().await
    }

    async fn put(&self, turn: Turn, record: Record) -> Result<(), CatalogError> {
        self.commit(turn, vec![record.change()]).await
    }

    async fn remove(&self, turn: Turn, keys: impl Iterator<Item = Key<'_>>) -> Result<(), CatalogError> {
        self.commit(turn, keys.map(Key::removal).collect()).await
    }

    /// Makes changes of what is configured, and records who made them.
    async fn commit(&self, turn: Turn, mut changes: Vec<Change>) -> Result<(), CatalogError> {
        let deeds = self.deeds(&changes);
        changes.extend(self.recorded(deeds));
        self.write(turn, changes).await
    }

    /// All of the changes, or none.
    async fn write(&self, turn: Turn, changes: Vec<Change>) -> Result<(), CatalogError> {
        let (catalog, log) = (Arc::clone(&self.catalog), Arc::clone(&self.log));
        let task = tokio::spawn(async move {
            log.commit(changes.clone()).await?;
            for change in &changes {
                catalog
                    .apply(&change.key, change.value.as_deref())
                    .expect("what was just written can be read");
            }
            drop(turn);
            Ok(())
        });
        // A task that is no more was ended with the runtime.
        task.await.unwrap_or(Err(CommitError::ShuttingDown)).map_err(CatalogError::Commit)
    }
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// What spreads the ids of one millisecond.
fn random() -> u32 {
    if let Some(number) = seam::random() {
        return number;
    }
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    u32::from_le_bytes(bytes)
}
