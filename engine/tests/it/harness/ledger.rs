//! The ledger of the tests: what was acknowledged, with its payload. It is kept outside of the process that
//! is killed, and held against what arrived.

use std::collections::HashMap;

use posthaste_protocol::StreamId;

use super::receiver::Receiver;
use super::wait::wait_until;

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

    /// Waits until everything acknowledged has arrived at the receiver. What has arrived is not looked for again.
    pub(crate) async fn has_arrived_at(&self, receiver: &Receiver, when: &str) {
        let mut missing: Vec<&String> = self.acknowledged.keys().collect();
        wait_until(&format!("everything acknowledged to arrive; {when}"), || {
            while missing.last().is_some_and(|id| receiver.count_of(id) > 0) {
                missing.pop();
            }
            missing.is_empty()
        })
        .await;
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
