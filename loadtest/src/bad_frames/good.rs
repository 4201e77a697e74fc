//! The good client: publishes one message after the other, on connections that it opens anew now and then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use posthaste_protocol::client::{Client, NewMessage, Options};
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::session::{self, request};
use crate::run::{Latency, Percentiles};

pub(super) const APPLICATION: &str = "good-client";
/// Messages on one connection: opening another is a thing that attackers could get in the way of.
const MESSAGES_PER_CONNECTION: u64 = 100;
/// Errors that are kept to be shown.
const ERRORS_KEPT: usize = 5;
const PAYLOAD: &[u8] = br#"{"good":true}"#;

/// See the head of this file.
pub(super) struct Good {
    state: Arc<State>,
    publishing: JoinHandle<()>,
}

struct State {
    stop: AtomicBool,
    turn: Mutex<Turn>,
}

struct Turn {
    acknowledged: u64,
    errors_count: u64,
    errors: Vec<String>,
    latency: Latency,
}

/// What it saw in a turn.
pub(super) struct Seen {
    pub(super) acknowledged: u64,
    pub(super) errors_count: u64,
    pub(super) errors: Vec<String>,
    pub(super) latency: Percentiles,
}

impl Turn {
    fn new() -> Self {
        Self { acknowledged: 0, errors_count: 0, errors: Vec::new(), latency: Latency::default() }
    }

    fn seen(self) -> Seen {
        let latency = self.latency.percentiles();
        Seen {
            acknowledged: self.acknowledged,
            errors_count: self.errors_count,
            errors: self.errors,
            latency,
        }
    }
}

impl Good {
    pub(super) fn start(to: SocketAddr, password: Option<&str>) -> Self {
        let state = Arc::new(State { stop: AtomicBool::new(false), turn: Mutex::new(Turn::new()) });
        let options = Options { password: password.map(str::to_owned), ..Options::default() };
        let publishing = tokio::spawn(state.clone().publish(to, options));
        Self { state, publishing }
    }

    /// What it saw since the last turn.
    pub(super) fn turn(&self) -> Seen {
        std::mem::replace(&mut *self.state.turn.lock(), Turn::new()).seen()
    }

    /// What it saw since the last turn, and no more.
    pub(super) async fn end(self) -> Seen {
        self.state.stop.store(true, Relaxed);
        if let Err(error) = self.publishing.await {
            self.state.error(format!("it ended: {error}"));
        }
        std::mem::replace(&mut *self.state.turn.lock(), Turn::new()).seen()
    }
}

impl State {
    async fn publish(self: Arc<Self>, to: SocketAddr, options: Options) {
        while !self.stop.load(Relaxed) {
            let client = match Client::connect(to.to_string(), options.clone()).await {
                Ok(client) => client,
                Err(error) => {
                    self.error(format!("connecting: {error}"));
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            for _ in 0..MESSAGES_PER_CONNECTION {
                let began = Instant::now();
                let message = NewMessage::new(APPLICATION, session::EVENT_TYPE, PAYLOAD);
                match client.publish(&message).await {
                    Ok(_) => self.acknowledged(began),
                    Err(error) => self.error(format!("publishing: {error}")),
                }
                if self.stop.load(Relaxed) {
                    break;
                }
            }
        }
    }

    fn acknowledged(&self, began: Instant) {
        let mut turn = self.turn.lock();
        turn.acknowledged += 1;
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        turn.latency.record(nanoseconds);
    }

    fn error(&self, text: String) {
        let mut turn = self.turn.lock();
        turn.errors_count += 1;
        if turn.errors.len() < ERRORS_KEPT {
            turn.errors.push(text);
        }
    }
}

/// How many messages of the good client are there.
pub(super) async fn stored(to: SocketAddr, password: Option<&str>) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(to).await?;
    let mut asked = password.map(|password| request(&["AUTH", password])).unwrap_or_default();
    asked.extend(request(&["XLEN", &format!("messages:{APPLICATION}")]));
    stream.write_all(&asked).await?;
    let (mut input, mut decoder) = (bytes::BytesMut::new(), ValueDecoder::new(ValueLimits::default()));
    loop {
        match decoder.decode(&mut input)? {
            Some(Value::Integer(count)) => return u64::try_from(count).context("XLEN"),
            Some(Value::Error(text)) => anyhow::bail!("{}", String::from_utf8_lossy(&text)),
            Some(_) => {}
            None => ensure!(stream.read_buf(&mut input).await? > 0, "it closed the connection"),
        }
    }
}
