//! Attempts under way: tasks that make one after another.
//!
//! ```text
//!   start --order--> Maker (waiting) --> makes the attempt --report--> Finish --> the shard
//!                     ^------------- waits again -------------+
//! ```
//!
//! An attempt waits for sockets and deadlines, so it needs a task. Waking one that is there is cheaper than making
//! a new one, and its memory is warm: whoever was done last is the first to be used again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use posthaste_storage::log::{LogReader, ReadError};
use posthaste_storage::{Position, record::Record};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::own_urls::OwnUrls;
use crate::clock::{Clock, unix_secs};
use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::delivery::{Ended as Report, MessageHead, Sender, Target};
use crate::keyring::Keyring;
use crate::message::Message;
use crate::publish::OwnUrl;
use crate::seam;
use crate::traces::Sampler;

/// An attempt to be made, as the shard orders it.
pub(super) struct Order {
    pub(super) token: u32,
    pub(super) target: Arc<Target>,
    pub(super) message: MessageId,
    pub(super) message_at: Position,
    /// `None` means that it is to be read from the log.
    pub(super) body: Option<Arc<Message>>,
}

/// An attempt that has ended.
pub(super) struct Finished {
    pub(super) token: u32,
    pub(super) report: Report,
}

/// Where attempts that have ended are left for the shard.
#[derive(Default)]
pub(super) struct Finish {
    done: RefCell<Vec<Finished>>,
    any: Notify,
}

impl Finish {
    pub(super) fn put(&self, token: u32, report: Report) {
        self.done.borrow_mut().push(Finished { token, report });
        self.any.notify_one();
    }

    /// Takes everything, into `finished`, which must be empty; its allocation is left for the next.
    pub(super) fn take(&self, finished: &mut Vec<Finished>) {
        debug_assert!(finished.is_empty());
        std::mem::swap(&mut *self.done.borrow_mut(), finished);
    }

    /// Ends when an attempt has ended since the last call.
    pub(super) async fn any(&self) {
        self.any.notified().await;
    }
}

/// What the tasks share.
struct Shared {
    sender: Sender,
    own_urls: OwnUrls,
    /// Which messages receivers are told the trace of.
    propagates: Option<Sampler>,
    clock: Clock,
    reader: LogReader,
    keyring: Arc<Keyring>,
    finish: Rc<Finish>,
    /// Those who wait for an order, the last one done at the end.
    waiting: RefCell<Vec<Rc<Maker>>>,
}

/// A task that makes attempts.
#[derive(Default)]
struct Maker {
    order: Cell<Option<Order>>,
    waker: Cell<Option<Waker>>,
}

/// The attempts of one shard. There are never more tasks than there were attempts at a time.
pub(super) struct Attempts(Rc<Shared>);

impl Attempts {
    pub(super) fn new(
        sender: Sender,
        own_urls: OwnUrls,
        propagates: Option<Sampler>,
        clock: Clock,
        reader: LogReader,
        keyring: Arc<Keyring>,
        finish: Rc<Finish>,
    ) -> Self {
        Self(Rc::new(Shared {
            sender,
            own_urls,
            propagates,
            clock,
            reader,
            keyring,
            finish,
            waiting: RefCell::default(),
        }))
    }

    /// Makes an attempt; its end is left in `Finish`. Must be called inside a `LocalSet`.
    pub(super) fn start(&self, order: Order) {
        let waiting = self.0.waiting.borrow_mut().pop();
        let maker = waiting.unwrap_or_else(|| {
            let maker = Rc::<Maker>::default();
            spawn_local(run(maker.clone(), self.0.clone()));
            maker
        });
        maker.order.set(Some(order));
        if let Some(waker) = maker.waker.take() {
            waker.wake();
        }
    }

    /// Closes connections that are idle for too long.
    pub(super) fn close_idle(&self) {
        self.0.sender.close_idle(tokio::time::Instant::now());
    }
}

async fn run(maker: Rc<Maker>, shared: Rc<Shared>) {
    loop {
        let order = maker.next().await;
        let token = order.token;
        let report = attempt(&shared, order).await;
        // First free, then heard of: the shard finds the warm task when it starts the next attempt.
        shared.waiting.borrow_mut().push(maker.clone());
        shared.finish.put(token, report);
    }
}

impl Maker {
    async fn next(&self) -> Order {
        poll_fn(|cx| match self.order.take() {
            Some(order) => Poll::Ready(order),
            None => {
                self.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

async fn attempt(shared: &Shared, order: Order) -> Report {
    let message = match order.body {
        Some(message) => message,
        // Boxed, because it is rare: nobody else should carry the room for it.
        None => match Box::pin(read_back(shared, order.message, order.message_at)).await {
            Ok(message) => message,
            Err((outcome, why)) => return Report::unsent(outcome, why),
        },
    };
    match &message.url {
        None => send(shared, &order.target, &message).await,
        // Boxed for the same reason.
        Some(own) => Box::pin(send_elsewhere(shared, &order.target, &message, own)).await,
    }
}

async fn send(shared: &Shared, target: &Target, message: &Message) -> Report {
    let parent = shared.propagates.and_then(|sampler| sampler.parent(message.id));
    let head = MessageHead { id: message.id, content_type: message.content_type.as_deref(), parent };
    shared.sender.attempt(target, head, message.payload.clone(), unix_secs()).await
}

/// To the URL that the message brought along, with everything else as the endpoint has it.
async fn send_elsewhere(shared: &Shared, target: &Target, message: &Message, own: &OwnUrl) -> Report {
    let target = match target.at_url(&own.url, own.secret.as_deref()) {
        Ok(target) => target,
        Err(why) => return Report::unsent(Outcome::RequestInvalid, why.to_string()),
    };
    let Some(admitted) = shared.own_urls.admit(&own.url, shared.clock.now()) else {
        return Report::unsent(Outcome::UrlLockedOut, "the URL that the message brought along is locked out");
    };
    let report = send(shared, &target, message).await;
    shared.own_urls.learn(&own.url, shared.clock.now(), admitted, report.outcome);
    report
}

/// The message as it stands in the log. An error says in words why it cannot be delivered, and whether it ever can:
/// a disk that does not answer, or a process out of file descriptors, is no reason to give a delivery up.
async fn read_back(shared: &Shared, id: MessageId, at: Position) -> Result<Arc<Message>, (Outcome, String)> {
    let damaged = |why| (Outcome::PayloadDamaged, why);
    let not_now = |why| (Outcome::RequestInvalid, why);
    let (reader, keyring) = (shared.reader.clone(), shared.keyring.clone());
    let read = move || match reader.record_at(at) {
        Ok(Some(owned)) => match owned.record() {
            Record::Message(found)
            | Record::Carried(posthaste_storage::record::Carried { message: found, .. })
                if found.id == id.0 =>
            {
                if found.erased {
                    return Err(damaged("its payload was erased".to_owned()));
                }
                // A key that is missing may be put back.
                let url = OwnUrl::of(found.extras.unpack(), id, &keyring)
                    .map_err(|why| not_now(format!("the secret for its URL cannot be read: {why}")))?;
                Ok(Message::new(id, found.content_type, found.payload, url))
            }
            _ => Err(damaged(format!("the log holds something else than this message at {at}"))),
        },
        Ok(None) => Err(damaged(format!("the log does not hold {at} any more"))),
        Err(error @ ReadError::Io { .. }) => Err(not_now(error.to_string())),
        Err(error) => Err(damaged(error.to_string())),
    };
    seam::blocking(read).await.unwrap_or_else(|error| Err(not_now(error.to_string())))
}
