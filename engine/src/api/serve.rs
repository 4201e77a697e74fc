//! Serving HTTP/1.1: each connection with its bounds, whatever its bytes travel over.
//!
//! ```text
//!   door --> connection --> head --> body --> handler --> answer --+
//!                            ^                                     |
//!                            +------------ idle <------------------+
//! ```
//!
//! How long each of these may last is watched below HTTP (`watched`), where a client that sends its bytes one by one cannot
//! escape it. An answer may take as long as it likes, if some of it is taken now and then: what is held for it is bounded.
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
use crate::listener::{Door, HANDSHAKE_TIMEOUT, NoPlace, Place, Places, Transport, Visitor};
use crate::metrics::{Counted, Metrics};

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
    let place = Arc::new(place);
    let _counted = Counted::new(&server.metrics.api_connections);
    let conversation = async {
        match transport {
            Transport::Plain(stream) => converse(&server, stream, peer, place.clone(), stop).await,
            Transport::Tls(stream) => converse(&server, *stream, peer, place.clone(), stop).await,
        }
    };
    tokio::select! {
        biased;
        () = place.lost() => {
            server.metrics.api_connections_refused.inc();
            tracing::debug!(%peer, "closed before it showed who it is: its place is another's");
        }
        () = conversation => {}
    }
}

/// `place` goes along with each request: who shows by it that they may come in keeps it.
async fn converse<S>(
    server: &Server,
    stream: S,
    peer: SocketAddr,
    place: Arc<Place>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let phase = Phase::new(server.patience);
    let stream = TokioIo::new(Watched::new(stream, phase.clone()));
    let router = TowerToHyperService::new(server.router.clone());
    let service = service_fn(|request: http::Request<Incoming>| {
        let mut request = request.map(|body| axum::body::Body::new(Arriving::new(body, phase.clone())));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(place.clone());
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
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Patience = Patience { request: Duration::from_secs(2), idle: Duration::from_secs(5) };

    async fn panicking() {
        panic!("as a test wants it");
    }

    /// A server that panics at whatever is asked.
    fn fragile(places: &Arc<Places>) -> Arc<Server> {
        let router = Router::new().route("/", get(panicking));
        Arc::new(Server { router, places: places.clone(), patience: PATIENCE, metrics: Metrics::new() })
    }

    /// Somebody who asks for something and has this place, and their end of the connection.
    async fn asking(place: Place) -> (Visitor, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).await.expect("it accepts");
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is taken");
        let (socket, peer) = listener.accept().await.expect("a client");
        (Visitor::plain(socket, peer, place), client)
    }

    #[tokio::test]
    async fn who_lost_the_place_before_a_request_was_read_is_not_served_and_the_next_one_finds_a_place() {
        let places = Places::new("api", 1, 1_000);
        let server = fragile(&places);
        let (_never, stop) = watch::channel(false);
        // More often than there can be visitors on their way out.
        for _ in 0..200 {
            let (visitor, mut client) = asking(places.take([192, 0, 2, 1].into()).expect("a place")).await;
            let newcomer = places.take([192, 0, 2, 2].into()).expect("the stranger's place");
            serve(server.clone(), visitor, stop.clone()).await;
            let mut said = Vec::new();
            // What was asked has not been read: that may be a reset.
            let _ = client.read_to_end(&mut said).await;
            assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
            drop(newcomer);
        }
        assert_eq!((places.taken(), server.metrics.api_connections_refused.get()), (0, 200));
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_a_panic_is_no_longer_counted() {
        let places = Places::new("api", 1, 1);
        let server = fragile(&places);
        let (_never, stop) = watch::channel(false);
        let (visitor, _client) = asking(places.take([192, 0, 2, 1].into()).expect("a place")).await;
        let served = tokio::spawn(serve(server.clone(), visitor, stop)).await;
        assert!(served.expect_err("it panics").is_panic());
        assert_eq!((server.metrics.api_connections.get(), places.taken()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_when_it_was_idle_however_long_its_last_answer_took() {
        let seconds = Duration::from_secs;
        for took in [0, 1, 60].map(seconds) {
            let slow = move || async move { tokio::time::sleep(took).await };
            let server = Server {
                router: Router::new().route("/", get(slow)),
                places: Places::new("api", 1, 1),
                patience: PATIENCE,
                metrics: Metrics::new(),
            };
            let (mut client, stream) = tokio::io::duplex(1 << 10);
            let (_never, stop) = watch::channel(false);
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let begun = Instant::now();
            // A task of its own: nothing but its own deadlines wakes it.
            let place = Arc::new(server.places.take(peer.ip()).expect("a place"));
            tokio::spawn(async move { converse(&server, stream, peer, place, stop).await });
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
