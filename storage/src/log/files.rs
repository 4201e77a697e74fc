//! The log's files by name: opened when needed, a bounded number kept open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::limits::OPEN_FILES_MAX;
use crate::disk::{Disk, DiskFile, HeldFolder};

/// The list of what is being erased.
const LIST_NAME: &str = "erasing";

/// What a file of the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Segment,
    Index,
}

impl FileKind {
    const fn ending(self) -> &'static str {
        match self {
            Self::Segment => "seg",
            Self::Index => "idx",
        }
    }
}

/// The folder of the log, with some of its files open.
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// The folder, kept open: a sync of it that failed for want of a descriptor would stop the log.
    held: Option<Arc<dyn HeldFolder>>,
    /// The one used last is last.
    open: Mutex<Vec<OpenFile>>,
}

struct OpenFile {
    segment: u32,
    kind: FileKind,
    file: Arc<dyn DiskFile>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: &Path) -> io::Result<Self> {
        disk.create_folder(folder)?;
        let held = disk.hold_folder(folder)?;
        Ok(Self { disk, folder: folder.to_owned(), held, open: Mutex::new(Vec::new()) })
    }

    fn path(&self, segment: u32, kind: FileKind) -> PathBuf {
        self.folder.join(format!("{segment:010}.{}", kind.ending()))
    }

    /// Numbers of the segments that have a file of this kind, ascending. Files with other names are left alone.
    pub(super) fn list(&self, kind: FileKind) -> io::Result<Vec<u32>> {
        let number = |name: String| {
            let (number, ending) = name.split_once('.')?;
            let ours = number.len() == 10 && ending == kind.ending();
            number.parse().ok().filter(|_| ours)
        };
        let mut numbers: Vec<u32> = self.disk.list(&self.folder)?.into_iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The file, open for reading and writing.
    pub(super) fn open(&self, segment: u32, kind: FileKind) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        let known = open.iter().rposition(|known| known.segment == segment && known.kind == kind);
        let used = match known {
            Some(place) => open.remove(place),
            None => OpenFile { segment, kind, file: self.disk.open(&self.path(segment, kind))? },
        };
        if open.len() == OPEN_FILES_MAX {
            open.remove(0);
        }
        let file = Arc::clone(&used.file);
        open.push(used);
        Ok(file)
    }

    /// Makes the file, or empties it.
    pub(super) fn create(&self, segment: u32, kind: FileKind) -> io::Result<Arc<dyn DiskFile>> {
        self.forget(segment, kind);
        self.disk.create(&self.path(segment, kind))
    }

    /// Removes the file; one that is not there is no error.
    pub(super) fn remove(&self, segment: u32, kind: FileKind) -> io::Result<()> {
        let removed = self.disk.remove(&self.path(segment, kind));
        // Afterwards, or a reader could open it once more meanwhile, and an open file keeps its space.
        self.forget(segment, kind);
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Makes creations and removals durable.
    pub(super) fn sync_folder(&self) -> io::Result<()> {
        self.held.as_ref().map_or_else(|| self.disk.sync_folder(&self.folder), |held| held.sync())
    }

    /// Makes the list of what is being erased, or empties it.
    pub(super) fn create_list(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(&self.folder.join(LIST_NAME))
    }

    /// The list of what is being erased; `None` when there is none.
    pub(super) fn read_list(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match self.disk.open(&self.folder.join(LIST_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut list = vec![0; usize::try_from(file.bytes()?).unwrap_or(usize::MAX)];
        let read = file.read_at(&mut list, 0)?;
        list.truncate(read);
        Ok(Some(list))
    }

    /// Removes the list, durably; one that is not there is no error.
    pub(super) fn remove_list(&self) -> io::Result<()> {
        match self.disk.remove(&self.folder.join(LIST_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync_folder()),
        }
    }

    fn forget(&self, segment: u32, kind: FileKind) {
        self.open.lock().retain(|known| known.segment != segment || known.kind != kind);
    }
}
