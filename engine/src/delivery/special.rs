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
    // All of it: beside the metadata (::254) there are credentials of pods (::23), name and time servers.
    (Cidr::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), "the metadata service of AWS"),
    (Cidr::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), "the metadata service of Google Cloud"),
    (Cidr::v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), "the metadata service of Oracle Cloud"),
    (Cidr::v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), "the metadata service of Scaleway"),
    (Cidr::v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1], 128), "the metadata service of Linode"),
    (Cidr::v6([0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200], 128), "the metadata service of Alibaba Cloud"),
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

/// The well-known prefix of NAT64 (RFC 6052 section 2.1), and the one for local use (RFC 8215).
const NAT64: Cidr = Cidr::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const NAT64_LOCAL: Cidr = Cidr::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const SIX_TO_FOUR: Cidr = Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const TEREDO: Cidr = Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
const V4_COMPATIBLE: Cidr = Cidr::v6([0, 0, 0, 0, 0, 0, 0, 0], 96);
/// `::ffff:0:a.b.c.d` of stateless translators (RFC 2765 section 2.1).
const V4_TRANSLATED: Cidr = Cidr::v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96);

/// How many IPv4 addresses one of IPv6 may have in it: there are as many places for it as local NAT64 has prefixes.
const EMBEDDED_MAX: usize = 4;

/// What makes `address` a destination that nothing can allow, if anything does.
pub(super) fn never_allowed(address: IpAddr) -> Option<&'static str> {
    find(NEVER, address.to_canonical())
}

/// What makes `address` not public, if anything does. Each form of NAT64 does.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => find(V4_NOT_PUBLIC, IpAddr::V4(v4)),
        IpAddr::V6(_) if NAT64.contains(address) || NAT64_LOCAL.contains(address) => Some("NAT64"),
        IpAddr::V6(v6) if !V6_IN_USE.contains(IpAddr::V6(v6)) => Some("not a global IPv6 address"),
        // Any network may be one, so its addresses are not in a range.
        IpAddr::V6(v6) if is_isatap(v6) => Some("the end of an ISATAP tunnel"),
        IpAddr::V6(v6) => find(V6_NOT_PUBLIC, IpAddr::V6(v6)),
    }
}

/// The IPv4 address that the well-known prefix of NAT64 stands before.
pub(super) fn behind_nat64(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(v6) if NAT64.contains(address) => Some(bits_at(v6, 96)),
        _ => None,
    }
}

/// The IPv4 addresses that a translator or tunnel would take out of `address`. Zeros are none: they stand where the
/// address has nothing in that place.
pub(super) fn embedded(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let mut found = [None; EMBEDDED_MAX];
    if let IpAddr::V6(v6) = address.to_canonical() {
        if [NAT64, V4_COMPATIBLE, V4_TRANSLATED].iter().any(|range| range.contains(address)) {
            found[0] = Some(bits_at(v6, 96));
        } else if NAT64_LOCAL.contains(address) {
            // One for each length that the prefix may have (RFC 6052 section 2.2); bits 64 to 71 are skipped.
            found = [around_the_middle(v6, 48), around_the_middle(v6, 56), bits_at(v6, 72), bits_at(v6, 96)]
                .map(Some);
        } else if SIX_TO_FOUR.contains(address) {
            found[0] = Some(bits_at(v6, 16));
        } else if TEREDO.contains(address) {
            // The server, and the client, whose bits are inverted (RFC 4380 section 4).
            found[..2].copy_from_slice(&[Some(bits_at(v6, 32)), Some(!bits_at(v6, 96))]);
        } else if is_isatap(v6) {
            found[0] = Some(bits_at(v6, 96));
        }
    }
    found.into_iter().flatten().filter(|v4| !v4.is_unspecified()).map(IpAddr::V4)
}

fn find(ranges: &[Range], address: IpAddr) -> Option<&'static str> {
    ranges.iter().find(|(range, _)| range.contains(address)).map(|(_, what)| *what)
}

/// Interface identifiers 0:5efe:a.b.c.d and 200:5efe:a.b.c.d (RFC 5214 section 6.1).
fn is_isatap(v6: Ipv6Addr) -> bool {
    let [_, _, _, _, fifth, sixth, ..] = v6.segments();
    fifth & !0x0200 == 0 && sixth == 0x5efe
}

/// The 32 bits of `v6` that begin at `bit`.
fn bits_at(v6: Ipv6Addr, bit: u32) -> Ipv4Addr {
    Ipv4Addr::from((u128::from(v6) >> (96 - bit)) as u32)
}

/// The 32 bits of `v6` that begin at `bit` and go on behind bits 64 to 71.
fn around_the_middle(v6: Ipv6Addr, bit: u32) -> Ipv4Addr {
    let bits = u128::from(v6);
    let (before, behind) = (bits >> 64, bits << 72);
    let kept = 64 - bit;
    let first = (before & ((1 << kept) - 1)) << (32 - kept);
    Ipv4Addr::from((first | (behind >> (96 + kept))) as u32)
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
            assert_eq!(not_public(address(text)), None, "{text}");
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
            assert!(not_public(address(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn every_ipv4_address_inside_an_ipv6_one_is_found() {
        let inside = |text| embedded(address(text)).map(|ip| ip.to_string()).collect::<Vec<_>>();
        for text in [
            "::192.0.2.33",
            "::ffff:0:192.0.2.33",
            "64:ff9b::192.0.2.33",
            "2002:c000:221::1",
            "2606:4700::5efe:192.0.2.33",
            "fe80::200:5efe:192.0.2.33",
        ] {
            assert_eq!(inside(text), ["192.0.2.33"], "{text}");
        }
        // The example of RFC 4380 section 5.2.9's form: server 65.54.227.120, client 192.0.2.45.
        assert_eq!(inside("2001:0:4136:e378:8000:63bf:3fff:fdd2"), ["65.54.227.120", "192.0.2.45"]);
        // 192.0.2.33 at the places that RFC 6052 section 2.4 shows for prefixes of 48, 56, 64 and 96 bits.
        for text in [
            "64:ff9b:1:c000:2:2100::",
            "64:ff9b:1:bc0:0:221::",
            "64:ff9b:1:aaaa:c0:2:2100::",
            "64:ff9b:1::c000:221",
        ] {
            assert!(inside(text).contains(&"192.0.2.33".to_owned()), "{text}: {:?}", inside(text));
        }
        assert!(inside("2606:4700::1").is_empty() && inside("192.0.2.33").is_empty());
    }

    #[test]
    fn the_end_of_a_tunnel_is_not_public_whatever_network_it_is_in() {
        assert_eq!(not_public(address("2606:4700::5efe:808:808")), Some("the end of an ISATAP tunnel"));
        assert_eq!(not_public(address("2606:4700::200:5efe:808:808")), Some("the end of an ISATAP tunnel"));
        assert_eq!(not_public(address("2606:4700::5eff:808:808")), None);
    }

    #[test]
    fn metadata_services_are_never_allowed_in_any_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "febf:ffff::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "fd00:100::100:200",
            "0.0.0.0",
            "::",
        ] {
            assert!(never_allowed(address(text)).is_some(), "{text}");
        }
        assert_eq!(never_allowed(address("127.0.0.1")), None);
        assert_eq!(never_allowed(address("10.0.0.1")), None);
    }
}
