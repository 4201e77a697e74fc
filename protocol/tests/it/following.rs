//! The client follows outcomes: every one once, across lost connections.

use std::time::Duration;

use posthaste_protocol::StreamId;
use posthaste_protocol::client::{Client, FollowError, Options};
use posthaste_protocol::command::StreamStart;

use crate::server::{Manners, Server};

fn patient() -> Options {
    Options { reconnect_wait: Duration::from_millis(1), ..Options::default() }
}

async fn follow(
    manners: Manners,
    application: &str,
    outcomes: u64,
) -> (Server, Result<Vec<StreamId>, FollowError>) {
    let server = Server::start(manners).await;
    let client = Client::connect(&server.address, patient()).await.unwrap();
    let mut follower = client.outcomes(application, StreamStart::BEGINNING);
    let mut ids = Vec::new();
    for _ in 0..outcomes {
        match follower.next().await {
            Ok(record) => ids.push(record.id),
            Err(error) => return (server, Err(error)),
        }
    }
    assert_eq!(follower.position(), StreamStart::After(StreamId::new(0, outcomes)));
    (server, Ok(ids))
}

fn expected(outcomes: u64) -> Vec<StreamId> {
    (1..=outcomes).map(|sequence| StreamId::new(0, sequence)).collect()
}

#[tokio::test]
async fn outcomes_come_in_order() {
    let (_, ids) = follow(Manners::default(), "shop", 7).await;
    assert_eq!(ids, Ok(expected(7)));
}

#[tokio::test]
async fn a_lost_connection_neither_skips_nor_repeats_outcomes() {
    // Each connection answers its HELLO and one read, and breaks off in the second.
    let (server, ids) = follow(Manners { close_at: Some(3), ..Manners::default() }, "shop", 7).await;
    assert_eq!(ids, Ok(expected(7)));
    assert_eq!(server.connections(), 1 + 4);
}

#[tokio::test]
async fn a_refused_read_is_reported() {
    let (_, ids) = follow(Manners::default(), "unknown", 1).await;
    let Err(FollowError::Refused(error)) = ids else { panic!("{ids:?}") };
    assert_eq!(error.text, "application 'unknown' does not exist");
}
