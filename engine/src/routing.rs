//! Routing: which endpoints want this message?
//!
//! An endpoint says which event types it wants (all, exact names, prefixes such as `call.*`) and, if it
//! likes, which channels. The question is not asked of the endpoints one by one: they are sorted into lists
//! beforehand, and a message names the lists that it goes to. So the cost of a message is the number of
//! endpoints that get it, not the number that there are.
//!
//!   no channel ---+
//!   channel a  ---+--> all event types | `call.started` | prefix `call` | ... --> endpoints
//!   channel b  ---+
//!
//! The rules
//! - No event types chosen: all. `call.*` wants `call.started` and `call.a.b`, neither `call` nor `calls.x`.
//! - No channels chosen: messages on any channel and on none. Otherwise only messages on one of them.
//! - A disabled endpoint gets nothing: it is not in the lists.
//! - An endpoint with a filter gets only messages for which it is true (`filters`).
//! - Of the endpoints in one chain only the first that wants the message gets it at once (`chains`).
//!
//! Invariants
//! - A snapshot never changes; a change makes a new one that shares with the old what is the same.
//! - An endpoint is named once, however many of its wishes a message fulfils.

mod chains;
mod filters;
mod index;
mod list;

use std::collections::BTreeSet;

use crate::core::ids::EndpointId;
use crate::filter::FilterCounts;
use crate::payload::Payload;
use chains::Chains;
pub use chains::Routed;
pub(crate) use chains::next_in_chain;
use filters::{Asked, Filters};
use index::{Index, Vacant};
use list::EndpointList;

/// What a prefix pattern ends with.
const PREFIX_MARK: &str = ".*";

/// What an endpoint wants to hear of.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'a> {
    /// Exact event types and prefix patterns; `None` for all.
    pub event_types: Option<&'a BTreeSet<String>>,
    /// The channels it listens to; `None` for all, and for messages on none.
    pub channels: Option<&'a BTreeSet<String>>,
    /// The chain it stands in, and where.
    pub chain: Option<(&'a str, u16)>,
    /// Only messages for which this expression is true.
    pub filter: Option<&'a str>,
}

/// One wish for event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern<'a> {
    /// This event type.
    Exact(&'a str),
    /// Event types that begin with this and a dot.
    Prefix(&'a str),
}

impl<'a> Pattern<'a> {
    /// `call.*` is a prefix, everything else exact.
    pub(crate) fn of(text: &'a str) -> Self {
        text.strip_suffix(PREFIX_MARK).map_or(Self::Exact(text), Self::Prefix)
    }
}

/// The lists of one application. Cheap to copy: copies share what has not changed.
#[derive(Debug, Clone, Default)]
pub struct AppRoutes {
    /// Endpoints that listen to all channels.
    any_channel: ByEventType,
    by_channel: Index<ByEventType>,
    chains: Chains,
    filters: Filters,
}

#[derive(Debug, Clone, Default)]
struct ByEventType {
    all: EndpointList,
    exact: Index<EndpointList>,
    prefix: Index<EndpointList>,
}

impl AppRoutes {
    /// Sorts an endpoint into its lists; it must not be in any.
    pub fn insert(&mut self, id: EndpointId, interest: Interest<'_>) {
        self.edit(interest, |list| list.insert(id));
        if let Some((chain, position)) = interest.chain {
            self.chains.insert(id, chain, position);
        }
        if let Some(filter) = interest.filter {
            self.filters.insert(id, filter);
        }
    }

    /// Takes an endpoint out of its lists; `interest` is what it was inserted with.
    pub fn remove(&mut self, id: EndpointId, interest: Interest<'_>) {
        self.edit(interest, |list| list.remove(id));
        if interest.chain.is_some() {
            self.chains.remove(id);
        }
        if interest.filter.is_some() {
            self.filters.remove(id);
        }
    }

    /// Where a message goes. Allocates the result and nothing else, as long as no endpoint stands in a chain or
    /// has a filter.
    pub fn route(
        &self,
        event_type: &str,
        channels: &[impl AsRef<str>],
        payload: &Payload<'_>,
        counts: &FilterCounts,
    ) -> Routed {
        let mut routed = Gathered::default();
        self.any_channel.collect(event_type, &mut routed);
        if !self.by_channel.is_empty() {
            for channel in channels {
                if let Some(lists) = self.by_channel.find(channel.as_ref()) {
                    lists.collect(event_type, &mut routed);
                }
            }
        }
        let mut endpoints = routed.into_endpoints();
        if !self.filters.is_empty() {
            let channels = channels.iter().map(AsRef::as_ref).collect();
            self.filters.apply(&mut endpoints, &Asked { event_type, channels, payload, counts });
        }
        self.chains.apply(endpoints)
    }

    fn edit(&mut self, interest: Interest<'_>, change: impl Fn(&mut EndpointList)) {
        match interest.channels {
            None => self.any_channel.edit(interest.event_types, &change),
            Some(channels) => {
                for channel in channels {
                    self.by_channel.edit(channel, |lists| lists.edit(interest.event_types, &change));
                }
            }
        }
    }
}

impl ByEventType {
    fn edit(&mut self, event_types: Option<&BTreeSet<String>>, change: &impl Fn(&mut EndpointList)) {
        let Some(event_types) = event_types else { return change(&mut self.all) };
        for text in event_types {
            match Pattern::of(text) {
                Pattern::Exact(name) => self.exact.edit(name, change),
                Pattern::Prefix(prefix) => self.prefix.edit(prefix, change),
            }
        }
    }

    fn collect(&self, event_type: &str, routed: &mut Gathered) {
        routed.add(&self.all);
        self.exact.find(event_type).into_iter().for_each(|list| routed.add(list));
        if self.prefix.is_empty() {
            return;
        }
        // A dot at the very end has nothing behind it for `*` to stand for.
        let dots = event_type.char_indices().filter(|(at, c)| *c == '.' && at + 1 < event_type.len());
        for (dot, _) in dots {
            self.prefix.find(&event_type[..dot]).into_iter().for_each(|list| routed.add(list));
        }
    }
}

impl Vacant for ByEventType {
    fn is_vacant(&self) -> bool {
        self.all.is_empty() && self.exact.is_empty() && self.prefix.is_empty()
    }
}

impl Vacant for EndpointList {
    fn is_vacant(&self) -> bool {
        self.is_empty()
    }
}

/// What has been gathered from the lists so far.
#[derive(Default)]
struct Gathered {
    endpoints: Vec<EndpointId>,
    lists: usize,
}

impl Gathered {
    fn add(&mut self, list: &EndpointList) {
        if !list.is_empty() {
            list.write_to(&mut self.endpoints);
            self.lists += 1;
        }
    }

    /// One list is sorted and has no repetitions; of several, an endpoint may be in more than one.
    fn into_endpoints(mut self) -> Vec<EndpointId> {
        if self.lists > 1 {
            self.endpoints.sort_unstable();
            self.endpoints.dedup();
        }
        self.endpoints
    }
}

#[cfg(test)]
mod tests;
