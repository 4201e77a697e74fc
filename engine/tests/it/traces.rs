//! Traces: the life of messages, as a collector of OpenTelemetry gets to see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use posthaste_protocol::StreamId;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Receiver, World, wait_for};

/// A collector: takes `POST /v1/traces` and keeps what it gets. It lives as long as the runtime of its test.
struct Collector {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    requests: Vec<(HeaderMap, Value)>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let kept = Arc::<Mutex<Kept>>::default();
        let router = Router::new().route("/v1/traces", axum::routing::post(take)).with_state(kept.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, kept }
    }

    fn spans(&self) -> Vec<Value> {
        let kept = self.kept.lock();
        let requests = kept.requests.iter();
        let lists = requests.map(|(_, body)| &body["resourceSpans"][0]["scopeSpans"][0]["spans"]);
        lists.flat_map(|list| list.as_array().expect("a list")).cloned().collect()
    }

    fn spans_of(&self, message: StreamId) -> Vec<Value> {
        let id = json!(format!("msg_{message}"));
        let mut spans = self.spans();
        spans.retain(|span| text(span, "messaging.message.id") == id);
        spans
    }

    /// Waits until a message has so many spans, and returns them.
    async fn got(&self, message: StreamId, spans: usize) -> Vec<Value> {
        let what = format!("{spans} spans of {message}");
        wait_for(&what, || Some(self.spans_of(message)).filter(|got| got.len() >= spans)).await
    }
}

async fn take(
    State(kept): State<Arc<Mutex<Kept>>>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> (StatusCode, &'static str) {
    kept.lock().requests.push((headers, body));
    (StatusCode::OK, r#"{"partialSuccess":{}}"#)
}

fn attribute(span: &Value, key: &str, kind: &str) -> Value {
    let attributes = span["attributes"].as_array().expect("a list");
    attributes.iter().find(|one| one["key"] == key).map_or(Value::Null, |one| one["value"][kind].clone())
}

fn text(span: &Value, key: &str) -> Value {
    attribute(span, key, "stringValue")
}

fn number(span: &Value, key: &str) -> Value {
    attribute(span, key, "intValue")
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

fn nanos(span: &Value, key: &str) -> u64 {
    span[key].as_str().and_then(|nanos| nanos.parse().ok()).expect("a number in a text")
}

async fn world(collector: &str, settings: &[(&str, &str)], policy: &str, receiver: Receiver) -> World {
    let endpoint = format!("'{collector}'");
    let own = [("trace.endpoint", endpoint.as_str()), ("trace.sample", "1")];
    World::with(&[&NO_LOCKOUT, &own[..], settings].concat(), json!({ "retryPolicy": policy }), receiver).await
}

#[tokio::test]
async fn each_message_is_one_trace_from_its_acceptance_to_its_last_attempt() {
    let collector = Collector::start().await;
    let settings = [("trace.service_name", "'shop'"), ("trace.headers", "['authorization: Bearer x']")];
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = world(&collector.url, &settings, "none", receiver).await;
    let messages = world.publish(20).await;
    let mut traces = BTreeMap::new();
    for message in messages {
        let spans = collector.got(message, 3).await;
        let ([publish], [store], [attempt]) =
            (&named(&spans, "publish")[..], &named(&spans, "store")[..], &named(&spans, "attempt")[..])
        else {
            panic!("{spans:?}")
        };
        assert!(publish.get("parentSpanId").is_none());
        for child in [store, attempt] {
            assert_eq!(child["parentSpanId"], publish["spanId"]);
            assert_eq!(child["traceId"], publish["traceId"]);
        }
        assert_eq!(text(publish, "posthaste.event_type"), EVENT_TYPE);
        assert_eq!(text(attempt, "posthaste.endpoint.id"), world.endpoint);
        assert_eq!(text(attempt, "posthaste.outcome"), "success");
        assert_eq!(text(attempt, "posthaste.delivery.state"), "delivered");
        assert_eq!(number(attempt, "posthaste.attempt.number"), "1");
        assert_eq!(number(attempt, "http.response.status_code"), "204");
        assert_eq!(attempt["status"], json!({}));
        let within = |span: &Value| nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano");
        assert!([publish, store, attempt].into_iter().all(|span| within(span)), "{spans:?}");
        assert!(nanos(publish, "endTimeUnixNano") >= nanos(store, "endTimeUnixNano"));
        traces.insert(publish["traceId"].as_str().expect("text").to_owned(), message);
    }
    assert_eq!(traces.len(), 20, "one each");
    let kept = collector.kept.lock();
    let (headers, body) = &kept.requests[0];
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["authorization"], "Bearer x");
    let service = json!({ "key": "service.name", "value": { "stringValue": "shop" } });
    assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0], service);
}

