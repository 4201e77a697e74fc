//! A receiver of webhooks: many ports, behaviours by path.
//!
//! ```text
//!   listeners --accept--> threads --plaintext--> connection ------+
//!                            |                                    +--> worker --> reply
//!                            +------TLS, HTTP/2--> hyper_service -+       |
//!                                                                         +--> counters, observer, ledger
//! ```
//!
//! It is meant to cost less than what it measures: plaintext HTTP/1.1 is served with one read, one write and no
//! allocation per request. The behaviours are in [`behaviour`].
//!
//! Not here: latencies. Whoever sends knows when; see `run`.

mod accept;
mod account;
mod answer;
mod arguments;
mod behaviour;
mod certificate;
mod chunks;
mod connection;
mod counters;
mod cpu;
mod hyper_service;
mod prefixed;
pub(crate) mod ranges;
mod request;
mod secret;
mod stats;
mod threads;
mod worker;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use account::Ledger;
pub(crate) use arguments::{Arguments, main};
pub(crate) use secret::Secret;
pub(crate) use threads::Receiver;

/// Bytes of a body, unless asked for otherwise.
const BODY_BYTES_MAX: usize = 20 << 20;

/// One request, seen whole.
pub(crate) struct Arrival<'a> {
    /// Path and query of the URL.
    pub(crate) target: &'a str,
    /// The header `webhook-id`.
    pub(crate) webhook_id: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
    /// When its last byte had been read.
    pub(crate) at: Instant,
    /// The status it is about to be answered with; `None` where it will not be answered.
    pub(crate) status: Option<u16>,
}

/// Who wants to hear of every request. Called on the receiver's threads: quick, and never blocking.
pub(crate) trait Observer: Send + Sync + 'static {
    /// A request has arrived.
    fn arrived(&self, arrival: Arrival<'_>);
}

/// How a receiver inside this process is to be.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where it listens; port 0 takes any that is free.
    pub(crate) listen: Vec<SocketAddr>,
    /// Threads that serve.
    pub(crate) threads: usize,
    /// Over TLS (own test CA), with HTTP/2 where the client offers it.
    pub(crate) tls: bool,
    /// Whether to hang up on whoever is not on this machine, for listeners on every address of it.
    pub(crate) loopback_only: bool,
}

/// What it does beyond answering as the path says.
#[derive(Debug)]
struct Rules {
    body_bytes_max: usize,
    /// What paths get that name no behaviour; `None`: 404.
    otherwise: Option<String>,
    /// Only what is signed with it is accepted.
    secret: Option<Secret>,
    /// What `GET /stats` takes the account from.
    ledger: Option<Arc<Ledger>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { body_bytes_max: BODY_BYTES_MAX, otherwise: None, secret: None, ledger: None }
    }
}
