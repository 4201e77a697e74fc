//! An engine that acknowledges everything and delivers nothing. It counts as the real one does, so that only the
//! receiver's account can tell.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use posthaste_protocol::command::Command;
use posthaste_protocol::frame::{Decoder, Limits};

/// See the head of this file. Its threads end with the process of the tests.
pub(crate) struct Forgetful {
    pub(crate) tcp: SocketAddr,
    pub(crate) api: SocketAddr,
}

/// How it answers a message.
type Answer = fn() -> &'static str;

impl Forgetful {
    pub(crate) fn start() -> Self {
        Self::answering(|| "$3\r\n1-1\r\n")
    }

    /// One that refuses every message.
    pub(crate) fn refusing() -> Self {
        Self::answering(|| "-OOM the disk is full\r\n")
    }

    fn answering(answer: Answer) -> Self {
        let accepted = Arc::new(AtomicU64::new(0));
        let counted = accepted.clone();
        let tcp = serve(move |stream| take_messages(stream, answer, &accepted));
        let api = serve(move |stream| answer_questions(stream, &counted));
        Self { tcp, api }
    }
}

fn serve(connection: impl Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = connection.clone();
            std::thread::spawn(move || connection(stream));
        }
    });
    address
}

fn take_messages(mut stream: TcpStream, answer: Answer, accepted: &AtomicU64) -> std::io::Result<()> {
    let (mut input, mut decoder) = (BytesMut::new(), Decoder::new(Limits::after_auth(1 << 20)));
    let mut chunk = [0; 65_536];
    loop {
        let mut out = String::new();
        while let Some(request) = decoder.decode(&mut input).map_err(std::io::Error::other)? {
            if let Ok(Command::Xadd(_)) = Command::parse(&request) {
                accepted.fetch_add(1, Ordering::SeqCst);
                out += answer();
            } else {
                out += "+PONG\r\n";
            }
        }
        stream.write_all(out.as_bytes())?;
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            read => input.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Everything that it is asked to make it has made; its counters say that all is well.
fn answer_questions(mut stream: TcpStream, accepted: &AtomicU64) -> std::io::Result<()> {
    let mut input = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            read => input.extend_from_slice(&chunk[..read]),
        }
        while let Some(taken) = whole_request(&input) {
            let is_metrics = input.starts_with(b"GET /metrics");
            input.drain(..taken);
            let body = if is_metrics { metrics(accepted.load(Ordering::SeqCst)) } else { "{}".to_owned() };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes())?;
        }
    }
}

fn whole_request(input: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(len)) = head.parse(input) else { return None };
    let length = head.headers.iter().find(|header| header.name == "content-length")?;
    let end = len + std::str::from_utf8(length.value).ok()?.parse::<usize>().ok()?;
    (input.len() >= end).then_some(end)
}

fn metrics(accepted: u64) -> String {
    format!(
        "posthaste_messages_accepted_total {accepted}\n\
         posthaste_deliveries_delivered_total {accepted}\n\
         posthaste_deliveries_exhausted_total 0\n\
         posthaste_deliveries_cancelled_total 0\n\
         posthaste_deliveries_pending 0\n\
         posthaste_deliveries_in_memory 0\n\
         posthaste_attempts_in_flight 0\n\
         posthaste_commit_seconds_count 0\n\
         posthaste_commit_records_sum 0\n"
    )
}
