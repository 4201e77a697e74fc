//! Places: how many connections a service has at a time, in all and from one network.
//!
//! Without the second limit a single visitor could take all places, and keep everybody else out.
//!
//! Invariant: only networks that hold a place are remembered, so there are never more of them than places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Network;

/// See the head of this file.
pub(crate) struct Places {
    /// Section of the configuration that the limits stand in.
    section: &'static str,
    max: u32,
    per_address_max: u32,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: u32,
    by_network: HashMap<Network, u32>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    #[error("max number of clients reached ({section}.connections_max)")]
    Full { section: &'static str },
    #[error("max number of clients of one address reached ({section}.connections_per_address_max)")]
    FullForAddress { section: &'static str },
}

/// A place, until this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    network: Network,
}

impl Places {
    pub(crate) fn new(section: &'static str, max: u32, per_address_max: u32) -> Arc<Self> {
        Arc::new(Self { section, max, per_address_max, taken: Mutex::default() })
    }

    /// A place for a visitor from this address.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, NoPlace> {
        let network = Network::from(from);
        let mut taken = self.taken.lock();
        if taken.all >= self.max {
            return Err(NoPlace::Full { section: self.section });
        }
        let of_network = taken.by_network.entry(network).or_default();
        if *of_network >= self.per_address_max {
            return Err(NoPlace::FullForAddress { section: self.section });
        }
        *of_network += 1;
        taken.all += 1;
        Ok(Place { places: self.clone(), network })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.lock().all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        if let Some(of_network) = taken.by_network.get_mut(&self.network) {
            *of_network -= 1;
            if *of_network == 0 {
                taken.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn one_address_cannot_take_the_places_of_all() {
        let places = Places::new("ingest", 3, 2);
        let mine: Vec<Place> = (0..2).map(|_| places.take(address(1)).expect("a place")).collect();
        assert_eq!(places.take(address(1)).err(), Some(NoPlace::FullForAddress { section: "ingest" }));
        let other = places.take(address(2)).expect("a place");
        assert_eq!(places.take(address(3)).err(), Some(NoPlace::Full { section: "ingest" }));
        drop((mine, other));
        assert_eq!(places.taken(), 0);
        assert!(places.taken.lock().by_network.is_empty());
    }

    #[test]
    fn a_place_that_is_left_is_free_again() {
        let places = Places::new("api", 1, 1);
        for _ in 0..3 {
            places.take(address(1)).expect("a place");
        }
    }
}
