//! Receivers of the demo: small HTTP servers on loopback, each with a character of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

/// The moody one is out of sorts for so long ...
const MOODY_SECS: u64 = 8;
/// ... of each of these.
const MINUTE_SECS: u64 = 60;

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Character {
    /// Answers 204 at once.
    Healthy,
    /// Answers 204 after 250 ms.
    Slow,
    /// Answers 503 three times in ten, and 204 otherwise.
    Flaky,
    /// Answers 503 for the first seconds of every minute, and 204 after them.
    Moody,
    /// Answers 500, always.
    Failing,
    /// Nobody listens.
    Dead,
    /// Answers 410: wants nothing more.
    Gone,
}

impl Character {
    pub(super) const ALL: [Self; 7] =
        [Self::Healthy, Self::Slow, Self::Flaky, Self::Moody, Self::Failing, Self::Dead, Self::Gone];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Flaky => "flaky",
            Self::Moody => "moody",
            Self::Failing => "failing",
            Self::Dead => "dead",
            Self::Gone => "gone",
        }
    }

    pub(super) const fn what_it_does(self) -> &'static str {
        match self {
            Self::Healthy => "answers 204",
            Self::Slow => "answers 204 after 250 ms",
            Self::Flaky => "answers 503 three times in ten",
            Self::Moody => "answers 503 for 8 s of a minute",
            Self::Failing => "answers 500, for ever",
            Self::Dead => "nobody listens on the port",
            Self::Gone => "answers 410",
        }
    }
}

/// A receiver that listens, or would.
pub(super) struct Receiver {
    pub(super) character: Character,
    pub(super) address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Receiver {
    /// Starts listening, unless it is dead.
    pub(super) async fn start(character: Character) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicU64::new(0));
        if character == Character::Dead {
            return Ok(Self { character, address, requests });
        }
        let (counted, began) = (requests.clone(), Instant::now());
        let answer = move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move { answer(character, number, began.elapsed()).await }
        };
        let router = Router::new().route("/hook", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { character, address, requests })
    }

    /// Requests it has received.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

async fn answer(character: Character, number: u64, elapsed: Duration) -> StatusCode {
    match character {
        Character::Healthy | Character::Dead => StatusCode::NO_CONTENT,
        Character::Slow => {
            tokio::time::sleep(Duration::from_millis(250)).await;
            StatusCode::NO_CONTENT
        }
        // Seven is coprime to ten: three of ten requests, spread out.
        Character::Flaky if number * 7 % 10 < 3 => StatusCode::SERVICE_UNAVAILABLE,
        Character::Flaky => StatusCode::NO_CONTENT,
        Character::Moody if elapsed.as_secs() % MINUTE_SECS < MOODY_SECS => StatusCode::SERVICE_UNAVAILABLE,
        Character::Moody => StatusCode::NO_CONTENT,
        Character::Failing => StatusCode::INTERNAL_SERVER_ERROR,
        Character::Gone => StatusCode::GONE,
    }
}
