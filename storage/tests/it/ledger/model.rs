//! Whatever happens in whatever order, and whenever the process dies: after a replay the ledger knows what
//! the log says, and every delivery is handed out when it falls due, once.

use posthaste_storage::ledger::LedgerOptions;
use proptest::prelude::*;

use super::world::World;

#[derive(Debug, Clone)]
enum Step {
    Publish { endpoints: u64 },
    Fail { pick: usize, delay_ms: u64, forget: bool },
    Settle { pick: usize },
    Meddle { pick: usize, delay_ms: Option<u64> },
    Wait { ms: u64 },
    Load { horizon_ms: u64, entries_max: usize },
    Flush,
    Crash { batches_lost: usize, flush_in_replay: bool },
    RestartCleanly,
}

/// Mostly soon, sometimes much later, so that some minutes are crowded and some chunks stay unloaded.
fn delay_ms() -> impl Strategy<Value = u64> {
    prop_oneof![0..120_000_u64, 0..1_200_000_u64]
}

fn step() -> impl Strategy<Value = Step> {
    let delay = delay_ms;
    prop_oneof![
        4 => (1..6_u64).prop_map(|endpoints| Step::Publish { endpoints }),
        12 => (any::<usize>(), delay(), any::<bool>())
            .prop_map(|(pick, delay_ms, forget)| Step::Fail { pick, delay_ms, forget }),
        5 => any::<usize>().prop_map(|pick| Step::Settle { pick }),
        2 => (any::<usize>(), proptest::option::of(delay()))
            .prop_map(|(pick, delay_ms)| Step::Meddle { pick, delay_ms }),
        4 => prop_oneof![0..5_000_u64, 0..200_000_u64].prop_map(|ms| Step::Wait { ms }),
        4 => (prop_oneof![Just(0), 0..300_000_u64], 0..9_usize)
            .prop_map(|(horizon_ms, entries_max)| Step::Load { horizon_ms, entries_max }),
        6 => Just(Step::Flush),
        2 => (0..5_usize, any::<bool>())
            .prop_map(|(batches_lost, flush_in_replay)| Step::Crash { batches_lost, flush_in_replay }),
        1 => Just(Step::RestartCleanly),
    ]
}

fn run(world: &mut World, step: &Step) {
    match *step {
        Step::Publish { endpoints } => world.publish(endpoints),
        Step::Fail { pick, delay_ms, forget } => {
            if let Some(key) = world.in_hand(pick) {
                world.fail(key, delay_ms, forget);
            }
        }
        Step::Settle { pick } => {
            if let Some(key) = world.in_hand(pick) {
                world.settle(key);
            }
        }
        Step::Meddle { pick, delay_ms } => {
            if let Some(key) = world.known(pick) {
                world.meddle(key, delay_ms);
            }
        }
        Step::Wait { ms } => world.now_ms += ms,
        Step::Load { horizon_ms, entries_max } => world.load(horizon_ms, entries_max),
        Step::Flush => world.flush(),
        Step::Crash { batches_lost, flush_in_replay } => world.crash(batches_lost, flush_in_replay),
        Step::RestartCleanly => world.restart_cleanly(),
    }
}

fn options() -> impl Strategy<Value = LedgerOptions> {
    (2..40_usize, 1..20_usize, 1..6_u16, 1..4_usize).prop_map(
        |(young_max, overrides_max, chunk_entries_max, sweep_chunks)| LedgerOptions {
            young_max,
            overrides_max,
            chunk_entries_max,
            sweep_chunks,
            flush_every_ms: 1_000,
            ..LedgerOptions::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn no_delivery_is_lost_and_none_is_handed_out_twice(
        options in options(), steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(options);
        for step in &steps {
            run(&mut world, step);
            world.check();
        }
        world.load(2_000_000, usize::MAX);
        world.come_to_rest();
    }
}
