//! The speaker: listens, lets the watch decide, keeps what is raised, and tells of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch as signal;

use super::ear::Heard;
use super::mail::Mailbox;
use super::rules::AlertRules;
use super::shown::{self, AlertShown};
use super::watch::{Action, Configured, Watch};
use crate::api::Messages;
use crate::catalog::{
    Alert, AlertType, ApplicationDraft, Catalog, CatalogError, CommitError, Disabled, Editor, NOTES_MAX, Note,
};
use crate::clock::Clock;
use crate::core::ids::EndpointId;
use crate::core::shard::Door;
use crate::core::tick::Tick;
use crate::delivery::CheckedUrl;
use crate::metrics::Metrics;
use crate::publish::{Admitted, NewMessage, PublishError, PublishLimits, admit};
use crate::seam;

/// What is heard in one turn.
const TURN_MAX: usize = 64;
/// How often it is looked at what falls due, and tried again what failed.
const TURN_EVERY: Duration = Duration::from_secs(1);
/// Notes, and messages, that wait for a disk that takes them. Further ones are counted and let go.
const WAITING_MAX: usize = 10_000;
/// Messages handed over at once.
const MESSAGES_AT_ONCE: usize = 500;
/// What was raised so shortly before a start is published again, under the same event id.
const REPEATED_AFTER_START: Duration = Duration::from_secs(600);

/// What a speaker works with.
pub(crate) struct SpeakerParts {
    pub(crate) rules: AlertRules,
    /// uid of the application that hears of alerts.
    pub(crate) application: Option<String>,
    pub(crate) editor: Editor,
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) limits: PublishLimits,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
}

/// See the head of this file.
pub(crate) struct Speaker {
    parts: SpeakerParts,
    watch: Watch,
    /// Not durable yet.
    notes: Vec<Note>,
    /// Durable, and not published yet.
    unpublished: VecDeque<Alert>,
    /// Whether application and event types are there.
    prepared: bool,
    /// Whether it was said that they are not, and why.
    unprepared_said: bool,
}

impl Speaker {
    /// A speaker that knows what the catalog says is the matter.
    pub(crate) fn new(parts: SpeakerParts, random: u32) -> Self {
        let mut watch = Watch::new(parts.rules, random);
        restore(&mut watch, parts.editor.catalog(), parts.clock.now());
        let mut speaker = Self {
            parts,
            watch,
            notes: Vec::new(),
            unpublished: VecDeque::new(),
            prepared: false,
            unprepared_said: false,
        };
        speaker.repeat_recent();
        speaker
    }

    /// Works until the engine stops.
    pub(crate) async fn run(mut self, mut ear: Receiver<Heard>, mut stop: signal::Receiver<bool>) {
        let mut heard = Vec::new();
        let mut turn = tokio::time::interval(seam::round(TURN_EVERY));
        loop {
            tokio::select! {
                biased;
                // An engine that is gone has stopped too.
                _ = stop.wait_for(|stop| *stop) => return,
                count = ear.recv_many(&mut heard, TURN_MAX) => if count == 0 { return },
                _ = turn.tick() => {}
            }
            let now = self.parts.clock.now();
            self.turn(now, &mut heard).await;
        }
    }

    /// Hears what was said, and does what follows.
    pub(super) async fn turn(&mut self, now: Tick, heard: &mut Vec<Heard>) {
        heard.drain(..).for_each(|heard| self.hear(now, heard));
        self.watch.on_tick(now);
        self.act().await;
        self.publish().await;
    }

