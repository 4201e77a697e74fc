//! The egress guard: whom a customer may make this machine talk to.
//!
//! A webhook sender connects wherever its customers tell it to, from inside a network that trusts it. So
//! every address is judged after the name was resolved and before it is dialled, at every new connection,
//! and the address that was judged is the address that is dialled. A name says nothing: it may lead to the
//! metadata service of the cloud, and somewhere else a second later.
//!
//! Order of judgement, first match wins: never allowed > `deny_cidrs` > `allow_cidrs` > public; and what these let through
//! is none of our own listeners, which comes last because it may take a socket to know. What refuses also looks at every
//! IPv4 address that is inside an IPv6 one (6to4, Teredo, ISATAP, NAT64): who is on the way may take it out.
//!
//! Invariants
//! - What is never allowed cannot be allowed by any setting, nor by any spelling of the address.
//! - `allow_cidrs` adds addresses. It switches no other check off.
//! - An error while judging is a refusal.
//! - Of a name, at most [`ANSWERS_JUDGED_MAX`] answers are judged; no other is dialled.
//!
//! Not here: the table of special ranges (`special`), resolving (`resolver`), dialling (`connect`).

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

use super::checked_url::{CheckedUrl, UrlError};
use super::cidr::Cidr;
use super::host::Scheme;
use super::special::{behind_nat64, embedded, never_allowed, not_public};

/// Names that mean something on this machine or in this network only: RFC 6761, RFC 6762, RFC 8375, the zone
/// `internal` that ICANN reserved for private use, and what resolvers of old add to `localhost`.
const LOCAL_ZONES: &[&str] = &["localhost", "localdomain", "local", "internal", "home.arpa"];

/// Answers of a name that are looked at. Of those that are permitted, a few are dialled; whoever sends thousands wants
/// something else.
pub(crate) const ANSWERS_JUDGED_MAX: usize = 64;

/// What may be connected to.
#[derive(Debug, Clone)]
pub struct EgressPolicy {
    /// Whether plain `http` URLs may be delivered to.
    pub allow_http: bool,
    /// Ranges that may be connected to although they are not public.
    pub allow_cidrs: Vec<Cidr>,
    /// Ranges that may not be connected to although they are public, or allowed by `allow_cidrs`.
    pub deny_cidrs: Vec<Cidr>,
    /// Local names that may be resolved: `host` for itself, `.zone` for everything below it.
    pub allow_names: Vec<String>,
    /// Ports below 1024 that may be connected to; all others below 1024 may not.
    pub allow_ports: Vec<u16>,
    /// Ports that may not be connected to, because databases and the like listen there; also those of `allow_ports`.
    pub deny_ports: Vec<u16>,
    /// When only some addresses of a name are forbidden: connect to the others (true) or fail (false).
    /// Failing is safer: a name with public and private addresses is more likely an attack than an accident.
    pub lenient: bool,
    /// Whether the network has a NAT64 under the well-known prefix (RFC 6052), so that such addresses are
    /// judged by the IPv4 address in them.
    pub nat64: bool,
    /// Where this process listens. It never delivers to itself.
    pub own_addresses: Vec<SocketAddr>,
}

/// Why an address may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressForbidden {
    /// Nothing can allow it.
    #[error("address {address} is never allowed: {what}")]
    Never {
        /// The address.
        address: SocketAddr,
        /// What is there.
        what: &'static str,
    },
    /// This process listens there.
    #[error("address {address} is where this server itself listens")]
    OwnListener {
        /// The address.
        address: SocketAddr,
    },
    /// The operator denies it.
    #[error("address {address} is denied by {range} (egress.deny_cidrs)")]
    Denied {
        /// The address.
        address: SocketAddr,
        /// The range that holds it.
        range: Cidr,
    },
    /// It is not on the public internet.
    #[error("address {address} is not public: {what} (egress.allow_cidrs)")]
    NotPublic {
        /// The address.
        address: SocketAddr,
        /// What is there.
        what: &'static str,
    },
    /// Whether this process listens there could not be found out, for want of sockets.
    #[error("address {address} cannot be judged at the moment: {why}")]
    OutOfSockets {
        /// The address.
        address: SocketAddr,
        /// In the words of the operating system.
        why: String,
    },
}

