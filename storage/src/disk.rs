//! What the log asks of a disk: few verbs, so that a disk that fails on purpose can stand in for the real one.
//!
//! Assumptions about a disk, relied on by everything above:
//! 1. After [`DiskFile::sync`] returns `Ok`, what was written to that file before survives a power cut.
//! 2. After [`Disk::sync_folder`] returns `Ok`, so do files created, renamed and removed in that folder.
//! 3. Without them, a power cut may keep any part of what was written, in any order.
//! 4. Writing bytes over a sector that holds the same bytes cannot harm it.
//! 5. After a failed sync nothing is known, and a later sync that succeeds says nothing about the earlier writes.
//!
//! Not here: which files there are and what is in them (`log`).

mod real;
pub mod sim;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;

/// A file system, as far as the log needs one. Every call blocks until it is done.
pub trait Disk: Send + Sync {
    /// Makes the folder and its parents, if they are not there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Names of the files directly in `folder`, in no particular order.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a file, or empties the one that is there, and opens it for reading and writing.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes the name. Whoever has the file open can go on reading it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives the file another name in the same file system, over what had that name before.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in `folder` durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Keeps the folder open, so that making its names durable needs no descriptor when there is none to be had. `None`
    /// where [`Self::sync_folder`] needs none.
    fn hold_folder(&self, _folder: &Path) -> io::Result<Option<Arc<dyn HeldFolder>>> {
        Ok(None)
    }

    /// Bytes that can still be written below `folder`.
    fn available_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// A folder that is kept open.
pub trait HeldFolder: Send + Sync {
    /// As [`Disk::sync_folder`].
    fn sync(&self) -> io::Result<()>;
}

/// An open file. Calls take `&self`: offsets are explicit, there is no cursor.
pub trait DiskFile: Send + Sync {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads from `offset` until `into` is full or the file ends; returns the bytes read.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `bytes`, or lengthens it with zeros.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Length in bytes.
    fn bytes(&self) -> io::Result<u64>;
}

/// Whether the error says that the disk, or the share of it that may be used, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