    fn hear(&mut self, now: Tick, heard: Heard) {
        match heard {
            Heard::Ended(ended) => {
                for ended in ended {
                    if self.watch.begins_watch(&ended) {
                        let Some(configured) = self.configured(ended.endpoint) else { continue };
                        self.watch.meet(configured.endpoint, configured.application, configured.url);
                    }
                    self.watch.on_ended(now, &ended);
                }
            }
            Heard::Door(endpoint, door, change) => {
                let Some(endpoint) = self.parts.editor.catalog().endpoint_by_id(endpoint) else { return };
                let host = match door {
                    Door::Url => None,
                    Door::Host => match CheckedUrl::parse(&endpoint.url) {
                        Ok(url) => Some(url.host().stable_hash()),
                        Err(_) => return,
                    },
                };
                self.watch.on_door(now, &Configured::of(&endpoint), host, change);
            }
            Heard::Configured(configured) => self.watch.on_configured(now, &configured),
            Heard::Removed(endpoint) => self.watch.on_removed(now, endpoint),
        }
    }

    /// As the catalog has it: one that is disabled meanwhile is not watched.
    fn configured(&self, endpoint: EndpointId) -> Option<Configured> {
        let endpoint = self.parts.editor.catalog().endpoint_by_id(endpoint)?;
        (!endpoint.is_disabled()).then(|| Configured::of(&endpoint))
    }

    async fn act(&mut self) {
        self.parts.metrics.alerts_suppressed.inc_by(self.watch.take_suppressed());
        let mut disable = Vec::new();
        for action in self.watch.take_actions() {
            match action {
                Action::Raise(alert) => self.notes.push(Note::Raised(alert)),
                Action::End(alert, at) => self.notes.push(Note::Over(alert, at.as_ms())),
                Action::Remember(failing) => self.notes.push(Note::Failing(failing)),
                Action::Forget(endpoint) => self.notes.push(Note::NotFailing(endpoint)),
                Action::Disable(endpoint) => disable.push(endpoint),
            }
        }
        self.keep().await;
        for endpoint in disable {
            self.disable(endpoint).await;
        }
    }

    /// Makes the notes durable; what was raised is told then.
    async fn keep(&mut self) {
        while !self.notes.is_empty() {
            let count = self.notes.len().min(NOTES_MAX);
            match self.parts.editor.write_notes(&self.notes[..count]).await {
                Ok(()) => {
                    let notes: Vec<Note> = self.notes.drain(..count).collect();
                    notes.into_iter().for_each(|note| self.kept(note));
                }
                Err(CatalogError::Commit(CommitError::Full)) => {
                    return self.let_go(self.notes.len().saturating_sub(WAITING_MAX));
                }
                Err(error) => {
                    tracing::error!(%error, "alerts could not be kept");
                    self.let_go(self.notes.len());
                }
            }
        }
    }

    fn kept(&mut self, note: Note) {
        if let Note::Raised(alert) = note {
            self.tell(alert);
        }
    }

    /// The oldest notes are not kept.
    fn let_go(&mut self, count: usize) {
        self.notes.drain(..count);
        self.parts.metrics.alerts_untold.inc_by(count as u64);
    }

    fn tell(&mut self, alert: Alert) {
        let catalog = self.parts.editor.catalog();
        let shown = AlertShown::new(catalog, &alert);
        tracing::info!(alert = %alert.id, endpoint = %alert.endpoint, "{}", shown.summary());
        self.parts.metrics.alert(alert.cause.kind());
        if let Some(mailbox) = &self.parts.mailbox {
            mailbox.put(shown.line());
        }
        self.enqueue(alert);
    }

    fn enqueue(&mut self, alert: Alert) {
        let Some(own) = &self.parts.application else { return };
        let own = self.parts.editor.catalog().application(own);
        if own.is_some_and(|own| own.id == alert.application) {
            return;
        }
        if self.unpublished.len() >= WAITING_MAX {
            self.unpublished.pop_front();
            self.parts.metrics.alerts_untold.inc();
        }
        self.unpublished.push_back(alert);
    }

    /// A process that died may have kept an alert and not told it. Its event id makes a repetition harmless.
    fn repeat_recent(&mut self) {
        let since = (self.parts.clock.now() - REPEATED_AFTER_START).as_ms();
        for alert in self.parts.editor.catalog().alerts_all() {
            if alert.raised_ms >= since {
                self.enqueue(Alert::clone(&alert));
            }
        }
    }

