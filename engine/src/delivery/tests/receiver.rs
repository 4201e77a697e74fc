//! A receiver written by hand, so that it can answer what no HTTP library would.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(super) const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// What a receiver does when a request has arrived.
pub(super) enum Reply {
    /// Answers and waits for the next request.
    Answer(Vec<u8>),
    /// Answers and closes the connection.
    AnswerAndClose(Vec<u8>),
    /// Answers, perhaps in part, and never says anything again.
    AnswerAndHang(Vec<u8>),
}

/// A request as it came over the wire.
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }
}

/// A receiver on a port of its own.
pub(super) struct Receiver {
    pub(super) port: u16,
    seen: Rc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    closed: Cell<usize>,
    requests: RefCell<Vec<Received>>,
}

impl Receiver {
    /// A receiver that gives each request the same reply.
    pub(super) async fn replying(reply: impl Fn() -> Reply + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Rc::new(Seen::default());
        let (reply, seen_there) = (Rc::new(reply), Rc::clone(&seen));
        tokio::task::spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                seen_there.connections.set(seen_there.connections.get() + 1);
                tokio::task::spawn_local(serve(tcp, Rc::clone(&reply), Rc::clone(&seen_there)));
            }
        });
        Self { port, seen }
    }

    /// A receiver that always answers this and keeps its connections open.
    pub(super) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::replying(move || Reply::Answer(answer.clone())).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?shop=7", self.port)
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.get()
    }

    pub(super) fn requests(&self) -> std::cell::Ref<'_, Vec<Received>> {
        self.seen.requests.borrow()
    }

    /// Waits until the receiver has seen this many of its connections end.
    pub(super) async fn closed(&self, connections: usize) {
        while self.seen.closed.get() < connections {
            super::settle().await;
        }
    }
}

async fn serve<S, F>(mut stream: S, reply: Rc<F>, seen: Rc<Seen>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn() -> Reply,
{
    while let Some(request) = read_request(&mut stream).await {
        seen.requests.borrow_mut().push(request);
        let (answer, then_close, then_hang) = match reply() {
            Reply::Answer(answer) => (answer, false, false),
            Reply::AnswerAndClose(answer) => (answer, true, false),
            Reply::AnswerAndHang(answer) => (answer, false, true),
        };
        let written = stream.write_all(&answer).await;
        if then_hang {
            // Until the sender gives up.
            let _ = stream.read(&mut [0]).await;
        }
        if then_close || then_hang || written.is_err() {
            break;
        }
    }
    drop(stream);
    seen.closed.set(seen.closed.get() + 1);
}

/// Reads a request with a `content-length`; `None` when the connection ends.
pub(super) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut received =
        Received { head: String::from_utf8(bytes[..head_len].to_vec()).ok()?, body: Vec::new() };
    let body_len: usize = received.header("content-length").unwrap_or("0").parse().ok()?;
    received.body = bytes.split_off(head_len);
    while received.body.len() < body_len {
        if stream.read_buf(&mut received.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(received)
}
