//! A connection that many share: requests go out as they come, replies come back in the same order.
//!
//! Bytes and waiters enter the outbox under one lock, so the order of waiters is the order on the wire. Two
//! tasks serve it: one writes what gathered while it was writing before, one hands out replies.
//!
//! Invariants
//! - Every waiter holds a permit of the window until its reply is here, whether or not anybody listens.
//! - Once a link has ended, every waiter has been told, and nothing enters any more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::connection::{Connection, Replies};
use super::{Disconnect, NewMessage, Options};
use crate::value::Value;

type Answer = Result<Value, Disconnect>;

/// A shared connection. Dropped, it closes.
pub(super) struct Link {
    state: Arc<State>,
    tasks: [AbortHandle; 2],
}

struct State {
    outbox: Mutex<Outbox>,
    /// Something is in the outbox.
    filled: Notify,
    window: Arc<Semaphore>,
}

#[derive(Default)]
struct Outbox {
    bytes: BytesMut,
    waiting: VecDeque<Waiter>,
    ended: Option<Disconnect>,
}

struct Waiter {
    answer: oneshot::Sender<Answer>,
    _permit: OwnedSemaphorePermit,
}

impl Link {
    /// Lets two tasks serve a connection.
    pub(super) fn start(connection: Connection, options: &Options) -> Self {
        let state = Arc::new(State {
            outbox: Mutex::new(Outbox::default()),
            filled: Notify::new(),
            window: Arc::new(Semaphore::new(options.window.clamp(1, Semaphore::MAX_PERMITS))),
        });
        let (read, write) = tokio::io::split(connection.stream);
        let reader =
            tokio::spawn(Arc::clone(&state).run_reader(read, connection.replies, options.reply_timeout));
        let writer = tokio::spawn(Arc::clone(&state).run_writer(write));
        Self { state, tasks: [reader.abort_handle(), writer.abort_handle()] }
    }

    /// Whether the connection is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.state.outbox().ended.is_some()
    }

    /// Puts a message into the outbox when the window has room.
    ///
    /// # Errors
    /// When the connection is gone; nothing was sent then.
    pub(super) async fn submit(
        &self,
        message: &NewMessage<'_>,
    ) -> Result<oneshot::Receiver<Answer>, Disconnect> {
        let Ok(permit) = Arc::clone(&self.state.window).acquire_owned().await else {
            return Err(self.state.reason());
        };
        let (answer, answered) = oneshot::channel();
        {
            let mut outbox = self.state.outbox();
            if let Some(reason) = &outbox.ended {
                return Err(reason.clone());
            }
            message.encode(&mut outbox.bytes);
            outbox.waiting.push_back(Waiter { answer, _permit: permit });
        }
        self.state.filled.notify_one();
        Ok(answered)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl State {
    /// The lock is held for copying only, so a panic cannot leave the outbox half changed.
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reason(&self) -> Disconnect {
        self.outbox().ended.clone().unwrap_or(Disconnect::Closed)
    }

    async fn run_writer(self: Arc<Self>, stream: impl AsyncWrite + Unpin) {
        if let Err(error) = self.write(stream).await {
            self.end(error.into());
        }
    }

    async fn write(&self, mut stream: impl AsyncWrite + Unpin) -> std::io::Result<()> {
        loop {
            let bytes = self.outbox().bytes.split();
            match bytes.is_empty() {
                true => self.filled.notified().await,
                false => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                }
            }
        }
    }

    async fn run_reader(
        self: Arc<Self>,
        stream: impl AsyncRead + Unpin,
        replies: Replies,
        silence_max: Duration,
    ) {
        let end = self.read(stream, replies, silence_max).await;
        self.end(end);
    }

    async fn read(
        &self,
        mut stream: impl AsyncRead + Unpin,
        mut replies: Replies,
        silence_max: Duration,
    ) -> Disconnect {
        loop {
            let awaited = !self.outbox().waiting.is_empty();
            match timeout(silence_max, replies.read_from(&mut stream)).await {
                Ok(Ok(())) => {}
                Ok(Err(end)) => return end,
                Err(_) if awaited => return Disconnect::TimedOut { after: silence_max },
                Err(_) => {}
            }
            if let Err(end) = self.hand_out(&mut replies) {
                return end;
            }
        }
    }

    fn hand_out(&self, replies: &mut Replies) -> Result<(), Disconnect> {
        while let Some(reply) = replies.next()? {
            if matches!(reply, Value::Push(_)) {
                continue;
            }
            let waiter = self.outbox().waiting.pop_front().ok_or(Disconnect::Unexpected)?;
            // Nobody has to listen; the message is published all the same.
            let _ = waiter.answer.send(Ok(reply));
        }
        Ok(())
    }

    /// Tells everybody, the first reason only.
    fn end(&self, reason: Disconnect) {
        let waiting = {
            let mut outbox = self.outbox();
            outbox.ended.get_or_insert(reason.clone());
            outbox.bytes = BytesMut::new();
            std::mem::take(&mut outbox.waiting)
        };
        self.window.close();
        for waiter in waiting {
            let _ = waiter.answer.send(Err(reason.clone()));
        }
    }
}
