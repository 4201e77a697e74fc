//! Receivers: the other side of the network, well or not.
//!
//! A host can be dialled or not, an endpoint answers or does not, each as its mood is. Whatever comes in is checked
//! and goes into the account.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::sleep;

use super::account::Answered;
use super::fault::Fault;
use super::world::World;
use crate::delivery::network::{Dialling, Network};
use crate::delivery::{Resolve, ResolveError, Resolving};

/// The deadline of an attempt, as the simulation configures it.
pub(super) const TIMEOUT_MS: u64 = 5_000;
/// An answer that takes so much less than that arrives in time.
const MARGIN_MS: u64 = 1_000;
/// What the buffers of a connection hold in either direction.
const SOCKET_BYTES: usize = 16 << 10;

/// How a host can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostMood {
    Well,
    Refuses,
    Hangs,
    NoName,
    Forbidden,
}

/// How an endpoint answers: so many of a hundred requests well, the others in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mood {
    pub(super) well_percent: u64,
    pub(super) fault: Fault,
}

impl Mood {
    pub(super) const WELL: Self = Self { well_percent: 100, fault: Fault::BadStatus };
}

/// All that can be done to a request.
pub(super) const ANSWERS: [Fault; 16] = [
    Fault::BadStatus,
    Fault::BadStatus,
    Fault::Redirects,
    Fault::AsksForPatience,
    Fault::Gone,
    Fault::NeverAnswers,
    Fault::AnswersSlowly,
    Fault::AnswersTooSlowly,
    Fault::TricklesHeaders,
    Fault::ClosesBeforeAnswer,
    Fault::ClosesInHeaders,
    Fault::ClosesInBody,
    Fault::Garbage,
    Fault::EndlessBody,
    Fault::InterimAnswers,
    Fault::ClosesIdle,
];

/// Names and connections of one life.
pub(super) struct SimNetwork(pub(super) Rc<World>);

/// The name and the address of a host.
pub(super) fn host_name(host: usize) -> String {
    format!("h{host}.example.com")
}

fn address_of(host: usize) -> IpAddr {
    IpAddr::from([93, 184, 216, host as u8])
}

impl Resolve for SimNetwork {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            sleep(Duration::from_millis(self.0.dice.between(0..=20))).await;
            let host: usize =
                name[1..].split('.').next().and_then(|number| number.parse().ok()).expect("a host's name");
            match self.0.host_mood(host) {
                HostMood::NoName => {
                    self.0.count(Fault::NameMissing);
                    Err(ResolveError::NoAddress { name: name.to_owned() })
                }
                HostMood::Forbidden => {
                    self.0.count(Fault::NameForbidden);
                    Ok(vec![address_of(host), IpAddr::from([169, 254, 169, 254])])
                }
                _ => Ok(vec![address_of(host)]),
            }
        })
    }
}

impl Network for SimNetwork {
    fn dial(&self, address: SocketAddr) -> Dialling<'_> {
        Box::pin(async move {
            let IpAddr::V4(v4) = address.ip() else { panic!("no host has address {address}") };
            assert_eq!(v4.octets()[..3], [93, 184, 216], "an address that was forbidden was dialled");
            sleep(Duration::from_millis(self.0.dice.between(1..=80))).await;
            let host = v4.octets()[3].into();
            match self.0.host_mood(host) {
                HostMood::Refuses => {
                    self.0.count(Fault::Refused);
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
                HostMood::Hangs => {
                    self.0.count(Fault::DialHangs);
                    std::future::pending().await
                }
                _ => {
                    let (ours, theirs) = tokio::io::duplex(SOCKET_BYTES);
                    tokio::task::spawn_local(serve(self.0.clone(), host, theirs));
                    Ok(ours)
                }
            }
        })
    }
}

/// A request as it came.
struct Received {
    endpoint: usize,
    id: String,
    number: usize,
}

/// Serves one connection until either side has enough.
async fn serve(world: Rc<World>, host: usize, mut stream: DuplexStream) {
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = read_request(&mut stream, &mut buffer).await else { return };
        let received = match check(&world, host, &head, &body) {
            Ok(received) => received,
            Err(what) => return world.violation(what),
        };
        let now = world.now_ms();
        world.trace(&[1, received.number as u64, received.endpoint as u64, now]);
        world.account().arrived(
            received.number,
            received.endpoint,
            &received.id,
            world.latest_clock_ms(),
            now,
        );
        if !answer(&world, &mut stream, &received).await {
            return;
        }
    }
}

async fn read_request(stream: &mut DuplexStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).expect("the engine's heads are text");
            let length: usize =
                header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What came, if it is what was published and its signature holds.
