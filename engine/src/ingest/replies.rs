//! The other half of a connection: answers, in the order of the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::StreamId;
use posthaste_protocol::reply::{Encoder, Version};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::Ingest;
use super::read::Query;
use super::reading::StillReading;
use crate::core::ids::MessageId;
use crate::publish::PublishError;

/// Bytes gathered before they are written, while more answers are ready.
const WRITE_BYTES: usize = 64 << 10;

/// Room for answers that is kept from one to the next.
const OUT_BYTES_KEPT: usize = 2 * WRITE_BYTES;
/// How long the end of a connection may take to be said.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What a request is answered with.
pub(super) enum Reply {
    /// These bytes, and the room that they hold of what may wait to be written.
    Bytes(Bytes, Option<OwnedSemaphorePermit>),
    /// The ids of a batch, once it is durable.
    Published(Published),
    /// What a query finds, in this dialect.
    Query(Query, Version),
}

/// A batch on its way through the writer.
pub(super) struct Published {
    pub(super) refused: Vec<Option<PublishError>>,
    pub(super) answers: oneshot::Receiver<Vec<Result<MessageId, PublishError>>>,
}

/// Writes answers until the reading half has ended and all are written, or the client is gone.
pub(super) async fn write(
    ingest: Arc<Ingest>,
    mut output: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Reply>,
    mut reading: StillReading,
    waiting: Arc<AtomicBool>,
) {
    let mut out = BytesMut::with_capacity(4 << 10);
    while let Some(reply) = queue.recv().await {
        match reply {
            Reply::Bytes(bytes, _room) => out.extend_from_slice(&bytes),
            Reply::Published(published) => {
                // While a sync is under way, what is already answered need not wait for it.
                if flush(&ingest, &mut output, &mut out).await == Taken::No {
                    return;
                }
                published.encode(&mut out).await;
            }
            Reply::Query(query, version) => {
                if flush(&ingest, &mut output, &mut out).await == Taken::No {
                    return;
                }
                waiting.store(true, Ordering::Relaxed);
                let _place = query.answer(&ingest, version, &mut out, &mut reading).await;
                waiting.store(false, Ordering::Relaxed);
                // A place among the large answers is kept until the client has taken it.
                if flush(&ingest, &mut output, &mut out).await == Taken::No {
                    return;
                }
            }
        }
        if (queue.is_empty() || out.len() >= WRITE_BYTES)
            && flush(&ingest, &mut output, &mut out).await == Taken::No
        {
            return;
        }
    }
    // So that a client behind TLS can tell an end from a cut. It may be gone already.
    let _ = tokio::time::timeout(FAREWELL_TIMEOUT, output.shutdown()).await;
}

/// Whether the client has taken what was written.
#[derive(PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

/// Writes what has gathered. A client that has not taken all of it in time is given up.
async fn flush(ingest: &Ingest, output: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut) -> Taken {
    if out.is_empty() {
        return Taken::Yes;
    }
    let write = async {
        output.write_all(out).await?;
        output.flush().await
    };
    let written = tokio::time::timeout(ingest.request_timeout, write).await;
    if out.capacity() > OUT_BYTES_KEPT {
        *out = BytesMut::new();
    }
    out.clear();
    match written {
        Ok(Ok(())) => Taken::Yes,
        Ok(Err(_)) => Taken::No,
        Err(_) => {
            ingest.metrics.connections_stalled.inc();
            Taken::No
        }
    }
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
