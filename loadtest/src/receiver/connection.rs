//! A plaintext connection: one read and one write for each batch of requests, and nothing allocated on the way.
//!
//! ```text
//!   socket --read--> scratch of the thread --> requests --> replies --> out of the thread --write--> socket
//!                       | what is incomplete                             | what the socket did not take
//!                       v                                                v
//!                     kept, of the connection                         unsent, of the connection
//! ```
//!
//! An idle connection owns no buffers: there may be tens of thousands. Answers keep the order of their requests,
//! so one that waits holds up those pipelined behind it, as HTTP/1.1 wants it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::answer::{Answer, FILLER, Reply};
use super::chunks::Chunks;
use super::hyper_service;
use super::prefixed::Prefixed;
use super::request::{Found, find};
use super::worker::Worker;

/// Bytes that one read may bring.
const SCRATCH_BYTES: usize = 64 << 10;
/// Answers are sent once there are so many bytes of them, though more requests have come.
const OUT_BYTES_MAX: usize = 64 << 10;
/// After a last answer the client has so long to take it and to close.
const LINGER: Duration = Duration::from_secs(1);

struct Buffers {
    scratch: Box<[u8]>,
    out: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> =
        RefCell::new(Buffers { scratch: vec![0; SCRATCH_BYTES].into(), out: Vec::new() });
}

pub(super) struct Connection {
    stream: TcpStream,
    worker: Worker,
    kept: Vec<u8>,
    /// There may be a whole request in `kept`.
    kept_unread: bool,
    chunks: Chunks,
    /// The client has been told to go on with the request that is coming.
    continued: bool,
    unsent: Vec<u8>,
}

/// What to do after a turn, once its answers are sent.
enum Next {
    /// Go on reading.
    Read,
    /// Answer after a time.
    Wait(Duration, Answer, Close),
    /// Send so much filler.
    Fill(usize, Close),
    /// Leave the client waiting until it closes.
    Hang,
    /// Close once the client has taken its answer.
    Linger,
    /// Close now.
    Close,
    /// It speaks HTTP/2.
    Http2,
}

/// Whether the connection ends with this answer.
type Close = bool;

impl Connection {
    pub(super) fn new(stream: TcpStream, worker: Worker) -> Self {
        let (kept, unsent, chunks) = (Vec::new(), Vec::new(), Chunks::default());
        Self { stream, worker, kept, kept_unread: false, chunks, continued: false, unsent }
    }

    /// Serves until either side closes.
    pub(super) async fn serve(mut self) {
        loop {
            let next = poll_fn(|cx| self.poll_turn(cx)).await;
            if self.flush().await.is_err() {
                return;
            }
            let close = match next {
                Next::Read => false,
                Next::Close => return,
                Next::Linger => true,
                Next::Hang => {
                    let _in_flight = self.worker.in_flight();
                    return self.closed_by_client().await;
                }
                Next::Wait(time, answer, close) => match self.wait(time, &answer, close).await {
                    Some(close) => close,
                    None => return,
                },
                Next::Fill(bytes, close) => match self.fill(bytes).await {
                    Ok(()) => close,
                    Err(_) => return,
                },
                Next::Http2 => {
                    let stream = Prefixed::new(self.kept, self.stream);
                    // Apart, so that connections that never come here do not carry its size.
                    return Box::pin(hyper_service::serve(stream, self.worker)).await;
                }
            };
            if close {
                return self.linger().await;
            }
        }
    }

