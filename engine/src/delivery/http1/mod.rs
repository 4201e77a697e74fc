//! A connection that speaks HTTP/1.1: one exchange at a time.
//!
//! ```text
//!   idle --send--> writing, reading --head--> reading the body --done--> idle, if both sides want it
//! ```
//!
//! It has no task of its own: whoever waits for its response drives it, one wake-up for an exchange. A request is
//! written in one piece, head and payload together; a response is read into a buffer that all connections of a
//! shard share, so that an idle connection holds none.
//!
//! The exchange is ours because it is most of what a delivery costs (decision 0009). The parser of heads is
//! httparse, which hyper uses too.
//!
//! Not here: what the bytes mean (`reader`), and how long to wait for them (`deadline`).

mod chunked;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod head;
mod reader;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::deadline::Timer;
use super::failure::{AllowanceSpent, Failure};
use super::lease::{OpenCount, Unanswered};
use super::response::{Head, ResponseLimits};
use super::stream::Stream;
use crate::core::outcome::Outcome;
use reader::ResponseReader;

/// The longest head of a response, and the most of it that is held at once.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// What is read at once: a record of TLS.
const READ_BYTES: usize = 16 * 1_024;
/// A payload up to this size is copied behind its head: the system takes one piece more cheaply than two.
const COPIED_BYTES_MAX: usize = 4 * 1_024;

/// What is wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Malformed {
    #[error("{0}")]
    Head(httparse::Error),
    #[error("its head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("its content-length is not one number")]
    Length,
    #[error("it has a transfer-encoding, which HTTP/1.0 does not know")]
    Encoding,
    #[error("a chunk of its body is not framed as RFC 9112 section 7.1 says")]
    Chunk,
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::new(Outcome::ProtocolError, format!("the response is not valid HTTP: {malformed}"))
    }
}

/// The buffer that the connections of a shard read into.
#[derive(Clone)]
pub(super) struct ReadBuffer(Rc<RefCell<Box<[u8]>>>);

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(vec![0; READ_BYTES].into())))
    }
}

/// A request on its way out.
pub(super) struct Outgoing {
    /// The head, and a small payload behind it.
    head: Vec<u8>,
    /// A payload that is not small.
    payload: Bytes,
    written: usize,
    /// Whether nothing of it waits inside TLS any more.
    is_flushed: bool,
    /// Set when the receiver took no more of it. It may have answered all the same.
    broken: Option<io::Error>,
}

impl Outgoing {
    pub(super) fn new(mut head: Vec<u8>, mut payload: Bytes) -> Self {
        if payload.len() <= COPIED_BYTES_MAX {
            head.extend_from_slice(&payload);
            payload = Bytes::new();
        }
        Self { head, payload, written: 0, is_flushed: false, broken: None }
    }

    /// Bytes to reserve behind a head for what [`Self::new`] copies there.
    pub(super) fn copied_bytes(payload: &[u8]) -> usize {
        if payload.len() <= COPIED_BYTES_MAX { payload.len() } else { 0 }
    }

    fn is_written(&self) -> bool {
        self.written == self.head.len() + self.payload.len()
    }

    /// What is left to write, in two pieces.
    fn rest(&self) -> [IoSlice<'_>; 2] {
        let head = self.head.get(self.written..).unwrap_or_default();
        let payload = &self.payload[self.written.saturating_sub(self.head.len())..];
        [IoSlice::new(head), IoSlice::new(payload)]
    }
}

/// One connection, driven by its user.
pub(super) struct Http1 {
    stream: Stream,
    /// The request of the exchange under way.
    request: Outgoing,
    reader: ResponseReader,
    buffer: ReadBuffer,
    /// Bytes that may still be read in this exchange.
    allowance: u64,
    /// Whether the last exchange came to its proper end.
    is_idle: bool,
    /// Kept with the connection, because setting a timer anew for each request would cost more than it is worth.
    pub(super) timer: Timer,
    /// When the egress policy permitted its address: its age counts from here.
    pub(super) permitted_at: Instant,
    _open: OpenCount,
}

impl Http1 {
    /// Takes over a stream that is open. No byte is exchanged yet.
    pub(super) fn new(
        stream: Stream,
        buffer: ReadBuffer,
        limits: ResponseLimits,
        permitted_at: Instant,
        open: OpenCount,
    ) -> Self {
        Self {
            stream,
            request: Outgoing::new(Vec::new(), Bytes::new()),
            reader: ResponseReader::new(limits),
            buffer,
            allowance: 0,
            is_idle: true,
            timer: Timer::default(),
            permitted_at,
            _open: open,
        }
    }