impl EgressPolicy {
    /// Whether this URL may be delivered to, as far as that is known without resolving its name.
    pub fn check_url(&self, url: &CheckedUrl) -> Result<(), UrlError> {
        let host = url.host();
        if host.scheme() == Scheme::Http && !self.allow_http {
            return Err(UrlError::HttpNotAllowed);
        }
        if !self.allows_port(host.port()) {
            return Err(UrlError::PortNotAllowed { port: host.port() });
        }
        match url.address() {
            Some(address) => self.check_address(SocketAddr::new(address, host.port()))?,
            None if !self.allows_name(host.name()) => {
                return Err(UrlError::LocalName { name: host.name().to_owned() });
            }
            None => {}
        }
        Ok(())
    }

    /// Whether this address may be connected to.
    pub fn check_address(&self, address: SocketAddr) -> Result<(), AddressForbidden> {
        let ip = self.meant(address.ip());
        let all = || std::iter::once(ip).chain(embedded(ip));
        if let Some(what) = all().find_map(never_allowed) {
            return Err(AddressForbidden::Never { address, what });
        }
        if let Some(&range) = self.deny_cidrs.iter().find(|range| all().any(|ip| range.contains(ip))) {
            return Err(AddressForbidden::Denied { address, range });
        }
        let is_allowed = self.allow_cidrs.iter().any(|range| range.contains(ip));
        if let Some(what) = not_public(ip).filter(|_| !is_allowed) {
            return Err(AddressForbidden::NotPublic { address, what });
        }
        all().try_for_each(|ip| self.check_is_not_ours(ip, address))
    }

    /// Whether this address is one that everybody can reach.
    pub fn is_public(&self, address: IpAddr) -> bool {
        let address = self.meant(address);
        std::iter::once(address).chain(embedded(address)).all(|address| never_allowed(address).is_none())
            && not_public(address).is_none()
    }

    /// The address that is judged: the one that a packet comes to in the end.
    fn meant(&self, address: IpAddr) -> IpAddr {
        let address = address.to_canonical();
        behind_nat64(address).filter(|_| self.nat64).map_or(address, IpAddr::V4)
    }

