//! Faults of HTTP/2, frame by frame.

use super::frames::{self, frame};
use super::http2::Script;
use super::kind::Play::Http2;
use super::kind::{End, Fault, Transport};
use super::step::Step::{self, Again, Close, Deaf, Drip, Forever, Reset, Send, Stall};

const H2: &[Transport] = &[Transport::Http2];
const OK: &[End] = &[End::of("success", 204, "")];
const SILENT: &[End] = &[End::of("timeout_first_byte", 0, "no response began in time")];
const UNFINISHED: &[End] = &[End::of("timeout_total", 0, "the response was not complete in time")];
/// A connection that has answered something is used again, and may be silent then.
const UNFINISHED_OR_SILENT: &[End] = &[UNFINISHED[0], SILENT[0]];
const TOO_MUCH: &[End] =
    &[End::of("protocol_error", 0, "the receiver sent more bytes than an exchange may have")];
const TOO_MANY_FRAMES: &[End] = &[End::of("connection_lost", 0, "too_many_data_frames")];
/// A reset is the end of the stream, a flood of them that of the connection; it may be the first of the two.
const BROKEN_OR_TOO_MUCH: &[End] = &[BROKEN[0], TOO_MUCH[0]];
/// A request that crosses a GOAWAY is lost, and not sent again within its attempt.
const OK_OR_BROKEN: &[End] = &[OK[0], BROKEN[0]];
/// What comes before a request is noticed before it is sent, or after.
const BROKEN_AT_ONCE: &[End] =
    &[BROKEN[0], End::of("connection_lost", 0, "the receiver closed the connection at once")];
const BROKEN: &[End] =
    &[End::of("connection_lost", 0, "the connection broke before the response was complete")];

/// `:status: 200` alone.
fn ok_head() -> Vec<u8> {
    frames::header_block(200, std::iter::empty())
}

/// Head of a response whose body is to follow, then this.
fn begun(stream: u32, then: Step) -> Vec<Step> {
    vec![Send(frames::headers(stream, &ok_head(), false)), then]
}

fn no_content(stream: u32) -> Vec<u8> {
    frames::headers(stream, &frames::header_block(204, std::iter::empty()), true)
}

/// A header block of this many bytes and more.
fn long_block(bytes: usize) -> Vec<u8> {
    let mut block = ok_head();
    while block.len() < bytes {
        frames::literal(&mut block, b"x-more", &[b'x'; 1_000]);
    }
    block
}

/// Begins with this, before anything is asked.
fn first(first: Step) -> Script {
    Script { first: vec![first], ..Script::about(|_| vec![Stall]) }
}

/// Grants this, and never answers.
fn with_setting(setting: (u16, u32)) -> Script {
    Script { settings: vec![setting], ..Script::about(|_| vec![Stall]) }
}

