//! Any bytes on a connection, served as in production but for two things: the writer is one that answers at once and
//! keeps nothing, and time is the test's.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};
use posthaste_storage::EntryId;
use posthaste_storage::disk::sim::SimDisk;
use posthaste_storage::log::{Log, LogOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use super::connection::{AUTH_TIMEOUT, Client};
use super::{Ingest, LARGE_ANSWERS_MAX, connection};
use crate::access::{Access, Keys, MadeKeys, Portal, RateLimits};
use crate::budget::Budget;
use crate::catalog::fakes::{editor, urls};
use crate::catalog::{ApplicationDraft, EndpointDraft};
use crate::clock::Clock;
use crate::config::UnknownEventTypes;
use crate::core::ids::MessageId;
use crate::fuzzing::pieces;
use crate::listener::{Places, Strikes};
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::publish::PublishLimits;
use crate::shard::Shards;
use crate::writer::{Job, queue};

const PAYLOAD_BYTES_MAX: u64 = 512;
/// Longer than any client waits for anything: those who wait for ever do not, once they have said their last word.
const PATIENCE: Duration = Duration::from_secs(100 * 86_400);
/// Sessions in one world. Each may move its clock by two times [`PATIENCE`], and no clock shows the year 2554, in which
/// nanoseconds since 1970 no longer fit into 64 bits.
const SESSIONS_MAX: u32 = 500;
/// The most that a reply to one request takes, the table of commands aside.
const REPLY_BYTES_MAX: usize = 64 << 10;

struct World {
    runtime: Runtime,
    ingest: Arc<Ingest>,
    jobs: Receiver<Job>,
    _log: Log,
    _stop: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
    sessions: u32,
}

/// What a client sends, piece by piece, and then no more.
struct Sent<'b, I> {
    pieces: I,
    rest: &'b [u8],
}

impl<'b, I: Iterator<Item = &'b [u8]> + Unpin> AsyncRead for Sent<'b, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.rest.is_empty() {
            self.rest = self.pieces.next().unwrap_or_default();
        }
        let (taken, rest) = self.rest.split_at(self.rest.len().min(into.remaining()));
        into.put_slice(taken);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// What a client gets.
#[derive(Clone, Default)]
struct Got(Arc<Mutex<BytesMut>>);

impl AsyncWrite for Got {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The replies are whole, of the protocol, bounded, and the same however the bytes arrive. Two bytes choose whether a
/// password is asked for (it is `secret`), and the pieces.
pub(crate) fn connections(data: &[u8]) {
    thread_local! {
        static OPEN: RefCell<World> = RefCell::new(World::new(""));
        static GUARDED: RefCell<World> = RefCell::new(World::new("secret"));
    }
    let Some((&[how, seed], bytes)) = data.split_first_chunk() else { return };
    let (world, password) = if how & 1 == 0 { (&OPEN, "") } else { (&GUARDED, "secret") };
    world.with_borrow_mut(|world| {
        world.sessions += 1;
        if world.sessions > SESSIONS_MAX {
            *world = World::new(password);
        }
        let whole = world.replies([bytes].into_iter());
        let values = are_replies(&whole, bytes.len());
        let pieced = world.replies(pieces(bytes, seed));
        // What INFO counts changes from one connection to the next.
        if !whole.windows(8).any(|text| text == b"# Server") {
            assert_eq!(
                pieced.escape_ascii().to_string(),
                whole.escape_ascii().to_string(),
                "in pieces, and whole"
            );
        }
        if how & 1 != 0 && !bytes.windows(6).any(|text| text == b"secret") {
            let is_id =
                |value: &Value| matches!(value, Value::Bulk(text) if text.contains(&b'-') && text[0] == b'1');
            assert!(!values.iter().any(is_id), "a stranger published");
        }
    });
}

fn are_replies(bytes: &[u8], sent: usize) -> Vec<Value> {
    let mut input = BytesMut::from(bytes);
    let (mut decoder, mut values) = (ValueDecoder::new(ValueLimits::default()), Vec::new());
    while let Some(value) = decoder.decode(&mut input).expect("replies are of the protocol") {
        values.push(value);
    }
    assert!(input.is_empty(), "a reply is cut short");
    // The shortest request that is answered is a letter and a line end.
    assert!(values.len() <= 1 + sent / 2, "{} replies to {sent} bytes", values.len());
    assert!(bytes.len() <= (1 + values.len()) * REPLY_BYTES_MAX);
    values
}

impl World {
    fn new(password: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let (editor, _) = editor(UnknownEventTypes::Accept);
        let catalog = runtime.block_on(async {
            let draft = ApplicationDraft {
                uid: Some("a".into()),
                name: "Shop".into(),
                ..ApplicationDraft::default()
            };
            let application = editor.create_application(draft).await.expect("an application");
            let draft = EndpointDraft { url: "https://a.example/".into(), ..EndpointDraft::default() };
            editor.create_endpoint(application.id, draft, None).await.expect("an endpoint");
            editor.catalog().clone()
        });
        let (log, _) =
            Log::open(Arc::new(SimDisk::new()), Path::new("/log"), LogOptions::new(1 << 20)).expect("a log");
        let (writer, jobs) = queue();
        let (stop, stopped) = watch::channel(false);
        let rates = RateLimits { requests: 1_000, messages: 1_000_000 };
        let portal = Portal::with_key(&[0; 32], rates);
        let access =
            Access::new(Keys::new(&[] as &[String], rates), MadeKeys::new("live", rates), portal, rates);
        let ingest = Ingest {
            catalog,
            writer,
            shards: Shards::new(1),
            outcomes: Outcomes::new(log.reader()),
            reader: log.reader(),
            metrics: Metrics::new(),
            limits: PublishLimits {
                payload_bytes_max: PAYLOAD_BYTES_MAX,
                unknown_event_types: UnknownEventTypes::Accept,
                urls: urls(),
            },
            access: Arc::new(access),
            clock: Clock::start(),
            password: password.into(),
            require_key: false,
            places: Places::new("ingest", 10, 10),
            strikes: Mutex::default(),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            budget: Budget::new(1 << 20),
            large_answers: Arc::new(Semaphore::new(LARGE_ANSWERS_MAX)),
            connection_ids: AtomicI64::new(0),
        };
        Self { runtime, ingest: Arc::new(ingest), jobs, _log: log, _stop: stop, stop: stopped, sessions: 0 }
    }

