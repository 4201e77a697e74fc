//! From what the writer stored to what a collector gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_storage::{EntryId, Position};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::collector::CollectorError;
use super::otlp::{encode, rejected};
use super::tracer::WAITING_MAX;
use super::*;
use crate::core::delivery::{DeliveryKey, DeliveryState, Progress};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::shard::{AttemptEnded, Home};
use crate::core::tick::Tick;
use crate::delivery::{Ended as Report, Timing, Trust};
use crate::metrics::Metrics;

const MESSAGE: MessageId = MessageId(EntryId::new(1_732_300_000_000, 3));
const AT: Position = Position { segment: 1, offset: 64 };

fn accepted(message: MessageId) -> Accepted<'static> {
    let application = ApplicationId::from_u64(1);
    Accepted { message, application, event_type: "invoice.paid", payload_bytes: 9, deliveries: 2 }
}

fn ended(outcome: Outcome, report: Option<Report>) -> AttemptEnded<Report> {
    AttemptEnded {
        key: DeliveryKey { message: MESSAGE, endpoint: EndpointId::from_u64(2) },
        application: ApplicationId::from_u64(1),
        message_at: AT,
        number: 4,
        revision: 1,
        started: Tick::from_ms(1_732_300_000_010),
        outcome,
        state: DeliveryState::Pending,
        next_attempt: None,
        progress: Progress::default(),
        home: Home::Ledger,
        forgotten: false,
        report,
    }
}

fn report(outcome: Outcome, detail: &'static str) -> Report {
    let timing = Timing { connect_us: 300, first_byte_us: 700, total_us: 1_100, ..Timing::default() };
    Report { timing, ..Report::unsent(outcome, detail) }
}

/// What a tracer that samples everything makes of these calls, as a collector reads it.
fn spans(calls: impl FnOnce(&mut Tracer)) -> Vec<Value> {
    let (mut tracer, mut spans) = tracer(Sampler::new(1.0, 7), Metrics::new());
    calls(&mut tracer);
    drop(tracer);
    let mut batch = Vec::new();
    while let Ok(span) = spans.0.try_recv() {
        batch.push(span);
    }
    let body: Value = serde_json::from_slice(&encode("shop", &batch)).expect("JSON");
    body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("a list").clone()
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().expect("a list");
    attributes.iter().find(|one| one["key"] == key).map_or(&Value::Null, |one| &one["value"])
}

#[test]
fn publishing_is_the_root_and_storing_lies_within_it() {
    let made = spans(|tracer| {
        tracer.committed(1_732_300_000_001_000, 1_732_300_000_002_500, 12);
        let traced = tracer.begin([accepted(MESSAGE)].into_iter());
        tracer.answered(traced, 1_732_300_000_002_600);
    });
    let [publish, store] = &made[..] else { panic!("{made:?}") };
    assert_eq!(publish["name"], "publish");
    assert!(publish.get("parentSpanId").is_none());
    assert_eq!(publish["startTimeUnixNano"], "1732300000000000000");
    assert_eq!(publish["endTimeUnixNano"], "1732300000002600000");
    assert_eq!(attribute(publish, "messaging.message.id"), &json!({ "stringValue": MESSAGE.to_string() }));
    assert_eq!(attribute(publish, "posthaste.event_type"), &json!({ "stringValue": "invoice.paid" }));
    assert_eq!(attribute(publish, "posthaste.deliveries"), &json!({ "intValue": "2" }));
    assert_eq!((&store["name"], &store["parentSpanId"]), (&json!("store"), &publish["spanId"]));
    assert_eq!(store["traceId"], publish["traceId"]);
    assert_eq!(store["startTimeUnixNano"], "1732300000001000000");
    assert_eq!(attribute(store, "posthaste.commit.records"), &json!({ "intValue": "12" }));
}

