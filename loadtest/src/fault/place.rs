//! Places: every fault at a port of its own, and the name server beside them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Certified};
use super::dns::{self, FORBIDDEN};
use super::http2::Script;
use super::kind::{Fault, Play, Transport};
use super::{http1, http2, step};

/// Threads that serve all places.
const THREADS: usize = 2;
/// How long a connection to a full listener is waited for: it takes two to fill one.
const FILLING_PATIENCE: Duration = Duration::from_millis(100);
const FILLING_MAX: usize = 8;

/// Where a fault is met.
pub(crate) struct Place {
    pub(crate) fault: &'static Fault,
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    /// Tells places of one fault apart.
    pub(crate) number: usize,
}

impl Place {
    /// The URL that leads there.
    pub(crate) fn url(&self) -> String {
        let scheme = self.transport.scheme();
        if self.fault.is_about_a_name() {
            let name = dns::name(self.fault.name, self.number);
            return format!("{scheme}://{name}:{}/{}", self.address.port(), self.fault.name);
        }
        format!("{scheme}://{}/{}", self.address, self.fault.name)
    }
}

/// All places. They are there until this is dropped.
pub(crate) struct Places {
    places: Vec<Place>,
    ca_pem: String,
    name_server: SocketAddr,
    strays: Arc<AtomicU64>,
    /// What is bound and not served.
    _held: Vec<Held>,
    runtime: Option<Runtime>,
}

/// A socket that is kept so that nobody else gets its port, and the connections that fill it.
struct Held {
    _socket: Socket,
    _filling: Vec<TcpStream>,
}

impl Places {
    /// Opens the places of these faults, so many times each. `pause` is how long the slow ones wait for each byte.
    pub(crate) fn open(faults: &[&'static Fault], times: usize, pause: Duration) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("faults")
            .enable_all()
            .build()?;
        let authority = Authority::new()?;
        let entered = runtime.enter();
        let socket = runtime.block_on(tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let name_server = socket.local_addr()?;
        runtime.spawn(dns::serve(socket));
        let (mut places, mut held, strays) = (Vec::new(), Vec::new(), Arc::<AtomicU64>::default());
        for number in 0..times {
            for fault in faults {
                for &transport in fault.by {
                    let address = match fault.play {
                        Play::Refused => hold(None, &mut held)?,
                        Play::Blackhole => hold(Some(0), &mut held)?,
                        play => listen(play, transport, &authority, pause, &runtime)?,
                    };
                    if fault.is_about_a_name() {
                        watch(SocketAddr::new(FORBIDDEN.into(), address.port()), &strays, &runtime)?;
                    }
                    places.push(Place { fault, transport, address, number });
                }
            }
        }
        drop(entered);
        Ok(Self { places, ca_pem: authority.pem(), name_server, strays, _held: held, runtime: Some(runtime) })
    }

    pub(crate) fn all(&self) -> &[Place] {
        &self.places
    }

    /// The certificate of the authority that is to be trusted.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Whom the names of the faults are to be asked of.
    pub(crate) fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    /// Connections to addresses that are forbidden.
    pub(crate) fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes a port: without listening there, or with so short a queue that is then filled.
fn hold(backlog: Option<i32>, held: &mut Vec<Held>) -> anyhow::Result<SocketAddr> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket().context("an address of a socket")?;
    let mut filling = Vec::new();
    if let Some(backlog) = backlog {
        socket.listen(backlog)?;
        while let Ok(tcp) = TcpStream::connect_timeout(&address, FILLING_PATIENCE) {
            anyhow::ensure!(
                filling.len() < FILLING_MAX,
                "a listener with a queue of {backlog} is never full"
            );
            filling.push(tcp);
        }
    }
    held.push(Held { _socket: socket, _filling: filling });
    Ok(address)
}

/// Counts whoever comes to an address that nobody may come to.
fn watch(address: SocketAddr, strays: &Arc<AtomicU64>, runtime: &Runtime) -> io::Result<()> {
    let listener = bound(address)?;
    let strays = strays.clone();
    runtime.spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            strays.fetch_add(1, Ordering::Relaxed);
            drop(tcp);
        }
    });
    Ok(())
}

fn bound(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

fn listen(
    play: Play,
    transport: Transport,
    authority: &Authority,
    pause: Duration,
    runtime: &Runtime,
) -> anyhow::Result<SocketAddr> {
    let listener = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let acceptor = match (play, transport) {
        (Play::Raw(_), _) | (_, Transport::Http) => None,
        (Play::Certificate(certified), _) => Some(authority.acceptor(certified, &["http/1.1"])?),
        (_, Transport::Https) => Some(authority.acceptor(Certified::Well, &["http/1.1"])?),
        (_, Transport::Http2) => Some(authority.acceptor(Certified::Well, &["h2"])?),
    };
    runtime.spawn(async move {
        loop {
            if let Ok((tcp, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // A connection that ends in an error has ended.
                tokio::spawn(async move { serve(tcp, acceptor, play, transport, pause).await.ok() });
            }
        }
    });
    Ok(address)
}

async fn serve(
    mut tcp: tokio::net::TcpStream,
    acceptor: Option<TlsAcceptor>,
    play: Play,
    transport: Transport,
    pause: Duration,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let Some(acceptor) = acceptor else {
        return http1::serve(&mut tcp, &steps(play), pause).await;
    };
    let mut tls = acceptor.accept(tcp).await?;
    match (play, transport) {
        (Play::Http2(script), _) => http2::serve(&mut tls, &script(), pause).await,
        (Play::Answer(answer), Transport::Http2) => {
            http2::serve(&mut tls, &Script::answering(answer()), pause).await
        }
        _ => http1::serve(&mut tls, &steps(play), pause).await,
    }
}

/// What is done over HTTP/1.1, or below it.
fn steps(play: Play) -> Vec<step::Step> {
    match play {
        Play::Raw(steps) | Play::Http1(steps) | Play::Name(steps) => steps(),
        Play::Answer(answer) => http1::answering(&answer()),
        Play::Certificate(_) => super::on_http1::fine(),
        Play::Refused | Play::Blackhole | Play::Http2(_) => Vec::new(),
    }
}
