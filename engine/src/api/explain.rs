//! What went wrong with an attempt, in words for whoever owns the endpoint, and what most often helps.
//!
//! | class | what it is |
//! |---|---|
//! | `http_3xx`, `http_403`, ... | the receiver answered, but not with what counts as success |
//! | `timeout` | it did not answer in time |
//! | `dns`, `connection`, `tls`, `protocol` | no answer could be had |
//! | `locked_out` | nothing was sent: it has failed too often of late |
//! | `not_sent` | nothing was sent, for other reasons |

use serde::Serialize;

use super::backend::StoredAttempt;
use crate::core::outcome::{Outcome, Phase};

/// An explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Explanation {
    /// One of a few words, for programs.
    class: &'static str,
    /// What happened.
    text: String,
    /// The common cause, and what helps.
    hint: &'static str,
}

/// `None` when nothing went wrong.
pub(super) fn explain(attempt: &StoredAttempt) -> Option<Explanation> {
    let explanation = |class, text: &str, hint| Some(Explanation { class, text: text.into(), hint });
    match attempt.outcome {
        Outcome::Success { .. } => None,
        Outcome::Redirect { status } => Some(redirect(attempt, status)),
        Outcome::BadStatus { status } => Some(bad_status(status)),
        Outcome::RetryAfter { status, .. } => Some(Explanation {
            class: "http_retry_after",
            text: format!("HTTP {status}: the receiver asked for patience with Retry-After"),
            hint: "It is sent again when the receiver wants it, and this attempt does not count against the schedule. \
                   If this goes on, set throttleRate to what the receiver can take.",
        }),
        Outcome::Gone => explanation(
            "http_410",
            "HTTP 410: the receiver wants nothing more at this URL; the endpoint was disabled",
            "If the URL is still in use, see to it that it does not answer 410, then enable the endpoint again.",
        ),
        Outcome::TimedOut(phase) => Some(timed_out(phase)),
        Outcome::DnsFailed => explanation(
            "dns",
            "the host's name could not be resolved",
            "Check the spelling of the host in the URL, and that its name is public in DNS.",
        ),
        Outcome::AddressForbidden => explanation(
            "not_sent",
            "the host's name leads to an address that must not be connected to",
            "The address is private, local or reserved. Use a public one, or have whoever runs this server permit it \
             (delivery.egress).",
        ),
        Outcome::ConnectFailed => explanation(
            "connection",
            "the connection was refused, or its host cannot be reached",
            "Check that the web server runs, that it listens on the port in the URL, and that its firewall lets this \
             server in.",
        ),
        Outcome::TlsFailed => explanation(
            "tls",
            "the TLS handshake failed",
            "Check that the certificate has not run out, is for this host name, and is sent with its intermediate \
             certificates; at least TLS 1.2 is needed.",
        ),
        Outcome::ConnectionLost => explanation(
            "connection",
            "the connection broke before the response was complete",
            "The receiver, or something in front of it, closed the connection. Its error log says why.",
        ),
        Outcome::ProtocolError => explanation(
            "protocol",
            "what came back is not HTTP, or its head is too large",
            "Check that the port in the URL speaks HTTP, and whether it wants https:// instead of http://.",
        ),
        Outcome::UrlLockedOut => explanation(
            "locked_out",
            "nothing was sent: this URL failed many times in a row and is locked out for a while",
            "It is tried again by itself. What it failed with before says what is wrong.",
        ),
        Outcome::HostLockedOut => explanation(
            "locked_out",
            "nothing was sent: the host of this URL failed many times in a row and is locked out for a while",
            "It is tried again by itself. What it failed with before says what is wrong.",
        ),
        Outcome::PayloadDamaged => explanation(
            "not_sent",
            "nothing was sent: the payload could not be read back undamaged",
            "Publish the message again. Whoever runs this server should look at its disk.",
        ),
        Outcome::RequestInvalid => explanation(
            "not_sent",
            "nothing was sent: no request could be made from the endpoint's settings",
            "The detail says which. Change it; the delivery is tried again.",
        ),
        Outcome::Withdrawn => explanation(
            "not_sent",
            "nothing was sent: the message was taken back, or its endpoint removed or disabled",
            "Publish it again, or send it again, once it is wanted.",
        ),
        Outcome::ProxyFailed => explanation(
            "not_sent",
            "nothing was sent: the proxy that requests leave through did not let it pass",
            "It is tried again by itself. Whoever runs this server should look at the proxy (delivery.proxy).",
        ),
        Outcome::OutOfSockets => explanation(
            "not_sent",
            "nothing was sent: this server had no socket to spare",
            "It is tried again by itself. Whoever runs this server should raise its limit of open files.",
        ),
    }
}

