//! A name server that an operator names: an address, and a port where it is not 53.
//!
//! Not a name: who would resolve it?

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Where DNS is spoken (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;
/// The most that may be named: a lookup asks one after the other.
pub const NAME_SERVERS_MAX: usize = 8;

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

/// Why a text names no name server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameServerError {
    /// It is no address, or has no port.
    #[error("must be an address such as 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or [2001:db8::53]:5353")]
    NoAddress,
    /// It is one of some interface, which would not be told.
    #[error("must be an address without a scope (%): name servers are asked over any interface")]
    Scope,
}

impl FromStr for NameServer {
    type Err = NameServerError;

    fn from_str(text: &str) -> Result<Self, NameServerError> {
        if text.contains('%') {
            return Err(NameServerError::Scope);
        }
        let alone = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
        let server = text.parse().or_else(|_| alone()).map_err(|_| NameServerError::NoAddress)?;
        if server.port() == 0 { Err(NameServerError::NoAddress) } else { Ok(Self(server)) }
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_name_server_with_the_usual_port_or_its_own() {
        for (text, server) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(text.parse::<NameServer>().map(|server| server.to_string()), Ok(server.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "dns.example", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536", "[2001:db8::53]"] {
            assert_eq!(text.parse::<NameServer>(), Err(NameServerError::NoAddress), "{text}");
        }
    }

    #[test]
    fn an_address_with_a_scope_is_refused_since_the_scope_would_be_lost() {
        for text in ["[fe80::1%3]:53", "fe80::1%eth0", "[fe80::1%0]:53"] {
            assert_eq!(text.parse::<NameServer>(), Err(NameServerError::Scope), "{text}");
        }
    }
}
