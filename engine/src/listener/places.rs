//! Places: how many connections a service has at a time, in all and from one network.
//!
//! Without the second limit a single visitor could take all places, and keep everybody else out. Many together still
//! could, and need not know a password for it. So whoever comes is a stranger until it has shown who it is, and when all
//! places are taken, the stranger that came first leaves its own to the next visitor.
//!
//! Invariants
//! - Only networks that hold a place are remembered, so there are never more of them than places.
//! - Whoever is known keeps its place.
//! - At most [`LEAVING_MAX`] are on their way out, beyond those who have a place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Network;

/// Strangers that were told to leave and have not left.
const LEAVING_MAX: usize = 64;

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
    /// By the order in which they came; what is rung when one has to leave.
    strangers: BTreeMap<u64, Arc<Notify>>,
    leaving: HashSet<u64>,
    came: u64,
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
    number: u64,
    leave: Arc<Notify>,
}

impl Places {
    pub(crate) fn new(section: &'static str, max: u32, per_address_max: u32) -> Arc<Self> {
        Arc::new(Self { section, max, per_address_max, taken: Mutex::default() })
    }

    /// A place for a visitor from this address, who is a stranger.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, NoPlace> {
        let network = Network::from(from);
        let mut taken = self.taken.lock();
        if taken.by_network.get(&network).is_some_and(|places| *places >= self.per_address_max) {
            return Err(NoPlace::FullForAddress { section: self.section });
        }
        if taken.all >= self.max && !taken.put_a_stranger_out() {
            return Err(NoPlace::Full { section: self.section });
        }
        *taken.by_network.entry(network).or_default() += 1;
        taken.all += 1;
        taken.came += 1;
        let (number, leave) = (taken.came, Arc::<Notify>::default());
        taken.strangers.insert(number, leave.clone());
        Ok(Place { places: self.clone(), network, number, leave })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.lock().all
    }
}

impl Taken {
    /// Tells the first of the strangers to leave, whose place is free then. Whether there was one that could.
    fn put_a_stranger_out(&mut self) -> bool {
        if self.leaving.len() >= LEAVING_MAX {
            return false;
        }
        let Some((number, leave)) = self.strangers.pop_first() else { return false };
        self.leaving.insert(number);
        self.all -= 1;
        leave.notify_one();
        true
    }
}

impl Place {
    /// Whoever is here has shown who it is, and stays. `false`: it is too late for that, the place is another's.
    #[must_use]
    pub(crate) fn keep(&self) -> bool {
        let mut taken = self.places.taken.lock();
        taken.strangers.remove(&self.number);
        !taken.leaving.contains(&self.number)
    }

    /// Waits until this place is another's: never, once it is kept.
    pub(crate) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.strangers.remove(&self.number);
        if !taken.leaving.remove(&self.number) {
            taken.all -= 1;
        }
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
    use std::task::{Context, Waker};

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
        assert!(mine.iter().chain([&other]).all(Place::keep));
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

    fn is_lost(place: &Place) -> bool {
        let lost = std::pin::pin!(place.lost());
        lost.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn when_all_places_are_taken_the_stranger_that_came_first_leaves_and_whoever_is_known_stays() {
        let places = Places::new("ingest", 3, 3);
        let held: Vec<Place> = (1..=3).map(|last| places.take(address(last)).expect("a place")).collect();
        assert!(held[0].keep() && held[0].keep(), "once is enough");
        let fourth = places.take(address(4)).expect("the place of the second");
        assert_eq!([0, 1, 2].map(|place| is_lost(&held[place])), [false, true, false]);
        assert!(!held[1].keep(), "its place is another's");
        let fifth = places.take(address(5)).expect("the place of the third");
        assert!(is_lost(&held[2]) && !is_lost(&fourth));
        assert!(fourth.keep() && fifth.keep());
        assert_eq!(places.take(address(6)).err(), Some(NoPlace::Full { section: "ingest" }));
        assert_eq!(places.taken(), 3);
        drop(held);
        assert_eq!(places.taken(), 2);
        drop((fourth, fifth));
        let taken = places.taken.lock();
        assert_eq!(
            (taken.all, taken.by_network.len(), taken.strangers.len(), taken.leaving.len()),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn strangers_on_their_way_out_are_bounded() {
        let places = Places::new("ingest", 1, 1_000);
        let held: Vec<_> = (0..=LEAVING_MAX).map(|_| places.take(address(1)).expect("a place")).collect();
        assert_eq!(places.take(address(2)).err(), Some(NoPlace::Full { section: "ingest" }));
        drop(held);
        assert!(places.take(address(2)).is_ok());
    }
}
