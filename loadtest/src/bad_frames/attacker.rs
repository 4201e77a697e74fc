//! Attackers: each plays scripts, one connection after the other, until enough frames have been sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::kind::{Kind, Manner, Script};
use super::random::Random;
use crate::run::interrupt;

/// Whoever is not closed after this time is let go. Longer than a stranger is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// A write that is not taken for so long is one that nobody takes.
const UNREAD_PATIENCE: Duration = Duration::from_millis(200);
/// Pieces that are sent without reading at most.
const UNREAD_PIECES_MAX: usize = 20_000;

/// What is attacked, and how far it has got.
pub(super) struct Attack {
    to: SocketAddr,
    password: Option<String>,
    seed: u64,
    next: AtomicU64,
    first: u64,
    frames: AtomicU64,
    frames_max: u64,
}

/// What was sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) scripts: u64,
    pub(super) frames: u64,
    /// Connections that were not served at all.
    pub(super) turned_away: u64,
    by_kind: [u64; Kind::ALL.len()],
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.scripts += other.scripts;
        self.frames += other.frames;
        self.turned_away += other.turned_away;
        self.by_kind.iter_mut().zip(other.by_kind).for_each(|(sum, more)| *sum += more);
    }

    pub(super) fn by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.iter().map(|kind| kind.name()).zip(self.by_kind)
    }
}

impl Attack {
    pub(super) fn new(
        to: SocketAddr,
        password: Option<String>,
        seed: u64,
        first: u64,
        frames_max: u64,
    ) -> Self {
        let frames = AtomicU64::new(0);
        Self { to, password, seed, next: AtomicU64::new(first), first, frames, frames_max }
    }

    /// Scripts until there are enough frames.
    async fn play(&self) -> Tally {
        let mut tally = Tally::default();
        while self.frames.load(Relaxed) < self.frames_max && !interrupt::is_requested() {
            let number = self.next.fetch_add(1, Relaxed);
            let mut random = Random::of(self.seed, number);
            let script = Script::new(&mut random, self.password.as_deref());
            let from = source(script.kind, &mut random);
            let Ok(stream) = connect(from, self.to).await else {
                tally.turned_away += 1;
                continue;
            };
            let sent = send(stream, &script).await;
            tally.frames += sent;
            tally.by_kind[script.kind as usize] += sent;
            self.frames.fetch_add(sent, Relaxed);
        }
        tally
    }
}

/// Lets so many attackers play. What they sent, together.
pub(super) async fn run(attack: Arc<Attack>, attackers: u16) -> Tally {
    let mut playing = JoinSet::new();
    for _ in 0..attackers {
        let attack = attack.clone();
        playing.spawn(async move { attack.play().await });
    }
    let mut all = Tally::default();
    while let Some(played) = playing.join_next().await {
        // What panics is a mistake here; the figures will lack it.
        all.add(played.unwrap_or_default());
    }
    all.scripts = attack.next.load(Relaxed) - attack.first;
    all
}

/// Where it comes from: those who guess are turned away soon, and keep to themselves.
fn source(kind: Kind, random: &mut Random) -> Ipv4Addr {
    let third = if kind == Kind::Guess { 2 } else { 1 };
    Ipv4Addr::new(127, 0, third, 1 + random.below(250) as u8)
}

/// A connection from this address of the machine; from any, to another machine.
pub(super) async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if to.ip().is_loopback() && to.is_ipv4() {
        socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
    }
    socket.connect(to).await
}

/// How many frames were sent, as far as can be known: what is written may still find nobody.
async fn send(mut stream: TcpStream, script: &Script) -> u64 {
    match script.manner {
        Manner::AtOnce => {
            let _ = timeout(PATIENCE, at_once(&mut stream, &script.bytes)).await;
            script.frames
        }
        Manner::Drip => {
            let _ = timeout(PATIENCE, drip(&mut stream, &script.bytes)).await;
            script.frames
        }
        Manner::Unread => {
            unread(&mut stream, &script.bytes).await;
            script.frames
        }
    }
}

async fn at_once(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let (mut reading, mut writing) = stream.split();
    let write = async {
        writing.write_all(bytes).await?;
        writing.shutdown().await
    };
    let (written, read) = tokio::join!(write, read_to_end(&mut reading));
    written.and(read)
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    for byte in bytes {
        stream.write_all(std::slice::from_ref(byte)).await?;
        tokio::task::yield_now().await;
    }
    stream.shutdown().await?;
    read_to_end(stream).await
}

async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 4_096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Sends until nothing more is taken, and waits until the other side has had enough.
async fn unread(stream: &mut TcpStream, bytes: &[u8]) {
    for _ in 0..UNREAD_PIECES_MAX {
        match timeout(UNREAD_PATIENCE, stream.write_all(bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                // It is closed by the other side, or let go.
                let _ = timeout(PATIENCE, stream.write_all(bytes)).await;
                return;
            }
        }
    }
}
