//! A connection that speaks HTTP/1.1: one exchange at a time.
//!
//! It has no task of its own. Whoever has it on lease drives it, in the task that waits for the response:
//! one wake-up per response instead of two. While it is idle nobody drives it; it is looked at when it is
//! taken from the pool and once in a while by the pool's sweep.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::lease::{OpenCount, Unanswered};
use super::stream::{ReadAllowance, Stream};

/// The longest head of a response, and the most of it that is held at once. (At most 100 headers: the
/// number up to which hyper parses without allocating.)
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// One connection, driven by its user.
pub(super) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    io: Option<Connection<TokioIo<Stream>, Full<Bytes>>>,
    allowance: ReadAllowance,
    exchange_bytes_max: u64,
    /// When the egress policy permitted its address: its age counts from here.
    pub(super) permitted_at: Instant,
    _open: OpenCount,
}

impl Http1 {
    /// Takes over a stream that is open. No byte is exchanged yet.
    pub(super) async fn start(
        stream: Stream,
        exchange_bytes_max: u64,
        permitted_at: Instant,
        open: OpenCount,
    ) -> hyper::Result<Self> {
        let allowance = ReadAllowance::new(exchange_bytes_max);
        let stream = stream.with_allowance(allowance.clone());
        let (sender, io) = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, io: Some(io), allowance, exchange_bytes_max, permitted_at, _open: open })
    }

    /// Whether another request may be sent: both sides are done with the last one, and nothing has come
    /// since, neither an end nor bytes that nobody asked for.
    pub(super) fn is_usable(&mut self) -> bool {
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.io.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response.
    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> {
        self.allowance.refill(self.exchange_bytes_max);
        // The request is in the connection's hands now, not in the future's.
        let sending = self.sender.try_send_request(request);
        async move { self.drive(pin!(sending)).await.map_err(Unanswered::from_error) }
    }

    /// Moves bytes while `work` waits for them.
    pub(super) fn drive<F: Future>(&mut self, mut work: Pin<&mut F>) -> impl Future<Output = F::Output> {
        poll_fn(move |cx| {
            // First the connection, then the work: what the connection brings is then seen at once.
            self.advance(cx);
            work.as_mut().poll(cx)
        })
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(io) = &mut self.io
            && Pin::new(io).poll(cx).is_ready()
        {
            // Dropping it hands a request that was not yet taken back to whoever waits for its response.
            self.io = None;
        }
    }
}
