//! Answers that are well formed and mean no good, over every version of HTTP.

use super::answer::Answer;
use super::bomb;
use super::kind::Transport::{Http, Http2, Https};
use super::kind::{End, Fault, Play, Transport};

const ALL: &[Transport] = &[Http, Https, Http2];
const OK_WITH_BODY: &[End] = &[End::of("success", 200, "")];
const PATIENCE_429: &[End] = &[End::of("retry_after", 429, "asks to wait")];
const PATIENCE_503: &[End] = &[End::of("retry_after", 503, "asks to wait")];
const BAD_429: &[End] = &[End::of("bad_status", 429, "the receiver answered 429")];

/// What is on its way when the endpoint is disabled is taken back.
const GONE: &[End] = &[End::of("gone", 410, "wants nothing more"), End::of("withdrawn", 0, "")];

/// Where a cloud keeps the credentials of its machines.
const METADATA: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

macro_rules! faults {
    ($($name:literal, $what:literal, $ends:expr, $answer:expr;)*) => {
        &[$(Fault { name: $name, what: $what, by: ALL, play: Play::Answer(|| $answer), ends: $ends },)*]
    };
}

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = faults! {
    "redirect-metadata", "302 to the metadata service of a cloud",
        &[End::of("redirect", 302, "redirect to http://169.254.169.254/latest/meta-data/")],
        Answer::bare(302).with("location", METADATA);
    "redirect-again", "307 to a path of its own", &[End::of("redirect", 307, "redirect to /followed not followed")],
        Answer::bare(307).with("location", "/followed");
    "redirect-many", "308 with two locations", &[End::of("redirect", 308, "not followed")],
        Answer::bare(308).with("location", METADATA).with("location", "file:///etc/passwd");
    "redirect-long", "301 to 8 KiB", &[End::of("redirect", 301, "not followed")],
        Answer::bare(301).with("location", "x".repeat(8_192));
    "refresh", "200 with a Refresh to the metadata service", OK_WITH_BODY,
        Answer::bare(200).with("refresh", format!("0; url={METADATA}"));
    "retry-after-huge", "429 and to wait for 3,000 years", PATIENCE_429,
        Answer::bare(429).with("retry-after", "99999999999");
    "retry-after-endless", "429 and to wait for more seconds than 64 bits hold", PATIENCE_429,
        Answer::bare(429).with("retry-after", "9".repeat(400));
    "retry-after-date", "503 and to wait until the year 9999", PATIENCE_503,
        Answer::bare(503).with("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT");
    "retry-after-negative", "429 and to wait for less than no time", BAD_429,
        Answer::bare(429).with("retry-after", "-5");
    "retry-after-past", "429 and to wait until 1994", BAD_429,
        Answer::bare(429).with("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
    "retry-after-garbage", "429 and to wait for something", BAD_429,
        Answer::bare(429).with("retry-after", b"\xff\xfe soon");
    "retry-after-zero", "429 and to wait for no time", &[End::of("retry_after", 429, "asks to wait")],
        Answer::bare(429).with("retry-after", "0");
    "gone", "410", GONE, Answer::bare(410);
    "gzip-bomb", "a body of 60 KiB as gzip that unpacks to 9 MiB", OK_WITH_BODY,
        Answer::bare(200).with("content-encoding", "gzip").body(bomb::gzip(37_000));
    "zstd-bomb", "a body of 60 KiB as zstd that unpacks to 1.8 GiB", OK_WITH_BODY,
        Answer::bare(200).with("content-encoding", "zstd").body(bomb::zstd(15_000));
    "brotli-claimed", "a body that is said to be brotli, deflate and gzip, one in the other", OK_WITH_BODY,
        Answer::bare(200).with("content-encoding", "br, deflate, gzip").body(vec![0xce; 60_000]);
    "invalid-utf8", "headers and a body that are no UTF-8", OK_WITH_BODY,
        Answer::bare(200).with("x-name", b"\xff\xfe\xc0\x80").body(*b"\xff\xfe\xc0\x80\xed\xa0\x80");
    "control-in-body", "a body of control characters", OK_WITH_BODY,
        Answer::bare(200).body("\x1b]0;owned\x07\x1b[2J\r\n\0\u{202e}\u{7f}");
    "teapot", "418", &[End::of("bad_status", 418, "the receiver answered 418")], Answer::bare(418);
};
