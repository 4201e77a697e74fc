//! What must hold whatever customers, producers, receivers and operators write, as functions that both a fuzzer and a
//! plain test can call.
//!
//! Each target takes bytes and panics when a property does not hold. `fuzz/` feeds them with guidance by coverage,
//! the test below with the files of `corpus/` and their mutations. Those that need what is private lie beside it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde_json::Value;

use crate::config::Config;
use crate::core::duration::DurationText;
use crate::core::retry::RetryPolicy;
use crate::delivery::{ANSWERS_JUDGED_MAX, CheckedUrl, Cidr, EgressPolicy, check_url};
use crate::filter::{Facts, Filter, STEPS_MAX};

/// Panics where what must hold for any bytes does not hold for these.
pub type Target = fn(&[u8]);

/// The targets of this crate by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("connections", crate::ingest::fuzzing::connections),
    ("responses", crate::delivery::fuzzing::responses),
    ("retry_after", crate::delivery::fuzzing::retry_after),
    ("forms", crate::delivery::fuzzing::forms),
    ("secrets", crate::delivery::fuzzing::secrets),
    ("addresses", addresses),
    ("urls", urls),
    ("filters", filters),
    ("retry_policies", retry_policies),
    ("schemas", crate::catalog::fuzzing::schemas),
    ("catalog_records", crate::catalog::fuzzing::records),
    ("endpoint_bodies", crate::api::fuzzing::endpoint_bodies),
    ("cursors", crate::api::fuzzing::cursors),
    ("config_files", config_files),
];

/// The bytes cut into pieces at places that `seed` chooses.
pub(crate) use posthaste_protocol::fuzzing::pieces;

/// Two texts, separated by a zero byte.
pub(crate) fn two_texts(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\0')
}

/// What everybody may connect to.
pub(crate) fn public_only() -> EgressPolicy {
    EgressPolicy {
        allow_http: true,
        allow_cidrs: Vec::new(),
        deny_cidrs: Vec::new(),
        allow_names: Vec::new(),
        allow_ports: vec![80, 443],
        deny_ports: vec![6_379],
        lenient: false,
        nat64: false,
        own_addresses: Vec::new(),
    }
}

/// With private networks allowed, some denied, and itself listening in one of them.
fn relaxed() -> EgressPolicy {
    let range = |text: &str| text.parse::<Cidr>().expect("a range");
    EgressPolicy {
        allow_cidrs: vec![range("0.0.0.0/0"), range("::/0")],
        deny_cidrs: vec![range("10.1.0.0/16")],
        lenient: true,
        nat64: true,
        own_addresses: vec![SocketAddr::from(([0, 0, 0, 0], 8_080))],
        ..public_only()
    }
}

/// What the standard library knows to be of no use on the public internet, by whatever spelling. Not all: the rest
/// of its knowledge is not stable.
fn is_surely_not_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

/// Answers of a resolver: what is permitted is permitted one by one, in every spelling, and never what nothing can
/// allow. A byte of flags, two of the port, then addresses of 4 or 16 bytes, each behind a byte that says which.
pub fn addresses(data: &[u8]) {
    let Some((&[flags, high, low], mut rest)) = data.split_first_chunk() else { return };
    let port = u16::from_be_bytes([high, low]);
    let mut answers = Vec::new();
    while let Some((&kind, bytes)) = rest.split_first() {
        rest = match kind % 3 {
            0 => {
                let Some((v4, rest)) = bytes.split_first_chunk::<4>() else { break };
                answers.push(IpAddr::from(*v4));
                rest
            }
            1 => {
                let Some((v4, rest)) = bytes.split_first_chunk::<4>() else { break };
                answers.push(IpAddr::V6(std::net::Ipv4Addr::from(*v4).to_ipv6_mapped()));
                rest
            }
            _ => {
                let Some((v6, rest)) = bytes.split_first_chunk::<16>() else { break };
                answers.push(IpAddr::from(*v6));
                rest
            }
        };
    }
    for policy in [public_only(), relaxed()] {
        let policy = EgressPolicy { lenient: flags & 1 != 0, nat64: flags & 2 != 0, ..policy };
        answers.iter().for_each(|answer| is_judged_alike(&policy, *answer, port));
        let Ok(permitted) = policy.vet(&answers, port) else { continue };
        let judged = answers.len().min(ANSWERS_JUDGED_MAX);
        assert!(permitted.len() <= judged && (policy.lenient || permitted.len() == judged));
        assert!(permitted.iter().all(|address| policy.check_address(*address).is_ok()));
    }
}

