//! HTTP/1.1 in all the ways in which it may come, and in some in which it may not.

use crate::harness::{Receiver, eventually, webhook};

const CHUNKED: &str = "POST /ok HTTP/1.1\r\nhost: a\r\nwebhook-id: msg_1\r\ntransfer-encoding: chunked\r\n\r\n\
                       5;a=b\r\nhello\r\n1\r\n!\r\n0\r\ntrailer: x\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    let statuses: Vec<u16> = (0..300).map(|number| 400 + number % 100).collect();
    let requests = statuses.iter().map(|status| webhook(&format!("/status/{status}"), "msg_1", "{}"));
    wire.send(requests.collect::<String>());
    let answered: Vec<u16> = statuses.iter().map(|_| wire.answer().status).collect();
    assert_eq!(answered, statuses);
}

#[test]
fn answers_that_the_socket_does_not_take_at_once_follow_whole_and_in_order() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    // 17 MB of answers to nearly 2 MB of requests: the first fill every buffer before one is read.
    let requests = webhook("/teapot", "msg_1", "{}") + &webhook("/gone", "msg_2", "{}");
    let sent = wire.send_apart(requests.repeat(20_000));
    eventually("it waits for room", || {
        let before = receiver.stats()["requests"].clone();
        before.as_u64() > Some(100) && receiver.stats()["requests"] == before
    });
    for _ in 0..20_000 {
        let unknown = wire.answer();
        assert_eq!((unknown.status, unknown.body.starts_with(b"no such behaviour")), (404, true));
        assert_eq!(wire.answer().status, 410);
    }
    sent.join().unwrap();
}

#[test]
fn more_answers_than_sockets_hold_reach_a_client_that_reads_late() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    let request = webhook("/large/1MiB", "msg_1", "{}");
    wire.send(request.repeat(12) + &webhook("/gone", "msg_2", "{}"));
    for _ in 0..12 {
        assert_eq!(wire.answer().body.len(), 1 << 20);
    }
    assert_eq!(wire.answer().status, 410);
}

#[test]
fn a_request_may_be_split_at_every_byte() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    for request in [webhook("/ok", "msg_1", "{\"n\": 1}"), CHUNKED.to_owned()] {
        for at in 1..request.len() {
            wire.send(&request[..at]);
            wire.send(&request[at..]);
            assert_eq!(wire.answer().status, 204, "split at {at}");
        }
        for byte in request.as_bytes() {
            wire.send([*byte]);
        }
        assert_eq!(wire.answer().status, 204, "byte by byte");
    }
    assert_eq!(receiver.stats()["refused"], 0);
}

#[test]
fn chunked_bodies_arrive_without_their_chunks() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    wire.send(CHUNKED.repeat(3));
    for _ in 0..3 {
        assert_eq!(wire.answer().status, 204);
    }
    assert_eq!(receiver.stats()["body_bytes"], 3 * "hello!".len());
}

#[test]
fn a_body_larger_than_one_read_arrives_whole() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    let body = "x".repeat(3_000_000);
    assert_eq!(wire.exchange(webhook("/ok", "msg_1", &body)).status, 204);
    assert_eq!(wire.exchange(webhook("/ok", "msg_2", "{}")).status, 204);
    assert_eq!(receiver.stats()["body_bytes"], 3_000_002);
}

#[test]
fn who_asks_for_leave_gets_it_once() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    for _ in 0..2 {
        wire.send("POST /gone HTTP/1.1\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n");
        assert_eq!(wire.answer().status, 100);
        wire.send("bo");
        wire.send("dy");
        assert_eq!(wire.answer().status, 410);
    }
}

#[test]
fn a_client_that_wants_to_close_is_answered_and_closed() {
    let receiver = Receiver::start(&[]);
    for head in ["POST /ok HTTP/1.0\r\n\r\n", "POST /ok HTTP/1.1\r\nconnection: close\r\n\r\n"] {
        let mut wire = receiver.connect();
        let answer = wire.exchange(head);
        assert_eq!(answer.status, 204, "{head}");
        assert!(answer.head.contains("connection: close"), "{head}");
        assert!(wire.is_closed(), "{head}");
    }
}

#[test]
fn a_body_over_the_limit_is_answered_with_413_and_the_connection_closed() {
    let receiver = Receiver::start(&["--body-bytes-max", "100"]);
    assert_eq!(receiver.exchange(webhook("/ok", "msg_1", &"x".repeat(100))).status, 204);
    let chunked = "POST /ok HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n65\r\n";
    for request in [&webhook("/ok", "msg_1", &"x".repeat(101)), chunked] {
        let mut wire = receiver.connect();
        assert_eq!(wire.exchange(request).status, 413);
        assert!(wire.is_closed());
    }
    let stats = receiver.stats();
    assert_eq!((&stats["refused"], &stats["requests"]), (&2.into(), &1.into()));
}

#[test]
fn what_is_no_request_is_refused_and_the_receiver_lives_on() {
    let receiver = Receiver::start(&[]);
    let long = format!("POST /ok HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(64 << 10));
    for (input, status) in [("nonsense\r\n\r\n", 400), ("\x16\x03\x01\x02\x00", 400), (&long, 431)] {
        let mut wire = receiver.connect();
        assert_eq!(wire.exchange(input).status, status, "{input:.20}");
        assert!(wire.is_closed(), "{input:.20}");
    }
    assert_eq!(receiver.exchange(webhook("/ok", "msg_1", "{}")).status, 204);
    assert_eq!(receiver.stats()["refused"], 3);
}
