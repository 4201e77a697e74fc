//! A messaging platform. Its customers set up messaging configs, each with one URL per event type, and subscribe
//! to company-wide events beside them.
//!
//! | there | here |
//! |---|---|
//! | messaging config | a channel; messages that belong to it name it |
//! | its URL for an event type | an endpoint with that event type and that channel |
//! | company-wide subscription | an endpoint with other event types and no channel |
//! | the bearer token of a config | `authorization` of its endpoints |
//! | another callback URL for one message | `override` with the config's endpoint |
//! | five seconds and 2xx; a day of retries | the defaults |

use std::time::{Duration, Instant};

use posthaste::config::Config;
use posthaste::core::retry::RetryPolicy;
use serde_json::{Value, json};

use super::{CUSTOMER, endpoints, ids, platform, publish};
use crate::harness::{Answer, Api, Follower, Posthaste, Receiver, Site, wait_for_async, wait_until};

const EVENT_TYPES: [&str; 7] = [
    "message.status",
    "message.inbound",
    "message.consent",
    "call.initiated",
    "call.status",
    "number.status",
    "campaign.imported",
];

struct Company {
    _site: Site,
    posthaste: Posthaste,
    status: Receiver,
    /// The endpoint of `status`.
    status_id: String,
    inbound: Receiver,
    other_config: Receiver,
    calls: Receiver,
}

/// A company with two messaging configs and one company-wide subscription. Nobody wants `message.consent`.
async fn company(settings: &[(&str, &str)], retry_policy: Option<&str>) -> Company {
    let (site, posthaste) = platform(settings, &EVENT_TYPES).await;
    let api = Api::at(posthaste.http());
    let make = async |config: Option<&str>, event_types: &[&str]| {
        let receiver = Receiver::answering(Answer::Status(200)).await;
        let body = json!({
            "url": receiver.url(), "eventTypes": event_types, "channels": config.map(|config| [config]),
            "authorization": { "type": "bearer", "token": config.unwrap_or("company") },
            "retryPolicy": retry_policy,
        });
        (api.make_endpoint(CUSTOMER, &body).await, receiver)
    };
    let (status_id, status) = make(Some("support"), &["message.status"]).await;
    let (_, inbound) = make(Some("support"), &["message.inbound"]).await;
    let (_, other_config) = make(Some("sales"), &["message.status", "message.inbound"]).await;
    let (_, calls) = make(None, &["call.*", "number.status"]).await;
    Company { _site: site, posthaste, status, status_id, inbound, other_config, calls }
}

impl Company {
    fn api(&self) -> Api {
        Api::at(self.posthaste.http())
    }

    async fn follow(&self) -> Follower {
        Follower::start(self.posthaste.tcp(), CUSTOMER).await
    }

    /// Publishes an event of a config.
    async fn of_config(&self, event_type: &str, config: &str) -> String {
        publish(&self.api(), event_type, json!({ "channels": [config] })).await
    }
}

#[tokio::test]
async fn each_event_type_of_a_config_goes_to_its_own_url_and_nowhere_without_one() {
    let company = company(&[], None).await;
    let follower = company.follow().await;
    let status = company.of_config("message.status", "support").await;
    let inbound = company.of_config("message.inbound", "support").await;
    let consent = company.of_config("message.consent", "support").await;
    let of_sales = company.of_config("message.status", "sales").await;
    follower.saw(3, "delivered").await;
    assert_eq!(ids(&company.status), [status]);
    assert_eq!(ids(&company.inbound), [inbound]);
    assert_eq!(ids(&company.other_config), [of_sales]);
    assert_eq!(company.calls.count(), 0);
    let unwanted = format!("/api/v1/app/{CUSTOMER}/msg/{consent}/endpoint");
    assert_eq!(company.api().get(&unwanted).await["data"], json!([]), "stored, and sent to nobody");
}

#[tokio::test]
async fn company_wide_subscriptions_stand_beside_the_configs() {
    let company = company(&[], None).await;
    let follower = company.follow().await;
    let mut expected = Vec::new();
    for event_type in ["call.initiated", "call.status", "number.status"] {
        expected.push(publish(&company.api(), event_type, json!({})).await);
    }
    publish(&company.api(), "campaign.imported", json!({})).await;
    company.of_config("message.status", "support").await;
    follower.saw(4, "delivered").await;
    let mut had = ids(&company.calls);
    had.sort_unstable();
    expected.sort_unstable();
    assert_eq!(had, expected);
}

