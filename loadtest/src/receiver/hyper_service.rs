//! Connections over TLS, and HTTP/2: hyper speaks, the behaviours are those of everybody.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::bail;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Body, FILLER, Note, Reply};
use super::request::Request;
use super::worker::Worker;

/// Requests in flight on one connection of HTTP/2.
const STREAMS_MAX: u32 = 1024;

/// Serves until either side closes.
pub(super) async fn serve<S>(stream: S, worker: Worker)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| serve_request(worker.clone(), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS_MAX);
    // An error ends this connection, which is all that there is to do about it.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

type ReplyBody = Either<Full<Bytes>, Filler>;

async fn serve_request(
    worker: Worker,
    request: hyper::Request<Incoming>,
) -> anyhow::Result<Response<ReplyBody>> {
    let (parts, body) = request.into_parts();
    let body_bytes_max = worker.shared.rules.body_bytes_max;
    // What says beforehand that it is too large is not read.
    if body.size_hint().lower() > body_bytes_max as u64 {
        return Ok(too_large(&worker));
    }
    let body = match Limited::new(body, body_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(too_large(&worker)),
        Err(error) => bail!(error),
    };
    let text = |name: &str| text_of(&parts.headers, name);
    let request = Request {
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
        webhook_id: text("webhook-id"),
        webhook_timestamp: text("webhook-timestamp"),
        webhook_signature: text("webhook-signature"),
        body: &body,
    };
    match worker.receive(&request, Instant::now()) {
        Reply::Now(answer) => Ok(response(answer)),
        Reply::After(time, answer) => {
            let _in_flight = worker.in_flight();
            tokio::time::sleep(time).await;
            Ok(response(answer))
        }
        Reply::Never => {
            let _in_flight = worker.in_flight();
            std::future::pending().await
        }
        // HTTP/1.1: the connection is closed. HTTP/2: the stream is reset.
        Reply::Close => bail!("dropped, as asked for"),
    }
}

fn too_large(worker: &Worker) -> Response<ReplyBody> {
    worker.counters().refused();
    response(Answer::bare(413))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn response(answer: Answer) -> Response<ReplyBody> {
    let body = match answer.body {
        Body::Empty => Either::Left(Full::default()),
        Body::Text(text) => Either::Left(Full::from(text)),
        Body::Filler(left) => Either::Right(Filler { left }),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let note = match answer.note {
        Note::None => None,
        Note::Location(target) => Some((LOCATION, HeaderValue::from_static(target))),
        Note::RetryAfter(seconds) => Some((RETRY_AFTER, seconds.into())),
        Note::ContentType(kind) => Some((CONTENT_TYPE, HeaderValue::from_static(kind))),
    };
    response.headers_mut().extend(note);
    response
}

/// So many bytes of filler, a piece at a time.
struct Filler {
    left: usize,
}

impl hyper::body::Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.left.min(FILLER.len());
        self.left -= bytes;
        let piece = Bytes::from_static(&FILLER[..bytes]);
        Poll::Ready((bytes > 0).then_some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