fn is_judged_alike(policy: &EgressPolicy, answer: IpAddr, port: u16) {
    let verdict = policy.check_address(SocketAddr::new(answer, port)).is_ok();
    let canonical = answer.to_canonical();
    assert_eq!(policy.check_address(SocketAddr::new(canonical, port)).is_ok(), verdict, "{answer}");
    let is_metadata = match canonical {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.octets() == [168, 63, 129, 16] || v4.octets() == [100, 100, 100, 200]
        }
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    };
    assert!(!(verdict && is_metadata), "{answer} was permitted");
    if policy.allow_cidrs.is_empty() {
        assert!(!(verdict && is_surely_not_public(answer)), "{answer} was permitted");
        assert!(!verdict || policy.is_public(answer));
    } else {
        let own = canonical.is_loopback() && port == 8_080;
        assert!(!(verdict && own), "it may talk to itself at {answer}");
    }
}

/// A URL that is permitted is in normal form, has no address that is not, and its parts are those of its text.
pub fn urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(range) = text.parse::<Cidr>() {
        assert_eq!(range.to_string().parse::<Cidr>().as_ref(), Ok(&range));
    }
    let Ok(url) = CheckedUrl::parse(text) else { return };
    let again = CheckedUrl::parse(url.as_str()).expect("a normal form is a URL");
    assert_eq!(again, url);
    let read = url::Url::parse(url.as_str()).expect("it is a URL");
    assert!(read.username().is_empty() && read.password().is_none() && read.fragment().is_none());
    assert_eq!(read.host_str(), Some(url.host().name()));
    assert_eq!(read.port_or_known_default(), Some(url.host().port()));
    assert!(!url.as_str().bytes().any(|byte| byte <= b' ' || byte >= 0x7F), "not fit for a request");
    for policy in [public_only(), relaxed()] {
        if check_url(text, &policy).is_err() {
            continue;
        }
        if let Some(address) = url.address() {
            assert_eq!(policy.check_address(SocketAddr::new(address, url.host().port())), Ok(()));
        } else if policy.allow_cidrs.is_empty() {
            let name = url.host().name();
            assert!(
                name.contains('.') && !name.ends_with(".local") && !name.ends_with(".internal"),
                "{name}"
            );
            assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
        }
    }
}

/// An expression and a payload, separated by a zero byte: one answer, whenever asked, within the steps; what is wrong
/// is within the text.
pub fn filters(data: &[u8]) {
    let Some((expression, payload)) = two_texts(data) else { return };
    let filter = match Filter::parse(expression) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(error.character() >= 1 && error.character() <= expression.chars().count() + 1, "{error}");
            return;
        }
    };
    let payload = serde_json::from_str::<Value>(payload).unwrap_or_else(|_| Value::from(payload));
    let facts = Facts { payload: &payload, event_type: "invoice.paid", channels: &["blue", "green"] };
    let answer = filter.wants(&facts);
    assert_eq!(filter.wants(&facts), answer);
    let mut left = STEPS_MAX / 100;
    let within = filter.wants_within(&facts, &mut left);
    assert!(left <= STEPS_MAX / 100);
    // With fewer steps there may be no answer, but never another one.
    assert!(within.is_err() || within == answer, "{within:?} {answer:?}");
}

/// A policy or a duration that is read is written so that it reads the same.
pub fn retry_policies(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(duration) = text.parse::<DurationText>() {
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    let Ok(policy) = text.parse::<RetryPolicy>() else { return };
    let written = policy.to_string();
    let again = written.parse::<RetryPolicy>().unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(again.to_string(), written);
    assert_eq!(again.attempts_max(), policy.attempts_max());
    assert_eq!(policy.delays().count() + 1, usize::from(policy.attempts_max()));
}

/// A configuration file is taken, or refused with a sentence; what the default says stays when nothing is said.
pub fn config_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::layered(Some(("own.toml", text)), std::iter::empty()) {
        Ok(config) => drop(format!("{config:?}")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::TARGETS;

    /// Those that build more than they read cost more.
    fn mutations(target: &str) -> u32 {
        match target {
            "connections" | "config_files" | "schemas" | "endpoint_bodies" => 1_000,
            _ => 20_000,
        }
    }

    #[test]
    fn what_fuzzing_found_worth_keeping_and_its_mutations_break_nothing() {
        posthaste_corpus::replay_all(TARGETS, mutations);
    }
}
