//! For the benches: what an attempt does before it has a connection, step by step.
//!
//! Not here: anything that the engine calls.

use bytes::{Bytes, BytesMut};
use http::{Request, Version};
use http_body_util::Full;

use super::request::{MessageHead, Signed};
use super::signature::TimestampText;
use super::target::Target;

/// Writes the value of `webhook-signature` behind `out`.
pub fn sign(target: &Target, id: &str, unix_secs: u64, payload: &[u8], out: &mut BytesMut) {
    target.signer().write(id, TimestampText::new(unix_secs).as_str(), payload, out);
}

/// The request of one attempt, as it is handed to a connection that speaks HTTP/1.1; `None` where the message
/// cannot be sent.
pub fn request(
    target: &Target,
    message: MessageHead<'_>,
    payload: Bytes,
    unix_secs: u64,
) -> Option<Request<Full<Bytes>>> {
    let signed = Signed::new(target, message, payload, unix_secs).ok()?;
    Some(signed.request(target, Version::HTTP_11))
}
