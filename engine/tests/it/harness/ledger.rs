//! The ledger of the tests: what was acknowledged, with its payload. It is kept outside of the process that
//! is killed, and held against what arrived.

use std::collections::HashMap;

use posthaste_protocol::StreamId;

use super::receiver::Receiver;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: HashMap<String, String>,
}

impl Ledger {
    /// Notes that a message was acknowledged.
    pub(crate) fn acknowledged(&mut self, id: StreamId, payload: String) {
        let former = self.acknowledged.insert(format!("msg_{id}"), payload);
        assert!(former.is_none(), "the id {id} was given to two messages");
    }

    /// How many were.
    pub(crate) fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// Acknowledged messages that the receiver did not get.
    pub(crate) fn missing_at(&self, receiver: &Receiver) -> Vec<String> {
        let arrived = receiver.by_id();
        self.acknowledged.keys().filter(|id| !arrived.contains_key(*id)).cloned().collect()
    }

    /// Panics if the receiver got something else than was acknowledged under an id.
    pub(crate) fn check_bodies_at(&self, receiver: &Receiver) {
        for received in receiver.received() {
            if let Some(payload) = self.acknowledged.get(received.id()) {
                assert_eq!(received.body, payload.as_bytes(), "{} arrived changed", received.id());
            }
        }
    }
}
