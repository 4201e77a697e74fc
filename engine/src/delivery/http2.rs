//! A connection that speaks HTTP/2: many exchanges at a time.
//!
//! Unlike an HTTP/1.1 connection it has a task of its own, because no single exchange may hold up the
//! others. The task ends with the last user of the connection.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::failure::Failure;
use super::http1::HEAD_BYTES_MAX;
use super::lease::{OpenCount, Unanswered};
use super::metered::{Allowance, Metered};
use super::response::{Head, ResponseLimits, read_body};
use super::stream::Stream;

/// What a receiver may send before it must be asked for more: responses to webhooks are small.
const STREAM_WINDOW_BYTES: u32 = 64 * 1_024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1_024;
/// Streams that were reset and are still remembered; more, and the peer is flooding us.
const RESET_STREAMS_MAX: usize = 32;

// One slow reader of a full stream must not stop the others.
const _: () = assert!(STREAM_WINDOW_BYTES < CONNECTION_WINDOW_BYTES);

type Http2Connection = Connection<TokioIo<Metered>, Full<Bytes>, LocalExecutor>;

/// One connection, shared by its streams.
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
    streams: Cell<usize>,
    allowance: Allowance,
    /// What the receiver allows, as of its last word.
    streams_allowed: Rc<Cell<usize>>,
    /// Not used for new streams any more.
    retired: Cell<bool>,
    answered_at: Cell<Instant>,
    /// When the egress policy permitted its address: its age counts from here.
    pub(super) permitted_at: Instant,
}

impl Http2 {
    /// Takes over a stream that is open, and spawns the task that drives it.
    ///
    /// # Panics
    /// Outside of a `LocalSet`.
    pub(super) async fn start(
        stream: Stream,
        limits: ResponseLimits,
        permitted_at: Instant,
        open: OpenCount,
    ) -> hyper::Result<Rc<Self>> {
        let allowance = Allowance::new(limits.exchange_bytes_max());
        let (sender, connection) = Builder::new(LocalExecutor)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_concurrent_reset_streams(RESET_STREAMS_MAX)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .max_local_error_reset_streams(RESET_STREAMS_MAX)
            .handshake(TokioIo::new(Metered::new(stream, allowance.clone())))
            .await?;
        let streams_allowed = Rc::new(Cell::new(connection.current_max_send_streams()));
        let task = tokio::task::spawn_local(run(connection, Rc::clone(&streams_allowed), open));
        Ok(Rc::new(Self {
            sender,
            task: task.abort_handle(),
            streams: Cell::new(0),
            allowance,
            streams_allowed,
            retired: Cell::new(false),
            answered_at: Cell::new(Instant::now()),
            permitted_at,
        }))
    }

    /// Whether the connection can carry new streams at all.
    pub(super) fn is_usable(&self) -> bool {
        !self.retired.get() && !self.sender.is_closed()
    }

    /// Whether one more stream fits, by our limit and by the receiver's.
    pub(super) fn has_room(&self, streams_max: usize) -> bool {
        self.streams.get() < streams_max.min(self.streams_allowed.get())
    }

    /// Since when nobody has used it; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.streams.get() == 0).then(|| self.answered_at.get())
    }

    /// No new streams; those under way may end.
    pub(super) fn retire(&self) {
        self.retired.set(true);
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        // Nobody uses the connection any more; a peer that does not read must not keep its task alive.
        self.task.abort();
    }
}

/// Drives a connection to its end, which its users learn from their streams and from `is_closed`.
async fn run(mut connection: Http2Connection, streams_allowed: Rc<Cell<usize>>, open: OpenCount) {
    let _open = open;
    let _ = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        streams_allowed.set(connection.current_max_send_streams());
        ended
    })
    .await;
}

/// The right to one stream of a connection.
pub(super) struct Http2Stream {
    connection: Rc<Http2>,
    /// The body of the response whose head has come.
    body: Option<Incoming>,
}

impl Http2Stream {
    pub(super) fn new(connection: Rc<Http2>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        connection.allowance.begin(connection.streams.get());
        Self { connection, body: None }
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        limits: ResponseLimits,
    ) -> Result<Head, Unanswered> {
        // The clone is a handle to the same connection; requests queue up in the connection's task.
        let sending = self.connection.sender.clone().try_send_request(request);
        let (parts, body) = sending.await.map_err(Unanswered::from_error)?.into_parts();
        self.connection.answered_at.set(Instant::now());
        self.body = Some(body);
        Ok(Head::from_http2(&parts, limits.headers_bytes_kept_max))
    }

    /// Reads the body that belongs to the head.
    pub(super) async fn read_body(&mut self, limits: ResponseLimits) -> Result<Bytes, Failure> {
        match self.body.take() {
            Some(body) => read_body(body, limits).await.map_err(|error| Failure::from_http2(&error)),
            None => Ok(Bytes::new()),
        }
    }

    /// A request that began at `began` was not answered. If nothing else was answered meanwhile, the
    /// connection itself may be dead, and new requests should not follow it.
    pub(super) fn distrust(&self, began: Instant) {
        if self.connection.answered_at.get() < began {
            self.connection.retire();
        }
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
    }
}

/// Runs hyper's tasks on the shard's thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
