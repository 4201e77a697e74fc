//! Publishers who need no key, or share the password: all of one address have one pace together.
//!
//! An address is known as long as somebody from there is connected, so there are as many as connections at most.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::RateLimits;
use super::pace::Pace;

/// Addresses at which those that nobody comes from any more are let go.
const TIDY_AT: usize = 1_024;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Peers {
    limits: RateLimits,
    /// They send no requests to the API, so what all share is never asked.
    requests: Arc<Pace>,
    messages: Mutex<HashMap<IpAddr, Weak<Pace>>>,
}

impl Peers {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, requests: limits.requests(), messages: Mutex::default() }
    }

    pub(super) fn requests(&self) -> Arc<Pace> {
        Arc::clone(&self.requests)
    }

    /// The pace of messages from this address.
    pub(super) fn messages(&self, address: IpAddr) -> Arc<Pace> {
        let mut known = self.messages.lock();
        if let Some(pace) = known.get(&address).and_then(Weak::upgrade) {
            return pace;
        }
        if known.len() >= TIDY_AT {
            known.retain(|_, pace| pace.strong_count() > 0);
        }
        let pace = self.limits.messages(None);
        known.insert(address, Arc::downgrade(&pace));
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_pace_as_long_as_somebody_is_there_and_is_forgotten_afterwards() {
        let peers = Peers::new(RateLimits { requests: 1, messages: 1 });
        let address = |n: u16| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
        let first = peers.messages(address(0));
        assert!(Arc::ptr_eq(&first, &peers.messages(address(0))));
        assert!(!Arc::ptr_eq(&first, &peers.messages(address(1))));
        for n in 0..5_000 {
            drop(peers.messages(address(n)));
        }
        assert!(peers.messages.lock().len() <= TIDY_AT);
        assert!(Arc::ptr_eq(&first, &peers.messages(address(0))));
    }
}
