//! Opening a connection: resolve, judge, dial, encrypt.
//!
//! The order is the point. The policy sees every address before anything is sent to it, and what it saw is
//! what is dialled: between the two there is no second lookup in which a name could change its mind.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::core::outcome::{Outcome, Phase};

use super::checked_url::{CheckedUrl, UrlError};
use super::config::{DeliveryConfig, Timeouts};
use super::deadline::Deadline;
use super::egress::{AddressForbidden, EgressPolicy};
use super::ended::{Timing, micros_since};
use super::failure::Failure;
use super::host::Scheme;
use super::http1::{Http1, ReadBuffer};
use super::http2::Http2;
use super::identity::Identity;
use super::lease::OpenCount;
use super::pool::Opened;
use super::proxy::{self, Proxy, ProxyHost};
use super::resolver::Resolve;
use super::response::ResponseLimits;
use super::stream::Stream;
use super::target::Target;
use super::trust::{Trust, handshake_failure};

/// How many addresses of a name are tried for one connection.
const ADDRESSES_DIALLED_MAX: usize = 4;
const TOO_SLOW: &str = "there was no tunnel in time";
const NOBODY_BELIEVED: &str = "this server has no CA certificates to check by";

/// Opens the connections of one shard.
pub(super) struct Connector {
    policy: RefCell<Rc<EgressPolicy>>,
    resolver: Rc<dyn Resolve>,
    /// `None` where no receiver could be believed.
    tls: Option<TlsConnector>,
    /// For those who show or believe something of their own.
    trust: Trust,
    http2: bool,
    proxy: Option<Proxy>,
    timeouts: Timeouts,
    response: ResponseLimits,
    buffer: ReadBuffer,
    open: Rc<Cell<usize>>,
    /// Where connections lead in a simulation.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) network: Option<Rc<dyn super::network::Network>>,
}

impl Connector {
    pub(super) fn new(config: &DeliveryConfig, resolver: Rc<dyn Resolve>) -> Result<Self, rustls::Error> {
        let tls = config.trust.client_config(config.http2)?;
        Ok(Self {
            policy: RefCell::new(Rc::new(config.egress.clone())),
            resolver,
            tls: tls.map(|tls| TlsConnector::from(Arc::new(tls))),
            trust: config.trust.clone(),
            http2: config.http2,
            proxy: config.proxy.clone(),
            timeouts: config.timeouts,
            response: config.response,
            buffer: ReadBuffer::new(),
            open: Rc::default(),
            #[cfg(any(test, feature = "simulation"))]
            network: None,
        })
    }

    /// From now on this policy applies.
    pub(super) fn set_policy(&self, policy: EgressPolicy) {
        self.policy.replace(Rc::new(policy));
    }

    /// How many connections are open, idle or in use.
    pub(super) fn open_count(&self) -> usize {
        self.open.get()
    }

