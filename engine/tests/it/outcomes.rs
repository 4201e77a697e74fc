//! Following what became of messages: XREAD on `outcomes:<application>`.

use std::time::Duration;

use posthaste_protocol::value::Value;
use posthaste_protocol::{OutcomeRecord, StreamId};
use serde_json::json;

use crate::harness::{APPLICATION, Answer, EVENT_TYPE, Receiver, Resp, World, bulk, wait_for_async};

const KEY: &str = "outcomes:acme";

/// The outcomes in a reply, in RESP2.
fn outcomes(reply: Value) -> Vec<OutcomeRecord> {
    if reply == Value::Null {
        return Vec::new();
    }
    let streams = reply.into_array().expect("streams");
    let [stream] = <[Value; 1]>::try_from(streams).expect("one stream");
    let [key, entries] = <[Value; 2]>::try_from(stream.into_array().expect("a pair")).expect("a pair");
    assert_eq!(key.as_bytes().map(|key| &key[..]), Some(KEY.as_bytes()));
    let entries = entries.into_array().expect("entries").into_iter();
    entries.map(|entry| OutcomeRecord::decode(entry).expect("an outcome")).collect()
}

async fn xread(resp: &mut Resp, options: &[&str], from: &str) -> Vec<OutcomeRecord> {
    let words = [&["XREAD"], options, &["STREAMS", KEY, from]].concat();
    outcomes(resp.call(&words).await)
}

/// Everything from the beginning, once there are so many.
async fn all(resp: &mut Resp, count: usize) -> Vec<OutcomeRecord> {
    wait_for_async(&format!("{count} outcomes"), async || {
        let found = xread(resp, &[], "0").await;
        (found.len() >= count).then_some(found)
    })
    .await
}

#[tokio::test]
async fn read_from_the_beginning_they_tell_every_attempt_in_order() {
    let receiver = Receiver::behaving(|_, before| Answer::Status(if before == 0 { 500 } else { 204 })).await;
    let world = World::with(&[], json!({ "retryPolicy": "100ms, 100ms jitter=0%" }), receiver).await;
    let message = world.publish_one().await;
    let mut resp = world.resp().await;
    let told = all(&mut resp, 2).await;

    let [failed, delivered] = <[OutcomeRecord; 2]>::try_from(told).expect("two attempts");
    assert_eq!((failed.message, failed.endpoint.as_str()), (message, world.endpoint.as_str()));
    assert_eq!((failed.outcome.as_str(), failed.status, failed.attempt), ("bad_status", Some(500), 1));
    assert_eq!(failed.state, "pending");
    assert!(failed.next_attempt_ms.expect("a time") >= message.ms + 100);
    assert_eq!((delivered.outcome.as_str(), delivered.status, delivered.attempt), ("success", Some(204), 2));
    assert_eq!((delivered.state.as_str(), delivered.next_attempt_ms), ("delivered", None));
    assert!(delivered.id > failed.id);
}

#[tokio::test]
async fn read_from_now_on_they_tell_only_what_comes() {
    let world = World::start().await;
    world.publish(3).await;
    let mut resp = world.resp().await;
    all(&mut resp, 3).await;
    assert_eq!(xread(&mut resp, &[], "$").await, [], "nothing has come since");

    let mut waiting = world.resp().await;
    let reading = tokio::spawn(async move { xread(&mut waiting, &["BLOCK", "30000"], "$").await });
    // `$` is taken when the command is read; until then a message would come too early.
    wait_for_async("an outcome to reach the reader", async || {
        world.publish_one().await;
        reading.is_finished().then_some(())
    })
    .await;
    let told = reading.await.expect("no panic");
    assert!(!told.is_empty());
    assert!(told.iter().all(|outcome| outcome.state == "delivered"));
}

#[tokio::test]
async fn a_read_that_blocks_ends_with_nothing_when_its_time_is_over() {
    let world = World::start().await;
    let mut resp = world.resp().await;
    let began = std::time::Instant::now();
    assert_eq!(xread(&mut resp, &["BLOCK", "200"], "$").await, []);
    assert!(began.elapsed() >= Duration::from_millis(200));
    // In RESP3 nothing is a null, too.
    resp.call(&["HELLO", "3"]).await;
    assert_eq!(resp.call(&["XREAD", "BLOCK", "1", "STREAMS", KEY, "$"]).await, Value::Null);
}

