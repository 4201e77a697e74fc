//! A change of the catalog on its way into the log.

use std::fmt;
use std::pin::Pin;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One entry, written or removed.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// `app/<id>`, `ep/<id>`, `et/<name>`, and so on.
    pub key: Vec<u8>,
    /// What is stored under it from now on; `None` removes it.
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Change {
    /// Without the value: secrets may be in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.value.as_ref().map(Vec::len);
        write!(f, "Change({}, {bytes:?} bytes)", String::from_utf8_lossy(&self.key))
    }
}

/// Why a change is not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// No space.
    #[error("the disk is full; nothing was changed")]
    Full,
    /// The log stopped.
    #[error("the log stopped after a failed fsync; nothing is accepted until a restart")]
    Poisoned,
    /// The server stops.
    #[error("the server is shutting down; nothing was changed")]
    ShuttingDown,
}

/// Where changes become durable.
pub trait ChangeLog: Send + Sync {
    /// Stores all of the changes or none.
    ///
    /// After `Ok` they survive power loss. After [`CommitError::Poisoned`] nothing is known about them.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>>;
}
