//! The ear: where others say what alerts are made of. Saying it never waits.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::watch::{Configured, Ended};
use crate::catalog::{CatalogEvent, Endpoint};
use crate::core::health::HealthChange;
use crate::core::ids::EndpointId;
use crate::core::shard::Door;
use crate::metrics::Metrics;

/// Batches that wait to be heard. One is what a block of the log holds.
const WAITING_MAX: usize = 512;

/// What is said.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Attempts have ended, and it is durable.
    Ended(Vec<Ended>),
    /// A lockout began or ended.
    Door(EndpointId, Door, HealthChange),
    /// An endpoint is there, or has changed.
    Configured(Configured),
    /// An endpoint is gone.
    Removed(EndpointId),
}

/// See the head of this file. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ear {
    sender: Sender<Heard>,
    metrics: Arc<Metrics>,
}

/// An ear, and where it leads to.
pub(crate) fn ear(metrics: Arc<Metrics>) -> (Ear, Receiver<Heard>) {
    let (sender, receiver) = channel(WAITING_MAX);
    (Ear { sender, metrics }, receiver)
}

impl Ear {
    /// Says something. If too much waits already it is counted, and lost for alerts; nothing else depends on it.
    pub(crate) fn hear(&self, heard: Heard) {
        if let Err(TrySendError::Full(heard)) = self.sender.try_send(heard) {
            let lost = if let Heard::Ended(ended) = &heard { ended.len() as u64 } else { 1 };
            self.metrics.alerts_unheard.inc_by(lost);
        }
    }

    /// Says what changed in the catalog.
    pub(crate) fn on_event(&self, event: &CatalogEvent) {
        match event {
            CatalogEvent::EndpointChanged(endpoint) => self.hear(Heard::Configured(Configured::of(endpoint))),
            CatalogEvent::EndpointRemoved(id, _) => self.hear(Heard::Removed(*id)),
            CatalogEvent::ApplicationChanged(_)
            | CatalogEvent::ApplicationRemoved(_)
            | CatalogEvent::ApiKeyChanged(_)
            | CatalogEvent::ApiKeyRemoved(_) => {}
        }
    }
}

impl Configured {
    /// What matters here of an endpoint.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        let mut hasher = DefaultHasher::new();
        endpoint.url.hash(&mut hasher);
        Self {
            endpoint: endpoint.id,
            application: endpoint.application,
            url: hasher.finish(),
            disabled: endpoint.disabled,
        }
    }
}