#[tokio::test]
async fn a_reader_resumes_after_its_last_id_across_restarts_without_a_gap() {
    let mut world = World::start().await;
    let mut told: Vec<OutcomeRecord> = Vec::new();
    let mut messages: Vec<StreamId> = Vec::new();
    for round in 0..4 {
        messages.extend(world.publish(50).await);
        let mut resp = world.resp().await;
        wait_for_async("the outcomes of this round", async || {
            // Few at a time, so that a round ends in the middle of what there is.
            let last = told.last().map_or("0".to_owned(), |outcome| outcome.id.to_string());
            told.extend(xread(&mut resp, &["COUNT", "7"], &last).await);
            (told.len() >= messages.len() - 10).then_some(())
        })
        .await;
        match round {
            0 | 2 => world.kill_and_start().await,
            1 => assert!(world.restart().await.success()),
            _ => {}
        }
    }
    let mut resp = world.resp().await;
    wait_for_async("every message", async || {
        let last = told.last().map_or("0".to_owned(), |outcome| outcome.id.to_string());
        told.extend(xread(&mut resp, &[], &last).await);
        messages.iter().all(|id| told.iter().any(|outcome| outcome.message == *id)).then_some(())
    })
    .await;
    assert!(told.is_sorted_by(|a, b| a.id < b.id), "no outcome is told twice");
    assert_eq!(all(&mut resp, told.len()).await, told, "what was told in parts is what there is");
}

#[tokio::test]
async fn outcomes_of_an_unknown_application_are_refused() {
    let world = World::start().await;
    let mut resp = world.resp().await;
    let refused = resp.call(&["XREAD", "STREAMS", "outcomes:nobody", "0"]).await;
    assert_eq!(refused, Value::Error("ERR there is no application 'nobody'".into()));
    assert_eq!(resp.xlen(APPLICATION).await, 0);
}

#[tokio::test]
async fn what_a_receiver_answered_is_told_to_those_who_asked_for_it() {
    const REPLY: &str = r#"{"messages":[{"content":"thanks"}]}"#;
    let receiver = Receiver::behaving(|received, _| match received.body.as_ref() {
        b"1" => Answer::Typed(200, "application/json", REPLY.into()),
        b"2" => Answer::Typed(500, "Application/JSON; charset=utf-8", r#"{"messages": oops"#.into()),
        b"3" => Answer::Typed(200, "text/plain", "thanks".into()),
        b"4" => Answer::Typed(200, "application/problem+json", format!("\"{}\"", "x".repeat(60_000))),
        _ => Answer::Status(204),
    })
    .await;
    let world = World::with(&[], json!({ "tellResponse": true, "retryPolicy": "none" }), receiver).await;
    let quiet = Receiver::answering(Answer::Body(200, "nobody asked")).await;
    let quiet = world.add_endpoint(json!({}), &quiet).await;
    let mut resp = world.resp().await;
    let publish = |payload: &'static str, id: &'static [&'static str]| {
        [&["XADD", "messages:acme", "*", "type", EVENT_TYPE, "payload", payload], id].concat()
    };
    for (payload, id) in
        [("1", &["id", "sms-1"][..]), ("2", &["id", "sms-2"]), ("3", &[]), ("4", &[]), ("5", &[])]
    {
        bulk(&resp.call(&publish(payload, id)).await);
    }
    let (told, silent): (Vec<_>, Vec<_>) =
        all(&mut resp, 10).await.into_iter().partition(|outcome| outcome.endpoint == world.endpoint);
    assert!(silent.iter().all(|outcome| outcome.endpoint == quiet && outcome.response_body.is_none()));
    assert!(silent.iter().all(|outcome| outcome.event_id.is_none()));
    let of = |status: u16, id: Option<&str>, length: usize| {
        let found = told.iter().find(|outcome| {
            let body = outcome.response_body.as_ref().expect("asked for");
            (outcome.status, outcome.event_id.as_deref(), body.len()) == (Some(status), id, length)
        });
        found.unwrap_or_else(|| panic!("{told:#?}"))
    };
    let reply = of(200, Some("sms-1"), REPLY.len());
    assert_eq!(reply.response_body.as_deref(), Some(REPLY.as_bytes()));
    assert_eq!(reply.response_json, Some(true));
    assert_eq!(of(500, Some("sms-2"), 17).response_json, Some(false), "a broken one is told as such");
    assert_eq!(of(200, None, 6).response_json, None, "it does not say that it is JSON");
    assert_eq!(of(200, None, 60_002).response_json, Some(true), "long replies are told whole");
    assert_eq!(of(204, None, 0).response_json, None);
}