    /// Opens a connection to the host of `target`; writes into `timing` how long each step took.
    pub(super) async fn open(
        &self,
        target: &Target,
        deadline: &mut Deadline,
        timing: &mut Timing,
    ) -> Result<Opened, Failure> {
        let url = target.url();
        let policy = Rc::clone(&self.policy.borrow());
        let permitted_at = Instant::now();
        policy.check_url(url).map_err(|error| not_allowed(&error))?;
        #[cfg(any(test, feature = "simulation"))]
        if let Some(network) = &self.network {
            let dialling =
                self.dial_host(url, &policy, deadline, timing, async |address| network.dial(address).await);
            let (stream, _) = Box::pin(dialling).await?;
            return Ok(self.http1(Stream::Simulated(stream), permitted_at, OpenCount::new(&self.open)));
        }
        let tcp = match &self.proxy {
            None => self.reach(url, &policy, deadline, timing).await?,
            Some(proxy) => Box::pin(self.reach_through(proxy, url, &policy, deadline, timing)).await?,
        };
        let open = OpenCount::new(&self.open);
        if url.host().scheme() == Scheme::Http {
            return Ok(self.http1(Stream::Plain(tcp), permitted_at, open));
        }

        let began = Instant::now();
        let handshake =
            deadline.within(Phase::Tls, began, self.timeouts.tls, pin!(self.encrypt(target, tcp))).await;
        timing.tls_us = micros_since(began);
        let tls = handshake??;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            let shared = Http2::start(Stream::Tls(Box::new(tls)), self.response, permitted_at, open).await;
            return shared.map(Opened::Http2).map_err(|error| Failure::from_http2(&error));
        }
        Ok(self.http1(Stream::Tls(Box::new(tls)), permitted_at, open))
    }

    /// Connects to a permitted address of the URL's host.
    async fn reach(
        &self,
        url: &CheckedUrl,
        policy: &EgressPolicy,
        deadline: &mut Deadline,
        timing: &mut Timing,
    ) -> Result<TcpStream, Failure> {
        let (tcp, address) = self
            .dial_host(url, policy, deadline, timing, async |address| TcpStream::connect(address).await)
            .await?;
        check_peer(tcp, address, policy)
    }

    /// Connects to a permitted address of the URL's host, however that is done.
    async fn dial_host<T>(
        &self,
        url: &CheckedUrl,
        policy: &EgressPolicy,
        deadline: &mut Deadline,
        timing: &mut Timing,
        connect: impl AsyncFn(SocketAddr) -> io::Result<T>,
    ) -> Result<(T, SocketAddr), Failure> {
        let addresses = self.look_up(url, policy, deadline, timing).await?;
        let began = Instant::now();
        let budget = self.timeouts.connect.min(deadline.left(began));
        let dialling =
            deadline.within(Phase::Connect, began, budget, pin!(dial(&addresses, budget, connect))).await;
        timing.connect_us = micros_since(began);
        dialling?
    }

    /// Has the proxy connect to a permitted address of the URL's host, or to its name where the proxy is to judge.
    async fn reach_through(
        &self,
        proxy: &Proxy,
        url: &CheckedUrl,
        policy: &EgressPolicy,
        deadline: &mut Deadline,
        timing: &mut Timing,
    ) -> Result<TcpStream, Failure> {
        let destinations: Vec<String> = if proxy.pin || url.address().is_some() {
            let addresses = self.look_up(url, policy, deadline, timing).await?;
            addresses.iter().map(SocketAddr::to_string).collect()
        } else {
            vec![format!("{}:{}", url.host().name(), url.host().port())]
        };
        let began = Instant::now();
        let budget = self.timeouts.connect.min(deadline.left(began));
        let tunnelling = pin!(self.tunnel(proxy, &destinations, budget));
        let tunnelled = deadline.within(Phase::Connect, began, budget, tunnelling).await;
        timing.connect_us = micros_since(began);
        tunnelled.unwrap_or_else(|_| Err(proxy::failed(TOO_SLOW)))
    }

    /// A tunnel to the first destination that the proxy reaches. Each gets an equal share of the time that is left.
    async fn tunnel(
        &self,
        proxy: &Proxy,
        destinations: &[String],
        budget: Duration,
    ) -> Result<TcpStream, Failure> {
        let end = Instant::now() + budget;
        let mut failure = proxy::failed(TOO_SLOW);
        for (number, destination) in destinations.iter().enumerate() {
            let still_to_try = (destinations.len() - number) as u32;
            let share = end.saturating_duration_since(Instant::now()) / still_to_try;
            match timeout(share, self.tunnel_to(proxy, destination)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                // Another address may be reached.
                Ok(Err(refused)) if refused.outcome == Outcome::ConnectFailed => failure = refused,
                Ok(Err(refused)) => return Err(refused),
                Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn tunnel_to(&self, proxy: &Proxy, destination: &str) -> Result<TcpStream, Failure> {
        let mut tcp = self.dial_proxy(proxy).await?;
        proxy.tunnel(&mut tcp, destination).await?;
        Ok(tcp)
    }

    /// A connection to the proxy itself, whose address nobody judges.
    async fn dial_proxy(&self, proxy: &Proxy) -> Result<TcpStream, Failure> {
        let addresses = match &proxy.host {
            ProxyHost::Address(address) => vec![*address],
            ProxyHost::Name(name) => self.resolver.resolve(name).await.map_err(proxy::failed)?,
        };
        let mut failure = proxy::failed("its name has no address in DNS");
        for address in addresses {
            let address = SocketAddr::new(address, proxy.port);
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Err(error) => {
                    failure = connect_failure(address, &error);
                    if failure.outcome != Outcome::OutOfSockets {
                        failure = proxy::failed(failure.detail);
                    }
                }
            }
        }
        Err(failure)
    }

    /// The addresses of a URL's host, all of them permitted, within the time there is for that.
    async fn look_up(
        &self,
        url: &CheckedUrl,
        policy: &EgressPolicy,
        deadline: &mut Deadline,
        timing: &mut Timing,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let began = Instant::now();
        let resolving =
            deadline.within(Phase::Dns, began, self.timeouts.dns, pin!(self.addresses(url, policy))).await;
        timing.dns_us = micros_since(began);
        resolving?
    }

    /// The addresses of a URL's host, all of them permitted.
    async fn addresses(&self, url: &CheckedUrl, policy: &EgressPolicy) -> Result<Vec<SocketAddr>, Failure> {
        let host = url.host();
        let answers = match url.address() {
            Some(address) => vec![address],
            None => {
                let answers = self.resolver.resolve(host.name()).await;
                answers.map_err(|error| Failure::new(Outcome::DnsFailed, error.to_string()))?
            }
        };
        let permitted = policy.vet(&answers, host.port()).map_err(|error| forbidden(&error))?;
        if permitted.is_empty() {
            return Err(Failure::new(Outcome::DnsFailed, format!("{} has no address in DNS", host.name())));
        }
        Ok(alternate_families(permitted))
    }

    async fn encrypt(&self, target: &Target, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let failed = |detail: String| Failure::new(Outcome::TlsFailed, detail);
        let url = target.url();
        let connector = match target.identity() {
            None => self.tls.as_ref().ok_or(NOBODY_BELIEVED),
            Some(identity) => identity.connector(|| self.connector_of(identity)),
        };
        let connector = connector.map_err(|why| failed(why.to_owned()))?;
        let name = match url.address() {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(url.host().name().to_owned())
                .map_err(|_| failed("the name of the host cannot be in a certificate".to_owned()))?,
        };
        connector.connect(name, tcp).await.map_err(|error| failed(handshake_failure(&error)))
    }

    fn connector_of(&self, identity: &Identity) -> Result<TlsConnector, String> {
        match self.trust.client_config_of(identity, self.http2) {
            Ok(Some(config)) => Ok(TlsConnector::from(Arc::new(config))),
            Ok(None) => Err(NOBODY_BELIEVED.to_owned()),
            Err(error) => Err(format!("TLS cannot be set up as the endpoint wants it: {error}")),
        }
    }

    fn http1(&self, stream: Stream, permitted_at: Instant, open: OpenCount) -> Opened {
        let connection = Http1::new(stream, self.buffer.clone(), self.response, permitted_at, open);
        Opened::Http1(Box::new(connection))
    }
}

fn not_allowed(error: &UrlError) -> Failure {
    match error {
        UrlError::Address(error) => forbidden(error),
        _ => Failure::new(Outcome::AddressForbidden, error.to_string()),
    }
}

fn forbidden(error: &AddressForbidden) -> Failure {
    let outcome = match error {
        AddressForbidden::OutOfSockets { .. } => Outcome::OutOfSockets,
        _ => Outcome::AddressForbidden,
    };
    Failure::new(outcome, error.to_string())
}

/// IPv4 and IPv6 in turn, so that a machine without one of them does not try that one only.
fn alternate_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv4);
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    let mut alternating = Vec::new();
    while alternating.len() < ADDRESSES_DIALLED_MAX {
        let before = alternating.len();
        alternating.extend(v4.next());
        alternating.extend(v6.next());
        if alternating.len() == before {
            break;
        }
    }
    alternating.truncate(ADDRESSES_DIALLED_MAX);
    alternating
}

