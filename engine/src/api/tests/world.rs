//! A server without a network: the router over a catalog, a log and a history in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use parking_lot::Mutex;
use posthaste_storage::EntryId;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::access::{Access, Keys, MadeKeys, Portal, RateLimits};
use crate::api::{
    Again, AgainError, Answers, Api, AttemptQuery, DeliveryCounts, DeliveryPage, DeliveryQuery,
    EndpointHealth, EraseRefusal, ExportPart, ExportPlace, Exported, Health, History, HistoryPage,
    HistoryResult, LastAttempt, ListedDelivery, MessageQuery, MessageStatus, Messages, StoredAttempt,
    StoredDelivery, StoredMessage, Tasks, router,
};
use crate::api::{DeliveryCursor, EXPORTS_MAX, RetryPolicies};
use crate::catalog::fakes::{FakeLog, editor};
use crate::catalog::{BoxFuture, CatalogError, CommitError, Editor, Endpoint, NewTask, Start, Task};
use crate::clock::Clock;
use crate::config::{ApiKey, UnknownEventTypes};
use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};
use crate::metrics::Metrics;
use crate::probe::{Probe, ProbeError, Probed, Probes};
use crate::publish::{Admitted, PublishError, PublishLimits};
use crate::pulse::Pulse;
use crate::readiness::Readiness;
use crate::vitals::{EndpointSeries, EndpointVitals, Stretch};

pub(crate) const PAYLOAD_BYTES_MAX: usize = 1_000;
/// Where every first page of deliveries ends.
pub(crate) const DELIVERY_CURSOR: DeliveryCursor =
    DeliveryCursor { as_of: 3, fresh_from: 2, at: 1, endpoint: 31 };
/// Messages a second that one caller may publish.
pub(crate) const MESSAGES_A_SECOND: u32 = 100_000;
/// When the first message is published, unix milliseconds.
pub(crate) const FIRST_MS: u64 = 1_732_300_000_000;

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) log: Arc<FakeLog>,
    pub(crate) editor: Editor,
    pub(crate) engine: Arc<FakeEngine>,
    pub(crate) access: Arc<Access>,
    pub(crate) readiness: Arc<Readiness>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_tokens(&[])
    }

    pub(crate) fn with_tokens(tokens: &[&str]) -> Self {
        Self::with_access(tokens, &BTreeMap::new(), 1_000_000)
    }

    pub(crate) fn with_access(tokens: &[&str], keys: &BTreeMap<String, ApiKey>, rate_max: u32) -> Self {
        let (editor, log) = editor(UnknownEventTypes::Accept);
        let engine = Arc::new(FakeEngine::default());
        let limits = PublishLimits {
            payload_bytes_max: PAYLOAD_BYTES_MAX as u64,
            unknown_event_types: UnknownEventTypes::Accept,
            urls: crate::catalog::fakes::urls(),
        };
        let tasks = Arc::new(FakeTasks(editor.clone()));
        let readiness = Arc::<Readiness>::default();
        let limits_of_rates = RateLimits { requests: rate_max, messages: MESSAGES_A_SECOND };
        let access = Arc::new(Access::new(
            Keys::new(tokens, limits_of_rates).with(keys, limits_of_rates),
            MadeKeys::new("test", limits_of_rates),
            Portal::with_key(&[1; 32], limits_of_rates),
            limits_of_rates,
        ));
        let made = access.made().clone();
        editor.catalog().subscribe(move |event| made.on_event(event));
        let router = router(Api {
            editor: editor.clone(),
            messages: Arc::clone(&engine) as _,
            tasks,
            history: Arc::clone(&engine) as _,
            health: Some(Arc::clone(&engine) as _),
            probes: Arc::clone(&engine) as _,
            limits,
            access: access.clone(),
            answers: Answers::new(1_000, 1 << 20),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            budget: crate::budget::Budget::new(64 << 20),
            public_url: "https://hooks.example".into(),
            readiness: readiness.clone(),
            pulse: Pulse::new(Metrics::new(), Clock::start()),
            clock: Clock::start(),
            retry_policies: RetryPolicies {
                default: "5s, 30s".into(),
                named: [("patient".into(), "1m, 10m jitter=20%".into())].into(),
            },
            source_addresses: vec!["203.0.113.7/32".into()],
        });
        Self { router, log, editor, engine, access, readiness }
    }

    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        token: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = self.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        super::document::check(method, path, &answer);
        answer
    }

    /// An answer to a request without body or token, which is not held against the document.
    pub(crate) async fn raw(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Any request. What is answered and is not JSON comes as text.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into());
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| text())
        };
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// An answer that is text.
    pub(crate) async fn call_text(&self, method: &str, path: &str) -> String {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.call_with(method, path, &body, None).await;
        (answer.status, answer.body)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null).await
    }

    /// An answer of one JSON object a line.
    pub(crate) async fn lines(&self, path: &str) -> Vec<Value> {
        let request = Request::builder().uri(format!("/api/v1{path}")).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, body).await
    }

    /// The application `acme`, and its endpoint `shop`; returns the endpoint's id.
    pub(crate) async fn with_endpoint(&self) -> EndpointId {
        self.post("/app", serde_json::json!({"name": "Acme", "uid": "acme"})).await;
        let endpoint = serde_json::json!({"url": "https://shop.example/hook", "uid": "shop"});
        let (status, endpoint) = self.post("/app/acme/endpoint", endpoint).await;
        assert_eq!(status, 201, "{endpoint}");
        endpoint["id"].as_str().unwrap().parse().unwrap()
    }
}

