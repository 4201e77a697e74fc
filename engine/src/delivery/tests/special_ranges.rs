//! The address policy against the registries of IANA, which are written down here once more: a mistake in the product's
//! own tables must not be in the table that it is held against.
//!
//! Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates, as of 2025), and the
//! registries of multicast and of IPv6 unicast space, where only 2000::/3 is given out. The most specific entry counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;

/// Address block, and whether it is globally reachable.
const V4: &[(&str, bool)] = &[
    ("0.0.0.0/8", false),
    ("0.0.0.0/32", false),
    ("10.0.0.0/8", false),
    ("100.64.0.0/10", false),
    ("127.0.0.0/8", false),
    ("169.254.0.0/16", false),
    ("172.16.0.0/12", false),
    ("192.0.0.0/24", false),
    ("192.0.0.0/29", false),
    ("192.0.0.8/32", false),
    ("192.0.0.9/32", true),
    ("192.0.0.10/32", true),
    ("192.0.0.170/32", false),
    ("192.0.0.171/32", false),
    ("192.0.2.0/24", false),
    ("192.31.196.0/24", true),
    ("192.52.193.0/24", true),
    ("192.88.99.0/24", false),
    ("192.88.99.2/32", false),
    ("192.168.0.0/16", false),
    ("192.175.48.0/24", true),
    ("198.18.0.0/15", false),
    ("198.51.100.0/24", false),
    ("203.0.113.0/24", false),
    ("224.0.0.0/4", false),
    ("240.0.0.0/4", false),
    ("255.255.255.255/32", false),
];

const V6: &[(&str, bool)] = &[
    ("::/0", false),
    ("2000::/3", true),
    ("::1/128", false),
    ("::/128", false),
    ("::ffff:0:0/96", false),
    ("64:ff9b::/96", true),
    ("64:ff9b:1::/48", false),
    ("100::/64", false),
    ("100:0:0:1::/64", false),
    ("2001::/23", false),
    ("2001::/32", false),
    ("2001:1::1/128", true),
    ("2001:1::2/128", true),
    ("2001:1::3/128", true),
    ("2001:2::/48", false),
    ("2001:3::/32", true),
    ("2001:4:112::/48", true),
    ("2001:10::/28", false),
    ("2001:20::/28", true),
    ("2001:30::/28", true),
    ("2001:db8::/32", false),
    ("2002::/16", false),
    ("2620:4f:8000::/48", true),
    ("3fff::/20", false),
    ("5f00::/16", false),
    ("fc00::/7", false),
    ("fe80::/10", false),
    ("fec0::/10", false),
    ("ff00::/8", false),
];

/// Where the policy is stricter than the registries, on purpose: nobody receives webhooks at anycast addresses of
/// protocols, and what is inside an address that is translated may be anything.
const STRICTER: &[(&str, &str)] = &[
    ("192.0.0.0/24", "anycast addresses of protocols"),
    ("168.63.129.16/32", "the platform service of Azure, in public space"),
    ("64:ff9b::/96", "NAT64, unless egress.nat64 says that there is one"),
    ("2001::/23", "protocols"),
];

/// A range as numbers, from the text of a registry.
#[derive(Clone, Copy)]
struct Block {
    v4: bool,
    first: u128,
    last: u128,
    prefix: u32,
}

impl Block {
    fn read(text: &str) -> Self {
        let (address, prefix) = text.split_once('/').unwrap();
        let prefix: u32 = prefix.parse().unwrap();
        let (v4, first, width) = match address.parse().unwrap() {
            IpAddr::V4(v4) => (true, u128::from(u32::from(v4)), 32),
            IpAddr::V6(v6) => (false, u128::from(v6), 128),
        };
        let size_less_one = if width == prefix { 0 } else { u128::MAX >> (128 - (width - prefix)) };
        assert_eq!(first & size_less_one, 0, "{text}");
        Self { v4, first, last: first | size_less_one, prefix }
    }

    fn has(&self, v4: bool, bits: u128) -> bool {
        self.v4 == v4 && (self.first..=self.last).contains(&bits)
    }
}

struct Registry {
    blocks: Vec<(Block, bool)>,
    stricter: Vec<Block>,
}

impl Registry {
    fn new() -> Self {
        let blocks = V4.iter().chain(V6).map(|(text, reachable)| (Block::read(text), *reachable)).collect();
        Self { blocks, stricter: STRICTER.iter().map(|(text, _)| Block::read(text)).collect() }
    }