macro_rules! faults {
    ($($name:literal, $what:literal, $ends:expr, $script:expr;)*) => {
        &[$(Fault { name: $name, what: $what, by: H2, play: Http2(|| $script), ends: $ends },)*]
    };
}

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = faults! {
    "h2-goaway-before", "turns the request away with GOAWAY and closes", BROKEN,
        Script::about(|_| vec![Send(frames::goaway(0, 0)), Close]);
    "h2-goaway-after", "answers, then GOAWAY", OK_OR_BROKEN,
        Script::about(|stream| vec![Send([no_content(stream), frames::goaway(stream, 0)].concat()), Close]);
    "h2-goaway-during", "begins to answer, then GOAWAY for this very stream, and closes", BROKEN,
        Script::about(|stream| {
            let goaway = frames::goaway(stream - 1, 1);
            vec![Send([frames::headers(stream, &ok_head(), false), goaway].concat()), Close]
        });
    "h2-reset", "resets the stream instead of answering", BROKEN,
        Script::about(|stream| vec![Send(frames::reset(stream, 2)), Again]);
    "h2-reset-in-body", "resets the stream in the body", BROKEN,
        Script::about(|stream| {
            let begun = frames::headers(stream, &ok_head(), false);
            vec![Send([begun, frames::data(stream, b"{", false), frames::reset(stream, 2)].concat()), Again]
        });
    "h2-reset-flood", "resets the stream without end", BROKEN_OR_TOO_MUCH,
        Script::about(|stream| vec![Forever(frames::reset(stream, 8))]);
    "h2-empty-data-flood", "sends empty DATA frames without end", TOO_MANY_FRAMES,
        Script::about(|stream| begun(stream, Forever(frames::data(stream, b"", false))));
    "h2-empty-data-flood-deaf", "sends empty DATA frames without end and does not read", TOO_MANY_FRAMES,
        Script::about(|stream| begun(stream, Deaf(frames::data(stream, b"", false))));
    "h2-padding-flood", "sends DATA frames of nothing but padding without end", TOO_MANY_FRAMES,
        Script::about(|stream| begun(stream, Forever(frame(frames::DATA, 8, stream, &[0]))));
    "h2-settings-flood", "sends SETTINGS without end", TOO_MUCH,
        Script::about(|_| vec![Forever(frames::settings(&[]))]);
    "h2-settings-flood-deaf", "sends SETTINGS without end and does not read", TOO_MUCH,
        Script::about(|_| vec![Deaf(frames::settings(&[]))]);
    "h2-ping-flood", "sends PING without end", TOO_MUCH, Script::about(|_| vec![Forever(frame(frames::PING, 0, 0, &[0; 8]))]);
    "h2-ping-flood-deaf", "sends PING without end and does not read", TOO_MUCH,
        Script::about(|_| vec![Deaf(frame(frames::PING, 0, 0, &[0; 8]))]);
    "h2-window-flood", "sends WINDOW_UPDATE without end", TOO_MUCH,
        Script::about(|stream| vec![Forever(frames::window_update(stream, 1 << 20))]);
    "h2-unknown-flood", "sends frames of an unknown type without end", TOO_MUCH,
        Script::about(|_| vec![Forever(frame(0xfe, 0, 0, &[0; 100]))]);
    "h2-priority-flood", "sends PRIORITY without end", TOO_MUCH,
        Script::about(|stream| vec![Forever(frame(2, 0, stream, &[0, 0, 0, 0, 1]))]);
    "h2-continuation-flood", "sends a header block without end", BROKEN,
        Script::about(|stream| vec![
            Send(frame(frames::HEADERS, 0, stream, &ok_head())),
            Forever(frame(frames::CONTINUATION, 0, stream, &long_block(8_000)[1..])),
        ]);
    "h2-empty-continuation-flood", "sends empty CONTINUATION frames without end", BROKEN,
        Script::about(|stream| vec![
            Send(frame(frames::HEADERS, 0, stream, &ok_head())),
            Forever(frame(frames::CONTINUATION, 0, stream, b"")),
        ]);
    "h2-slow-head", "sends a header block one byte after each pause", SILENT,
        Script::about(|stream| vec![Drip(frames::headers(stream, &long_block(2_000), true)), Stall]);
    "h2-slow-body", "sends the body one byte after each pause", UNFINISHED_OR_SILENT,
        Script::about(|stream| begun(stream, Drip(frames::data(stream, b".", false).repeat(900))));
    "h2-huge-head", "sends a header block of 64 KiB", BROKEN,
        Script::about(|stream| {
            let block = long_block(64 << 10);
            let mut out = frame(frames::HEADERS, frames::END_STREAM, stream, &block[..frames::PAYLOAD_BYTES_MAX]);
            let mut rest = block[frames::PAYLOAD_BYTES_MAX..].chunks(frames::PAYLOAD_BYTES_MAX).peekable();
            while let Some(piece) = rest.next() {
                let flags = if rest.peek().is_none() { frames::END_HEADERS } else { 0 };
                out.extend(frame(frames::CONTINUATION, flags, stream, piece));
            }
            vec![Send(out), Again]
        });
    "h2-zero-window", "lets no byte of a payload be sent", SILENT, with_setting((frames::INITIAL_WINDOW_SIZE, 0));
    "h2-no-streams", "lets no stream be opened", SILENT, with_setting((frames::MAX_CONCURRENT_STREAMS, 0));
    "h2-frame-too-long", "sends a frame of 1 MiB", BROKEN,
        Script::about(|stream| begun(stream, Send(frames::data(stream, &[b'.'; 1 << 20], true))));
    "h2-bad-settings", "sends SETTINGS of five bytes", BROKEN_AT_ONCE, first(Send(frame(frames::SETTINGS, 0, 0, &[0; 5])));
    "h2-bad-window", "sends a window that overflows", BROKEN,
        Script::about(|_| vec![Send(frames::window_update(0, 0x7fff_ffff)), Stall]);
    "h2-window-ignored", "sends far more than the window allows", BROKEN,
        Script::about(|stream| begun(stream, Forever(frames::data(stream, &[b'.'; 16_384], false))));
    "h2-wrong-stream", "answers on a stream that nobody opened", BROKEN,
        Script::about(|stream| vec![Send(no_content(stream + 1_000)), Stall]);
    "h2-push", "pushes what nobody asked for", BROKEN,
        Script::about(|stream| {
            let block = [&2_u32.to_be_bytes()[..], &ok_head()].concat();
            vec![Send(frame(frames::PUSH_PROMISE, frames::END_HEADERS, stream, &block)), Stall]
        });
    "h2-data-first", "sends a body without a head", BROKEN,
        Script::about(|stream| vec![Send(frames::data(stream, b"{}", true)), Stall]);
    "h2-no-status", "sends a head without a status", BROKEN,
        Script::about(|stream| {
            let mut block = Vec::new();
            frames::literal(&mut block, b"x", b"y");
            vec![Send(frames::headers(stream, &block, true)), Again]
        });
    "h2-bad-hpack", "sends a header block that is none", BROKEN,
        Script::about(|stream| vec![Send(frames::headers(stream, &[0xff; 20], true)), Stall]);
    "h2-interim-flood", "sends 103 without end", TOO_MUCH,
        Script::about(|stream| {
            let early = frames::header_block(103, std::iter::empty());
            vec![Forever(frames::headers(stream, &early, false))]
        });
    "h2-endless-trailers", "sends trailers of 64 KiB", BROKEN,
        Script::about(|stream| {
            let trailers = &long_block(64 << 10)[ok_head().len()..];
            let (start, rest) = trailers.split_at(frames::PAYLOAD_BYTES_MAX);
            let mut out = frames::headers(stream, &ok_head(), false);
            out.extend(frame(frames::HEADERS, frames::END_STREAM, stream, start));
            out.extend(rest.chunks(frames::PAYLOAD_BYTES_MAX).flat_map(|piece| frame(frames::CONTINUATION, 0, stream, piece)));
            vec![Send(out), Stall]
        });
    "h2-stall", "never answers", SILENT, Script::about(|_| vec![Stall]);
    "h2-stall-in-body", "stops in the body", UNFINISHED_OR_SILENT, Script::about(|stream| begun(stream, Stall));
    "h2-reset-connection", "resets the connection once the request has come", BROKEN, Script::about(|_| vec![Reset]);
    "h2-http1", "answers as HTTP/1.1 though HTTP/2 was agreed on", BROKEN_AT_ONCE,
        first(Send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
};
