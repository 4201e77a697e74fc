//! What a crash leaves is what was there: the ledger after a replay equals the ledger before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use posthaste_storage::EntryId;
use posthaste_storage::disk::sim::Crash;
use proptest::prelude::*;

use crate::clock::Clock;
use crate::core::delivery::DeliveryState;
use crate::writer::tests::world::{APPLICATION, Derived, FAR, Key, Machine, World, message};

const SOON: Duration = Duration::from_secs(5);

/// What may happen. Numbers pick among what there is.
#[derive(Debug, Clone)]
enum Happening {
    Publish {
        endpoints: usize,
    },
    Deliver(usize),
    Exhaust(usize),
    Fail {
        pick: usize,
        far: bool,
        forget: bool,
    },
    Park {
        pick: usize,
        far: bool,
    },
    TakeBack(usize),
    Commit,
    Settle,
    Housekeep,
    Crash {
        lose: Lose,
        derived: Derived,
    },
    /// The power goes off after so many operations of the disk, while a message is published.
    PowerCut {
        after: u64,
        lose: Lose,
        derived: Derived,
    },
    Restart,
}

/// Cases by default: a few seconds. `PROPTEST_CASES` asks for more.
const CASES: u32 = 24;

#[derive(Debug, Clone, Copy)]
enum Lose {
    Nothing,
    Everything,
    Some(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let lose = prop_oneof![Just(Lose::Nothing), Just(Lose::Everything), any::<u64>().prop_map(Lose::Some)];
    let derived = prop_oneof![Just(Derived::Kept), Just(Derived::Deleted)];
    prop_oneof![
        6 => (0..=3usize).prop_map(|endpoints| Publish { endpoints }),
        3 => any::<usize>().prop_map(Deliver),
        1 => any::<usize>().prop_map(Exhaust),
        5 => (any::<usize>(), any::<bool>(), any::<bool>())
            .prop_map(|(pick, far, forget)| Fail { pick, far, forget }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, far)| Park { pick, far }),
        1 => any::<usize>().prop_map(TakeBack),
        2 => Just(Commit),
        3 => Just(Settle),
        2 => Just(Housekeep),
        2 => (lose.clone(), derived.clone()).prop_map(|(lose, derived)| Crash { lose, derived }),
        1 => (0..8u64, lose, derived).prop_map(|(after, lose, derived)| PowerCut { after, lose, derived }),
        1 => Just(Restart),
    ]
}

/// The world, and beside it what must be so.
struct Checked {
    world: World,
    /// Deliveries never attempted.
    fresh: BTreeSet<Key>,
    /// Attempts made and due time of those that the ledger has.
    waiting: BTreeMap<Key, (u16, u64)>,
    messages: Vec<EntryId>,
    /// Messages taken back. The shard may not have heard of it yet.
    taken_back: BTreeSet<EntryId>,
}

impl Checked {
    fn new() -> Self {
        let mut world = Machine::with_small_segments().start();
        world.writer.settings.retention_bytes = 4 << 10;
        let (fresh, waiting) = (BTreeSet::new(), BTreeMap::new());
        Self { world, fresh, waiting, messages: Vec::new(), taken_back: BTreeSet::new() }
    }

    fn held(&self, pick: usize) -> Option<Key> {
        let hands = &self.world.hands;
        (!hands.is_empty()).then(|| *hands.keys().nth(pick % hands.len()).expect("there are as many"))
    }

    fn happen(mut self, what: Happening) -> Self {
        match what {
            Happening::Publish { endpoints } => self.publish(endpoints),
            Happening::Deliver(pick) => self.end(pick, DeliveryState::Delivered),
            Happening::Exhaust(pick) => self.end(pick, DeliveryState::Exhausted),
            Happening::Fail { pick, far, forget } => self.wait(pick, |world, key| {
                // What is due beyond the horizon a shard always forgets.
                world.fail(key, if far { FAR } else { SOON }, far || forget)
            }),
            Happening::Park { pick, far } => {
                self.wait(pick, |world, key| world.park(key, if far { FAR } else { SOON }));
            }
            Happening::TakeBack(pick) => self.take_back(pick),
            Happening::Commit => self.world.commit(),
            Happening::Settle => self.world.settle(),
            Happening::Housekeep => self.world.housekeep(),
            Happening::Crash { lose, derived } => return self.crash(lose, derived),
            Happening::PowerCut { after, lose, derived } => return self.power_cut(after, lose, derived),
            Happening::Restart => return self.restart(),
        }
        self
    }

    fn publish(&mut self, endpoints: usize) {
        let endpoints: Vec<u64> = (1..=endpoints as u64).collect();
        let id = self.world.publish(&endpoints);
        self.messages.push(id);
        self.fresh.extend(endpoints.into_iter().map(|endpoint| (id, endpoint)));
    }

    fn end(&mut self, pick: usize, state: DeliveryState) {
        let Some(key) = self.held(pick) else { return };
        self.world.end(key, state);
        self.world.commit();
        self.fresh.remove(&key);
        self.waiting.remove(&key);
    }

    fn wait(&mut self, pick: usize, act: impl FnOnce(&mut World, Key) -> (u16, u64)) {
        let Some(key) = self.held(pick) else { return };
        let waits = act(&mut self.world, key);
        self.world.commit();
        self.fresh.remove(&key);
        if !self.taken_back.contains(&key.0) {
            self.waiting.insert(key, waits);
        }
    }