    /// Whether a webhook may go there, by the registries and [`STRICTER`].
    fn permits(&self, address: IpAddr) -> bool {
        let (v4, bits) = match address {
            IpAddr::V4(v4) => (true, u128::from(u32::from(v4))),
            // IPv4-mapped: the address inside, in another spelling.
            IpAddr::V6(v6) if u128::from(v6) >> 32 == 0xffff => (true, u128::from(v6) & 0xffff_ffff),
            IpAddr::V6(v6) => (false, u128::from(v6)),
        };
        // An ISATAP interface identifier (RFC 5214 section 6.1), in whatever network.
        let is_tunnel = !v4 && matches!((bits >> 32) as u32, 0x0000_5efe | 0x0200_5efe);
        if is_tunnel || self.stricter.iter().any(|block| block.has(v4, bits)) {
            return false;
        }
        let holding = self.blocks.iter().filter(|(block, _)| block.has(v4, bits));
        holding.max_by_key(|(block, _)| block.prefix).is_none_or(|(_, reachable)| *reachable)
    }
}

/// SplitMix64: a stream of numbers that follows from its seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn address(v4: bool, bits: u128) -> IpAddr {
    if v4 { Ipv4Addr::from(bits as u32).into() } else { Ipv6Addr::from(bits).into() }
}

/// An address that is worth asking about: from anywhere, from within a block, from its borders, or with IPv4 inside.
fn draw(numbers: &mut Numbers, blocks: &[(Block, bool)]) -> IpAddr {
    let (block, _) = blocks[numbers.below(blocks.len())];
    let wide = numbers.wide();
    match numbers.below(8) {
        0 => address(true, wide),
        1 => address(false, wide),
        // 2000::/3, where most of the answers are yes.
        2 => address(false, wide >> 3 | 0x2 << 124),
        3 | 4 => address(block.v4, block.first | wide & (block.last - block.first)),
        5 => address(block.v4, block.first.wrapping_add(wide % 5).wrapping_sub(2)),
        6 => address(block.v4, block.last.wrapping_add(wide % 5).wrapping_sub(2)),
        _ => address(false, 0xffff << 32 | wide & 0xffff_ffff),
    }
}

fn agrees_over(addresses: u64, seed: u64) {
    let (registry, strict) = (Registry::new(), policy(&[]));
    let translating = EgressPolicy { nat64: true, ..policy(&[]) };
    let mut numbers = Numbers(seed);
    let mut permitted = 0u64;
    for _ in 0..addresses {
        let ip = draw(&mut numbers, &registry.blocks);
        let expected = registry.permits(ip);
        let judged = strict.check_address((ip, 443).into());
        assert_eq!(judged.is_ok(), expected, "SEED={seed}: {ip}: {judged:?}");
        assert_eq!(strict.is_public(ip), expected, "SEED={seed}: {ip}");
        permitted += u64::from(expected);
        if let IpAddr::V4(v4) = ip {
            let translated: Ipv6Addr = (0x64_ff9b_u128 << 96 | u128::from(u32::from(v4))).into();
            let judged = translating.check_address((translated, 443).into());
            assert_eq!(judged.is_ok(), expected, "SEED={seed}: {translated}: {judged:?}");
            assert!(strict.check_address((translated, 443).into()).is_err(), "SEED={seed}: {translated}");
        }
    }
    // Both answers are seen often.
    assert!((addresses / 5..addresses / 5 * 4).contains(&permitted), "{permitted} of {addresses}");
}

#[test]
fn the_policy_agrees_with_the_registries_at_the_borders_of_every_range() {
    let (registry, strict) = (Registry::new(), policy(&[]));
    let borders = |block: &Block| {
        [block.first, block.first.wrapping_add(1), block.first.wrapping_sub(1)].into_iter().chain([
            block.last,
            block.last.wrapping_add(1),
            block.last.wrapping_sub(1),
        ])
    };
    let all = registry.blocks.iter().map(|(block, _)| block).chain(&registry.stricter);
    for (v4, bits) in all.flat_map(|block| borders(block).map(|bits| (block.v4, bits))) {
        let ip = address(v4, bits);
        let judged = strict.check_address((ip, 443).into());
        assert_eq!(judged.is_ok(), registry.permits(ip), "{ip}: {judged:?}");
    }
}

#[test]
fn the_policy_agrees_with_the_registries_on_addresses_of_every_kind() {
    agrees_over(100_000, 0x5eed_0001);
}

#[test]
#[ignore = "ten million addresses, for a release: takes minutes without optimisation"]
fn the_policy_agrees_with_the_registries_on_ten_million_addresses() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_0002);
    agrees_over(10_000_000, seed);
}
