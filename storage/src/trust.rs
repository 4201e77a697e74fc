//! Trust: whether what sled left on disk may be believed.
//!
//! sled writes to its files without waiting for the disk. A process that dies takes nothing with it that
//! was written; a machine that loses power may keep any part of it and tear the rest, and sled does not
//! always notice. So its files are believed in two cases only: this boot of the machine wrote them, or they
//! were closed cleanly, which includes waiting for the disk. What is not believed is rebuilt from the log.
//!
//! ```text
//!   no files --mark_open--> "open <boot id>" --mark_closed--> "closed"
//!                              ^                                 |
//!                              +------------mark_open------------+
//! ```
//!
//! The marker is a file beside the folder, `<folder>.trust`.
//!
//! Invariants
//! - "closed" is on disk only after everything in the folder is.
//! - "open" is on disk before the first byte in the folder changes.
//!
//! Not noticed here: a file system that was torn from under a running machine and mounted again in the same
//! boot. Whoever does that (or simulates it) removes the marker.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Where Linux names this boot of the machine (`man 4 random`).
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";
/// A marker longer than this is not one of ours.
const MARKER_BYTES_MAX: u64 = 256;
const CLOSED: &str = "closed";
const OPEN: &str = "open ";

/// Whether the files of a folder may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// They are what was last written, or there are none.
    Trusted,
    /// They may be torn or old.
    NotTrusted {
        /// The reason, for the operator.
        why: String,
    },
}

impl Trust {
    /// Whether the files in `folder` may be believed in this boot of the machine.
    ///
    /// # Errors
    /// When the folder or its marker exist and cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        Self::in_boot(folder, boot_id().as_deref())
    }

    /// Whether the files in `folder` may be believed in the boot named `boot`; `None` when this boot has no
    /// name, so that only a clean close counts.
    ///
    /// # Errors
    /// When the folder or its marker exist and cannot be read.
    pub fn in_boot(folder: &Path, boot: Option<&str>) -> io::Result<Self> {
        if is_empty(folder)? {
            return Ok(Self::Trusted);
        }
        Ok(Self::judge(read_marker(folder)?.as_deref(), boot))
    }

    fn judge(marker: Option<&str>, boot: Option<&str>) -> Self {
        let why = match (marker.map(str::trim_end), boot) {
            (Some(CLOSED), _) => return Self::Trusted,
            (None, _) => "nothing says who wrote it".to_owned(),
            (Some(marker), boot) => match (marker.strip_prefix(OPEN), boot) {
                (Some(writer), Some(boot)) if writer == boot => return Self::Trusted,
                (Some(_), Some(_)) => "it was not closed before the machine stopped".to_owned(),
                (Some(_), None) => format!("it was not closed, and {BOOT_ID_PATH} cannot be read"),
                (None, _) => "its marker is damaged".to_owned(),
            },
        };
        Self::NotTrusted { why }
    }
}

/// Says, durably, that this boot is about to write to `folder`.
///
/// # Errors
/// When the marker cannot be written; the folder must not be written to then.
pub fn mark_open(folder: &Path) -> io::Result<()> {
    // An unnamed boot never matches a named one, nor another unnamed one.
    write_marker(folder, &format!("{OPEN}{}\n", boot_id().unwrap_or_default()))
}

/// Waits until everything in `folder` is on disk, and then says so, durably.
///
/// After `Ok` the files survive power loss. After `Err` they are believed in this boot only.
///
/// # Errors
/// When a file cannot be synced, or the marker not written.
pub fn mark_closed(folder: &Path) -> io::Result<()> {
    sync_tree(folder)?;
    write_marker(folder, &format!("{CLOSED}\n"))
}

/// The marker of `folder`: a file beside it.
pub fn marker_path(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().map(OsString::from).unwrap_or_default();
    name.push(".trust");
    folder.with_file_name(name)
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string(BOOT_ID_PATH).ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut names) => Ok(names.next().transpose()?.is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn read_marker(folder: &Path) -> io::Result<Option<String>> {
    let file = match File::open(marker_path(folder)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MARKER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Replaces the marker whole: a reader, or a power cut, meets the old one or the new one.
fn write_marker(folder: &Path, text: &str) -> io::Result<()> {
    let path = marker_path(folder);
    let draft = path.with_extension("trust.new");
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    sync_folder_of(&path)
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => sync_tree(&entry.path())?,
            kind if kind.is_file() => File::open(entry.path())?.sync_all()?,
            _ => {}
        }
    }
    File::open(folder)?.sync_all()?;
    sync_folder_of(folder)
}

/// Makes the name of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with_a_file() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("ledger");
        fs::create_dir_all(folder.join("blobs")).unwrap();
        fs::write(folder.join("db"), b"bytes").unwrap();
        (temp, folder)
    }

    fn why(trust: Trust) -> String {
        match trust {
            Trust::Trusted => panic!("trusted"),
            Trust::NotTrusted { why } => why,
        }
    }

    #[test]
    fn what_is_not_there_needs_no_trust() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(Trust::of(&temp.path().join("ledger")).unwrap(), Trust::Trusted);
        assert_eq!(Trust::of(temp.path()).unwrap(), Trust::Trusted);
    }

    #[test]
    fn files_without_a_marker_are_not_trusted() {
        let (_temp, folder) = folder_with_a_file();
        assert_eq!(why(Trust::of(&folder).unwrap()), "nothing says who wrote it");
    }

    #[test]
    fn files_left_open_are_trusted_in_the_same_boot_only() {
        let (_temp, folder) = folder_with_a_file();
        mark_open(&folder).unwrap();
        assert_eq!(Trust::of(&folder).unwrap(), Trust::Trusted);
        let after_a_power_cut = Trust::in_boot(&folder, Some("another boot")).unwrap();
        assert_eq!(why(after_a_power_cut), "it was not closed before the machine stopped");
        assert!(why(Trust::in_boot(&folder, None).unwrap()).contains("cannot be read"));
    }

    #[test]
    fn files_closed_cleanly_are_trusted_in_every_boot() {
        let (_temp, folder) = folder_with_a_file();
        mark_open(&folder).unwrap();
        mark_closed(&folder).unwrap();
        for boot in [Some("another boot"), None] {
            assert_eq!(Trust::in_boot(&folder, boot).unwrap(), Trust::Trusted);
        }
    }

    #[test]
    fn opening_again_takes_the_clean_close_back() {
        let (_temp, folder) = folder_with_a_file();
        mark_closed(&folder).unwrap();
        mark_open(&folder).unwrap();
        assert!(matches!(Trust::in_boot(&folder, Some("another boot")).unwrap(), Trust::NotTrusted { .. }));
    }

    #[test]
    fn an_unnamed_boot_trusts_a_clean_close_only() {
        assert!(matches!(Trust::judge(Some("open \n"), None), Trust::NotTrusted { .. }));
        assert!(matches!(Trust::judge(Some("open \n"), Some("a")), Trust::NotTrusted { .. }));
        assert_eq!(Trust::judge(Some("closed\n"), None), Trust::Trusted);
    }

    #[test]
    fn a_damaged_marker_is_not_trusted() {
        for marker in ["", "clos", "open", "\0\0\0\0"] {
            assert!(matches!(Trust::judge(Some(marker), Some("a")), Trust::NotTrusted { .. }), "{marker:?}");
        }
    }
}
