//! Which messages reach which endpoints, from publishing as far as the receivers.

use posthaste_protocol::client::NewMessage;
use serde_json::{Value, json};

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, Receiver, World, error_text, wait_for_async};

async fn receiver() -> Receiver {
    Receiver::answering(Answer::Status(204)).await
}

/// Publishes to `application`, and waits until all of its deliveries have arrived.
async fn publish(world: &World, application: &str, event_type: &str, channels: &[&str], payload: &Value) {
    let payload = payload.to_string();
    let message = NewMessage::new(application, event_type, payload.as_bytes()).channels(channels);
    let id = world.client().await.publish(&message).await.expect("accepted");
    let path = format!("/api/v1/app/{application}/msg/msg_{id}/endpoint");
    wait_for_async("all deliveries", async || {
        let page = world.api().get(&path).await;
        let deliveries = page["data"].as_array().expect("a list");
        deliveries.iter().all(|delivery| delivery["state"] == "delivered").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_messaging_config_has_one_url_per_event_type_beside_endpoints_of_the_whole_company() {
    let company = receiver().await;
    let world = World::with(&[], json!({ "eventTypes": ["message.*"] }), company).await;
    for name in ["message.delivered", "message.read", "message.failed"] {
        world.api().make_event_type(name).await;
    }
    let (delivered, read, other) = (receiver().await, receiver().await, receiver().await);
    let tied = |event_type: &str, config: &str| json!({ "eventTypes": [event_type], "channels": [config] });
    world.add_endpoint(tied("message.delivered", "config_1"), &delivered).await;
    world.add_endpoint(tied("message.read", "config_1"), &read).await;
    world.add_endpoint(tied("message.delivered", "config_2"), &other).await;

    publish(&world, APPLICATION, "message.delivered", &["config_1"], &json!({})).await;
    assert_eq!((delivered.count(), read.count(), other.count()), (1, 0, 0));
    publish(&world, APPLICATION, "message.read", &["config_1"], &json!({})).await;
    assert_eq!((delivered.count(), read.count(), other.count()), (1, 1, 0));
    publish(&world, APPLICATION, "message.delivered", &["config_2"], &json!({})).await;
    assert_eq!((delivered.count(), read.count(), other.count()), (1, 1, 1));
    // No URL for this event type: nothing is sent on the config's account.
    publish(&world, APPLICATION, "message.failed", &["config_1"], &json!({})).await;
    assert_eq!((delivered.count(), read.count(), other.count()), (1, 1, 1));
    assert_eq!(world.receiver.count(), 4, "the company hears of all of them");
}

#[tokio::test]
async fn a_message_that_nobody_has_a_url_for_is_stored_and_sent_to_nobody() {
    let world = World::with(&[], json!({ "eventTypes": [EVENT_TYPE] }), receiver().await).await;
    world.api().make_event_type("invoice.sent").await;
    publish(&world, APPLICATION, "invoice.sent", &[], &json!({})).await;
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 1);
    assert_eq!(world.api().metric("posthaste_deliveries_pending").await, 0);
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({})).await;
    assert_eq!(world.receiver.count(), 1, "the second alone");
}

#[tokio::test]
async fn what_one_application_publishes_reaches_none_of_another() {
    let world = World::start().await;
    let other = receiver().await;
    world.api().make_application("other").await;
    world.api().make_endpoint("other", &json!({ "url": other.url() })).await;
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({})).await;
    publish(&world, APPLICATION, EVENT_TYPE, &["a"], &json!({})).await;
    publish(&world, "other", EVENT_TYPE, &[], &json!({})).await;
    assert_eq!((world.receiver.count(), other.count()), (2, 1));
    let messages = world.api().get("/api/v1/app/other/msg").await;
    assert_eq!(messages["data"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn an_endpoint_keeps_an_event_type_that_is_archived_and_hears_of_it_when_it_is_back() {
    let world = World::with(&[], json!({ "eventTypes": [EVENT_TYPE] }), receiver().await).await;
    world.api().delete(&format!("/api/v1/event-type/{EVENT_TYPE}")).await;
    let refused = error_text(&world.resp().await.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    assert_eq!(refused, format!("ERR event type '{EVENT_TYPE}' is archived"));
    let endpoint = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    let changed = world.api().patch(&endpoint, &json!({ "description": "still here" })).await;
    assert_eq!(changed["eventTypes"], json!([EVENT_TYPE]));
    world.api().make_event_type(EVENT_TYPE).await;
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({})).await;
    assert_eq!(world.receiver.count(), 1);
}

#[tokio::test]
async fn a_filter_keeps_back_what_it_is_not_true_for_also_after_a_restart() {
    let filter = "payload.amount > 100 || 'audit' in channels";
    let mut world = World::with(&[], json!({ "filter": filter }), receiver().await).await;
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({ "amount": 120 })).await;
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({ "amount": 80 })).await;
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({ "total": 120 })).await;
    publish(&world, APPLICATION, EVENT_TYPE, &["audit"], &json!({})).await;
    assert_eq!(world.receiver.count(), 2);
    let counted = [
        world.api().metric("posthaste_filters_kept_back_total").await,
        world.api().metric("posthaste_filters_failed_total").await,
    ];
    assert_eq!(counted, [1, 1]);

    assert!(world.restart().await.success());
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({ "amount": 80 })).await;
    publish(&world, APPLICATION, EVENT_TYPE, &[], &json!({ "amount": 120 })).await;
    assert_eq!(world.receiver.count(), 3);
    assert_eq!(world.endpoint_shown().await["filter"], filter);
}

#[tokio::test]
async fn a_payload_that_does_not_fit_its_schema_is_refused_over_tcp_with_its_place() {
    let world = World::start().await;
    let schemas = json!({ "schemas": { "1": { "properties": { "n": { "type": "integer" } } } } });
    world.api().patch(&format!("/api/v1/event-type/{EVENT_TYPE}"), &schemas).await;
    world.api().patch(&format!("/api/v1/app/{APPLICATION}"), &json!({ "validatePayloads": true })).await;
    let mut resp = world.resp().await;
    let refused = error_text(&resp.xadd(APPLICATION, EVENT_TYPE, "{\"n\":\"1\"}").await);
    let expected = "ERR payload does not fit version 1 of the schema of 'invoice.paid': at '/n': value is not of type \"integer\" (type)";
    assert_eq!(refused, expected);
    resp.xadd(APPLICATION, EVENT_TYPE, "{\"n\":1}").await;
    world.receiver.had(1).await;
    assert_eq!(resp.xlen(APPLICATION).await, 1);
}
