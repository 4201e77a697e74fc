//! Messages taken back, and slots used again after them.

use super::receiver::{hangs, status};
use super::world::World;
use super::{hours, ms, secs};
use crate::core::delivery::DeliveryState::*;
use crate::core::ids::MessageId;

/// A message whose delivery to "waiting" waits for a retry, to "queued" is in the queue and to "flying" is
/// in flight.
fn on_its_way() -> (World, MessageId) {
    let mut world =
        World::new().endpoint("waiting", status(500)).endpoint("queued", hangs()).endpoint("flying", hangs());
    world.change("queued", |settings| settings.in_flight_max = 1).publish_to("queued", 1);
    let message = world.publish(&["waiting", "queued", "flying"]);
    world.run_for(secs(1));
    (world, message)
}

#[test]
fn a_message_taken_back_is_not_sent_any_more() {
    let (mut world, message) = on_its_way();
    world.cancel(message).expect_standing("waiting", Cancelled, 1).expect_standing("queued", Cancelled, 1);
    world.expect_standing("flying", Pending, 1).run_for(secs(5)).expect_standing("flying", Cancelled, 1);
    world.answers("queued", status(204)).run_to_the_end().expect_standing("queued", Delivered, 1);
    world.expect_requests("waiting", 1).expect_requests("flying", 1);
    assert_eq!(world.settled.len(), 2);
}

#[test]
fn a_message_taken_back_in_flight_may_still_arrive() {
    let mut world = World::new().endpoint("shop", status(204).after(secs(2)));
    let message = world.publish(&["shop"]);
    world.cancel(message).run_to_the_end().expect_standing("shop", Delivered, 1);
}

#[test]
fn a_message_is_taken_back_once() {
    let (mut world, message) = on_its_way();
    world.cancel(message).cancel(message).run_to_the_end();
    assert_eq!(world.settled.len(), 2);
}

#[test]
fn taking_back_one_message_leaves_the_others() {
    let mut world = World::new().endpoint("shop", status(500));
    let messages: Vec<_> = (0..20).map(|_| world.publish(&["shop"])).collect();
    world.run_for(secs(1));
    for message in messages.iter().step_by(2) {
        world.cancel(*message);
    }
    world.answers("shop", status(204)).run_to_the_end();
    world.expect_standing("shop", Cancelled, 10).expect_standing("shop", Delivered, 10);
}

#[test]
fn a_message_taken_back_and_its_endpoint_removed_ends_once() {
    let (mut world, message) = on_its_way();
    world.cancel(message);
    for name in ["waiting", "queued", "flying"] {
        world.remove(name, Cancelled);
    }
    world.run_to_the_end();
    assert_eq!(world.shard.deliveries(), 0);
}

#[test]
fn slots_are_used_again_without_mixing_up_deliveries() {
    let mut world = World::new().endpoint("shop", status(204)).endpoint("down", status(500));
    world.retries("down", "1s, 1s, 1s");
    for round in 0..300 {
        let message = world.publish(&["shop", "down"]);
        world.run_for(ms(97));
        if round % 3 == 0 {
            world.cancel(message);
        }
    }
    world.run_for(hours(1));
    assert_eq!(world.shard.deliveries(), 0);
    world.publish_to("shop", 1_000).run_to_the_end().expect_standing("shop", Delivered, 1_300);
    world.expect_standing("down", Cancelled, 100);
}