#[tokio::test]
async fn attempts_that_failed_and_those_after_a_restart_are_in_the_trace_of_their_message() {
    let collector = Collector::start().await;
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let mut world = world(&collector.url, &[], "100ms jitter=0%", receiver).await;
    let message = world.publish_one().await;
    collector.got(message, 4).await;
    world.receiver.answers(Answer::Status(200));
    world.kill_and_start().await;
    let resend = format!("/api/v1/app/{APPLICATION}/msg/msg_{message}/endpoint/{}/resend", world.endpoint);
    world.api().post(&resend, &json!({})).await;
    let spans = collector.got(message, 5).await;
    let attempts = named(&spans, "attempt");
    let outcomes: Vec<Value> = attempts.iter().map(|span| text(span, "posthaste.outcome")).collect();
    assert_eq!(outcomes, ["bad_status", "bad_status", "success"]);
    assert_eq!(attempts[0]["status"]["code"], 2);
    assert_eq!(text(attempts[0], "error.type"), "bad_status");
    assert_eq!(number(attempts[1], "posthaste.attempt.number"), "2");
    assert!(spans.iter().all(|span| span["traceId"] == spans[0]["traceId"]), "{spans:?}");
    let root = &named(&spans, "publish")[0]["spanId"];
    assert!(attempts.iter().all(|span| &span["parentSpanId"] == root), "{spans:?}");
}

#[tokio::test]
async fn receivers_are_told_of_the_trace_where_that_is_wanted() {
    let collector = Collector::start().await;
    let receiver = Receiver::behaving(|_, before| Answer::Status(if before == 0 { 500 } else { 204 })).await;
    let world = world(&collector.url, &[("trace.propagate", "true")], "10ms jitter=0%", receiver).await;
    let message = world.publish_one().await;
    let spans = collector.got(message, 4).await;
    let told: Vec<String> =
        world.receiver.received().iter().map(|one| one.header("traceparent").into()).collect();
    let attempts = named(&spans, "attempt").into_iter().map(|span| {
        let id = |key: &str| span[key].as_str().expect("text").to_owned();
        format!("00-{}-{}-01", id("traceId"), id("spanId"))
    });
    assert_eq!(told, attempts.collect::<Vec<_>>());
    assert_ne!(told[0], told[1]);
}

#[tokio::test]
async fn nobody_is_told_anything_of_what_is_not_sampled() {
    let collector = Collector::start().await;
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let settings = [("trace.sample", "0"), ("trace.propagate", "true")];
    let world = world(&collector.url, &settings, "none", receiver).await;
    world.publish(50).await;
    world.receiver.had_messages(50).await;
    assert!(world.receiver.received().iter().all(|one| one.header("traceparent").is_empty()));
    // At the end it would hand over whatever it had.
    assert!(world.posthaste.stop().await.success());
    assert!(collector.kept.lock().requests.is_empty());
}

#[tokio::test]
async fn what_is_left_at_the_end_reaches_the_collector() {
    let collector = Collector::start().await;
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = world(&collector.url, &[], "none", receiver).await;
    let follower = world.follow().await;
    let messages = world.publish(5).await;
    follower.saw(5, "delivered").await;
    assert!(world.posthaste.stop().await.success());
    for message in messages {
        assert_eq!(collector.spans_of(message).len(), 3);
    }
}

#[tokio::test]
async fn a_collector_that_is_away_harms_nobody_and_what_it_misses_is_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = world(&url, &[], "none", receiver).await;
    let follower = world.follow().await;
    // More than the queue and a batch hold: three spans each.
    for _ in 0..4 {
        world.publish(1_000).await;
    }
    follower.saw(4_000, "delivered").await;
    world.posthaste.says("the collector does not take traces").await;
    let api = world.api();
    let dropped = wait_for_dropped(&api).await;
    assert!(dropped > 0);
    assert_eq!(api.metric("posthaste_trace_spans_exported_total").await, 0);
    let began = std::time::Instant::now();
    assert!(world.posthaste.stop().await.success());
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

async fn wait_for_dropped(api: &crate::harness::Api) -> u64 {
    crate::harness::wait_for_async("spans to be dropped", async || {
        Some(api.metric("posthaste_trace_spans_dropped_total").await).filter(|dropped| *dropped > 0)
    })
    .await
}