/// Connects to the first address that answers, and says which. Each gets an equal share of the time that is left.
async fn dial<T>(
    addresses: &[SocketAddr],
    budget: Duration,
    connect: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> Result<(T, SocketAddr), Failure> {
    let end = Instant::now() + budget;
    let mut failure = Failure::timed_out(Phase::Connect);
    for (number, &address) in addresses.iter().enumerate() {
        let still_to_try = (addresses.len() - number) as u32;
        let share = end.saturating_duration_since(Instant::now()) / still_to_try;
        match timeout(share, connect(address)).await {
            Ok(Ok(connected)) => return Ok((connected, address)),
            Ok(Err(error)) => failure = connect_failure(address, &error),
            Err(_) => failure = Failure::timed_out(Phase::Connect),
        }
    }
    Err(failure)
}

/// Sees to it that the connection does not lead back to this process.
fn check_peer(tcp: TcpStream, address: SocketAddr, policy: &EgressPolicy) -> Result<TcpStream, Failure> {
    let (local, peer) = tcp
        .local_addr()
        .and_then(|local| Ok((local, tcp.peer_addr()?)))
        .map_err(|error| connect_failure(address, &error))?;
    if local == peer {
        // TCP connected the socket to itself: nobody listens there, and the port happened to be ours.
        return Err(connect_failure(address, &io::ErrorKind::ConnectionRefused.into()));
    }
    if policy.leads_to_itself(local, peer) {
        return Err(forbidden(&AddressForbidden::OwnListener { address }));
    }
    // Requests are written in one piece; waiting for more would only delay them.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

fn connect_failure(address: SocketAddr, error: &io::Error) -> Failure {
    let detail = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("no route to {address}")
        }
        _ => format!("cannot connect to {address}: {error}"),
    };
    let outcome = if is_our_own_shortage(error) { Outcome::OutOfSockets } else { Outcome::ConnectFailed };
    Failure::new(outcome, detail)
}

