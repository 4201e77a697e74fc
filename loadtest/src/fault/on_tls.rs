//! Faults of TLS: certificates that nobody should believe, and handshakes that are none.

use super::certificates::Certified;
use super::kind::Play::{Certificate, Http1, Raw};
use super::kind::{End, Fault, Transport};
use super::step::Step::{Close, Drip, Forever, Read, ReadSome, Rekey, Reset, Send, Stall};

const TLS: &[Transport] = &[Transport::Https];
const EXPIRED: &[End] = &[End::of("tls_failed", 0, "(cert_expired)")];
const UNTRUSTED: &[End] = &[End::of("tls_failed", 0, "(cert_untrusted)")];
const UNSUPPORTED: &[End] = &[End::of("tls_failed", 0, "(tls_unsupported)")];
const BROKEN: &[End] = &[End::of("tls_failed", 0, "the connection broke during the TLS handshake")];
const FAILED: &[End] = &[End::of("tls_failed", 0, "the TLS handshake failed")];
const SLOW: &[End] = &[End::of("timeout_tls", 0, "the TLS handshake did not finish in time")];

/// A record: its type, the version 3.`minor`, its length, its content.
fn record(kind: u8, minor: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[kind, 3, minor, length[0], length[1]], content].concat()
}

/// A ServerHello of the version 3.`minor` (RFC 2246 and RFC 4346, section 7.4.1.3): random, no session, AES128-SHA, no
/// compression.
fn server_hello(minor: u8) -> Vec<u8> {
    let hello = [&[3, minor], &[7; 32][..], &[0, 0, 0x2f, 0]].concat();
    record(22, minor, &[&[2, 0, 0, hello.len() as u8], &hello[..]].concat())
}

macro_rules! faults {
    ($($name:literal, $what:literal, $ends:expr, $play:expr;)*) => {
        &[$(Fault { name: $name, what: $what, by: TLS, play: $play, ends: $ends },)*]
    };
}

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = faults! {
    "tls-expired", "shows a certificate that has run out", EXPIRED, Certificate(Certified::Expired);
    "tls-not-yet", "shows a certificate of the year 3000", EXPIRED, Certificate(Certified::NotYet);
    "tls-wrong-name", "shows a certificate for another name",
        &[End::of("tls_failed", 0, "(cert_name)")], Certificate(Certified::WrongName);
    "tls-self-signed", "shows a certificate that it signed itself", UNTRUSTED, Certificate(Certified::SelfSigned);
    "tls-unknown-authority", "shows a certificate of an authority that nobody knows", UNTRUSTED,
        Certificate(Certified::UnknownAuthority);
    "tls-client-certificate", "wants to be shown a certificate",
        &[End::of("tls_failed", 0, "(cert_refused)")], Certificate(Certified::ClientAsked);
    "tls-1.0", "speaks TLS 1.0 only", UNSUPPORTED, Raw(|| vec![ReadSome, Send(server_hello(1)), Stall]);
    "tls-1.1", "speaks TLS 1.1 only", UNSUPPORTED, Raw(|| vec![ReadSome, Send(server_hello(2)), Stall]);
    "tls-stall", "takes the ClientHello and says nothing", SLOW, Raw(|| vec![ReadSome, Stall]);
    "tls-slow", "sends its ServerHello one byte after each pause", SLOW,
        Raw(|| vec![ReadSome, Drip(server_hello(3)), Stall]);
    "tls-stall-in-hello", "stops in its ServerHello", SLOW,
        Raw(|| vec![ReadSome, Send(server_hello(3)[..20].to_vec()), Stall]);
    "tls-alert", "refuses with an alert", UNSUPPORTED,
        Raw(|| vec![ReadSome, Send(record(21, 3, &[2, 40])), Stall]);
    "tls-alert-flood", "sends warnings without end", FAILED,
        Raw(|| vec![ReadSome, Forever(record(21, 3, &[1, 90]))]);
    "tls-plain-http", "speaks HTTP in the clear on the port of TLS", UNSUPPORTED,
        Raw(|| vec![ReadSome, Send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec()), Stall]);
    "tls-garbage", "sends bytes that are no record", UNSUPPORTED,
        Raw(|| vec![ReadSome, Send(vec![0xee; 600]), Stall]);
    "tls-long-record", "sends a record longer than any may be", FAILED,
        Raw(|| vec![ReadSome, Send(record(22, 3, &[2; 65_535])), Stall]);
    "tls-endless-handshake", "sends a handshake message of 16 MiB", FAILED,
        Raw(|| vec![
            ReadSome,
            Send(record(22, 3, &[11, 0xff, 0xff, 0xff])),
            Forever(record(22, 3, &[0; 16_000])),
        ]);
    "tls-empty-records", "sends records of nothing without end", FAILED,
        Raw(|| vec![ReadSome, Forever(record(22, 3, &[]))]);
    "tls-reset", "resets during the handshake", BROKEN, Raw(|| vec![ReadSome, Reset]);
    "tls-close", "closes during the handshake", BROKEN, Raw(|| vec![ReadSome, Close]);
    "tls-rekey-flood", "changes its keys without end instead of answering",
        &[End::of("timeout_first_byte", 0, "no response began in time")], Http1(|| vec![Read, Rekey]);
};
