//! Producers and followers: customers of the TCP port, with their manners. Over connections of memory, through the
//! very code that serves sockets.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::account::Published;
use super::fault::Fault;
use super::model::{type_name, wanted};
use super::plan::{EVENT_TYPES, Manner};
use super::world::World;
use crate::ingest::{self, Client, Ingest};

const SOCKET_BYTES: usize = 8 << 10;
/// A message is published again within this time, which is shorter than any retention here.
const AGAIN_WITHIN_MS: u64 = 1_800_000;
/// Answers that a producer asks for and does not read, of some KiB each.
const UNREAD: usize = 64;
/// What a producer waits for answers before it takes the connection for dead.
const PATIENCE: Duration = Duration::from_secs(600);

/// One process, as its customers see it.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) ingest: Arc<Ingest>,
    pub(super) stop: watch::Receiver<bool>,
}

/// A connection from the outside.
struct Connection {
    stream: DuplexStream,
    decoder: ValueDecoder,
    input: BytesMut,
}

impl Connection {
    fn open(port: &Port) -> Self {
        let (ours, theirs) = tokio::io::duplex(SOCKET_BYTES);
        let port = port.clone();
        tokio::task::spawn_local(async move {
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let client = Client { peer, authenticate_by: Instant::now() + PATIENCE, place: None };
            ingest::serve_connection(&port.ingest, tokio::io::split(theirs), client, port.stop).await;
        });
        Self { stream: ours, decoder: ValueDecoder::new(ValueLimits::default()), input: BytesMut::new() }
    }

