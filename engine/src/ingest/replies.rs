//! The other half of a connection: answers, in the order of the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::StreamId;
use posthaste_protocol::reply::{Encoder, Version};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

use super::Ingest;
use super::read::Query;
use crate::core::ids::MessageId;
use crate::publish::PublishError;

/// Bytes gathered before they are written, while more answers are ready.
const WRITE_BYTES: usize = 64 << 10;

/// What a request is answered with.
pub(super) enum Reply {
    /// These bytes.
    Bytes(Bytes),
    /// The ids of a batch, once it is durable.
    Published(Published),
    /// What a query finds, in this dialect.
    Query(Query, Version),
}

/// A batch on its way through the writer.
pub(super) struct Published {
    pub(super) refused: Vec<Option<PublishError>>,
    pub(super) answers: oneshot::Receiver<Vec<Result<MessageId, PublishError>>>,
    /// Held until the answers are written.
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// Writes answers until the reading half has ended and all are written, or the client is gone.
pub(super) async fn write(
    ingest: Arc<Ingest>,
    mut output: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Reply>,
    gone: Arc<Notify>,
    waiting: Arc<AtomicBool>,
) {
    let mut out = BytesMut::with_capacity(4 << 10);
    while let Some(reply) = queue.recv().await {
        match reply {
            Reply::Bytes(bytes) => out.extend_from_slice(&bytes),
            Reply::Published(published) => {
                // While a sync is under way, what is already answered need not wait for it.
                if flush(&mut output, &mut out).await.is_err() {
                    return;
                }
                published.encode(&mut out).await;
            }
            Reply::Query(query, version) => {
                if flush(&mut output, &mut out).await.is_err() {
                    return;
                }
                waiting.store(true, Ordering::Relaxed);
                query.answer(&ingest, version, &mut out, &gone).await;
                waiting.store(false, Ordering::Relaxed);
            }
        }
        if (queue.is_empty() || out.len() >= WRITE_BYTES) && flush(&mut output, &mut out).await.is_err() {
            return;
        }
    }
}

async fn flush(output: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut) -> std::io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let written = output.write_all(out).await;
    out.clear();
    written
}

impl Published {
    async fn encode(self, out: &mut BytesMut) {
        let mut answers = self.answers.await.ok().map(Vec::into_iter);
        // An id is written alike in both dialects.
        let mut reply = Encoder::new(out, Version::Resp2);
        for refused in self.refused {
            let answer = match refused {
                Some(error) => Err(error),
                None => answers.as_mut().and_then(Iterator::next).unwrap_or(Err(PublishError::ShuttingDown)),
            };
            match answer {
                Ok(MessageId(id)) => reply.stream_id(StreamId::new(id.ms(), id.sequence().into())),
                Err(error) => publish_error(&mut reply, &error),
            }
        }
    }
}

/// Writes an error under the code that tells clients what to do about it.
pub(super) fn publish_error(reply: &mut Encoder<'_>, error: &PublishError) {
    reply.error(error.answer().resp, error);
}
