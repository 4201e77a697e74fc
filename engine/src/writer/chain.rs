//! Chains: who gets the message next, when an endpoint has let it through.
//!
//! The answer of an endpoint decides. It keeps the message if it answered with messages of its own, unless it says
//! otherwise: a JSON object whose `messages` is a list with something in it keeps it; `variables.return_value: false`
//! lets it through all the same. Any other answer lets it through, and so does an endpoint that never took it, because
//! its attempts were spent or because it is gone. A message that was taken back goes nowhere.
//!
//! The next delivery is written with the attempt that let it through, in one block.

use posthaste_storage::Position;
use serde_json::Value;

use super::extra::ExtraDelivery;
use super::{Event, Writer};
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::ids::ApplicationId;
use crate::keeper::lane;
use crate::routing::next_in_chain;

/// Bytes of an answer that are kept of an endpoint in a chain: what does not fit cannot decide.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// Whether an endpoint that answered this lets the message through.
fn lets_through(answer: &[u8]) -> bool {
    if answer.len() >= ANSWER_BYTES_MAX {
        // Cut off: it is not known what it says, and nothing is worse than two that reply.
        return false;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        // No JSON says nothing; broken JSON may have said anything.
        return !answer.trim_ascii_start().starts_with(b"{");
    };
    let returned = answer.get("variables").and_then(|variables| variables.get("return_value"));
    if returned == Some(&Value::Bool(false)) {
        return true;
    }
    answer.get("messages").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

/// A delivery that has ended, or goes on.
struct Standing {
    key: DeliveryKey,
    application: ApplicationId,
    message_at: Position,
    marks: Marks,
    through: bool,
}

impl Standing {
    /// `None` for what ends nothing.
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Ended(ended) => {
                let answer = ended.report.as_ref().map_or(&[][..], |report| &report.response_body);
                let through = match ended.state {
                    DeliveryState::Pending => false,
                    DeliveryState::Delivered => lets_through(answer),
                    // Given up, or its endpoint is gone.
                    DeliveryState::Exhausted | DeliveryState::Cancelled => true,
                };
                let (application, message_at) = (ended.application, ended.message_at);
                Some(Self { key: ended.key, application, message_at, marks: ended.progress.marks, through })
            }
            // Its endpoint is gone, or disabled.
            Event::Settled(settled) => Some(Self {
                key: settled.key,
                application: settled.application,
                message_at: settled.message_at,
                marks: settled.progress.marks,
                through: true,
            }),
            Event::Parked(_) => None,
        }
    }
}

impl Writer {
    /// The delivery that follows in a chain, if this event let the message through.
    pub(super) fn next_of_chain(&self, event: &Event) -> Option<ExtraDelivery> {
        let ended = Standing::of(event).filter(|ended| ended.through && ended.marks.has(Marks::CHAINED))?;
        if self.state.cancelled.contains(ended.key.message) {
            return None;
        }
        let owned = match self.log.reader().record_at(ended.message_at) {
            Ok(owned) => owned?,
            Err(error) => {
                tracing::error!(%error, "a message cannot be read; its chain ends here");
                return None;
            }
        };
        let message = *owned.record().message()?;
        if message.erased {
            return None;
        }
        let extras = message.extras.unpack();
        let mut endpoint = ended.key.endpoint;
        // Who is no more, or gets nothing for now, is passed over.
        let next = loop {
            endpoint = next_in_chain(extras.chains.iter(), endpoint)?;
            if self.shards.places.shard_of(endpoint).is_some() {
                break endpoint;
            }
        };
        let marks = Marks::CHAINED.with(Marks::ORDERED, extras.ordering_key.is_some());
        Some(ExtraDelivery {
            key: DeliveryKey { message: ended.key.message, endpoint: next },
            application: ended.application,
            message_at: ended.message_at,
            progress: Progress { marks, ..Progress::default() },
            lane: lane(ended.application, extras.ordering_key),
            was_pending: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_messages_keeps_the_message_unless_it_says_otherwise() {
        for keeps in
            [r#"{"messages":[{"content":"hi"}]}"#, r#"{"messages":[1],"variables":{"return_value":true}}"#]
        {
            assert!(!lets_through(keeps.as_bytes()), "{keeps}");
        }
        for through in [
            "",
            "OK",
            "[]",
            "{}",
            r#"{"messages":[]}"#,
            r#"{"messages":null}"#,
            r#"{"messages":"hi"}"#,
            r#"{"variables":{"$foo":42}}"#,
            r#"{"messages":[{"content":"hi"}],"variables":{"return_value":false}}"#,
        ] {
            assert!(lets_through(through.as_bytes()), "{through}");
        }
        for keeps in [r#"{"messages":[1],"variables":"x"}"#, r#"{"messages":[1], "#] {
            assert!(!lets_through(keeps.as_bytes()), "{keeps}");
        }
        assert!(!lets_through(&vec![b' '; ANSWER_BYTES_MAX]), "what was cut off does not decide");
    }
}
