//! A server for tests: speaks the protocol, keeps nothing, and misbehaves on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use posthaste_protocol::command::{Command, StreamStart, Xread};
use posthaste_protocol::frame::{Decoder, Limits};
use posthaste_protocol::reply::{Encoder, ErrorCode, Version};
use posthaste_protocol::small_talk::{Answer, Session};
use posthaste_protocol::{OutcomeEntry, StreamId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What the server does beside answering.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manners {
    /// Answers a message only when a permit is given.
    pub(crate) hold: bool,
    /// Closes after this many commands of a connection, without answering the last.
    pub(crate) close_at: Option<u64>,
    /// The one password that is accepted; none is asked for if not set.
    pub(crate) password: Option<&'static str>,
    /// Answers messages with bytes that are no RESP.
    pub(crate) garbage: bool,
}

pub(crate) struct Server {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    manners: Manners,
    /// One permit for each answer that may be given.
    answers: Semaphore,
    messages: AtomicU64,
    connections: AtomicU64,
}

impl Server {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            manners,
            answers: Semaphore::new(0),
            messages: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    /// Messages that were received.
    pub(crate) fn messages(&self) -> u64 {
        self.shared.messages.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Lets held answers go.
    pub(crate) fn allow(&self, answers: usize) {
        self.shared.answers.add_permits(answers);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut decoder = Decoder::new(Limits::after_auth(1 << 20));
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut session = Session::new(1);
    let mut commands = 0;
    loop {
        while let Some(request) = decoder.decode(&mut input).ok()? {
            commands += 1;
            if shared.manners.close_at.is_some_and(|at| commands >= at) {
                return None;
            }
            answer(&shared, &mut session, Command::parse(&request).ok()?, &mut out).await;
            stream.write_all(&out.split()).await.ok()?;
        }
        stream.read_buf(&mut input).await.ok().filter(|&bytes| bytes > 0)?;
    }
}

async fn answer(shared: &Shared, session: &mut Session, command: Command<'_>, out: &mut BytesMut) {
    if session.answer(&command, out) != Answer::NotMine {
        return;
    }
    match command {
        Command::Hello(hello) => {
            let given = hello.auth.map(|credentials| credentials.password);
            match shared.manners.password {
                Some(password) if given != Some(password.as_bytes()) => {
                    Encoder::new(out, Version::Resp2).error(ErrorCode::WrongPass, "wrong name or password");
                }
                _ => session.hello(&hello, "test", out),
            }
        }
        Command::Xadd(message) => {
            let sequence = shared.messages.fetch_add(1, Ordering::SeqCst);
            if shared.manners.hold {
                shared.answers.acquire().await.unwrap().forget();
            }
            let mut reply = Encoder::new(out, session.version);
            match message.event_type {
                "refused" => reply.error(ErrorCode::Conflict, "event id is taken"),
                _ if shared.manners.garbage => out.extend_from_slice(b"?\r\n"),
                _ => reply.stream_id(StreamId::new(1, sequence)),
            }
        }
        Command::Xread(read) => outcomes(&read, &mut Encoder::new(out, session.version)),
        _ => Encoder::new(out, session.version).error(ErrorCode::Err, "not in this test"),
    }
}

/// Two outcomes after the id asked for; the stream is endless.
fn outcomes(read: &Xread<'_>, reply: &mut Encoder<'_>) {
    let (application, StreamStart::After(after)) = read.streams[0] else {
        return reply.streams(0);
    };
    if application == "unknown" {
        return reply.error(ErrorCode::Err, "application 'unknown' does not exist");
    }
    let entry = OutcomeEntry {
        message: StreamId::new(1, 1),
        endpoint: "ep_1",
        attempt: 1,
        outcome: "success",
        status: Some(204),
        latency_ms: 3,
        next_attempt_ms: None,
        state: "delivered",
        event_id: None,
        response_body: None,
        response_json: None,
    };
    reply.streams(1);
    reply.stream(format!("outcomes:{application}").as_bytes(), 2);
    let first = after.next().unwrap();
    entry.encode(first, reply);
    entry.encode(first.next().unwrap(), reply);
}
