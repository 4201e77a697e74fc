//! Addresses that lead somewhere else than to a receiver on the public internet.
//!
//! IPv4 is a deny list, because nearly all of it is public. IPv6 is an allow list, because nearly all of it
//! is not: only 2000::/3 is in global use, and a range that is special tomorrow is already refused today.
//! Source: the IANA special-purpose address registries (RFC 6890 and its updates).
//!
//! Not here: what an operator may allow or deny on top (`egress`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cidr::Cidr;

type Range = (Cidr, &'static str);

/// Refused even to an operator who allows private networks: they hand out credentials of the machine or of
/// the cloud account to whoever asks, or have no meaning as a destination.
const NEVER: &[Range] = &[
    (Cidr::v4([169, 254, 0, 0], 16), "link-local, where clouds keep their metadata service"),
    (Cidr::v4([100, 100, 100, 200], 32), "the metadata service of Alibaba Cloud"),
    (Cidr::v4([168, 63, 129, 16], 32), "the platform service of Azure"),
    (Cidr::v4([192, 0, 0, 192], 32), "the metadata service of Oracle Cloud"),
    (Cidr::v4([0, 0, 0, 0], 32), "the unspecified address"),
    (Cidr::v4([255, 255, 255, 255], 32), "the broadcast address"),
    (Cidr::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (Cidr::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), "the metadata service of AWS"),
    (Cidr::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), "the metadata service of Google Cloud"),
    (Cidr::v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "the unspecified address"),
];

const V4_NOT_PUBLIC: &[Range] = &[
    (Cidr::v4([0, 0, 0, 0], 8), "this network"),
    (Cidr::v4([10, 0, 0, 0], 8), "a private network"),
    (Cidr::v4([100, 64, 0, 0], 10), "shared by a carrier or an overlay network"),
    (Cidr::v4([127, 0, 0, 0], 8), "this machine"),
    (Cidr::v4([169, 254, 0, 0], 16), "link-local"),
    (Cidr::v4([172, 16, 0, 0], 12), "a private network"),
    (Cidr::v4([192, 0, 0, 0], 24), "reserved for protocols"),
    (Cidr::v4([192, 0, 2, 0], 24), "for documentation"),
    (Cidr::v4([192, 88, 99, 0], 24), "a 6to4 relay"),
    (Cidr::v4([192, 168, 0, 0], 16), "a private network"),
    (Cidr::v4([198, 18, 0, 0], 15), "for benchmarks"),
    (Cidr::v4([198, 51, 100, 0], 24), "for documentation"),
    (Cidr::v4([203, 0, 113, 0], 24), "for documentation"),
    (Cidr::v4([224, 0, 0, 0], 4), "multicast"),
    (Cidr::v4([240, 0, 0, 0], 4), "reserved"),
];

const V6_IN_USE: Cidr = Cidr::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What is special within [`V6_IN_USE`].
const V6_NOT_PUBLIC: &[Range] = &[
    (Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved for protocols such as Teredo"),
    (Cidr::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "for documentation"),
    (Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (Cidr::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "for documentation"),
];

const NAT64: Cidr = Cidr::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Cidr = Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const V4_COMPATIBLE: Cidr = Cidr::v6([0, 0, 0, 0, 0, 0, 0, 0], 96);

/// What makes `address` a destination that nothing can allow, if anything does. Also looks at the IPv4
/// address that a translator or tunnel would take out of an IPv6 one.
pub(super) fn never_allowed(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    find(NEVER, address).or_else(|| match address {
        IpAddr::V6(v6) => embedded(v6).and_then(|v4| find(NEVER, IpAddr::V4(v4))),
        IpAddr::V4(_) => None,
    })
}

/// What makes `address` not public, if anything does. With `nat64`, an address of the well-known NAT64
/// prefix (RFC 6052) is judged by the IPv4 address in it; without, it is refused.
pub(super) fn not_public(address: IpAddr, nat64: bool) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => find(V4_NOT_PUBLIC, IpAddr::V4(v4)),
        IpAddr::V6(v6) if NAT64.contains(address) => {
            if nat64 {
                not_public(IpAddr::V4(last_32_bits(v6)), false)
            } else {
                Some("NAT64")
            }
        }
        IpAddr::V6(v6) if !V6_IN_USE.contains(IpAddr::V6(v6)) => Some("not a global IPv6 address"),
        IpAddr::V6(v6) => find(V6_NOT_PUBLIC, IpAddr::V6(v6)),
    }
}

fn find(ranges: &[Range], address: IpAddr) -> Option<&'static str> {
    ranges.iter().find(|(range, _)| range.contains(address)).map(|(_, what)| *what)
}

fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let address = IpAddr::V6(v6);
    if NAT64.contains(address) || V4_COMPATIBLE.contains(address) {
        Some(last_32_bits(v6))
    } else if SIX_TO_FOUR.contains(address) {
        Some(Ipv4Addr::from((u128::from(v6) >> 80) as u32))
    } else {
        None
    }
}

fn last_32_bits(v6: Ipv6Addr) -> Ipv4Addr {
    Ipv4Addr::from(u128::from(v6) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700:4700::1111",
            "2001:200::1",
            "2a00::1",
            "3ffe::1",
        ] {
            assert_eq!(not_public(address(text), false), None, "{text}");
            assert_eq!(never_allowed(address(text)), None, "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last_address_of_every_special_range_is_refused() {
        for text in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.255",
            "192.88.99.0",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.0",
            "203.0.113.255",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(not_public(address(text), false).is_some(), "{text}");
        }
    }

    #[test]
    fn nat64_is_judged_by_the_address_inside_when_it_is_on() {
        assert_eq!(not_public(address("64:ff9b::8.8.8.8"), true), None);
        assert_eq!(not_public(address("64:ff9b::10.0.0.1"), true), Some("a private network"));
    }

    #[test]
    fn metadata_services_are_never_allowed_in_any_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "febf:ffff::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "0.0.0.0",
            "::",
        ] {
            assert!(never_allowed(address(text)).is_some(), "{text}");
        }
        assert_eq!(never_allowed(address("127.0.0.1")), None);
        assert_eq!(never_allowed(address("10.0.0.1")), None);
    }
}
