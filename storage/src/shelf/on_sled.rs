//! A shelf on sled, with all that is known about living with sled 0.34.
//!
//! - Its `flush` does not wait for the disk, so its files are believed under the rules of `trust` only.
//! - Torn files make it panic as often as fail, so every call is guarded and a panic becomes an error.
//! - So does a disk that fails while it is let go of: it syncs once more then, and takes success for granted.
//! - Large segments keep its files from spreading over the disk.

use std::any::Any;
use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};

use super::{Pair, Shelf, ShelfBatch, ShelfError, VALUE_BYTES_MAX};
use crate::trust::{self, Trust};

/// Bytes of one of sled's segments.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
/// How often sled hands to the operating system what it holds: what the death of the process costs.
const HAND_OVER_MS: u64 = 1_000;

// A value that outgrew a segment would leave sled's log for a file of its own.
const _: () = assert!(VALUE_BYTES_MAX * 2 <= SEGMENT_BYTES);

thread_local! {
    /// Whether a panic on this thread would become an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic of sled that becomes a [`ShelfError`] is not printed: the error says what happened, and whoever
/// saw the panic beside it would look for a bug. Other panics are printed as before.
pub fn hush_caught_panics() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        if !GUARDED.get() {
            print(panic);
        }
    }));
}

/// A shelf in the files of one folder.
#[derive(Debug)]
pub struct SledShelf {
    /// There until it is let go of.
    db: Option<sled::Db>,
    folder: PathBuf,
}

impl SledShelf {
    /// Opens the shelf in `folder`, or makes an empty one there. sled's cache takes about `cache_bytes`.
    ///
    /// # Errors
    /// When the files are not trusted, or sled does not open them. The answer to either is [`set_aside`].
    ///
    /// [`set_aside`]: Self::set_aside
    pub fn open(folder: &Path, cache_bytes: u64) -> Result<Self, ShelfError> {
        let io = |doing| move |source| ShelfError::Io { doing, folder: folder.to_owned(), source };
        if let Trust::NotTrusted { why } = Trust::of(folder).map_err(io("judge"))? {
            return Err(ShelfError::NotTrusted { folder: folder.to_owned(), why });
        }
        fs::create_dir_all(folder).map_err(io("create"))?;
        trust::mark_open(folder).map_err(io("mark"))?;
        let config = sled::Config::new()
            .path(folder)
            .mode(sled::Mode::HighThroughput)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(HAND_OVER_MS));
        let db = guarded(folder, "open", || config.open())?;
        Ok(Self { db: Some(db), folder: folder.to_owned() })
    }

    /// Removes the files of `folder`, so that the next open finds nothing: where they are known to be of no use to
    /// anybody, and the disk is perhaps full.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn discard(folder: &Path) -> io::Result<()> {
        ignore_missing(fs::remove_dir_all(folder))?;
        ignore_missing(fs::remove_file(trust::marker_path(folder)))?;
        trust::sync_folder_of(folder)
    }

    /// Moves the files of `folder` out of the way, to `<folder>.damaged-<now_ms>`, so that the next open
    /// finds nothing. Whatever was set aside before is removed: it is of use to somebody who asks what
    /// happened, and the disk is not.
    ///
    /// # Errors
    /// When a folder cannot be moved or removed.
    pub fn set_aside(folder: &Path, now_ms: u64) -> io::Result<()> {
        let name = folder.file_name().unwrap_or_default();
        let mut prefix = OsString::from(name);
        prefix.push(".damaged-");
        remove_older(folder, prefix.as_encoded_bytes())?;
        prefix.push(now_ms.to_string());
        ignore_missing(fs::rename(folder, folder.with_file_name(prefix)))?;
        ignore_missing(fs::remove_file(trust::marker_path(folder)))?;
        trust::sync_folder_of(folder)
    }

    fn guarded<T>(
        &self,
        doing: &'static str,
        call: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, ShelfError> {
        let Some(db) = &self.db else { unreachable!("it is let go of last") };
        guarded(&self.folder, doing, || call(db))
    }

    /// sled's threads end with its last handle; only then are the files at rest.
    fn let_go(&mut self) -> Result<(), ShelfError> {
        let db = self.db.take();
        guarded(&self.folder, "close", || {
            drop(db);
            Ok(())
        })
    }
}

impl Drop for SledShelf {
    fn drop(&mut self) {
        // The files are marked as open still, and looked at with suspicion where it matters.
        if let Err(error) = self.let_go() {
            tracing::warn!(%error, "a store was not closed well");
        }
    }
}

