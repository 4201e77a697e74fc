//! Any sequence of appends, commits, power cuts, faults and removals, against a plain list.

use std::io::ErrorKind;

use posthaste_storage::EntryId;
use posthaste_storage::disk::sim::{Crash, Operation};
use posthaste_storage::log::CommitError;
use proptest::prelude::*;

use super::kit::World;

#[derive(Debug, Clone)]
enum Op {
    Message { application: u64, bytes: usize },
    Attempt { of: usize },
    Parked { of: usize },
    Settled { of: usize },
    Carried { of: usize },
    Change { remove: bool },
    Commit,
    Discard,
    Unlink,
    Reopen,
    Crash { seed: u64 },
    Fail { sync: bool, nth: u64 },
    CutPower { after: u64 },
    Fill { room: u64 },
    LoseIndex { segment: u32 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..5u64, 0..400usize).prop_map(|(application, bytes)| Op::Message { application, bytes }),
        6 => (0..20usize).prop_map(|of| Op::Attempt { of }),
        1 => (0..20usize).prop_map(|of| Op::Parked { of }),
        1 => (0..20usize).prop_map(|of| Op::Settled { of }),
        1 => (0..20usize).prop_map(|of| Op::Carried { of }),
        1 => any::<bool>().prop_map(|remove| Op::Change { remove }),
        6 => Just(Op::Commit),
        1 => Just(Op::Discard),
        1 => Just(Op::Unlink),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
        1 => (any::<bool>(), 1..8u64).prop_map(|(sync, nth)| Op::Fail { sync, nth }),
        1 => (0..12u64).prop_map(|after| Op::CutPower { after }),
        1 => (0..900u64).prop_map(|room| Op::Fill { room }),
        1 => (1..6u32).prop_map(|segment| Op::LoseIndex { segment }),
    ]
}

fn run(world: &mut World, op: &Op) {
    let of = |world: &World, of: usize| {
        world.messages.iter().rev().nth(of).map_or(EntryId::new(1, 1), |(id, _)| *id)
    };
    match *op {
        Op::Message { application, bytes } => _ = world.message(application, &vec![bytes as u8; bytes]),
        Op::Attempt { of: nth } => _ = world.attempt(of(world, nth), 1),
        Op::Parked { of: nth } => world.parked(of(world, nth), 2),
        Op::Settled { of: nth } => world.settled(of(world, nth), 3),
        Op::Carried { of: nth } => world.carried(of(world, nth), 4),
        Op::Change { remove } => world.change(b"key", (!remove).then_some(&b"value"[..])),
        Op::Commit => commit(world),
        Op::Discard => world.discard(),
        Op::Unlink => {
            world.disk.heal();
            let oldest = world
                .reader()
                .segments()
                .first()
                .filter(|segment| segment.closed)
                .map(|segment| segment.number);
            if let Some(segment) = oldest {
                world.unlink(segment);
            }
        }
        Op::Reopen => {
            world.disk.heal();
            world.reopen(|_| {}).unwrap();
        }
        Op::Crash { seed } => _ = world.crash(Crash::KeepSome(seed)),
        Op::Fail { sync, nth } => {
            world.disk.fail(if sync { Operation::Sync } else { Operation::Write }, nth, ErrorKind::Other);
        }
        Op::CutPower { after } => world.disk.cut_power_after(after),
        Op::Fill { room } => {
            let used: u64 = world.reader().segments().iter().map(|segment| u64::from(segment.bytes)).sum();
            world.disk.set_capacity(Some(used + room));
        }
        Op::LoseIndex { segment } => {
            let (seg, idx) = (world.path(segment, "seg"), world.path(segment, "idx"));
            if world.disk.content(&seg).is_some() {
                world.disk.put(&idx, vec![1; 70]);
                world.disk.heal();
                world.reopen(|_| {}).unwrap();
            }
        }
    }
}

fn commit(world: &mut World) {
    match world.commit() {
        Ok(_) => {}
        Err(CommitError::Full { .. } | CommitError::OutOfFiles { .. }) => world.disk.set_capacity(None),
        Err(CommitError::Poisoned { .. }) => {
            let seed = world.now_ms;
            world.disk.set_capacity(None);
            world.crash(Crash::KeepSome(seed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_log_says_what_it_was_told(ops in proptest::collection::vec(op(), 1..200)) {
        let mut world = World::new();
        for op in &ops {
            run(&mut world, op);
        }
        world.disk.heal();
        world.check();
        world.crash(Crash::LoseUnsynced);
        world.check();
    }
}