    fn take_back(&mut self, pick: usize) {
        if self.messages.is_empty() {
            return;
        }
        let id = self.messages[pick % self.messages.len()];
        let mut answer = self.world.cancel(id);
        self.world.commit();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
        self.taken_back.insert(id);
        self.fresh.retain(|key| key.0 != id);
        self.waiting.retain(|key, _| key.0 != id);
    }

    fn power_cut(mut self, after: u64, lose: Lose, derived: Derived) -> Self {
        self.world.machine.disk.cut_power_after(after);
        let mut answers = self.world.publish_many(vec![message(&[1])]);
        self.world.commit();
        let answered = answers.try_recv().expect("yes or no")[0].clone();
        let before = self.world.writer.log.reader().last_id();
        let mut checked = self.restore(lose, derived);
        match answered {
            Ok(id) => drop(checked.fresh.insert((id.0, 1))),
            // What was not acknowledged may be there or not.
            Err(_) => checked.fresh.extend(checked.world.hands.keys().filter(|key| key.0 > before)),
        }
        checked.check();
        checked
    }

    fn crash(self, lose: Lose, derived: Derived) -> Self {
        let mut checked = self.restore(lose, derived);
        checked.check();
        checked
    }

    fn restore(self, lose: Lose, derived: Derived) -> Self {
        let crash = match lose {
            Lose::Nothing => Crash::KeepUnsynced,
            Lose::Everything => Crash::LoseUnsynced,
            Lose::Some(seed) => Crash::KeepSome(seed),
        };
        self.replace(|world| world.crash(crash, derived))
    }

    fn restart(self) -> Self {
        let mut checked = self.replace(World::restart);
        checked.check();
        checked
    }

    fn replace(mut self, next: impl FnOnce(World) -> World) -> Self {
        let retention_bytes = self.world.writer.settings.retention_bytes;
        self.world = next(self.world);
        self.world.writer.settings.retention_bytes = retention_bytes;
        self
    }

    /// Everybody has heard everything: the ledger, the hands and the gauge must say what is so.
    fn check(&mut self) {
        self.world.settle();
        assert_eq!(self.world.ledger(), self.waiting);
        let in_hands: BTreeSet<Key> = self.world.hands.keys().copied().collect();
        let soon = self.world.clock.now() + FAR / 2;
        let due = self.waiting.iter().filter(|(_, waits)| waits.1 < soon.as_ms()).map(|(key, _)| *key);
        let expected: BTreeSet<Key> = self.fresh.iter().copied().chain(due).collect();
        assert_eq!(in_hands, expected, "what is due is in the hands of the shard, and nothing else");
        assert_eq!(self.world.pending(), (self.fresh.len() + self.waiting.len()) as i64);
        self.every_message_reads();
    }

    /// What is pending can be read where the shard, or the ledger, says that it lies.
    fn every_message_reads(&self) {
        let reader = self.world.writer.log.reader();
        let in_ledger = self.waiting.keys().filter_map(|key| Some((key, self.world.message_at(*key)?)));
        let in_hands = self.world.hands.iter().map(|(key, held)| (key, held.message_at));
        for (key, at) in in_ledger.chain(in_hands) {
            let record = reader.record_at(at).expect("it reads").expect("its segment is there");
            let message = *record.record().message().expect("a message is there");
            assert_eq!((message.id, message.application), (key.0, APPLICATION.as_u64()));
        }
    }
}

fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(CASES), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_and_whenever_it_crashes_every_pending_delivery_is_there_once(
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut checked = Checked::new();
        for what in happenings {
            checked = checked.happen(what);
        }
        checked.check();
        checked.crash(Lose::Everything, Derived::Deleted).check();
    }
}

#[test]
fn a_message_that_was_never_synced_is_not_there_after_a_power_cut() {
    let mut world = World::new();
    let kept = world.publish(&[1]);
    // The power goes off at the sync, after the write.
    world.machine.disk.cut_power_after(1);
    let mut answers = world.publish_many(vec![message(&[2])]);
    world.commit();
    assert!(answers.try_recv().is_ok_and(|answers| answers[0].is_err()), "and it was not acknowledged");
    let world = world.crash(Crash::LoseUnsynced, Derived::Kept);
    assert_eq!(world.hands.keys().collect::<Vec<_>>(), [&(kept, 1)]);
}

#[test]
fn a_log_that_is_gone_is_refused_and_a_ledger_of_another_one_set_aside_when_that_is_accepted() {
    let mut world = World::new();
    let id = world.publish(&[1]);
    world.fail((id, 1), FAR, true);
    world.settle();
    let folders = world.machine.folders();
    let old = world.restart();
    assert_eq!(old.ledger().len(), 1);
    let World { machine, writer, keeper, .. } = old;
    drop((writer, keeper));
    // Somebody removes the log and keeps the rest.
    let machine = Machine { disk: Default::default(), ..machine };
    let refused = machine.try_recover(Clock::start(), false).err().expect("it is refused").to_string();
    assert!(refused.ends_with("the log ends here, and it was longer once"), "{refused}");
    let found = machine.try_recover(Clock::start(), true).expect("it is accepted");
    assert!(found.ledger.is_empty() && found.fresh.is_empty());
    drop(found);
    let new = machine.start();
    assert!(new.ledger().is_empty() && new.hands.is_empty());
    let parent = folders.ledger.parent().expect("the data folder");
    let names = std::fs::read_dir(parent)
        .expect("it is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert!(names.into_iter().any(|name| name.starts_with("ledger.damaged-")));
}
