//! A world: a site, its process, an application with an endpoint, and the receiver behind it.

use std::process::ExitStatus;

use posthaste_protocol::StreamId;
use posthaste_protocol::client::{Client, NewMessage, Options};
use serde_json::{Value, json};

use super::api::Api;
use super::follower::Follower;
use super::process::Posthaste;
use super::receiver::{Answer, Receiver};
use super::resp::Resp;
use super::site::Site;

/// The application that every world has.
pub(crate) const APPLICATION: &str = "acme";
/// The event type that every world has.
pub(crate) const EVENT_TYPE: &str = "invoice.paid";

/// Settings under which nothing a test does to one URL begins a lockout.
pub(crate) const NO_LOCKOUT: [(&str, &str); 3] = [
    ("lockout.url.consecutive_failures", "255"),
    ("lockout.url.window_failures_min", "1023"),
    ("lockout.url.failure_percent", "100"),
];

/// A retry policy that tries again after always the same wait, for as long as a test may take.
pub(crate) fn steady(wait: &str) -> String {
    format!("exponential first={wait} factor=1 max={wait} attempts=100")
}

/// See the head of this file.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) posthaste: Posthaste,
    pub(crate) receiver: Receiver,
    /// The id of the endpoint.
    pub(crate) endpoint: String,
}

impl World {
    /// A world whose receiver answers 204.
    pub(crate) async fn start() -> Self {
        Self::with(&[], json!({}), Receiver::answering(Answer::Status(204)).await).await
    }

    /// A world with these settings, fields of the endpoint beside its URL, and this receiver.
    pub(crate) async fn with(settings: &[(&str, &str)], endpoint: Value, receiver: Receiver) -> Self {
        Self::on(Site::new(settings), endpoint, receiver).await
    }

    /// As [`Self::with`], on a site that is there.
    pub(crate) async fn on(site: Site, mut endpoint: Value, receiver: Receiver) -> Self {
        let posthaste = site.start().await;
        let api = Api::at(posthaste.http());
        api.make_application(APPLICATION).await;
        api.make_event_type(EVENT_TYPE).await;
        endpoint["url"] = receiver.url().into();
        let endpoint = api.make_endpoint(APPLICATION, &endpoint).await;
        Self { site, posthaste, receiver, endpoint }
    }

    /// Makes another endpoint for this receiver, and returns its id.
    pub(crate) async fn add_endpoint(&self, mut endpoint: Value, receiver: &Receiver) -> String {
        endpoint["url"] = receiver.url().into();
        self.api().make_endpoint(APPLICATION, &endpoint).await
    }

    /// The endpoint as the API shows it.
    pub(crate) async fn endpoint_shown(&self) -> Value {
        self.api().get(&format!("/api/v1/app/{APPLICATION}/endpoint/{}", self.endpoint)).await
    }

    pub(crate) fn api(&self) -> Api {
        Api::at(self.posthaste.http())
    }

    pub(crate) async fn resp(&self) -> Resp {
        Resp::connect(self.posthaste.tcp()).await
    }

    pub(crate) async fn client(&self) -> Client {
        let address = self.posthaste.tcp().to_string();
        Client::connect(address, Options::default()).await.expect("it accepts")
    }

    /// Follows the outcomes from the beginning.
    pub(crate) async fn follow(&self) -> Follower {
        Follower::start(self.posthaste.tcp(), APPLICATION).await
    }

    /// Publishes so many messages, `{"n":0}` and so on, and returns their ids.
    pub(crate) async fn publish(&self, messages: usize) -> Vec<StreamId> {
        let payloads: Vec<String> = (0..messages).map(|n| json!({ "n": n }).to_string()).collect();
        let new = |payload| NewMessage::new(APPLICATION, EVENT_TYPE, str::as_bytes(payload));
        let messages: Vec<NewMessage<'_>> = payloads.iter().map(|payload| new(payload)).collect();
        let answers = self.client().await.publish_many(&messages).await;
        answers.into_iter().map(|answer| answer.expect("accepted")).collect()
    }

    /// Publishes one message and returns its id.
    pub(crate) async fn publish_one(&self) -> StreamId {
        self.publish(1).await[0]
    }

    /// `kill -9`, and a new process on the same folder.
    pub(crate) async fn kill_and_start(&mut self) {
        self.posthaste.kill();
        self.posthaste = self.site.start().await;
    }

    /// SIGTERM, and a new process on the same folder. Returns how the old one ended.
    pub(crate) async fn restart(&mut self) -> ExitStatus {
        self.posthaste.terminate();
        let status = self.posthaste.ended().await;
        self.posthaste = self.site.start().await;
        status
    }
}
