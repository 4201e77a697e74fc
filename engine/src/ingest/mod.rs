//! Ingest: the TCP port where producers publish, spoken to with any Redis client.
//!
//!   socket -> connection (frames, commands, checks) -> writer
//!                 |                                      |
//!                 +-> replies, in order  <---------------+ after the sync
//!
//! Each connection is two tasks: one reads and hands over, the other answers in the order of the requests.
//! Between them is a queue with a bound; a client that does not read its replies stops being read.
//!
//! Invariants
//! - No id is answered before its message is durable.
//! - A command is carried out only in the name of somebody who may say it, and whose key is valid at that moment.
//! - What a connection, and all together, have read and not yet answered is bounded; beyond it, nobody reads.
//!
//! Not here: what frames and commands look like (`posthaste_protocol`), what makes a message acceptable
//! (`publish`), who somebody with a key is (`access`).

mod batch;
mod connection;
mod read;
mod replies;
mod who;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use posthaste_protocol::frame::Limits;
use posthaste_storage::log::LogReader;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::access::Access;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::metrics::Metrics;
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
    pub(crate) connections_max: u32,
    pub(crate) idle_timeout: Duration,
    /// A permit for each byte of payload that is read and not yet answered.
    pub(crate) unacknowledged: Arc<Semaphore>,
    pub(crate) unacknowledged_max: u32,
    pub(crate) connected: AtomicU32,
    pub(crate) connection_ids: AtomicI64,
}

/// Payloads up to this many times the limit are read to the end and refused by name; beyond, the connection
/// is closed with a protocol error.
const READ_BEYOND_LIMIT: usize = 2;

impl Ingest {
    /// Frame limits of a connection that has authenticated, or need not.
    fn frame_limits(&self) -> Limits {
        let payload = usize::try_from(self.limits.payload_bytes_max).unwrap_or(usize::MAX);
        Limits::after_auth(payload.saturating_mul(READ_BEYOND_LIMIT))
    }
}

/// Accepts connections until told to stop.
pub(crate) async fn listen(ingest: Arc<Ingest>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, peer)) => accept(&ingest, socket, peer, stop.clone()),
            Err(error) => {
                // Most likely out of file descriptors: connections that end make room.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn accept(ingest: &Arc<Ingest>, mut socket: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
    if ingest.connected.load(Ordering::Relaxed) >= ingest.connections_max {
        tokio::spawn(async move {
            // The client may be gone already; it was not going to be served either way.
            let _ =
                socket.write_all(b"-ERR max number of clients reached (ingest.connections_max)\r\n").await;
        });
        return;
    }
    let ingest = ingest.clone();
    tokio::spawn(async move {
        ingest.connected.fetch_add(1, Ordering::Relaxed);
        ingest.metrics.connections.inc();
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%peer, %error, "TCP_NODELAY was refused");
        }
        connection::serve(&ingest, socket.into_split(), peer, stop).await;
        ingest.metrics.connections.dec();
        ingest.connected.fetch_sub(1, Ordering::Relaxed);
    });
}
