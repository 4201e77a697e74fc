//! What a listener bounds: strangers, places, requests that do not arrive, and answers that nobody takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{
    APPLICATION, Answer, Api, EVENT_TYPE, PATIENCE, Receiver, Resp, Site, World, bulk, wait_for_async,
};

const PASSWORD: &str = "open sesame";

async fn world(settings: &[(&str, &str)]) -> World {
    World::with(settings, json!({}), Receiver::answering(Answer::Status(204)).await).await
}

/// A connection that comes from another address of this machine.
async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)).expect("an address");
    socket.connect(to).await.expect("the port accepts")
}

/// All that is said until the connection is closed; a reset is a way of closing, too.
async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let all = async { while stream.read_buf(&mut said).await.unwrap_or(0) > 0 {} };
    tokio::time::timeout(PATIENCE, all).await.expect("the connection is not kept for ever");
    String::from_utf8_lossy(&said).into_owned()
}

fn wrong_password(times: usize) -> Vec<u8> {
    b"AUTH guess\r\n".repeat(times)
}

#[tokio::test]
async fn a_stranger_is_told_four_kibibytes_and_no_more() {
    let site = Site::new(&[("ingest.password", &format!("'{PASSWORD}'"))]);
    let posthaste = site.start().await;
    let mut stranger = TcpStream::connect(posthaste.tcp()).await.expect("it accepts");
    // It may have been closed before all of it is sent.
    let _ = stranger.write_all(&b"PING\r\n".repeat(10_000)).await;
    let said = rest(stranger).await;
    assert!(said.starts_with("-NOAUTH") && said.len() <= 4_096, "{} bytes", said.len());
    posthaste.says("too many requests without authentication").await;
}

#[tokio::test]
async fn a_stranger_who_drips_bytes_is_closed_and_one_who_knows_the_password_stays() {
    let site = Site::new(&[("ingest.password", &format!("'{PASSWORD}'"))]);
    let posthaste = site.start().await;
    let mut known = Resp::connect(posthaste.tcp()).await;
    known.call(&["AUTH", PASSWORD]).await;
    let mut stranger = TcpStream::connect(posthaste.tcp()).await.expect("it accepts");
    // Each byte comes well before any single read would be too long.
    while stranger.write_all(b"x").await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(bulk(&known.call(&["PING"]).await), "PONG");
}

#[tokio::test]
async fn who_keeps_guessing_is_turned_away_for_a_while_and_others_are_not() {
    let site = Site::new(&[("ingest.password", &format!("'{PASSWORD}'"))]);
    let posthaste = site.start().await;
    for _ in 0..2 {
        let mut guessing = connect_from(9, posthaste.tcp()).await;
        guessing.write_all(&wrong_password(5)).await.expect("it reads");
        assert!(rest(guessing).await.starts_with("-WRONGPASS"));
    }
    let said = rest(connect_from(9, posthaste.tcp()).await).await;
    assert!(said.starts_with("-BUSY too many wrong passwords from this address"), "{said}");
    let mut known = Resp::connect(posthaste.tcp()).await;
    assert_eq!(bulk(&known.call(&["AUTH", PASSWORD]).await), "OK");
    assert!(Api::at(posthaste.http()).metric("posthaste_ingest_connections_refused_total").await > 0);
}

#[tokio::test]
async fn one_address_cannot_take_all_places_and_a_place_that_is_left_is_free() {
    let settings = [("ingest.connections_per_address_max", "2"), ("api.connections_per_address_max", "2")];
    let posthaste = Site::new(&settings).start().await;
    let mut held = Vec::new();
    for to in [posthaste.tcp(), posthaste.http()] {
        held.push(connect_from(9, to).await);
        held.push(connect_from(9, to).await);
    }
    let said = rest(connect_from(9, posthaste.tcp()).await).await;
    assert_eq!(
        said,
        "-ERR max number of clients of one address reached (ingest.connections_per_address_max)\r\n"
    );
    let said = rest(connect_from(9, posthaste.http()).await).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("api.connections_per_address_max"), "{said}");
    // Others are served, and so is this one when it has left.
    assert_eq!(bulk(&Resp::connect(posthaste.tcp()).await.call(&["PING"]).await), "PONG");
    drop(held);
    let mut served = false;
    while !served {
        let mut again = connect_from(9, posthaste.tcp()).await;
        let asked = again.write_all(b"PING\r\nQUIT\r\n").await;
        served = asked.is_ok() && rest(again).await.starts_with("+PONG");
    }
}

