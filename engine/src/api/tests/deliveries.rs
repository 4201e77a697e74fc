use serde_json::json;

use super::attempts::attempt;
use super::world::{DELIVERY_CURSOR, FIRST_MS, World};
use crate::api::{DeliveryQuery, EraseRefusal, MessageStatus, StoredDelivery};
use crate::catalog::CommitError;
use crate::core::delivery::DeliveryState;
use crate::core::ids::{EndpointId, MessageId};
use crate::core::outcome::Outcome;
use crate::vitals::{EndpointVitals, Last, WindowVitals};
use posthaste_storage::EntryId;

async fn world() -> (World, EndpointId) {
    let world = World::new();
    let endpoint = world.with_endpoint().await;
    world.post("/app/acme/msg", json!({"eventType": "a", "payload": {"x": 1}})).await;
    *world.engine.attempts.lock() = vec![attempt(1, endpoint, Outcome::BadStatus { status: 503 })];
    *world.engine.deliveries.lock() = vec![StoredDelivery {
        endpoint,
        state: DeliveryState::Exhausted,
        attempts: 1,
        next_attempt_ms: None,
    }];
    (world, endpoint)
}

#[tokio::test]
async fn a_delivery_is_listed_with_its_message_its_state_and_its_last_attempt() {
    let (world, endpoint) = world().await;
    let (status, body) = world.get("/app/acme/delivery").await;
    let expected = json!({
        "data": [{
            "msgId": "msg_1732300000000-0", "eventId": null, "eventType": "a", "endpointId": endpoint.to_string(),
            "state": "exhausted", "status": 2, "statusText": "fail", "attempts": 1, "nextAttempt": null,
            "lastAttempt": {
                "id": "atmpt_1732300000000-1", "outcome": "bad_status", "responseStatusCode": 503,
                "timestamp": "2024-11-22T18:26:40Z",
            },
        }],
        "iterator": "dlv_3_2_1_1f", "prevIterator": null, "done": false,
    });
    assert_eq!((status, body), (200, expected));
    let (_, last) = world.get("/app/acme/delivery?iterator=dlv_3_2_1_1f").await;
    assert_eq!((last["done"].clone(), last["iterator"].clone()), (json!(true), json!("dlv_3_2_1_1f")));
}

#[tokio::test]
async fn deliveries_are_asked_for_by_everything_the_query_names() {
    let (world, endpoint) = world().await;
    let path = "/app/acme/delivery?endpoint_id=shop&event_types=a,b&channel=c&state=pending,exhausted&status_code=503\
                &status_code_class=500&before=2025-01-01T00:00:00Z&after=2024-01-01T00:00:00Z&limit=7\
                &msg_id=msg_1732300000000-0&iterator=dlv_3_2_1_1f";
    assert_eq!(world.get(path).await.0, 200);
    let expected = DeliveryQuery {
        limit: 7,
        cursor: Some(DELIVERY_CURSOR),
        message: Some(MessageId(EntryId::new(FIRST_MS, 0))),
        endpoint: Some(endpoint),
        event_types: vec!["a".into(), "b".into()],
        channel: Some("c".into()),
        states: vec![DeliveryState::Pending, DeliveryState::Exhausted],
        status_code: Some(503),
        status_code_class: Some(500),
        before_ms: Some(1_735_689_600_000),
        after_ms: Some(1_704_067_200_000),
    };
    assert_eq!(*world.engine.last_delivery_query.lock(), Some(expected));
    for query in [
        "state=lost",
        "status_code=7",
        "status_code_class=7",
        "iterator=x",
        "iterator=dlv_1_2_3",
        "iterator=dlv_1_2_3_+4",
        "iterator=-dlv_1_2_3_4",
        "iterator=dlv_1_2_3_4_5",
        "before=noon",
        "limit=251",
    ] {
        assert_eq!(world.get(&format!("/app/acme/delivery?{query}")).await.0, 422, "{query}");
    }
    for query in ["endpoint_id=nobody", "event_id=nothing"] {
        assert_eq!(world.get(&format!("/app/acme/delivery?{query}")).await.0, 404, "{query}");
    }
    assert_eq!(world.get("/app/other/delivery").await.0, 404);
}

#[tokio::test]
async fn messages_to_an_endpoint_say_where_their_deliveries_stand() {
    let (world, _) = world().await;
    let (status, body) = world.get("/app/acme/endpoint/shop/msg").await;
    let expected = json!({
        "id": "msg_1732300000000-0", "eventType": "a", "eventId": null, "channels": null, "payload": {"x": 1},
        "timestamp": "2024-11-22T18:26:40Z", "status": 2, "statusText": "fail", "nextAttempt": null,
        "state": "exhausted", "attempts": 1,
    });
    assert_eq!((status, body["data"][0].clone(), body["done"].clone()), (200, expected, json!(true)));
    let (_, without) = world.get("/app/acme/endpoint/shop/msg?with_content=false&status=2").await;
    assert_eq!(without["data"][0]["payload"], json!({}));
    assert_eq!(world.get("/app/acme/endpoint/shop/msg?status=0").await.1["data"], json!([]));
    assert_eq!(world.get("/app/acme/endpoint/shop/msg?status=9").await.0, 422);
    assert_eq!(world.get("/app/acme/endpoint/nobody/msg").await.0, 404);
}

#[tokio::test]
async fn a_list_for_which_enough_was_read_says_where_it_goes_on() {
    let (world, _) = world().await;
    *world.engine.resume.lock() = Some(EntryId::new(5, 6));
    let (_, page) = world.get("/app/acme/msg").await;
    assert_eq!((page["iterator"].clone(), page["done"].clone()), (json!("msg_5-6"), json!(false)));
    assert_eq!(page["prevIterator"], "-msg_1732300000000-0");
    *world.engine.resume.lock() = Some(EntryId::new(5, 6));
    let (_, page) = world.get("/app/acme/msg?iterator=-msg_1-0").await;
    assert_eq!(
        (page["iterator"].clone(), page["prevIterator"].clone()),
        (json!("msg_1732300000000-0"), json!("-msg_5-6"))
    );
}

