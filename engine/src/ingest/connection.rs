//! One connection: reads requests, checks them, hands them over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::command::{Command, Credentials, Definition, Hello, Xadd};
use posthaste_protocol::frame::{Decoder, Limits, ProtocolError, Request};
use posthaste_protocol::reply::{Encoder, ErrorCode};
use posthaste_protocol::small_talk::{AUTHENTICATION_REQUIRED, Answer, Session};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::batch::Batch;
use super::read::Query;
use super::reading::{Reading, reading};
use super::replies::{self, Reply};
use super::who::{Allowance, sees_all};
use super::{Ingest, barred};
use crate::access::{Caller, Door, USER_DEFAULT};
use crate::budget::Held;
use crate::clock::unix_ms;
use crate::core::tick::Tick;
use crate::listener::Place;
use crate::publish::{self, NewMessage, NewUrl, PublishError};

/// Replies that may wait to be written; each is a batch at most.
const REPLIES_MAX: usize = 16;
/// What is read at once.
const READ_BYTES: usize = 64 << 10;
/// A stranger has this long to authenticate, a TLS handshake included.
pub(super) const AUTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Wrong passwords before the connection is closed.
const AUTH_FAILURES_MAX: u8 = 5;
/// What a stranger is told, in bytes, before the connection is closed.
const STRANGER_REPLY_BYTES_MAX: usize = 4 << 10;
/// Replies from this size on are counted against what may wait to be written.
const LARGE_REPLY_BYTES: usize = 4 << 10;
/// Bytes of large replies that may wait to be written.
const LARGE_REPLIES_BYTES_MAX: usize = 256 << 10;
/// The longest message that is sent back (ECHO, PING).
const ECHO_BYTES_MAX: usize = 64 << 10;

/// The text of `NOAUTH` for a connection whose key ended.
pub(super) const KEY_ENDED: &str = "the key of this connection was revoked, or has expired";

/// Whoever is at the other end.
#[derive(Clone, Copy)]
pub(crate) struct Client<'p> {
    pub(crate) peer: SocketAddr,
    /// When a stranger is closed.
    pub(crate) authenticate_by: Instant,
    /// Kept once it is known who this is.
    pub(crate) place: Option<&'p Place>,
}

/// Serves a connection, whatever its bytes travel over, until it ends.
pub(crate) async fn serve<I, O>(
    ingest: &Arc<Ingest>,
    (input, output): (I, O),
    Client { peer, authenticate_by, place }: Client<'_>,
    stop: watch::Receiver<bool>,
) where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin + Send + 'static,
{
    let id = ingest.connection_ids.fetch_add(1, Ordering::Relaxed) + 1;
    let (replies, queue) = mpsc::channel(REPLIES_MAX);
    let (reading, still_reading) = reading();
    let waiting = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(replies::write(ingest.clone(), output, queue, still_reading, waiting.clone()));
    let caller = ingest.anybody(peer.ip());
    let limits = if caller.is_some() { ingest.frame_limits() } else { Limits::before_auth() };
    if let (Some(place), Some(_)) = (place, &caller) {
        // Too late: then whoever waits for it to be lost closes the connection.
        let _ = place.keep();
    }
    let connection = Connection {
        ingest,
        input,
        peer,
        session: Session::new(id),
        caller,
        place,
        authenticate_by,
        allowance: Allowance::default(),
        now_ms: unix_ms(),
        now: ingest.clock.now(),
        auth_failures: 0,
        told_bytes: 0,
        arriving_since: None,
        arriving: Held::NOTHING,
        room: Arc::new(Semaphore::new(LARGE_REPLIES_BYTES_MAX)),
        batch: Batch::default(),
        replies,
        reading: &reading,
        waiting,
    };
    connection.run(Decoder::new(limits), stop).await;
    reading.ends();
    // The replier ends when everything that was accepted has been answered, or the client is gone.
    let _ = writing.await;
}