/// What an engine would do, without doing it.
#[derive(Default)]
pub(crate) struct FakeEngine {
    pub(crate) messages: Mutex<Vec<StoredMessage>>,
    pub(crate) attempts: Mutex<Vec<StoredAttempt>>,
    pub(crate) deliveries: Mutex<Vec<StoredDelivery>>,
    pub(crate) cancelled: Mutex<Vec<MessageId>>,
    pub(crate) erases_not: Mutex<Option<EraseRefusal>>,
    pub(crate) again: Mutex<Vec<Again>>,
    pub(crate) refuses_with: Mutex<Option<PublishError>>,
    pub(crate) last_attempt_query: Mutex<Option<AttemptQuery>>,
    pub(crate) probes: Mutex<Vec<Probe>>,
    pub(crate) probe_answer: Mutex<Option<Result<Probed, ProbeError>>>,
    pub(crate) last_delivery_query: Mutex<Option<DeliveryQuery>>,
    pub(crate) vitals: Mutex<Option<EndpointVitals>>,
    pub(crate) locked_out: Mutex<Vec<(EndpointId, EndpointHealth)>>,
    /// What the next list is told to go on from, instead of being whole.
    pub(crate) resume: Mutex<Option<EntryId>>,
    published: AtomicU16,
}

impl FakeEngine {
    fn store(&self, message: Admitted) -> Result<MessageId, PublishError> {
        if let Some(error) = self.refuses_with.lock().clone() {
            return Err(error);
        }
        let id = MessageId(EntryId::new(FIRST_MS, self.published.fetch_add(1, Ordering::Relaxed)));
        for endpoint in message.endpoints {
            let state = DeliveryState::Pending;
            self.deliveries.lock().push(StoredDelivery {
                endpoint,
                state,
                attempts: 0,
                next_attempt_ms: Some(FIRST_MS),
            });
        }
        self.messages.lock().push(StoredMessage {
            id,
            event_type: message.event_type,
            event_id: message.event_id,
            channels: message.channels,
            content_type: message.content_type,
            payload: message.payload,
            due_ms: message.extras.as_ref().and_then(|extras| extras.due_ms),
            ordering_key: message.extras.as_ref().and_then(|extras| extras.ordering_key.clone()),
            url: message.extras.as_ref().and_then(|extras| Some(extras.url.as_ref()?.url.clone())),
            erased: false,
        });
        Ok(id)
    }
}