#[tokio::test]
async fn the_token_of_a_config_is_in_every_request_and_stays_when_a_message_brings_its_own_url() {
    let company = company(&[], None).await;
    let follower = company.follow().await;
    let callback = Receiver::answering(Answer::Status(200)).await;
    company.of_config("message.status", "support").await;
    let own = json!({ "url": callback.url(), "endpoint": company.status_id });
    let message = json!({ "channels": ["support"], "override": own });
    let overridden = publish(&company.api(), "message.status", message).await;
    follower.saw(2, "delivered").await;
    assert_eq!(ids(&callback), [overridden]);
    assert_eq!(company.status.count(), 1);
    for receiver in [&company.status, &callback] {
        assert_eq!(receiver.received()[0].header("authorization"), "Bearer support");
    }
}

#[tokio::test]
async fn delivered_means_a_2xx_within_five_seconds() {
    let company = company(&[], None).await;
    company.status.answers(Answer::After(Duration::from_secs(8), 200));
    company.inbound.answers(Answer::Status(302));
    let began = Instant::now();
    let slow = company.of_config("message.status", "support").await;
    let elsewhere = company.of_config("message.inbound", "support").await;
    let first = async |id: &str| {
        wait_for_async("an attempt", async || company.api().attempts(CUSTOMER, id).await.pop()).await
    };
    let attempt = first(&elsewhere).await;
    assert_eq!((&attempt["outcome"], &attempt["state"]), (&json!("redirect"), &json!("pending")));
    let attempt = first(&slow).await;
    assert_eq!((&attempt["outcome"], &attempt["state"]), (&json!("timeout_first_byte"), &json!("pending")));
    assert!((5..8).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!(attempt["nextAttempt"].is_string(), "{attempt}");
}

#[test]
fn retries_come_at_growing_intervals_that_span_more_than_a_day() {
    let policy: RetryPolicy = Config::shipped().retry.policy.parse().expect("a policy");
    let delays: Vec<Duration> = policy.delays().collect();
    assert!(delays.is_sorted() && delays.len() >= 8, "{delays:?}");
    assert!(policy.span() > Duration::from_secs(24 * 3_600), "{:?}", policy.span());
}

#[tokio::test]
async fn a_url_that_keeps_failing_is_blocked_and_what_is_due_meanwhile_counts_as_failed_unsent() {
    let settings = [("lockout.url.consecutive_failures", "5")];
    let company = company(&settings, Some("none")).await;
    company.status.answers(Answer::Status(500));
    let follower = company.follow().await;
    for n in 1..=8 {
        company.of_config("message.status", "support").await;
        follower.saw(n, "exhausted").await;
    }
    assert_eq!(company.status.count(), 5, "the others were not executed");
    let outcomes = follower.outcomes();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.outcome == "url_locked_out").count(), 3);
    // Other URLs of the same config are not blocked with it.
    company.of_config("message.inbound", "support").await;
    follower.saw(1, "delivered").await;
}

#[tokio::test]
async fn failed_delivered_and_reprocessed_webhooks_can_all_be_looked_up_afterwards() {
    let company = company(&[], None).await;
    let api = company.api();
    let path = format!("{}/{}", endpoints(), company.status_id);
    let follower = company.follow().await;
    let delivered = company.of_config("message.status", "support").await;
    follower.saw(1, "delivered").await;
    company.status.answers(Answer::Body(503, "maintenance"));
    api.patch(&path, &json!({ "retryPolicy": "none" })).await;
    let failed = company.of_config("message.status", "support").await;
    follower.saw(1, "exhausted").await;
    api.patch(&path, &json!({ "retryPolicy": "1h" })).await;
    let reprocessed = company.of_config("message.status", "support").await;
    wait_until("its first attempt", || company.status.count() == 3).await;
    follower.saw(1, "pending").await;

    let status = company.status_id.clone();
    let list = async |query: &str| -> Vec<Value> {
        let path = format!("/api/v1/app/{CUSTOMER}/attempt/endpoint/{status}?{query}");
        api.get(&path).await["data"].as_array().expect("a list").clone()
    };
    let messages = |attempts: &[Value]| -> Vec<String> {
        attempts.iter().map(|attempt| attempt["msgId"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(messages(&list("status=0").await), std::slice::from_ref(&delivered));
    assert_eq!(messages(&list("status=2").await), [reprocessed.clone(), failed.clone()], "newest first");
    assert_eq!(list("status_code_class=500").await.len(), 2);
    assert_eq!(list("channel=support&event_types=message.status").await.len(), 3);
    assert_eq!(list("channel=sales").await.len(), 0);
    let attempt = &list("status=2").await[1];
    assert_eq!((&attempt["response"], &attempt["state"]), (&json!("maintenance"), &json!("exhausted")));
    for (message, state) in [(delivered, "delivered"), (failed, "exhausted"), (reprocessed, "pending")] {
        let shown = api.get(&format!("/api/v1/app/{CUSTOMER}/msg/{message}/endpoint")).await;
        assert_eq!(shown["data"][0]["state"], state, "{shown}");
        assert_eq!(shown["data"][0]["nextAttempt"].is_string(), state == "pending");
    }
}
