//! The stage: a receiver, an engine that knows its endpoints, connections to publish over, and one account of all.
//!
//! ```text
//!   new (receiver listens) ──> enter (endpoints, connections) ──> warm_up, play, play ... ──> verdict
//!                                        ^── connect, after the engine was started again
//! ```
//!
//! A scenario may play several times on one stage. Messages are numbered through, so that a late delivery of one
//! play is not taken for one of the next.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::account::Account;
use super::hosts::{self, DeadHost};
use super::lane::Published;
use super::layout::{Behaviour, Layout};
use super::link::Link;
use super::measured::{Measured, Meter};
use super::plan::Plan;
use super::publish::{self, Extent, Orders, Pace};
use super::verdict::Verdict;
use super::xadd::Wire;
use super::{catalog, interrupt, watch};
use crate::engine::{Counters, Engine, Setting};
use crate::receiver::{self, Receiver};

const LOOK_EVERY: Duration = Duration::from_millis(2);

/// See the head of this file.
pub(crate) struct Stage {
    plan: Plan,
    mark: String,
    layout: Arc<Layout>,
    account: Arc<Account>,
    receiver: Receiver,
    ca_file: Option<CaFile>,
    dead: Option<DeadHost>,
    wire: Wire,
    links: Vec<Link>,
    next: u64,
    /// What the engine had counted before anything was published; `None` where that is of no use.
    counted: Option<Counters>,
}

impl Stage {
    /// Lets the receiver listen.
    pub(crate) fn new(plan: &Plan) -> anyhow::Result<Self> {
        let mark = mark();
        let layout = Arc::new(Layout::new(plan.numbers.clone()));
        let account = Arc::new(Account::new(layout.clone(), &mark, plan.limits.backlog));
        hosts::make_room_for_sockets(plan.numbers.hosts)?;
        let mut listen = hosts::listeners(plan.limits.receiver, plan.numbers.hosts);
        let dead = plan.numbers.dead_host.then(|| listen.pop()).flatten().map(DeadHost::at).transpose()?;
        if listen.is_empty() {
            // All hosts are dead. The receiver listens all the same, and nobody comes.
            listen.push(SocketAddr::new(plan.limits.receiver.ip(), 0));
        }
        let options = receiver::Options {
            listen,
            threads: plan.limits.receiver_threads.into(),
            tls: plan.limits.tls,
            loopback_only: plan.limits.receiver.ip().is_loopback(),
        };
        let receiver = Receiver::start(options, account.clone())
            .with_context(|| format!("--receiver {}", plan.limits.receiver))?;
        let ca_file = receiver.ca_pem().map(|pem| CaFile::write(&mark, pem)).transpose()?;
        let wire = Wire::new(&layout, &mark, plan.message_bytes);
        let plan = plan.clone();
        Ok(Self {
            plan,
            mark,
            layout,
            account,
            receiver,
            ca_file,
            dead,
            wire,
            links: vec![],
            next: 0,
            counted: None,
        })
    }

    /// Settings without which an engine cannot deliver to this receiver.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let file = self.ca_file.iter().map(|file| file.0.display().to_string());
        file.map(|file| ("delivery.ca_file".to_owned(), file)).collect()
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Makes the endpoints at an engine, and connects. How long making them took.
    pub(crate) fn enter(&mut self, engine: &Engine) -> anyhow::Result<Duration> {
        let took = catalog::create(engine, &self.layout, &self.mark, &|slot| self.url(slot))?;
        self.counted = Some(engine.counters()?);
        self.connect(engine)?;
        Ok(took)
    }

    /// Connects, again if the engine was started again.
    pub(crate) fn connect(&mut self, engine: &Engine) -> anyhow::Result<()> {
        let link = |_| Link::connect(engine.tcp(), engine.password());
        let links = (0..self.plan.limits.connections).map(link).collect::<Result<_, _>>();
        self.links = links.with_context(|| format!("publishing to {} (--address)", engine.tcp()))?;
        Ok(())
    }

    /// The engine was killed: its own counters begin anew.
    pub(crate) fn engine_was_killed(&mut self) {
        self.counted = None;
        self.links.clear();
    }

    /// The engine has messages of another stage as well: its own counters say nothing about this one.
    pub(crate) fn engine_is_shared(&mut self) {
        self.counted = None;
    }

