//! How bytes are cut into reads changes nothing.

use bytes::BytesMut;
use posthaste_protocol::frame::{Decoder, Limits};
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};
use proptest::collection::vec;
use proptest::prelude::*;

type Arguments = Vec<Vec<u8>>;

/// The request as a client sends it.
fn written(arguments: &Arguments) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Gives `bytes` to `take` in pieces of these sizes, in turn.
fn in_pieces(bytes: &[u8], sizes: &[usize], mut take: impl FnMut(&[u8])) {
    let mut rest = bytes;
    for &size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        take(piece);
        rest = after;
        if rest.is_empty() {
            return;
        }
    }
}

fn any_request() -> impl Strategy<Value = Arguments> {
    vec(vec(any::<u8>(), 0..40), 1..8)
}

fn piece_sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(1..30usize, 1..20)
}

proptest! {
    #[test]
    fn requests_are_the_same_in_any_pieces(
        requests in vec(any_request(), 1..8),
        empty_lines in vec(any::<bool>(), 8),
        sizes in piece_sizes(),
    ) {
        let mut bytes = Vec::new();
        for (request, empty_line) in requests.iter().zip(empty_lines) {
            bytes.extend_from_slice(if empty_line { b"\r\n" } else { b"*0\r\n" });
            bytes.extend(written(request));
        }
        let mut decoder = Decoder::new(Limits::after_auth(64));
        let mut input = BytesMut::new();
        let mut decoded: Vec<Arguments> = Vec::new();
        in_pieces(&bytes, &sizes, |piece| {
            input.extend_from_slice(piece);
            while let Some(request) = decoder.decode(&mut input).unwrap() {
                decoded.push(request.arguments().map(<[u8]>::to_vec).collect());
            }
        });
        prop_assert_eq!(decoded, requests);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn replies_are_the_same_in_any_pieces(sizes in piece_sizes()) {
        let bytes = b"+OK\r\n*2\r\n%1\r\n+a\r\n$3\r\n\r\n\r\r\n*0\r\n-ERR no\r\n=5\r\ntxt:a\r\n:7\r\n";
        let mut decoder = ValueDecoder::new(ValueLimits::default());
        let whole: Vec<Value> = {
            let mut input = BytesMut::from(&bytes[..]);
            std::iter::from_fn(|| decoder.decode(&mut input).unwrap()).collect()
        };
        let mut input = BytesMut::new();
        let mut pieces = Vec::new();
        in_pieces(bytes, &sizes, |piece| {
            input.extend_from_slice(piece);
            pieces.extend(std::iter::from_fn(|| decoder.decode(&mut input).unwrap()));
        });
        prop_assert_eq!(whole.len(), 5);
        prop_assert_eq!(pieces, whole);
    }
}
