//! A stream from which not more is read than the exchanges over it may have.
//!
//! Over HTTP/2 a peer may send what belongs to no response: pings, settings, windows, frames of unknown types. Each
//! costs little, a flood of them the thread that all deliveries of a shard share. So it is bytes that are counted,
//! whatever they are.
//!
//! Invariants
//! - Between two exchanges that begin, not more is read than the exchanges that are under way may have together.
//! - What was not used is not saved up.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::failure::AllowanceSpent;
use super::stream::Stream;

/// Bytes that may still be read.
#[derive(Clone)]
pub(super) struct Allowance {
    left: Rc<Cell<u64>>,
    exchange_bytes_max: u64,
}

impl Allowance {
    /// Enough for the first exchange and what comes before it.
    pub(super) fn new(exchange_bytes_max: u64) -> Self {
        Self { left: Rc::new(Cell::new(exchange_bytes_max)), exchange_bytes_max }
    }

    /// One more exchange begins; there are so many now.
    pub(super) fn begin(&self, exchanges: usize) {
        let most = self.exchange_bytes_max.saturating_mul(exchanges as u64);
        self.left.set(self.left.get().saturating_add(self.exchange_bytes_max).min(most));
    }

    fn take(&self, bytes: u64) -> Result<(), AllowanceSpent> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(AllowanceSpent)?);
        Ok(())
    }
}

/// See the head of this file.
pub(super) struct Metered {
    stream: Stream,
    allowance: Allowance,
}

impl Metered {
    pub(super) fn new(stream: Stream, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let bytes = (buf.filled().len() - before) as u64;
        match self.allowance.take(bytes) {
            Ok(()) => read,
            Err(spent) => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, spent))),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_exchange_leaves_the_next_does_not_get() {
        let allowance = Allowance::new(100);
        allowance.begin(1);
        assert!(allowance.take(10).is_ok());
        allowance.begin(1);
        assert!(allowance.take(100).is_ok());
        assert!(allowance.take(1).is_err());
    }

    #[test]
    fn exchanges_at_the_same_time_have_as_much_together_as_each_alone() {
        let allowance = Allowance::new(100);
        allowance.begin(1);
        allowance.begin(2);
        allowance.begin(3);
        assert!(allowance.take(300).is_ok());
        assert!(allowance.take(1).is_err());
    }
}
