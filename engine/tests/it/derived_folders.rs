//! The folders of the ledger and the catalog can be made again from the log: deleted or damaged, start says so,
//! and nothing is lost.

use std::fs;
use std::path::Path;

use posthaste_protocol::StreamId;
use serde_json::json;

use crate::harness::{
    APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Random, Receiver, World, bulk, error_text, steady,
};

const REBUILT: &str = "rebuilt from the log";
const MESSAGES: usize = 40;

/// A world with pending retries in its ledger, and things in its catalog.
async fn world() -> (World, Vec<StreamId>) {
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let settings = [&[("ledger.flush_after", "'1s'"), ("ledger.horizon", "'10s'")], &NO_LOCKOUT[..]].concat();
    let world = World::with(&settings, json!({ "retryPolicy": steady("2s") }), receiver).await;
    let messages = world.publish(MESSAGES).await;
    let id = ["XADD", "messages:acme", "*", "type", EVENT_TYPE, "payload", "{}", "id", "only-once"];
    world.resp().await.call(&id).await;
    let follower = world.follow().await;
    follower.saw(MESSAGES, "pending").await;
    (world, messages)
}

fn delete(folder: &Path) {
    fs::remove_dir_all(folder).expect("the folder was there");
}

/// All of it is noise.
fn garble(folder: &Path) {
    for name in ["conf", "db"] {
        let path = folder.join(name);
        let bytes = fs::metadata(&path).expect("a file of sled").len() as usize;
        fs::write(&path, vec![0xA5; bytes]).expect("written");
    }
}

/// Starts again after this happened to these folders, and expects everything to be as before.
async fn survives(how: &str, folders: &[&str], happens: impl Fn(&Path)) {
    for ending in ["a restart", "a kill"] {
        let (mut world, messages) = world().await;
        match ending {
            "a kill" => world.posthaste.kill(),
            _ => {
                world.posthaste.terminate();
                assert!(world.posthaste.ended().await.success());
            }
        }
        for folder in folders {
            happens(&world.site.data().join(folder));
        }
        world.posthaste = world.site.start().await;
        for folder in folders {
            let line = format!("the {folder} is");
            let said = world.posthaste.log();
            let said = said.lines().any(|one| one.contains(&line) && one.contains(REBUILT));
            assert!(
                said,
                "{folder} {how} after {ending}: nothing is said about it:\n{}",
                world.posthaste.log()
            );
        }
        world.receiver.answers(Answer::Status(204));
        check(&world, &messages).await;
    }
}

async fn check(world: &World, messages: &[StreamId]) {
    let follower = world.follow().await;
    follower.saw(messages.len() + 1, "delivered").await;
    for id in messages {
        let told = follower.outcomes_of(*id);
        assert_eq!(told.last().map(|last| last.state.as_str()), Some("delivered"), "{id}");
    }
    let endpoint = world.endpoint_shown().await;
    assert_eq!(
        endpoint["retryPolicy"].as_str().map(|policy| policy.contains("2s")),
        Some(true),
        "{endpoint}"
    );
    let id = ["XADD", "messages:acme", "*", "type", EVENT_TYPE, "payload", "[]", "id", "only-once"];
    let mut resp = world.resp().await;
    assert!(error_text(&resp.call(&id).await).starts_with("CONFLICT "), "event ids are remembered");
    bulk(&resp.xadd(APPLICATION, EVENT_TYPE, "{}").await);
}

#[tokio::test]
async fn a_ledger_that_was_deleted_is_rebuilt_and_start_says_so() {
    survives("deleted", &["ledger"], delete).await;
}

#[tokio::test]
async fn a_catalog_that_was_deleted_is_rebuilt_and_start_says_so() {
    survives("deleted", &["catalog"], delete).await;
}

#[tokio::test]
async fn both_deleted_at_once_are_rebuilt_and_start_says_so() {
    survives("deleted", &["ledger", "catalog"], delete).await;
}

#[tokio::test]
async fn a_damaged_ledger_is_rebuilt_and_start_says_so() {
    survives("garbled", &["ledger"], garble).await;
}

#[tokio::test]
async fn a_damaged_catalog_is_rebuilt_and_start_says_so() {
    survives("garbled", &["catalog"], garble).await;
}

#[tokio::test]
async fn a_few_bytes_overwritten_anywhere_in_them_lose_nothing() {
    let mut random = Random::seeded();
    for _ in 0..4 {
        let (mut world, messages) = world().await;
        world.posthaste.terminate();
        assert!(world.posthaste.ended().await.success());
        for folder in ["ledger", "catalog"] {
            let path = world.site.data().join(folder).join("db");
            let mut bytes = fs::read(&path).expect("a file of sled");
            // Most of the file is room that was never used: what is hit shall mean something.
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1);
            let at = random.below(used) as usize;
            for byte in bytes.iter_mut().skip(at).take(64) {
                *byte ^= 0x5A;
            }
            fs::write(&path, bytes).expect("written");
            eprintln!("SEED={}: {folder} overwritten from {at} of {used}", random.seed);
        }
        world.posthaste = world.site.start().await;
        world.receiver.answers(Answer::Status(204));
        check(&world, &messages).await;
    }
}
