//! A ledger that fails while everything else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::EntryId;
use posthaste_storage::ledger::LedgerError;

use super::world::{FAR, World};
use crate::core::delivery::DeliveryState;
use crate::recovery::Folders;

const SOON: Duration = Duration::from_secs(20);

/// What a ledger has: message and endpoint; attempts made, and when due.
type Expected = BTreeMap<(EntryId, u64), (u16, u64)>;

/// Deliveries of every sort: in a shard's hands for a retry soon, forgotten until late, parked, fresh, and ended.
/// Returns the world, and what its ledger has.
fn busy() -> (World, Expected) {
    let mut world = World::new();
    let mut expected = Expected::new();
    for number in 0..24 {
        let id = world.publish(&[1, 2]);
        let pending = match number % 3 {
            0 => world.fail((id, 1), SOON, false),
            1 => world.fail((id, 1), FAR, true),
            _ => world.park((id, 1), FAR),
        };
        expected.insert((id, 1), pending);
        if number % 2 == 0 {
            world.end((id, 2), DeliveryState::Delivered);
        }
        world.settle();
    }
    (world, expected)
}

#[test]
fn a_ledger_that_fails_is_rebuilt_from_the_log_and_no_delivery_is_handed_out_twice() {
    let (mut world, mut expected) = busy();
    assert_eq!(world.ledger(), expected);
    world.keeper.give_up(&LedgerError::Failed);
    assert_eq!(world.writer.metrics.ledger_failed.get(), 1);
    // It goes on without it: a retry fails again, another succeeds, and something new fails.
    let (kept, ended) = {
        let mut soon = expected.keys().filter(|key| world.hands.contains_key(*key)).copied();
        (soon.next().expect("one"), soon.next().expect("two"))
    };
    expected.insert(kept, world.fail(kept, SOON * 2, false));
    world.end(ended, DeliveryState::Delivered);
    expected.remove(&ended);
    let late = world.publish(&[3]);
    expected.insert((late, 3), world.fail((late, 3), FAR, true));
    world.settle();
    let hands: Vec<_> = world.hands.keys().copied().collect();
    world.keeper.mend();
    assert!(world.keeper.failure.is_none());
    assert_eq!(world.writer.metrics.ledger_failed.get(), 0);
    world.settle();
    assert_eq!(world.ledger(), expected);
    assert_eq!(world.hands.keys().copied().collect::<Vec<_>>(), hands, "nobody was given anything");
    // What is due late is handed out as its time comes, once; the world sees to that.
    world.keeper.horizon = FAR * 2;
    world.settle();
    assert!(expected.keys().all(|key| world.hands.contains_key(key)));
}

#[test]
fn what_a_rebuilt_ledger_has_survives_like_any_other() {
    let (mut world, expected) = busy();
    world.keeper.give_up(&LedgerError::Failed);
    world.keeper.mend();
    world.settle();
    let world = world.kill();
    assert_eq!(world.ledger(), expected);
    assert_eq!(world.restart().ledger(), expected);
}

#[test]
fn a_ledger_that_cannot_be_rebuilt_yet_is_tried_again_later() {
    let (mut world, expected) = busy();
    world.keeper.give_up(&LedgerError::Failed);
    let nowhere = Arc::new(Folders::below("/proc/no/such/folder".as_ref()));
    let shelves = std::mem::replace(&mut world.keeper.shelves, nowhere);
    world.keeper.mend();
    assert!(world.keeper.failure.is_some());
    assert_eq!(world.writer.metrics.ledger_failed.get(), 1);
    world.keeper.shelves = shelves;
    world.keeper.mend();
    world.settle();
    assert_eq!(world.ledger(), expected);
}
