//! The wheel against a sorted list that does the same by brute force.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// Some moment in 2024, not at the start of a step.
const START: u64 = 1_732_300_000_007;

fn at(ms: u64) -> Tick {
    Tick::from_ms(START + ms)
}

fn all_due(wheel: &mut Wheel, now: Tick) -> Vec<u32> {
    std::iter::from_fn(|| wheel.pop_due(now)).collect()
}

#[test]
fn nothing_comes_up_early_and_nothing_more_than_a_step_late() {
    for due in [0, 1, 15, 16, 17, SECOND, 66 * SECOND, HOUR, 3 * DAY, 60 * DAY, 400 * DAY, 4_000 * DAY] {
        let mut wheel = Wheel::new(at(0));
        wheel.insert(at(due), 7);
        if due > 0 {
            assert_eq!(wheel.pop_due(at(due - 1)), None, "early by 1 ms: {due}");
        }
        assert_eq!(wheel.pop_due(at(due + WHEEL_STEP_MS)), Some(7), "late: {due}");
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_due(), None);
    }
}

#[test]
fn what_is_overdue_when_inserted_comes_up_at_once() {
    let mut wheel = Wheel::new(at(DAY));
    wheel.insert(at(0), 1);
    wheel.insert(Tick::ZERO, 2);
    assert_eq!(all_due(&mut wheel, at(DAY)), [2, 1]);
}

#[test]
fn tokens_come_up_in_the_order_of_their_steps() {
    let mut wheel = Wheel::new(at(0));
    for token in 0..10_000u32 {
        let scattered = u64::from(token) * 7_919 % 10_000;
        wheel.insert(at(scattered * 97 * WHEEL_STEP_MS), scattered as u32);
    }
    assert!(all_due(&mut wheel, at(400 * DAY)).into_iter().eq(0..10_000));
}

#[test]
fn a_token_due_beyond_the_rings_comes_up_in_its_turn() {
    let mut wheel = Wheel::new(at(0));
    wheel.insert(Tick::MAX, 1);
    wheel.insert(at(3 * WHEEL_SPAN_MS), 2);
    wheel.insert(at(WHEEL_SPAN_MS + 5), 3);
    // The clock jumps into the later turn, but not up to the token; one more is inserted behind it.
    assert_eq!(wheel.pop_due(at(WHEEL_SPAN_MS - DAY)), None);
    wheel.insert(at(WHEEL_SPAN_MS + HOUR), 4);
    assert_eq!(all_due(&mut wheel, at(WHEEL_SPAN_MS + 2 * HOUR)), [3, 4]);
    assert_eq!(all_due(&mut wheel, at(4 * WHEEL_SPAN_MS)), [2]);
    assert_eq!(wheel.len(), 1);
    assert!(wheel.next_due() > Some(at(4 * WHEEL_SPAN_MS)));
}

#[test]
fn a_clock_that_goes_back_delays_nothing_that_is_inserted_afterwards() {
    let mut wheel = Wheel::new(at(0));
    assert_eq!(wheel.pop_due(at(DAY)), None);
    wheel.insert(at(DAY + SECOND), 1);
    wheel.insert(at(2 * SECOND), 2);
    assert_eq!(wheel.pop_due(at(SECOND)), None);
    assert!(wheel.next_due() <= Some(at(2 * SECOND + WHEEL_STEP_MS)));
    assert_eq!(all_due(&mut wheel, at(3 * SECOND)), [2]);
    assert_eq!(all_due(&mut wheel, at(DAY + 2 * SECOND)), [1]);
}

#[test]
fn a_cancelled_token_does_not_come_up() {
    let mut wheel = Wheel::new(at(0));
    let dues = [1, SECOND, HOUR, DAY, 100 * DAY, 300 * DAY];
    for (token, due) in (0..).zip(dues) {
        wheel.insert(at(due), token);
        wheel.insert(at(due), token + 100);
    }
    assert_eq!(all_due(&mut wheel, at(500)).len(), 2);
    for (token, due) in (0..).zip(dues).skip(1) {
        assert!(wheel.cancel(at(due), token));
        assert!(!wheel.cancel(at(due), token), "cancelled twice");
    }
    assert!(!wheel.cancel(at(1), 0), "it came up before");
    assert_eq!(wheel.len(), 5);
    assert_eq!(all_due(&mut wheel, at(400 * DAY)), [101, 102, 103, 104, 105]);
}