fn redirect(attempt: &StoredAttempt, status: u16) -> Explanation {
    let headers = String::from_utf8_lossy(&attempt.response_headers);
    let target = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    let text = match target {
        Some(target) => format!("HTTP {status}: the URL redirects to {target}; redirects are not followed"),
        None => format!("HTTP {status}: the URL redirects elsewhere; redirects are not followed"),
    };
    Explanation { class: "http_3xx", text, hint: "Change the endpoint's URL to the target of the redirect." }
}

fn bad_status(status: u16) -> Explanation {
    let (class, what, hint) = match status {
        400 | 422 => (
            "http_4xx",
            "the receiver did not understand the request",
            "Check which format it expects, and whether it verifies the signature over the bytes as they came.",
        ),
        401 | 403 => (
            "http_403",
            "the receiver does not trust the request",
            "The secret or the credentials that the receiver checks are not those of the endpoint. Update them so that \
             they match.",
        ),
        404 | 405 => (
            "http_404",
            "nothing is there that takes POST requests",
            "Check the path of the URL, and that it takes POST.",
        ),
        408 | 504 => (
            "http_timeout",
            "the receiver took too long within",
            "Take the message in, answer, and do long work afterwards.",
        ),
        413 => (
            "http_4xx",
            "the message is too large for the receiver",
            "Raise the limit of request bodies at the receiver.",
        ),
        429 => (
            "http_429",
            "the receiver gets more than it takes",
            "Set throttleRate of the endpoint to what the receiver can take.",
        ),
        502 | 503 => (
            "http_5xx",
            "the receiver is down, or overloaded",
            "A proxy in front of it cannot reach it. It is tried again by itself.",
        ),
        500..=599 => (
            "http_5xx",
            "the receiver failed",
            "Its error log says why. Where it does not, write more into it where the message is taken in.",
        ),
        400..=499 => ("http_4xx", "the receiver refused the request", "The response may say why."),
        200..=299 => (
            "http_2xx",
            "the endpoint counts 200 alone as success",
            "Let the receiver answer 200, or set successRule of the endpoint to any_2xx.",
        ),
        _ => ("http_other", "this is no final answer", "Let the receiver answer with 200 to 299."),
    };
    Explanation { class, text: format!("HTTP {status}: {what}"), hint }
}

fn timed_out(phase: Phase) -> Explanation {
    const UNREACHED: &str =
        "Check that the host in the URL is up, and that its firewall lets this server in.";
    const SLOW: &str =
        "Move long-running work out of the code that takes the message in: answer first, work afterwards.";
    let (text, hint) = match phase {
        Phase::Dns => (
            "timed out while looking up the host's name",
            "Check that the DNS servers of the host's domain answer.",
        ),
        Phase::Connect => ("timed out while connecting", UNREACHED),
        Phase::Tls => ("timed out in the TLS handshake", UNREACHED),
        Phase::FirstByte => ("timed out while waiting for the first byte of the response", SLOW),
        Phase::Total => ("timed out before the response was complete", SLOW),
    };
    Explanation { class: "timeout", text: text.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::attempts::attempt;
    use crate::core::ids::EndpointId;

    fn explained(outcome: Outcome) -> Option<Explanation> {
        explain(&attempt(1, EndpointId::from_u64(1), outcome))
    }

    #[test]
    fn every_failure_is_explained_and_no_success() {
        for code in 0..=u8::MAX {
            for status in [200, 204, 301, 400, 403, 404, 418, 429, 500, 503, 504, 599, 700] {
                let Some(outcome) = Outcome::from_code(code, status) else { continue };
                let explained = explained(outcome);
                assert_eq!(explained.is_none(), outcome.is_success(), "{outcome:?}");
                assert!(explained.is_none_or(|one| !one.text.is_empty() && one.hint.ends_with('.')));
            }
        }
    }

    #[test]
    fn a_redirect_names_its_target() {
        let mut redirect = attempt(1, EndpointId::from_u64(1), Outcome::Redirect { status: 302 });
        redirect.response_headers = "date: now\r\nLocation: https://b.example/new\r\n".into();
        let text = explain(&redirect).map(|one| one.text);
        let expected = "HTTP 302: the URL redirects to https://b.example/new; redirects are not followed";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn a_secret_that_does_not_match_and_work_that_takes_too_long_have_their_remedy() {
        let hint = |outcome| explained(outcome).map(|one| one.hint).unwrap_or_default();
        assert!(hint(Outcome::BadStatus { status: 403 }).contains("match"));
        assert!(hint(Outcome::TimedOut(Phase::FirstByte)).contains("long-running"));
        assert!(hint(Outcome::Redirect { status: 301 }).contains("Change the endpoint's URL"));
    }
}
