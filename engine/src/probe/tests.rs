use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use super::noting::Noting;
use super::thread::{ProbeSettings, leads_to_the_public, make, run};
use super::*;
use crate::core::outcome::Outcome;
use crate::delivery::tests::config;
use crate::delivery::{DeliveryConfig, Proxy, Resolve, Resolving};
use crate::directory;

const ANSWER: &str =
    "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/x\r\nx-inner: 1\r\ncontent-length: 6\r\n\r\nsecret";

/// Leads every name to this machine.
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

/// A receiver that sends `answer` to whatever comes; silent without one. Returns its port.
async fn receiver(answer: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn_local(async move {
        let mut silent = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let Some(answer) = answer else {
                silent.push(socket);
                continue;
            };
            let _ = socket.read(&mut [0; 4_096]).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn endpoint(url: &str) -> Arc<Endpoint> {
    endpoint_of(1, url)
}

fn endpoint_of(application: u64, url: &str) -> Arc<Endpoint> {
    let endpoint = json!({
        "id": "ep_00000000001", "application": ApplicationId::from_u64(application).to_string(), "url": url, "secrets": [],
        "revision": 1, "created_ms": 0, "updated_ms": 0,
    });
    Arc::new(serde_json::from_value(endpoint).unwrap())
}

fn probe(url: &str) -> Probe {
    Probe { endpoint: endpoint(url), payload: Bytes::from_static(b"{}") }
}

fn settings(show_private: bool) -> ProbeSettings {
    ProbeSettings {
        delivery: config(),
        in_flight_max: 1,
        waiting_max: 1,
        per_application_max: 2,
        show_private,
    }
}

fn on_its_thread<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded =
        async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A prober within this runtime, and the word that stops it.
fn prober() -> (Rc<Prober>, watch::Sender<bool>) {
    let settings = settings(true);
    let per_application_max = settings.per_application_max;
    let (orders, waiting) = mpsc::channel(settings.waiting_max);
    let stop = watch::Sender::new(false);
    spawn_local(run(Rc::new(settings), Rc::new(Here), waiting, stop.subscribe()));
    (Rc::new(Prober::new(orders, per_application_max)), stop)
}

#[test]
fn what_a_private_receiver_answers_is_not_shown_unless_the_operator_allows_it() {
    on_its_thread(async {
        let port = receiver(Some(ANSWER)).await;
        let id = MessageId(EntryId::new(1, SEQUENCE_FIRST));
        for url in [format!("http://127.0.0.1:{port}/"), format!("http://shop.example:{port}/")] {
            let hidden = make(&settings(false), Rc::new(Here), probe(&url), id).await;
            assert_eq!(hidden.ended.outcome, Outcome::Redirect { status: 302 }, "{}", hidden.ended.detail);
            assert!(hidden.is_hidden && hidden.ended.response_body.is_empty());
            assert!(hidden.ended.response_headers.is_empty());
            assert_eq!(hidden.ended.detail, "redirect (302) not followed");

            let shown = make(&settings(true), Rc::new(Here), probe(&url), id).await;
            assert!(!shown.is_hidden);
            assert_eq!(shown.ended.response_body, "secret");
            assert!(shown.ended.detail.contains("10.0.0.1"));
        }
    });
}

#[test]
fn a_receiver_is_public_only_if_every_address_it_may_have_is() {
    let public = |url: &str, answers: &[&str]| {
        let answers: Vec<IpAddr> = answers.iter().map(|answer| answer.parse().unwrap()).collect();
        leads_to_the_public(&settings(false), &directory::prepare(&endpoint(url)).unwrap(), &answers)
    };
    assert!(public("https://1.1.1.1/", &[]));
    assert!(public("https://shop.example/", &["1.1.1.1", "2606:4700:4700::1111"]));
    assert!(!public("https://shop.example/", &["1.1.1.1", "10.0.0.1"]));
    assert!(!public("https://shop.example/", &["::ffff:10.0.0.1"]));
    assert!(!public("https://shop.example/", &[]), "somebody else looked it up");
    assert!(!public("https://127.0.0.1/", &["1.1.1.1"]));
}

/// Leads `proxy.example` to this machine, and every other name to the public internet.
struct There;

impl Resolve for There {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let address = if name == "proxy.example" { [127, 0, 0, 1] } else { [1, 1, 1, 1] };
        Box::pin(async move { Ok(vec![IpAddr::from(address)]) })
    }
}

/// A proxy that is all receivers itself. Returns its port.
async fn proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn_local(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            for answer in ["HTTP/1.1 200 Connection established\r\n\r\n", ANSWER] {
                let _ = socket.read(&mut [0; 4_096]).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        }
    });
    port
}

