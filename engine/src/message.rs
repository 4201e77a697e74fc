//! A message in memory, as the shards carry it: shared by all deliveries of one message.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::ids::MessageId;
use crate::core::shard::Body;
use crate::publish::OwnUrl;

/// What receivers get: the same for every endpoint.
#[derive(Debug)]
pub struct Message {
    /// `webhook-id`.
    pub id: MessageId,
    /// `content-type`; `None` means JSON.
    pub content_type: Option<Box<str>>,
    /// The body, exactly as published.
    pub payload: Bytes,
    /// Where it goes instead of the endpoint's URL.
    pub url: Option<Box<OwnUrl>>,
}

impl Message {
    /// A message to carry. The payload is copied, so that it does not keep a whole read buffer in memory.
    pub fn new(id: MessageId, content_type: Option<&str>, payload: &[u8], url: Option<OwnUrl>) -> Arc<Self> {
        Arc::new(Self {
            id,
            content_type: content_type.map(Into::into),
            payload: Bytes::copy_from_slice(payload),
            url: url.map(Box::new),
        })
    }
}

impl Body for Arc<Message> {
    /// Counted for every delivery of the message, so that fan-out is bounded too.
    fn bytes(&self) -> usize {
        size_of::<Message>() + self.payload.len()
    }
}
