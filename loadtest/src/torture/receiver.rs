//! Receivers: a thread for each connection, which asks the books what to answer.
//!
//! Slow and plain on purpose: each request is read whole, checked, entered, and only then answered.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::books::{Answer, Arrival, Books};
use crate::receiver::Secret;

/// With what endpoints sign.
pub(super) const SECRET: &str = "whsec_dG9ydHVyZS10b3J0dXJlLXRvcnR1cmUtdG9ydHVyZQ==";
/// How often a thread looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(20);
/// For so long no connection may be open before it is believed that none will come.
const QUIET: Duration = Duration::from_millis(20);
const REQUEST_BYTES_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 32;

/// One host that receives. Its threads end when this is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    books: Arc<Books>,
    secret: Secret,
    open: AtomicUsize,
    ended: AtomicBool,
}

impl Receiver {
    pub(super) fn start(books: &Arc<Books>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a receiver")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            books: books.clone(),
            secret: Secret::new(SECRET)?,
            open: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::Builder::new().name("accept".into()).spawn(move || accept(&listener, &accepting))?;
        Ok(Self { address, shared })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits until nothing is connected: whatever a dead process had sent has been read.
    pub(super) fn wait_until_quiet(&self) {
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < QUIET {
            if self.shared.open.load(Ordering::Acquire) > 0 {
                quiet_since = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let life = shared.books.life();
        shared.open.fetch_add(1, Ordering::AcqRel);
        let serving = shared.clone();
        std::thread::spawn(move || {
            // A connection that breaks is the other side's affair: it is what is being tried out.
            let _ = serve(stream, &serving, life);
            serving.open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

fn serve(mut stream: TcpStream, shared: &Shared, life: u32) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK_UP))?;
    let (mut input, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
    while !shared.ended.load(Ordering::Acquire) {
        if let Some((answer, taken)) = request(&input, shared, life)? {
            input.drain(..taken);
            match answer {
                Answer::Never => return hang(&mut stream, shared),
                Answer::Status(status) => respond(&mut stream, status)?,
            }
            continue;
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => input.extend_from_slice(&chunk[..read]),
            Err(error) if is_patient(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_patient(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn respond(stream: &mut TcpStream, status: u16) -> anyhow::Result<()> {
    let length = if status == 204 { "" } else { "content-length: 0\r\n" };
    Ok(stream.write_all(format!("HTTP/1.1 {status} Torture\r\n{length}\r\n").as_bytes())?)
}

/// Keeps the connection, silent, until the other side closes it or receivers answer again.
fn hang(stream: &mut TcpStream, shared: &Shared) -> anyhow::Result<()> {
    let mut byte = [0];
    while shared.books.hangs() && !shared.ended.load(Ordering::Acquire) {
        match stream.read(&mut byte) {
            Err(error) if is_patient(&error) => {}
            _ => break,
        }
    }
    Ok(())
}

/// The first request in `input`: what to answer, and how many bytes it took; `None` while something is missing.
fn request(input: &[u8], shared: &Shared, life: u32) -> anyhow::Result<Option<(Answer, usize)>> {
    anyhow::ensure!(input.len() <= REQUEST_BYTES_MAX, "a request of more than {REQUEST_BYTES_MAX} bytes");
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(input)? else { return Ok(None) };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or("")
    };
    let end = head_bytes.saturating_add(header("content-length").parse::<usize>()?);
    let Some(body) = input.get(head_bytes..end) else { return Ok(None) };
    let webhook_id = header("webhook-id");
    let signed = header("webhook-timestamp").parse().is_ok_and(|timestamp| {
        // The age of a timestamp is not judged: clocks are put wrong here on purpose.
        let good = shared.secret.sign(webhook_id, timestamp, body);
        good.is_ok_and(|good| header("webhook-signature").split(' ').any(|signature| signature == good))
    });
    Ok(Some((shared.books.arrived(&Arrival { webhook_id, signed, body, life }), end)))
}
