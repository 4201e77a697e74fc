//! A site: a data folder and its configuration, which outlive the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Posthaste, binary};

/// See the head of this file. The folder is removed with it.
pub(crate) struct Site {
    temp: TempDir,
    data: PathBuf,
    settings: BTreeMap<String, String>,
}

/// What every test needs: ports that the system chooses, receivers on loopback, logs that can be read.
const BASE: [(&str, &str); 6] = [
    ("ingest.listen", "'127.0.0.1:0'"),
    ("api.listen", "'127.0.0.1:0'"),
    ("egress.allow_cidrs", "['127.0.0.0/8']"),
    ("log.format", "'json'"),
    ("storage.reserve_bytes", "'1MiB'"),
    ("shards.count", "2"),
];

impl Site {
    /// A fresh one, with these settings (keys and values as TOML has them) beside those that all tests share.
    pub(crate) fn new(settings: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let data = temp.path().join("data");
        Self::at(temp, data, settings)
    }

    /// As [`Self::new`], with the data somewhere else.
    pub(crate) fn with_data(data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::at(tempfile::tempdir().expect("a temporary folder"), data.into(), settings)
    }

    fn at(temp: TempDir, data: PathBuf, settings: &[(&str, &str)]) -> Self {
        let folder = format!("'{}'", data.display());
        let all = BASE.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = all.chain([("data.folder".to_owned(), folder)]).collect();
        Self { temp, data, settings }
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.into(), value.into());
    }

    /// Where the log, the ledger and the catalog are.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The last segment of the log, the one that is written to.
    pub(crate) fn last_segment(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.data.join("log")).expect("the log's folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let segments = paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg"));
        segments.max().expect("a segment")
    }

    /// The configuration file as it stands.
    pub(crate) fn config(&self) -> PathBuf {
        let lines = self.settings.iter().map(|(key, value)| format!("{key} = {value}\n"));
        let path = self.temp.path().join("posthaste.toml");
        std::fs::write(&path, lines.collect::<String>()).expect("the configuration");
        path
    }

    /// Starts the process and waits until it accepts.
    pub(crate) async fn start(&self) -> Posthaste {
        self.spawn().accepting().await
    }

    /// Starts the process and does not wait for anything.
    pub(crate) fn spawn(&self) -> Posthaste {
        Posthaste::spawn(self.serve())
    }

    /// Starts the process where it is expected to refuse, and returns the line that says why.
    pub(crate) async fn refusal(&self) -> String {
        self.spawn().refusal().await
    }

    /// The command that runs the process.
    pub(crate) fn serve(&self) -> Command {
        let mut command = binary();
        command.args(["serve", "--config"]).arg(self.config());
        command
    }
}