struct Connection<'i, I> {
    ingest: &'i Ingest,
    input: I,
    peer: SocketAddr,
    session: Session,
    /// Who this is, once that is known.
    caller: Option<Caller>,
    place: Option<&'i Place>,
    /// When a stranger is closed.
    authenticate_by: Instant,
    /// Messages that may be sent before the caller's pace is asked again.
    allowance: Allowance,
    /// What time it was when something came in last, by the wall clock and by the engine's.
    now_ms: u64,
    now: Tick,
    auth_failures: u8,
    /// Bytes that a stranger was told.
    told_bytes: usize,
    /// Since when a request arrives that is not whole.
    arriving_since: Option<Instant>,
    /// What a large one holds of the budget meanwhile.
    arriving: Held,
    /// For large replies that wait to be written.
    room: Arc<Semaphore>,
    batch: Batch,
    replies: mpsc::Sender<Reply>,
    /// Says to the replier whether what the client sends is still read.
    reading: &'i Reading,
    /// Whether the replier waits for outcomes on the client's behalf.
    waiting: Arc<AtomicBool>,
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An engine that is gone has stopped too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for the end of somebody's key; for ever where there is nobody yet.
async fn ended(end: Option<impl Future<Output = ()>>) {
    match end {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}

/// Whether to go on with a connection.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    Close,
}

