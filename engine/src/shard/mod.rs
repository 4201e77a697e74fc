//! Shards: threads that deliver. Each owns a share of the hosts, chosen by hash.
//!
//! This is the outside of a shard: who lives where, and how to tell it something. Its thread is in `thread`;
//! what it decides is in `core::shard`.

mod attempts;
mod inbox;
mod own_urls;
mod places;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use posthaste_storage::Position;

use crate::core::ids::{EndpointId, MessageId};
use crate::core::shard::{EndpointSettings, Gone, Incoming};
use crate::core::tick::Tick;
use crate::delivery::Target;
use crate::message::Message;
pub(crate) use inbox::Inbox;
pub(crate) use places::Places;
#[cfg(any(test, feature = "simulation"))]
pub(crate) use thread::run;
pub(crate) use thread::{ShardThread, spawn};

/// Deliveries in an inbox beyond which publishers are held back.
const INBOX_PRESSURE: usize = 32_768;

/// What other threads tell a shard.
#[derive(Debug)]
pub(crate) enum ToShard {
    /// A delivery to be made.
    Deliver(Incoming<Arc<Message>>),
    /// An endpoint is there, or has changed. Without a target every attempt fails as `RequestInvalid`.
    Endpoint(EndpointSettings, Result<Arc<Target>, Arc<str>>),
    /// An endpoint is no more, or no more here.
    EndpointGone(EndpointId, Gone),
    /// A message is taken back.
    Cancel(MessageId),
    /// Deliveries due up to here are held by the shards.
    Horizon(Tick),
    /// Messages before this position should not rest on the log alone any longer.
    RememberBefore(Position),
    /// Start no attempt any more; end when those in flight have ended.
    Stop,
}

/// One shard, as others see it.
#[derive(Debug, Default)]
struct Front {
    inbox: Inbox<ToShard>,
    /// Reports handed to the writer and not stored yet.
    unstored: AtomicUsize,
    /// Whether the shard waits for some of them to be stored.
    held_back: AtomicBool,
}

/// All shards, as others see them.
#[derive(Debug)]
pub(crate) struct Shards {
    fronts: Vec<Front>,
    /// Which endpoint is made by which shard.
    pub places: Places,
}

/// Deliveries on their way to the shards, gathered so that each shard is woken once.
#[derive(Debug)]
pub(crate) struct ShardBatches(Vec<Vec<ToShard>>);

impl ShardBatches {
    /// Adds a delivery; `false` when no shard has its endpoint.
    pub(crate) fn deliver(&mut self, shards: &Shards, incoming: Incoming<Arc<Message>>) -> bool {
        let Some(shard) = shards.places.shard_of(incoming.key.endpoint) else { return false };
        self.0[shard].push(ToShard::Deliver(incoming));
        true
    }
}

impl Shards {
    /// `count` shards whose threads are yet to be started.
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let fronts = (0..count).map(|_| Front::default()).collect();
        Arc::new(Self { fronts, places: Places::new(count) })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.fronts.len()
    }

    /// Whether so much waits for the shards that publishers should wait too.
    pub(crate) fn is_pressed(&self) -> bool {
        self.fronts.iter().any(|front| front.inbox.waiting() > INBOX_PRESSURE)
    }

    /// Empty batches, one for each shard.
    pub(crate) fn batches(&self) -> ShardBatches {
        ShardBatches(self.fronts.iter().map(|_| Vec::new()).collect())
    }

    /// Hands batches over.
    pub(crate) fn put_batches(&self, batches: ShardBatches) {
        for (front, batch) in self.fronts.iter().zip(batches.0) {
            if !batch.is_empty() {
                front.inbox.put_all(batch);
            }
        }
    }

    /// Tells one shard.
    pub(crate) fn tell(&self, shard: usize, what: ToShard) {
        self.fronts[shard].inbox.put(what);
    }

    fn tell_all(&self, what: impl Fn() -> ToShard) {
        self.fronts.iter().for_each(|front| front.inbox.put(what()));
    }

    /// A message is taken back.
    pub(crate) fn cancel(&self, message: MessageId) {
        self.tell_all(|| ToShard::Cancel(message));
    }

    /// Deliveries due up to here are held by the shards.
    pub(crate) fn horizon(&self, horizon: Tick) {
        self.tell_all(|| ToShard::Horizon(horizon));
    }

    /// Messages before this position should not rest on the log alone any longer.
    pub(crate) fn remember_before(&self, position: Position) {
        self.tell_all(|| ToShard::RememberBefore(position));
    }

    /// No attempt is started any more.
    pub(crate) fn stop(&self) {
        self.tell_all(|| ToShard::Stop);
    }

    /// What a shard would find in its inbox.
    #[cfg(test)]
    pub(crate) fn take_inbox(&self, shard: usize) -> Vec<ToShard> {
        let mut taken = Vec::new();
        self.fronts[shard].inbox.take(&mut taken);
        taken
    }

    /// So many reports of each shard have been stored. A shard that held back because of them goes on.
    pub(crate) fn stored(&self, counts: &[usize]) {
        for (front, count) in self.fronts.iter().zip(counts) {
            if *count == 0 {
                continue;
            }
            front.unstored.fetch_sub(*count, Ordering::SeqCst);
            if front.held_back.swap(false, Ordering::SeqCst) {
                front.inbox.wake();
            }
        }
    }
}
