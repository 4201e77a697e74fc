//! What goes back: a status, at most one header of note, and a body.

use std::io::Write as _;
use std::time::Duration;

use super::behaviour::{self, Behaviour};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Now(Answer),
    After(Duration, Answer),
    /// Never, until the client closes.
    Never,
    /// Not at all: the connection is closed.
    Close,
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) note: Note,
    pub(super) body: Body,
}

/// The header that sets an answer apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Note {
    None,
    Location(&'static str),
    RetryAfter(u32),
    ContentType(&'static str),
}

/// What follows the head.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Empty,
    Text(String),
    /// So many bytes of [`FILLER`].
    Filler(usize),
}

/// What large bodies are made of.
pub(super) static FILLER: [u8; 64 << 10] = [b'.'; 64 << 10];

impl Reply {
    /// The reply that a behaviour asks for.
    pub(super) fn to(behaviour: Behaviour) -> Self {
        match behaviour {
            Behaviour::Ok | Behaviour::Flaky(false) => Self::Now(Answer::bare(204)),
            Behaviour::Flaky(true) => Self::Now(Answer::bare(500)),
            Behaviour::Status(status) => Self::Now(Answer::bare(status)),
            Behaviour::Delay(wait) => Self::After(wait, Answer::bare(204)),
            Behaviour::Hang => Self::Never,
            Behaviour::Drop => Self::Close,
            Behaviour::Redirect => {
                Self::Now(Answer { note: Note::Location("/ok?redirected"), ..Answer::bare(302) })
            }
            Behaviour::Large(bytes) => Self::Now(Answer { body: Body::Filler(bytes), ..Answer::bare(200) }),
            Behaviour::RetryAfter(seconds) => {
                Self::Now(Answer { note: Note::RetryAfter(seconds), ..Answer::bare(429) })
            }
            Behaviour::Gone => Self::Now(Answer::bare(410)),
            Behaviour::Unknown => Self::Now(Answer::text(404, behaviour::LIST)),
        }
    }

    /// The status of the answer, if there will be one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Now(answer) | Self::After(_, answer) => Some(answer.status),
            Self::Never | Self::Close => None,
        }
    }
}

impl Answer {
    /// A status and nothing else.
    pub(super) fn bare(status: u16) -> Self {
        Self { status, note: Note::None, body: Body::Empty }
    }

    /// A sentence for whoever reads.
    pub(super) fn text(status: u16, text: &str) -> Self {
        let note = Note::ContentType("text/plain; charset=utf-8");
        Self { status, note, body: Body::Text(text.to_owned()) }
    }

    /// JSON.
    pub(super) fn json(text: String) -> Self {
        Self { status: 200, note: Note::ContentType("application/json"), body: Body::Text(text) }
    }

    /// Appends head and body in HTTP/1.1, but for the filler, whose length it returns.
    ///
    /// There is no `Date`: nobody who sends webhooks reads it, and it would cost every answer its bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>, close: bool) -> usize {
        if self.status == 204 && self.note == Note::None && !close {
            out.extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n");
            return 0;
        }
        // A reason may be empty; the space before it may not be missing (RFC 9112, section 4).
        let reason =
            http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let _ = write!(out, "HTTP/1.1 {} {}\r\n", self.status, reason.unwrap_or(""));
        let _ = match self.note {
            Note::None => Ok(()),
            Note::Location(target) => write!(out, "location: {target}\r\n"),
            Note::RetryAfter(seconds) => write!(out, "retry-after: {seconds}\r\n"),
            Note::ContentType(kind) => write!(out, "content-type: {kind}\r\n"),
        };
        // These two have no body and no length (RFC 9110, section 8.6).
        if self.status != 204 && self.status != 304 {
            let _ = write!(out, "content-length: {}\r\n", self.body.len());
        }
        if close {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        match &self.body {
            Body::Empty => 0,
            Body::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                0
            }
            Body::Filler(bytes) => *bytes,
        }
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Text(text) => text.len(),
            Self::Filler(bytes) => *bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer, close: bool) -> String {
        let mut out = Vec::new();
        answer.write(&mut out, close);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_usual_answer_is_one_line() {
        assert_eq!(written(&Answer::bare(204), false), "HTTP/1.1 204 No Content\r\n\r\n");
    }

    #[test]
    fn statuses_without_a_body_have_no_length() {
        assert_eq!(written(&Answer::bare(304), false), "HTTP/1.1 304 Not Modified\r\n\r\n");
        assert_eq!(written(&Answer::bare(204), true), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        assert_eq!(written(&Answer::bare(599), false), "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn a_large_body_is_announced_and_left_to_whoever_writes_it() {
        let Reply::Now(answer) = Reply::to(Behaviour::Large(5)) else { panic!("a large body waits") };
        let mut out = Vec::new();
        assert_eq!(answer.write(&mut out, false), 5);
        assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    }
}
