//! Erasing the payload of a message, or the response of an attempt, on request.
//!
//! What is pending of the message is taken back first, so that nobody needs the payload any more; then the log
//! writes over every copy of it. The answer comes when that is durable. Rare, and so done at once, between two blocks.

use std::ops::ControlFlow;

use posthaste_storage::Position;
use posthaste_storage::log::{EraseError, ReadError};
use posthaste_storage::record::Record;
use tokio::sync::oneshot;

use super::{Block, Cancel, Writer};
use crate::catalog::CommitError;
use crate::core::ids::{ApplicationId, AttemptId, MessageId};

/// What is to be erased.
#[derive(Debug)]
pub(crate) struct Erase {
    /// Whose message it is.
    pub application: ApplicationId,
    /// Which message, or of which one.
    pub message: MessageId,
    /// Only the response of this attempt; `None` for the payload.
    pub attempt: Option<AttemptId>,
    /// Answered when it is done.
    pub reply: oneshot::Sender<Result<(), EraseRefusal>>,
}

/// Why nothing was erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraseRefusal {
    /// The log does not take it.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// It was recorded by an older version.
    #[error("it was recorded by an older version, which left no room to say so; it goes with its segment")]
    TooOld,
    /// The log cannot be read there.
    #[error("the log could not be read: {0}")]
    Read(String),
}

impl Writer {
    pub(super) fn erase(&mut self, erase: Erase, block: &mut Block) {
        // Of what was staged before, something may be meant.
        self.commit(std::mem::take(block));
        let erased = self.try_erase(&erase, block);
        // Whoever asked may have gone; then there is nobody to tell.
        let _ = erase.reply.send(erased);
    }

    fn try_erase(&mut self, erase: &Erase, block: &mut Block) -> Result<(), EraseRefusal> {
        if self.state.poisoned {
            return Err(CommitError::Poisoned.into());
        }
        if erase.attempt.is_none() {
            let (reply, mut answer) = oneshot::channel();
            let cancel = Cancel { application: erase.application, message: erase.message, reply };
            self.stage_cancel(cancel, block);
            answer.try_recv().unwrap_or(Err(CommitError::ShuttingDown))?;
        }
        let places = self.places(erase).map_err(|error| EraseRefusal::Read(error.to_string()))?;
        self.log.erase(&places).map_err(|error| match error {
            EraseError::Unsupported { .. } => EraseRefusal::TooOld,
            EraseError::Read(error) => EraseRefusal::Read(error.to_string()),
            EraseError::Io { full: true, .. } => CommitError::Full.into(),
            EraseError::Io { why, .. } => EraseRefusal::Read(why),
            EraseError::Poisoned { .. } => {
                self.stop_accepting(&error);
                CommitError::Poisoned.into()
            }
        })
    }

    /// Where all copies of it lie.
    fn places(&self, erase: &Erase) -> Result<Vec<Position>, ReadError> {
        let reader = self.log.reader();
        let mut places = Vec::new();
        if erase.attempt.is_none() {
            places.extend(reader.message(erase.message.0)?.map(|(at, _)| at));
        }
        reader.records_about(erase.message.0, reader.end(), |at, record| {
            let is_meant = match (record, erase.attempt) {
                (Record::Carried(_), None) => !places.contains(&at),
                (Record::Attempt(attempt), Some(id)) => attempt.id == id.0,
                _ => false,
            };
            if is_meant {
                places.push(at);
            }
            ControlFlow::Continue(())
        })?;
        Ok(places)
    }
}