    async fn publish(&mut self) {
        let Some(own) = self.parts.application.clone() else { return };
        if self.unpublished.is_empty() && self.prepared {
            return;
        }
        if !self.prepared {
            if let Err(error) = prepare(&self.parts.editor, &own).await {
                // It is tried again and again, and said once.
                if !std::mem::replace(&mut self.unprepared_said, true) {
                    tracing::error!(%error, application = own, "alerts cannot be published");
                }
                return;
            }
            self.prepared = true;
        }
        let count = self.unpublished.len().min(MESSAGES_AT_ONCE);
        let alerts: Vec<Alert> = self.unpublished.drain(..count).collect();
        let (alerts, messages): (Vec<Alert>, Vec<Admitted>) = alerts
            .into_iter()
            .filter_map(|alert| self.admit(&own, &alert).map(|admitted| (alert, admitted)))
            .unzip();
        if messages.is_empty() {
            return;
        }
        let answers = self.parts.messages.publish_many(messages).await;
        for (alert, answer) in alerts.into_iter().zip(answers).rev() {
            match answer {
                // A conflict: it was published before the last start, when its endpoint was called otherwise.
                Ok(_) | Err(PublishError::Conflict { .. }) => {}
                Err(PublishError::Full | PublishError::Overloaded) => self.unpublished.push_front(alert),
                Err(error) => self.say_unpublished(&alert, &error),
            }
        }
    }

    fn admit(&self, application: &str, alert: &Alert) -> Option<Admitted> {
        let catalog = self.parts.editor.catalog();
        let body = serde_json::to_vec(&AlertShown::new(catalog, alert)).expect("texts and numbers are JSON");
        let event_id = alert.id.to_string();
        let new = NewMessage {
            event_type: alert.cause.kind().event_type(),
            event_id: Some(&event_id),
            channels: Vec::new(),
            content_type: None,
            payload: Bytes::from(body),
            deliver_at_ms: None,
            ordering_key: None,
            url: None,
        };
        let admitted = admit(catalog, &self.parts.limits, application, new);
        admitted.inspect_err(|error| self.say_unpublished(alert, error)).ok()
    }

    fn say_unpublished(&self, alert: &Alert, error: &PublishError) {
        self.parts.metrics.alerts_untold.inc();
        tracing::warn!(alert = %alert.id, %error, "an alert was not published");
    }

    async fn disable(&mut self, endpoint: EndpointId) {
        match self.parts.editor.disable_endpoint(endpoint, Disabled::Failing).await {
            Ok(()) => {
                tracing::warn!(%endpoint, "disabled: every attempt has failed for alerts.disable_after")
            }
            Err(error) => {
                tracing::error!(%endpoint, %error, "could not be disabled");
                self.watch.on_not_disabled(endpoint);
            }
        }
    }
}

/// What the catalog says is the matter, from before the start.
fn restore(watch: &mut Watch, catalog: &Catalog, now: Tick) {
    let configured = |id| catalog.endpoint_by_id(id).map(|endpoint| Configured::of(&endpoint));
    for alert in catalog.alerts_all() {
        if alert.cause.lasts() && alert.ended_ms.is_none() {
            watch.restore_alert(now, &alert, configured(alert.endpoint).as_ref());
        }
    }
    for failing in catalog.failing_all() {
        watch.restore_failing(&failing, configured(failing.endpoint).as_ref());
    }
    for endpoint in catalog.endpoints_disabled() {
        watch.restore_disabled(endpoint);
    }
}

/// Makes sure of the application and the event types.
async fn prepare(editor: &Editor, application: &str) -> Result<(), CatalogError> {
    for kind in AlertType::ALL {
        if editor.catalog().event_type(kind.event_type()).is_none() {
            editor.create_event_type(kind.event_type(), shown::event_type(kind)).await?;
        }
    }
    if editor.catalog().application(application).is_none() {
        let draft = ApplicationDraft {
            uid: Some(application.into()),
            name: "Alerts of Posthaste".into(),
            ..ApplicationDraft::default()
        };
        editor.application_or_new(draft).await?;
    }
    Ok(())
}
