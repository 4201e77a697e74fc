//! Chains: endpoints that get a message one after the other, as long as each lets it fall through.
//!
//! An endpoint may stand in a chain of its application, at a place. Of those that a message is routed to, only the
//! first of each chain gets it; the others are written down with the message, in their order, and get it when the
//! one before has answered and let it pass. So a change of the chain meanwhile does not concern the message.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::core::ids::{EndpointId, NumberHash};

/// Between two chains in a list.
const SEPARATOR: u64 = 0;

/// Where an endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    chain: Arc<str>,
    position: u16,
}

/// Which endpoints of an application stand in chains. Few do.
#[derive(Debug, Clone, Default)]
pub(super) struct Chains(Option<Arc<HashMap<EndpointId, Place, NumberHash>>>);

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routed {
    /// The endpoints that get it at once, each once.
    pub endpoints: Vec<EndpointId>,
    /// The chains that these begin, as far as there is more than one endpoint in them: ids in their order, 0 between
    /// two chains.
    pub chains: Vec<u64>,
}

impl Chains {
    pub(super) fn insert(&mut self, id: EndpointId, chain: &str, position: u16) {
        let places = Arc::make_mut(self.0.get_or_insert_default());
        places.insert(id, Place { chain: chain.into(), position });
    }

    pub(super) fn remove(&mut self, id: EndpointId) {
        let Some(places) = &mut self.0 else { return };
        let places = Arc::make_mut(places);
        places.remove(&id);
        if places.is_empty() {
            self.0 = None;
        }
    }

    /// Of each chain, the first alone goes at once.
    pub(super) fn apply(&self, found: Vec<EndpointId>) -> Routed {
        let Some(places) = &self.0 else { return Routed { endpoints: found, chains: Vec::new() } };
        let mut chains: BTreeMap<&str, Vec<(u16, EndpointId)>> = BTreeMap::new();
        let mut routed = Routed::default();
        for id in found {
            match places.get(&id) {
                Some(place) => chains.entry(&place.chain).or_default().push((place.position, id)),
                None => routed.endpoints.push(id),
            }
        }
        for mut members in chains.into_values() {
            members.sort_unstable();
            routed.endpoints.extend(members.first().map(|(_, id)| *id));
            if members.len() > 1 {
                if !routed.chains.is_empty() {
                    routed.chains.push(SEPARATOR);
                }
                routed.chains.extend(members.iter().map(|(_, id)| id.as_u64()));
            }
        }
        routed.endpoints.sort_unstable();
        routed
    }
}

/// The endpoint behind this one in its chain.
pub(crate) fn next_in_chain(chains: impl Iterator<Item = u64>, endpoint: EndpointId) -> Option<EndpointId> {
    let mut chains = chains.skip_while(|id| *id != endpoint.as_u64()).skip(1);
    chains.next().filter(|id| *id != SEPARATOR).map(EndpointId::from_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> EndpointId {
        EndpointId::from_u64(number)
    }

    #[test]
    fn of_each_chain_the_first_that_wants_the_message_gets_it_and_the_others_wait_in_order() {
        let mut chains = Chains::default();
        for (endpoint, chain, position) in [(5, "b", 1), (4, "b", 2), (3, "a", 0), (2, "a", 1), (6, "b", 0)] {
            chains.insert(id(endpoint), chain, position);
        }
        // The first of chain b does not want it.
        let routed = chains.apply([1, 2, 3, 4, 5].map(id).to_vec());
        assert_eq!(routed.endpoints, [1, 3, 5].map(id));
        assert_eq!(routed.chains, [3, 2, 0, 5, 4]);
        let next = |endpoint| next_in_chain(routed.chains.iter().copied(), id(endpoint));
        assert_eq!([3, 2, 5, 4, 1].map(next), [Some(id(2)), None, Some(id(4)), None, None]);
    }

    #[test]
    fn a_chain_with_one_that_wants_the_message_is_no_chain() {
        let mut chains = Chains::default();
        chains.insert(id(1), "a", 0);
        chains.insert(id(2), "a", 1);
        assert_eq!(chains.apply(vec![id(2)]), Routed { endpoints: vec![id(2)], chains: vec![] });
        chains.remove(id(1));
        chains.remove(id(2));
        assert!(chains.0.is_none());
    }
}
