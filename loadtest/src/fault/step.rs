//! Steps: what a receiver does to a connection, byte by byte, one thing after the other.
//!
//! Invariants
//! - A step ends when the client has left, so that nothing goes on that nobody waits for.
//! - What is sent without end is held once.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What is sent without end is sent in pieces of about this size.
const PIECE_BYTES: usize = 16 << 10;
/// A client that is not listened to cannot be seen leaving; it has left by then.
const DEAF_FOR: Duration = Duration::from_secs(60);

/// One thing that is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Reads a request; what ends the connection before ends the steps.
    Read,
    /// Reads whatever comes next.
    ReadSome,
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this, one byte after each pause.
    Drip(Vec<u8>),
    /// Sends this again and again, and takes in what comes back.
    Forever(Vec<u8>),
    /// Sends this again and again without reading; where it is nothing, neither reads nor writes.
    Deaf(Vec<u8>),
    /// New keys for TLS, again and again.
    Rekey,
    /// One pause.
    Pause,
    /// Says nothing more until the client leaves.
    Stall,
    /// Breaks off: RST.
    Reset,
    /// Says that it is over: FIN.
    Close,
    /// The same again, from the first step.
    Again,
}

/// The two directions of a connection, plain or in TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// The connection below.
    fn tcp(&self) -> &TcpStream;

    /// Has TLS change its keys; `false` where there is none.
    fn rekey(&mut self) -> bool {
        false
    }
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn rekey(&mut self) -> bool {
        self.get_mut().1.refresh_traffic_keys().is_ok()
    }
}

/// What comes after a step.
pub(super) enum Then {
    Next,
    Again,
    End,
}

/// Takes any step but that of reading a request, which is a matter of the protocol.
pub(super) async fn take<W: Wire>(wire: &mut W, step: &Step, pause: Duration) -> io::Result<Then> {
    match step {
        Step::Read | Step::Again => return Ok(Then::Again),
        Step::ReadSome => {
            if wire.read(&mut [0; 4_096]).await? == 0 {
                return Ok(Then::End);
            }
        }
        Step::Send(bytes) => send(wire, bytes).await?,
        Step::Drip(bytes) => {
            for byte in bytes {
                tokio::time::sleep(pause).await;
                send(wire, std::slice::from_ref(byte)).await?;
            }
        }
        Step::Forever(bytes) => forever(wire, bytes).await?,
        Step::Deaf(bytes) => {
            let deaf = async {
                if bytes.is_empty() {
                    std::future::pending::<()>().await;
                }
                let piece = piece(bytes);
                while send(wire, &piece).await.is_ok() {}
            };
            let _ = tokio::time::timeout(DEAF_FOR, deaf).await;
            return Ok(Then::End);
        }
        Step::Rekey => {
            while wire.rekey() {
                wire.flush().await?;
            }
            return Ok(Then::End);
        }
        Step::Pause => tokio::time::sleep(pause).await,
        Step::Stall => {
            let mut scratch = [0; 4_096];
            while wire.read(&mut scratch).await? > 0 {}
            return Ok(Then::End);
        }
        Step::Reset => {
            wire.tcp().set_zero_linger()?;
            return Ok(Then::End);
        }
        Step::Close => {
            wire.shutdown().await?;
            // Unread bytes would make it a reset.
            let mut scratch = [0; 4_096];
            let left = async { while matches!(wire.read(&mut scratch).await, Ok(1..)) {} };
            let _ = tokio::time::timeout(DEAF_FOR, left).await;
            return Ok(Then::End);
        }
    }
    Ok(Then::Next)
}

async fn send<W: Wire>(wire: &mut W, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}

/// As often as fits a piece, at least once.
fn piece(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat((PIECE_BYTES / bytes.len().max(1)).max(1))
}

async fn forever<W: Wire>(wire: &mut W, bytes: &[u8]) -> io::Result<()> {
    let piece = piece(bytes);
    let (mut reading, mut writing) = tokio::io::split(wire);
    let write = async {
        loop {
            writing.write_all(&piece).await?;
            writing.flush().await?;
        }
    };
    let read = async {
        let mut scratch = [0; 4_096];
        while reading.read(&mut scratch).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        end = write => end,
        end = read => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_without_end_is_sent_in_pieces_of_whole_repetitions() {
        assert_eq!(piece(b"abc").len() % 3, 0);
        assert!(piece(b"abc").len() > PIECE_BYTES - 3);
        let long = vec![0; PIECE_BYTES + 1];
        assert_eq!(piece(&long).len(), long.len());
    }
}