impl Messages for FakeEngine {
    fn publish_many(&self, messages: Vec<Admitted>) -> BoxFuture<'_, Vec<Result<MessageId, PublishError>>> {
        Box::pin(async move { messages.into_iter().map(|message| self.store(message)).collect() })
    }

    fn cancel(&self, _: ApplicationId, message: MessageId) -> BoxFuture<'_, Result<bool, CommitError>> {
        self.cancelled.lock().push(message);
        Box::pin(async { Ok(true) })
    }

    fn erase(
        &self,
        _: ApplicationId,
        message: MessageId,
        attempt: Option<AttemptId>,
    ) -> BoxFuture<'_, Result<(), EraseRefusal>> {
        if let Some(refusal) = self.erases_not.lock().clone() {
            return Box::pin(async { Err(refusal) });
        }
        match attempt {
            None => {
                let mut messages = self.messages.lock();
                for one in messages.iter_mut().filter(|one| one.id == message) {
                    (one.erased, one.payload) = (true, bytes::Bytes::new());
                }
            }
            Some(id) => {
                for one in self.attempts.lock().iter_mut().filter(|one| one.id == id) {
                    (one.erased, one.response_body) = (true, bytes::Bytes::new());
                }
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn deliver_again(&self, mut wanted: Vec<Again>) -> BoxFuture<'_, Result<usize, AgainError>> {
        wanted.retain(|again| self.has(again.message));
        let count = wanted.len();
        self.again.lock().extend(wanted);
        Box::pin(async move { Ok(count) })
    }
}

/// Begins tasks that never go on.
struct FakeTasks(Editor);

impl Tasks for FakeTasks {
    fn start(&self, new: NewTask) -> BoxFuture<'_, Result<Arc<Task>, CatalogError>> {
        Box::pin(async move { self.0.create_task(new).await })
    }
}

impl FakeEngine {
    fn has(&self, message: MessageId) -> bool {
        self.messages.lock().iter().any(|stored| stored.id == message)
    }
}

impl Probes for FakeEngine {
    fn probe(&self, probe: Probe) -> BoxFuture<'_, Result<Probed, ProbeError>> {
        let answer = self.probe_answer.lock().take();
        self.probes.lock().push(probe);
        Box::pin(async { answer.expect("a test that probes says what comes of it") })
    }
}

impl Health for FakeEngine {
    fn endpoint(&self, _: &Endpoint) -> Option<EndpointHealth> {
        Some(EndpointHealth { state: "healthy", until: None })
    }

    fn vitals(&self, _: EndpointId) -> Option<EndpointVitals> {
        self.vitals.lock().clone()
    }

    fn series(&self, _: EndpointId) -> Option<EndpointSeries> {
        let began_ms = FIRST_MS;
        let stretch = Stretch { began_ms, succeeded: 3, failed: 1, mean_ms: Some(1.5), ..Stretch::default() };
        Some(EndpointSeries { minutes: vec![stretch], half_hours: vec![stretch] })
    }

    fn locked_out(&self) -> Vec<(EndpointId, EndpointHealth)> {
        self.locked_out.lock().clone()
    }
}

