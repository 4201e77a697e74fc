//! A connection in the hands of one attempt, whichever version of HTTP it speaks.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::failure::Failure;
use super::http1::Http1;
use super::http2::Http2Stream;
use super::request::Signed;
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
    pub(super) fn from_error(mut error: TrySendError<Request<Full<Bytes>>>) -> Self {
        match error.take_message() {
            Some(_) => Self::NotSent,
            None => Self::Failed(Failure::from_http(&error.into_error())),
        }
    }
}

impl Lease {
    /// Sends a request to `target` and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        signed: &Signed,
    ) -> Result<Response<Incoming>, Unanswered> {
        match self {
            Self::Http1(connection) => connection.send(signed.request(target, Version::HTTP_11)).await,
            Self::Http2(stream) => stream.send(signed.request(target, Version::HTTP_2)).await,
        }
    }

    /// Moves the connection's bytes while `work` waits for them.
    pub(super) async fn drive<F: Future>(&mut self, work: Pin<&mut F>) -> F::Output {
        match self {
            Self::Http1(connection) => connection.drive(work).await,
            Self::Http2(_) => work.await,
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
