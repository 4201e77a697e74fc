//! Scheme, name and port: what connections, limits and host lockouts belong to.

use std::fmt;
use std::sync::Arc;

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub const fn port_default(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host. Two URLs have the same host exactly if scheme, normalised name and port are the same; the
/// address that the name resolves to plays no part.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey {
    scheme: Scheme,
    name: Arc<str>,
    port: u16,
}

impl HostKey {
    /// `name` is already normalised: lower case, punycode, no trailing dot, IPv6 in brackets.
    pub(super) fn new(scheme: Scheme, name: &str, port: u16) -> Self {
        Self { scheme, name: name.into(), port }
    }

    /// How the host is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name as in a URL: lower case, punycode, no trailing dot; an IPv6 address in brackets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, given or default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A hash that is the same on every machine and in every version, by which hosts are spread over
    /// shards: FNV-1a over `Display`'s text, its halves folded so that the low bits are as good as the high.
    pub fn stable_hash(&self) -> u64 {
        let mut hash = Fnv1a::new();
        // Writing into a hash cannot fail.
        let _ = fmt::Write::write_fmt(&mut hash, format_args!("{self}"));
        hash.0 ^ (hash.0 >> 32)
    }

    /// The value of a `Host` header: the port only where it is not the default (RFC 9110 section 7.2).
    pub(super) fn authority(&self) -> String {
        if self.port == self.scheme.port_default() {
            self.name.to_string()
        } else {
            format!("{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.name, self.port)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Fnv1a(u64);

impl Fnv1a {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Fnv1a {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_shown_with_its_port() {
        let host = HostKey::new(Scheme::Https, "example.com", 443);
        assert_eq!(host.to_string(), "https://example.com:443");
        assert_eq!(host.authority(), "example.com");
        assert_eq!(HostKey::new(Scheme::Http, "[::1]", 8080).authority(), "[::1]:8080");
    }

    #[test]
    fn the_hash_of_a_host_never_changes_and_tells_its_parts_apart() {
        // FNV-1a of the text, computed elsewhere: a change here would move hosts between shards.
        let host = HostKey::new(Scheme::Https, "example.com", 443);
        assert_eq!(host.stable_hash(), 0xd18c_9094_f9cb_95ec);
        assert_ne!(host.stable_hash(), HostKey::new(Scheme::Http, "example.com", 443).stable_hash());
        assert_ne!(host.stable_hash(), HostKey::new(Scheme::Https, "example.com", 444).stable_hash());
    }

    #[test]
    fn hosts_spread_evenly_over_few_shards() {
        let mut counts = [0u32; 4];
        for number in 0..4_000 {
            let host = HostKey::new(Scheme::Https, &format!("customer-{number}.example.com"), 443);
            counts[(host.stable_hash() % 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
