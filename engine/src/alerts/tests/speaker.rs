//! What becomes of what is raised: kept, published, and endpoints disabled.

use std::sync::Arc;

use parking_lot::Mutex;
use posthaste_storage::EntryId;
use serde_json::Value;

use super::watch::RULES;
use crate::alerts::rules::AlertRules;
use crate::alerts::speaker::{Speaker, SpeakerParts};
use crate::alerts::watch::{Configured, Ended};
use crate::alerts::{Heard, ear};
use crate::api::{Again, AgainError, EraseRefusal, Messages};
use crate::catalog::fakes::{FakeLog, editor};
use crate::catalog::{
    Alert, AlertType, ApplicationDraft, BoxFuture, Catalog, CatalogEvent, CommitError, Disabled, Editor,
    Endpoint, EndpointDraft,
};
use crate::clock::Clock;
use crate::config::UnknownEventTypes;
use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, AttemptId, MessageId};
use crate::core::outcome::Outcome;
use crate::core::tick::Tick;
use crate::metrics::Metrics;
use crate::publish::{Admitted, PublishError, PublishLimits};

#[derive(Default)]
struct Published {
    messages: Mutex<Vec<Admitted>>,
    fails_with: Mutex<Option<PublishError>>,
}

impl Messages for Published {
    fn publish_many(&self, messages: Vec<Admitted>) -> BoxFuture<'_, Vec<Result<MessageId, PublishError>>> {
        let error = self.fails_with.lock().clone();
        let answers = messages.iter().map(|_| match &error {
            Some(error) => Err(error.clone()),
            None => Ok(MessageId(EntryId::MIN)),
        });
        let answers = answers.collect();
        if error.is_none() {
            self.messages.lock().extend(messages);
        }
        Box::pin(async move { answers })
    }

    fn deliver_again(&self, _: Vec<Again>) -> BoxFuture<'_, Result<usize, AgainError>> {
        Box::pin(async { Ok(0) })
    }

    fn erase(
        &self,
        _: ApplicationId,
        _: MessageId,
        _: Option<AttemptId>,
    ) -> BoxFuture<'_, Result<(), EraseRefusal>> {
        Box::pin(async { Ok(()) })
    }

    fn cancel(&self, _: ApplicationId, _: MessageId) -> BoxFuture<'_, Result<bool, CommitError>> {
        Box::pin(async { Ok(false) })
    }
}

struct World {
    editor: Editor,
    log: Arc<FakeLog>,
    published: Arc<Published>,
    heard: Arc<Mutex<Vec<Heard>>>,
    speaker: Speaker,
    endpoint: Arc<Endpoint>,
    now: Tick,
}

fn parts(editor: &Editor, published: &Arc<Published>) -> SpeakerParts {
    SpeakerParts {
        rules: AlertRules { failing_for: std::time::Duration::ZERO, failing_attempts: 3, ..RULES },
        application: Some("operator".into()),
        editor: editor.clone(),
        messages: Arc::clone(published) as _,
        limits: PublishLimits {
            payload_bytes_max: 100_000,
            unknown_event_types: UnknownEventTypes::Refuse,
            urls: crate::publish::UrlJudge(Arc::new(|url| Ok(url.into()))),
        },
        mailbox: None,
        metrics: Metrics::new(),
        clock: Clock::start(),
    }
}

impl World {
    async fn new() -> Self {
        let (editor, log) = editor(UnknownEventTypes::Refuse);
        let published = Arc::<Published>::default();
        let owner = ApplicationDraft { name: "Acme".into(), uid: Some("acme".into()), ..Default::default() };
        let owner = editor.create_application(owner).await.unwrap();
        let draft = EndpointDraft { url: "https://shop.example/hook?key=1".into(), ..Default::default() };
        let endpoint = editor.create_endpoint(owner.id, draft, None).await.unwrap();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let ear = heard.clone();
        editor.catalog().subscribe(move |event| {
            if let CatalogEvent::EndpointChanged(endpoint) = event {
                ear.lock().push(Heard::Configured(Configured::of(endpoint)));
            }
        });
        let speaker = Speaker::new(parts(&editor, &published), 1);
        let now = Clock::start().now();
        let mut world = Self { editor, log, published, heard, speaker, endpoint, now };
        world.turn().await;
        world
    }

    /// The same catalog, a new process.
    fn restart(&mut self) {
        self.speaker = Speaker::new(parts(&self.editor, &self.published), 2);
    }

    async fn turn(&mut self) {
        let mut heard = std::mem::take(&mut *self.heard.lock());
        self.speaker.turn(self.now, &mut heard).await;
    }

    async fn ended(&mut self, outcome: Outcome, state: DeliveryState) {
        let (endpoint, message) = (self.endpoint.id, MessageId(EntryId::MIN));
        let ended = Ended { endpoint, message, outcome, state, elsewhere: false };
        self.heard.lock().push(Heard::Ended(vec![ended]));
        self.turn().await;
    }

    async fn fail(&mut self) {
        self.ended(Outcome::BadStatus { status: 503 }, DeliveryState::Pending).await;
    }

    fn catalog(&self) -> &Arc<Catalog> {
        self.editor.catalog()
    }

    fn kept(&self) -> Vec<Arc<Alert>> {
        self.catalog().alerts_all()
    }

    fn kinds(&self) -> Vec<AlertType> {
        self.kept().iter().map(|alert| alert.cause.kind()).collect()
    }

    fn messages(&self) -> Vec<Value> {
        let messages = self.published.messages.lock();
        messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
    }
}

#[tokio::test]
async fn application_and_event_types_are_made_at_the_start() {
    let world = World::new().await;
    assert!(world.catalog().application("operator").is_some());
    for kind in AlertType::ALL {
        let event_type = world.catalog().event_type(kind.event_type()).expect("it was made");
        assert!(event_type.schemas.is_some());
    }
}

