//! A connection in the hands of one attempt, whichever version of HTTP it speaks.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::deadline::Deadline;
use super::failure::Failure;
use super::http1::{Http1, Outgoing};
use super::http2::Http2Stream;
use super::request::Request;
use super::response::{Head, ResponseLimits};
use super::target::Target;

/// The use of a connection for one exchange.
pub(super) enum Lease {
    /// The connection itself: nobody else uses it meanwhile.
    Http1(Box<Http1>),
    /// One stream of a shared connection.
    Http2(Http2Stream),
}

/// A request without response.
pub(super) enum Unanswered {
    /// Not a byte of it was written: it may be sent over another connection.
    NotSent,
    /// It may have reached the receiver.
    Failed(Failure),
}

impl Unanswered {
    /// hyper gives the request back exactly if it was never begun.
    pub(super) fn from_error(mut error: TrySendError<http::Request<Full<Bytes>>>) -> Self {
        match error.take_message() {
            Some(_) => Self::NotSent,
            None => Self::Failed(Failure::from_http2(&error.into_error())),
        }
    }
}

impl Lease {
    /// Sends a request to `target` and waits for the head of its response, of which so much is to be kept.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        request: &Request<'_>,
        limits: ResponseLimits,
    ) -> Result<Head, Unanswered> {
        match self {
            Self::Http1(connection) => {
                let outgoing = Outgoing::new(request.http1_head(target), request.payload().clone());
                connection.send(outgoing, limits).await
            }
            Self::Http2(stream) => stream.send(request.http2(target), limits).await,
        }
    }

    /// Reads the body behind that head.
    pub(super) async fn read_body(&mut self, limits: ResponseLimits) -> Result<Bytes, Failure> {
        match self {
            Self::Http1(connection) => connection.read_body().await,
            Self::Http2(stream) => stream.read_body(limits).await,
        }
    }

    /// Changes timers with a deadline: before an exchange, and back after it.
    pub(super) fn swap_timer(&mut self, deadline: &mut Deadline) {
        if let Self::Http1(connection) = self {
            deadline.swap_timer(&mut connection.timer);
        }
    }

    /// Its request, sent at `began`, was not answered in time.
    pub(super) fn distrust(&self, began: Instant) {
        // An HTTP/1.1 connection is closed with its lease anyway.
        if let Self::Http2(stream) = self {
            stream.distrust(began);
        }
    }
}

/// Counts a connection for as long as it is open.
pub(super) struct OpenCount(Rc<Cell<usize>>);

impl OpenCount {
    pub(super) fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
