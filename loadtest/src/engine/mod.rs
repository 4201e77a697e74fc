//! The engine under load: a process of one's own in a folder of its own, or one that runs already.
//!
//! ```text
//!   binary ──start──> accepting ──stop or kill──> ended ──start──> accepting, with the same folder
//! ```
//!
//! All that is known of it comes from where anybody could look: its log line, its API, `/proc`.
//!
//! Invariants
//! - An engine that was started here ends with its owner, and its folder is removed then.
//! - One that ran already is never ended.
//!
//! Not here: which applications and endpoints it has (`run::catalog`).

mod api;
mod arguments;
mod binary;
mod counters;
mod folder;
mod process;
mod reading;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub(crate) use api::Api;
pub(crate) use arguments::{OwnEngine, RunningEngine};
pub(crate) use binary::find as find_binary;
pub(crate) use counters::Counters;
pub(crate) use counters::sum;
pub(crate) use process::{addresses, command as serve, forget, kill_all, remember};
pub(crate) use reading::{Reading, own_cpu, wake_ups};

use folder::Folder;
use process::Process;

/// A setting of the engine: `retry.policy` and its value.
pub(crate) type Setting = (String, String);

/// An engine that accepts.
pub(crate) struct Engine {
    own: Option<Own>,
    tcp: SocketAddr,
    api: SocketAddr,
    password: Option<String>,
    token: Option<String>,
    pid: Option<u32>,
}

/// What it takes to start the same engine again.
struct Own {
    process: Process,
    binary: PathBuf,
    settings: Vec<Setting>,
    folder: Folder,
}

impl Engine {
    /// Starts one of one's own. `settings` of the caller come first; those of the command line override them.
    pub(crate) fn start(arguments: &OwnEngine, settings: &[Setting]) -> anyhow::Result<Self> {
        let binary = binary::find(arguments.engine_binary.as_deref())?;
        let folder = Folder::create(arguments.folder.as_deref())?;
        let settings = [settings, &arguments.settings].concat();
        let process = Process::start(&binary, folder.path(), &settings)?;
        let (tcp, api, pid) = (process.tcp(), process.api(), Some(process.pid()));
        let own = Some(Own { process, binary, settings, folder });
        Ok(Self { own, tcp, api, password: None, token: None, pid })
    }

    /// Uses one that runs already.
    pub(crate) fn running(arguments: &RunningEngine) -> anyhow::Result<Option<Self>> {
        let Some((address, api)) = arguments.address.zip(arguments.api) else { return Ok(None) };
        let (password, token) = (arguments.password.clone(), arguments.token.clone());
        let engine = Self { own: None, tcp: address, api, password, token, pid: arguments.pid };
        engine.counters().with_context(|| format!("--api {api}"))?;
        engine.reading().context("--pid")?;
        Ok(Some(engine))
    }

    /// Where messages are published.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Where its API and its pages are.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// The password for that, if it has one.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Whether it was started here.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The folder of its data, if it was started here.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.folder.path())
    }

    /// A new connection to its API.
    pub(crate) fn connect_api(&self) -> anyhow::Result<Api> {
        Api::connect(self.api, self.token.clone())
    }

    /// What it counts.
    pub(crate) fn counters(&self) -> anyhow::Result<Counters> {
        Counters::parse(&self.connect_api()?.text("/metrics")?)
    }

    /// What its process has used so far; zeros where its process is not known.
    pub(crate) fn reading(&self) -> anyhow::Result<Reading> {
        self.pid.map_or_else(|| Ok(Reading::default()), Reading::of)
    }

    /// Its process, if known.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// `kill -9`. Nothing of it runs afterwards; its folder stays.
    pub(crate) fn kill(&mut self) {
        if let Some(own) = &mut self.own {
            own.process.kill();
        }
    }

    /// Starts it again with the same folder and settings. How long it took until it accepted.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<Duration> {
        let own = self.own.as_mut().context("an engine that ran already is not started again")?;
        let began = Instant::now();
        own.process = Process::start(&own.binary, own.folder.path(), &own.settings)?;
        (self.tcp, self.api) = (own.process.tcp(), own.process.api());
        self.pid = Some(own.process.pid());
        Ok(began.elapsed())
    }

    /// SIGTERM, and waits for its end; nothing to one that ran already.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.own.as_mut().map_or(Ok(()), |own| own.process.stop())
    }
}