#[test]
fn a_million_entries_cost_less_than_nine_bytes_each_and_give_them_back() {
    let mut wheel = Wheel::new(at(0));
    for token in 0..1_000_000u32 {
        wheel.insert(at(u64::from(token) * 7_919 % (12 * HOUR)), token);
    }
    assert!(wheel.bytes() < 9_000_000, "{} bytes", wheel.bytes());
    for hour in 0..=12 {
        all_due(&mut wheel, at(hour * HOUR));
        assert!(wheel.bytes() < wheel.len() * 9 + 300_000, "{} bytes for {}", wheel.bytes(), wheel.len());
    }
    assert!(wheel.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Insert { ahead: i64 },
    Cancel { pick: usize },
    CancelUnknown { ahead: i64 },
    Advance { by: u64 },
    Back { by: u64 },
    PopOne,
}

/// Lengths of every size, so that each ring is reached as often as any other.
fn length(ms_max: u64) -> impl Strategy<Value = u64> {
    (0..=ms_max.ilog2(), any::<u64>()).prop_map(move |(bits, random)| random % (2 << bits) % (ms_max + 1))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ahead = || prop_oneof![9 => length(800 * DAY).prop_map(|ms| ms as i64), 1 => length(DAY).prop_map(|ms| -(ms as i64))];
    let step = prop_oneof![
        12 => ahead().prop_map(|ahead| Step::Insert { ahead }),
        2 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        1 => ahead().prop_map(|ahead| Step::CancelUnknown { ahead }),
        8 => length(365 * DAY).prop_map(|by| Step::Advance { by }),
        1 => length(30 * DAY).prop_map(|by| Step::Back { by }),
        3 => Just(Step::PopOne),
    ];
    prop::collection::vec(step, 1..400)
}

/// A sorted list beside the wheel.
struct Model {
    wheel: Wheel,
    waiting: BTreeSet<(u64, u32)>,
    now: u64,
    tokens: u32,
}

impl Model {
    fn take(&mut self, step: Step) {
        match step {
            Step::Insert { ahead } => {
                let due = self.now.saturating_add_signed(ahead);
                self.tokens += 1;
                self.wheel.insert(Tick::from_ms(due), self.tokens);
                self.waiting.insert((due, self.tokens));
            }
            Step::Cancel { pick } if !self.waiting.is_empty() => {
                let (due, token) =
                    *self.waiting.iter().nth(pick % self.waiting.len()).expect("within its length");
                assert!(self.wheel.cancel(Tick::from_ms(due), token));
                self.waiting.remove(&(due, token));
            }
            Step::Cancel { .. } => assert!(self.wheel.is_empty()),
            Step::CancelUnknown { ahead } => {
                assert!(!self.wheel.cancel(Tick::from_ms(self.now.saturating_add_signed(ahead)), 0));
            }
            Step::Advance { by } => {
                self.now += by;
                self.drain();
            }
            Step::Back { by } => {
                self.now = self.now.saturating_sub(by);
                self.drain();
            }
            Step::PopOne => _ = self.pop(),
        }
        assert_eq!(self.wheel.len(), self.waiting.len());
        let next = self.wheel.next_due().map(Tick::as_ms);
        let first = self.waiting.first().map(|(due, _)| comes_up(*due));
        assert!(next <= first && next.is_some() == first.is_some(), "{next:?} is later than {first:?}");
    }

    /// Takes one out, which must be due and of the earliest step.
    fn pop(&mut self) -> bool {
        let Some(token) = self.wheel.pop_due(Tick::from_ms(self.now)) else { return false };
        let &(first, _) = self.waiting.first().expect("something waits");
        let found = *self.waiting.iter().find(|(_, other)| *other == token).expect("it waits");
        assert!(found.0 <= self.now, "early by {} ms", found.0 - self.now);
        assert_eq!(comes_up(found.0), comes_up(first), "another is due before it");
        self.waiting.remove(&found)
    }

    fn drain(&mut self) {
        while self.pop() {}
        let late = self.waiting.first().filter(|(due, _)| comes_up(*due) <= self.now);
        assert_eq!(late, None);
        assert!(
            self.wheel.next_due().is_none_or(|next| next.as_ms() > self.now),
            "it would wake for nothing"
        );
    }
}

fn comes_up(due: u64) -> u64 {
    due.div_ceil(WHEEL_STEP_MS) * WHEEL_STEP_MS
}

proptest! {
    #[test]
    fn the_wheel_does_what_a_sorted_list_does(start in START..START + 800 * DAY, steps in steps()) {
        let wheel = Wheel::new(Tick::from_ms(start));
        let mut model = Model { wheel, waiting: BTreeSet::new(), now: start, tokens: 0 };
        for step in steps {
            model.take(step);
        }
        model.take(Step::Advance { by: 2_000 * DAY });
        assert!(model.wheel.is_empty());
    }
}
