//! Connections through a proxy, and whose fault it is when there are none.

use std::cell::RefCell;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::receiver::{NO_CONTENT, Receiver};
use super::tls::{Authority, TlsReceiver, believing};
use super::*;

/// A proxy that answers CONNECT as told, and in case of success connects to where it was asked to, or to `instead`.
struct ProxyServer {
    port: u16,
    requests: Rc<RefCell<Vec<String>>>,
}

impl ProxyServer {
    async fn answering(answer: &'static str, instead: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Rc::<RefCell<Vec<String>>>::default();
        let seen = requests.clone();
        tokio::task::spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(tcp, answer, instead, seen.clone()));
            }
        });
        Self { port, requests }
    }

    async fn new() -> Self {
        Self::answering("HTTP/1.1 200 Connection established\r\n\r\n", None).await
    }

    fn config(&self, base: DeliveryConfig, user: &str, pin: bool) -> DeliveryConfig {
        let url = format!("http://127.0.0.1:{}", self.port);
        DeliveryConfig { proxy: Proxy::parse(&url, user, "", pin).unwrap(), ..base }
    }

    /// The first lines of what it was asked.
    fn asked(&self) -> Vec<String> {
        let first_line = |request: &String| request.lines().next().unwrap_or_default().to_owned();
        self.requests.borrow().iter().map(first_line).collect()
    }
}

async fn serve(
    mut tcp: TcpStream,
    answer: &'static str,
    instead: Option<u16>,
    seen: Rc<RefCell<Vec<String>>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if tcp.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    let destination = request.split(' ').nth(1).unwrap().to_owned();
    seen.borrow_mut().push(request);
    if answer == "hang" {
        return std::future::pending().await;
    }
    tcp.write_all(answer.as_bytes()).await.unwrap();
    if answer.contains(" 200 ") {
        let destination = instead.map_or(destination, |port| format!("127.0.0.1:{port}"));
        let Ok(mut there) = TcpStream::connect(destination).await else { return };
        let _ = copy_bidirectional(&mut tcp, &mut there).await;
    }
}

fn through(config: &DeliveryConfig, answers: &[&str]) -> Sender {
    Sender::with_resolver(config, Answers::new(&[answers])).unwrap()
}

#[test]
fn requests_go_through_a_tunnel_that_is_used_again() {
    run(async {
        let proxy = ProxyServer::new().await;
        let receiver = Receiver::answering(NO_CONTENT).await;
        let sender = through(&proxy.config(config(), "", true), &[]);
        for _ in 0..3 {
            let ended = attempt(&sender, &receiver.url()).await;
            assert!(ended.outcome.is_success(), "{}", ended.detail);
        }
        assert_eq!(proxy.asked(), [format!("CONNECT 127.0.0.1:{} HTTP/1.1", receiver.port)]);
        // What the receiver gets is what it would get without a proxy.
        let requests = receiver.requests();
        assert!(requests[0].head.starts_with("POST /hook?shop=7 HTTP/1.1\r\n"), "{}", requests[0].head);
        assert_eq!(requests[0].header("host"), Some(&*format!("127.0.0.1:{}", receiver.port)));
        assert!(!requests[0].head.contains("proxy"));
    });
}

#[test]
fn the_proxy_is_told_the_address_that_was_judged_and_tls_checks_the_name() {
    run(async {
        let proxy = ProxyServer::new().await;
        let authority = Authority::new();
        let receiver = TlsReceiver::start(authority.server("shop.example", false, &["h2"])).await;
        let sender = through(&proxy.config(believing(&authority), "", true), &["127.0.0.1"]);
        let ended = attempt(&sender, &receiver.url()).await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
        assert_eq!(proxy.asked(), [format!("CONNECT 127.0.0.1:{} HTTP/1.1", receiver.port)]);
        assert!(ended.timing.tls_us > 0);
    });
}

#[test]
fn a_forbidden_address_is_not_asked_for() {
    run(async {
        let proxy = ProxyServer::new().await;
        for (pin, url, answers) in [
            (true, "https://shop.example/", &["10.0.0.1"]),
            (true, "https://10.0.0.1/", &["127.0.0.1"]),
            (false, "https://10.0.0.1/", &["127.0.0.1"]),
        ] {
            let sender = through(&proxy.config(config(), "", pin), answers);
            let ended = attempt(&sender, url).await;
            assert_eq!(ended.outcome, Outcome::AddressForbidden, "{}", ended.detail);
        }
        let unknown = through(&proxy.config(config(), "", true), &[]);
        assert_eq!(attempt(&unknown, "https://shop.example/").await.outcome, Outcome::DnsFailed);
        assert!(proxy.asked().is_empty());
    });
}

