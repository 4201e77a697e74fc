//! The headers that a request was sent with, made once more.
//!
//! They are not stored: id, time, payload, secret and settings are, and the same request comes of the same. Where one
//! of them is not known any more, it is said which. What opens doors is masked.

use std::collections::BTreeMap;

use super::backend::{StoredAttempt, StoredMessage};
use super::sensitive::masked;
use crate::catalog::Endpoint;
use crate::delivery::{MessageHead, request_headers};
use crate::directory::prepare_at;

/// The headers, or in words why they cannot be told.
pub(super) fn sent_headers(
    attempt: &StoredAttempt,
    endpoint: Option<&Endpoint>,
    message: Option<&StoredMessage>,
) -> Result<BTreeMap<String, String>, &'static str> {
    let Some(secs) = attempt.signed_secs.filter(|_| was_sent(attempt)) else {
        return Err(if was_sent(attempt) {
            "it was recorded by an older version, which did not keep the second that was signed"
        } else {
            "no request was sent"
        });
    };
    let endpoint = endpoint.ok_or("the endpoint is gone")?;
    if endpoint.revision != attempt.endpoint_revision {
        return Err("the endpoint was changed since");
    }
    if attempt.elsewhere {
        return Err("it went to a URL that the message brought along");
    }
    let message = message.ok_or("the message is gone")?;
    if message.erased {
        return Err("its payload was erased");
    }
    let target = prepare_at(endpoint, secs * 1_000).map_err(|_| "the endpoint's settings make no request")?;
    let head = MessageHead { id: message.id, content_type: message.content_type.as_deref(), parent: None };
    let headers = request_headers(&target, head, message.payload.clone(), secs);
    Ok(headers.into_iter().map(masked).collect())
}

/// Whether there was a connection to send it over.
fn was_sent(attempt: &StoredAttempt) -> bool {
    use crate::core::outcome::{Outcome, Phase};
    let unconnected = matches!(
        attempt.outcome,
        Outcome::DnsFailed
            | Outcome::ConnectFailed
            | Outcome::TlsFailed
            | Outcome::TimedOut(Phase::Dns | Phase::Connect | Phase::Tls)
    );
    attempt.outcome.is_sent() && !unconnected
}
