//! Strikes: who keeps guessing passwords waits before the next guess, longer each time.
//!
//! ```text
//!   up to 5 failures: nothing      each further one: barred, 1 s, 2 s, 4 s ... 60 s
//!   10 minutes without a failure: forgotten
//! ```
//!
//! Counted by network, over all its connections. Who is barred finds no connection, and on one that was open before no
//! password is judged: a right one is not told from a wrong one meanwhile. People behind one address share its strikes, which is why the bar is short.
//!
//! Invariant: at most [`NETWORKS_MAX`] networks are remembered; the one that failed longest ago goes first.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Network;

/// Failures that have no consequence: somebody mistyped, or a program tried its old password first.
const FREE_MAX: u32 = 5;
const BAR_FIRST: Duration = Duration::from_secs(1);
const BAR_MAX: Duration = Duration::from_secs(60);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// About 64 bytes each.
const NETWORKS_MAX: usize = 4_096;

// Otherwise a bar could be forgotten while it lasts.
const _: () = assert!(BAR_MAX.as_secs() < FORGOTTEN_AFTER.as_secs());

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Strikes {
    networks: HashMap<Network, Strike>,
}

#[derive(Clone, Copy)]
struct Strike {
    failures: u32,
    last: Instant,
}

impl Strike {
    fn barred_until(self) -> Instant {
        let beyond = self.failures.saturating_sub(FREE_MAX);
        match beyond.checked_sub(1) {
            None => self.last,
            Some(doublings) => self.last + BAR_MAX.min(BAR_FIRST * 2_u32.saturating_pow(doublings.min(16))),
        }
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGOTTEN_AFTER
    }
}

impl Strikes {
    /// A wrong password came from there.
    pub(crate) fn failed(&mut self, now: Instant, network: Network) {
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&network) {
            self.make_room(now);
        }
        let strike = self.networks.entry(network).or_insert(Strike { failures: 0, last: now });
        if strike.is_forgotten(now) {
            strike.failures = 0;
        }
        (strike.failures, strike.last) = (strike.failures.saturating_add(1), now);
    }

    /// How long nobody new from there is served, nor any password judged, if so.
    pub(crate) fn barred_for(&self, now: Instant, network: Network) -> Option<Duration> {
        let left = self.networks.get(&network)?.barred_until().saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn make_room(&mut self, now: Instant) {
        self.networks.retain(|_, strike| !strike.is_forgotten(now));
        if self.networks.len() >= NETWORKS_MAX {
            let oldest =
                self.networks.iter().min_by_key(|(_, strike)| strike.last).map(|(network, _)| *network);
            oldest.and_then(|network| self.networks.remove(&network));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn network(number: u32) -> Network {
        Network::V4(Ipv4Addr::from_bits(number))
    }

    fn after(strikes: &mut Strikes, now: Instant, failures: u32) -> Option<Duration> {
        (0..failures).for_each(|_| strikes.failed(now, network(1)));
        strikes.barred_for(now, network(1))
    }

    #[test]
    fn the_wait_begins_after_five_failures_doubles_and_ends_at_a_minute() {
        let now = Instant::now();
        for (failures, expected) in
            [(5, None), (6, Some(1)), (7, Some(2)), (9, Some(8)), (12, Some(60)), (9_999, Some(60))]
        {
            let barred = after(&mut Strikes::default(), now, failures);
            assert_eq!(barred, expected.map(Duration::from_secs), "{failures}");
        }
    }

    #[test]
    fn a_bar_ends_and_is_for_its_own_network_alone() {
        let (mut strikes, now) = (Strikes::default(), Instant::now());
        after(&mut strikes, now, 7);
        assert_eq!(strikes.barred_for(now, network(2)), None);
        assert!(strikes.barred_for(now + Duration::from_millis(1_999), network(1)).is_some());
        assert_eq!(strikes.barred_for(now + Duration::from_secs(2), network(1)), None);
    }

    #[test]
    fn failures_of_long_ago_are_forgotten() {
        let (mut strikes, now) = (Strikes::default(), Instant::now());
        after(&mut strikes, now, 50);
        assert_eq!(after(&mut strikes, now + FORGOTTEN_AFTER, 1), None);
    }

    #[test]
    fn guesses_from_a_million_addresses_take_bounded_memory_and_the_latest_are_remembered() {
        let (mut strikes, now) = (Strikes::default(), Instant::now());
        let count = NETWORKS_MAX as u32 + 100;
        for number in 0..count {
            strikes.failed(now + Duration::from_millis(number.into()), network(number));
        }
        assert_eq!(strikes.networks.len(), NETWORKS_MAX);
        assert!(strikes.networks.contains_key(&network(count - 1)));
        assert!(!strikes.networks.contains_key(&network(0)));
    }
}