    /// The addresses of a name that may be connected to, in their order. One forbidden answer forbids the
    /// name, unless the policy is lenient and another answer is permitted. What comes after the first
    /// [`ANSWERS_JUDGED_MAX`] is left out.
    pub(crate) fn vet(&self, answers: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, AddressForbidden> {
        let mut permitted = Vec::new();
        let mut refusal = None;
        for answer in answers.iter().take(ANSWERS_JUDGED_MAX) {
            let address = SocketAddr::new(answer.to_canonical(), port);
            match self.check_address(address) {
                Ok(()) => permitted.push(address),
                Err(error) if self.lenient => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        match refusal {
            Some(error) if permitted.is_empty() => Err(error),
            _ => Ok(permitted),
        }
    }

    /// Whether a connection that is open leads back to this process: its two ends have one address, and the
    /// far port is one of ours. Beside [`Self::check_address`], for what only shows when it is connected.
    pub(super) fn leads_to_itself(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        local.ip() == peer.ip() && self.own_addresses.iter().any(|own| own.port() == peer.port())
    }

    /// An error if this process listens there: at this very address, or at every address of this machine, which it is
    /// one of. `address` is the one that led to it.
    fn check_is_not_ours(&self, ip: IpAddr, address: SocketAddr) -> Result<(), AddressForbidden> {
        let own = || {
            let own = self.own_addresses.iter().filter(|own| own.port() == address.port());
            own.map(|own| own.ip().to_canonical())
        };
        let everywhere = own().any(|own| own.is_unspecified());
        if own().any(|own| own == ip) || everywhere && is_ours(is_of_this_machine(ip), address)? {
            return Err(AddressForbidden::OwnListener { address });
        }
        Ok(())
    }

    fn allows_port(&self, port: u16) -> bool {
        !self.deny_ports.contains(&port) && (port >= 1_024 || self.allow_ports.contains(&port))
    }

    fn allows_name(&self, name: &str) -> bool {
        !is_local(name) || self.is_allowed_name(name) || is_localhost(name) && self.allows_loopback()
    }

    fn is_allowed_name(&self, name: &str) -> bool {
        self.allow_names.iter().any(|allowed| match allowed.strip_prefix('.') {
            Some(zone) => name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')),
            None => name == allowed,
        })
    }

    fn allows_loopback(&self) -> bool {
        let loopbacks: [IpAddr; 2] = [[127, 0, 0, 1].into(), Ipv6Addr::LOCALHOST.into()];
        loopbacks.iter().any(|&ip| self.allow_cidrs.iter().any(|range| range.contains(ip)))
    }
}

/// Whether packets to this address never leave the machine. Interfaces come and go, so it is tried each time that one of
/// our ports is asked for. Nothing is sent: connecting a UDP socket only finds out which way packets would go.
///
/// Binding alone tells nothing, since a system can be told to bind to any address (`ip_nonlocal_bind`).
fn is_of_this_machine(ip: IpAddr) -> io::Result<bool> {
    // Where it is not looked at.
    const PORT: u16 = 9;
    if ip.is_loopback() {
        return Ok(true);
    }
    if ip.is_ipv4() {
        // No packet may leave from an address that is another's. (Which one it would leave from by itself is not asked:
        // to a second address of an interface, from the first.)
        let socket = UdpSocket::bind((ip, 0))?;
        return socket.connect((ip, PORT)).map(|()| true);
    }
    // To an address of its own, a machine speaks from that address (RFC 6724 section 5, rule 1).
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect((ip, PORT))?;
    Ok(socket.local_addr()?.ip() == ip)
}

/// What came of trying. What fails in another way than an address fails that is not ours counts as ours.
fn is_ours(tried: io::Result<bool>, address: SocketAddr) -> Result<bool, AddressForbidden> {
    let error = match tried {
        Ok(is_ours) => return Ok(is_ours),
        Err(error) => error,
    };
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(
            Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT | Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::INVAL,
        ) => Ok(false),
        // The last: all ports are taken.
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRINUSE) => {
            Err(AddressForbidden::OutOfSockets { address, why: error.to_string() })
        }
        _ => Ok(true),
    }
}

/// Whether the name has no dot, or lies in a zone that is not everybody's.
fn is_local(name: &str) -> bool {
    let is_in =
        |zone: &&str| name.strip_suffix(*zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || LOCAL_ZONES.iter().any(is_in)
}

/// Whether the name means this machine by definition, whatever DNS says (RFC 6761 section 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::checked_url::check_url;
    use super::*;
    use crate::fuzzing::public_only as strict;

    fn allowing(cidrs: &[&str]) -> EgressPolicy {
        EgressPolicy { allow_cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(), ..strict() }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn no_spelling_of_a_private_address_gets_past_the_guard() {
        for text in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:7f00:1::]/",
            "http://[fe80::1]/",
            "http://[febf::1]/",
            "http://[fc00::1]/",
            "http://[fec0::1]/",
            "http://[5f00::1]/",
            "http://[fd00:ec2::254]/",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0xa9fea9fe/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://168.63.129.16/",
            "http://100.100.100.200/",
            "http://１２７.0.0.1/",
        ] {
            let refusal = check_url(text, &strict()).unwrap_err();
            assert!(matches!(refusal, UrlError::Address(_)), "{text}: {refusal}");
        }
        assert!(check_url("https://1.1.1.1/", &strict()).is_ok());
        assert!(check_url("https://[2606:4700:4700::1111]/", &strict()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn the_spelling_of_an_address_never_changes_the_judgement(bits: u32) {
            let v4 = std::net::Ipv4Addr::from(bits);
            let judge = |text: String| check_url(&text, &strict()).is_ok();
            let verdict = judge(format!("http://{v4}/"));
            assert_eq!(judge(format!("http://{bits}/")), verdict, "{v4} in decimal");
            assert_eq!(judge(format!("http://{bits:#x}/")), verdict, "{v4} in hexadecimal");
            assert_eq!(judge(format!("http://0{bits:o}/")), verdict, "{v4} in octal");
            assert_eq!(judge(format!("http://[::ffff:{v4}]/")), verdict, "{v4} mapped");
            assert!(!judge(format!("http://[::{v4}]/")) && !judge(format!("http://[64:ff9b::{v4}]/")));
        }
    }

    #[test]
    fn allowing_every_address_does_not_allow_metadata_services() {
        let policy = allowing(&["0.0.0.0/0", "::/0"]);
        for text in [
            "http://169.254.169.254/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fd20:ce::254]/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://192.0.0.192/",
            "http://0.0.0.0/",
        ] {
            let refusal = check_url(text, &policy).unwrap_err();
            assert!(
                matches!(refusal, UrlError::Address(AddressForbidden::Never { .. })),
                "{text}: {refusal}"
            );
        }
        assert!(check_url("http://10.0.0.1/", &policy).is_ok());
    }

    #[test]
    fn allowing_one_range_opens_nothing_else() {
        let policy = allowing(&["10.1.0.0/16"]);
        assert!(check_url("http://10.1.2.3/", &policy).is_ok());
        assert!(check_url("http://[::ffff:10.1.2.3]/", &policy).is_ok());
        for text in ["http://10.2.0.1/", "http://127.0.0.1/", "http://localhost/"] {
            assert!(check_url(text, &policy).is_err(), "{text}");
        }
    }

    #[test]
    fn a_denied_range_wins_over_an_allowed_one() {
        let policy =
            EgressPolicy { deny_cidrs: vec!["10.1.0.0/16".parse().unwrap()], ..allowing(&["10.0.0.0/8"]) };
        assert!(policy.check_address("10.2.0.1:443".parse().unwrap()).is_ok());
        let refusal = policy.check_address("10.1.0.1:443".parse().unwrap()).unwrap_err();
        assert_eq!(refusal.to_string(), "address 10.1.0.1:443 is denied by 10.1.0.0/16 (egress.deny_cidrs)");
    }

    #[test]
    fn it_never_delivers_to_its_own_listeners() {
        let own_addresses = vec!["127.0.0.1:7000".parse().unwrap(), "0.0.0.0:8000".parse().unwrap()];
        let policy = EgressPolicy { own_addresses, ..allowing(&["127.0.0.0/8", "::1/128"]) };
        for address in
            ["127.0.0.1:7000", "[::ffff:127.0.0.1]:7000", "127.0.0.1:8000", "127.0.0.9:8000", "[::1]:8000"]
        {
            let refusal = policy.check_address(address.parse().unwrap()).unwrap_err();
            assert!(matches!(refusal, AddressForbidden::OwnListener { .. }), "{address}");
        }
        assert!(policy.check_address("127.0.0.2:7000".parse().unwrap()).is_ok());
        let (local, peer) = ("192.0.2.1:40000".parse().unwrap(), "192.0.2.1:8000".parse().unwrap());
        assert!(policy.leads_to_itself(local, peer));
        assert!(!policy.leads_to_itself("192.0.2.9:40000".parse().unwrap(), peer));
    }

    fn judged(tried: io::Result<bool>) -> Result<bool, AddressForbidden> {
        is_ours(tried, "192.0.2.1:7480".parse().unwrap())
    }

    #[test]
    fn loopback_is_this_machine_and_an_address_for_documentation_is_nobodys() {
        for (ip, expected) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("192.0.2.1", false), ("2001:db8::1", false)]
        {
            assert_eq!(judged(is_of_this_machine(ip.parse().unwrap())), Ok(expected), "{ip}");
        }
    }

    #[test]
    fn for_want_of_sockets_an_address_is_not_judged_and_what_fails_otherwise_counts_as_ours() {
        let fails = |errno: Errno| judged(Err(io::Error::from_raw_os_error(errno.raw_os_error())));
        assert_eq!(fails(Errno::ADDRNOTAVAIL), Ok(false));
        assert_eq!(fails(Errno::NETUNREACH), Ok(false));
        assert_eq!(fails(Errno::PERM), Ok(true));
        for shortage in [Errno::MFILE, Errno::NFILE, Errno::ADDRINUSE] {
            let error = fails(shortage).unwrap_err();
            assert!(matches!(error, AddressForbidden::OutOfSockets { .. }), "{error}");
        }
    }

    #[test]
    fn of_a_name_with_thousands_of_answers_only_the_first_are_judged_and_dialled() {
        let public: Vec<IpAddr> =
            (0..5_000_u32).map(|n| Ipv4Addr::from_bits(0x0101_0000 + n).into()).collect();
        for lenient in [false, true] {
            let policy = EgressPolicy { lenient, ..strict() };
            assert_eq!(policy.vet(&public, 443).unwrap().len(), ANSWERS_JUDGED_MAX);
        }
        let late = [vec![IpAddr::from([10, 0, 0, 1]); ANSWERS_JUDGED_MAX], public].concat();
        assert!(EgressPolicy { lenient: true, ..strict() }.vet(&late, 443).is_err());
    }

    #[test]
    fn the_first_forbidden_answer_is_the_last_that_is_judged() {
        let refusal = strict().vet(&ips(&["1.1.1.1", "10.0.0.1", "10.0.0.2"]), 443).unwrap_err();
        assert!(refusal.to_string().starts_with("address 10.0.0.1:443 "), "{refusal}");
    }

    #[test]
    fn what_is_inside_an_address_is_judged_as_if_it_were_the_address() {
        let deny_cidrs = vec!["10.1.0.0/16".parse().unwrap(), "9.9.9.0/24".parse().unwrap()];
        let own_addresses = vec!["127.0.0.1:7000".parse().unwrap()];
        let policy =
            EgressPolicy { deny_cidrs, own_addresses, nat64: true, ..allowing(&["::/0", "0.0.0.0/0"]) };
        let judge = |address: &str| policy.check_address(address.parse().unwrap());
        for inside in [
            "[2002:a01:1::1]:443",
            "[64:ff9b::10.1.0.1]:443",
            "[64:ff9b::9.9.9.9]:443",
            "[fd00::5efe:10.1.0.1]:443",
        ] {
            assert!(matches!(judge(inside), Err(AddressForbidden::Denied { .. })), "{inside}");
        }
        assert!(matches!(judge("[64:ff9b::7f00:1]:7000"), Err(AddressForbidden::OwnListener { .. })));
        assert!(matches!(judge("[2002:a9fe:a9fe::1]:443"), Err(AddressForbidden::Never { .. })));
        assert!(matches!(judge("[64:ff9b:1::a9fe:a9fe]:443"), Err(AddressForbidden::Never { .. })));
        assert_eq!(judge("[64:ff9b::10.2.0.1]:443"), Ok(()));
    }

    #[test]
    fn nat64_is_judged_by_the_address_inside_when_it_is_on() {
        let on = EgressPolicy { nat64: true, ..strict() };
        assert!(on.check_address("[64:ff9b::8.8.8.8]:443".parse().unwrap()).is_ok());
        let refusal = on.check_address("[64:ff9b::10.0.0.1]:443".parse().unwrap()).unwrap_err();
        assert!(refusal.to_string().contains("a private network"), "{refusal}");
        assert!(strict().check_address("[64:ff9b::8.8.8.8]:443".parse().unwrap()).is_err());
        assert!(on.is_public("64:ff9b::8.8.8.8".parse().unwrap()));
        assert!(!on.is_public("64:ff9b::a9fe:a9fe".parse().unwrap()));
    }

    #[test]
    fn one_forbidden_answer_forbids_the_name_unless_lenient() {
        let mixed = ips(&["1.1.1.1", "10.0.0.1", "2606:4700:4700::1111"]);
        assert!(strict().vet(&mixed, 443).is_err());
        let lenient = EgressPolicy { lenient: true, ..strict() };
        let permitted = lenient.vet(&mixed, 443).unwrap();
        assert_eq!(permitted, ["1.1.1.1:443", "[2606:4700:4700::1111]:443"].map(|a| a.parse().unwrap()));
        assert!(lenient.vet(&ips(&["10.0.0.1", "::1"]), 443).is_err());
    }

    #[test]
    fn local_names_are_refused_unless_allowed() {
        for name in [
            "intranet",
            "localhost",
            "a.localhost",
            "localhost.localdomain",
            "printer.local",
            "db.internal",
            "router.home.arpa",
            "localhost.",
        ] {
            let refusal = check_url(&format!("http://{name}/"), &strict()).unwrap_err();
            assert!(matches!(refusal, UrlError::LocalName { .. }), "{name}: {refusal}");
        }
        let allow_names = vec!["intranet".to_owned(), ".svc.internal".to_owned()];
        let policy = EgressPolicy { allow_names, ..strict() };
        for name in ["intranet", "a.svc.internal", "b.a.svc.internal"] {
            assert!(check_url(&format!("http://{name}/"), &policy).is_ok(), "{name}");
        }
        for name in ["svc.internal", "evilsvc.internal", "extranet"] {
            assert!(check_url(&format!("http://{name}/"), &policy).is_err(), "{name}");
        }
        assert!(check_url("http://localhost:8080/", &allowing(&["127.0.0.0/8"])).is_ok());
    }

    #[test]
    fn ports_of_other_services_are_refused() {
        for (port, allowed) in [(80, true), (443, true), (8080, true), (22, false), (0, false), (6379, false)]
        {
            let answer = check_url(&format!("http://example.com:{port}/"), &strict());
            assert_eq!(answer.is_ok(), allowed, "{port}");
        }
        let both = EgressPolicy { allow_ports: vec![25, 443], deny_ports: vec![25], ..strict() };
        assert!(check_url("http://example.com:25/", &both).is_err(), "what is denied is denied");
        let refusal = check_url("https://example.com:25/", &strict()).unwrap_err();
        assert_eq!(refusal.to_string(), "port 25 is not allowed (egress.allow_ports, egress.deny_ports)");
    }

    #[test]
    fn plain_http_is_refused_where_the_policy_wants_tls() {
        let policy = EgressPolicy { allow_http: false, ..strict() };
        assert_eq!(check_url("http://example.com/", &policy), Err(UrlError::HttpNotAllowed));
        assert!(check_url("https://example.com/", &policy).is_ok());
    }
}
