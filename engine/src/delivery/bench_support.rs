//! For the benches: what an attempt does before it has a connection, step by step.
//!
//! Not here: anything that the engine calls.

use std::ops::Range;

use bytes::Bytes;

use super::request::{MessageHead, Request};
use super::target::Target;

/// Writes the value of `webhook-signature` behind `out`, in which id and timestamp already stand.
pub fn sign(target: &Target, id: Range<usize>, timestamp: Range<usize>, payload: &[u8], out: &mut Vec<u8>) {
    // Long before any secret of a bench expires.
    target.signer().write(id, timestamp, payload, 0, out);
}

/// Everything that is sent before the payload, as HTTP/1.1 has it; `None` where the message cannot be sent.
pub fn http1_head(
    target: &Target,
    message: MessageHead<'_>,
    payload: Bytes,
    unix_secs: u64,
) -> Option<Vec<u8>> {
    Some(Request::new(target, message, payload, unix_secs).ok()?.http1_head(target))
}
