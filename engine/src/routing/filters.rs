//! Filters of endpoints: of those that would get a message, the ones whose filter does not want it stay behind.
//!
//! Read once, when the endpoint is sorted in. As long as no endpoint that would get a message has a filter, its
//! payload is not even parsed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::ids::{EndpointId, NumberHash};
use crate::filter::{Facts, Filter, FilterCounts, MESSAGE_STEPS_MAX};
use crate::payload::Payload;

/// `None` for one that this version cannot read: it was saved by another. It wants nothing.
type Compiled = Option<Filter>;

/// Which endpoints of an application have filters. Few do.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters(Option<Arc<HashMap<EndpointId, Arc<Compiled>, NumberHash>>>);

/// What filters are asked about.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) event_type: &'a str,
    pub(super) channels: Vec<&'a str>,
    pub(super) payload: &'a Payload<'a>,
    pub(super) counts: &'a FilterCounts,
}

impl Filters {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn insert(&mut self, id: EndpointId, text: &str) {
        let compiled = Filter::parse(text).inspect_err(|error| {
            tracing::warn!(endpoint = %id, %error, "its filter cannot be read, so it gets nothing");
        });
        let filters = Arc::make_mut(self.0.get_or_insert_default());
        filters.insert(id, Arc::new(compiled.ok()));
    }

    pub(super) fn remove(&mut self, id: EndpointId) {
        let Some(filters) = &mut self.0 else { return };
        let filters = Arc::make_mut(filters);
        filters.remove(&id);
        if filters.is_empty() {
            self.0 = None;
        }
    }

    /// Takes out those that do not want the message.
    pub(super) fn apply(&self, found: &mut Vec<EndpointId>, asked: &Asked<'_>) {
        let Some(filters) = &self.0 else { return };
        let mut steps_left = MESSAGE_STEPS_MAX;
        found.retain(|id| filters.get(id).is_none_or(|filter| asked.wanted_by(filter, &mut steps_left)));
    }
}

impl Asked<'_> {
    fn wanted_by(&self, filter: &Compiled, steps_left: &mut u32) -> bool {
        let facts =
            Facts { payload: self.payload.value(), event_type: self.event_type, channels: &self.channels };
        match filter.as_ref().map(|filter| filter.wants_within(&facts, steps_left)) {
            Some(Ok(true)) => return true,
            Some(Ok(false)) => self.counts.kept_back.inc(),
            Some(Err(_)) | None => self.counts.failed.inc(),
        };
        false
    }
}
