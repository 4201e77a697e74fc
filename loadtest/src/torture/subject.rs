//! The subject: one process of the engine that bad things are done to. What it says is kept, because what an
//! operator sees of a fault is a promise too.
//!
//! Unlike the engine of a load (`engine::Engine`) it may refuse to start, end by itself, and be started inside
//! something: a limit, a control group, a preloaded library.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::engine::{Api, Reading, Setting, addresses, forget, remember, serve};

/// Longer than any start of a folder of this size takes, on a machine with other things to do.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// Longer than `shutdown.grace`.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// Lines that are kept.
const LINES_MAX: usize = 400;

/// How a subject is started.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    pub(super) binary: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) settings: Vec<Setting>,
    /// Set in its environment.
    pub(super) variables: Vec<(&'static str, OsString)>,
    /// Shell commands that come first, in the same process: `ulimit -n 256`.
    pub(super) first: Option<String>,
}

/// What came of a start.
pub(super) enum Started {
    Accepts(Subject),
    Ended { status: ExitStatus, said: Said },
}

/// A process that accepts. It is killed when this is dropped.
pub(super) struct Subject {
    child: Owned,
    pub(super) tcp: SocketAddr,
    pub(super) api: SocketAddr,
    said: Said,
}

/// What it said on standard error, the newest lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(Arc<Mutex<VecDeque<String>>>);

impl Start {
    /// Starts it and waits for what comes of it.
    pub(super) fn start(&self) -> anyhow::Result<Started> {
        let mut starting = self.spawn()?;
        match starting.heard.recv_timeout(START_PATIENCE) {
            Ok((tcp, api)) => {
                let Starting { child, said, .. } = starting;
                Ok(Started::Accepts(Subject { child, tcp, api, said }))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = starting.child.child.wait()?;
                Ok(Started::Ended { status, said: starting.said })
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("the engine did not accept within {START_PATIENCE:?}; {}", starting.said.last())
            }
        }
    }

    /// Starts it, and kills it so much later, wherever it has come by then.
    pub(super) fn start_and_kill(&self, after: Duration, before_kill: impl FnOnce()) -> anyhow::Result<()> {
        let mut starting = self.spawn()?;
        std::thread::sleep(after);
        before_kill();
        starting.child.kill()?;
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Starting> {
        let mut command = serve(&self.binary, &self.folder, &self.settings);
        if let Some(first) = &self.first {
            command = within_shell(&command, first);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().with_context(|| format!("starting {}", self.binary.display()))?;
        let stderr = child.stderr.take().context("its standard error")?;
        let (said, (tell, heard)) = (Said::default(), channel());
        let kept = said.clone();
        std::thread::spawn(move || listen(stderr, &kept, &tell));
        Ok(Starting { child: Owned::new(child), said, heard })
    }
}

/// A child that does not outlive its owner.
struct Owned {
    child: Child,
    pid: Pid,
}

impl Owned {
    fn new(child: Child) -> Self {
        let pid = Pid::from_child(&child);
        remember(pid);
        Self { child, pid }
    }

    fn kill(&mut self) -> std::io::Result<ExitStatus> {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let status = self.child.wait();
        forget(self.pid);
        status
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.kill();
    }
}

struct Starting {
    child: Owned,
    said: Said,
    heard: std::sync::mpsc::Receiver<(SocketAddr, SocketAddr)>,
}

/// The same command, after others in a shell that becomes it.
fn within_shell(command: &Command, first: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{first} && exec \"$0\" \"$@\"")).arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let (null, piped) = (std::process::Stdio::null, std::process::Stdio::piped);
    shell.stdin(null()).stdout(null()).stderr(piped()).process_group(0);
    shell
}

impl Subject {
    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// `kill -9`; how it ended.
    pub(super) fn kill(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.kill()?)
    }

    /// SIGTERM, and waits for its end.
    pub(super) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let until = Instant::now() + STOP_PATIENCE;
        loop {
            if let Some(status) = self.child.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(
                Instant::now() < until,
                "the engine did not end within {STOP_PATIENCE:?} of SIGTERM"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.child.pid, signal).with_context(|| format!("{signal:?} to the engine"))
    }

    /// SIGSTOP, and waits until it has reached every thread. The first to take the signal stops the others, which on a
    /// busy machine go on for milliseconds, calls of the kernel included.
    pub(super) fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        let whatever = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status =
            waitid(WaitId::Pid(self.child.pid), whatever).context("waiting for the engine to stop")?;
        anyhow::ensure!(
            status.is_some_and(|status| status.stopped()),
            "the engine ended instead of stopping"
        );
        Ok(())
    }

    /// Whether it has ended by itself, and how.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.child.try_wait()?)
    }

    pub(super) fn connect_api(&self) -> anyhow::Result<Api> {
        Api::connect(self.api, None)
    }

    /// One of its metrics, all series added up; 0 where there is none yet.
    pub(super) fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let text = self.connect_api()?.text("/metrics")?;
        Ok(crate::engine::sum(&text, name).unwrap_or(0))
    }

    /// What `GET /api/v1/health/ready` answers: `None` when it is ready, else the code of why not.
    pub(super) fn unready(&self) -> anyhow::Result<Option<String>> {
        self.connect_api()?.unready()
    }

    /// The most memory that it ever had, in bytes; 0 once it has ended.
    pub(super) fn resident_bytes_max(&self) -> u64 {
        let pid = u32::try_from(self.child.pid.as_raw_nonzero().get()).unwrap_or(0);
        Reading::of(pid).map_or(0, |reading| reading.resident_bytes_max)
    }
}

impl Said {
    /// Whether a line has this in it.
    pub(super) fn has(&self, text: &str) -> bool {
        self.0.lock().iter().any(|line| line.contains(text))
    }

    /// The newest line.
    pub(super) fn last(&self) -> String {
        self.0.lock().back().cloned().unwrap_or_default()
    }

    /// The newest line with one of these in it.
    pub(super) fn line_with(&self, texts: &[&str]) -> Option<String> {
        let lines = self.0.lock();
        let found = lines.iter().rev().find(|line| texts.iter().any(|text| line.contains(text)));
        found.cloned()
    }

    /// All that is kept.
    pub(super) fn all(&self) -> String {
        self.0.lock().iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Reads its log to the end, so that it never waits for a reader.
fn listen(stderr: ChildStderr, kept: &Said, heard: &Sender<(SocketAddr, SocketAddr)>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let addresses = addresses(&line);
        let mut lines = kept.0.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        if let Some(addresses) = addresses {
            // Whoever waited may have gone.
            let _ = heard.send(addresses);
        }
    }
}

/// A name for a folder of this process.
pub(super) fn folder_name(kind: &str, seed: u64) -> String {
    format!("posthaste-torture-{kind}-{}-{seed}", std::process::id())
}

/// Where something lies below a folder, in a form that a preloaded library compares with: without links.
pub(super) fn resolved(folder: &Path) -> anyhow::Result<PathBuf> {
    folder.canonicalize().with_context(|| format!("{}", folder.display()))
}
