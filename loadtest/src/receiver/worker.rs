//! What a request does to a receiver, whatever protocol it came in: it is counted, told to the observer, its
//! signature checked, and a reply decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::answer::{Answer, Reply};
use super::behaviour::{Behaviour, Chance};
use super::counters::Counters;
use super::cpu::Cpu;
use super::request::Request;
use super::stats::Stats;
use super::{Arrival, Observer, Rules};

/// What all threads of a receiver share.
pub(super) struct Shared {
    pub(super) rules: Rules,
    pub(super) observer: Arc<dyn Observer>,
    /// One for each thread.
    pub(super) counters: Vec<Counters>,
    pub(super) connections: Connections,
    /// Requests that wait for their answer: delayed ones and those that never get one.
    pub(super) in_flight: Gauge,
    pub(super) cpu: Cpu,
}

impl Shared {
    pub(super) fn new(rules: Rules, observer: Arc<dyn Observer>, counters: Vec<Counters>) -> Self {
        let (connections, in_flight, cpu) = (Connections::default(), Gauge::default(), Cpu::default());
        Self { rules, observer, counters, connections, in_flight, cpu }
    }
}

/// Connections of all threads.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) accepted: AtomicU64,
    pub(super) open: Gauge,
}

/// How many there are of something, and how many there were at most.
#[derive(Default)]
pub(super) struct Gauge {
    pub(super) now: AtomicU64,
    pub(super) peak: AtomicU64,
}

impl Gauge {
    pub(super) fn up(&self) {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(now, Relaxed);
    }

    pub(super) fn down(&self) {
        self.now.fetch_sub(1, Relaxed);
    }
}

/// One more connection open, until it is dropped.
pub(super) struct Open(Arc<Shared>);

impl Open {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.accepted.fetch_add(1, Relaxed);
        shared.connections.open.up();
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.open.down();
    }
}

/// One more request in flight, until it is dropped.
pub(super) struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.down();
    }
}

/// A thread of a receiver, as its connections see it.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
}

impl Worker {
    /// A request has come, whole, at `at`. What becomes of it?
    pub(super) fn receive(&self, request: &Request<'_>, at: Instant) -> Reply {
        let path = request.target.split_once('?').map_or(request.target, |(path, _)| path);
        if path == "/stats" && request.method == "GET" {
            return Reply::Now(Answer::json(Stats::of(&self.shared).to_json()));
        }
        let reply = self.reply(path, request);
        let status = reply.status();
        self.counters().request(status, request.body.len());
        self.shared.observer.arrived(Arrival {
            target: request.target,
            webhook_id: request.webhook_id,
            body: request.body,
            at,
            status,
        });
        reply
    }

    fn reply(&self, path: &str, request: &Request<'_>) -> Reply {
        let rules = &self.shared.rules;
        if let Some(secret) = &rules.secret
            && !secret.signed(request)
        {
            self.counters().signature_failure();
            return Reply::Now(Answer::text(401, "the signature is wrong or missing\n"));
        }
        if request.method == "HEAD" {
            // Its answer would have a length and no body; not worth a path of its own.
            return Reply::Now(Answer::bare(405));
        }
        let chance = Chance { webhook_id: request.webhook_id, number: self.counters().requests() };
        let named = Behaviour::of(path, chance);
        let otherwise = || rules.otherwise.as_deref().and_then(|path| Behaviour::of(path, chance));
        let behaviour = named.or_else(otherwise).unwrap_or(Behaviour::Unknown);
        self.counters().behaviour(behaviour.index());
        Reply::to(behaviour)
    }

    /// Counts a request as in flight until the answer is dropped.
    pub(super) fn in_flight(&self) -> InFlight {
        self.shared.in_flight.up();
        InFlight(Arc::clone(&self.shared))
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.shared.counters[self.index]
    }
}