    /// Takes everything away from an engine that goes on running.
    pub(crate) fn leave(&self, engine: &Engine) -> anyhow::Result<()> {
        if engine.is_own() { Ok(()) } else { catalog::remove(engine, &self.layout, &self.mark) }
    }

    /// Publishes for as long as the plan says before anything is measured.
    pub(crate) fn warm_up(&mut self, engine: &Engine) -> anyhow::Result<()> {
        let extent = Extent::For(self.plan.warm_up);
        if self.plan.warm_up > Duration::ZERO && !interrupt::is_requested() {
            self.play("warming up", engine, self.plan.pace, extent)?;
        }
        Ok(())
    }

    /// Publishes, waits for what was published, and measures both.
    pub(crate) fn play(
        &mut self,
        what: &str,
        engine: &Engine,
        pace: Pace,
        extent: Extent,
    ) -> anyhow::Result<Measured> {
        self.account.begin(self.next);
        let meter = Meter::start(engine, &self.receiver, &self.account)?;
        let account = self.account.clone();
        let (published, samples) = watch::during(what, engine, &account, || {
            let published = self.publish(pace, extent);
            self.await_receipts(self.plan.limits.patience);
            meter.await_counting(engine, &self.account);
            published
        });
        if let Some(refusal) = published.refusal.as_deref().filter(|_| published.acknowledged == 0) {
            anyhow::bail!("the engine at {} (--address) refuses messages: {refusal}", engine.tcp());
        }
        Ok(meter.stop(engine, &self.receiver, &self.account, published, samples))
    }

    /// Publishes, and returns when everything is answered or the connections have ended.
    pub(crate) fn publish(&mut self, pace: Pace, extent: Extent) -> Published {
        let orders = Orders {
            account: &self.account,
            layout: &self.layout,
            wire: &self.wire,
            pace,
            extent,
            window: self.plan.limits.window,
            first: self.next,
        };
        let (published, next) = publish::publish(&orders, &mut self.links);
        self.next = next;
        published
    }

    /// Waits until every healthy endpoint has received what was acknowledged. `false` if the time was too short.
    pub(crate) fn await_receipts(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let totals = self.account.totals();
            // The count may be reached by messages that nobody acknowledged; so it is looked at one by one.
            let began = Instant::now();
            if totals.once >= totals.expected && self.account.missing(self.next).next().is_none() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK_EVERY.max(4 * began.elapsed()));
        }
    }

    /// What became of everything that was acknowledged.
    pub(crate) fn verdict(&self, engine: &Engine) -> Verdict {
        Verdict::find(&self.account, &self.layout, self.next, engine, self.counted)
    }

    fn url(&self, slot: u32) -> String {
        let path = match self.layout.behaviour_of(slot) {
            Behaviour::Healthy | Behaviour::Dead => "/ok".to_owned(),
            Behaviour::Slow => format!("/delay/{}ms", self.plan.slow_for.as_millis()),
            Behaviour::Failing => "/status/500".to_owned(),
            Behaviour::Hanging => "/hang".to_owned(),
        };
        let scheme = if self.plan.limits.tls { "https" } else { "http" };
        format!("{scheme}://{}{path}?{}", self.address(slot), self.account.query(slot))
    }

    fn address(&self, slot: u32) -> SocketAddr {
        let host = self.layout.host_of(slot);
        let dead = self.dead.as_ref().filter(|_| self.layout.behaviour_of(slot) == Behaviour::Dead);
        let (first, listening) = (self.plan.limits.receiver, self.receiver.addresses());
        dead.map_or_else(|| hosts::reached_at(first, listening, host), DeadHost::address)
    }
}

/// Tells the requests of this run from those of others at the same addresses.
fn mark() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}{:x}", std::process::id(), now.as_nanos() & 0xffff_ffff_ffff)
}

/// The receiver's certificate authority in a file, for as long as the stage stands.
struct CaFile(PathBuf);

impl CaFile {
    fn write(mark: &str, pem: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("posthaste-loadtest-{mark}.pem"));
        let mut file = std::fs::File::create_new(&path).with_context(|| path.display().to_string())?;
        let file_removed_at_the_end = Self(path);
        file.write_all(pem.as_bytes())?;
        Ok(file_removed_at_the_end)
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        // What cannot be removed from the folder of temporary files harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}