/// Whether the connection failed for want of something on this side, which says nothing about the receiver: file
/// descriptors (of the process, of the machine), local ports, memory for sockets.
fn is_our_own_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_of_our_own_is_not_held_against_the_receiver() {
        let address: SocketAddr = "192.0.2.1:443".parse().expect("an address");
        let shortage = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert_eq!(connect_failure(address, &shortage).outcome, Outcome::OutOfSockets);
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        assert_eq!(connect_failure(address, &refused).outcome, Outcome::ConnectFailed);
        let unjudged = AddressForbidden::OutOfSockets { address, why: shortage.to_string() };
        assert_eq!(not_allowed(&UrlError::Address(unjudged)).outcome, Outcome::OutOfSockets);
        let ours = AddressForbidden::OwnListener { address };
        assert_eq!(not_allowed(&UrlError::Address(ours)).outcome, Outcome::AddressForbidden);
    }

    #[test]
    fn families_are_tried_in_turn() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = addresses(&["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1", "1.1.1.4:1", "[2a00::1]:1"]);
        let tried = addresses(&["1.1.1.1:1", "[2a00::1]:1", "1.1.1.2:1", "1.1.1.3:1"]);
        assert_eq!(alternate_families(given), tried);
        assert_eq!(alternate_families(addresses(&["[2a00::1]:1"])), addresses(&["[2a00::1]:1"]));
    }
}
