//! Live: a page that goes on telling its parts as they change, as server-sent events (WHATWG HTML, section 9.2).
//!
//! The same path and the same code as the page, asked for with `Accept: text/event-stream`: filters in the address hold
//! for it as they stand. Every second or two the page is made anew, and those parts of it that read differently are sent.
//! That costs what a visit costs; so there is an end to how many are open.
//!
//! Invariants
//! - A stream ends when its session does, when the server stops, and when nobody reads it any more.
//! - At most one part is under way to a reader that is slow; it then gets the newest, not all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::visit::Visit;
use crate::api::Lines;

/// Streams that may be open at a time, and by one caller: a key, the password, all links of an application.
const STREAMS_MAX: usize = 64;
const STREAMS_PER_CALLER_MAX: usize = 16;
/// How often it is said that the stream is there, where nothing changes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Streams that are open, by caller.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<Arc<str>, usize>>);

/// One of them, until this is dropped.
struct Open {
    streams: Arc<Streams>,
    caller: Arc<str>,
}

impl Streams {
    /// `None` if there are too many.
    fn open(self: &Arc<Self>, caller: &str) -> Option<Open> {
        let mut open = self.0.lock();
        let own = open.get(caller).copied().unwrap_or(0);
        if own >= STREAMS_PER_CALLER_MAX || open.values().sum::<usize>() >= STREAMS_MAX {
            return None;
        }
        let caller: Arc<str> = caller.into();
        open.insert(caller.clone(), own + 1);
        Some(Open { streams: self.clone(), caller })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        match open.get_mut(&self.caller) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.remove(&self.caller)),
        }
    }
}

/// A part of a page: the id of its element, and what is in it.
pub(super) type Part = (&'static str, String);

/// Whether a stream is asked for.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|accept| accept == "text/event-stream")
}

/// The stream of what `parts` makes, every so often.
pub(super) fn stream<F>(visit: &Visit, every: Duration, parts: impl Fn() -> F + Send + 'static) -> Response
where
    F: Future<Output = Option<Vec<Part>>> + Send,
{
    let Some(open) = visit.console().streams.open(visit.name()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")]).into_response();
    };
    let (events, read) = mpsc::channel(1);
    let visit = visit.clone();
    tokio::spawn(async move {
        let mut stop = visit.console().parts.stop.clone();
        tokio::select! {
            () = tell(&visit, every, parts, &events) => {}
            _ = stop.wait_for(|stop| *stop) => {}
            () = events.closed() => {}
        }
        drop(open);
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::new(Lines(read))).into_response()
}

async fn tell<F>(visit: &Visit, every: Duration, parts: impl Fn() -> F, events: &mpsc::Sender<Bytes>)
where
    F: Future<Output = Option<Vec<Part>>>,
{
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = HashMap::<&str, String>::new();
    let mut quiet = Duration::ZERO;
    if events.send(Bytes::from_static(b"retry: 3000\n\n")).await.is_err() {
        return;
    }
    loop {
        ticks.tick().await;
        // First room, then the parts: what nobody reads is not made.
        let Ok(room) = events.reserve().await else { return };
        if !visit.is_alive() {
            return room.send(Bytes::from_static(b"event: ended\ndata: {}\n\n"));
        }
        let Some(now) = parts().await else {
            return room.send(Bytes::from_static(b"event: ended\ndata: {}\n\n"));
        };
        let changed = now.into_iter().filter(|(id, html)| told.get(id) != Some(html)).collect::<Vec<_>>();
        if changed.is_empty() {
            quiet += every;
            if quiet >= SIGN_OF_LIFE {
                quiet = Duration::ZERO;
                room.send(Bytes::from_static(b":\n\n"));
            }
            continue;
        }
        quiet = Duration::ZERO;
        let mut text = String::new();
        for (id, html) in changed {
            text += &format!("event: part\ndata: {}\n\n", json!({ "id": id, "html": html }));
            told.insert(id, html);
        }
        room.send(text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_caller_takes_all_streams_and_those_that_end_make_room() {
        let streams = Arc::<Streams>::default();
        let mut open: Vec<Open> =
            (0..STREAMS_PER_CALLER_MAX).filter_map(|_| streams.open("portal:a")).collect();
        assert_eq!(open.len(), STREAMS_PER_CALLER_MAX);
        assert!(streams.open("portal:a").is_none() && streams.open("portal:b").is_some());
        open.pop();
        assert!(streams.open("portal:a").is_some());
        let all: Vec<Open> = (0..1_000).filter_map(|n| streams.open(&format!("key_{n}"))).collect();
        assert_eq!(open.len() + all.len(), STREAMS_MAX);
        drop((open, all));
        assert!(streams.0.lock().is_empty());
    }
}
