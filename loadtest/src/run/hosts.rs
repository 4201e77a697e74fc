//! Where hosts are: so many addresses of loopback, and ports on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

/// Addresses that hosts are spread over; beyond them they share addresses and differ in the port.
const ADDRESSES: u32 = 100;
/// Sockets of a process beside those towards hosts.
const SOCKETS_SPARE: u64 = 500;
/// Connections that a shard keeps at most, of which there is one for each processor: defaults of the engine.
const CONNECTIONS_PER_SHARD: u64 = 4_096;

/// Where so many hosts listen, the first of them at `first`. With port 0 each takes one that is free.
pub(crate) fn addresses(first: SocketAddr, hosts: u32) -> Vec<SocketAddr> {
    let each = |host: u32| match first.ip() {
        IpAddr::V4(ip) => {
            let ip = Ipv4Addr::from(u32::from(ip).wrapping_add(host % ADDRESSES));
            SocketAddr::from((ip, port(first.port(), host / ADDRESSES)))
        }
        // There is one loopback address in IPv6.
        IpAddr::V6(ip) => SocketAddr::from((ip, port(first.port(), host))),
    };
    (0..hosts).map(each).collect()
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

/// A listener for each host; and connections, a few to each host where there are few, and as many as shards keep
/// where there are many.
fn sockets_of(hosts: u64) -> u64 {
    let shards = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    hosts + (256 * hosts).min(CONNECTIONS_PER_SHARD * shards) + SOCKETS_SPARE
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
        let listed = addresses("127.0.0.1:0".parse().unwrap(), 201);
        assert_eq!(listed[0], "127.0.0.1:0".parse().unwrap());
        assert_eq!((listed[99], listed[100]), ("127.0.0.100:0".parse().unwrap(), listed[0]));
        let listed = addresses("127.0.0.1:9000".parse().unwrap(), 201);
        assert_eq!(
            (listed[1], listed[200]),
            ("127.0.0.2:9000".parse().unwrap(), "127.0.0.1:9002".parse().unwrap())
        );
    }

    #[test]
    fn nobody_answers_at_a_dead_host_and_nobody_can_take_its_place() {
        let host = DeadHost::at("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(std::net::TcpStream::connect(host.address()).is_err());
        assert!(std::net::TcpListener::bind(host.address()).is_err());
    }
}
