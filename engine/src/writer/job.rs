//! What the writer is asked to do, and the queue that it comes through.

use crossbeam_channel::{Receiver, Sender};
use posthaste_storage::ledger::Pending;
use tokio::sync::oneshot;

use super::erase::Erase;
use super::extra::{ExtraDelivery, ExtraReply};
use crate::budget::Held;
use crate::catalog::{BoxFuture, Change, ChangeLog, CommitError};
use crate::core::ids::{ApplicationId, MessageId};
use crate::core::shard::{AttemptEnded, Parked, Settled};
use crate::delivery::Ended as Report;
use crate::publish::{Admitted, PublishError};
use crate::seam::Bell;

/// Answers to a batch of publishes, in its order.
pub(crate) type PublishAnswers = Vec<Result<MessageId, PublishError>>;

/// Where the answers go, and what the payloads hold of the budget until then.
#[derive(Debug)]
pub(crate) struct PublishReply {
    answers: oneshot::Sender<PublishAnswers>,
    /// Given back with the answer, and not when it has been read: a slow reader keeps nobody else waiting.
    _held: Held,
}

impl PublishReply {
    /// A reply, and the place where it arrives.
    pub(crate) fn holding(held: Held) -> (Self, oneshot::Receiver<PublishAnswers>) {
        let (answers, receiver) = oneshot::channel();
        (Self { answers, _held: held }, receiver)
    }

    /// Nobody may be waiting any more.
    pub(super) fn send(self, answers: PublishAnswers) -> Result<(), PublishAnswers> {
        self.answers.send(answers)
    }
}

/// What came of deliveries, as a shard reports it.
#[derive(Debug)]
pub(crate) enum Event {
    /// An attempt ended, or was refused.
    Ended(Box<AttemptEnded<Report>>),
    /// The ledger takes a delivery.
    Parked(Parked),
    /// A delivery ended without an attempt.
    Settled(Settled),
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Store these messages and hand out their deliveries.
    Publish {
        /// The messages, checked and routed.
        messages: Vec<Admitted>,
        /// Answered after the sync.
        reply: PublishReply,
    },
    /// Store a change of the catalog.
    Change {
        /// All or nothing, as one batch.
        changes: Vec<Change>,
        /// Answered after the sync.
        reply: oneshot::Sender<Result<(), CommitError>>,
    },
    /// Store what a shard reports.
    Report {
        /// Which shard.
        shard: usize,
        /// In the order in which it happened.
        events: Vec<Event>,
    },
    /// Store that these deliveries ended without an attempt, found so by the keeper.
    Settle(Vec<Settled>),
    /// Store that a message is taken back.
    Cancel(Cancel),
    /// Write over the content of a message or an attempt.
    Erase(Erase),
    /// Make these deliveries of messages accepted before.
    Deliver {
        /// Which.
        deliveries: Vec<ExtraDelivery>,
        /// Answered after the sync.
        reply: ExtraReply,
    },
    /// Write the messages of these deliveries again, so that their segments can be removed. The answer to every
    /// survey, empty if there are none.
    Carry(Vec<Pending>),
    /// Store everything handed over before, and end.
    Stop,
}

/// Takes a message back: what is pending of it ends as cancelled.
#[derive(Debug)]
pub(crate) struct Cancel {
    /// Whose message it is.
    pub application: ApplicationId,
    /// Which message.
    pub message: MessageId,
    /// Answered after the sync.
    pub reply: oneshot::Sender<Result<(), CommitError>>,
}

/// Hands jobs to the writer. Cheap to clone.
///
/// The queue itself has no bound; what is in it has: publishers hold permits for the bytes they hand over,
/// a shard holds back new attempts while too many of its reports are not stored yet, and the API makes one
/// change at a time.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    jobs: Sender<Job>,
    bell: Bell,
}

impl WriterHandle {
    /// Rings when a job was handed over.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Hands a job over. `false` when the writer has ended.
    pub(crate) fn send(&self, job: Job) -> bool {
        let taken = self.jobs.send(job).is_ok();
        self.bell.ring();
        taken
    }
}

/// A queue for jobs, made before the writer so that others can hold its handle.
pub(crate) fn queue() -> (WriterHandle, Receiver<Job>) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    (WriterHandle { jobs: sender, bell: Bell::new() }, receiver)
}

impl ChangeLog for WriterHandle {
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Change { changes, reply });
        Box::pin(async move { answer.await.unwrap_or(Err(CommitError::ShuttingDown)) })
    }
}
