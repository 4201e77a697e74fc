//! New connections, dealt out to the threads in turn.
//!
//! Each listener is watched by one thread, and each connection goes to the next thread, wherever it was accepted:
//! the kernel's own way (`SO_REUSEPORT`) deals by a hash, which can leave a thread idle.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

/// How long to leave a listener alone whose connections cannot be accepted: no more descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The inboxes of all threads. Each is bounded by the descriptors that the process may have.
pub(super) struct Dealer {
    inboxes: Vec<UnboundedSender<TcpStream>>,
    dealt: AtomicUsize,
    /// Whether whoever is not on this machine is hung up on.
    loopback_only: bool,
}

impl Dealer {
    pub(super) fn new(inboxes: Vec<UnboundedSender<TcpStream>>, loopback_only: bool) -> Arc<Self> {
        Arc::new(Self { inboxes, dealt: AtomicUsize::new(0), loopback_only })
    }

    fn deal(&self, stream: TcpStream, peer: SocketAddr) {
        if self.loopback_only && !peer.ip().is_loopback() {
            return;
        }
        let turn = self.dealt.fetch_add(1, Relaxed) % self.inboxes.len();
        // A thread that has ended takes nothing; its receiver is ending too.
        let _ = self.inboxes[turn].send(stream);
    }
}

/// Accepts until the runtime ends.
pub(super) async fn accept(listener: TcpListener, dealer: Arc<Dealer>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        // From one thread's runtime to another's: a stream belongs to that which it was made in.
        match listener.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => dealer.deal(stream, peer),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
