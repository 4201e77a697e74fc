//! The data folder: used by one process at a time, and never by an older version than wrote it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The version of the folder's layout that this process writes.
///
/// Version 2: secrets are sealed (`keyring`). An older program would take them for something else.
const LAYOUT_VERSION: u32 = 2;
const LOCK_FILE: &str = "posthaste.lock";
const VERSION_FILE: &str = "posthaste.version";

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataFolderError {
    /// Another process has it.
    #[error("{}: another process uses this data folder (data.folder)", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A newer version wrote it.
    #[error(
        "{}: written by a newer version (layout {found}; this version knows {LAYOUT_VERSION})",
        folder.display()
    )]
    NewerVersion {
        /// The folder.
        folder: PathBuf,
        /// What it says.
        found: u32,
    },
    /// The file that says which version wrote it cannot be understood.
    #[error("{}: '{text}' is not a layout version", file.display())]
    BadVersion {
        /// The file.
        file: PathBuf,
        /// Its content.
        text: String,
    },
    /// The file system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
}

/// A data folder that this process holds. Dropping it lets go.
#[derive(Debug)]
pub(crate) struct DataFolder {
    // The lock is the open file's; it goes with the process, however that ends.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, and takes hold of it.
    pub(crate) fn open(folder: &Path) -> Result<Self, DataFolderError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| DataFolderError::Io { path, error }
        };
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        restrict(folder).map_err(at(folder))?;
        let lock_path = folder.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(at(&lock_path))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(DataFolderError::InUse { folder: folder.into() });
        }
        check_version(folder)?;
        Ok(Self { _lock: lock })
    }
}

/// Payloads and secrets are in there: nobody else may look.
fn restrict(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

fn check_version(folder: &Path) -> Result<(), DataFolderError> {
    let file = folder.join(VERSION_FILE);
    let io = |error| DataFolderError::Io { path: file.clone(), error };
    let mut text = String::new();
    match File::open(&file) {
        Ok(mut opened) => opened.read_to_string(&mut text).map_err(io)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return write_version(&file).map_err(io);
        }
        Err(error) => return Err(io(error)),
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found > LAYOUT_VERSION => {
            Err(DataFolderError::NewerVersion { folder: folder.into(), found })
        }
        Ok(found) if found < LAYOUT_VERSION => write_version(&file).map_err(io),
        Ok(_) => Ok(()),
        Err(_) => Err(DataFolderError::BadVersion { file, text: text.trim().chars().take(64).collect() }),
    }
}

/// Written beside and renamed, so that a crash leaves either no version or a whole one.
fn write_version(file: &Path) -> std::io::Result<()> {
    let beside = file.with_extension("version.new");
    let mut new = File::create(&beside)?;
    writeln!(new, "{LAYOUT_VERSION}")?;
    new.sync_all()?;
    std::fs::rename(&beside, file)?;
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_free_again_afterwards() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let held = DataFolder::open(folder.path()).expect("free");
        let refused = DataFolder::open(folder.path()).expect_err("in use").to_string();
        assert!(refused.contains("another process uses this data folder"), "{refused}");
        drop(held);
        DataFolder::open(folder.path()).expect("free again");
    }

    #[test]
    fn a_folder_of_a_newer_version_is_refused_with_both_versions() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(VERSION_FILE), "7\n").expect("written");
        let refused = DataFolder::open(folder.path()).expect_err("newer").to_string();
        assert!(refused.contains("layout 7; this version knows 2"), "{refused}");
        std::fs::write(folder.path().join(VERSION_FILE), "seven").expect("written");
        assert!(matches!(DataFolder::open(folder.path()), Err(DataFolderError::BadVersion { .. })));
    }

    #[test]
    fn a_folder_of_an_older_version_is_of_this_one_from_then_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join(VERSION_FILE);
        std::fs::write(&file, "1\n").expect("written");
        DataFolder::open(folder.path()).expect("older");
        assert_eq!(std::fs::read_to_string(&file).expect("text"), "2\n");
    }
}
