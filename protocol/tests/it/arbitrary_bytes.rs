//! Whatever a stranger sends: no panic, and no more memory than the limits say.

use bytes::BytesMut;
use posthaste_protocol::command::{Command, CommandError};
use posthaste_protocol::frame::{Decoder, Limits};
use posthaste_protocol::reply::{Encoder, Version};
use posthaste_protocol::value::{ValueDecoder, ValueLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const LIMITS: Limits = Limits {
    arguments_max: 8,
    bulk_bytes_max: 64,
    line_bytes_max: 48,
    request_bytes_max: 128,
    authenticated: true,
};

/// Bytes that are nearly RESP reach deeper than random ones.
fn nearly_resp() -> impl Strategy<Value = Vec<u8>> {
    let tokens: &[&[u8]] = &[
        b"*",
        b"$",
        b":",
        b"+",
        b"-",
        b"%",
        b"~",
        b">",
        b"=",
        b"!",
        b"_",
        b"#t",
        b",",
        b"(",
        b"\r\n",
        b"\r",
        b"\n",
        b"0",
        b"1",
        b"2",
        b"7",
        b"-1",
        b"64",
        b"65",
        b"4294967296",
        b"9223372036854775807",
        b"*1\r\n",
        b"*3\r\n",
        b"$1\r\n",
        b"$0\r\n\r\n",
        b"$4\r\nPING\r\n",
        b"\"",
        b"'",
        b"\\x4",
        b" ",
        b"PING",
        b"GET ",
        b"\0",
        b"\xff",
    ];
    let token = prop_oneof![8 => select(tokens).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 0..20)];
    vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// Words that commands know, and some that they do not.
fn nearly_arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words: &[&str] = &[
        "XADD",
        "XREAD",
        "XRANGE",
        "XREVRANGE",
        "XLEN",
        "HELLO",
        "AUTH",
        "CLIENT",
        "COMMAND",
        "CONFIG",
        "SELECT",
        "messages:a",
        "outcomes:a",
        "messages:",
        "*",
        "type",
        "payload",
        "id",
        "channels",
        "content-type",
        "a,b",
        "COUNT",
        "BLOCK",
        "STREAMS",
        "SETNAME",
        "GET",
        "INFO",
        "DOCS",
        "0",
        "1",
        "-1",
        "3",
        "$",
        "-",
        "+",
        "(",
        "(0-0",
        "1-1",
        "",
    ];
    let word = prop_oneof![
        12 => select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..80),
    ];
    vec(word, 1..14)
}

fn as_request(arguments: &[Vec<u8>]) -> BytesMut {
    let mut out = BytesMut::from(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The error as the server would send it: one line, never long.
fn is_one_short_line(error: &CommandError) -> bool {
    let mut out = BytesMut::new();
    Encoder::new(&mut out, Version::Resp2).error(error.code(), error);
    let text = out.strip_suffix(b"\r\n").unwrap_or_default();
    out.len() < 600 && !text.iter().any(u8::is_ascii_control)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_request_decoder_neither_panics_nor_hoards(bytes in nearly_resp(), piece in 1..40usize) {
        let mut decoder = Decoder::new(LIMITS);
        let mut input = BytesMut::new();
        'pieces: for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut input) {
                    Ok(None) => break,
                    Err(_) => break 'pieces,
                    Ok(Some(request)) => {
                        prop_assert!((1..=LIMITS.arguments_max).contains(&request.len()));
                        prop_assert!(request.arguments().map(<[u8]>::len).sum::<usize>() <= LIMITS.request_bytes_max);
                    }
                }
            }
            prop_assert!(input.len() <= LIMITS.held_bytes_max(), "{} bytes wait", input.len());
        }
    }

    #[test]
    fn the_reply_decoder_neither_panics_nor_hoards(bytes in nearly_resp(), piece in 1..40usize) {
        let limits = ValueLimits {
            values_max: 16, bulk_bytes_max: 64, reply_bytes_max: 128, line_bytes_max: 48, ..ValueLimits::default()
        };
        let mut decoder = ValueDecoder::new(limits);
        let mut input = BytesMut::new();
        'pieces: for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut input) {
                    Ok(None) => break,
                    Ok(Some(_)) => {}
                    Err(_) => break 'pieces,
                }
            }
            prop_assert!(input.len() <= limits.bulk_bytes_max + 2, "{} bytes wait", input.len());
        }
    }

    #[test]
    fn no_arguments_make_a_command_panic_or_its_error_break_the_line(arguments in nearly_arguments()) {
        let mut decoder = Decoder::new(Limits::after_auth(1_024));
        let mut input = as_request(&arguments);
        let request = decoder.decode(&mut input).unwrap().unwrap();
        if let Err(error) = Command::parse(&request) {
            prop_assert!(is_one_short_line(&error), "{error}");
        }
    }
}