#[test]
fn an_attempt_says_where_it_went_how_it_ended_and_what_took_how_long() {
    let outcome = Outcome::BadStatus { status: 500 };
    let made = spans(|tracer| {
        tracer.attempted(&ended(outcome, Some(report(outcome, "the receiver answered 500"))), AT);
        tracer.attempted(&ended(Outcome::UrlLockedOut, None), Position { offset: 128, ..AT });
    });
    let [attempt, refused] = &made[..] else { panic!("{made:?}") };
    assert_eq!((&attempt["name"], &attempt["kind"]), (&json!("attempt"), &json!(3)));
    assert_eq!(attempt["startTimeUnixNano"], "1732300000010000000");
    assert_eq!(attempt["endTimeUnixNano"], "1732300000011100000");
    assert_eq!(attempt["status"], json!({ "code": 2, "message": "the receiver answered 500" }));
    for (key, value) in [
        ("posthaste.endpoint.id", json!({ "stringValue": EndpointId::from_u64(2).to_string() })),
        ("posthaste.attempt.number", json!({ "intValue": "4" })),
        ("posthaste.outcome", json!({ "stringValue": "bad_status" })),
        ("posthaste.delivery.state", json!({ "stringValue": "pending" })),
        ("http.response.status_code", json!({ "intValue": "500" })),
        ("posthaste.phase.connect_us", json!({ "intValue": "300" })),
        ("posthaste.phase.first_byte_us", json!({ "intValue": "700" })),
        ("posthaste.phase.tls_us", Value::Null),
        ("posthaste.sent", json!({ "boolValue": true })),
    ] {
        assert_eq!(attribute(attempt, key), &value, "{key}");
    }
    assert_eq!(attribute(refused, "posthaste.sent"), &json!({ "boolValue": false }));
    assert_eq!(refused["startTimeUnixNano"], refused["endTimeUnixNano"]);
    assert_ne!(refused["spanId"], attempt["spanId"]);
    assert_eq!(refused["parentSpanId"], attempt["parentSpanId"]);
}

#[test]
fn an_attempt_that_a_receiver_was_told_of_keeps_the_id_that_it_was_told() {
    let parent = Sampler::new(1.0, 7).parent(MESSAGE).expect("sampled");
    let outcome = Outcome::Success { status: 204 };
    let told = Report { span: Some(parent.span), ..report(outcome, "") };
    let made = spans(|tracer| tracer.attempted(&ended(outcome, Some(told)), AT));
    let header =
        format!("00-{}-{}-01", made[0]["traceId"].as_str().unwrap(), made[0]["spanId"].as_str().unwrap());
    assert_eq!(header, parent.to_string());
    assert_eq!(made[0]["status"], json!({}));
}

#[test]
fn what_finds_no_room_is_counted_and_nobody_waits() {
    let metrics = Metrics::new();
    let (tracer, _spans) = tracer(Sampler::new(1.0, 7), metrics.clone());
    for n in 0..WAITING_MAX as u64 + 5 {
        tracer.attempted(&ended(Outcome::UrlLockedOut, None), Position::from_u64(n));
    }
    assert_eq!(metrics.spans_dropped.get(), 5);
}

#[test]
fn what_is_not_sampled_makes_no_span() {
    let metrics = Metrics::new();
    let (tracer, mut spans) = tracer(Sampler::new(0.0, 7), metrics.clone());
    let traced = tracer.begin([accepted(MESSAGE)].into_iter());
    tracer.answered(traced, 1);
    tracer.attempted(&ended(Outcome::UrlLockedOut, None), AT);
    assert!(spans.0.try_recv().is_err());
    assert_eq!(metrics.spans_dropped.get(), 0);
}

