//! Publishers who need no key, or share the password: all of one address have one pace together.
//!
//! An address is known as long as somebody from there is connected, and after that for as long as its pace remembers
//! anything: who comes back at once goes on where they were.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::RateLimits;
use super::pace::Pace;
use crate::core::tick::Tick;
use crate::listener::Network;

/// Addresses at which those of whom nothing is to be remembered are let go, for the first time.
const TIDY_AT: usize = 1_024;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Peers {
    limits: RateLimits,
    /// They send no requests to the API, so what all share is never asked.
    requests: Arc<Pace>,
    messages: Mutex<Messages>,
}

#[derive(Debug)]
struct Messages {
    paces: HashMap<Network, Arc<Pace>>,
    tidy_at: usize,
}

impl Peers {
    pub(super) fn new(limits: RateLimits) -> Self {
        let messages = Messages { paces: HashMap::new(), tidy_at: TIDY_AT };
        Self { limits, requests: limits.requests(), messages: Mutex::new(messages) }
    }

    pub(super) fn requests(&self) -> Arc<Pace> {
        Arc::clone(&self.requests)
    }

    /// The pace of messages from this address.
    pub(super) fn messages(&self, address: IpAddr, now: Tick) -> Arc<Pace> {
        let mut known = self.messages.lock();
        if let Some(pace) = known.paces.get(&Network::from(address)) {
            return Arc::clone(pace);
        }
        if known.paces.len() >= known.tidy_at {
            known.paces.retain(|_, pace| Arc::strong_count(pace) > 1 || !pace.is_fresh(now));
            known.tidy_at = TIDY_AT.max(2 * known.paces.len());
        }
        let pace = self.limits.messages(None);
        known.paces.insert(address.into(), Arc::clone(&pace));
        pace
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Tick = Tick::from_ms(1_732_300_000_000);

    fn address(n: u16) -> IpAddr {
        IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]])
    }

    #[test]
    fn whoever_comes_back_at_once_goes_on_at_the_pace_at_which_they_went() {
        let peers = Peers::new(RateLimits { requests: 1, messages: 1 });
        assert_eq!(peers.messages(address(0), NOW).take(NOW), Ok(()));
        assert!(peers.messages(address(0), NOW).take(NOW).is_err());
        assert_eq!(peers.messages(address(1), NOW).take(NOW), Ok(()), "others have their own");
        let of = |text: &str| peers.messages(text.parse().expect(text), NOW);
        assert!(Arc::ptr_eq(&of("2001:db8:1:2::1"), &of("2001:db8:1:2::2")), "one network is one visitor");
    }

    #[test]
    fn addresses_of_which_nothing_is_to_be_remembered_are_forgotten() {
        let peers = Peers::new(RateLimits { requests: 1, messages: 1 });
        let first = peers.messages(address(0), NOW);
        for n in 0..5_000 {
            // Each of them publishes, and a second later that does not matter any more.
            let now = NOW + Duration::from_secs(2 * u64::from(n));
            assert_eq!(peers.messages(address(n), now).take(now), Ok(()));
        }
        assert!(peers.messages.lock().paces.len() <= TIDY_AT);
        assert!(Arc::ptr_eq(&first, &peers.messages(address(0), NOW)), "somebody is there");
    }
}