impl Shelf for SledShelf {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError> {
        let value = self.guarded("read", |db| db.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn next(&self, from: &[u8]) -> Result<Option<Pair>, ShelfError> {
        let pair = self.guarded("read", |db| db.range(from..).next().transpose())?;
        Ok(pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.guarded("write", |db| db.apply_batch(changes))
    }

    fn hand_over(&mut self) -> Result<(), ShelfError> {
        self.guarded("flush", |db| db.flush()).map(drop)
    }

    fn close(mut self: Box<Self>) -> Result<(), ShelfError> {
        self.hand_over()?;
        self.let_go()?;
        let folder = self.folder.clone();
        trust::mark_closed(&folder).map_err(|source| ShelfError::Io { doing: "sync", folder, source })
    }
}

/// Calls sled. Sound to resume after a panic: the caller gives the store up on any error.
fn guarded<T>(
    folder: &Path,
    doing: &'static str,
    call: impl FnOnce() -> sled::Result<T>,
) -> Result<T, ShelfError> {
    let outside = GUARDED.replace(true);
    let called = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outside);
    let why = match called {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panic: {}", panic_text(panic.as_ref())),
    };
    Err(ShelfError::Failed { doing, folder: folder.to_owned(), why })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn remove_older(folder: &Path, prefix: &[u8]) -> io::Result<()> {
    let Some(parent) = folder.parent().filter(|parent| parent.is_dir()) else { return Ok(()) };
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    const CACHE_BYTES: u64 = 1024 * 1024;

    fn shelf_with_one_value(folder: &Path) -> SledShelf {
        let mut shelf = SledShelf::open(folder, CACHE_BYTES).unwrap();
        let mut batch = ShelfBatch::default();
        batch.put(*b"b", b"value".to_vec());
        shelf.write(batch).unwrap();
        shelf
    }

    #[test]
    fn what_was_written_is_there_after_a_clean_close() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("ledger");
        Box::new(shelf_with_one_value(&folder)).close().unwrap();
        assert_eq!(Trust::in_boot(&folder, Some("another boot")).unwrap(), Trust::Trusted);
        let shelf = SledShelf::open(&folder, CACHE_BYTES).unwrap();
        assert_eq!(shelf.read(b"b").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(shelf.next(b"a").unwrap().map(|(key, _)| key), Some(b"b".to_vec()));
        assert_eq!(shelf.next(b"c").unwrap(), None);
    }

    #[test]
    fn a_folder_without_its_marker_is_refused_and_can_be_set_aside() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("ledger");
        Box::new(shelf_with_one_value(&folder)).close().unwrap();
        fs::remove_file(trust::marker_path(&folder)).unwrap();
        assert!(matches!(SledShelf::open(&folder, CACHE_BYTES), Err(ShelfError::NotTrusted { .. })));
        SledShelf::set_aside(&folder, 7).unwrap();
        assert!(temp.path().join("ledger.damaged-7").is_dir());
        assert_eq!(SledShelf::open(&folder, CACHE_BYTES).unwrap().read(b"b").unwrap(), None);
    }

    #[test]
    fn only_the_last_folder_set_aside_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("ledger");
        for now_ms in [7, 8] {
            fs::create_dir_all(&folder).unwrap();
            SledShelf::set_aside(&folder, now_ms).unwrap();
        }
        SledShelf::set_aside(&temp.path().join("catalog"), 9).unwrap();
        let names: Vec<_> =
            fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["ledger.damaged-8"]);
    }

    #[test]
    fn files_full_of_noise_are_an_error_and_not_a_panic() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("ledger");
        Box::new(shelf_with_one_value(&folder)).close().unwrap();
        for name in ["conf", "db"] {
            let length = fs::metadata(folder.join(name)).unwrap().len() as usize;
            fs::write(folder.join(name), vec![0xA5; length.max(64)]).unwrap();
        }
        assert!(matches!(SledShelf::open(&folder, CACHE_BYTES), Err(ShelfError::Failed { .. })));
    }

    #[test]
    fn a_panic_that_becomes_an_error_is_not_printed_and_another_one_is() {
        static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            PRINTED.lock().push(panic_text(panic.payload()).to_owned());
            print(panic);
        }));
        hush_caught_panics();
        let told = guarded(Path::new("ledger"), "read", || -> sled::Result<()> { panic!("inside") });
        assert!(told.unwrap_err().to_string().contains("panic: inside"));
        assert!(catch_unwind(|| panic!("outside")).is_err());
        let printed = PRINTED.lock();
        assert!(printed.iter().any(|text| text == "outside") && !printed.iter().any(|text| text == "inside"));
    }
}
