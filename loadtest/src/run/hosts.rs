//! Where hosts are: so many addresses of loopback, and ports on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

/// Addresses that hosts are spread over; beyond them they share addresses and differ in the port.
const ADDRESSES: u32 = 100;
/// Hosts that have a listener each; more of them share.
const HOSTS_WITH_LISTENERS_MAX: u32 = 1_000;
/// Sockets of a process beside those towards hosts.
const SOCKETS_SPARE: u64 = 2_000;
/// Connections that are kept at most: a default of the engine.
const CONNECTIONS_MAX: u64 = 16_384;

/// What to listen at for so many hosts, the first of them at `first`. With port 0 each takes one that is free.
pub(crate) fn listeners(first: SocketAddr, hosts: u32) -> Vec<SocketAddr> {
    if are_many(first, hosts) {
        let everywhere = |number| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port(first.port(), number)));
        return (0..hosts.div_ceil(ADDRESSES)).map(everywhere).collect();
    }
    let each = |host: u32| match first.ip() {
        IpAddr::V4(ip) => SocketAddr::from((nth(ip, host), port(first.port(), host / ADDRESSES))),
        // There is one loopback address in IPv6.
        IpAddr::V6(ip) => SocketAddr::from((ip, port(first.port(), host))),
    };
    (0..hosts).map(each).collect()
}

/// Where a host is reached, given where [`listeners`] came to listen.
pub(crate) fn reached_at(first: SocketAddr, listening: &[SocketAddr], host: u32) -> SocketAddr {
    match (listening.get(host as usize), first.ip()) {
        (Some(address), _) if !address.ip().is_unspecified() => *address,
        (_, IpAddr::V4(ip)) => {
            SocketAddr::from((nth(ip, host), listening[(host / ADDRESSES) as usize].port()))
        }
        (_, IpAddr::V6(_)) => listening[host as usize],
    }
}

/// Whether hosts share listeners: a listener for each of ten thousand would leave few descriptors for connections.
/// One on every address of the machine serves a hundred hosts; the receiver hangs up on whoever is elsewhere.
fn are_many(first: SocketAddr, hosts: u32) -> bool {
    first.is_ipv4() && hosts > HOSTS_WITH_LISTENERS_MAX
}

fn nth(first: Ipv4Addr, host: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(first).wrapping_add(host % ADDRESSES))
}

fn port(first: u16, number: u32) -> u16 {
    if first == 0 { 0 } else { first.wrapping_add(number as u16) }
}

/// A port that is taken and where nobody listens: every connection to it is refused, and nobody else can take it
/// meanwhile.
#[derive(Debug)]
pub(crate) struct DeadHost {
    _socket: Socket,
    address: SocketAddr,
}

impl DeadHost {
    pub(crate) fn at(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into()).with_context(|| format!("--receiver {address}"))?;
        let address = socket.local_addr()?.as_socket().context("an address of another kind")?;
        Ok(Self { _socket: socket, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A listener for each host, or for each hundred; and connections, a few to each host where there are few, and as
/// many as the engine keeps where there are many.
fn sockets_of(hosts: u64) -> u64 {
    hosts.min(HOSTS_WITH_LISTENERS_MAX.into()) + (256 * hosts).min(CONNECTIONS_MAX) + SOCKETS_SPARE
}

/// Allows this process and those that it starts as many sockets as so many hosts may need, or says how many it may have.
pub(crate) fn make_room_for_sockets(hosts: u32) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = sockets_of(hosts.into());
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return Ok(());
    }
    let maximum = now.maximum.map(|maximum| maximum.max(wanted));
    let raised = Rlimit { current: Some(wanted), maximum };
    // Only the superuser may raise the maximum; others go as far as they may.
    if setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let highest = now.maximum.unwrap_or(wanted);
    setrlimit(Resource::Nofile, Rlimit { current: Some(highest), maximum: now.maximum })?;
    anyhow::ensure!(
        highest >= wanted,
        "--hosts {hosts}: that may take {wanted} open files, and the limit is {highest} (ulimit -Hn)"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_take_addresses_first_and_then_ports() {
        let listed = listeners("127.0.0.1:0".parse().unwrap(), 201);
        assert_eq!(listed[0], "127.0.0.1:0".parse().unwrap());
        assert_eq!((listed[99], listed[100]), ("127.0.0.100:0".parse().unwrap(), listed[0]));
        let first = "127.0.0.1:9000".parse().unwrap();
        let listed = listeners(first, 201);
        let expected = ("127.0.0.2:9000".parse().unwrap(), "127.0.0.1:9002".parse().unwrap());
        assert_eq!((listed[1], listed[200]), expected);
        assert_eq!((reached_at(first, &listed, 1), reached_at(first, &listed, 200)), expected);
    }

    #[test]
    fn many_hosts_share_listeners_and_differ_all_the_same() {
        let first = "127.0.0.1:9000".parse().unwrap();
        let listed = listeners(first, 10_000);
        assert_eq!((listed.len(), listed[99]), (100, "0.0.0.0:9099".parse().unwrap()));
        let reached: std::collections::HashSet<_> =
            (0..10_000).map(|host| reached_at(first, &listed, host)).collect();
        assert_eq!(reached.len(), 10_000);
        assert_eq!(reached_at(first, &listed, 9_999), "127.0.0.100:9099".parse().unwrap());
    }

    #[test]
    fn nobody_answers_at_a_dead_host_and_nobody_can_take_its_place() {
        let host = DeadHost::at("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(std::net::TcpStream::connect(host.address()).is_err());
        assert!(std::net::TcpListener::bind(host.address()).is_err());
    }
}
