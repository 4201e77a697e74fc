//! The thread around the core: clock in, actions out.
//!
//! One current-thread runtime. Each round takes the inbox and the attempts that ended, tells the core, does
//! what the core asks for, and hands all reports of the round to the writer at once; then it sleeps until
//! something arrives, an attempt ends, or the core wants to be woken.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use posthaste_storage::log::LogReader;
use tokio::task::LocalSet;

use super::attempts::{Attempts, Finish, Finished, Order};
use super::own_urls::OwnUrls;
use super::{Shards, ToShard};
use crate::alerts::{Ear, Heard};
use crate::clock::Clock;
use crate::core::health::HealthChange;
use crate::core::ids::{EndpointId, NumberHash};
use crate::core::outcome::Outcome;
use crate::core::shard::{Action, Door, Input, Shard, ShardSettings, Start};
use crate::core::tick::Tick;
use crate::delivery::{Ended as Report, Sender, Target};
use crate::keyring::Keyring;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::seam;
use crate::threads;
use crate::traces::Sampler;
use crate::writer::{Event, Job, WriterHandle};

/// Reports not stored yet beyond which a shard starts nothing new: what a crash could repeat is bounded.
pub(super) const UNSTORED_MAX: usize = 8_192;
/// How often idle connections are looked after and gauges set.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// What a shard's thread works with.
pub(crate) struct ShardThread {
    pub(crate) number: usize,
    pub(crate) shards: Arc<Shards>,
    pub(crate) settings: ShardSettings,
    pub(crate) clock: Clock,
    pub(crate) writer: WriterHandle,
    pub(crate) reader: LogReader,
    /// Opens the secrets of messages that are read back.
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) metrics: Arc<Metrics>,
    /// Hears of lockouts, for alerts.
    pub(crate) ear: Ear,
    /// Which messages receivers are told the trace of.
    pub(crate) propagates: Option<Sampler>,
    /// How long attempts in flight may take to finish at the end.
    pub(crate) grace: Duration,
    /// Disables an endpoint that wants nothing more.
    pub(crate) disable: Box<dyn Fn(EndpointId) + Send>,
}

/// Starts the thread. `sender` is made inside it: connections live and die there.
pub(crate) fn spawn(
    shard: ShardThread,
    sender: impl FnOnce() -> Sender + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    threads::spawn(format!("shard-{}", shard.number), move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()
            .expect("a runtime needs an epoll and an eventfd");
        LocalSet::new().block_on(&runtime, Running::new(shard, sender()).run());
        // Attempts that were not done within the grace are cut off here, with their connections.
        runtime.shutdown_background();
    })
}

/// The thread's work, in whichever `LocalSet`.
#[cfg(any(test, feature = "simulation"))]
pub(crate) async fn run(shard: ShardThread, sender: Sender) {
    Running::new(shard, sender).run().await;
}

struct Running {
    shard: ShardThread,
    core: Shard<Arc<Message>, Report>,
    attempts: Attempts,
    targets: HashMap<EndpointId, Result<Arc<Target>, Arc<str>>, NumberHash>,
    finish: Rc<Finish>,
    reports: Vec<Event>,
    stop_at: Option<tokio::time::Instant>,
    deliveries_shown: i64,
    in_flight_shown: i64,
}

impl Running {
    fn new(shard: ShardThread, sender: Sender) -> Self {
        let core = Shard::new(shard.settings.clone(), shard.clock.now());
        let finish = Rc::<Finish>::default();
        Self {
            attempts: Attempts::new(
                sender,
                OwnUrls::new(shard.settings.url_lockout),
                shard.propagates,
                shard.clock,
                shard.reader.clone(),
                shard.keyring.clone(),
                finish.clone(),
            ),
            shard,
            core,
            targets: HashMap::default(),
            finish,
            reports: Vec::new(),
            stop_at: None,
            deliveries_shown: 0,
            in_flight_shown: 0,
        }
    }

    async fn run(mut self) {
        let mut arrived = Vec::new();
        let mut finished = Vec::new();
        let mut housekeeping = tokio::time::interval(seam::round(HOUSEKEEPING));
        loop {
            self.front().inbox.take(&mut arrived);
            self.finish.take(&mut finished);
            // One moment for all that has come: asking the time for each would be felt.
            let now = self.shard.clock.now();
            arrived.drain(..).for_each(|what| self.take(now, what));
            finished.drain(..).for_each(|finished| self.ended(now, finished));
            self.core.handle(now, Input::Wake);
            self.act();
            self.report();
            if self.is_over() {
                return;
            }
            self.sleep(&mut housekeeping).await;
        }
    }

    fn front(&self) -> &super::Front {
        &self.shard.shards.fronts[self.shard.number]
    }

