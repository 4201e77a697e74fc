//! One connection: opened, introduced, and asked one question at a time.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{ConnectError, Dialler, Disconnect, Options, ServerError, Stream};
use crate::decimal::Digits;
use crate::value::{Value, ValueDecoder, ValueLimits};

/// Room made for each read.
pub(super) const READ_BYTES: usize = 16 << 10;

/// A connection on which the server knows who is speaking.
pub(super) struct Connection {
    pub(super) stream: Box<dyn Stream>,
    pub(super) replies: Replies,
}

/// What arrived and is not understood yet.
pub(super) struct Replies {
    pub(super) input: BytesMut,
    decoder: ValueDecoder,
}

impl Connection {
    /// Connects and introduces itself within the time that `options` gives.
    pub(super) async fn open(dialler: &Dialler, options: &Options) -> Result<Self, ConnectError> {
        let after = options.connect_timeout;
        match timeout(after, Self::open_untimed(dialler, options)).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectError::Failed(Disconnect::TimedOut { after })),
        }
    }

    async fn open_untimed(dialler: &Dialler, options: &Options) -> Result<Self, ConnectError> {
        let stream = dialler.dial().await.map_err(Disconnect::from)?;
        let mut connection = Self { stream, replies: Replies::new() };
        match connection.call(&introduction(options), options.connect_timeout).await? {
            Value::Error(text) => Err(ConnectError::Refused(ServerError::parse(&text))),
            _ => Ok(connection),
        }
    }

    /// Sends a request and waits for its reply. If it is not waited for to the end, the connection must not
    /// be used again: the reply would be taken for the next one's.
    pub(super) async fn call(&mut self, arguments: &[&[u8]], after: Duration) -> Result<Value, Disconnect> {
        let exchange = async {
            self.stream.write_all(&request(arguments)).await?;
            self.stream.flush().await?;
            loop {
                match self.replies.next()? {
                    // Nothing is asked for that is announced this way.
                    Some(Value::Push(_)) => {}
                    Some(reply) => return Ok(reply),
                    None => self.replies.read_from(&mut self.stream).await?,
                }
            }
        };
        timeout(after, exchange).await.unwrap_or(Err(Disconnect::TimedOut { after }))
    }
}

impl Replies {
    fn new() -> Self {
        Self { input: BytesMut::new(), decoder: ValueDecoder::new(ValueLimits::default()) }
    }

    /// The next reply, if it is here.
    pub(super) fn next(&mut self) -> Result<Option<Value>, Disconnect> {
        Ok(self.decoder.decode(&mut self.input)?)
    }

    /// Waits until something arrives.
    pub(super) async fn read_from(
        &mut self,
        stream: &mut (impl AsyncReadExt + Unpin),
    ) -> Result<(), Disconnect> {
        self.input.reserve(READ_BYTES);
        match stream.read_buf(&mut self.input).await? {
            0 => Err(Disconnect::Closed),
            _ => Ok(()),
        }
    }
}

/// `HELLO 3 [AUTH <user> <password>] [SETNAME <name>]`
fn introduction(options: &Options) -> Vec<&[u8]> {
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some(password) = &options.password {
        let user = options.user.as_deref().unwrap_or("default");
        hello.extend([b"AUTH", user.as_bytes(), password.as_bytes()]);
    }
    if let Some(name) = &options.name {
        hello.extend([b"SETNAME", name.as_bytes()]);
    }
    hello
}

/// A request of these arguments.
fn request(arguments: &[&[u8]]) -> BytesMut {
    let mut out = BytesMut::new();
    begin(&mut out, arguments.len());
    arguments.iter().for_each(|bytes| argument(&mut out, bytes));
    out
}

/// Begins a request: this many arguments follow.
pub(super) fn begin(out: &mut BytesMut, arguments: usize) {
    head(out, b'*', arguments);
}

/// Appends one argument of a request.
pub(super) fn argument(out: &mut BytesMut, bytes: &[u8]) {
    argument_parts(out, [bytes]);
}

/// Appends one argument that is made of parts.
pub(super) fn argument_parts<const N: usize>(out: &mut BytesMut, parts: [&[u8]; N]) {
    head(out, b'$', parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
}

fn head(out: &mut BytesMut, mark: u8, len: usize) {
    out.extend_from_slice(&[mark]);
    out.extend_from_slice(Digits::of(len as u64).as_bytes());
    out.extend_from_slice(b"\r\n");
}
