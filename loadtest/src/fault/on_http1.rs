//! Faults of HTTP/1.1, in the clear or in TLS: what is sent after a request has come, or instead of waiting for it.

use super::answer::Answer;
use super::kind::Play::Http1;
use super::kind::Transport::{Http, Https};
use super::kind::{End, Fault, Transport};
use super::step::Step::{self, Again, Close, Drip, Forever, Pause, Read, Reset, Send, Stall};

const BOTH: &[Transport] = &[Http, Https];
const OK: &[End] = &[End::of("success", 204, "")];
const OK_WITH_BODY: &[End] = &[End::of("success", 200, "")];
const SILENT: &[End] = &[End::of("timeout_first_byte", 0, "no response began in time")];
const UNFINISHED: &[End] = &[End::of("timeout_total", 0, "the response was not complete in time")];
const BROKEN: &[End] =
    &[End::of("connection_lost", 0, "the connection broke before the response was complete")];
const NOT_HTTP: &[End] = &[End::of("protocol_error", 0, "the response is not valid HTTP")];
const HEAD_TOO_LONG: &[End] = &[End::of("protocol_error", 0, "its head is longer than 16384 bytes")];
const TOO_MANY_HEADERS: &[End] = &[End::of("protocol_error", 0, "too many headers")];
const TOO_MUCH: &[End] =
    &[End::of("protocol_error", 0, "the receiver sent more bytes than an exchange may have")];
const BAD_CHUNK: &[End] = &[End::of("protocol_error", 0, "a chunk of its body is not framed")];
const BAD_LENGTH: &[End] = &[End::of("protocol_error", 0, "its content-length is not one number")];
/// A request that meets a closing connection may have arrived: it is not sent again within its attempt.
const OK_OR_BROKEN: &[End] = &[OK[0], BROKEN[0]];

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
/// What is hidden behind another answer. Nobody may ever be told of this status.
const SMUGGLED: &str = "HTTP/1.1 299 Smuggled\r\ncontent-length: 8\r\n\r\nsmuggled";

/// Reads a request and answers with this.
fn answer(text: &str) -> Vec<Step> {
    vec![Read, Send(text.into()), Stall]
}

/// The same, and closes.
fn last_answer(text: &str) -> Vec<Step> {
    vec![Read, Send(text.into()), Close]
}

/// The same, for every request of a connection.
fn answers(text: &str) -> Vec<Step> {
    vec![Read, Send(text.into()), Again]
}

/// Begins to answer, and then goes on with this.
fn begun(text: &str, then: Step) -> Vec<Step> {
    vec![Read, Send(text.into()), then]
}

