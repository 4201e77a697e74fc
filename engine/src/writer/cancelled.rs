//! Messages that were taken back lately: what is still on its way must not bring them back.
//!
//! When a message is taken back, a shard may have given up one of its deliveries a moment ago, and the report is
//! behind the cancellation in the queue; the keeper may have picked others to be carried forward. Written as
//! they come, the log would say that a delivery is pending after it said that its message is taken back.
//!
//! Not here: deliveries that somebody holds. Shards and keeper are told, and end those themselves.

use std::collections::{HashSet, VecDeque};

use super::Event;
use crate::core::delivery::DeliveryState;
use crate::core::ids::MessageId;
use crate::core::shard::Settled;

/// Messages remembered. A report is behind a cancellation by a turn of a shard at most; more than this are not
/// taken back in that time.
const MESSAGES_MAX: usize = 10_000;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Cancelled {
    messages: HashSet<MessageId>,
    oldest_first: VecDeque<MessageId>,
}

impl Cancelled {
    /// Remembers a message, and forgets the oldest beyond the bound unless told to keep all.
    pub(super) fn insert(&mut self, message: MessageId, keep_all: bool) {
        if self.messages.insert(message) {
            self.oldest_first.push_back(message);
        }
        while !keep_all && self.oldest_first.len() > MESSAGES_MAX {
            let oldest = self.oldest_first.pop_front();
            oldest.map(|oldest| self.messages.remove(&oldest));
        }
    }

    /// Somebody wants a delivery of the message again.
    pub(super) fn remove(&mut self, message: MessageId) {
        if self.messages.remove(&message) {
            self.oldest_first.retain(|other| *other != message);
        }
    }

    pub(super) fn contains(&self, message: MessageId) -> bool {
        self.messages.contains(&message)
    }

    /// Whether the event says that a delivery of a message taken back is pending in the hands of a shard, which
    /// has yet to hear of it. The record says that it ended, and the shard ends it later.
    pub(super) fn is_held(&self, event: &Event) -> bool {
        match event {
            Event::Parked(parked) => !parked.forgotten && self.contains(parked.key.message),
            Event::Ended(ended) => {
                !ended.forgotten && !ended.state.is_final() && self.contains(ended.key.message)
            }
            Event::Settled(_) => false,
        }
    }

    /// The event as it is: a delivery of a message taken back that nobody would hold any more has ended.
    pub(super) fn end(&self, event: Event) -> Event {
        match event {
            Event::Parked(parked) if parked.forgotten && self.contains(parked.key.message) => {
                Event::Settled(Settled {
                    key: parked.key,
                    application: parked.application,
                    message_at: parked.message_at,
                    progress: parked.progress,
                    state: DeliveryState::Cancelled,
                    home: parked.home,
                })
            }
            Event::Ended(mut ended)
                if ended.forgotten && !ended.state.is_final() && self.contains(ended.key.message) =>
            {
                (ended.state, ended.next_attempt) = (DeliveryState::Cancelled, None);
                Event::Ended(ended)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste_storage::EntryId;

    use super::*;

    fn message(number: usize) -> MessageId {
        MessageId(EntryId::new(number as u64, 0))
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_bound_unless_all_are_to_be_kept() {
        let mut cancelled = Cancelled::default();
        (0..=MESSAGES_MAX).for_each(|number| cancelled.insert(message(number), true));
        assert!(cancelled.contains(message(0)));
        cancelled.insert(message(MESSAGES_MAX + 1), false);
        assert!(!cancelled.contains(message(0)) && !cancelled.contains(message(1)));
        assert!(cancelled.contains(message(2)));
    }
}
