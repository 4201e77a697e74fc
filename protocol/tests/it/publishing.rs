//! The client publishes: in order, within its window, and honest about what it does not know.

use std::time::Duration;

use posthaste_protocol::StreamId;
use posthaste_protocol::client::{Client, ConnectError, Disconnect, NewMessage, Options, PublishError};
use posthaste_protocol::reply::ErrorCode;
use tokio::time::{sleep, timeout};

use crate::server::{Manners, Server};

const MESSAGE: NewMessage<'static> = NewMessage {
    application: "shop",
    event_type: "order.paid",
    payload: b"{}",
    event_id: None,
    channels: &[],
    content_type: None,
    deliver_at_ms: None,
    ordering_key: None,
    url: None,
};

async fn connected(manners: Manners, options: Options) -> (Server, Client) {
    let server = Server::start(manners).await;
    let client = Client::connect(&server.address, options).await.unwrap();
    (server, client)
}

/// Waits until `server` has received this many messages, then a little longer for more than that.
async fn received(server: &Server, messages: u64) -> u64 {
    while server.messages() < messages {
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(20)).await;
    server.messages()
}

#[tokio::test]
async fn messages_are_acknowledged_in_the_order_in_which_they_were_submitted() {
    let (_server, client) = connected(Manners::default(), Options { window: 16, ..Options::default() }).await;
    let ids = client.publish_many(&[MESSAGE; 100]).await;
    let expected: Vec<_> = (0..100).map(|sequence| Ok(StreamId::new(1, sequence))).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_full_window_holds_the_next_message_back() {
    let manners = Manners { hold: true, ..Manners::default() };
    let (server, client) = connected(manners, Options { window: 3, ..Options::default() }).await;
    let publishing = {
        let client = client.clone();
        tokio::spawn(async move { client.publish_many(&[MESSAGE; 5]).await })
    };
    // The server takes one at a time while it holds; what was sent beyond waits in the socket.
    assert_eq!(received(&server, 1).await, 1);
    let fourth = timeout(Duration::from_millis(50), client.submit(&MESSAGE)).await;
    assert!(fourth.is_err(), "a fourth message was sent");
    server.allow(5);
    assert!(publishing.await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn an_acknowledgement_that_nobody_waits_for_does_not_block_the_next() {
    let (_server, client) = connected(Manners::default(), Options { window: 1, ..Options::default() }).await;
    drop(client.submit(&MESSAGE).await.unwrap());
    assert_eq!(client.publish(&MESSAGE).await, Ok(StreamId::new(1, 1)));
}

#[tokio::test]
async fn a_refusal_concerns_its_message_only() {
    let (_server, client) = connected(Manners::default(), Options::default()).await;
    let refused = NewMessage { event_type: "refused", ..MESSAGE };
    let results = client.publish_many(&[MESSAGE, refused, MESSAGE]).await;
    let Err(PublishError::Refused(error)) = &results[1] else { panic!("{results:?}") };
    assert_eq!((error.code, error.text.as_str()), (ErrorCode::Conflict, "event id is taken"));
    assert!(results[0].is_ok() && results[2].is_ok());
}

#[tokio::test]
async fn what_was_sent_but_not_answered_is_reported_as_unknown_and_the_next_call_reconnects() {
    let manners = Manners { close_at: Some(3), ..Manners::default() };
    let (server, client) = connected(manners, Options::default()).await;
    assert!(client.publish(&MESSAGE).await.is_ok());
    let error = client.publish(&MESSAGE).await.unwrap_err();
    assert!(matches!(error, PublishError::Unacknowledged(_)), "{error:?}");
    assert!(client.publish(&MESSAGE).await.is_ok());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let manners = Manners { hold: true, ..Manners::default() };
    let reply_timeout = Duration::from_millis(30);
    let (_server, client) = connected(manners, Options { reply_timeout, ..Options::default() }).await;
    let expected = PublishError::Unacknowledged(Disconnect::TimedOut { after: reply_timeout });
    assert_eq!(client.publish(&MESSAGE).await, Err(expected));
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_given_up() {
    let (_server, client) =
        connected(Manners { garbage: true, ..Manners::default() }, Options::default()).await;
    let error = client.publish(&MESSAGE).await.unwrap_err();
    assert!(matches!(error, PublishError::Unacknowledged(Disconnect::Garbled(_))), "{error:?}");
}

#[tokio::test]
async fn a_password_is_given_at_once_and_a_wrong_one_is_told() {
    let server = Server::start(Manners { password: Some("secret"), ..Manners::default() }).await;
    let with = |password: &str| Options { password: Some(password.to_owned()), ..Options::default() };
    assert!(Client::connect(&server.address, with("secret")).await.is_ok());
    let Err(ConnectError::Refused(error)) = Client::connect(&server.address, with("guess")).await else {
        panic!("a wrong password is accepted")
    };
    assert_eq!(error.code, ErrorCode::WrongPass);
    assert!(!format!("{:?}", with("secret")).contains("secret"));
}

#[tokio::test]
async fn nothing_listening_is_an_error_and_not_a_wait() {
    let error = Client::connect("127.0.0.1:1", Options::default()).await.err();
    assert!(matches!(error, Some(ConnectError::Failed(Disconnect::Io { .. }))), "{error:?}");
}
