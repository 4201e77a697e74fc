//! Which event ids were published lately, so that publishing again is harmless.
//!
//! A producer that did not hear the acknowledgement publishes again under the same event id, and gets the
//! first message's id. The newest `event_ids_max` are remembered; they are read back from the log's segment
//! indexes at start. Not here: what makes two messages the same (the digest, `publish`).

use std::collections::{HashMap, VecDeque};

use posthaste_storage::EntryId;

/// What is remembered of a message with an event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The message published first.
    pub(crate) message: EntryId,
    /// What it said.
    pub(crate) digest: [u8; 16],
}

/// See the head of this file. Keys are hashes of application and event id.
#[derive(Debug)]
pub(crate) struct EventIds {
    known: HashMap<u64, Known>,
    oldest_first: VecDeque<u64>,
    max: usize,
}

impl EventIds {
    /// Remembers nothing yet, and `max` at most.
    pub(crate) fn new(max: usize) -> Self {
        Self { known: HashMap::new(), oldest_first: VecDeque::new(), max }
    }

    /// What is known of this event id.
    pub(crate) fn find(&self, key: u64) -> Option<Known> {
        self.known.get(&key).copied()
    }

    /// Remembers a message under its event id, which was not known; the oldest may be forgotten for it.
    pub(crate) fn remember(&mut self, key: u64, known: Known) {
        if self.known.insert(key, known).is_none() {
            self.oldest_first.push_back(key);
        }
        while self.oldest_first.len() > self.max {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Takes back the newest, whose message did not become durable.
    pub(crate) fn take_back(&mut self, key: u64) {
        self.known.remove(&key);
        if let Some(index) = self.oldest_first.iter().rposition(|other| *other == key) {
            self.oldest_first.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ms: u64) -> Known {
        Known { message: EntryId::new(ms, 0), digest: [0; 16] }
    }

    #[test]
    fn the_newest_are_remembered_and_the_oldest_forgotten() {
        let mut ids = EventIds::new(2);
        for key in 1..=3 {
            ids.remember(key, known(key));
        }
        assert_eq!(ids.find(1), None);
        assert_eq!(ids.find(3), Some(known(3)));
    }

    #[test]
    fn what_did_not_become_durable_is_taken_back() {
        let mut ids = EventIds::new(2);
        ids.remember(1, known(1));
        ids.remember(2, known(2));
        ids.take_back(2);
        assert_eq!(ids.find(2), None);
        ids.remember(3, known(3));
        assert_eq!(ids.find(1), Some(known(1)));
    }
}
