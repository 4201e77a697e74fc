//! Refusals: who showed a token or password that is not known, counted by door and address until it is written down.
//!
//! Whoever guesses is recorded, and cannot fill the audit log by it: what is told at once is so many lines at most, the
//! busiest addresses with a count each, and one line for all the others.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

/// Addresses that are told apart; those that come later are counted together.
const ADDRESSES_MAX: usize = 1_000;
/// Addresses that are told by name at a time.
const TOLD_MAX: usize = 10;

/// Where somebody wanted to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Door {
    /// HTTP.
    Api,
    /// TCP.
    Ingest,
    /// The console.
    Console,
}

impl Door {
    /// Its name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ingest => "ingest",
            Self::Console => "console",
        }
    }
}

/// So many were turned away at this door, from there; without an address, from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) door: Door,
    pub(super) address: Option<IpAddr>,
    pub(super) count: u64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<(Door, Option<IpAddr>), u64>>);

impl Refusals {
    pub(super) fn note(&self, door: Door, address: Option<IpAddr>) {
        let mut counts = self.0.lock();
        let place = (door, address);
        let place =
            if counts.len() < ADDRESSES_MAX || counts.contains_key(&place) { place } else { (door, None) };
        let count = counts.entry(place).or_default();
        *count = count.saturating_add(1);
    }

    /// What came together since the last time: the most first, at most [`TOLD_MAX`] addresses, and one sum for each door.
    pub(super) fn take(&self) -> Vec<Refused> {
        let counts = std::mem::take(&mut *self.0.lock());
        let (mut named, mut rest): (Vec<Refused>, HashMap<Door, u64>) = (Vec::new(), HashMap::new());
        for ((door, address), count) in counts {
            match address {
                Some(_) => named.push(Refused { door, address, count }),
                None => *rest.entry(door).or_default() += count,
            }
        }
        named.sort_unstable_by_key(|one| (std::cmp::Reverse(one.count), one.door, one.address));
        for one in named.drain(named.len().min(TOLD_MAX)..) {
            *rest.entry(one.door).or_default() += one.count;
        }
        let mut rest: Vec<(Door, u64)> = rest.into_iter().collect();
        rest.sort_unstable();
        named.extend(rest.into_iter().map(|(door, count)| Refused { door, address: None, count }));
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> Option<IpAddr> {
        Some([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]].into())
    }

    #[test]
    fn attempts_from_one_address_are_one_line_with_a_count() {
        let refusals = Refusals::default();
        (0..1_000).for_each(|_| refusals.note(Door::Ingest, address(1)));
        refusals.note(Door::Api, address(1));
        assert_eq!(
            refusals.take(),
            [
                Refused { door: Door::Ingest, address: address(1), count: 1_000 },
                Refused { door: Door::Api, address: address(1), count: 1 },
            ]
        );
        assert_eq!(refusals.take(), []);
    }

    #[test]
    fn many_addresses_are_a_few_lines_and_nobody_is_left_out_of_the_sum() {
        let refusals = Refusals::default();
        for n in 0..5_000 {
            refusals.note(Door::Api, address(n));
        }
        assert!(refusals.0.lock().len() <= ADDRESSES_MAX + 2);
        (0..7).for_each(|_| refusals.note(Door::Api, address(3)));
        let told = refusals.take();
        assert_eq!(told.len(), TOLD_MAX + 1);
        assert_eq!(told[0], Refused { door: Door::Api, address: address(3), count: 8 });
        assert_eq!(told.iter().map(|one| one.count).sum::<u64>(), 5_007);
    }
}