impl History for FakeEngine {
    fn message(&self, _: ApplicationId, id: MessageId) -> HistoryResult<'_, Option<StoredMessage>> {
        let found = self.messages.lock().iter().find(|message| message.id == id).cloned();
        Box::pin(async { Ok(found) })
    }

    fn message_by_event_id<'a>(
        &'a self,
        _: ApplicationId,
        event_id: &'a str,
    ) -> HistoryResult<'a, Option<MessageId>> {
        let messages = self.messages.lock();
        let found = messages.iter().find(|message| message.event_id.as_deref() == Some(event_id));
        let id = found.map(|message| message.id);
        Box::pin(async move { Ok(id) })
    }

    fn messages(
        &self,
        _: ApplicationId,
        query: MessageQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredMessage>> {
        let mut newest_first = self.messages.lock().clone();
        newest_first.reverse();
        newest_first.retain(|message| {
            query.event_types.is_empty() || query.event_types.iter().any(|name| **name == *message.event_type)
        });
        let resume = self.resume.lock().take();
        Box::pin(async move {
            let page = cut(newest_first, &query.start, query.limit, |message| message.id);
            Ok(HistoryPage { done: page.done && resume.is_none(), resume, ..page })
        })
    }

    fn messages_to_endpoint(
        &self,
        _: ApplicationId,
        endpoint: EndpointId,
        status: Option<MessageStatus>,
        query: MessageQuery,
    ) -> HistoryResult<'_, HistoryPage<(StoredMessage, StoredDelivery)>> {
        let delivery = self.deliveries.lock().iter().find(|delivery| delivery.endpoint == endpoint).copied();
        let messages = self.messages.lock().clone();
        let found = messages.into_iter().rev().filter_map(|message| Some((message, delivery?)));
        let found =
            found.filter(|(_, delivery)| status.is_none_or(|status| delivery.status(FIRST_MS) == status));
        let found: Vec<_> = found.collect();
        Box::pin(async move { Ok(cut(found, &query.start, query.limit, |(message, _)| message.id)) })
    }

    fn query_deliveries(&self, _: ApplicationId, query: DeliveryQuery) -> HistoryResult<'_, DeliveryPage> {
        let id = MessageId(EntryId::new(FIRST_MS, 0));
        let last = self.attempts.lock().last().map(|attempt| LastAttempt {
            id: attempt.id,
            outcome: attempt.outcome,
            started_ms: attempt.started_ms,
        });
        let deliveries = self.deliveries.lock();
        let listed = deliveries.iter().map(|delivery| ListedDelivery {
            message: id,
            event_id: None,
            event_type: Some("a".into()),
            delivery: *delivery,
            last,
        });
        let items: Vec<_> = listed.take(query.limit).collect();
        let next = query.cursor.is_none().then_some(DELIVERY_CURSOR);
        *self.last_delivery_query.lock() = Some(query);
        Box::pin(async move { Ok(DeliveryPage { items, next }) })
    }

    fn count_deliveries(
        &self,
        _: ApplicationId,
        _: EndpointId,
        since_ms: u64,
        until_ms: u64,
    ) -> HistoryResult<'_, DeliveryCounts> {
        let counts = DeliveryCounts {
            success: 1,
            pending: 2,
            sending: 3,
            fail: 4,
            cancelled: 5,
            counted_since_ms: (since_ms == 0).then_some(until_ms - 1_000),
        };
        Box::pin(async move { Ok(counts) })
    }

    fn export_place(&self, after_ms: Option<u64>, _: Option<u64>) -> HistoryResult<'_, ExportPlace> {
        Box::pin(async move { Ok(ExportPlace { from: after_ms.unwrap_or(0), to: 0 }) })
    }

    /// First the messages, then the attempts.
    fn export_part(&self, _: ApplicationId, place: ExportPlace) -> HistoryResult<'_, ExportPart> {
        let part = match place.to {
            0 => ExportPart {
                items: self.messages.lock().iter().cloned().map(Exported::Message).collect(),
                next: Some(ExportPlace { to: 1, ..place }),
            },
            _ => ExportPart {
                items: self.attempts.lock().iter().cloned().map(Exported::Attempt).collect(),
                next: None,
            },
        };
        Box::pin(async move { Ok(part) })
    }

    fn attempt(
        &self,
        _: ApplicationId,
        _: MessageId,
        id: AttemptId,
    ) -> HistoryResult<'_, Option<StoredAttempt>> {
        let found = self.attempts.lock().iter().find(|attempt| attempt.id == id).cloned();
        Box::pin(async { Ok(found) })
    }

    fn attempts_by_message(
        &self,
        _: ApplicationId,
        _: MessageId,
        query: AttemptQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredAttempt>> {
        *self.last_attempt_query.lock() = Some(query.clone());
        let mut newest_first = self.attempts.lock().clone();
        newest_first.reverse();
        newest_first.retain(|attempt| query.status.is_none_or(|status| attempt.status() == status));
        newest_first.retain(|attempt| query.status_code_class.is_none_or(|class| attempt.is_of_class(class)));
        Box::pin(async move { Ok(cut(newest_first, &query.start, query.limit, |attempt| attempt.id)) })
    }

    fn attempts_by_endpoint(
        &self,
        application: ApplicationId,
        _: EndpointId,
        query: AttemptQuery,
    ) -> HistoryResult<'_, HistoryPage<StoredAttempt>> {
        self.attempts_by_message(application, MessageId(EntryId::MIN), query)
    }

    fn deliveries(&self, _: ApplicationId, _: MessageId) -> HistoryResult<'_, Vec<StoredDelivery>> {
        let deliveries = self.deliveries.lock().clone();
        Box::pin(async { Ok(deliveries) })
    }
}

fn cut<T, K: Ord + Copy>(
    mut items: Vec<T>,
    start: &Start<K>,
    limit: usize,
    key: impl Fn(&T) -> K,
) -> HistoryPage<T> {
    match *start {
        Start::First => (),
        Start::After(last) => items.retain(|item| key(item) < last),
        Start::Before(first) => {
            items.retain(|item| key(item) > first);
            let done = items.len() <= limit;
            return HistoryPage::new(items.split_off(items.len().saturating_sub(limit)), done);
        }
    }
    let done = items.len() <= limit;
    items.truncate(limit);
    HistoryPage::new(items, done)
}
