//! Bytes on the TCP port that are no requests: one error, and the connection is closed.

use crate::harness::{APPLICATION, EVENT_TYPE, Resp, World, bulk, wait_until};

#[tokio::test]
async fn a_malformed_frame_is_answered_with_a_protocol_error_and_the_connection_closed() {
    let world = World::start().await;
    for (frame, expected) in [
        ("*1\r\n$abc\r\n", "invalid bulk length"),
        ("*1\r\n:5\r\n", "expected '$', got ':'"),
        ("*x\r\n", "invalid multibulk length"),
        ("*9999999\r\n", "invalid multibulk length"),
        ("*1\r\n$99999999999\r\n", "invalid bulk length"),
        ("*1\r\n$4\r\nPINGPONG\r\n", "expected CRLF"),
        ("PING \"unbalanced\r\n", "unbalanced quotes"),
    ] {
        let mut resp = Resp::connect(world.posthaste.tcp()).await;
        resp.send(frame.as_bytes()).await;
        let answer = resp.rest().await;
        assert!(answer.starts_with("-ERR Protocol error: "), "{frame:?}: {answer}");
        assert!(answer.contains(expected) && answer.ends_with("\r\n"), "{frame:?}: {answer}");
    }
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 0);
}

#[tokio::test]
async fn what_came_before_a_malformed_frame_is_stored_and_answered() {
    let world = World::start().await;
    let mut resp = world.resp().await;
    let key = format!("messages:{APPLICATION}");
    let xadd = format!("XADD {key} * type {EVENT_TYPE} payload 1\r\n*1\r\n$x\r\n");
    resp.send(xadd.as_bytes()).await;
    bulk(&resp.reply().await.expect("an id"));
    assert!(resp.rest().await.starts_with("-ERR Protocol error: "));
    world.receiver.had(1).await;
}

#[tokio::test]
async fn http_on_the_tcp_port_is_closed_without_an_answer_and_with_one_line_in_the_log() {
    const LINE: &str = "HTTP was spoken to the TCP port";
    let world = World::start().await;
    let requests = ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /api/v1/app HTTP/1.1\r\nHost: x\r\n\r\n"];
    for (number, request) in requests.into_iter().enumerate() {
        let mut resp = Resp::connect(world.posthaste.tcp()).await;
        resp.send(request.as_bytes()).await;
        assert_eq!(resp.rest().await, "");
        wait_until("the line", || world.posthaste.log_lines_with(LINE) > number).await;
        assert_eq!(world.posthaste.log_lines_with(LINE), number + 1);
    }
}

#[tokio::test]
async fn a_connection_that_ends_within_a_request_leaves_nothing_behind() {
    let world = World::start().await;
    let mut half = world.resp().await;
    half.send(b"*7\r\n$4\r\nXADD\r\n$13\r\nmessages:acme\r\n$1\r\n*\r\n$4\r\ntype\r\n$12\r\ninv").await;
    drop(half);
    let mut resp = world.resp().await;
    assert_eq!(bulk(&resp.call(&["PING"]).await), "PONG");
    assert_eq!(resp.xlen(APPLICATION).await, 0);
}
