//! An attempt that has ended: its outcome, how long each part took, and what the receiver said.

use std::borrow::Cow;

use bytes::Bytes;
use tokio::time::Instant;

use crate::core::outcome::Outcome;
use crate::traces::SpanId;

use super::failure::Failure;

/// How long the parts of an attempt took, in microseconds. Zero for parts that did not happen, as the first
/// three over a connection from the pool. What takes longer than 71 minutes counts as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Looking up the name.
    pub dns_us: u32,
    /// Opening the connection.
    pub connect_us: u32,
    /// The TLS handshake.
    pub tls_us: u32,
    /// From sending the request to the head of the response.
    pub first_byte_us: u32,
    /// The whole attempt.
    pub total_us: u32,
}

/// An attempt that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// How long its parts took.
    pub timing: Timing,
    /// The headers of the response as `name: value\r\n` each, whole lines up to the limit; the values are
    /// whatever bytes the receiver sent.
    pub response_headers: Bytes,
    /// The body of the response, cut at the limit; never decompressed.
    pub response_body: Bytes,
    /// What happened, for a person; empty on success. Text from the receiver in it is cut and free of
    /// control characters.
    pub detail: Cow<'static, str>,
    /// Whether it went over a connection that had been used before.
    pub reused: bool,
    /// The unix second that its request was signed for, or would have been, had there been a connection; `None` when
    /// no attempt was made.
    pub signed_secs: Option<u64>,
    /// The span that the receiver was told of.
    pub(crate) span: Option<SpanId>,
}

/// What came back from a receiver.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) detail: Cow<'static, str>,
    pub(super) headers: Bytes,
    pub(super) body: Bytes,
}

impl Ended {
    /// An attempt for which nothing was sent, and why.
    pub(crate) fn unsent(outcome: Outcome, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Err(Failure { outcome, detail: detail.into() }), Timing::default(), false)
    }

    pub(super) fn new(result: Result<Answer, Failure>, timing: Timing, reused: bool) -> Self {
        let answer = result.unwrap_or_else(|failure| Answer {
            outcome: failure.outcome,
            detail: failure.detail,
            headers: Bytes::new(),
            body: Bytes::new(),
        });
        Self {
            outcome: answer.outcome,
            timing,
            response_headers: answer.headers,
            response_body: answer.body,
            detail: answer.detail,
            reused,
            signed_secs: None,
            span: None,
        }
    }
}

pub(super) fn micros_since(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX)
}
