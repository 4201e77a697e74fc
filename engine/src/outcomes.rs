//! Outcomes: what is told back to producers, as a stream they can follow and resume.
//!
//! An outcome is an attempt as the log has it; its stream id is the attempt's id. So following needs no
//! second store: a follower reads the log from the id it has seen, application by application, and waits
//! here until the writer says that its application has something new. A follower that comes back after a
//! restart reads on from its last id, as far back as the log reaches.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use posthaste_storage::EntryId;
use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::record::{Attempt, Carried, Record};
use serde::de::IgnoredAny;
use tokio::sync::Notify;

use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::publish::is_json;

/// What an outcome takes on the wire beside what its receiver said, about.
const OUTCOME_BYTES: usize = 300;

/// Who follows which application, and the log they read.
pub(crate) struct Outcomes {
    reader: LogReader,
    followers: RwLock<HashMap<ApplicationId, Arc<Follower>>>,
    following: AtomicUsize,
    noted: Mutex<Vec<ApplicationId>>,
}

#[derive(Debug, Default)]
struct Follower {
    news: Notify,
    count: AtomicUsize,
}

/// One outcome, as the stream tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamedOutcome {
    /// The attempt's id, which is the entry's id in the stream.
    pub id: EntryId,
    /// The message that was to be delivered.
    pub message: MessageId,
    /// The endpoint it was for.
    pub endpoint: EndpointId,
    /// Which attempt of the delivery; the first is 1.
    pub attempt: u16,
    /// How it ended; `None` for a code of a newer version.
    pub outcome: Option<Outcome>,
    /// How long it took, in microseconds; zero when nothing was sent.
    pub duration_us: u32,
    /// When the next attempt is due, unix milliseconds.
    pub next_attempt_ms: Option<u64>,
    /// Where the delivery stands now.
    pub state: Option<DeliveryState>,
    /// What the receiver answered, if it answered and its endpoint wants that told.
    pub reply: Option<Reply>,
}

/// What a receiver answered, with what a platform needs in order to act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The producer's own id of the message.
    pub event_id: Option<Box<str>>,
    /// As far as it was kept.
    pub body: Bytes,
    /// Whether the body is JSON, where the receiver says that it is.
    pub json: Option<bool>,
}

/// A promise to be told of news of one application. Dropping it ends the following.
pub(crate) struct Following {
    application: ApplicationId,
    follower: Arc<Follower>,
    outcomes: Arc<Outcomes>,
}

impl Outcomes {
    /// Outcomes as this log has them.
    pub(crate) fn new(reader: LogReader) -> Arc<Self> {
        Arc::new(Self {
            reader,
            followers: RwLock::default(),
            following: AtomicUsize::new(0),
            noted: Mutex::default(),
        })
    }

    /// The writer says that the log has grown, before it notes what with. Whoever begins to follow then either
    /// finds it in the log or is counted here already.
    pub(crate) fn written(&self) {
        fence(Ordering::SeqCst);
    }

    /// The writer notes an outcome that is durable; followers hear of it at the next [`Self::publish`].
    pub(crate) fn note(&self, application: ApplicationId) {
        if self.following.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut noted = self.noted.lock();
        if noted.last() != Some(&application) {
            noted.push(application);
        }
    }

    /// Followers of everything noted are woken.
    pub(crate) fn publish(&self) {
        if self.following.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut noted = std::mem::take(&mut *self.noted.lock());
        noted.sort_unstable();
        noted.dedup();
        let followers = self.followers.read();
        for application in noted {
            if let Some(follower) = followers.get(&application) {
                follower.news.notify_waiters();
            }
        }
    }

    /// Follows an application from now on: news that come after this call are heard.
    pub(crate) fn follow(self: &Arc<Self>, application: ApplicationId) -> Following {
        self.following.fetch_add(1, Ordering::SeqCst);
        // See `written`.
        fence(Ordering::SeqCst);
        let mut followers = self.followers.write();
        let follower = followers.entry(application).or_default().clone();
        // Counted before the lock is let go, or the last one to leave could remove it from the map meanwhile.
        follower.count.fetch_add(1, Ordering::SeqCst);
        drop(followers);
        Following { application, follower, outcomes: self.clone() }
    }

    /// The id that a reader who wants only what is new should begin after.
    pub(crate) fn newest(&self) -> EntryId {
        self.reader.last_id()
    }

    /// Outcomes of an application with an id after `after`, oldest first: up to `count`, and until they have about
    /// `bytes_max`. `tells` says whether an endpoint wants told what it answers.
    pub(crate) fn read(
        &self,
        application: ApplicationId,
        after: EntryId,
        (count, bytes_max): (usize, usize),
        tells: impl Fn(EndpointId) -> bool,
    ) -> Result<Vec<StreamedOutcome>, ReadError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let from = self.reader.seek(after.next())?;
        self.reader.replay_application(application.as_u64(), from, self.reader.end(), |_, record| {
            if let Record::Attempt(attempt) = record
                && attempt.id > after
            {
                let mut outcome = StreamedOutcome::from(&attempt);
                if attempt.status > 0 && tells(outcome.endpoint) {
                    outcome.reply = Some(self.reply(&attempt));
                    bytes += attempt.response_body.len();
                }
                bytes += OUTCOME_BYTES;
                found.push(outcome);
            }
            if found.len() >= count || bytes >= bytes_max {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(found)
    }

    /// The event id is looked up in the message's own record, which costs a read: paid for those alone who want
    /// replies. A message that is gone from the log has none.
    fn reply(&self, attempt: &Attempt<'_>) -> Reply {
        let message = self.reader.record_at(attempt.message_at).ok().flatten();
        let event_id = message.and_then(|owned| match owned.record() {
            Record::Message(message) | Record::Carried(Carried { message, .. })
                if message.id == attempt.message =>
            {
                message.event_id.map(Into::into)
            }
            _ => None,
        });
        let says_json = content_type(attempt.response_headers).is_some_and(is_json);
        let body = Bytes::copy_from_slice(attempt.response_body);
        let json = says_json.then(|| serde_json::from_slice::<IgnoredAny>(&body).is_ok());
        Reply { event_id, body, json }
    }
}

/// The media type in headers as an attempt keeps them: `name: value` lines, names in lower case.
fn content_type(headers: &[u8]) -> Option<&str> {
    let headers = headers.split(|byte| *byte == b'\n');
    let value = headers.into_iter().find_map(|line| line.strip_prefix(b"content-type: "))?;
    std::str::from_utf8(value.trim_ascii_end()).ok()
}

impl From<&Attempt<'_>> for StreamedOutcome {
    fn from(attempt: &Attempt<'_>) -> Self {
        Self {
            id: attempt.id,
            message: MessageId(attempt.message),
            endpoint: EndpointId::from_u64(attempt.endpoint),
            attempt: attempt.number,
            outcome: Outcome::from_code(attempt.outcome, attempt.status),
            duration_us: attempt.duration_us,
            next_attempt_ms: (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms),
            state: DeliveryState::from_code(attempt.state),
            reply: None,
        }
    }
}

impl Following {
    /// A future that ends at the first news after this call (not after its first poll).
    pub(crate) fn news(&self) -> impl Future<Output = ()> + '_ {
        let mut notified = Box::pin(self.follower.news.notified());
        notified.as_mut().enable();
        notified
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.outcomes.following.fetch_sub(1, Ordering::SeqCst);
        let mut followers = self.outcomes.followers.write();
        if self.follower.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            followers.remove(&self.application);
        }
    }
}