fn through(proxy: &str, pin: bool) -> ProbeSettings {
    let proxy = Proxy::parse(proxy, "", "", pin).unwrap();
    ProbeSettings { delivery: DeliveryConfig { proxy, ..config() }, ..settings(false) }
}

#[test]
fn where_the_proxy_is_does_not_decide_whether_an_answer_is_shown() {
    on_its_thread(async {
        let url = format!("http://proxy.example:{}", proxy().await);
        let id = MessageId(EntryId::new(1, SEQUENCE_FIRST));
        for (pin, is_hidden) in [(true, false), (false, true)] {
            let probed = make(&through(&url, pin), Rc::new(There), probe("http://shop.example/"), id).await;
            assert_eq!(probed.ended.outcome, Outcome::Redirect { status: 302 }, "{}", probed.ended.detail);
            assert_eq!(probed.is_hidden, is_hidden, "pin: {pin}");
            assert_eq!(probed.ended.response_body.is_empty(), is_hidden);
        }
    });
}

#[test]
fn a_name_that_a_proxy_looks_up_may_lead_anywhere_whatever_was_looked_up_here() {
    let answers = [IpAddr::from([1, 1, 1, 1])];
    let public = |url: &str, pin| {
        let target = directory::prepare(&endpoint(url)).unwrap();
        leads_to_the_public(&through("http://proxy.example:3128", pin), &target, &answers)
    };
    assert!(public("https://shop.example/", true) && !public("https://shop.example/", false));
    assert!(public("https://1.1.1.1/", false), "the proxy is told the address");
}

#[test]
fn only_the_addresses_of_the_url_are_noted() {
    on_its_thread(async {
        let noting = Noting::new(Rc::new(There), "shop.example");
        for name in ["proxy.example", "shop.example"] {
            noting.resolve(name).await.unwrap();
        }
        assert_eq!(noting.answers(), [IpAddr::from([1, 1, 1, 1])]);
    });
}

#[test]
fn beyond_its_bounds_a_probe_is_refused_and_places_become_free_again() {
    on_its_thread(async {
        let port = receiver(None).await;
        let (prober, _stop) = prober();
        let url = format!("http://127.0.0.1:{port}/");
        let ask = || {
            let (prober, probe) = (prober.clone(), probe(&url));
            spawn_local(async move { prober.probe(probe).await })
        };
        let in_flight = ask();
        settle().await;
        let waiting = ask();
        settle().await;
        let refused = prober.probe(probe(&url)).await.unwrap_err();
        assert_eq!(refused, ProbeError::ApplicationBusy { count: 2 });
        let of_another = Probe { endpoint: endpoint_of(2, &url), payload: Bytes::from_static(b"{}") };
        let refused = prober.probe(of_another).await.unwrap_err();
        assert_eq!(refused, ProbeError::Busy { waiting: 1 });
        assert_eq!(prober.of_application.lock().len(), 1, "who was refused takes no place");

        // Whoever asked hangs up: the place is free for the next one.
        in_flight.abort();
        waiting.abort();
        let answering = receiver(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
        let probed = loop {
            match prober.probe(probe(&format!("http://127.0.0.1:{answering}/"))).await {
                Ok(probed) => break probed,
                Err(ProbeError::Busy { .. } | ProbeError::ApplicationBusy { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(probed.ended.outcome, Outcome::Success { status: 204 });
    });
}

#[test]
fn a_prober_that_has_stopped_says_so() {
    on_its_thread(async {
        let (prober, stop) = prober();
        stop.send(true).unwrap();
        while !prober.orders.is_closed() {
            tokio::task::yield_now().await;
        }
        let refused = prober.probe(probe("http://127.0.0.1:9/")).await.unwrap_err();
        assert_eq!(refused, ProbeError::ShuttingDown);
    });
}

#[test]
fn ids_of_probes_differ_and_are_none_that_the_log_would_give() {
    let prober = Prober::new(mpsc::channel(1).0, 1);
    prober.sequence.store(u16::MAX - 1, Ordering::Relaxed);
    let ids: std::collections::HashSet<MessageId> = (0..100).map(|_| prober.next_id()).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| id.0.sequence() >= SEQUENCE_FIRST));
}
