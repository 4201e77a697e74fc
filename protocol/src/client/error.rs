//! What can go wrong for a client, and what is known about the message then.

use std::io;
use std::time::Duration;

use crate::reply::ErrorCode;
use crate::value::ValueError;

/// The server said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct ServerError {
    /// The first word, for programs.
    pub code: ErrorCode,
    /// The rest, for people.
    pub text: String,
}

impl ServerError {
    /// Reads an error reply. With a code that is not known, the text keeps all of it.
    pub(super) fn parse(reply: &[u8]) -> Self {
        let reply = String::from_utf8_lossy(reply);
        let (word, rest) = reply.split_once(' ').unwrap_or((&reply, ""));
        match ErrorCode::from_word(word) {
            ErrorCode::Other => Self { code: ErrorCode::Other, text: reply.into_owned() },
            code => Self { code, text: rest.to_owned() },
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// The network failed.
    #[error("{text}")]
    Io {
        /// How the operating system classes it.
        kind: io::ErrorKind,
        /// What it says.
        text: String,
    },
    /// The server was silent for too long.
    #[error("no answer for {} ms", .after.as_millis())]
    TimedOut {
        /// For how long.
        after: Duration,
    },
    /// What came back is not RESP.
    #[error(transparent)]
    Garbled(#[from] ValueError),
    /// What came back answers another question.
    #[error("the server sent a reply of another kind than was asked for")]
    Unexpected,
}

impl From<io::Error> for Disconnect {
    fn from(error: io::Error) -> Self {
        Self::Io { kind: error.kind(), text: error.to_string() }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The server cannot be reached, or the connection ended at once.
    #[error("cannot connect: {0}")]
    Failed(#[from] Disconnect),
    /// The server does not want this client.
    #[error("the server refuses the connection: {0}")]
    Refused(ServerError),
}

/// Why a message is not known to be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A channel cannot be written: channels are joined by commas. Nothing was sent.
    #[error("channel '{channel}' is empty or holds a comma")]
    Channel {
        /// The channel.
        channel: String,
    },
    /// There is no connection. Nothing was sent.
    #[error(transparent)]
    NotConnected(ConnectError),
    /// The server refused the message. It is not stored, except after [`ErrorCode::Misconf`], when that is
    /// not known.
    #[error("refused: {0}")]
    Refused(ServerError),
    /// The connection ended before the answer: the message may be stored or not. To repeat it is safe if it
    /// has an event id.
    #[error("sent, but not acknowledged: {0}")]
    Unacknowledged(Disconnect),
}

/// Why outcomes cannot be read. A lost connection is not among the reasons: the follower makes another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The server refuses the connection or the read.
    #[error("refused: {0}")]
    Refused(ServerError),
    /// What the server sent are no outcomes.
    #[error("the server sent something else than outcomes")]
    NotOutcomes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_apart_by_its_first_word() {
        let error = ServerError::parse(b"OOM disk is full");
        assert_eq!((error.code, error.text.as_str()), (ErrorCode::Oom, "disk is full"));
        let error = ServerError::parse(b"MOVED 1 here");
        assert_eq!((error.code, error.text.as_str()), (ErrorCode::Other, "MOVED 1 here"));
        assert_eq!(ServerError::parse(b"").code, ErrorCode::Other);
    }
}
