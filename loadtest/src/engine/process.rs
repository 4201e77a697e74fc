//! A process of the engine: started, listened to until it accepts, ended.
//!
//! It runs in a process group of its own: Ctrl-C is for the load test, which ends it in good order.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, bail, ensure};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Setting, arguments};

/// A start with ten million pending deliveries is waited for, with room to spare.
const START_PATIENCE: Duration = Duration::from_secs(300);
/// Longer than `shutdown.grace`, its default included.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Processes that run, so that an impatient second Ctrl-C can end them.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Ends every engine that was started here, at once.
pub(crate) fn kill_all() {
    for pid in RUNNING.lock().iter() {
        // It may have ended by itself.
        let _ = kill_process(*pid, Signal::KILL);
    }
}

/// From now on it is ended by [`kill_all`].
pub(crate) fn remember(pid: Pid) {
    RUNNING.lock().push(pid);
}

/// It has ended.
pub(crate) fn forget(pid: Pid) {
    RUNNING.lock().retain(|running| *running != pid);
}

/// A process that accepts. It is killed when this is dropped.
pub(super) struct Process {
    child: Child,
    pid: Pid,
    tcp: SocketAddr,
    api: SocketAddr,
}

/// The last line of its log, to say what it said.
type LastLine = Arc<Mutex<String>>;

impl Process {
    /// Starts it and waits until producers can connect.
    pub(super) fn start(binary: &Path, folder: &Path, settings: &[Setting]) -> anyhow::Result<Self> {
        let mut command = command(binary, folder, settings);
        let mut child = command.spawn().with_context(|| format!("starting {}", binary.display()))?;
        let pid = Pid::from_child(&child);
        remember(pid);
        let (heard, accepting) = channel();
        let last = LastLine::default();
        let stderr = child.stderr.take().context("its standard error")?;
        let kept = last.clone();
        std::thread::spawn(move || listen(stderr, &kept, &heard));
        // From here on the child has an owner that ends it.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, pid, tcp: unknown, api: unknown };
        (process.tcp, process.api) = process.await_addresses(&accepting, &last)?;
        Ok(process)
    }

    fn await_addresses(
        &mut self,
        accepting: &Receiver<(SocketAddr, SocketAddr)>,
        last: &LastLine,
    ) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        match accepting.recv_timeout(START_PATIENCE) {
            Ok(addresses) => Ok(addresses),
            Err(RecvTimeoutError::Timeout) => bail!("the engine did not accept within {START_PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                bail!("the engine did not start ({status}) and said: {}", last.lock())
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    pub(super) fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        forget(self.pid);
    }

    /// SIGTERM, and waits for its end.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(self.pid, Signal::TERM).context("SIGTERM to the engine")?;
        }
        let status = self.wait_for_end()?;
        ensure!(status.success(), "the engine ended with {status}");
        Ok(())
    }

    fn wait_for_end(&mut self) -> anyhow::Result<ExitStatus> {
        let until = Instant::now() + STOP_PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < until, "the engine did not end within {STOP_PATIENCE:?} of SIGTERM");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `posthaste serve` on loopback, at ports that are free, without what the environment might set.
pub(crate) fn command(binary: &Path, folder: &Path, settings: &[Setting]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"POSTHASTE_") {
            command.env_remove(name);
        }
    }
    let basics = [
        ("ingest.listen", "127.0.0.1:0"),
        ("api.listen", "127.0.0.1:0"),
        ("egress.allow_cidrs", "127.0.0.0/8"),
        ("log.format", "json"),
    ];
    command.envs(basics.map(|(key, value)| (arguments::variable(key), value)));
    command.envs(settings.iter().map(|(key, value)| (arguments::variable(key), value)));
    command.env(arguments::variable("data.folder"), folder);
    command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    command
}

/// Reads its log to the end, so that it never waits for a reader.
fn listen(stderr: ChildStderr, kept: &LastLine, heard: &Sender<(SocketAddr, SocketAddr)>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(addresses) = addresses(&line) {
            // Whoever waited may have gone.
            let _ = heard.send(addresses);
        }
        *kept.lock() = line;
    }
}

/// The two addresses in the line that says that it accepts.
pub(crate) fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    (fields["message"] == "accepting").then_some(())?;
    Some((fields["tcp"].as_str()?.parse().ok()?, fields["http"].as_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_that_it_accepts_is_found_among_others() {
        let line =
            r#"{"level":"INFO","fields":{"message":"accepting","tcp":"127.0.0.1:1","http":"127.0.0.1:2"}}"#;
        assert_eq!(addresses(line).map(|(tcp, api)| (tcp.port(), api.port())), Some((1, 2)));
        assert_eq!(addresses(&line.replace("accepting", "stopping")), None);
        assert_eq!(addresses("posthaste: no"), None);
    }

    #[test]
    fn a_program_that_ends_instead_of_accepting_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = Process::start(Path::new("/bin/ls"), folder.path(), &[]).err().unwrap().to_string();
        assert!(error.starts_with("the engine did not start"), "{error}");
        assert!(error.contains("serve"), "{error}");
    }
}
