//! A range of addresses, such as `10.0.0.0/8`.
//!
//! An IPv4 address has several spellings in IPv6 (`::ffff:10.0.0.1` is 10.0.0.1). Ranges and addresses are
//! brought to their IPv4 form first, so that a spelling never decides what is inside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses: those that share the first `prefix` bits of `network`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not of the form `address/prefix`.
    #[error("'{text}' is not a range such as 10.0.0.0/8 or fd00::/8")]
    Form {
        /// What was given, cut to 64 characters.
        text: String,
    },
    /// More bits than an address of its family has.
    #[error("'{text}' has a prefix over {max} bits")]
    PrefixTooLong {
        /// What was given, cut to 64 characters.
        text: String,
        /// 32 for IPv4, 128 for IPv6.
        max: u8,
    },
    /// The address has bits set behind the prefix: probably not what was meant.
    #[error("'{text}' has bits set behind its prefix; write {meant}")]
    BitsBehindPrefix {
        /// What was given, cut to 64 characters.
        text: String,
        /// The range that its prefix describes.
        meant: Cidr,
    },
}

impl Cidr {
    /// A range of IPv4 addresses for a table; `network` has no bits behind the prefix.
    pub(super) const fn v4(network: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = network;
        Self { network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// A range of IPv6 addresses for a table; `network` has no bits behind the prefix.
    pub(super) const fn v6(network: [u16; 8], prefix: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = network;
        Self { network: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
    }

    /// Whether `address` is in this range, whichever way it is spelled.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                first_bits(u32::from(network).into(), self.prefix, 32)
                    == first_bits(u32::from(address).into(), self.prefix, 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                first_bits(network.into(), self.prefix, 128) == first_bits(address.into(), self.prefix, 128)
            }
            _ => false,
        }
    }

    /// The range with the bits behind its prefix cleared, an IPv4-mapped one as IPv4.
    fn canonical(network: IpAddr, prefix: u8) -> Self {
        match network {
            IpAddr::V4(v4) => {
                let bits = first_bits(u32::from(v4).into(), prefix, 32) as u32;
                Self { network: IpAddr::V4(bits.into()), prefix }
            }
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) if prefix >= 96 => Self::canonical(IpAddr::V4(v4), prefix - 96),
                _ => Self { network: IpAddr::V6(first_bits(v6.into(), prefix, 128).into()), prefix },
            },
        }
    }
}

/// The first `prefix` of `width` bits, the others cleared.
fn first_bits(bits: u128, prefix: u8, width: u8) -> u128 {
    let behind = u32::from(width - prefix);
    bits.checked_shr(behind).and_then(|kept| kept.checked_shl(behind)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Reads `address/prefix`, or an address alone.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let quoted = || text.chars().take(64).collect::<String>();
        let form = || CidrError::Form { text: quoted() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| form())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(max);
        if prefix > max {
            return Err(CidrError::PrefixTooLong { text: quoted(), max });
        }
        let cidr = Self::canonical(address, prefix);
        if cidr.network != address.to_canonical() {
            return Err(CidrError::BitsBehindPrefix { text: quoted(), meant: cidr });
        }
        Ok(cidr)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, inside: &[&str], outside: &[&str]) {
        let cidr: Cidr = range.parse().unwrap();
        for address in inside {
            assert!(cidr.contains(address.parse().unwrap()), "{address} should be in {range}");
        }
        for address in outside {
            assert!(!cidr.contains(address.parse().unwrap()), "{address} should not be in {range}");
        }
    }

    #[test]
    fn a_range_holds_what_shares_its_prefix() {
        check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], &["11.0.0.0", "::a00:1"]);
        check("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]);
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "::1"]);
        check("::/0", &["::", "ffff::"], &["10.0.0.1", "::ffff:10.0.0.1"]);
        check("fe80::/10", &["fe80::1", "febf::1"], &["fec0::1", "fe7f::1"]);
        check("::ffff:10.0.0.0/104", &["10.9.9.9"], &["11.0.0.1"]);
    }

    #[test]
    fn a_range_reads_back_as_it_was_written() {
        for text in ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "::/0"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_malformed_range_is_refused_with_its_reason() {
        for text in ["", "/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "10.0.0.0/256", "example.com/8"] {
            assert!(matches!(text.parse::<Cidr>(), Err(CidrError::Form { .. })), "{text}");
        }
        assert!(matches!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::PrefixTooLong { max: 32, .. })));
        assert!(matches!("::/129".parse::<Cidr>(), Err(CidrError::PrefixTooLong { max: 128, .. })));
        let error = "10.0.0.1/8".parse::<Cidr>().unwrap_err();
        assert_eq!(error.to_string(), "'10.0.0.1/8' has bits set behind its prefix; write 10.0.0.0/8");
    }
}
