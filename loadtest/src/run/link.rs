//! A connection to publish over: introduced, and split into a half that writes and one that reads.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};

use super::xadd;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a read waits before the reader looks at what else happened.
const LOOK_UP: Duration = Duration::from_millis(20);
const CHUNK_BYTES: usize = 64 << 10;

/// See the head of this file.
pub(crate) struct Link {
    stream: TcpStream,
    replies: Replies,
}

/// The half that reads.
pub(crate) struct Replies {
    stream: TcpStream,
    decoder: ValueDecoder,
    input: BytesMut,
    chunk: Vec<u8>,
}

/// What came of a read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Some,
    Nothing,
    Closed,
}

impl Link {
    pub(crate) fn connect(address: SocketAddr, password: Option<&str>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_UP))?;
        let decoder = ValueDecoder::new(ValueLimits::default());
        let (input, chunk) = (BytesMut::new(), vec![0; CHUNK_BYTES]);
        let replies = Replies { stream: stream.try_clone()?, decoder, input, chunk };
        let mut link = Self { stream, replies };
        // Without a password PING tells as well whether anybody there speaks the protocol.
        let greeting = password.map_or_else(|| vec!["PING"], |password| vec!["AUTH", password]);
        link.greet(&greeting)?;
        Ok(link)
    }

    /// The half that writes, and the half that reads.
    pub(crate) fn halves(&mut self) -> (&mut TcpStream, &mut Replies) {
        (&mut self.stream, &mut self.replies)
    }

    fn greet(&mut self, greeting: &[&str]) -> anyhow::Result<()> {
        self.stream.write_all(&xadd::request(greeting))?;
        let until = std::time::Instant::now() + CONNECT_PATIENCE;
        while std::time::Instant::now() < until {
            match self.replies.next()? {
                Some(Value::Error(text)) => bail!("{}", String::from_utf8_lossy(&text)),
                Some(_) => return Ok(()),
                None if self.replies.read()? == Read::Closed => bail!("it closed the connection"),
                None => {}
            }
        }
        bail!("no answer within {CONNECT_PATIENCE:?}")
    }
}

impl Replies {
    /// The next reply, if it is here.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Value>> {
        self.decoder.decode(&mut self.input).context("a reply that is none")
    }

    /// Waits a moment for more.
    pub(crate) fn read(&mut self) -> anyhow::Result<Read> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Ok(Read::Closed),
            Ok(read) => {
                self.input.extend_from_slice(&self.chunk[..read]);
                Ok(Read::Some)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(Read::Nothing),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(Read::Closed),
                _ => Err(error.into()),
            },
        }
    }
}
