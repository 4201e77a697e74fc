//! Paths, and what is done about them.

use std::time::{Duration, Instant};

use crate::harness::{Receiver, eventually, webhook};

#[test]
fn each_path_is_answered_as_it_says() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    for (path, status, header) in [
        ("/ok", 204, ""),
        ("/ok?slot=3", 204, ""),
        ("/status/200", 200, "content-length: 0\r\n"),
        ("/status/503", 503, "content-length: 0\r\n"),
        ("/flaky/1", 500, ""),
        ("/flaky/0", 204, ""),
        ("/redirect", 302, "location: /ok?redirected\r\n"),
        ("/large/70KiB", 200, "content-length: 71680\r\n"),
        ("/large", 200, "content-length: 1048576\r\n"),
        ("/retry-after/30", 429, "retry-after: 30\r\n"),
        ("/gone", 410, ""),
        ("/mix/gone=1", 410, ""),
    ] {
        let answer = wire.exchange(webhook(path, "msg_1", "{}"));
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.head.contains(header), "{path}: {}", answer.head);
    }
}

#[test]
fn an_unknown_path_is_answered_with_what_there_is() {
    let answer = Receiver::start(&[]).exchange(webhook("/teapot", "msg_1", "{}"));
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 404);
    assert!(body.contains("/retry-after/30") && body.contains("/mix/"), "{body}");
}

#[test]
fn an_unknown_path_gets_what_was_said_for_all_others() {
    let receiver = Receiver::start(&["--otherwise", "/status/202"]);
    assert_eq!(receiver.exchange(webhook("/hooks/7", "msg_1", "{}")).status, 202);
    assert_eq!(receiver.exchange(webhook("/gone", "msg_1", "{}")).status, 410);
}

#[test]
fn a_delayed_answer_comes_after_its_time_and_holds_up_those_behind_it() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    let begun = Instant::now();
    wire.send(webhook("/delay/80ms", "msg_1", "{}") + &webhook("/gone", "msg_2", "{}"));
    assert_eq!(wire.answer().status, 204);
    assert!(begun.elapsed() >= Duration::from_millis(80));
    assert_eq!(wire.answer().status, 410);
}

#[test]
fn requests_that_come_during_a_delay_are_answered_after_it() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    wire.send(webhook("/delay/50ms", "msg_1", "{}"));
    eventually("the request is in flight", || receiver.stats()["in_flight"]["now"] == 1);
    wire.send(webhook("/gone", "msg_2", "{}"));
    assert_eq!((wire.answer().status, wire.answer().status), (204, 410));
}

#[test]
fn a_hanging_request_is_never_answered_and_ends_with_its_client() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    wire.send(
        webhook("/ok", "msg_1", "{}") + &webhook("/hang", "msg_2", "{}") + &webhook("/ok", "msg_3", "{}"),
    );
    assert_eq!(wire.answer().status, 204);
    eventually("the request is in flight", || receiver.stats()["in_flight"]["now"] == 1);
    drop(wire);
    eventually("the client has gone", || receiver.stats()["in_flight"]["now"] == 0);
    assert_eq!(receiver.stats()["statuses"]["unanswered"], 1);
}

#[test]
fn a_client_that_leaves_during_a_delay_is_not_waited_for() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    wire.send(webhook("/delay/3600s", "msg_1", "{}"));
    eventually("the request is in flight", || receiver.stats()["in_flight"]["now"] == 1);
    drop(wire);
    eventually("the client has gone", || receiver.stats()["in_flight"]["now"] == 0);
}

#[test]
fn a_dropped_request_gets_no_byte_but_those_before_it_get_their_answers() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    wire.send(webhook("/ok", "msg_1", "{}") + &webhook("/drop", "msg_2", "{}"));
    assert_eq!(wire.answer().status, 204);
    assert!(wire.is_closed());
}

#[test]
fn a_share_is_met_over_many_requests() {
    let receiver = Receiver::start(&[]);
    let mut wire = receiver.connect();
    for number in 0..2_000 {
        wire.exchange(webhook("/mix/ok=0.7,status-503=0.2,flaky-1=0.1", &format!("msg_{number}"), "{}"));
    }
    let stats = receiver.stats();
    for (status, expected) in [("204", 1_400), ("503", 400), ("500", 200)] {
        let count = stats["statuses"][status].as_u64().unwrap();
        assert!(count.abs_diff(expected) < 90, "{status}: {count}");
    }
}

#[test]
fn the_same_requests_in_the_same_order_meet_the_same_fate() {
    let fates = || -> Vec<u16> {
        let receiver = Receiver::start(&[]);
        let mut wire = receiver.connect();
        (0..50).map(|n| wire.exchange(webhook("/flaky/0.5", &format!("msg_{n}"), "{}")).status).collect()
    };
    let first = fates();
    assert_eq!(first, fates());
    assert!(first.contains(&204) && first.contains(&500), "{first:?}");
}
