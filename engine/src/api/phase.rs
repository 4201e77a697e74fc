//! Where a connection to the API stands, and how long it may stand there.
//!
//! | phase | begins | may last |
//! |---|---|---|
//! | head | with the connection, or with the first byte of a further request | 10 s, `api.request_timeout` if that is less |
//! | body | with the end of the head | `api.request_timeout`, head included |
//! | handler | when the request has arrived | as long as the handler takes |
//! | idle | when the answer has been handed over | `api.idle_timeout` |

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::serve::Patience;

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// See the head of this file. One for each connection, shared by what reads and what answers.
pub(super) struct Phase {
    patience: Patience,
    standing: Mutex<Standing>,
}

struct Standing {
    at: At,
    /// Who waits for bytes in a phase that has no deadline: it is to look again when that phase is over. HTTP itself
    /// asks for no further bytes then, because it has been told already that there are none.
    reader: Option<Waker>,
}

#[derive(Clone, Copy)]
enum At {
    Head { since: Instant },
    Body { since: Instant },
    Handler,
    Idle { since: Instant },
}

impl Phase {
    pub(super) fn new(patience: Patience) -> Arc<Self> {
        let standing = Standing { at: At::Head { since: Instant::now() }, reader: None };
        Arc::new(Self { patience, standing: Mutex::new(standing) })
    }

    /// Until when bytes may be waited for. Where there is no such time, the reader is woken when there is one.
    pub(super) fn deadline(&self, reader: &Waker) -> Option<Instant> {
        let Patience { request, idle } = self.patience;
        let mut standing = self.standing.lock();
        match standing.at {
            At::Head { since } => Some(since + HEAD_TIMEOUT.min(request)),
            At::Body { since } => Some(since + request),
            At::Handler => {
                standing.reader = Some(reader.clone());
                None
            }
            At::Idle { since } => Some(since + idle),
        }
    }

    /// How long the next bytes of an answer may take to leave.
    pub(super) fn stall_max(&self) -> Duration {
        self.patience.request
    }

    /// Bytes have come.
    pub(super) fn on_bytes(&self) {
        let at = &mut self.standing.lock().at;
        if matches!(at, At::Idle { .. }) {
            *at = At::Head { since: Instant::now() };
        }
    }

    fn on_head(&self) {
        let at = &mut self.standing.lock().at;
        *at = match *at {
            At::Head { since } => At::Body { since },
            _ => At::Body { since: Instant::now() },
        };
    }

    fn on_arrived(&self) {
        let at = &mut self.standing.lock().at;
        if matches!(at, At::Body { .. }) {
            *at = At::Handler;
        }
    }

    fn on_answered(&self) {
        let reader = {
            let mut standing = self.standing.lock();
            standing.at = At::Idle { since: Instant::now() };
            standing.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The body of a request, which says when it has arrived.
pub(super) struct Arriving<B: Body> {
    body: B,
    phase: Arc<Phase>,
}

impl<B: Body> Arriving<B> {
    /// The head has arrived, and this comes after it.
    pub(super) fn new(body: B, phase: Arc<Phase>) -> Self {
        phase.on_head();
        if body.is_end_stream() {
            phase.on_arrived();
        }
        Self { body, phase }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.phase.on_arrived();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Arriving<B> {
    /// Who does not want the rest does not wait for it.
    fn drop(&mut self) {
        self.phase.on_arrived();
    }
}

/// The body of an answer, which says when it has been handed over.
pub(super) struct Answering<B> {
    body: B,
    phase: Arc<Phase>,
}

impl<B> Answering<B> {
    pub(super) fn new(body: B, phase: Arc<Phase>) -> Self {
        Self { body, phase }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Answering<B> {
    fn drop(&mut self) {
        self.phase.on_answered();
    }
}
