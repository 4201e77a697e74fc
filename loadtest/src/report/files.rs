//! Files that a report is written to beside the table.

use std::path::{Path, PathBuf};

use anyhow::ensure;

/// Where to write what.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct Files {
    /// Write everything to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write everything to this file, as a page with plots that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Files {
    /// Whether they can be written, asked before an hour is spent on what goes into them.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (option, path) in [("--json", &self.json), ("--html", &self.html)] {
            let Some(path) = path else { continue };
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            ensure!(folder.is_dir(), "{option} {}: there is no folder {}", path.display(), folder.display());
            ensure!(!path.is_dir(), "{option} {}: that is a folder", path.display());
        }
        Ok(())
    }
}