    /// Reads once, answers what has become whole, and writes once.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        BUFFERS.with_borrow_mut(|Buffers { scratch, out }| {
            out.clear();
            let next = if self.kept_unread {
                self.take_kept(out)
            } else {
                let mut buffer = ReadBuf::new(scratch);
                match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                    Ok(()) if !buffer.filled().is_empty() => self.take_new(buffer.filled(), out),
                    _ => return Poll::Ready(Next::Close),
                }
            };
            self.write_now(cx, out);
            Poll::Ready(next)
        })
    }

    fn take_new(&mut self, input: &[u8], out: &mut Vec<u8>) -> Next {
        if !self.kept.is_empty() {
            self.kept.extend_from_slice(input);
            return self.take_kept(out);
        }
        let (bytes, next) = self.take(input, out);
        self.kept.extend_from_slice(&input[bytes..]);
        next
    }

    fn take_kept(&mut self, out: &mut Vec<u8>) -> Next {
        let mut kept = std::mem::take(&mut self.kept);
        let (bytes, next) = self.take(&kept, out);
        if bytes < kept.len() {
            kept.drain(..bytes);
            self.kept = kept;
        }
        next
    }

    /// Answers the requests at the beginning of `input`; returns how many bytes they took.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Next) {
        let at = Instant::now();
        let mut taken = 0;
        self.kept_unread = false;
        while taken < input.len() {
            if out.len() >= OUT_BYTES_MAX {
                self.kept_unread = true;
                break;
            }
            let body_bytes_max = self.worker.shared.rules.body_bytes_max;
            let (reply, close) = match find(&input[taken..], &mut self.chunks, body_bytes_max) {
                Found::Whole { request, bytes, close } => {
                    taken += bytes;
                    (self.worker.receive(&request, at), close)
                }
                Found::Partial { expects_continue } => {
                    if expects_continue && !std::mem::replace(&mut self.continued, true) {
                        out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    break;
                }
                Found::Refused(status) => {
                    self.worker.counters().refused();
                    Answer::bare(status).write(out, true);
                    return (input.len(), Next::Linger);
                }
                Found::Http2 => return (taken, Next::Http2),
            };
            self.chunks.clear();
            self.continued = false;
            if let Some(next) = answer(reply, close, out) {
                self.kept_unread = taken < input.len();
                return (taken, next);
            }
        }
        (taken, Next::Read)
    }

    /// Writes what the socket takes at once; the rest becomes `unsent`.
    fn write_now(&mut self, cx: &mut Context<'_>, out: &[u8]) {
        if out.is_empty() {
            return;
        }
        let written = match Pin::new(&mut self.stream).poll_write(cx, out) {
            Poll::Ready(Ok(bytes)) => bytes,
            // An error comes again when the rest is sent.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.unsent.extend_from_slice(&out[written..]);
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            self.stream.write_all(&unsent).await?;
        }
        Ok(())
    }

    /// `None` where the client has left meanwhile.
    async fn wait(&mut self, time: Duration, answer: &Answer, close: Close) -> Option<Close> {
        let _in_flight = self.worker.in_flight();
        let timer = tokio::time::sleep(time);
        tokio::pin!(timer);
        while self.kept.len() < SCRATCH_BYTES {
            tokio::select! {
                biased;
                () = &mut timer => break,
                read = self.stream.read_buf(&mut self.kept) => {
                    if !matches!(read, Ok(1..)) {
                        return None;
                    }
                    self.kept_unread = true;
                }
            }
        }
        timer.await;
        answer.write(&mut self.unsent, close);
        self.flush().await.ok()?;
        Some(close)
    }

    async fn fill(&mut self, mut bytes: usize) -> std::io::Result<()> {
        while bytes > 0 {
            let piece = bytes.min(FILLER.len());
            self.stream.write_all(&FILLER[..piece]).await?;
            bytes -= piece;
        }
        Ok(())
    }

    /// A socket that is closed with unread bytes is reset, and the answer may be lost with it.
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_ok() {
            let _ = tokio::time::timeout(LINGER, self.closed_by_client()).await;
        }
    }

    async fn closed_by_client(&mut self) {
        let mut closed = |cx: &mut Context<'_>| {
            BUFFERS.with_borrow_mut(|Buffers { scratch, .. }| {
                let mut buffer = ReadBuf::new(scratch);
                let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
                Poll::Ready(read.is_err() || buffer.filled().is_empty())
            })
        };
        while !poll_fn(&mut closed).await {}
    }
}

/// Writes the answer, unless something is to happen before or after it.
fn answer(reply: Reply, close: Close, out: &mut Vec<u8>) -> Option<Next> {
    match reply {
        Reply::Now(answer) => match answer.write(out, close) {
            0 => close.then_some(Next::Linger),
            filler => Some(Next::Fill(filler, close)),
        },
        Reply::After(time, answer) => Some(Next::Wait(time, answer, close)),
        Reply::Never => Some(Next::Hang),
        Reply::Close => Some(Next::Close),
    }
}
