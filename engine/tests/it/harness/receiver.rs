//! A receiver: an HTTP server on loopback that answers as told and notes what it gets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use posthaste_protocol::StreamId;
use tokio::net::TcpListener;

use super::wait::wait_until;

/// What a receiver answers to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This status.
    Status(u16),
    /// This status, and `Retry-After` with so many seconds.
    RetryAfter(u16, u32),
    /// This status, after so long.
    After(Duration, u16),
    /// This status and this body.
    Body(u16, &'static str),
    /// This status, content type and body.
    Typed(u16, &'static str, String),
    /// Nothing, ever.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Received {
    /// The value of a header; empty if it was not sent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The id of the message: the same for every attempt of it.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }
}

/// Decides what to answer; told the request and how many were made with its id before.
type Manner = Box<dyn Fn(&Received, usize) -> Answer + Send>;

/// See the head of this file. It lives as long as the runtime of its test, whatever becomes of the sender.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    received: Vec<Received>,
    by_id: HashMap<String, usize>,
}

impl Receiver {
    /// A receiver that always answers this.
    pub(crate) async fn answering(answer: Answer) -> Self {
        Self::behaving(move |_, _| answer.clone()).await
    }

    /// A receiver that decides with each request, told the request and how many it had with that id before.
    pub(crate) async fn behaving(manner: impl Fn(&Received, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::serve(listener, Box::new(manner))
    }

    /// A receiver that answers 204, where nobody has listened so far.
    pub(crate) async fn listening_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        Self::serve(listener, Box::new(|_, _| Answer::Status(204)))
    }

    fn serve(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { manner: Mutex::new(manner), notes: Mutex::default() });
        let router = Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// From now on it answers this.
    pub(crate) fn answers(&self, answer: Answer) {
        *self.shared.manner.lock() = Box::new(move |_, _| answer.clone());
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// How many requests it had.
    pub(crate) fn count(&self) -> usize {
        self.shared.notes.lock().received.len()
    }

    /// How many different messages it had.
    pub(crate) fn messages(&self) -> usize {
        self.shared.notes.lock().by_id.len()
    }

    /// How many requests it had with each message's id.
    pub(crate) fn by_id(&self) -> HashMap<String, usize> {
        self.shared.notes.lock().by_id.clone()
    }

    /// How many requests it had with this message's id.
    pub(crate) fn count_of(&self, id: &str) -> usize {
        self.shared.notes.lock().by_id.get(id).copied().unwrap_or(0)
    }

    /// All requests it had, in their order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.notes.lock().received.clone()
    }

    /// The requests with this message's id.
    pub(crate) fn received_of(&self, id: &str) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|one| one.id() == id);
        received
    }

    /// Waits until it had so many requests, or more.
    pub(crate) async fn had(&self, requests: usize) {
        wait_until(&format!("{requests} requests"), || self.count() >= requests).await;
    }

    /// Waits until it had this message.
    pub(crate) async fn had_message(&self, message: StreamId) {
        let id = format!("msg_{message}");
        wait_until(&format!("{id} to arrive"), || self.count_of(&id) > 0).await;
    }

    /// Waits until it had so many different messages, or more.
    pub(crate) async fn had_messages(&self, messages: usize) {
        wait_until(&format!("{messages} messages"), || self.messages() >= messages).await;
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let received = Received { headers, body, at: Instant::now() };
    let before = {
        let mut notes = shared.notes.lock();
        let count = notes.by_id.entry(received.id().to_owned()).or_default();
        *count += 1;
        let before = *count - 1;
        notes.received.push(received.clone());
        before
    };
    let answer = (shared.manner.lock())(&received, before);
    match answer {
        Answer::Status(code) => status(code).into_response(),
        Answer::RetryAfter(code, seconds) => {
            (status(code), [("retry-after", seconds.to_string())]).into_response()
        }
        Answer::After(wait, code) => {
            tokio::time::sleep(wait).await;
            status(code).into_response()
        }
        Answer::Body(code, body) => (status(code), body).into_response(),
        Answer::Typed(code, kind, body) => (status(code), [("content-type", kind)], body).into_response(),
        Answer::Hang => std::future::pending().await,
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}
