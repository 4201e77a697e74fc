//! Serving HTTP/1.1: each connection with its bounds, whatever its bytes travel over.
//!
//! ```text
//!   door --> connection --> head --> body --> handler --> answer --+
//!                            ^                                     |
//!                            +------------ idle <------------------+
//! ```
//!
//! How long each of these may last is watched below HTTP (`watched`), where a client that sends or takes its bytes one
//! by one cannot escape it.
//!
//! HTTP/2 is not offered: nothing here needs it, and it brings ways to make a server work that are hard to bound.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::phase::{Answering, Arriving, Phase};
use super::watched::Watched;
use crate::listener::{Door, HANDSHAKE_TIMEOUT, NoPlace, Places, Transport, Visitor};
use crate::metrics::Metrics;

/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// Bytes of a request's line and headers.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// What a connection reads ahead, and writes together.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// What is offered in a TLS handshake (ALPN).
pub(crate) const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// What the connections work with.
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) places: Arc<Places>,
    pub(crate) patience: Patience,
    pub(crate) metrics: Arc<Metrics>,
}

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// To send a request, and to take the next part of an answer.
    pub(crate) request: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
}

/// Serves whoever comes in by this door, until told to stop.
pub(crate) async fn listen(server: Arc<Server>, door: Door, stop: watch::Receiver<bool>) {
    let (places, metrics) = (server.places.clone(), server.metrics.clone());
    let serve = |visitor| {
        tokio::spawn(serve(server.clone(), visitor, stop.clone()));
    };
    let refuse = |none: &NoPlace| {
        metrics.api_connections_refused.inc();
        refusal(none)
    };
    door.accept(places, stop.clone(), serve, refuse).await;
}

/// An answer in HTTP for somebody whose request is not read.
fn refusal(none: &NoPlace) -> String {
    let body = json!({ "code": "too_many_connections", "detail": none.to_string() }).to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(server: Arc<Server>, visitor: Visitor, stop: watch::Receiver<bool>) {
    let (peer, deadline) = (visitor.peer, visitor.since + HANDSHAKE_TIMEOUT);
    let Some((transport, place)) = visitor.transport(deadline).await else { return };
    // Who asks says so with each request.
    place.keep();
    server.metrics.api_connections.inc();
    match transport {
        Transport::Plain(stream) => converse(&server, stream, peer, stop).await,
        Transport::Tls(stream) => converse(&server, *stream, peer, stop).await,
    }
    server.metrics.api_connections.dec();
}

async fn converse<S>(server: &Server, stream: S, peer: SocketAddr, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let phase = Phase::new(server.patience);
    let stream = TokioIo::new(Watched::new(stream, phase.clone()));
    let router = TowerToHyperService::new(server.router.clone());
    let service = service_fn(|request: http::Request<Incoming>| {
        let mut request = request.map(|body| axum::body::Body::new(Arriving::new(body, phase.clone())));
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, phase) = (router.call(request), phase.clone());
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| Answering::new(body, phase)))
        }
    });
    let connection = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    let stopped = async move {
        // An engine that is gone has stopped too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stopped => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            // What is being answered is answered; nothing further is read.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection to the API ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_when_it_was_idle_however_long_its_last_answer_took() {
        let seconds = Duration::from_secs;
        for took in [0, 1, 60].map(seconds) {
            let slow = move || async move { tokio::time::sleep(took).await };
            let server = Server {
                router: Router::new().route("/", get(slow)),
                places: Places::new("api", 1, 1),
                patience: Patience { request: seconds(2), idle: seconds(5) },
                metrics: Metrics::new(),
            };
            let (mut client, stream) = tokio::io::duplex(1 << 10);
            let (_never, stop) = watch::channel(false);
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let begun = Instant::now();
            // A task of its own: nothing but its own deadlines wakes it.
            tokio::spawn(async move { converse(&server, stream, peer, stop).await });
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
            let mut said = String::new();
            let ended = tokio::time::timeout(seconds(600), client.read_to_string(&mut said)).await;
            ended.expect("it is not kept for ever").expect("it ends");
            assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
            let idle = begun.elapsed() - took;
            assert!(idle >= seconds(5) && idle < seconds(6), "{idle:?} after an answer that took {took:?}");
        }
    }
}