#[tokio::test]
async fn strangers_from_many_addresses_keep_no_producer_out() {
    let settings = [
        ("ingest.password", &*format!("'{PASSWORD}'")),
        ("ingest.connections_max", "4"),
        ("ingest.connections_per_address_max", "2"),
    ];
    let posthaste = Site::new(&settings).start().await;
    let mut producer = Resp::connect(posthaste.tcp()).await;
    assert_eq!(bulk(&producer.call(&["AUTH", PASSWORD]).await), "OK");
    let mut strangers = Vec::new();
    for last in 2..=20 {
        strangers.push(connect_from(last, posthaste.tcp()).await);
    }
    // All places are taken, and were many times over.
    let mut another = Resp::connect(posthaste.tcp()).await;
    assert_eq!(bulk(&another.call(&["AUTH", PASSWORD]).await), "OK");
    for resp in [&mut producer, &mut another] {
        assert_eq!(bulk(&resp.call(&["PING"]).await), "PONG");
    }
    // The first of them had been sent away for others long before their five seconds were over.
    assert_eq!(rest(strangers.swap_remove(0)).await, "");
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_publishers_do_not_feel_it() {
    let settings = [("ingest.request_timeout", "'1s'"), ("ingest.unacknowledged_bytes_max", "'1MiB'")];
    let world = world(&settings).await;
    let payload = "x".repeat(2_000);
    let key = format!("messages:{APPLICATION}");
    let xadd = format!("XADD {key} * type {EVENT_TYPE} payload \"\\\"{payload}\\\"\"\r\n");
    let many = [xadd.repeat(200), format!("ECHO {payload}\r\n").repeat(200)].concat();
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(world.posthaste.tcp()).await.expect("it accepts");
        let many = many.clone();
        silent.push(tokio::spawn(async move { while stream.write_all(many.as_bytes()).await.is_ok() {} }));
    }
    let mut good = world.resp().await;
    while silent.iter().any(|task| !task.is_finished()) {
        bulk(&good.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    }
    assert!(world.api().metric("posthaste_ingest_connections_stalled_total").await >= 4);
}

#[tokio::test]
async fn a_request_that_does_not_become_whole_is_not_waited_for() {
    let world =
        world(&[("ingest.request_timeout", "'1s'"), ("ingest.unacknowledged_bytes_max", "'1MiB'")]).await;
    // Large enough to take all of the budget, one after the other.
    let head = format!(
        "*7\r\n$4\r\nXADD\r\n$13\r\nmessages:acme\r\n$1\r\n*\r\n$4\r\ntype\r\n$12\r\n{EVENT_TYPE}\r\n$7\r\npayload\r\n$1000000\r\n"
    );
    let mut halves = Vec::new();
    for _ in 0..3 {
        let mut half = Resp::connect(world.posthaste.tcp()).await;
        half.send(head.as_bytes()).await;
        half.send(&[b'1'; 300_000]).await;
        halves.push(half);
    }
    bulk(&world.resp().await.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    for half in halves {
        assert_eq!(half.rest().await, "");
    }
    let whole = format!("\"{}\"", "x".repeat(900_000));
    bulk(&world.resp().await.xadd(APPLICATION, EVENT_TYPE, &whole).await);
    world.receiver.had(2).await;
}

#[tokio::test]
async fn what_is_sent_back_is_bounded() {
    let world = World::start().await;
    let mut resp = world.resp().await;
    let refused = resp.call(&["ECHO", &"x".repeat(65_537)]).await;
    assert_eq!(crate::harness::error_text(&refused), "ERR message is 65537 bytes; the limit is 65536");
    assert_eq!(bulk(&resp.call(&["ECHO", &"x".repeat(65_536)]).await).len(), 65_536);
    // As much as several answers hold: it comes in several.
    let payload = format!("\"{}\"", "x".repeat(300_000));
    for _ in 0..8 {
        bulk(&resp.xadd(APPLICATION, EVENT_TYPE, &payload).await);
    }
    let entries = resp.call(&["XRANGE", &format!("messages:{APPLICATION}"), "-", "+"]).await;
    assert_eq!(entries.into_array().expect("entries").len(), 4);
}

#[tokio::test]
async fn requests_to_the_api_that_drip_or_do_not_come_are_closed() {
    let settings = [("api.request_timeout", "'1s'"), ("api.idle_timeout", "'1s'")];
    let posthaste = Site::new(&settings).start().await;
    let health = "GET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n";
    let body = "POST /api/v1/app HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    for (begun, answered) in [("", false), ("GET / HTTP/1.1\r\nx: ", false), (body, false), (health, true)] {
        let mut stream = TcpStream::connect(posthaste.http()).await.expect("it accepts");
        stream.write_all(begun.as_bytes()).await.expect("it reads");
        let said = rest(stream).await;
        assert_eq!(said.starts_with("HTTP/1.1 204 "), answered, "{begun:?}: {said}");
    }
    let mut dripping = TcpStream::connect(posthaste.http()).await.expect("it accepts");
    dripping.write_all(b"GET / HTTP/1.1\r\n").await.expect("it reads");
    while dripping.write_all(b"a: b\r\n").await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    wait_for_async("an end of all but the one that asks", async || {
        (Api::at(posthaste.http()).metric("posthaste_api_connections").await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_with_too_large_a_head_are_refused() {
    let posthaste = Site::new(&[]).start().await;
    let many: String = (0..101).map(|number| format!("x-{number}: y\r\n")).collect();
    for headers in [many, format!("x: {}\r\n", "y".repeat(20_000))] {
        let mut stream = TcpStream::connect(posthaste.http()).await.expect("it accepts");
        let request = format!("GET /api/v1/health HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        // It may be refused before all of it is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let said = rest(stream).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    }
}

#[tokio::test]
async fn more_than_may_arrive_over_http_at_once_is_told_to_come_back() {
    let world = world(&[("ingest.unacknowledged_bytes_max", "'1MiB'")]).await;
    let path = format!("/api/v1/app/{APPLICATION}/msg");
    let mut slow = TcpStream::connect(world.posthaste.http()).await.expect("it accepts");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.expect("it reads");
    let message = json!({ "eventType": EVENT_TYPE, "payload": {} });
    let refused = loop {
        let (status, answer) = world.api().call(hyper::Method::POST, &path, Some(&message)).await;
        if status != 202 {
            break (status, answer);
        }
    };
    assert_eq!(refused.0, 429, "{}", refused.1);
    assert!(refused.1["detail"].as_str().expect("words").contains("ingest.unacknowledged_bytes_max"));
    // Publishing over TCP has a budget of its own to arrive in.
    bulk(&world.resp().await.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    drop(slow);
    world.api().post(&path, &message).await;
}
