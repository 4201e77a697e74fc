//! Why an attempt has no response: its outcome, and the same in words.
//!
//! The words are for the person who reads the history of a delivery. They name what was tried and what
//! came of it. Text from outside is cut and stripped of control characters before it becomes part of them.

use std::borrow::Cow;
use std::error::Error;
use std::io;

use crate::core::outcome::{Outcome, Phase};

use super::trust::alert_failure;

/// The receiver sent more than it may within one exchange.
#[derive(Debug, thiserror::Error)]
#[error("the receiver sent more bytes than an exchange may have")]
pub(super) struct AllowanceSpent;

/// The most characters of a foreign text in a detail.
const FOREIGN_CHARS_MAX: usize = 256;

/// An attempt that ended without a response.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) outcome: Outcome,
    pub(super) detail: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(outcome: Outcome, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome, detail: detail.into() }
    }

    pub(super) fn timed_out(phase: Phase) -> Self {
        let detail = match phase {
            Phase::Dns => "the name was not resolved in time",
            Phase::Connect => "no connection was established in time",
            Phase::Tls => "the TLS handshake did not finish in time",
            Phase::FirstByte => "no response began in time",
            Phase::Total => "the response was not complete in time",
        };
        Self::new(Outcome::TimedOut(phase), detail)
    }

    /// What an error of an HTTP/2 connection in use means.
    pub(super) fn from_http2(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Self::new(Outcome::ProtocolError, format!("the response is not valid HTTP: {error}"));
        }
        Self::from_cause(error, error.source())
    }

    /// What an error of a socket, plain or in TLS, means while a response is waited for.
    pub(super) fn from_io(error: &io::Error) -> Self {
        Self::from_cause(error, Some(error))
    }

    /// The receiver closed the connection in the middle of an exchange.
    pub(super) fn broken_off() -> Self {
        Self::new(
            Outcome::ConnectionLost,
            "the connection broke before the response was complete: the receiver closed it",
        )
    }

    fn from_cause(error: &(dyn Error + 'static), cause: Option<&(dyn Error + 'static)>) -> Self {
        if let Some(alert) = alert_in(error) {
            // In TLS 1.3 a server judges a client certificate after our side of the handshake.
            return Self::new(Outcome::TlsFailed, alert_failure(&alert));
        }
        if is_allowance_spent(error) {
            return AllowanceSpent.into();
        }
        if let Some(cause) = find::<io::Error>(error)
            && matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        {
            return Self::new(Outcome::ProtocolError, format!("the response is not valid HTTP: {cause}"));
        }
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(
            Outcome::ConnectionLost,
            format!("the connection broke before the response was complete{cause}"),
        )
    }
}

impl From<AllowanceSpent> for Failure {
    fn from(spent: AllowanceSpent) -> Self {
        Self::new(Outcome::ProtocolError, spent.to_string())
    }
}

/// The name of the alert with which the receiver ended TLS, if that is what happened.
fn alert_in(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::AlertReceived(alert)) = find::<rustls::Error>(error) {
        return Some(format!("{alert:?}"));
    }
    // Of an error in a connection's task, HTTP/2 hands on the words alone.
    let words = find::<io::Error>(error)?.to_string();
    words.strip_prefix("received fatal alert: ").map(str::to_owned)
}

/// Whether it was we who broke off, because there was too much.
fn is_allowance_spent(error: &(dyn Error + 'static)) -> bool {
    // Of an error in a connection's task, HTTP/2 hands on the words alone.
    find::<AllowanceSpent>(error).is_some()
        || find::<io::Error>(error).is_some_and(|error| error.to_string() == AllowanceSpent.to_string())
}

/// The first error of this type in the chain of causes.
///
/// An `io::Error` shows the causes of the error it wraps, but not that error itself: hence the second look.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// A text from outside, safe to show: without control characters, and cut.
pub(super) fn shown(foreign: &[u8]) -> String {
    let text = String::from_utf8_lossy(foreign);
    text.chars().filter(|c| !c.is_control()).take(FOREIGN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_cut_and_stripped_of_control_characters() {
        assert_eq!(shown(b"a\r\n\x1b[31mb"), "a[31mb");
        assert_eq!(shown(&[b'x'; 1_000]).len(), FOREIGN_CHARS_MAX);
        assert_eq!(shown(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn an_error_wrapped_in_an_io_error_is_found() {
        let error = io::Error::other(rustls::Error::DecryptError);
        assert!(find::<rustls::Error>(&error).is_some());
        assert!(find::<AllowanceSpent>(&error).is_none());
    }
}
