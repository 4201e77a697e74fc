//! The client for Rust programs: publish messages, follow outcomes.
//!
//! All messages of a [`Client`] share one connection. They are sent as fast as the window of messages that
//! await their acknowledgement allows, and acknowledged in the order in which they were sent:
//!
//! ```text
//!   submit ──window──> outbox ──writer──> server
//!                        │ waiting, in order
//!   Acknowledgement <────┴────reader──── server
//! ```
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use posthaste_protocol::client::{Client, NewMessage, Options};
//!
//! let client = Client::connect("127.0.0.1:7480", Options::default()).await?;
//! let message = NewMessage::new("shop", "order.paid", br#"{"order":7}"#).event_id("order-7-paid");
//! let id = client.publish(&message).await?;
//! # Ok(()) }
//! ```
//!
//! Invariants
//! - At most `Options::window` messages await their acknowledgement; a further one waits before it is sent.
//! - A message whose acknowledgement did not come is never sent again by the client: whether to repeat it is
//!   for the caller to say, who knows whether it has an event id.

mod connection;
mod dialler;
mod error;
mod link;
mod message;
mod options;
mod outcomes;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{Mutex, oneshot};

use crate::StreamId;
use crate::command::StreamStart;
use crate::value::Value;
use connection::Connection;
use link::Link;

pub use dialler::{Dialler, Stream};
pub use error::{ConnectError, Disconnect, FollowError, PublishError, ServerError};
pub use message::{NewMessage, NewUrl};
pub use options::Options;
pub use outcomes::Outcomes;

/// A handle on one connection to a server; clones share it.
///
/// When the connection ends, the next call opens another.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    dialler: Dialler,
    options: Options,
    link: Mutex<Arc<Link>>,
}

impl Client {
    /// Connects to `address` (`host:port`), agrees on RESP3 and authenticates.
    ///
    /// # Errors
    /// When the server cannot be reached in time, or refuses.
    pub async fn connect(address: impl Into<String>, options: Options) -> Result<Self, ConnectError> {
        Self::connect_with(Dialler::tcp(address), options).await
    }

    /// As [`Self::connect`], over connections that `dialler` opens: TLS, for example.
    ///
    /// # Errors
    /// When the server cannot be reached in time, or refuses.
    pub async fn connect_with(dialler: Dialler, options: Options) -> Result<Self, ConnectError> {
        let link = Link::start(Connection::open(&dialler, &options).await?, &options);
        Ok(Self { shared: Arc::new(Shared { dialler, options, link: Mutex::new(Arc::new(link)) }) })
    }

    /// Publishes a message. After `Ok` it is stored, and survives power loss.
    ///
    /// # Errors
    /// [`PublishError`] says whether the message may have been stored all the same.
    pub async fn publish(&self, message: &NewMessage<'_>) -> Result<StreamId, PublishError> {
        self.submit(message).await?.await
    }

    /// Publishes messages, as many at a time as the window allows: one result each, in order.
    pub async fn publish_many(&self, messages: &[NewMessage<'_>]) -> Vec<Result<StreamId, PublishError>> {
        let mut submitted = Vec::with_capacity(messages.len());
        for message in messages {
            submitted.push(self.submit(message).await);
        }
        let mut results = Vec::with_capacity(messages.len());
        for acknowledgement in submitted {
            results.push(match acknowledgement {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            });
        }
        results
    }

    /// Hands a message to the connection and returns without waiting for the acknowledgement; waits only
    /// while the window is full.
    ///
    /// # Errors
    /// When the message was not sent.
    pub async fn submit(&self, message: &NewMessage<'_>) -> Result<Acknowledgement, PublishError> {
        message.check()?;
        let link = self.link().await.map_err(PublishError::NotConnected)?;
        let answer = link.submit(message).await.map_err(|end| PublishError::NotConnected(end.into()))?;
        Ok(Acknowledgement { answer, _link: link })
    }

    /// Follows what becomes of an application's messages, on a connection of its own that is opened at the
    /// first read.
    pub fn outcomes(&self, application: &str, from: StreamStart) -> Outcomes {
        Outcomes::new(self.shared.dialler.clone(), self.shared.options.clone(), application, from)
    }

    async fn link(&self) -> Result<Arc<Link>, ConnectError> {
        let mut link = self.shared.link.lock().await;
        if link.has_ended() {
            let connection = Connection::open(&self.shared.dialler, &self.shared.options).await?;
            *link = Arc::new(Link::start(connection, &self.shared.options));
        }
        Ok(Arc::clone(&link))
    }
}

/// The answer to come for one message. Dropped, the message is published all the same.
#[must_use = "whether the message was stored is known only from its acknowledgement"]
pub struct Acknowledgement {
    answer: oneshot::Receiver<Result<Value, Disconnect>>,
    /// Keeps the connection until the answer is here.
    _link: Arc<Link>,
}

impl Future for Acknowledgement {
    type Output = Result<StreamId, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| match answer {
            Ok(Ok(value)) => acknowledged(value),
            Ok(Err(end)) => Err(PublishError::Unacknowledged(end)),
            Err(_) => Err(PublishError::Unacknowledged(Disconnect::Closed)),
        })
    }
}

fn acknowledged(value: Value) -> Result<StreamId, PublishError> {
    if let Value::Error(text) = &value {
        return Err(PublishError::Refused(ServerError::parse(text)));
    }
    let id = value.as_bytes().and_then(|text| StreamId::parse(text, 0).ok());
    id.ok_or(PublishError::Unacknowledged(Disconnect::Unexpected))
}
