//! Chains: who gets the message next, when an endpoint has let it through.
//!
//! The answer of an endpoint decides. It keeps the message if it answered with messages of its own, unless it says
//! otherwise: a JSON object whose `messages` is a list with something in it keeps it; `variables.return_value: false`
//! lets it through all the same. Any other answer lets it through, and so does an endpoint that never took it.
//!
//! The next delivery is written with the attempt that let it through, in one block.

use posthaste_storage::record::Record;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Writer;
use super::extra::ExtraDelivery;
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::shard::AttemptEnded;
use crate::delivery::Ended as Report;
use crate::routing::next_in_chain;

/// Bytes of an answer that are kept of an endpoint in a chain: what does not fit cannot decide.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// What is read of an answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    messages: Option<serde_json::Value>,
    #[serde(default)]
    variables: Option<Variables>,
    #[serde(flatten)]
    _others: Others,
}

/// Whatever else it says.
type Others = std::collections::BTreeMap<String, IgnoredAny>;

#[derive(Deserialize)]
struct Variables {
    #[serde(default)]
    return_value: Option<serde_json::Value>,
}

/// Whether an endpoint that answered this lets the message through.
fn lets_through(answer: &[u8]) -> bool {
    if answer.len() >= ANSWER_BYTES_MAX {
        // Cut off: it is not known what it says, and nothing is worse than two that reply.
        return false;
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return true };
    let returned = answer.variables.and_then(|variables| variables.return_value);
    if returned == Some(serde_json::Value::Bool(false)) {
        return true;
    }
    let replies = answer.messages.as_ref().and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    replies == 0
}

impl Writer {
    /// The delivery that follows in a chain, if this attempt let the message through.
    pub(super) fn next_of_chain(&self, ended: &AttemptEnded<Report>) -> Option<ExtraDelivery> {
        if !ended.progress.marks.has(Marks::CHAINED) {
            return None;
        }
        let through = match ended.state {
            DeliveryState::Delivered => {
                lets_through(ended.report.as_ref().map_or(&[], |report| &report.response_body))
            }
            DeliveryState::Exhausted => true,
            DeliveryState::Pending | DeliveryState::Cancelled => false,
        };
        if !through {
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
        debug_assert!(matches!(owned.record(), Record::Message(_) | Record::Carried(_)));
        let chains = message.extras.unpack().chains;
        let mut endpoint = ended.key.endpoint;
        // Who is no more, or gets nothing for now, is passed over.
        let next = loop {
            endpoint = next_in_chain(chains.iter(), endpoint)?;
            if self.shards.places.shard_of(endpoint).is_some() {
                break endpoint;
            }
        };
        Some(ExtraDelivery {
            key: DeliveryKey { message: ended.key.message, endpoint: next },
            application: ended.application,
            message_at: ended.message_at,
            progress: Progress { marks: Marks::CHAINED, ..Progress::default() },
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
        assert!(!lets_through(&vec![b' '; ANSWER_BYTES_MAX]), "what was cut off does not decide");
    }
}
