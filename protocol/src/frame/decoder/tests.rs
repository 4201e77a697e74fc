use super::*;

const BULK_BYTES_TEST: usize = 1 << 20;

fn decoder() -> Decoder {
    Decoder::new(Limits::after_auth(BULK_BYTES_TEST))
}

/// What the decoder says to these bytes: all requests, or the error that ended them.
fn decode_with(mut decoder: Decoder, bytes: &[u8]) -> Result<Vec<Vec<String>>, ProtocolError> {
    let mut input = BytesMut::from(bytes);
    let mut requests = Vec::new();
    while let Some(request) = decoder.decode(&mut input)? {
        requests.push(request.arguments().map(|bytes| bytes.escape_ascii().to_string()).collect());
    }
    Ok(requests)
}

fn decode(bytes: &str) -> Result<Vec<Vec<String>>, ProtocolError> {
    decode_with(decoder(), bytes.as_bytes())
}

fn decode_before_auth(bytes: &str) -> Result<Vec<Vec<String>>, ProtocolError> {
    decode_with(Decoder::new(Limits::before_auth()), bytes.as_bytes())
}

fn refusal(bytes: &str) -> String {
    decode(bytes).expect_err("the bytes are refused").to_string()
}

#[test]
fn requests_follow_each_other_in_one_buffer() {
    let requests = decode("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\nPING by hand\r\n").unwrap();
    assert_eq!(requests, [vec!["PING"], vec!["ECHO", ""], vec!["PING", "by", "hand"]]);
}

#[test]
fn an_argument_may_hold_any_bytes_even_framing() {
    assert_eq!(decode("*1\r\n$8\r\n*1\r\n$1\r\n\r\n").unwrap(), [vec![r"*1\r\n$1\r\n"]]);
}

#[test]
fn an_incomplete_request_waits() {
    let whole = "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
    for end in 0..whole.len() {
        assert_eq!(decode(&whole[..end]).unwrap().len(), 0, "{end}");
    }
    assert_eq!(decode(whole).unwrap().len(), 1);
}

#[test]
fn empty_arrays_and_empty_lines_are_passed_over() {
    assert_eq!(decode("*0\r\n*-1\r\n\r\n \n*1\r\n$4\r\nPING\r\n").unwrap(), [vec!["PING"]]);
}

#[test]
fn broken_framing_is_refused_in_the_words_of_redis() {
    for (bytes, text) in [
        ("*x\r\n", "invalid multibulk length"),
        ("*01\r\n", "invalid multibulk length"),
        ("*+1\r\n", "invalid multibulk length"),
        ("*1\rX", "invalid multibulk length"),
        ("*9223372036854775808\r\n", "invalid multibulk length"),
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*1\r\nPING\r\n", "expected '$', got 'P'"),
        ("*1\r\n*1\r\n", "expected '$', got '*'"),
        ("*1\r\n\r\n", "expected '$', got '?'"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("*00000000000000000000000000000000", "too big mbulk count string"),
        ("*1\r\n$00000000000000000000000000000000", "too big bulk count string"),
        ("ECHO \"a\r\n", "unbalanced quotes in request"),
    ] {
        assert_eq!(refusal(bytes), format!("Protocol error: {text}"), "{bytes:?}");
    }
}

#[test]
fn a_limit_is_named_with_what_was_announced() {
    assert_eq!(
        refusal("*1025\r\n"),
        "Protocol error: invalid multibulk length: 1025 arguments; the limit is 1024"
    );
    assert_eq!(
        refusal("*1\r\n$1048577\r\n"),
        "Protocol error: invalid bulk length: 1048577 bytes; the limit is 1048576"
    );
    assert_eq!(
        refusal("*1\r\n$2\r\nhello\r\n"),
        "Protocol error: expected CRLF after a bulk string of 2 bytes"
    );
}

#[test]
fn what_is_too_large_is_refused_before_it_arrives() {
    let announced = format!("*3\r\n$1048576\r\n{}\r\n$65536\r\n", "x".repeat(1 << 20));
    assert_eq!(decode(&announced), Err(ProtocolError::RequestTooLong { bytes: 1_114_138, max: 1_114_112 }));
}

#[test]
fn strangers_get_less_room() {
    assert_eq!(decode_before_auth("*11\r\n"), Err(ProtocolError::UnauthenticatedMultibulkLength));
    assert_eq!(decode_before_auth("*1\r\n$16385\r\n"), Err(ProtocolError::UnauthenticatedBulkLength));
    assert_eq!(decode_before_auth(&"x ".repeat(11)), Ok(vec![]));
    assert_eq!(
        decode_before_auth(&format!("{}\n", "x ".repeat(11))),
        Err(ProtocolError::UnauthenticatedMultibulkLength)
    );
}

#[test]
fn limits_can_grow_between_two_requests_of_one_buffer() {
    let mut decoder = Decoder::new(Limits::before_auth());
    let mut input = BytesMut::from("AUTH secret\r\n*11\r\n");
    assert!(decoder.decode(&mut input).unwrap().is_some());
    decoder.set_limits(Limits::after_auth(1_024));
    assert!(decoder.decode(&mut input).unwrap().is_none());
}

#[test]
fn a_line_that_does_not_end_is_refused_at_its_limit() {
    assert_eq!(decode(&"x".repeat(64 << 10)), Ok(vec![]));
    assert_eq!(decode(&"x".repeat((64 << 10) + 1)), Err(ProtocolError::TooBigInline));
    assert_eq!(decode(&format!("{}\n", "x".repeat((64 << 10) + 1))), Err(ProtocolError::TooBigInline));
}

#[test]
fn http_is_told_apart() {
    assert_eq!(decode("POST / HTTP/1.1\r\nHost: here\r\n\r\n"), Err(ProtocolError::HttpSpoken));
    assert_eq!(decode("Host: here\r\n"), Err(ProtocolError::HttpSpoken));
}

#[test]
fn a_request_in_single_bytes_is_not_examined_over_and_over() {
    let bulk = 1 << 20;
    let request = format!("*1\r\n${bulk}\r\n{}\r\n", "x".repeat(bulk));
    let line = format!("PING {}\r\n", "x".repeat(60 << 10));
    for bytes in [request, line] {
        let mut decoder = decoder();
        let mut input = BytesMut::new();
        let mut requests = 0;
        for byte in bytes.bytes() {
            input.extend_from_slice(&[byte]);
            requests += usize::from(decoder.decode(&mut input).unwrap().is_some());
        }
        assert_eq!(requests, 1);
        let allowed = bytes.len() + COUNT_LINE_BYTES_MAX * COUNT_LINE_BYTES_MAX;
        assert!(decoder.bytes_examined <= allowed, "{} > {allowed}", decoder.bytes_examined);
    }
}

#[test]
fn arguments_are_slices_of_the_read_buffer_not_copies() {
    let mut input = BytesMut::from("*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n");
    let expected = input[18..20].as_ptr();
    let mut decoder = decoder();
    let request = decoder.decode(&mut input).unwrap().unwrap();
    assert_eq!(request.argument_bytes(1).unwrap().as_ptr(), expected);
}
