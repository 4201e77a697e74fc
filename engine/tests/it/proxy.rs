//! Requests that leave through a proxy, and what is thought of their receivers when the proxy is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{APPLICATION, Answer, Receiver, World, steady, wait_for_async};

/// A proxy that connects to wherever it is asked to.
pub(crate) struct Proxy {
    pub(crate) url: String,
    tunnels: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let tunnels = Arc::<AtomicUsize>::default();
        let counted = tunnels.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, counted.clone()));
            }
        });
        Self { url, tunnels }
    }

    /// How many it has made.
    pub(crate) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }
}

async fn serve(mut tcp: TcpStream, tunnels: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if tcp.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request);
    let destination = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let mut there = TcpStream::connect(destination.expect("CONNECT")).await.expect("it accepts");
    tunnels.fetch_add(1, Ordering::Relaxed);
    tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("it is read");
    let _ = copy_bidirectional(&mut tcp, &mut there).await;
}

#[tokio::test]
async fn requests_leave_through_the_configured_proxy() {
    let proxy = Proxy::start().await;
    let setting = format!("'{}'", proxy.url);
    let settings =
        [("delivery.proxy", setting.as_str()), ("delivery.source_addresses", "['203.0.113.7/32']")];
    let world = World::with(&settings, json!({}), Receiver::answering(Answer::Status(204)).await).await;
    world.publish(20).await;
    world.receiver.had(20).await;
    assert!(proxy.tunnels() > 0);
    let shown = world.api().get("/api/v1/source-addresses").await;
    assert_eq!(shown, json!({ "addresses": ["203.0.113.7/32"] }));
}

#[tokio::test]
async fn a_proxy_that_is_gone_locks_nobody_out() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let setting = format!("'http://{}'", nobody.local_addr().expect("an address"));
    drop(nobody);
    let settings = [
        ("delivery.proxy", setting.as_str()),
        ("lockout.url.consecutive_failures", "2"),
        ("lockout.host.consecutive_failures", "2"),
    ];
    let endpoint = json!({ "retryPolicy": steady("20ms") });
    let world = World::with(&settings, endpoint, Receiver::answering(Answer::Status(204)).await).await;
    let message = format!("msg_{}", world.publish_one().await);
    let attempts = wait_for_async("ten attempts", async || {
        let attempts = world.api().attempts(APPLICATION, &message).await;
        (attempts.len() >= 10).then_some(attempts)
    });
    for attempt in attempts.await {
        let shown = attempt.to_string();
        assert!(shown.contains("the proxy (delivery.proxy) failed: connection refused"), "{shown}");
    }
    assert_eq!(world.endpoint_shown().await["health"]["state"], "healthy");
    assert_eq!(world.receiver.count(), 0);
}
