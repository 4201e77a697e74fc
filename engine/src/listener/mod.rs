//! Listeners: doors that anybody may knock at, and what a visitor may take before it is known who that is.
//!
//! ```text
//!   accept --> place (in all, and by network) --> TLS, before a deadline --> ingest or api
//!                 | none left                        | not done in time
//!                 v                                  v
//!              a word of why, closed               closed
//! ```
//!
//! A service has a door in the clear, and may have one behind TLS; both share its places.
//!
//! Invariants
//! - Who is not served holds nothing: no task, no buffer, no place.
//! - Who is served holds a place until the connection has ended.
//! - No wait for a stranger is without a deadline.
//!
//! Not here: what is said on a connection (`ingest`, `api`), and who may say it (`ingest`, `api::access`).

mod network;
mod places;
mod strikes;
mod tls;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

pub(crate) use network::Network;
pub(crate) use places::{NoPlace, Place, Places};
pub(crate) use strikes::Strikes;
pub(crate) use tls::{Tls, TlsFiles, reload_on, reload_when_changed};

/// How long a listener is left alone that cannot accept: no more descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often that is said.
const ACCEPT_COMPLAINT_EVERY: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A socket that is listened on.
pub(crate) struct Door {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

/// A connection that has a place.
pub(crate) struct Visitor {
    pub(crate) socket: TcpStream,
    pub(crate) peer: SocketAddr,
    /// When it came.
    pub(crate) since: Instant,
    tls: Option<Arc<Tls>>,
    pub(crate) place: Place,
}

/// What a visitor's bytes travel over.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Door {
    /// Listens at `address`, which `key` of the configuration names; behind TLS where there is some.
    pub(crate) async fn open(key: &str, address: SocketAddr, tls: Option<Arc<Tls>>) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(address).await.with_context(|| format!("{key} = {address}"))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets visitors in until told to stop. Who finds no place gets `words` (where they need no handshake first).
    pub(crate) async fn accept(
        self,
        places: Arc<Places>,
        mut stop: watch::Receiver<bool>,
        serve: impl Fn(Visitor),
        words: impl Fn(&NoPlace) -> String,
    ) {
        let mut complained: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((socket, peer)) => match places.take(peer.ip()) {
                    Ok(place) => {
                        let (since, tls) = (Instant::now(), self.tls.clone());
                        serve(Visitor { socket, peer, since, tls, place });
                    }
                    Err(none) => self.refuse(socket, &words(&none)),
                },
                Err(error) => {
                    // Connections that end make room.
                    if complained.is_none_or(|at| at.elapsed() >= ACCEPT_COMPLAINT_EVERY) {
                        tracing::warn!(door = %self.address, %error, "connections cannot be accepted");
                        complained = Some(Instant::now());
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn refuse(&self, socket: TcpStream, words: &str) {
        if self.tls.is_none() {
            say_and_close(socket, words);
        }
    }
}

/// A word for somebody who is not served. Never waits: the socket's own buffer takes it, or it is lost.
pub(crate) fn say_and_close(socket: TcpStream, words: &str) {
    if let Ok(mut socket) = socket.into_std() {
        // The client may be gone already; it was not going to be served either way.
        let _ = socket.write_all(words.as_bytes());
    }
}

impl Visitor {
    /// One whose bytes are in the clear, and who has just come.
    #[cfg(test)]
    pub(crate) fn plain(socket: TcpStream, peer: SocketAddr, place: Place) -> Self {
        Self { socket, peer, since: Instant::now(), tls: None, place }
    }

    /// Whether words reach it without a handshake.
    pub(crate) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Shakes hands where the door is one behind TLS. `None` if that was not done by `deadline`, or failed.
    pub(crate) async fn transport(self, deadline: Instant) -> Option<(Transport, Place)> {
        let Self { socket, peer, tls, place, .. } = self;
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%peer, %error, "TCP_NODELAY was refused");
        }
        let Some(tls) = tls else { return Some((Transport::Plain(socket), place)) };
        let shaken = tokio::select! {
            () = place.lost() => {
                tracing::debug!(%peer, "closed before the TLS handshake was done: its place is another's");
                return None;
            }
            shaken = tokio::time::timeout_at(deadline, tls.acceptor().accept(socket)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => Some((Transport::Tls(Box::new(stream)), place)),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "a TLS handshake took too long");
                None
            }
        }
    }
}
