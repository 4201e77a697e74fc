//! Open connections that wait for their next request, by host.
//!
//! Reuse outweighs all else in the cost of a delivery, and an old connection is a risk: the receiver may be
//! about to close it, or its name may lead elsewhere by now. Hence last in, first out, so that few
//! connections stay busy and the others grow old; an idle timeout below that of common servers; and a
//! maximum age after which the name is resolved and the address judged again.
//!
//! Invariants
//! - A connection is handed out only for the host that it was opened for, and to targets that show and believe what
//!   it was opened with.
//! - A connection that an earlier egress policy permitted is not handed out.
//! - At most `connections_max` connections wait here, at most `connections_per_host_max` for one host.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::host::HostKey;
use super::http1::Http1;
use super::http2::{Http2, Http2Stream};
use super::identity::Fingerprint;
use super::lease::Lease;

/// How many connections are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// An idle connection is closed after this long.
    pub idle_timeout: Duration,
    /// A connection of this age is not used again.
    pub age_max: Duration,
    /// Connections kept for one host (idle HTTP/1.1 and all HTTP/2).
    pub connections_per_host_max: usize,
    /// Connections kept by one shard.
    pub connections_max: usize,
    /// Requests at a time over one HTTP/2 connection; the receiver's own limit may be lower.
    pub streams_per_connection_max: usize,
}

/// A connection that was just opened.
pub(super) enum Opened {
    Http1(Box<Http1>),
    Http2(Rc<Http2>),
}

/// Where a connection leads, and with what it was opened.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) host: &'a HostKey,
    pub(super) identity: Fingerprint,
}

struct Idle {
    connection: Box<Http1>,
    identity: Fingerprint,
    since: Instant,
}

struct Shared {
    connection: Rc<Http2>,
    identity: Fingerprint,
}

#[derive(Default)]
struct HostConnections {
    /// The longest idle first.
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

impl HostConnections {
    fn len(&self) -> usize {
        self.idle.len() + self.shared.len()
    }
}

/// The connections of one shard.
pub(super) struct Pool {
    limits: PoolLimits,
    hosts: RefCell<HashMap<HostKey, HostConnections>>,
    kept: Cell<usize>,
    /// Connections permitted before this moment were permitted by an earlier policy.
    policy_since: Cell<Instant>,
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            hosts: RefCell::default(),
            kept: Cell::new(0),
            policy_since: Cell::new(Instant::now()),
        }
    }

    /// A connection to this place that is ready for a request, if there is one.
    pub(super) fn checkout(&self, place: Place<'_>, now: Instant) -> Option<Lease> {
        let mut hosts = self.hosts.borrow_mut();
        let connections = hosts.get_mut(place.host)?;
        let streams_max = self.limits.streams_per_connection_max;
        let has_room = |shared: &&Shared| {
            shared.identity == place.identity
                && self.may_share(&shared.connection, now)
                && shared.connection.has_room(streams_max)
        };
        if let Some(shared) = connections.shared.iter().find(has_room) {
            return Some(Lease::Http2(Http2Stream::new(Rc::clone(&shared.connection))));
        }
        // Nearly always the last: few hosts are spoken to under several identities.
        while let Some(at) = connections.idle.iter().rposition(|idle| idle.identity == place.identity) {
            let mut idle = connections.idle.remove(at);
            self.kept.set(self.kept.get() - 1);
            if self.may_reuse(&mut idle, now) {
                return Some(Lease::Http1(idle.connection));
            }
        }
        None
    }

    /// Takes a connection up and gives it on lease.
    pub(super) fn adopt(&self, place: Place<'_>, opened: Opened) -> Lease {
        match opened {
            Opened::Http1(connection) => Lease::Http1(connection),
            Opened::Http2(connection) => {
                let stream = Http2Stream::new(Rc::clone(&connection));
                let identity = place.identity;
                self.keep(place.host, |known| known.shared.push(Shared { connection, identity }));
                Lease::Http2(stream)
            }
        }
    }

    /// Takes a connection back after an exchange that came to its proper end.
    pub(super) fn put_back(&self, place: Place<'_>, lease: Lease, now: Instant) {
        // A shared connection never left.
        let Lease::Http1(connection) = lease else { return };
        if self.is_current(connection.permitted_at, now) && connection.is_idle() {
            let idle = Idle { connection, identity: place.identity, since: now };
            self.keep(place.host, |connections| connections.idle.push(idle));
        }
    }

    /// Closes what is idle for too long, too old, or closed by the receiver.
    pub(super) fn sweep(&self, now: Instant) {
        let mut kept = 0;
        self.hosts.borrow_mut().retain(|_, connections| {
            connections.idle.retain_mut(|idle| self.may_reuse(idle, now));
            connections.shared.retain(|shared| {
                let is_idle = |since| now.saturating_duration_since(since) >= self.limits.idle_timeout;
                let connection = &shared.connection;
                self.may_share(connection, now) && !connection.idle_since().is_some_and(is_idle)
            });
            kept += connections.len();
            connections.len() > 0
        });
        self.kept.set(kept);
    }

    /// Closes what is idle and never hands out again what is in use: a new policy applies.
    pub(super) fn renew(&self) {
        for shared in self.hosts.take().into_values().flat_map(|connections| connections.shared) {
            shared.connection.retire();
        }
        self.kept.set(0);
        self.policy_since.set(Instant::now());
    }

    fn keep(&self, host: &HostKey, push: impl FnOnce(&mut HostConnections)) {
        if self.kept.get() >= self.limits.connections_max {
            return;
        }
        let mut hosts = self.hosts.borrow_mut();
        // Looked up twice only for a host that is new: the key is cloned only then.
        let connections = match hosts.get_mut(host) {
            Some(connections) => connections,
            None => hosts.entry(host.clone()).or_default(),
        };
        if connections.len() < self.limits.connections_per_host_max {
            push(connections);
            self.kept.set(self.kept.get() + 1);
        }
    }

    fn may_reuse(&self, idle: &mut Idle, now: Instant) -> bool {
        now.saturating_duration_since(idle.since) < self.limits.idle_timeout
            && self.is_current(idle.connection.permitted_at, now)
            && idle.connection.is_usable()
    }

    fn may_share(&self, shared: &Http2, now: Instant) -> bool {
        self.is_current(shared.permitted_at, now) && shared.is_usable()
    }

    fn is_current(&self, permitted_at: Instant, now: Instant) -> bool {
        permitted_at >= self.policy_since.get()
            && now.saturating_duration_since(permitted_at) < self.limits.age_max
    }
}
