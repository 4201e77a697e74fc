//! A data folder for the occasion.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

/// Numbers the folders of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder that did not exist before and is removed with everything in it when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("posthaste-loadtest-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("--folder {}", parent.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            crate::report::complain(&anyhow::anyhow!("{} stays: {error}", self.0.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_gone_with_its_content_when_it_is_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(Some(parent.path())).unwrap();
        std::fs::write(folder.path().join("log"), "x").unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_parent_that_is_not_there_is_named() {
        let error = Folder::create(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(format!("{error:#}").starts_with("--folder /nowhere/at/all: "), "{error:#}");
    }
}
