//! A batch: the messages of one stretch of requests, handed to the writer together and answered together.

use super::Ingest;
use super::replies::{Published, Reply};
use crate::publish::{Admitted, PublishError};
use crate::writer::{Job, PublishReply};

/// Messages in a batch at most.
const MESSAGES_MAX: usize = 512;
/// Payload bytes in a batch at which it is handed over.
const BYTES_MAX: usize = 512 << 10;

/// See the head of this file.
#[derive(Default)]
pub(super) struct Batch {
    admitted: Vec<Admitted>,
    /// One for each request, in order: what is wrong with it, or `None` for the next of `admitted`.
    refused: Vec<Option<PublishError>>,
    bytes: usize,
}

impl Batch {
    pub(super) fn push(&mut self, checked: Result<Admitted, PublishError>) {
        match checked {
            Ok(admitted) => {
                self.bytes += admitted.payload.len();
                self.admitted.push(admitted);
                self.refused.push(None);
            }
            Err(error) => self.refused.push(Some(error)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.refused.len() >= MESSAGES_MAX || self.bytes >= BYTES_MAX
    }

    /// Hands the batch to the writer. Waits while too much is unacknowledged, or the shards are behind.
    pub(super) async fn submit(&mut self, ingest: &Ingest) -> Reply {
        let Self { admitted, refused, bytes } = std::mem::take(self);
        ingest.metrics.refused.inc_by((refused.len() - admitted.len()) as u64);
        while ingest.shards.is_pressed() {
            // They catch up within milliseconds; a wake-up for this rare wait would cost every delivery.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let (reply, answers) = PublishReply::holding(ingest.budget.publish(bytes).await);
        // A writer that has ended drops the sender, which is answered as shutting down.
        ingest.writer.send(Job::Publish { messages: admitted, reply });
        Reply::Published(Published { refused, answers })
    }
}
