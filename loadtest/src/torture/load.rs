//! Load: publishers at full speed, as many messages under way as they may have, until they are told to stop or the
//! engine goes away.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use posthaste_protocol::StreamId;
use posthaste_protocol::value::Value;

use super::body;
use super::books::Books;
use super::trial::{APPLICATION, CHANNELS, EVENT_TYPE};
use crate::run::link::{Link, Read, Replies};

/// Connections that publish.
const PUBLISHERS: usize = 2;
/// Messages of each that wait for their acknowledgement.
const WINDOW: usize = 64;
/// Acknowledged messages that were not received yet, at which publishers pause: what is published has to be delivered.
const OWED_MAX: u64 = 20_000;
/// What a sound message may be refused with: no space, or a log that stopped.
const REFUSALS: [&str; 2] = ["OOM ", "MISCONF "];
/// How long a publisher that was refused, or is ahead, waits.
const PAUSE: Duration = Duration::from_millis(2);

/// See the head of this file.
pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    books: Arc<Books>,
    stop: AtomicBool,
    refusal: Mutex<Option<String>>,
}

impl Load {
    pub(super) fn start(address: SocketAddr, books: &Arc<Books>) -> Self {
        let (stop, refusal) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { address, books: books.clone(), stop, refusal });
        let publisher = |_| {
            let shared = shared.clone();
            std::thread::spawn(move || {
                // The engine is killed under it: how a connection ends says nothing.
                let _ = publish(&shared, usize::MAX);
            })
        };
        let threads = (0..PUBLISHERS).map(publisher).collect();
        Self { shared, threads }
    }

    /// Publishes so many windows from this thread; what the engine refused last, if it did.
    pub(super) fn burst(address: SocketAddr, books: &Arc<Books>, windows: usize) -> Option<String> {
        let (stop, refusal) = (AtomicBool::new(false), Mutex::default());
        let shared = Shared { address, books: books.clone(), stop, refusal };
        let _ = publish(&shared, windows);
        shared.refusal.into_inner()
    }

    /// The last refusal, and forgets it.
    pub(super) fn take_refusal(&self) -> Option<String> {
        self.shared.refusal.lock().take()
    }

    /// Waits until every publisher has ended.
    pub(super) fn stop(self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                self.shared.books.breach("a publisher panicked".into());
            }
        }
    }
}

fn publish(shared: &Shared, windows: usize) -> anyhow::Result<()> {
    let mut link = Link::connect(shared.address, None)?;
    let mut left = windows;
    while left > 0 && !shared.stop.load(Ordering::Relaxed) {
        if shared.books.owed() > OWED_MAX {
            std::thread::sleep(PAUSE);
            continue;
        }
        left -= 1;
        window(&mut link, shared)?;
    }
    Ok(())
}

/// Publishes one window and waits for its answers. What was answered counts, also if the connection breaks then.
fn window(link: &mut Link, shared: &Shared) -> anyhow::Result<()> {
    let first = shared.books.issue(WINDOW);
    let mut out = Vec::with_capacity(64 << 10);
    (first..).take(WINDOW).for_each(|number| message(&mut out, shared.books.seed, number));
    let (writing, replies) = link.halves();
    let written = writing.write_all(&out);
    let mut acknowledged = Vec::with_capacity(WINDOW);
    let read = answers(replies, shared, first, &mut acknowledged);
    shared.books.acknowledge(&acknowledged)?;
    if acknowledged.is_empty() {
        std::thread::sleep(PAUSE);
    }
    written.map_err(anyhow::Error::from).and(read)
}

fn answers(
    replies: &mut Replies,
    shared: &Shared,
    first: u64,
    acknowledged: &mut Vec<(u64, StreamId)>,
) -> anyhow::Result<()> {
    let mut number = first;
    while number < first + WINDOW as u64 {
        match replies.next()? {
            Some(Value::Error(text)) => {
                shared.books.refused();
                if !REFUSALS.iter().any(|code| text.starts_with(code.as_bytes())) {
                    let text = String::from_utf8_lossy(&text);
                    shared
                        .books
                        .breach(format!("message {number} is as it should be, and was refused: {text}"));
                }
                *shared.refusal.lock() = Some(String::from_utf8_lossy(&text).into_owned());
            }
            Some(Value::Bulk(id)) => acknowledged.push((number, StreamId::parse(&id, 0)?)),
            Some(other) => anyhow::bail!("XADD was answered {other:?}"),
            None => {
                anyhow::ensure!(replies.read()? != Read::Closed, "it closed the connection");
                continue;
            }
        }
        number += 1;
    }
    Ok(())
}

/// XADD of this message, to the channel that its number says.
fn message(out: &mut Vec<u8>, seed: u64, number: u64) {
    let (key, channel) = (format!("messages:{APPLICATION}"), format!("c{}", number % CHANNELS));
    let arguments = ["XADD", &key, "*", "type", EVENT_TYPE, "channels", &channel, "payload"];
    let body = body::of(seed, number);
    out.extend_from_slice(format!("*{}\r\n", arguments.len() + 1).as_bytes());
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
    }
    out.extend_from_slice(format!("${}\r\n", body.len()).as_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\r\n");
}