    fn take(&mut self, now: Tick, what: ToShard) {
        let input = match what {
            ToShard::Deliver(incoming) => Input::Deliver(incoming),
            ToShard::Endpoint(settings, target) => {
                self.targets.insert(settings.id, target);
                Input::Endpoint(settings)
            }
            ToShard::EndpointGone(id, gone) => {
                self.targets.remove(&id);
                Input::EndpointGone(id, gone)
            }
            ToShard::Cancel(message) => Input::Cancel(message),
            ToShard::Horizon(horizon) => Input::Horizon(horizon),
            ToShard::RememberBefore(position) => Input::RememberBefore(position),
            ToShard::Stop => {
                self.stop_at = Some(tokio::time::Instant::now() + self.shard.grace);
                return;
            }
        };
        self.core.handle(now, input);
    }

    fn ended(&mut self, now: Tick, finished: Finished) {
        let Finished { token, report } = finished;
        let outcome = report.outcome;
        let took = Duration::from_micros(report.timing.total_us.into());
        self.core.handle(now, Input::Ended { token, outcome, took, report });
    }

    /// Does what the core asks for, unless the writer is too far behind to record it.
    fn act(&mut self) {
        while self.stop_at.is_none() && !self.is_held_back() {
            let Some(action) = self.core.poll_action() else { return };
            self.do_action(action);
        }
        // Held back or stopping: what has already happened is recorded all the same.
        while let Some(action) = self.core.poll_happened() {
            self.do_action(action);
        }
    }

    /// Whether too much is not stored yet. The writer wakes a shard that was told so.
    fn is_held_back(&self) -> bool {
        self.front().unstored.is_too_much(self.reports.len(), UNSTORED_MAX)
    }

    fn do_action(&mut self, action: Action<Arc<Message>, Report>) {
        match action {
            Action::Start(start) => self.start(start),
            Action::Ended(ended) => self.reports.push(Event::Ended(Box::new(ended))),
            Action::Park(parked) => self.reports.push(Event::Parked(parked)),
            Action::Settle(settled) => self.reports.push(Event::Settled(settled)),
            Action::Disable(endpoint) => (self.shard.disable)(endpoint),
            Action::Health { endpoint, door, change } => self.tell_health(endpoint, door, change),
        }
    }

    /// A lockout is rare enough to be logged, and for most people the first they hear of a broken receiver.
    fn tell_health(&self, endpoint: EndpointId, door: Door, change: HealthChange) {
        self.shard.ear.hear(Heard::Door(endpoint, door, change));
        let door = match door {
            Door::Url => "URL",
            Door::Host => "host",
        };
        match change {
            HealthChange::LockedOut { until } => {
                self.shard.metrics.lockouts.inc();
                tracing::warn!(%endpoint, door, until_ms = until.as_ms(), "locked out");
            }
            HealthChange::StaysLockedOut { until } => {
                tracing::info!(%endpoint, door, until_ms = until.as_ms(), "the probe failed: stays locked out");
            }
            HealthChange::Recovered => tracing::info!(%endpoint, door, "recovered"),
        }
    }

    fn report(&mut self) {
        if self.reports.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.reports);
        self.front().unstored.add(events.len());
        self.shard.writer.send(Job::Report { shard: self.shard.number, events });
    }

    fn start(&mut self, start: Start<Arc<Message>>) {
        let Start { token, key, message_at, body } = start;
        let target = match self.targets.get(&key.endpoint) {
            Some(Ok(target)) => target.clone(),
            Some(Err(why)) => {
                return self.finish.put(token, Report::unsent(Outcome::RequestInvalid, why.to_string()));
            }
            None => {
                let why = "the endpoint is gone";
                return self.finish.put(token, Report::unsent(Outcome::RequestInvalid, why));
            }
        };
        self.attempts.start(Order { token, target, message: key.message, message_at, body });
    }

    async fn sleep(&mut self, housekeeping: &mut tokio::time::Interval) {
        let wakeup = match self.stop_at {
            Some(stop_at) => Some(stop_at),
            // The writer wakes a shard that is held back; until then it can do nothing about what is due.
            None if self.is_held_back() => None,
            None => self.core.next_wakeup().map(|at| self.shard.clock.instant_of(at)),
        };
        let wakeup = async {
            match wakeup {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        // In this order, and not in any: so a simulation can be repeated. What is rare comes first.
        let tick = tokio::select! {
            biased;
            _ = housekeeping.tick() => true,
            () = wakeup => false,
            () = self.front().inbox.arrived() => false,
            () = self.finish.any() => false,
        };
        if tick {
            self.housekeep();
        }
    }

    fn housekeep(&mut self) {
        self.attempts.close_idle();
        let (deliveries, in_flight) = (self.core.deliveries() as i64, i64::from(self.core.in_flight()));
        self.shard.metrics.in_memory.inc_by(deliveries - self.deliveries_shown);
        self.shard.metrics.in_flight.inc_by(in_flight - self.in_flight_shown);
        (self.deliveries_shown, self.in_flight_shown) = (deliveries, in_flight);
    }

    /// Whether the thread was told to stop and has nothing more to wait for.
    fn is_over(&self) -> bool {
        let Some(stop_at) = self.stop_at else { return false };
        self.core.in_flight() == 0 || tokio::time::Instant::now() >= stop_at
    }
}