#[test]
fn an_answer_may_say_how_many_spans_were_not_taken_or_anything_else() {
    for (answer, count) in [
        (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#, 3),
        (r#"{"partialSuccess":{"rejectedSpans":2}}"#, 2),
        (r#"{"partialSuccess":{}}"#, 0),
        ("{}", 0),
        ("", 0),
        ("OK", 0),
    ] {
        assert_eq!(rejected(answer.as_bytes()), count, "{answer}");
    }
}

/// A collector that answers these statuses, the last one again and again; and how often it was asked.
async fn collector(statuses: &'static [u16]) -> (url::Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/base", listener.local_addr().expect("an address"));
    let asked = Arc::<AtomicUsize>::default();
    let answer = async move |State(asked): State<Arc<AtomicUsize>>| {
        let before = asked.fetch_add(1, Ordering::SeqCst);
        StatusCode::from_u16(statuses[before.min(statuses.len() - 1)]).expect("a status")
    };
    let router =
        Router::new().route("/base/v1/traces", axum::routing::post(answer)).with_state(asked.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url.parse().expect("a URL"), asked)
}

/// Exports two spans to a collector. Returns how many were exported and dropped.
async fn export_to(url: &url::Url, stays: bool) -> (u64, u64) {
    let metrics = Metrics::new();
    let (tracer, spans) = tracer(Sampler::new(1.0, 7), metrics.clone());
    (0..2).for_each(|n| tracer.attempted(&ended(Outcome::UrlLockedOut, None), Position::from_u64(n)));
    let collector = Collector::new(url, parse_headers(&[]).expect("none"), None);
    let service = "shop".into();
    let exporter = Exporter { spans, collector, service, metrics: metrics.clone(), failing: false };
    let exporting = tokio::spawn(exporter.run());
    let done = || metrics.spans_exported.get() + metrics.spans_dropped.get() == 2;
    if !stays {
        drop(tracer);
        exporting.await.expect("it ends when the tracer is gone");
    } else {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("in time");
    }
    assert!(done());
    (metrics.spans_exported.get(), metrics.spans_dropped.get())
}

#[tokio::test]
async fn a_collector_that_is_overloaded_is_asked_again_and_one_that_refuses_is_not() {
    let (url, asked) = collector(&[503, 200]).await;
    assert_eq!((export_to(&url, true).await, asked.load(Ordering::SeqCst)), ((2, 0), 2));
    let (url, asked) = collector(&[400]).await;
    assert_eq!((export_to(&url, true).await, asked.load(Ordering::SeqCst)), ((0, 2), 1));
}

#[tokio::test]
async fn at_the_end_what_is_left_is_handed_over_once_and_not_waited_for() {
    let (url, asked) = collector(&[200]).await;
    assert_eq!((export_to(&url, false).await, asked.load(Ordering::SeqCst)), ((2, 0), 1));
    let (url, asked) = collector(&[503]).await;
    assert_eq!((export_to(&url, false).await, asked.load(Ordering::SeqCst)), ((0, 2), 1));
}

/// A certificate for `localhost` that vouches for itself, and its key.
fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate")
}

/// A collector behind TLS that says yes to whatever it reads.
async fn collector_over_https(own: &rcgen::CertifiedKey<rcgen::KeyPair>) -> url::Url {
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a pair");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // Who does not believe the certificate ends here.
            let Ok(mut link) = acceptor.accept(tcp).await else { continue };
            let mut read = Vec::new();
            while !read.ends_with(b"{\"a\":1}") && link.read_buf(&mut read).await.is_ok_and(|bytes| bytes > 0)
            {
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            link.write_all(answer).await.expect("written");
        }
    });
    format!("https://localhost:{port}").parse().expect("a URL")
}

#[tokio::test]
async fn a_collector_over_https_has_to_show_a_certificate_that_is_believed() {
    let (own, other) = (certificate(), certificate());
    let url = collector_over_https(&own).await;
    let take = async |tls| {
        let collector = Collector::new(&url, parse_headers(&[]).expect("none"), tls);
        collector.take(r#"{"a":1}"#.into()).await
    };
    let trusting = |known: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        let trust = Trust::with_extra(vec![known.cert.der().clone()]).expect("an authority");
        trust.client_config(false).expect("settings").map(Arc::new)
    };
    assert!(matches!(take(trusting(&own)).await, Ok(0)));
    assert!(matches!(take(trusting(&other)).await, Err(CollectorError::Io(_))));
    assert!(matches!(take(None).await, Err(CollectorError::NoAuthorities)));
}