impl<I: AsyncRead + Unpin> Connection<'_, I> {
    async fn run(mut self, mut decoder: Decoder, mut stop: watch::Receiver<bool>) {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        let replies = self.replies.clone();
        loop {
            if self.requests(&mut decoder, &mut buffer).await == Go::Close {
                return;
            }
            let ended = ended(self.caller.as_ref().map(Caller::ended));
            let read = tokio::select! {
                biased;
                // The client does not take its answers.
                () = replies.closed() => return,
                () = stopped(&mut stop) => return,
                () = ended => {
                    self.put_out().await;
                    return;
                }
                read = self.read(&mut buffer, decoder.limits().held_bytes_max()) => read,
            };
            if read == Go::Close {
                return;
            }
            (self.now_ms, self.now) = (unix_ms(), self.ingest.clock.now());
        }
    }

    /// Reads some. A request that grows large first gets a part of the budget, for as much as it could become.
    async fn read(&mut self, buffer: &mut BytesMut, held_bytes_max: usize) -> Go {
        if buffer.len() >= READ_BYTES && self.arriving.is_nothing() {
            self.arriving = self.ingest.budget.arrive(held_bytes_max).await;
        }
        let mut deadline = self.deadline(buffer.is_empty());
        buffer.reserve(READ_BYTES);
        loop {
            match tokio::time::timeout_at(deadline, self.input.read_buf(buffer)).await {
                Ok(Ok(0)) => return Go::Close,
                Ok(Ok(_)) => return Go::On,
                Ok(Err(error)) => {
                    tracing::debug!(peer = %self.peer, %error, "a connection broke");
                    return Go::Close;
                }
                Err(_) if self.may_be_silent(buffer.is_empty()) => deadline += self.ingest.idle_timeout,
                Err(_) => {
                    tracing::debug!(peer = %self.peer, authenticated = self.caller.is_some(), "closed: too slow, or idle");
                    return Go::Close;
                }
            }
        }
    }

    /// When it is enough: of a stranger, of a request that does not become whole, of silence.
    fn deadline(&mut self, idle: bool) -> Instant {
        if self.caller.is_none() {
            return self.authenticate_by;
        }
        let now = Instant::now();
        if idle {
            return now + self.ingest.idle_timeout;
        }
        *self.arriving_since.get_or_insert(now) + self.ingest.request_timeout
    }

    /// Who waits for outcomes need not say anything.
    fn may_be_silent(&self, idle: bool) -> bool {
        self.caller.is_some() && idle && self.waiting.load(Ordering::Relaxed)
    }

    /// Deals with every request that is there as a whole.
    async fn requests(&mut self, decoder: &mut Decoder, buffer: &mut BytesMut) -> Go {
        loop {
            let go = match decoder.decode(buffer) {
                Ok(Some(request)) => self.request(&request).await,
                Ok(None) => return self.submit().await,
                Err(error) => return self.protocol_error(&error).await,
            };
            if go == Go::Close {
                // What came before is still answered.
                self.submit().await;
                return Go::Close;
            }
            if self.caller.is_some() != decoder.limits().authenticated {
                let ingest = self.ingest;
                decoder.set_limits(if self.caller.is_some() {
                    ingest.frame_limits()
                } else {
                    Limits::before_auth()
                });
            }
        }
    }

    /// As in Redis: first whether there is such a command, then whether it may be said, then its arguments.
    async fn request(&mut self, request: &Request<'_>) -> Go {
        (self.arriving_since, self.arriving) = (None, Held::NOTHING);
        let parsed = Definition::of(request).and_then(|definition| {
            let allowed = self.caller.is_some() || definition.before_auth;
            allowed.then(|| definition.parse(request)).transpose()
        });
        match parsed {
            Ok(Some(command)) => self.command(&command).await,
            Ok(None) => self.say(|reply| reply.error(ErrorCode::NoAuth, AUTHENTICATION_REQUIRED)).await,
            Err(error) => self.say(|reply| reply.error(error.code(), &error)).await,
        }
    }

    async fn command(&mut self, command: &Command<'_>) -> Go {
        if let Some(caller) = &self.caller {
            if !caller.is_valid(self.now_ms) {
                return self.put_out().await;
            }
            caller.note_use(self.now_ms, Some(self.peer.ip()));
            if let Err(forbidden) = self.ingest.check_may(caller, command) {
                return self.say(|reply| reply.error(ErrorCode::NoPerm, &forbidden)).await;
            }
        }
        match command {
            Command::Hello(hello) => self.hello(hello).await,
            Command::Auth(credentials) => self.auth(credentials).await,
            Command::Xadd(xadd) => self.xadd(xadd).await,
            Command::Xread(xread) => {
                self.query(Query::outcomes(self.ingest, xread, self.caller.clone())).await
            }
            Command::Xrange(xrange) => {
                self.query(Query::messages(self.ingest, xrange, self.caller.clone())).await
            }
            Command::Xlen { application } => {
                self.query(Query::count(self.ingest, application, self.caller.clone())).await
            }
            Command::Info => {
                let all = self.caller.as_ref().is_some_and(sees_all);
                let text = super::read::info(self.ingest, all);
                self.say(|reply| reply.verbatim(&text)).await
            }
            Command::AclWhoami => {
                let name = self.caller.as_ref().map_or("", |caller| &caller.actor.name).to_owned();
                self.say(|reply| reply.bulk(name.as_bytes())).await
            }
            talk => self.small_talk(talk).await,
        }
    }

    async fn xadd(&mut self, xadd: &Xadd<'_>) -> Go {
        let message = NewMessage {
            event_type: xadd.event_type,
            event_id: xadd.event_id,
            channels: xadd.channels.iter().collect(),
            content_type: xadd.content_type,
            payload: xadd.payload.clone(),
            deliver_at_ms: xadd.deliver_at_ms.or_else(|| Some(unix_ms().saturating_add(xadd.delay_ms?))),
            ordering_key: xadd.ordering_key,
            url: xadd.url.map(|url| NewUrl { url, secret: xadd.url_secret, endpoint: xadd.url_endpoint }),
        };
        let checked = self.may_send().and_then(|()| {
            publish::admit(&self.ingest.catalog, &self.ingest.limits, xadd.application, message)
        });
        self.batch.push(checked);
        if self.batch.is_full() { self.submit().await } else { Go::On }
    }

    /// Whether the caller's pace allows another message.
    fn may_send(&mut self) -> Result<(), PublishError> {
        let caller = self.caller.as_ref();
        caller.map_or(Ok(()), |caller| self.allowance.take(caller, self.now))
    }

    async fn submit(&mut self) -> Go {
        if self.batch.is_empty() {
            return Go::On;
        }
        let reply = self.batch.submit(self.ingest).await;
        // It may have waited for room.
        self.now_ms = unix_ms();
        self.send(reply).await
    }

    async fn query(&mut self, query: Result<Query, PublishError>) -> Go {
        match query {
            Ok(query) => {
                if self.submit().await == Go::Close {
                    return Go::Close;
                }
                let version = self.session.version;
                self.send(Reply::Query(query, version)).await
            }
            Err(error) => self.say(|reply| replies::publish_error(reply, &error)).await,
        }
    }

    async fn hello(&mut self, hello: &Hello<'_>) -> Go {
        if let Some(credentials) = &hello.auth {
            if let Some(wait) = self.barred_for() {
                return self.not_judged(wait).await;
            }
            // Where anybody may come in, so may who says that they are anybody.
            let anybody = || {
                let says_so = credentials.user == USER_DEFAULT.as_bytes();
                self.ingest.anybody(self.peer.ip()).filter(|_| says_so)
            };
            match self.ingest.known(credentials, self.peer.ip(), self.now_ms).or_else(anybody) {
                Some(caller) => self.become_caller(Some(caller)),
                None => return self.wrong_password().await,
            }
        }
        if self.caller.is_none() {
            let text = "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> \
                        AUTH <user> <pass> option can be used to authenticate the client and select the RESP \
                        protocol version at the same time";
            return self.say(|reply| reply.error(ErrorCode::NoAuth, text)).await;
        }
        let mut out = BytesMut::new();
        self.session.hello(hello, env!("CARGO_PKG_VERSION"), &mut out);
        self.bytes(out.freeze()).await
    }

    async fn auth(&mut self, credentials: &Credentials<'_>) -> Go {
        if let Some(wait) = self.barred_for() {
            return self.not_judged(wait).await;
        }
        if let Some(caller) = self.ingest.known(credentials, self.peer.ip(), self.now_ms) {
            self.become_caller(Some(caller));
            return self.say(|reply| reply.ok()).await;
        }
        if self.ingest.password.is_empty() && credentials.user == USER_DEFAULT.as_bytes() {
            self.note_refusal();
            let text =
                "AUTH was called without a password being configured (ingest.password), and this is no key";
            let go = self.say(|reply| reply.error(ErrorCode::Err, text)).await;
            return self.count_failure(go);
        }
        self.wrong_password().await
    }

    /// What was allowed to whoever this was before is not theirs.
    fn become_caller(&mut self, caller: Option<Caller>) {
        if let (Some(place), Some(_)) = (self.place, &caller) {
            // The same.
            let _ = place.keep();
        }
        (self.caller, self.allowance) = (caller, Allowance::default());
    }

    /// How long no password from there is judged, be it right or wrong. Where everybody may come in, nothing is won by
    /// guessing.
    fn barred_for(&self) -> Option<Duration> {
        let peer = self.peer.ip();
        self.ingest.barred_for(peer.into()).filter(|_| self.ingest.anybody(peer).is_none())
    }

    /// Says so. A stranger is closed; whoever is known already stays who they were.
    async fn not_judged(&mut self, wait: Duration) -> Go {
        let go = self.say(|reply| reply.error(ErrorCode::Busy, barred(wait))).await;
        if self.caller.is_some() {
            return go;
        }
        self.ingest.metrics.connections_refused.inc();
        Go::Close
    }

    async fn wrong_password(&mut self) -> Go {
        self.note_refusal();
        let text = "invalid username-password pair or user is disabled.";
        let go = self.say(|reply| reply.error(ErrorCode::WrongPass, text)).await;
        self.count_failure(go)
    }

    fn note_refusal(&self) {
        self.ingest.access.note_refusal(Door::Ingest, Some(self.peer.ip()));
        // Where everybody may come in, nothing is won by guessing.
        if self.ingest.anybody(self.peer.ip()).is_none() {
            self.ingest.strikes.lock().failed(Instant::now(), self.peer.ip().into());
        }
    }

    fn count_failure(&mut self, go: Go) -> Go {
        self.auth_failures += 1;
        // Others from there may have used up what is free.
        if self.auth_failures >= AUTH_FAILURES_MAX || self.barred_for().is_some() {
            tracing::warn!(peer = %self.peer, passwords = self.auth_failures, "closed after wrong passwords");
            return Go::Close;
        }
        go
    }

    /// Says why, and closes: the caller's key is no longer valid.
    async fn put_out(&mut self) -> Go {
        self.say(|reply| reply.error(ErrorCode::NoAuth, KEY_ENDED)).await;
        Go::Close
    }

    async fn small_talk(&mut self, command: &Command<'_>) -> Go {
        if let Command::Echo { message } | Command::Ping { message: Some(message) } = command
            && message.len() > ECHO_BYTES_MAX
        {
            let text = format!("message is {} bytes; the limit is {ECHO_BYTES_MAX}", message.len());
            return self.say(|reply| reply.error(ErrorCode::Err, text)).await;
        }
        let mut out = BytesMut::new();
        let answer = self.session.answer(command, &mut out);
        let go = self.bytes(out.freeze()).await;
        match answer {
            Answer::WrittenThenClose => Go::Close,
            Answer::WrittenThenForget => {
                (self.authenticate_by, self.told_bytes) = (Instant::now() + AUTH_TIMEOUT, 0);
                self.become_caller(self.ingest.anybody(self.peer.ip()));
                go
            }
            Answer::Written | Answer::NotMine => go,
        }
    }

    async fn protocol_error(&mut self, error: &ProtocolError) -> Go {
        if *error == ProtocolError::HttpSpoken {
            tracing::warn!(peer = %self.peer, "closed: HTTP was spoken to the TCP port for publishing");
            self.submit().await;
            return Go::Close;
        }
        self.say(|reply| reply.error(ErrorCode::Err, error)).await;
        Go::Close
    }

    /// Replies at once, after what was asked before.
    async fn say(&mut self, write: impl FnOnce(&mut Encoder<'_>)) -> Go {
        let mut out = BytesMut::new();
        write(&mut Encoder::new(&mut out, self.session.version));
        self.bytes(out.freeze()).await
    }

    async fn bytes(&mut self, bytes: Bytes) -> Go {
        if self.submit().await == Go::Close || self.is_told_enough(bytes.len()) {
            return Go::Close;
        }
        let mut room = None;
        if bytes.len() >= LARGE_REPLY_BYTES {
            let permits = bytes.len().min(LARGE_REPLIES_BYTES_MAX) as u32;
            // It is never closed.
            room = self.reading.held_up(self.room.clone().acquire_many_owned(permits)).await.ok();
        }
        self.send(Reply::Bytes(bytes, room)).await
    }

    /// A stranger who goes on and on gets no further answers (CVE-2025-21605).
    fn is_told_enough(&mut self, bytes: usize) -> bool {
        if self.caller.is_some() {
            return false;
        }
        self.told_bytes += bytes;
        let enough = self.told_bytes > STRANGER_REPLY_BYTES_MAX;
        if enough {
            tracing::warn!(peer = %self.peer, "closed: too many requests without authentication");
        }
        enough
    }

    async fn send(&mut self, reply: Reply) -> Go {
        match self.reading.held_up(self.replies.send(reply)).await {
            Ok(()) => Go::On,
            Err(_) => Go::Close,
        }
    }
}