#[test]
fn a_proxy_that_is_the_guard_itself_is_told_the_name() {
    run(async {
        let receiver = Receiver::answering(NO_CONTENT).await;
        let proxy =
            ProxyServer::answering("HTTP/1.1 200 OK\r\nVia: squid\r\n\r\n", Some(receiver.port)).await;
        // Nothing is resolved here.
        let sender = through(&proxy.config(config(), "", false), &[]);
        let ended = attempt(&sender, "http://shop.example:8080/").await;
        assert!(ended.outcome.is_success(), "{}", ended.detail);
        assert_eq!(proxy.asked(), ["CONNECT shop.example:8080 HTTP/1.1"]);
        assert_eq!(receiver.requests()[0].header("host"), Some("shop.example:8080"));
    });
}

#[test]
fn a_proxy_with_a_name_and_credentials_is_asked_with_them() {
    run(async {
        let proxy = ProxyServer::new().await;
        let receiver = Receiver::answering(NO_CONTENT).await;
        let url = format!("http://proxy.internal:{}", proxy.port);
        let named = Proxy::parse(&url, "Aladdin", "open sesame", true).unwrap();
        let sender = through(&DeliveryConfig { proxy: named, ..config() }, &["127.0.0.1"]);
        assert!(attempt(&sender, &receiver.url()).await.outcome.is_success());
        let expected = "\r\nproxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
        assert!(proxy.requests.borrow()[0].contains(expected), "{:?}", proxy.requests.borrow());
    });
}

#[test]
fn what_the_proxy_does_wrong_is_its_own_fault() {
    run(async {
        let hasty = Timeouts { connect: Duration::from_millis(100), ..config().timeouts };
        for (answer, words) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it wants other credentials (407"),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "it refused a tunnel to 127.0.0.1:8080: 403"),
            ("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\nbody", "it refused a tunnel to 127.0.0.1:8080: 503"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP"),
            ("HTTP/1.1 200 OK\r\n\r\nHello", "it sent more than its answer"),
            ("HTTP/1.1 200", "it closed the connection"),
            ("hang", "there was no tunnel in time"),
        ] {
            let proxy = ProxyServer::answering(answer, None).await;
            let config = proxy.config(super::hasty(hasty), "", true);
            let ended = attempt(&through(&config, &[]), "http://127.0.0.1:8080/").await;
            let is_told = ended.detail.starts_with("the proxy (delivery.proxy) failed: ");
            assert_eq!(ended.outcome, Outcome::ProxyFailed, "{answer}: {}", ended.detail);
            assert!(is_told && ended.detail.contains(words), "{}", ended.detail);
        }
        // Port 1 is nobody's.
        let nobody = Proxy::parse("http://127.0.0.1:1", "", "", true).unwrap();
        let sender = through(&DeliveryConfig { proxy: nobody, ..config() }, &[]);
        let ended = attempt(&sender, "http://127.0.0.1:8080/").await;
        assert_eq!(ended.outcome, Outcome::ProxyFailed);
        assert!(ended.detail.contains("connection refused by 127.0.0.1:1"), "{}", ended.detail);
        assert_eq!(sender.connections(), 0);
    });
}

#[test]
fn an_answer_without_end_is_cut_off() {
    run(async {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(20_000));
        let proxy = ProxyServer::answering(long.leak(), None).await;
        let ended = attempt(&through(&proxy.config(config(), "", true), &[]), "http://127.0.0.1:8080/").await;
        assert_eq!(ended.outcome, Outcome::ProxyFailed);
        assert!(ended.detail.contains("longer than 8192 bytes"), "{}", ended.detail);
    });
}

#[test]
fn a_receiver_that_the_proxy_cannot_reach_is_tried_at_its_other_addresses_and_then_blamed() {
    run(async {
        let proxy = ProxyServer::answering("HTTP/1.1 502 Bad Gateway\r\n\r\n", None).await;
        let sender = through(&proxy.config(config(), "", true), &["127.0.0.1", "127.0.0.2"]);
        let ended = attempt(&sender, "http://shop.example:8080/").await;
        assert_eq!(ended.outcome, Outcome::ConnectFailed);
        assert_eq!(ended.detail, "the proxy could not connect to 127.0.0.2:8080: it answered 502");
        let asked = ["CONNECT 127.0.0.1:8080 HTTP/1.1", "CONNECT 127.0.0.2:8080 HTTP/1.1"];
        assert_eq!(proxy.asked(), asked);
    });
}
