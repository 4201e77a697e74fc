//! Ingest: the TCP port where producers publish, spoken to with any Redis client.
//!
//!   door -> connection (frames, commands, checks) -> writer
//!                |                                      |
//!                +-> replies, in order  <---------------+ after the sync
//!
//! Each connection is two tasks: one reads and hands over, the other answers in the order of the requests.
//! Between them is a queue with a bound; a client that does not read its replies stops being read, and is closed
//! when it has not taken them for too long.
//!
//! Invariants
//! - No id is answered before its message is durable.
//! - A command is carried out only in the name of somebody who may say it, and whose key is valid at that moment.
//! - What a connection, and all together, have read and not yet answered is bounded; beyond it, nobody reads.
//! - What a client does not take costs nobody else: no place in the budget outlasts the answer of the writer, or a
//!   deadline.
//! - A stranger has five seconds and 4 KiB of replies, the handshake included.
//!
//! Not here: what frames and commands look like (`posthaste_protocol`), what makes a message acceptable
//! (`publish`), who somebody with a key is (`access`).

mod batch;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod read;
mod reading;
mod replies;
mod who;

pub(crate) use connection::Client;
#[cfg(any(test, feature = "simulation"))]
pub(crate) use connection::serve as serve_connection;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use parking_lot::Mutex;
use posthaste_protocol::frame::Limits;
use posthaste_storage::log::LogReader;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::access::Access;
use crate::budget::Budget;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::listener::{Door, Network, NoPlace, Places, Strikes, Transport, Visitor, say_and_close};
use crate::metrics::{Counted, Metrics};
use crate::outcomes::Outcomes;
use crate::publish::PublishLimits;
use crate::shard::Shards;
use crate::writer::WriterHandle;

/// What the listener and its connections work with.
pub(crate) struct Ingest {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) writer: WriterHandle,
    pub(crate) shards: Arc<Shards>,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) reader: LogReader,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: PublishLimits,
    /// Who may come in by a key.
    pub(crate) access: Arc<Access>,
    /// The clock by which paces are held.
    pub(crate) clock: Clock,
    /// Empty: there is none.
    pub(crate) password: String,
    /// Whether everybody must authenticate although there is no password.
    pub(crate) require_key: bool,
    pub(crate) places: Arc<Places>,
    pub(crate) strikes: Mutex<Strikes>,
    /// How long a request may take to arrive, and answers to be taken.
    pub(crate) request_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) budget: Budget,
    /// A permit for each large answer that is made or written.
    pub(crate) large_answers: Arc<Semaphore>,
    pub(crate) connection_ids: AtomicI64,
}

/// Large answers at a time: what is read from the log, up to [`read::ANSWER_BYTES`] and one entry each.
pub(crate) const LARGE_ANSWERS_MAX: usize = 64;

/// Payloads up to this many times the limit are read to the end and refused by name; beyond, the connection
/// is closed with a protocol error.
const READ_BEYOND_LIMIT: usize = 2;

impl Ingest {
    /// Frame limits of a connection that has authenticated, or need not.
    fn frame_limits(&self) -> Limits {
        let payload = usize::try_from(self.limits.payload_bytes_max).unwrap_or(usize::MAX);
        Limits::after_auth(payload.saturating_mul(READ_BEYOND_LIMIT))
    }

    /// How long nobody new from there is served, nor any password judged.
    fn barred_for(&self, network: Network) -> Option<Duration> {
        self.strikes.lock().barred_for(Instant::now(), network)
    }
}

/// Lets producers in by this door until told to stop.
pub(crate) async fn listen(ingest: Arc<Ingest>, door: Door, stop: watch::Receiver<bool>) {
    let places = ingest.places.clone();
    let serve = |visitor: Visitor| {
        if let Some(wait) = ingest.barred_for(visitor.peer.ip().into()) {
            return turn_away(&ingest, visitor, wait);
        }
        tokio::spawn(serve(ingest.clone(), visitor, stop.clone()));
    };
    let refuse = |none: &NoPlace| {
        ingest.metrics.connections_refused.inc();
        format!("-ERR {none}\r\n")
    };
    door.accept(places, stop.clone(), serve, refuse).await;
}

fn turn_away(ingest: &Ingest, visitor: Visitor, wait: Duration) {
    ingest.metrics.connections_refused.inc();
    if visitor.is_plain() {
        say_and_close(visitor.socket, &format!("-BUSY {}\r\n", barred(wait)));
    }
}

/// The text of `BUSY` for somebody who is barred for so long.
fn barred(wait: Duration) -> String {
    format!("too many wrong passwords from this address; come back in {} s", wait.as_secs() + 1)
}

async fn serve(ingest: Arc<Ingest>, visitor: Visitor, stop: watch::Receiver<bool>) {
    let (peer, deadline) = (visitor.peer, visitor.since + connection::AUTH_TIMEOUT);
    let Some((transport, place)) = visitor.transport(deadline).await else { return };
    let client = Client { peer, authenticate_by: deadline, place: Some(&place) };
    let _counted = Counted::new(&ingest.metrics.connections);
    let served = async {
        match transport {
            Transport::Plain(stream) => {
                connection::serve(&ingest, stream.into_split(), client, stop).await;
            }
            Transport::Tls(stream) => {
                connection::serve(&ingest, tokio::io::split(*stream), client, stop).await;
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = place.lost() => {
            ingest.metrics.connections_refused.inc();
            tracing::debug!(%peer, "closed: a stranger, when all places were taken");
        }
    }
}
