//! The reader against every way of cutting a response, and against hyper as the other opinion.

use bytes::Bytes;

use super::super::response::ResponseLimits;
use super::fuzzing::{LIMITS, Read, read};
use super::*;

const RESPONSES: &[&str] = &[
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Id: 7\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789",
    "HTTP/1.1 503 x\r\nRetry-After: 3\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
];

#[test]
fn however_a_response_is_cut_the_same_comes_out() {
    for response in RESPONSES {
        let bytes = response.as_bytes();
        let whole = read([bytes], false);
        assert!(matches!(whole, Read::Whole { .. }), "{response:?}: {whole:?}");
        assert_eq!(read(bytes.chunks(1), false), whole, "byte by byte: {response:?}");
        for cut in 0..bytes.len() {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(read([front, back], false), whole, "cut at {cut}: {response:?}");
        }
    }
}

#[test]
fn a_response_that_is_not_there_as_a_whole_is_waited_for() {
    for response in &RESPONSES[..6] {
        for cut in 0..response.len() {
            assert_eq!(read([&response.as_bytes()[..cut]], false), Read::Waiting, "{response:?} at {cut}");
        }
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let response = b"HTTP/1.1 200 OK\r\n\r\nhello";
    assert_eq!(read([&response[..]], false), Read::Waiting);
    let body = Bytes::from_static(b"hello");
    let whole = Read::Whole { status: 200, text: Bytes::new(), body, keeps_alive: false };
    assert_eq!(read([&response[..]], true), whole);
}

#[test]
fn a_body_over_the_reading_limit_is_cut_and_costs_the_connection() {
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "x".repeat(65));
    let body = Bytes::from(vec![b'x'; 16]);
    let text = Bytes::from_static(b"content-length: 100\r\n");
    let cut = Read::Whole { status: 200, text, body, keeps_alive: false };
    assert_eq!(read([response.as_bytes()], false), cut);
}

#[test]
fn a_head_over_the_limit_is_refused_however_it_comes() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    let refused = Read::Malformed(Malformed::HeadTooLong);
    assert_eq!(read([head.as_bytes()], false), refused);
    assert_eq!(read(head.as_bytes().chunks(1), false), refused);
    assert_eq!(read(head.as_bytes().chunks(1_000), false), refused);
    assert_eq!(
        read(vec![b'x'; HEAD_BYTES_MAX].chunks(512), false),
        Read::Malformed(Malformed::Head(httparse::Error::Version))
    );
}

mod against_hyper {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::TokioIo;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What hyper makes of a response, after which the receiver closes.
    fn hyper_reads(response: &[u8]) -> Option<(u16, Vec<u8>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(64 * 1_024);
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(near)).await.ok()?;
            let request = http::Request::post("/").header("host", "a").body(Full::new(Bytes::new())).unwrap();
            let answer = async {
                let response = sender.send_request(request).await.ok()?;
                let status = response.status().as_u16();
                let body = response.into_body().collect().await.ok()?;
                Some((status, body.to_bytes().to_vec()))
            };
            let receiver = async {
                let mut request = [0; 1_024];
                let _ = far.read(&mut request).await;
                let _ = far.write_all(response).await;
                drop(far);
            };
            let (_, _, answer) = tokio::join!(connection, receiver, answer);
            answer
        })
    }

    fn we_read(response: &[u8], piece: usize) -> Option<(u16, Vec<u8>)> {
        let limits = ResponseLimits { body_bytes_read_max: 1 << 20, body_bytes_kept_max: 1 << 20, ..LIMITS };
        let mut reader = ResponseReader::new(limits);
        for piece in response.chunks(piece) {
            reader.feed(piece).ok()?;
        }
        if !reader.is_done() && !reader.close() {
            return None;
        }
        Some((reader.take_head()?.status, reader.take_body().to_vec()))
    }

    fn body_lines() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("content-length: 4\r\n\r\nbody".to_owned()),
            Just("content-length: 4\r\n\r\nbo".to_owned()),
            Just("content-length: 4\r\ncontent-length: 4\r\n\r\nbody".to_owned()),
            Just("content-length: 4\r\ncontent-length: 5\r\n\r\nbody!".to_owned()),
            Just("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".to_owned()),
            Just("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n".to_owned()),
            Just("transfer-encoding: chunked\r\n\r\n4\r\nbody0\r\n\r\n".to_owned()),
            Just("transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n4\r\nbody\r\n0\r\n\r\n".to_owned()),
            Just("transfer-encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".to_owned()),
            Just("\r\nbody".to_owned()),
            "[ -~\r\n]{0,40}",
        ]
    }

    proptest! {
        /// Two readers that find the end of a response at different places are how one response is hidden in
        /// another.
        #[test]
        fn both_find_the_same_end_and_the_same_body(
            version in prop_oneof![9 => Just("1.1"), 1 => Just("1.0")],
            status in prop_oneof![Just(200u16), Just(204), Just(304), Just(500), 200u16..600],
            interim in prop_oneof![3 => Just(""), 1 => Just("HTTP/1.1 100 Continue\r\n\r\n")],
            headers in prop::collection::vec("[a-z]{1,8}: [ -~]{0,12}\r\n", 0..4),
            body in body_lines(),
            piece in 1usize..50,
        ) {
            let response = format!("{interim}HTTP/{version} {status} Words\r\n{}{body}", headers.concat());
            prop_assert_eq!(we_read(response.as_bytes(), piece), hyper_reads(response.as_bytes()), "{:?}", response);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
            let _ = we_read(&bytes, piece);
            let _ = we_read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes.as_slice()].concat(), piece);
        }
    }
}
