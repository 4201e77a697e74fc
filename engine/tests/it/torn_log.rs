//! The end of the log after a crash: what is half written is cut off, and start says so. Damage elsewhere is
//! refused by its place, and so is an end that is known to have been further on.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use crate::harness::{APPLICATION, World};

const CUT_OFF: &str = "a batch that was never acknowledged was cut off";

/// A world whose messages have arrived, and which was killed after that was stored.
async fn killed_world(messages: usize) -> World {
    let mut world = World::start().await;
    // One after the other, so that the log has many batches.
    for _ in 0..messages {
        world.publish_one().await;
    }
    world.follow().await.saw(messages, "delivered").await;
    world.posthaste.kill();
    world
}

#[tokio::test]
async fn bytes_that_are_no_batch_are_cut_from_the_end_and_nothing_is_lost() {
    let mut world = killed_world(20).await;
    let segment = world.site.last_segment();
    let whole = fs::metadata(&segment).expect("a segment").len();
    let mut file = OpenOptions::new().append(true).open(&segment).expect("a segment");
    file.write_all(&[0xA5; 333]).expect("written");
    drop(file);
    world.posthaste = world.site.start().await;
    world.posthaste.says(CUT_OFF).await;
    assert!(world.posthaste.log().contains("\"bytes\":333"), "{}", world.posthaste.log());
    assert_eq!(fs::metadata(&segment).expect("a segment").len(), whole);
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 20);
    let later = world.publish_one().await;
    world.receiver.had_message(later).await;
    assert_eq!(world.receiver.count(), 21, "nothing is repeated");
}

#[tokio::test]
async fn a_last_batch_that_misses_bytes_costs_a_repeat_of_what_it_recorded_and_no_message() {
    let mut world = killed_world(20).await;
    let segment = world.site.last_segment();
    let bytes = fs::metadata(&segment).expect("a segment").len();
    OpenOptions::new().write(true).open(&segment).expect("a segment").set_len(bytes - 3).expect("cut");
    world.posthaste = world.site.start().await;
    world.posthaste.says(CUT_OFF).await;
    // The last batch recorded the end of a delivery (or of several): that attempt is made again.
    world.receiver.had(21).await;
    assert_eq!(world.receiver.messages(), 20);
    assert_eq!(world.resp().await.xlen(APPLICATION).await, 20);
}

#[tokio::test]
async fn an_end_that_the_ledger_has_seen_is_missed_and_not_taken_for_torn() {
    let mut world = World::start().await;
    for _ in 0..20 {
        world.publish_one().await;
    }
    world.follow().await.saw(20, "delivered").await;
    // A clean stop: the ledger has everything.
    let site = &mut world.site;
    assert!(world.posthaste.stop().await.success());
    let segment = site.last_segment();
    let bytes = fs::metadata(&segment).expect("a segment").len();
    OpenOptions::new().write(true).open(&segment).expect("a segment").set_len(bytes / 2).expect("cut");
    let refused = site.refusal().await;
    assert!(refused.contains("the log ends here, and it was longer once"), "{refused}");
    assert_eq!(fs::metadata(&segment).expect("a segment").len(), bytes / 2, "nothing more is taken away");

    site.set("storage.accept_damage", "true");
    world.posthaste = site.start().await;
    world.posthaste.says("the log is damaged; what was there is lost").await;
    world.posthaste.says("the ledger is set aside and rebuilt from the log").await;
    let later = world.publish_one().await;
    world.receiver.had_message(later).await;
}

#[tokio::test]
async fn damage_before_the_end_is_refused_by_its_place_unless_it_is_accepted() {
    let mut world = killed_world(20).await;
    let segment = world.site.last_segment();
    let mut bytes = fs::read(&segment).expect("a segment");
    let middle = bytes.len() / 2;
    // More than the few bytes of padding between records, which mean nothing.
    bytes[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0xFF);
    fs::write(&segment, &bytes).expect("written");
    let refused = world.site.refusal().await;
    assert!(refused.contains("the log does not open") && refused.contains("segment"), "{refused}");

    world.site.set("storage.accept_damage", "true");
    world.posthaste = world.site.start().await;
    world.posthaste.says("the log is damaged; what was there is lost").await;
    let left = world.resp().await.xlen(APPLICATION).await;
    assert!((18..=20).contains(&left), "one batch was hit, and {left} of 20 messages are left");
}