#[tokio::test]
async fn an_alert_is_kept_and_published_with_the_body_that_the_api_shows() {
    let mut world = World::new().await;
    for _ in 0..5 {
        world.fail().await;
    }
    assert_eq!(world.kinds(), [AlertType::Failing]);
    let messages = world.messages();
    assert_eq!(messages.len(), 1);
    let body = &messages[0];
    assert_eq!(body["type"], "posthaste.endpoint.failing");
    assert_eq!(body["id"], world.kept()[0].id.to_string());
    assert_eq!(body["applicationUid"], "acme");
    assert_eq!(body["endpointId"], world.endpoint.id.to_string());
    assert_eq!(body["url"], "https://shop.example/hook", "without the query");
    assert_eq!((&body["detail"]["failures"], &body["detail"]["lastStatus"]), (&3.into(), &503.into()));
    let message = world.published.messages.lock()[0].clone();
    assert_eq!(message.event_id.as_deref(), body["id"].as_str());
    let operator = world.catalog().application("operator").unwrap().id;
    assert_eq!(message.application, operator);

    world.ended(Outcome::Success { status: 200 }, DeliveryState::Delivered).await;
    assert_eq!(world.kinds(), [AlertType::Failing, AlertType::Recovered]);
    assert!(world.kept()[0].ended_ms.is_some());
    assert_eq!(world.messages()[1]["detail"]["after"], serde_json::json!(["posthaste.endpoint.failing"]));
}

#[tokio::test]
async fn alerts_about_the_operators_own_endpoints_make_no_messages() {
    let mut world = World::new().await;
    let operator = world.catalog().application("operator").unwrap().id;
    let draft = EndpointDraft { url: "https://pager.example/".into(), ..Default::default() };
    world.endpoint = world.editor.create_endpoint(operator, draft, None).await.unwrap();
    for _ in 0..5 {
        world.fail().await;
    }
    assert_eq!(world.kinds(), [AlertType::Failing]);
    assert!(world.messages().is_empty());
}

#[tokio::test]
async fn a_full_disk_delays_alerts_and_loses_none() {
    let mut world = World::new().await;
    *world.log.fails_with.lock() = Some(CommitError::Full);
    for _ in 0..5 {
        world.fail().await;
    }
    assert!(world.kept().is_empty() && world.messages().is_empty());
    *world.log.fails_with.lock() = None;
    *world.published.fails_with.lock() = Some(PublishError::Full);
    world.turn().await;
    assert_eq!(world.kinds(), [AlertType::Failing]);
    assert!(world.messages().is_empty());
    *world.published.fails_with.lock() = None;
    world.turn().await;
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn what_was_kept_shortly_before_a_crash_is_published_after_it_under_the_same_event_id() {
    let mut world = World::new().await;
    *world.published.fails_with.lock() = Some(PublishError::Full);
    for _ in 0..5 {
        world.fail().await;
    }
    *world.published.fails_with.lock() = None;
    world.restart();
    world.turn().await;
    world.restart();
    world.turn().await;
    let messages = world.published.messages.lock().clone();
    assert_eq!(messages.len(), 2);
    assert_eq!((&messages[0].event_id, messages[0].digest), (&messages[1].event_id, messages[1].digest));
    assert_eq!(world.kinds(), [AlertType::Failing], "it is known, and not raised again");
}

#[tokio::test]
async fn an_endpoint_that_fails_for_five_days_is_disabled_over_a_restart_and_that_is_told() {
    let mut world = World::new().await;
    for hour in 0..=5 * 24 {
        world.fail().await;
        world.now = world.now + std::time::Duration::from_secs(3_600);
        if hour == 50 {
            assert_eq!(world.catalog().failing_all().len(), 1);
            world.restart();
        }
    }
    world.turn().await;
    let endpoint = world.catalog().endpoint_by_id(world.endpoint.id).unwrap();
    assert_eq!(endpoint.disabled, Some(Disabled::Failing));
    assert_eq!(world.kinds(), [AlertType::Failing, AlertType::Disabled]);
    assert!(world.kept()[0].ended_ms.is_some(), "being disabled ends it");
    assert!(world.catalog().failing_all().is_empty());
    let last = world.messages().pop().unwrap();
    assert_eq!(last["detail"]["reason"], "failing");
    assert!(last["summary"].as_str().unwrap().contains("disabled (failing)"), "{last}");
}

#[tokio::test]
async fn the_oldest_alerts_make_room() {
    let mut world = World::new().await;
    for _ in 0..30 {
        world.ended(Outcome::BadStatus { status: 500 }, DeliveryState::Exhausted).await;
        world.now = world.now + std::time::Duration::from_secs(3_601);
    }
    assert_eq!(world.kept().len(), crate::catalog::fakes::KEPT.alerts_max);
    let newest = world.kept().last().unwrap().raised_ms;
    assert!(world.now.as_ms() - newest < 2 * 3_601_000);
}

#[tokio::test]
async fn what_comes_too_fast_is_counted_and_nobody_waits() {
    let metrics = Metrics::new();
    let (ear, mut heard) = ear(metrics.clone());
    let ended = Ended {
        endpoint: crate::core::ids::EndpointId::from_u64(1),
        message: MessageId(EntryId::MIN),
        outcome: Outcome::Gone,
        state: DeliveryState::Pending,
        elsewhere: false,
    };
    for _ in 0..1_000 {
        ear.hear(Heard::Ended(vec![ended; 10]));
    }
    let mut waiting = 0;
    while heard.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting * 10 + metrics.alerts_unheard.get(), 10_000);
    assert!(waiting < 1_000);
}
