//! The threads of a receiver, from start to end.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::accept::{Dealer, accept};
use super::certificate::Certificate;
use super::connection::Connection;
use super::counters::Counters;
use super::stats::Stats;
use super::worker::{Open, Shared, Worker};
use super::{Observer, Options, Rules, hyper_service};

/// More would only wait for each other.
pub(super) const THREADS_MAX: usize = 256;

/// A receiver that runs on threads of its own, named `receiver-<n>`. It ends when this is dropped.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    ca_pem: Option<String>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Receiver {
    /// Starts it; returns once it listens.
    pub(crate) fn start(options: Options, observer: Arc<dyn Observer>) -> anyhow::Result<Self> {
        Self::with_rules(options, Rules::default(), observer)
    }

    /// Starts it with rules beyond the usual ones.
    pub(super) fn with_rules(
        options: Options,
        rules: Rules,
        observer: Arc<dyn Observer>,
    ) -> anyhow::Result<Self> {
        let Options { listen, threads, tls, loopback_only } = options;
        ensure!((1..=THREADS_MAX).contains(&threads), "{threads} threads; 1 to {THREADS_MAX} are possible");
        let certificate = tls.then(|| Certificate::new(&listen)).transpose()?;
        raise_descriptor_limit();
        let listeners = listen.into_iter().map(bind).collect::<anyhow::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let counters = (0..threads).map(|_| Counters::default()).collect();
        let shared = Arc::new(Shared::new(rules, observer, counters));
        let (acceptor, ca_pem) = certificate.map(|made| (made.acceptor, made.ca_pem)).unzip();
        let (stop, stopped) = watch::channel(false);
        let mut receiver = Self { shared, addresses, ca_pem, stop, threads: Vec::new() };
        receiver.spawn(listeners, threads, acceptor, loopback_only, &stopped)?;
        Ok(receiver)
    }

    fn spawn(
        &mut self,
        listeners: Vec<TcpListener>,
        threads: usize,
        acceptor: Option<TlsAcceptor>,
        loopback_only: bool,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::unbounded_channel()).unzip();
        let dealer = Dealer::new(senders, loopback_only);
        let mut shares: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
        for (index, listener) in listeners.into_iter().enumerate() {
            shares[index % threads].push(listener);
        }
        for (index, (inbox, listeners)) in inboxes.into_iter().zip(shares).enumerate() {
            let thread = Thread {
                worker: Worker { shared: Arc::clone(&self.shared), index },
                listeners,
                dealer: Arc::clone(&dealer),
                inbox,
                acceptor: acceptor.clone(),
                stopped: stopped.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let run = move || {
                let shared = Arc::clone(&thread.worker.shared);
                let _counted = shared.cpu.join();
                runtime.block_on(thread.run());
            };
            self.threads.push(std::thread::Builder::new().name(format!("receiver-{index}")).spawn(run)?);
        }
        Ok(())
    }

    /// Where it listens, in the order of the options.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The certificate authority that its certificate comes from, in PEM; `None` without TLS.
    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// CPU that its threads have used, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        self.shared.cpu.used()
    }

    /// What was received so far.
    pub(super) fn stats(&self) -> Stats {
        Stats::of(&self.shared)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

struct Thread {
    worker: Worker,
    listeners: Vec<TcpListener>,
    dealer: Arc<Dealer>,
    inbox: mpsc::UnboundedReceiver<TcpStream>,
    acceptor: Option<TlsAcceptor>,
    stopped: watch::Receiver<bool>,
}

impl Thread {
    /// Serves until told to stop; what is open then is dropped with the runtime.
    async fn run(mut self) {
        for listener in self.listeners.drain(..) {
            tokio::spawn(accept(listener, Arc::clone(&self.dealer)));
        }
        loop {
            tokio::select! {
                _ = self.stopped.changed() => return,
                Some(stream) = self.inbox.recv() => self.serve(stream),
            }
        }
    }

    fn serve(&self, stream: TcpStream) {
        let (worker, acceptor) = (self.worker.clone(), self.acceptor.clone());
        let open = Open::new(&worker.shared);
        let prepared = stream.set_nodelay(true).and_then(|()| tokio::net::TcpStream::from_std(stream));
        let Ok(stream) = prepared else { return };
        // Two kinds of tasks: those of plaintext are small, and there may be tens of thousands.
        match acceptor {
            None => tokio::spawn(async move {
                let _open = open;
                Connection::new(stream, worker).serve().await;
            }),
            Some(acceptor) => tokio::spawn(async move {
                let _open = open;
                if let Ok(stream) = acceptor.accept(stream).await {
                    hyper_service::serve(stream, worker).await;
                }
            }),
        };
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        std::io::Result::Ok(listener)
    };
    listen().with_context(|| format!("cannot listen on {address}"))
}

/// Every listener and every connection takes a descriptor: as many as the process may have at most.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // Where it cannot be raised, the bind that is one too many says so.
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit { current: limit.maximum, maximum: limit.maximum },
    );
}
