//! A follower: reads the outcomes of an application over TCP and keeps them.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use posthaste_protocol::client::{Client, Options};
use posthaste_protocol::command::StreamStart;
use posthaste_protocol::{OutcomeRecord, StreamId};
use tokio::task::JoinHandle;

use super::wait::wait_until;

/// See the head of this file. It can be pointed at another process, and goes on after the last outcome it had.
pub(crate) struct Follower {
    application: &'static str,
    outcomes: Arc<Mutex<Vec<OutcomeRecord>>>,
    reading: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows from the beginning.
    pub(crate) async fn start(address: SocketAddr, application: &'static str) -> Self {
        let mut follower = Self { application, outcomes: Arc::default(), reading: None };
        follower.turn_to(address).await;
        follower
    }

    /// Goes on at another address: the process was started again.
    pub(crate) async fn turn_to(&mut self, address: SocketAddr) {
        self.stop();
        let client = Client::connect(address.to_string(), Options::default()).await.expect("it accepts");
        let start = self.last().map_or(StreamStart::BEGINNING, StreamStart::After);
        let mut stream = client.outcomes(self.application, start);
        let outcomes = self.outcomes.clone();
        self.reading = Some(tokio::spawn(async move {
            while let Ok(outcome) = stream.next().await {
                outcomes.lock().push(outcome);
            }
        }));
    }

    /// Reads no more.
    pub(crate) fn stop(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.abort();
        }
    }

    fn last(&self) -> Option<StreamId> {
        self.outcomes.lock().last().map(|outcome| outcome.id)
    }

    /// What it has read, in the order of the stream.
    pub(crate) fn outcomes(&self) -> Vec<OutcomeRecord> {
        self.outcomes.lock().clone()
    }

    /// What it has read about this message.
    pub(crate) fn outcomes_of(&self, message: StreamId) -> Vec<OutcomeRecord> {
        let mut outcomes = self.outcomes();
        outcomes.retain(|outcome| outcome.message == message);
        outcomes
    }

    /// How many deliveries it has seen end so.
    pub(crate) fn ended(&self, state: &str) -> usize {
        self.outcomes.lock().iter().filter(|outcome| outcome.state == state).count()
    }

    /// Waits until so many deliveries have ended so.
    pub(crate) async fn saw(&self, deliveries: usize, state: &str) {
        wait_until(&format!("{deliveries} deliveries {state}"), || self.ended(state) >= deliveries).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}
