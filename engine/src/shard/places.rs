//! Places: which shard makes the deliveries of an endpoint.
//!
//! A shard is chosen by the hash of the host that the endpoint's URL leads to, so that everything that
//! concerns a host is decided in one thread. Read without a lock by the writer for every delivery.

use papaya::HashMap;

use crate::core::ids::{EndpointId, NumberHash};

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Places {
    shards: usize,
    by_endpoint: HashMap<EndpointId, u32, NumberHash>,
    /// Endpoints that are there and get nothing, and why.
    disabled: HashMap<EndpointId, &'static str, NumberHash>,
}

impl Places {
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards, by_endpoint: HashMap::default(), disabled: HashMap::default() }
    }

    /// The shard that a host belongs to.
    pub(crate) fn shard_of_host(&self, host_hash: u64) -> usize {
        (host_hash % self.shards as u64) as usize
    }

    /// The shard that makes the deliveries of this endpoint; `None` when it is not there or disabled.
    pub(crate) fn shard_of(&self, endpoint: EndpointId) -> Option<usize> {
        self.by_endpoint.pin().get(&endpoint).map(|shard| *shard as usize)
    }

    /// The endpoint's deliveries are made by this shard from now on. Returns the shard that made them before.
    pub(crate) fn set(&self, endpoint: EndpointId, shard: usize) -> Option<usize> {
        self.disabled.pin().remove(&endpoint);
        self.by_endpoint.pin().insert(endpoint, shard as u32).map(|before| *before as usize)
    }

    /// The endpoint gets no deliveries any more: it is disabled, for this reason, or gone. Returns the shard that made
    /// them.
    pub(crate) fn remove(&self, endpoint: EndpointId, disabled: Option<&'static str>) -> Option<usize> {
        match disabled {
            Some(why) => drop(self.disabled.pin().insert(endpoint, why)),
            None => drop(self.disabled.pin().remove(&endpoint)),
        }
        self.by_endpoint.pin().remove(&endpoint).map(|shard| *shard as usize)
    }

    /// Why an endpoint gets no deliveries, in words; empty if it gets them.
    pub(crate) fn why_not(&self, endpoint: EndpointId) -> &'static str {
        if self.shard_of(endpoint).is_some() {
            return "";
        }
        self.disabled.pin().get(&endpoint).copied().unwrap_or("the endpoint was removed")
    }
}