#[test]
fn a_pending_delivery_is_on_its_way_from_when_its_time_has_come() {
    let stands = |state, next_attempt_ms| {
        let endpoint = EndpointId::from_u64(1);
        StoredDelivery { endpoint, state, attempts: 1, next_attempt_ms }.status(1_000)
    };
    assert_eq!(stands(DeliveryState::Pending, None), MessageStatus::Sending);
    assert_eq!(stands(DeliveryState::Pending, Some(1_000)), MessageStatus::Sending);
    assert_eq!(stands(DeliveryState::Pending, Some(1_001)), MessageStatus::Pending);
    assert_eq!(stands(DeliveryState::Delivered, None), MessageStatus::Success);
    assert_eq!(stands(DeliveryState::Exhausted, None), MessageStatus::Fail);
    assert_eq!(stands(DeliveryState::Cancelled, None), MessageStatus::Fail);
}

#[tokio::test]
async fn statistics_count_deliveries_and_say_how_the_endpoint_did_lately() {
    let (world, _) = world().await;
    let (status, body) = world.get("/app/acme/endpoint/shop/stats?until=2024-11-22T18:26:40Z").await;
    let expected = json!({
        "success": 1, "pending": 2, "sending": 3, "fail": 4, "canceled": 5, "complete": true,
        "countedSince": "2024-10-25T18:26:40Z", "recent": null, "lastAttempt": null,
        "health": {"state": "healthy", "until": null},
    });
    assert_eq!((status, body), (200, expected));
    let minute = WindowVitals {
        attempts: 4,
        refused: 1,
        success_rate: Some(0.333_333),
        mean_ms: Some(1.234_56),
        p99_ms: Some(3.0),
    };
    let last = Last { outcome: Outcome::BadStatus { status: 500 }, at_ms: FIRST_MS, took_us: 1_500 };
    let windows = [minute, WindowVitals::default(), WindowVitals::default()];
    *world.engine.vitals.lock() = Some(EndpointVitals { windows, last: Some(last), since_ms: 0 });
    let path = "/app/acme/endpoint/shop/stats?since=1970-01-01T00:00:00Z&until=1970-01-02T00:00:00Z";
    let (_, body) = world.get(path).await;
    assert_eq!(
        (body["complete"].clone(), body["countedSince"].clone()),
        (json!(false), json!("1970-01-01T23:59:59Z"))
    );
    let expected = json!({"attempts": 4, "refused": 1, "successRate": 0.3333, "meanMs": 1.235, "p99Ms": 3.0});
    assert_eq!(body["recent"]["lastMinute"], expected);
    assert_eq!(body["recent"]["lastHour"]["successRate"], json!(null));
    let last = json!({
        "outcome": "bad_status", "responseStatusCode": 500, "timestamp": "2024-11-22T18:26:40Z", "durationMs": 1.5,
    });
    assert_eq!(body["lastAttempt"], last);
    for query in ["since=2025-01-01T00:00:00Z&until=2024-01-01T00:00:00Z", "until=x"] {
        assert_eq!(world.get(&format!("/app/acme/endpoint/shop/stats?{query}")).await.0, 422, "{query}");
    }
}

#[tokio::test]
async fn an_export_is_one_object_a_line_and_ends_with_a_count() {
    let (world, _) = world().await;
    let lines = world.lines("/app/acme/export").await;
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].clone()).collect();
    assert_eq!(kinds, ["message", "attempt", "end"]);
    assert_eq!((&lines[0]["payload"], &lines[1]["responseStatusCode"]), (&json!({"x": 1}), &json!(503)));
    assert_eq!(lines[2], json!({"type": "end", "messages": 1, "attempts": 1}));
    assert_eq!(world.get("/app/acme/export?after=x").await.0, 422);
    assert_eq!(world.get("/app/other/export").await.0, 404);
}

#[tokio::test]
async fn content_is_erased_on_request_and_then_it_is_said_instead_of_shown() {
    let (world, _) = world().await;
    let message = "/app/acme/msg/msg_1732300000000-0";
    let attempt = format!("{message}/attempt/atmpt_1732300000000-1");
    for path in [message, attempt.as_str()] {
        assert_eq!(world.call("DELETE", &format!("{path}/content"), serde_json::Value::Null).await.0, 204);
    }
    let (_, shown) = world.get(message).await;
    assert_eq!((shown["payload"].clone(), shown["payloadErased"].clone()), (json!({}), json!(true)));
    let (_, shown) = world.get(&attempt).await;
    assert_eq!((shown["response"].clone(), shown["responseErased"].clone()), (json!(""), json!(true)));
    for path in ["/app/acme/msg/msg_1-1", "/app/acme/msg/nothing", &format!("{message}/attempt/atmpt_1-1")] {
        let erased = world.call("DELETE", &format!("{path}/content"), serde_json::Value::Null).await;
        assert_eq!(erased.0, 404, "{path}");
    }
    for (refusal, status) in [
        (EraseRefusal::TooOld, 409),
        (EraseRefusal::Commit(CommitError::Full), 507),
        (EraseRefusal::Read("gone".into()), 500),
    ] {
        *world.engine.erases_not.lock() = Some(refusal);
        let erased = world.call("DELETE", &format!("{message}/content"), serde_json::Value::Null).await;
        assert_eq!(erased.0, status);
    }
}