macro_rules! faults {
    ($($name:literal, $what:literal, $ends:expr, $steps:expr;)*) => {
        &[$(Fault { name: $name, what: $what, by: BOTH, play: Http1(|| $steps), ends: $ends },)*]
    };
}

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = faults! {
    "slow-head", "sends the head of its response one byte after each pause", SILENT,
        vec![Read, Drip(NO_CONTENT.into()), Stall];
    "slow-body", "sends the body one byte after each pause", UNFINISHED,
        begun("HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n", Drip(vec![b'.'; 9_000]));
    "slow-chunks", "sends a chunk of one byte, byte by byte, after each pause", UNFINISHED,
        begun(CHUNKED, Drip(b"1\r\n.\r\n".repeat(1_000)));
    "endless-body", "sends a body without length and without end", OK_WITH_BODY,
        begun("HTTP/1.1 200 OK\r\n\r\n", Forever(vec![b'.'; 1_024]));
    "endless-chunks", "sends chunks of one byte without end", TOO_MUCH,
        begun(CHUNKED, Forever(b"1\r\n.\r\n".to_vec()));
    "endless-head", "sends headers without end", HEAD_TOO_LONG,
        begun("HTTP/1.1 200 OK\r\n", Forever(format!("x-more: {}\r\n", "x".repeat(1_000)).into()));
    "endless-header", "sends one header without end", HEAD_TOO_LONG,
        begun("HTTP/1.1 200 OK\r\nx-more: ", Forever(vec![b'x'; 1_024]));
    "huge-head", "sends a head of 1 MiB", HEAD_TOO_LONG,
        answer(&format!("HTTP/1.1 200 OK\r\nx-huge: {}\r\n\r\n", "x".repeat(1 << 20)));
    "many-headers", "sends 1,000 headers", TOO_MANY_HEADERS,
        answer(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1_000)));
    "interim-flood", "sends 102 without end", TOO_MUCH,
        begun("", Forever(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec()));
    "interim-then-answer", "sends three interim responses, then 204", OK,
        answers(&format!("{}{NO_CONTENT}", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(3)));
    "switching-protocols", "sends 101, which nobody asked for", &[End::of("bad_status", 101, "101")],
        answer("HTTP/1.1 101 Switching Protocols\r\nupgrade: tea\r\n\r\n");
    "bad-status-line", "sends a first line that is none", NOT_HTTP, answer("HTTP 200 OK\r\n\r\n");
    "bad-status", "sends a status that is no number", NOT_HTTP, answer("HTTP/1.1 2x0 OK\r\n\r\n");
    "status-too-small", "sends the status 099", NOT_HTTP, answer("HTTP/1.1 099 x\r\n\r\n");
    "status-too-large", "sends the status 1000", NOT_HTTP, answer("HTTP/1.1 1000 x\r\n\r\n");
    "status-999", "sends the status 999", &[End::of("bad_status", 999, "999")],
        answers("HTTP/1.1 999 x\r\ncontent-length: 0\r\n\r\n");
    "http-0.9", "sends a page without a head and closes", NOT_HTTP, last_answer("<html>fine</html>\r\n");
    "http-0.9-nothing", "closes without a word", BROKEN, vec![Read, Close];
    "http-version", "says that it speaks HTTP/3.0", NOT_HTTP, answer("HTTP/3.0 200 OK\r\n\r\n");
    "http2-unasked", "speaks HTTP/2 though it was not agreed on", NOT_HTTP,
        vec![Send(super::frames::settings(&[])), Stall];
    "banner", "greets as an SSH server does", NOT_HTTP, vec![Send(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Stall];
    "bad-chunk-size", "sends a chunk whose size is no number", BAD_CHUNK, begun(CHUNKED, Send(b"zz\r\n".to_vec()));
    "bad-chunk-end", "sends a chunk without CR LF behind it", BAD_CHUNK,
        begun(CHUNKED, Send(b"2\r\nabcd\r\n0\r\n\r\n".to_vec()));
    "bad-chunk-lf", "ends the size of a chunk with LF alone", BAD_CHUNK, begun(CHUNKED, Send(b"2\nab\r\n".to_vec()));
    "huge-chunk-size", "announces a chunk of 2^68 bytes", BAD_CHUNK,
        begun(CHUNKED, Send(b"10000000000000000\r\n".to_vec()));
    "huge-chunk", "announces a chunk of 2^64-1 bytes and sends without end", OK_WITH_BODY,
        begun(&format!("{CHUNKED}ffffffffffffffff\r\n"), Forever(vec![b'.'; 1_024]));
    "endless-chunk-extension", "sends an extension of a chunk without end", TOO_MUCH,
        begun(&format!("{CHUNKED}2;"), Forever(vec![b'e'; 1_024]));
    "endless-trailers", "sends trailers without end", TOO_MUCH,
        begun(&format!("{CHUNKED}0\r\n"), Forever(b"x-more: x\r\n".to_vec()));
    "chunk-cut", "closes in the middle of a chunk", BROKEN, last_answer(&format!("{CHUNKED}5\r\nab"));
    "length-too-short", "sends more than content-length says", OK_WITH_BODY,
        answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{} and more");
    "length-too-long", "closes before content-length is reached", BROKEN,
        last_answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}");
    "length-never-reached", "says nothing more before content-length is reached", UNFINISHED,
        answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}");
    "length-twice", "sends two lengths that differ", BAD_LENGTH,
        answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}!");
    "length-negative", "sends a negative length", BAD_LENGTH, answer("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n");
    "length-too-many-digits", "sends a length beyond 64 bits", BAD_LENGTH,
        answer("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n");
    "length-huge", "announces 2^63 bytes and sends without end", OK_WITH_BODY,
        begun("HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775808\r\n\r\n", Forever(vec![b'.'; 1_024]));
    "length-and-chunks", "sends a length beside chunks", OK_WITH_BODY,
        answers("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    "chunks-in-1.0", "sends chunks as HTTP/1.0", NOT_HTTP,
        answer("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    "content-behind-204", "sends a body behind a 204", OK,
        answers("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nfine!");
    "reset-unanswered", "resets once the request has come", BROKEN, vec![Read, Reset];
    "reset-in-head", "resets in the head", BROKEN, begun("HTTP/1.1 200 OK\r\nx-", Reset);
    "reset-in-body", "resets in the body", BROKEN, begun("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", Reset);
    "close-in-head", "closes in the head", BROKEN, last_answer("HTTP/1.1 200 OK\r\nx-");
    "stall-unanswered", "never answers", SILENT, vec![Read, Stall];
    "stall-in-head", "stops in the head", SILENT, answer("HTTP/1.1 200 OK\r\nx-");
    "stall-in-body", "stops in the body", UNFINISHED, answer("HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n{}");
    "answers-first", "answers before the request has come", OK, vec![Send(NO_CONTENT.into()), Read, Again];
    "closes-idle", "closes after each answer without saying so", OK_OR_BROKEN, last_answer(NO_CONTENT);
    "resets-idle", "resets after each answer, a pause later", OK_OR_BROKEN,
        vec![Read, Send(NO_CONTENT.into()), Pause, Reset];
    "smuggles", "sends a second answer behind the first", OK, answers(&format!("{NO_CONTENT}{SMUGGLED}"));
    "smuggles-in-chunks", "hides a second answer behind the last chunk", OK_WITH_BODY,
        answers(&format!("{CHUNKED}0\r\n\r\n{SMUGGLED}"));
    "smuggles-behind-length", "hides a second answer behind content-length", OK_WITH_BODY,
        answers(&format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}{SMUGGLED}"));
    "control-in-header", "sends an escape character in a header", NOT_HTTP,
        answer("HTTP/1.1 200 OK\r\nx-log: \x1b[31mred\r\ncontent-length: 0\r\n\r\n");
    "nul-in-header", "sends a NUL in a header", NOT_HTTP, answer("HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n");
    "cr-in-header", "sends a CR alone in a header", NOT_HTTP, answer("HTTP/1.1 200 OK\r\nx: a\rb: c\r\n\r\n");
    "folded-header", "goes on with a header on the next line", NOT_HTTP,
        answer("HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n");
    "space-before-colon", "sends a space between a header's name and its colon", NOT_HTTP,
        answer("HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n");
    "control-in-reason", "sends an escape character in the reason", NOT_HTTP,
        answer("HTTP/1.1 200 \x1b[31mOK\r\ncontent-length: 0\r\n\r\n");
    "coding-unknown", "sends a transfer-encoding that nobody knows", OK_WITH_BODY,
        last_answer("HTTP/1.1 200 OK\r\ntransfer-encoding: tea\r\n\r\n{}");
};

/// A receiver that has been answering well and goes on doing so.
pub(super) fn fine() -> Vec<Step> {
    vec![Read, Send(Answer::bare(204).http1()), Again]
}