    /// The next answer; `None` when the connection is over.
    async fn answer(&mut self) -> Option<Value> {
        loop {
            if let Some(value) = self.decoder.decode(&mut self.input).expect("the server speaks RESP") {
                return Some(value);
            }
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// Publishes some new messages, and some again of which it is not known whether they were accepted.
pub(super) async fn publish(world: Rc<World>, port: Port, messages: u64, manner: Manner) {
    let mut numbers: Vec<usize> = (0..messages).map(|_| new_message(&world)).collect();
    let again = std::mem::take(&mut *world.unanswered.borrow_mut());
    numbers.extend(again.into_iter().filter(|number| is_remembered(&world, *number)));
    // Whoever is not answered, because nobody is there any more, asks again.
    let mut waiting = Waiting { world: world.clone(), numbers: numbers.iter().copied().collect() };
    let mut connection = Connection::open(&port);
    let mut frames = BytesMut::new();
    for &number in &numbers {
        encode(&world, number, &mut frames);
    }
    let frames = match manner {
        Manner::HangsUpInFrame => {
            world.count(Fault::HangsUpInFrame);
            frames.split_to(frames.len() - 1 - world.dice.index(frames.len() - 1))
        }
        Manner::SpeaksGarbage => {
            world.count(Fault::SpeaksGarbage);
            frames.extend_from_slice(b"*-3\r\n$999999999999\r\n\x00\xff");
            frames
        }
        Manner::DoesNotRead => {
            // More than fits into any buffer between the two.
            for _ in 0..UNREAD {
                frames.extend_from_slice(b"*1\r\n$7\r\nCOMMAND\r\n");
            }
            frames
        }
        Manner::Well => frames,
    };
    if !write(&world, &mut connection, &frames).await || manner == Manner::HangsUpInFrame {
        return;
    }
    if manner == Manner::DoesNotRead {
        world.count(Fault::DoesNotRead);
        return sleep(PATIENCE).await;
    }
    while let Some(&number) = waiting.numbers.front() {
        let Ok(Some(answer)) = timeout(PATIENCE, connection.answer()).await else { return };
        match answer {
            Value::Bulk(id) => {
                waiting.numbers.pop_front();
                acknowledged(&world, number, &id);
            }
            // Refused: it may be tried again later.
            Value::Error(_) => {
                let refused = waiting.numbers.pop_front();
                world.unanswered.borrow_mut().extend(refused.filter(|number| has_event_id(&world, *number)));
            }
            other => return world.violation(format!("XADD was answered with {other:?}")),
        }
    }
}

/// Messages that were not answered. If they have an event id, they are published again.
struct Waiting {
    world: Rc<World>,
    numbers: VecDeque<usize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let world = &self.world;
        let again = self.numbers.iter().copied().filter(|number| has_event_id(world, *number));
        world.unanswered.borrow_mut().extend(again);
    }
}

/// Whether the log still has the message of this event id, if it ever had it: after a restart only the log knows.
fn is_remembered(world: &World, number: usize) -> bool {
    let submitted = world.account().messages[number].submitted_ms;
    world.now_ms() < submitted + AGAIN_WITHIN_MS && world.jumped_at_ms() < submitted
}

fn has_event_id(world: &World, number: usize) -> bool {
    world.account().messages[number].event_id.is_some()
}

fn new_message(world: &World) -> usize {
    let dice = &world.dice;
    let application = dice.index(world.plan.applications);
    let pad = "x".repeat(dice.pick(&[0, 10, 300, 3_000]));
    let (event_type, has_id) = (dice.index(EVENT_TYPES.into()) as u8, !dice.one_in(3));
    let deliver_at_ms = dice.one_in(6).then(|| world.wall_ms() + dice.between(1_000..=20 * 3_600_000));
    let submitted_ms = world.now_ms();
    let perhaps: BTreeSet<usize> = {
        let model = world.model();
        (0..model.len()).filter(|endpoint| model[*endpoint].application == application).collect()
    };
    let number = world.new_message(|number| Published {
        application,
        event_type,
        payload: Bytes::from(format!("{{\"n\":{number},\"pad\":\"{pad}\"}}")),
        event_id: has_id.then(|| format!("event-{number}")),
        deliver_at_ms,
        submitted_ms,
        acknowledged_ms: None,
        id: None,
        sure: BTreeSet::new(),
        perhaps,
        cancelled_ms: None,
    });
    let seen = world.model().iter().map(|endpoint| endpoint.seen(application, event_type)).collect();
    world.seen.borrow_mut().insert(number, seen);
    number
}

/// From now on it is promised, to those endpoints that wanted it all the while.
fn acknowledged(world: &World, number: usize, id: &[u8]) {
    let id = format!("msg_{}", String::from_utf8_lossy(id));
    let now = world.now_ms();
    world.trace(&[2, number as u64, now]);
    let (application, event_type) = {
        let account = world.account();
        (account.messages[number].application, account.messages[number].event_type)
    };
    let seen = world.seen.borrow()[&number].clone();
    let (mut sure, mut perhaps) = (BTreeSet::new(), BTreeSet::new());
    for (endpoint, (before, model)) in seen.iter().zip(world.model().iter()).enumerate() {
        match wanted(*before, model.seen(application, event_type)) {
            Some(true) => drop(sure.insert(endpoint)),
            Some(false) => {}
            None => drop(perhaps.insert(endpoint)),
        }
    }
    let mut account = world.account();
    if account.messages[number].acknowledged_ms.is_none() {
        (account.messages[number].sure, account.messages[number].perhaps) = (sure, perhaps);
    }
    account.acknowledged(number, &id, world.sync_failed_ms(), now);
}

fn encode(world: &World, number: usize, out: &mut BytesMut) {
    let account = world.account();
    let message = &account.messages[number];
    let stream = format!("messages:a{}", message.application);
    let event_type = type_name(message.event_type);
    let deliver_at = message.deliver_at_ms.map(|ms| ms.to_string());
    let mut words: Vec<&[u8]> =
        vec![b"XADD", stream.as_bytes(), b"*", b"type", event_type.as_bytes(), b"payload", &message.payload];
    if let Some(id) = &message.event_id {
        words.extend([&b"id"[..], id.as_bytes()]);
    }
    if let Some(at) = &deliver_at {
        words.extend([&b"deliver-at"[..], at.as_bytes()]);
    }
    frame(&words, out);
}

fn frame(words: &[&[u8]], out: &mut BytesMut) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// In pieces, with pauses, as networks deliver.
async fn write(world: &World, connection: &mut Connection, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(1 + world.dice.index(bytes.len()));
        if connection.stream.write_all(piece).await.is_err() {
            return false;
        }
        bytes = rest;
        if world.dice.one_in(3) {
            sleep(Duration::from_millis(world.dice.between(1..=50))).await;
        }
    }
    true
}

/// Follows the outcomes of one application, from where it left off in an earlier life.
pub(super) async fn follow(world: Rc<World>, port: Port, application: usize) {
    while !*port.stop.borrow() {
        follow_once(&world, &port, application).await;
        // It was told that the log could not be read, perhaps.
        sleep(Duration::from_secs(1)).await;
    }
}

async fn follow_once(world: &World, port: &Port, application: usize) {
    let mut connection = Connection::open(port);
    let stream = format!("outcomes:a{application}");
    loop {
        let last = world.followed.borrow()[application].clone();
        let mut request = BytesMut::new();
        frame(&[b"XREAD", b"BLOCK", b"0", b"STREAMS", stream.as_bytes(), last.as_bytes()], &mut request);
        if connection.stream.write_all(&request).await.is_err() {
            return;
        }
        let Some(answer) = connection.answer().await else { return };
        let Some(entries) = entries(answer) else { return };
        for entry in entries {
            read_entry(world, application, entry);
        }
    }
}

/// The entries of the one stream that was asked for. `None` when it was an error: the process ends.
fn entries(answer: Value) -> Option<Vec<Value>> {
    let stream = answer.into_array()?.into_iter().next()?;
    stream.into_array()?.into_iter().nth(1)?.into_array()
}

fn read_entry(world: &World, application: usize, entry: Value) {
    let mut parts = entry.into_array().expect("an entry is an id and its fields").into_iter();
    let id = text(parts.next().as_ref());
    let fields = parts.next().and_then(Value::into_array).expect("fields come as an array");
    let field = |name: &str| {
        let pair = fields.chunks(2).find(|pair| text(pair.first()) == name);
        pair.map(|pair| text(pair.get(1))).unwrap_or_default()
    };
    let endpoint = world.model().iter().position(|endpoint| endpoint.id.to_string() == field("endpoint"));
    world.trace(&[3, world.now_ms()]);
    if let Some(endpoint) = endpoint {
        world.account().told(&field("message"), endpoint, &field("state"), world.now_ms());
    }
    world.followed.borrow_mut()[application] = id;
}

fn text(value: Option<&Value>) -> String {
    let bytes = value.and_then(Value::as_bytes).map(|bytes| bytes.to_vec()).unwrap_or_default();
    String::from_utf8(bytes).expect("ids, names and states are text")
}
