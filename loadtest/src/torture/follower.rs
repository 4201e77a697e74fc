//! The follower: reads what the engine says has become of deliveries, and enters it into the books.
//!
//! What it was told is stored. So it knows, from outside, what a crash may repeat and what it may not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use posthaste_protocol::client::{Client, Options};
use tokio::sync::oneshot;

use super::books::Books;

/// How long it waits after an error before it reads on.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// See the head of this file. It reads until it is stopped, whatever it is answered.
pub(super) struct Follower {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(super) fn start(address: SocketAddr, application: &'static str, books: &Arc<Books>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let books = books.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let reading = async {
                    loop {
                        read(address, application, &books).await;
                        // It was told that the log could not be read, perhaps: that is what it was broken for.
                        tokio::time::sleep(AGAIN_AFTER).await;
                    }
                };
                tokio::select! {
                    () = reading => {}
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Reads no more.
    pub(super) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.end();
    }
}

async fn read(address: SocketAddr, application: &str, books: &Books) {
    let Ok(client) = Client::connect(address.to_string(), Options::default()).await else { return };
    let mut outcomes = client.outcomes(application, books.read_on_from());
    while let Ok(outcome) = outcomes.next().await {
        books.told(outcome.id, outcome.message, outcome.state == "delivered");
    }
}
