//! Many addresses in few words: `127.0.0.1-127.0.0.100:9000-9099` is 10,000 of them.
//!
//! ```text
//!   127.0.0.1:9000                      one
//!   127.0.0.1:9000-9099                 a range of ports
//!   127.0.0.1-127.0.0.100:9000          a range of IPv4 addresses
//!   [::1]:9000-9099                     IPv6: one address, any range of ports
//! ```
//!
//! What a text stands for is counted before it is spelled out, so that a slip of the pen costs no memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, bail, ensure};

/// Addresses that one text, or all of one option together, may stand for.
pub(crate) const ADDRESSES_MAX: usize = 65_536;

/// Every address that the texts stand for, in order: ports of the first address first.
///
/// `option` is named in errors, with the text that is wrong.
pub(crate) fn addresses(option: &str, texts: &[String]) -> anyhow::Result<Vec<SocketAddr>> {
    let mut all = Vec::new();
    for text in texts {
        let more = one(text).with_context(|| format!("{option} {text}"))?;
        all.extend(more);
        ensure!(
            all.len() <= ADDRESSES_MAX,
            "{option} names {} addresses; the limit is {ADDRESSES_MAX}",
            all.len()
        );
    }
    Ok(all)
}

/// Every address that one text stands for.
pub(crate) fn one(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let Some((hosts, ports)) = text.rsplit_once(':') else {
        bail!("a port is missing; an address is written as in 127.0.0.1:9000");
    };
    let (hosts, ports) = (span_of_hosts(hosts)?, span_of_ports(ports)?);
    let count = hosts.len() * ports.len();
    ensure!(count <= ADDRESSES_MAX, "stands for {count} addresses; the limit is {ADDRESSES_MAX}");
    let each = |host: IpAddr| ports.clone().map(move |port| SocketAddr::new(host, port));
    Ok(hosts.addresses().flat_map(each).collect())
}

enum Hosts {
    V4 { first: u32, last: u32 },
    V6(Ipv6Addr),
}

impl Hosts {
    fn len(&self) -> usize {
        match self {
            Self::V4 { first, last } => (last - first) as usize + 1,
            Self::V6(_) => 1,
        }
    }

    fn addresses(&self) -> Box<dyn Iterator<Item = IpAddr>> {
        match *self {
            Self::V4 { first, last } => Box::new((first..=last).map(|bits| Ipv4Addr::from_bits(bits).into())),
            Self::V6(address) => Box::new(std::iter::once(address.into())),
        }
    }
}

fn span_of_hosts(text: &str) -> anyhow::Result<Hosts> {
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let address = inner.parse().with_context(|| format!("{inner:?} is not an IPv6 address"))?;
        return Ok(Hosts::V6(address));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let address: Ipv4Addr = text.parse().with_context(|| format!("{text:?} is not an IPv4 address"))?;
        anyhow::Ok(address.to_bits())
    };
    let (first, last) = (number(first)?, number(last)?);
    ensure!(first <= last, "the range of addresses {text} ends before it begins");
    Ok(Hosts::V4 { first, last })
}

fn span_of_ports(text: &str) -> anyhow::Result<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse::<u16>().ok().with_context(|| format!("{text:?} is not a port; ports are 0 to 65535"))
    };
    let (first, last) = (number(first)?, number(last)?);
    ensure!(first <= last, "the range of ports {text} ends before it begins");
    ensure!(first > 0 || last == 0, "the range of ports {text} begins with 0, which means any free port");
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Vec<String> {
        let all = addresses("--listen", &[text.to_owned()]).unwrap();
        all.iter().map(ToString::to_string).collect()
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", addresses("--listen", &[text.to_owned()]).unwrap_err())
    }

    #[test]
    fn one_address_stands_for_itself() {
        assert_eq!(spelled("127.0.0.1:9000"), ["127.0.0.1:9000"]);
        assert_eq!(spelled("[::1]:9000"), ["[::1]:9000"]);
        assert_eq!(spelled("127.0.0.1:0"), ["127.0.0.1:0"]);
    }

    #[test]
    fn a_range_of_addresses_and_ports_is_every_pair_of_them() {
        assert_eq!(
            spelled("127.0.0.255-127.0.1.0:9000-9001"),
            ["127.0.0.255:9000", "127.0.0.255:9001", "127.0.1.0:9000", "127.0.1.0:9001"]
        );
        assert_eq!(spelled("127.0.0.1-127.0.0.100:9000-9099").len(), 10_000);
    }

    #[test]
    fn several_texts_follow_each_other() {
        let texts = ["127.0.0.1:2".to_owned(), "127.0.0.1:1".to_owned()];
        let ports: Vec<_> = addresses("--listen", &texts).unwrap().iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2, 1]);
    }

    #[test]
    fn what_is_wrong_is_said_with_option_and_value() {
        assert_eq!(
            refusal("127.0.0.1"),
            "--listen 127.0.0.1: a port is missing; an address is written as in 127.0.0.1:9000"
        );
        assert!(refusal("127.0.0.1:70000").contains("\"70000\" is not a port; ports are 0 to 65535"));
        assert!(refusal("127.0.0.1:9001-9000").contains("range of ports 9001-9000 ends before it begins"));
        assert!(refusal("127.0.0.1:0-9").contains("begins with 0"));
        assert!(refusal("127.0.0.9-127.0.0.1:1").contains("ends before it begins"));
        assert!(refusal("localhost:1").contains("\"localhost\" is not an IPv4 address"));
        assert!(refusal("[::g]:1").contains("\"::g\" is not an IPv6 address"));
    }

    #[test]
    fn more_addresses_than_the_limit_are_refused_before_they_are_spelled_out() {
        assert!(refusal("0.0.0.0-255.255.255.255:1-65535").contains("the limit is 65536"));
        let texts = vec!["127.0.0.1:1-65535".to_owned(); 2];
        let error = addresses("--url", &texts).unwrap_err().to_string();
        assert_eq!(error, "--url names 131070 addresses; the limit is 65536");
    }
}
