//! The bytes of a connection, plain or in TLS, and how many of them a receiver may send.
//!
//! The HTTP layer bounds heads and bodies, but not everything around them: interim responses, chunk
//! extensions, trailers. So each exchange has an allowance of bytes, counted here, below HTTP, where nothing
//! can be forgotten.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The receiver sent more than it may within one exchange.
#[derive(Debug, thiserror::Error)]
#[error("the receiver sent more bytes than an exchange may have")]
pub(super) struct AllowanceSpent;

/// How many bytes may still be read. Shared by a stream and whoever uses its connection.
#[derive(Clone)]
pub(super) struct ReadAllowance(Rc<Cell<u64>>);

impl ReadAllowance {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// Starts again with this many bytes.
    pub(super) fn refill(&self, bytes: u64) {
        self.0.set(bytes);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        match self.0.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(io::Error::other(AllowanceSpent)),
        }
    }
}

/// A connection's two directions of bytes.
pub(super) struct Stream {
    transport: Transport,
    allowance: Option<ReadAllowance>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { transport: Transport::Plain(tcp), allowance: None }
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>) -> Self {
        Self { transport: Transport::Tls(Box::new(tls)), allowance: None }
    }

    /// From now on reads fail when the allowance is spent.
    pub(super) fn with_allowance(mut self, allowance: ReadAllowance) -> Self {
        self.allowance = Some(allowance);
        self
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        match (&self.allowance, read) {
            (Some(allowance), Poll::Ready(Ok(()))) => {
                Poll::Ready(allowance.spend(buf.filled().len().saturating_sub(before)))
            }
            (_, read) => read,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
