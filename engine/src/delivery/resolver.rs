//! From a name to its addresses.
//!
//! Names are asked of DNS and nothing else: no hosts file and no search domains, through which a name of a
//! customer could come to mean something of ours. Every answer goes to the egress guard.
//!
//! Not here: which of the addresses may be used (`egress`), and in which order they are tried (`connect`).

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use super::egress::is_localhost;
use super::name_server::NameServer;

/// Bounds on how long an answer is believed: a moved host is found within minutes, and a zero TTL does not
/// cost a query for every connection.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(300);
const TTL_NEGATIVE_MAX: Duration = Duration::from_secs(30);

/// A name being resolved.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + 'a>>;

/// Resolves names. The seam at which tests answer what they like.
pub trait Resolve {
    /// All addresses of `name`; never an empty list. `name` is lower case, without trailing dot.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// Why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// DNS says that it does not exist, or has no address.
    #[error("{name} has no address in DNS")]
    NoAddress {
        /// The name.
        name: String,
    },
    /// DNS could not be asked, or did not answer usefully.
    #[error("{name} could not be resolved: {reason}")]
    Failed {
        /// The name.
        name: String,
        /// The resolver's words.
        reason: String,
    },
}

/// Asks name servers: those it is given, or those that the operating system is configured with.
///
/// Made at the first lookup, so that a machine without name servers still delivers to addresses; while the
/// system's configuration cannot be read, each lookup tries again.
#[derive(Default)]
pub struct DnsResolver {
    /// Empty: the system's.
    servers: Vec<NameServer>,
    resolver: RefCell<Option<TokioResolver>>,
}

impl DnsResolver {
    /// A resolver that asks these servers, or the system's where there are none. Nobody is asked yet.
    pub fn asking(servers: &[NameServer]) -> Self {
        Self { servers: servers.to_vec(), resolver: RefCell::default() }
    }

    /// The resolver within; cheap to clone, the clones share their cache.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut resolver = self.resolver.borrow_mut();
        if let Some(resolver) = &*resolver {
            return Ok(resolver.clone());
        }
        let made = match &self.servers[..] {
            [] => from_system_configuration()?,
            given => resolver_asking(given.iter().map(entry).collect(), ResolverOpts::default())?,
        };
        *resolver = Some(made.clone());
        Ok(made)
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, NetError> {
        let resolver = self.resolver()?;
        let mut fqdn = Name::from_ascii(name)?;
        fqdn.set_fqdn(true);
        let answers = resolver.lookup_ip(fqdn).await?;
        Ok(answers.iter().collect())
    }
}

impl Resolve for DnsResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            if is_localhost(name) {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            match self.lookup(name).await {
                Ok(answers) if answers.is_empty() => Err(no_address(name)),
                Ok(answers) => Ok(answers),
                Err(error) if error.is_no_records_found() => Err(no_address(name)),
                Err(error) => Err(ResolveError::Failed { name: name.to_owned(), reason: error.to_string() }),
            }
        })
    }
}

fn no_address(name: &str) -> ResolveError {
    ResolveError::NoAddress { name: name.to_owned() }
}

fn from_system_configuration() -> Result<TokioResolver, NetError> {
    let (system, options) = read_system_conf()?;
    resolver_asking(system.name_servers().to_vec(), options)
}

/// A server as the library wants it: by UDP first, by TCP where an answer is too long for that.
fn entry(server: &NameServer) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.0.port();
        connection
    });
    NameServerConfig::new(server.0.ip(), true, connections.into())
}

/// A resolver that asks these servers, and nothing else.
fn resolver_asking(
    servers: Vec<NameServerConfig>,
    mut options: ResolverOpts,
) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.positive_min_ttl = Some(TTL_MIN);
    options.positive_max_ttl = Some(TTL_MAX);
    options.negative_min_ttl = Some(TTL_MIN);
    options.negative_max_ttl = Some(TTL_NEGATIVE_MAX);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::net::UdpSocket;
    use tokio::task::LocalSet;

    use super::*;

    /// A name server by hand: `shop.example` has the address 192.0.2.7, nothing else exists.
    fn answer(query: &[u8]) -> Vec<u8> {
        let question = &query[12..question_end(query)];
        let is_shop = question.starts_with(b"\x04shop\x07example\0");
        let wants_v4 = question[question.len() - 4..] == [0, 1, 0, 1];
        let answers = u8::from(is_shop && wants_v4);
        let code = if is_shop { 0x80 } else { 0x83 };
        let mut answer = vec![query[0], query[1], 0x81, code, 0, 1, 0, answers, 0, 0, 0, 0];
        answer.extend_from_slice(question);
        if answers == 1 {
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
        }
        answer
    }

    fn question_end(query: &[u8]) -> usize {
        let labels = query[12..].iter().position(|&byte| byte == 0).unwrap();
        12 + labels + 1 + 4
    }

    async fn name_server(queries: Rc<Cell<u32>>) -> DnsResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = NameServer(socket.local_addr().unwrap());
        tokio::task::spawn_local(async move {
            let mut query = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut query).await {
                queries.set(queries.get() + 1);
                socket.send_to(&answer(&query[..len]), from).await.unwrap();
            }
        });
        DnsResolver::asking(&[server])
    }

    #[tokio::test]
    async fn names_are_asked_of_dns_and_answers_believed_for_a_while() {
        LocalSet::new()
            .run_until(async {
                let queries = Rc::new(Cell::new(0));
                let resolver = name_server(Rc::clone(&queries)).await;
                let expected = vec![IpAddr::from([192, 0, 2, 7])];
                assert_eq!(resolver.resolve("shop.example").await, Ok(expected.clone()));
                let asked = queries.get();
                assert_eq!(asked, 2, "one for each family");
                assert_eq!(resolver.resolve("shop.example").await, Ok(expected));
                assert_eq!(queries.get(), asked);
            })
            .await;
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_told_from_a_server_that_fails() {
        LocalSet::new()
            .run_until(async {
                let queries = Rc::new(Cell::new(0));
                let resolver = name_server(Rc::clone(&queries)).await;
                let refusal = resolver.resolve("nowhere.example").await.unwrap_err();
                assert_eq!(refusal.to_string(), "nowhere.example has no address in DNS");
                // No search domains: nothing else was tried in its place.
                assert_eq!(queries.get(), 2);
            })
            .await;
    }

    #[tokio::test]
    async fn localhost_is_this_machine_whatever_dns_says() {
        let resolver = DnsResolver::default();
        let expected: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!(resolver.resolve("localhost").await, Ok(expected.clone()));
        assert_eq!(resolver.resolve("shop.localhost").await, Ok(expected));
    }
}