    /// What a connection answers to these bytes.
    fn replies<'b>(&self, pieces: impl Iterator<Item = &'b [u8]> + Unpin) -> Vec<u8> {
        self.ingest.connection_ids.store(0, Ordering::Relaxed);
        // A wrong password would make the next connection wait.
        *self.ingest.strikes.lock() = Strikes::default();
        self.replies_after(pieces)
    }

    /// The same, with what was before still held against it.
    fn replies_after<'b>(&self, pieces: impl Iterator<Item = &'b [u8]> + Unpin) -> Vec<u8> {
        let got = Got::default();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let served = self.runtime.block_on(async {
            let sent = Sent { pieces, rest: &[] };
            let authenticate_by = tokio::time::Instant::now() + AUTH_TIMEOUT;
            let client = Client { peer, authenticate_by, place: None };
            let serving = connection::serve(&self.ingest, (sent, got.clone()), client, self.stop.clone());
            tokio::select! {
                served = tokio::time::timeout(PATIENCE, serving) => served.is_ok(),
                never = self.write() => never,
            }
        });
        // Whatever happened, nothing of what was read is still held.
        self.jobs.try_iter().for_each(drop);
        assert!(served, "a connection is held although nobody is there any more");
        got.0.lock().to_vec()
    }

    /// The writer: ids from one on, at once.
    async fn write(&self) -> bool {
        let mut id = EntryId::new(1_000, 0);
        // Longer and longer while there is nothing to do: a day would otherwise take as long as it has milliseconds.
        let mut pause = Duration::from_millis(1);
        loop {
            pause = if self.jobs.is_empty() {
                (pause * 2).min(Duration::from_secs(3_600))
            } else {
                Duration::from_millis(1)
            };
            for job in self.jobs.try_iter() {
                let Job::Publish { messages, reply } = job else {
                    panic!("a connection only publishes: {job:?}")
                };
                let ids = messages.iter().map(|message| {
                    assert!(message.payload.len() as u64 <= PAYLOAD_BYTES_MAX);
                    id = id.next();
                    Ok(MessageId(id))
                });
                // The connection may be gone.
                let _ = reply.send(ids.collect());
            }
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::reply::Version;

    use super::*;
    use crate::ingest::read::Query;
    use crate::ingest::reading::reading;

    #[test]
    fn a_question_that_had_to_wait_is_not_answered_to_whom_the_key_was_taken_from() {
        use crate::catalog::{ApiKey, CatalogEvent, NewToken};
        use crate::config::Scope;
        use crate::core::ids::ApiKeyId;

        let world = World::new("");
        let made = world.ingest.access.made();
        let id = ApiKeyId::from_u64(7);
        let token = NewToken::generate("live", id);
        let key = ApiKey {
            id,
            name: "shop".into(),
            sha256: token.sha256,
            scopes: vec![Scope::Read],
            application: None,
            event_types: None,
            events_per_second: None,
            expires_ms: None,
            last_used_ms: None,
            created_ms: 1,
        };
        made.on_event(&CatalogEvent::ApiKeyChanged(Arc::new(key)));
        let caller = world.ingest.access.by_key(&token.text, 1).expect("it is known");
        let answer = || {
            let query = Query::count(&world.ingest, "a", Some(caller.clone())).expect("there is one");
            let mut out = BytesMut::new();
            let (_reads, mut reading) = reading();
            world.runtime.block_on(query.answer(&world.ingest, Version::Resp2, &mut out, &mut reading));
            out
        };
        assert_eq!(answer(), ":0\r\n");
        made.on_event(&CatalogEvent::ApiKeyRemoved(id));
        assert_eq!(answer(), "");
    }

    #[test]
    fn while_an_address_is_barred_its_passwords_are_not_judged_on_connections_that_were_open_before() {
        let world = World::new("secret");
        let answer = |said: &[u8]| {
            let replies = world.replies_after([said].into_iter());
            String::from_utf8(replies).expect("text")
        };
        let wait = |seconds| {
            let wait = async { tokio::time::sleep(Duration::from_secs(seconds)).await };
            world.runtime.block_on(wait);
        };
        assert!(answer(b"AUTH wrong\r\n").starts_with("-WRONGPASS"));
        for _ in 0..5 {
            assert!(answer(b"AUTH wrong\r\nPING\r\n").starts_with("-WRONGPASS"));
        }
        for password in ["wrong", "secret"] {
            for asked in ["AUTH", "HELLO 3 AUTH default"] {
                let said = answer(format!("{asked} {password}\r\nPING\r\n").as_bytes());
                assert!(said.starts_with("-BUSY too many wrong passwords from this address"), "{said}");
                assert_eq!(said.lines().count(), 1, "and closed: {said}");
            }
        }
        wait(1);
        assert_eq!(answer(b"AUTH secret\r\nPING\r\n"), "+OK\r\n+PONG\r\n");
        let guesses = answer(b"AUTH secret\r\nAUTH wrong\r\nPING\r\n");
        assert!(guesses.starts_with("+OK\r\n-WRONGPASS") && !guesses.contains("PONG"), "{guesses}");
        wait(2);
        assert_eq!(answer(b"AUTH secret\r\nPING\r\n"), "+OK\r\n+PONG\r\n");
    }

    /// Found by fuzzing (`connections`): its connection was held until there was news.
    #[test]
    fn a_client_that_asks_much_behind_a_wait_and_leaves_is_seen_to_leave() {
        let world = World::new("");
        let wait: &[u8] = b"XREAD BLOCK 0 STREAMS outcomes:a $\r\n";
        let table: &[u8] = b"COMMAND\r\n";
        for behind in [b"PING\r\n".as_slice(), b"XLEN messages:a\r\n", table] {
            let pieces = std::iter::once(wait).chain(std::iter::repeat_n(behind, 1_000));
            let answered = world.replies(pieces);
            let answered = answered.strip_prefix(b"*-1\r\n").expect("nothing came");
            let replies = are_replies(answered, behind.len() * 1_000);
            assert!(!replies.iter().any(|reply| matches!(reply, Value::Error(_))), "{:?}", replies.first());
            assert_eq!(replies.len(), 1_000);
        }
    }

    /// Found by fuzzing (`connections`): whether they were answered was left to chance.
    #[test]
    fn a_client_that_has_said_its_last_word_gets_every_answer() {
        let world = World::new("");
        let said = b"XREAD STREAMS outcomes:a 0\r\nXREAD BLOCK 0 STREAMS outcomes:a $\r\n\
            XREAD BLOCK 0 STREAMS outcomes:a $\r\nXLEN messages:a\r\nPING\r\n";
        for _ in 0..50 {
            let answered = world.replies([&said[..]].into_iter());
            assert_eq!(answered, b"*-1\r\n*-1\r\n*-1\r\n:0\r\n+PONG\r\n");
        }
    }
}