fn check(world: &World, host: usize, head: &str, body: &[u8]) -> Result<Received, String> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let endpoint: usize = path
        .strip_prefix("/e/")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("a request for {path}"))?;
    let is_elsewhere = world.model().get(endpoint).is_some_and(|model| {
        // What is on its way goes to where it was going.
        !model.is_changing() && model.host != host && world.now_ms() > model.changed_ms + 2 * TIMEOUT_MS
    });
    if is_elsewhere {
        return Err(format!("I5: a request for endpoint {endpoint} came to host {host}, where it is not"));
    }
    let text = String::from_utf8_lossy(body);
    let number = text.strip_prefix("{\"n\":").and_then(|rest| rest.split([',', '}']).next());
    let number: usize = number
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("I5: a body that nobody published: {text}"))?;
    let id = header(head, "webhook-id").unwrap_or_default().to_owned();
    let timestamp = header(head, "webhook-timestamp").unwrap_or_default();
    let signatures = header(head, "webhook-signature").unwrap_or_default();
    let is_signed = world.model().get(endpoint).is_some_and(|endpoint| {
        endpoint
            .keys
            .iter()
            .any(|key| signatures.split(' ').any(|signature| signature == sign(key, &id, timestamp, body)))
    });
    if !is_signed {
        return Err(format!(
            "I5: message {number} came to endpoint {endpoint} with a signature that does not hold"
        ));
    }
    match world.account().messages.get(number) {
        Some(message) if message.payload == body => {}
        _ => {
            return Err(format!(
                "I5: message {number} came to endpoint {endpoint} with other bytes than were published"
            ));
        }
    }
    let stated: u64 = timestamp.parse().unwrap_or(0);
    if !world.is_wall_jumping() && stated.abs_diff(world.wall_ms() / 1_000) > TIMEOUT_MS / 1_000 + 1 {
        return Err(format!(
            "I5: message {number} is signed for {stated}; the clock shows {}",
            world.wall_ms() / 1_000
        ));
    }
    Ok(Received { endpoint, id, number })
}

fn sign(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(context.sign()))
}

/// One answer under way. Dropped without one, it was none.
struct Answer<'w> {
    world: &'w World,
    received: &'w Received,
    said: Cell<Option<Answered>>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        let world = self.world;
        let said = match self.said.get() {
            // The process was ended while it was on its way.
            Some(Answered::Success) if world.is_between_lives() => Answered::PerhapsSuccess,
            said => said.unwrap_or(Answered::Nothing),
        };
        let wait_ms = world.model()[self.received.endpoint].wait_ms;
        let now = world.now_ms();
        world.account().answered(self.received.number, self.received.endpoint, said, wait_ms, now);
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers as the endpoint's mood is. Returns whether the connection goes on.
async fn answer(world: &Rc<World>, stream: &mut DuplexStream, received: &Received) -> bool {
    let answer = Answer { world, received, said: Cell::new(None) };
    let mood = world.mood(received.endpoint);
    if world.dice.between(1..=100) <= mood.well_percent {
        sleep(Duration::from_millis(world.dice.between(0..=40))).await;
        return say(stream, OK, &answer, Answered::Success).await;
    }
    world.count(mood.fault);
    misbehave(world, stream, mood.fault, &answer).await
}

async fn misbehave(world: &Rc<World>, stream: &mut DuplexStream, fault: Fault, answer: &Answer<'_>) -> bool {
    let dice = &world.dice;
    match fault {
        Fault::BadStatus => {
            let status = dice.pick(&[400, 404, 500, 502]);
            let text = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
            say(stream, text.as_bytes(), answer, Answered::Failure).await
        }
        Fault::Redirects => {
            let text =
                b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
            say(stream, text, answer, Answered::Failure).await
        }
        Fault::AsksForPatience => {
            let seconds = dice.between(1..=7_200);
            let text = format!("HTTP/1.1 429 Later\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n");
            say(stream, text.as_bytes(), answer, Answered::Patience(seconds * 1_000)).await
        }
        Fault::Gone => {
            world.lose(answer.received.endpoint);
            say(stream, b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", answer, Answered::Nothing).await
        }
        Fault::NeverAnswers => until_closed(stream).await,
        Fault::AnswersSlowly => {
            sleep(Duration::from_millis(dice.between(100..=TIMEOUT_MS - MARGIN_MS))).await;
            // The connection may have been dialled for as long before.
            say(stream, OK, answer, Answered::PerhapsSuccess).await
        }
        Fault::AnswersTooSlowly => {
            sleep(Duration::from_millis(TIMEOUT_MS - MARGIN_MS + dice.between(0..=5_000))).await;
            say(stream, OK, answer, Answered::PerhapsSuccess).await
        }
        Fault::TricklesHeaders => {
            for byte in OK {
                if stream.write_all(&[*byte]).await.is_err() {
                    return false;
                }
                sleep(Duration::from_secs(1)).await;
            }
            false
        }
        Fault::ClosesBeforeAnswer => false,
        Fault::ClosesInHeaders => {
            let _ = stream.write_all(&OK[..dice.index(30) + 1]).await;
            false
        }
        Fault::ClosesInBody => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
            answer.said.set(Some(Answered::PerhapsSuccess));
            false
        }
        Fault::Garbage => {
            let garbage: Vec<u8> = (0..dice.between(1..=300)).map(|_| dice.next() as u8).collect();
            let _ = stream.write_all(&garbage).await;
            false
        }
        Fault::EndlessBody => {
            answer.said.set(Some(Answered::PerhapsSuccess));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"400\r\n").await.is_ok() && stream.write_all(&[b'x'; 1_024]).await.is_ok()
            {
                let _ = stream.write_all(b"\r\n").await;
                sleep(Duration::from_millis(10)).await;
            }
            false
        }
        Fault::InterimAnswers => {
            let _ = stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n").await;
            say(stream, OK, answer, Answered::PerhapsSuccess).await
        }
        Fault::ClosesIdle => {
            say(stream, OK, answer, Answered::Success).await;
            // Long enough for the answer to be read, and the connection to be kept.
            sleep(Duration::from_millis(dice.between(5..=500))).await;
            false
        }
        other => unreachable!("{other:?} is no way to answer"),
    }
}

async fn say(stream: &mut DuplexStream, text: &[u8], answer: &Answer<'_>, said: Answered) -> bool {
    let written = stream.write_all(text).await.is_ok();
    if written {
        answer.said.set(Some(said));
    }
    written
}

async fn until_closed(stream: &mut DuplexStream) -> bool {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    false
}