    /// Whether another request may be sent: both sides are done with the last one, and nothing has come
    /// since, neither an end nor bytes that nobody asked for.
    pub(super) fn is_usable(&mut self) -> bool {
        self.is_idle && self.stream.is_silent()
    }

    /// Whether the exchange came to an end after which there may be another.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Sends a request and waits for the head of its response.
    pub(super) fn send(
        &mut self,
        request: Outgoing,
        limits: ResponseLimits,
    ) -> impl Future<Output = Result<Head, Unanswered>> {
        self.request = request;
        self.reader = ResponseReader::new(limits);
        self.allowance = limits.exchange_bytes_max();
        self.is_idle = false;
        poll_fn(|cx| self.poll_head(cx))
    }

    /// Reads the body that belongs to the head. What is left of the request is sent meanwhile: some receivers begin
    /// to answer before they have read it.
    pub(super) fn read_body(&mut self) -> impl Future<Output = Result<Bytes, Failure>> {
        poll_fn(|cx| {
            self.write(cx);
            while !self.reader.is_done() {
                ready!(self.poll_read(cx))?;
            }
            // An answer to half a request leaves the other half in the way of the next one.
            let is_sent = self.request.is_flushed && self.request.broken.is_none();
            self.is_idle = is_sent && self.reader.keeps_alive();
            self.request = Outgoing::new(Vec::new(), Bytes::new());
            Poll::Ready(Ok(self.reader.take_body()))
        })
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Unanswered>> {
        self.write(cx);
        if self.is_unsent() && self.request.broken.is_some() {
            return Poll::Ready(Err(Unanswered::NotSent));
        }
        loop {
            if let Some(head) = self.reader.take_head() {
                // What was said before a byte of the request was sent is no answer to it.
                return Poll::Ready(if self.is_unsent() { Err(Unanswered::NotSent) } else { Ok(head) });
            }
            match ready!(self.poll_read(cx)) {
                Ok(()) => {}
                Err(_) if self.is_unsent() => return Poll::Ready(Err(Unanswered::NotSent)),
                Err(failure) => {
                    let broken = self.request.broken.take();
                    let failure = broken.map_or(failure, |error| Failure::from_io(&error));
                    return Poll::Ready(Err(Unanswered::Failed(failure)));
                }
            }
        }
    }

    /// Whether not a byte of the request can have reached the receiver. A write into TLS that failed may have sent
    /// a part of it before.
    fn is_unsent(&self) -> bool {
        let may_be_partial = self.request.broken.is_some() && matches!(self.stream, Stream::Tls(_));
        self.request.written == 0 && !may_be_partial
    }

    /// Writes as much of the request as the socket takes, and what waits inside TLS.
    fn write(&mut self, cx: &mut Context<'_>) {
        let request = &mut self.request;
        if request.is_flushed || request.broken.is_some() {
            return;
        }
        while !request.is_written() {
            let stream = Pin::new(&mut self.stream);
            let written = match request.rest() {
                [head, payload] if payload.is_empty() => stream.poll_write(cx, &head),
                both => stream.poll_write_vectored(cx, &both),
            };
            match written {
                Poll::Ready(Ok(bytes)) if bytes > 0 => request.written += bytes,
                Poll::Ready(result) => {
                    request.broken = Some(result.err().unwrap_or(io::ErrorKind::WriteZero.into()));
                    return;
                }
                Poll::Pending => return,
            }
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => request.is_flushed = true,
            Poll::Ready(Err(error)) => request.broken = Some(error),
            Poll::Pending => {}
        }
    }

    /// Reads once and takes in what came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut buffer = self.buffer.0.borrow_mut();
        let mut buffer = ReadBuf::new(&mut buffer);
        if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
            return Poll::Ready(Err(Failure::from_io(&error)));
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            let complete = self.reader.close();
            return Poll::Ready(if complete { Ok(()) } else { Err(Failure::broken_off()) });
        }
        self.allowance = match self.allowance.checked_sub(bytes.len() as u64) {
            Some(left) => left,
            None => return Poll::Ready(Err(AllowanceSpent.into())),
        };
        Poll::Ready(self.reader.feed(bytes).map_err(Failure::from))
    }
}
