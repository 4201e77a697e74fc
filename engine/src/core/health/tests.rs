//! The lockout as claims about a door, then against an onlooker who keeps count.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const START: Tick = Tick::from_ms(1_732_300_000_123);

/// A health with a clock beside it.
struct Door {
    state: HealthState,
    now: Tick,
    rule: LockoutRule,
}

impl Door {
    fn new(settings: LockoutSettings) -> Self {
        Self {
            state: HealthState::default(),
            now: START,
            rule: LockoutRule::new(settings).expect("a fine rule"),
        }
    }

    /// Three failures in a row lock out for 30 s, then 60 s, and so on.
    fn after_three() -> Self {
        Self::new(LockoutSettings { consecutive_failures: 3, ..LockoutSettings::default() })
    }

    /// Only the share of failures in a window locks out, never a run.
    fn by_share() -> Self {
        Self::new(LockoutSettings { consecutive_failures: 255, ..LockoutSettings::default() })
    }

    fn wait(mut self, secs: u64) -> Self {
        self.now = self.now + Duration::from_secs(secs);
        self
    }

    fn ends(mut self, success: bool, was_probe: bool) -> Self {
        self.state = on_outcome(self.state, self.now, success, was_probe, &self.rule);
        self
    }

    fn fails(self, times: u32) -> Self {
        (0..times).fold(self, |door, _| door.ends(false, false))
    }

    fn succeeds(self, times: u32) -> Self {
        (0..times).fold(self, |door, _| door.ends(true, false))
    }

    /// Waits until a probe may go, and lets it go.
    fn probed(mut self) -> Self {
        if let Admit::Refuse { until } = peek(self.state, self.now) {
            self.now = until;
        }
        assert_eq!(self.admit(), Admit::GoAsProbe);
        self
    }

    fn admit(&mut self) -> Admit {
        let (answer, state) = admit(self.state, self.now, &self.rule);
        self.state = state;
        answer
    }

    fn phase(&self) -> HealthPhase {
        view(self.state, self.now).phase
    }

    /// Seconds until something may be sent, rounded down; `None` if it may be at once.
    fn refuses_for(&self) -> Option<u64> {
        match peek(self.state, self.now) {
            Admit::Refuse { until } => Some(until.since(self.now).as_secs()),
            Admit::Go | Admit::GoAsProbe => None,
        }
    }
}

#[test]
fn failures_in_a_row_lock_out_and_a_success_between_them_does_not() {
    assert_eq!(Door::after_three().fails(2).phase(), HealthPhase::Healthy);
    assert_eq!(Door::after_three().fails(2).succeeds(1).fails(2).phase(), HealthPhase::Healthy);
    assert_eq!(Door::after_three().fails(3).phase(), HealthPhase::LockedOut);
    assert_eq!(
        Door::after_three().fails(1).wait(59).fails(1).wait(59).fails(1).phase(),
        HealthPhase::LockedOut
    );
}

#[test]
fn failures_far_apart_do_not_lock_out() {
    let door = (0..100).fold(Door::after_three(), |door, _| door.fails(1).wait(120));
    assert_eq!(door.phase(), HealthPhase::Healthy);
}

#[test]
fn half_of_many_failing_within_a_window_locks_out() {
    let mixed = |rounds| (0..rounds).fold(Door::by_share(), |door, _| door.succeeds(1).fails(1));
    assert_eq!(mixed(19).phase(), HealthPhase::Healthy);
    assert_eq!(mixed(20).phase(), HealthPhase::LockedOut);
    assert_eq!(mixed(19).wait(60).succeeds(1).fails(1).phase(), HealthPhase::Healthy, "a new window");
}

#[test]
fn fewer_than_half_of_many_failing_never_lock_out() {
    let door = (0..5_000).fold(Door::by_share(), |door, _| door.succeeds(3).fails(2));
    assert_eq!(door.phase(), HealthPhase::Healthy);
    assert_eq!(view(door.state, door.now).failure_percent, 40);
    assert_eq!(door.fails(1_000).phase(), HealthPhase::LockedOut, "a full window still learns");
}

#[test]
fn a_locked_out_door_gets_exactly_one_probe_when_its_wait_ends() {
    let mut door = Door::after_three().fails(3);
    assert_eq!(door.refuses_for(), Some(30));
    door = door.wait(30);
    assert!(matches!(door.admit(), Admit::Refuse { .. }), "rounded up to a full second");
    door = door.wait(1);
    assert_eq!(door.admit(), Admit::GoAsProbe);
    for _ in 0..10 {
        assert!(matches!(door.admit(), Admit::Refuse { .. }));
    }
}

#[test]
fn a_probe_that_succeeds_opens_the_door() {
    let mut door = Door::after_three().fails(3).probed().ends(true, true);
    assert_eq!(door.phase(), HealthPhase::Healthy);
    assert_eq!(door.admit(), Admit::Go);
    assert_eq!(door.fails(2).phase(), HealthPhase::Healthy, "the run begins anew");
}

#[test]
fn the_wait_grows_with_every_probe_that_fails_up_to_its_max() {
    let mut door = Door::after_three().fails(3);
    for wait in [30, 60, 120, 240, 480, 900, 900] {
        let refused = door.refuses_for().expect("it is shut");
        assert!((wait..=wait + 1).contains(&refused), "{refused} s instead of {wait}");
        door = door.probed().ends(false, true);
    }
}

#[test]
fn a_door_that_shuts_again_at_once_stays_shut_longer_and_one_that_held_does_not() {
    let flapping = Door::after_three().fails(3).probed().ends(true, true).fails(3);
    assert_eq!(flapping.refuses_for(), Some(60));
    let held = Door::after_three().fails(3).probed().ends(true, true).wait(60).succeeds(1).fails(3);
    assert_eq!(held.refuses_for(), Some(30));
}

#[test]
fn late_results_of_attempts_from_before_neither_end_nor_prolong_a_lockout() {
    let door = Door::after_three().fails(3);
    let before = door.state;
    let door = door.wait(10).fails(50).succeeds(50).fails(1);
    assert_eq!(door.state, before);
    let door = door.probed();
    let before = door.state;
    assert_eq!(door.fails(5).succeeds(5).state, before, "nor do they stand in for the probe");
}

#[test]
fn a_probe_that_never_comes_back_is_written_off_and_another_may_go() {
    let mut door = Door::after_three().fails(3).probed().wait(59);
    assert!(matches!(door.admit(), Admit::Refuse { .. }));
    door = door.wait(2);
    assert_eq!(door.admit(), Admit::GoAsProbe);
    assert_eq!(door.ends(true, true).phase(), HealthPhase::Healthy, "whichever comes back first decides");
}

#[test]
fn a_probe_that_was_never_sent_makes_room_for_the_next_at_once() {
    let mut door = Door::after_three().fails(3).probed();
    door.state = release_probe(door.state, door.now);
    assert_eq!(door.admit(), Admit::GoAsProbe);
    let healthy = Door::after_three().fails(2);
    assert_eq!(release_probe(healthy.state, healthy.now), healthy.state);
}

#[test]
fn a_clock_that_goes_back_does_not_keep_a_door_shut() {
    let mut door = Door::after_three().fails(3);
    door.now = door.now - Duration::from_secs(10 * 86_400);
    assert_eq!(door.admit(), Admit::GoAsProbe);
}

#[test]
fn a_clock_a_little_behind_does_not_begin_the_window_anew() {
    let mut door = (0..19).fold(Door::by_share(), |door, _| door.succeeds(1).fails(1));
    door.now = door.now - Duration::from_secs(2);
    assert_eq!(door.succeeds(1).fails(1).phase(), HealthPhase::LockedOut);
}

#[test]
fn a_lockout_works_across_the_moment_the_stamp_comes_round() {
    let mut door = Door::after_three();
    door.now = Tick::from_ms((2 << 30) * 1_000 - 5_000);
    let mut door = door.fails(3);
    assert_eq!(door.refuses_for(), Some(30));
    door = door.wait(31);
    assert_eq!(door.admit(), Admit::GoAsProbe);
}

#[test]
fn a_view_says_what_a_person_wants_to_know() {
    let door = Door::after_three().succeeds(1).fails(3);
    let until = Some(Tick::from_ms(1_732_300_031_000));
    let phase = HealthPhase::LockedOut;
    let expected = HealthView { phase, consecutive_failures: 3, failure_percent: 75, until };
    assert_eq!(view(door.state, door.now), expected);
    assert_eq!(view(HealthState::default(), START).until, None);
}

#[derive(Debug, Clone)]
enum Step {
    Wait { ms: u64 },
    Back { ms: u64 },
    Admit,
    Ends { success: bool },
    ProbeEnds { success: bool },
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..100_000u64).prop_map(|ms| Step::Wait { ms }),
        1 => (0..5_000u64).prop_map(|ms| Step::Back { ms }),
        6 => Just(Step::Admit),
        8 => prop::bool::weighted(0.2).prop_map(|success| Step::Ends { success }),
        3 => any::<bool>().prop_map(|success| Step::ProbeEnds { success }),
        1 => Just(Step::Release),
    ]
}

proptest! {
    /// Beside the state stands what an onlooker knows: until when it was told to wait, and whether a probe
    /// is out.
    #[test]
    fn nothing_passes_a_locked_out_door_but_one_probe_at_a_time(steps in prop::collection::vec(step(), 1..300)) {
        let mut door = Door::after_three();
        let mut probe_out_since: Option<Tick> = None;
        let mut wait_max = Duration::from_secs(901);
        for step in steps {
            match step {
                Step::Wait { ms } => door.now = door.now + Duration::from_millis(ms),
                Step::Back { ms } => {
                    door.now = door.now - Duration::from_millis(ms);
                    wait_max += Duration::from_millis(ms);
                }
                Step::Admit => {
                    let before = view(door.state, door.now);
                    match door.admit() {
                        Admit::Go => prop_assert_eq!(before.phase, HealthPhase::Healthy),
                        Admit::GoAsProbe => {
                            prop_assert!(before.until.is_some_and(|until| until <= door.now), "too early");
                            let written_off = |since| door.now.since(since) >= Duration::from_secs(60);
                            prop_assert!(probe_out_since.is_none_or(written_off), "a second probe");
                            probe_out_since = Some(door.now);
                        }
                        Admit::Refuse { until } => {
                            prop_assert!(until > door.now && until.since(door.now) <= wait_max);
                        }
                    }
                }
                Step::Ends { success } => {
                    let phase = door.phase();
                    door = door.ends(success, false);
                    prop_assert!(phase == HealthPhase::Healthy || door.phase() == phase, "a late result decided");
                }
                Step::ProbeEnds { success } if probe_out_since.take().is_some() => {
                    door = door.ends(success, true);
                    let expected = if success { HealthPhase::Healthy } else { HealthPhase::LockedOut };
                    prop_assert_eq!(door.phase(), expected);
                }
                Step::Release if probe_out_since.take().is_some() => {
                    door.state = release_probe(door.state, door.now);
                    prop_assert_eq!(peek(door.state, door.now), Admit::GoAsProbe);
                }
                Step::ProbeEnds { .. } | Step::Release => {}
            }
        }
    }

    #[test]
    fn any_number_is_a_state_that_finds_its_way_back(raw in any::<u64>(), ms in START.as_ms()..START.as_ms() * 2) {
        let raw = HealthState::from_u64(raw).parts();
        let failures = raw.failures.min(raw.results);
        let mut door = Door { state: Parts { failures, ..raw }.pack(), ..Door::after_three() };
        door.now = Tick::from_ms(ms);
        let wait = door.refuses_for().unwrap_or(0);
        prop_assert!(wait <= LOCKOUT_WAIT_MAX.as_secs() + 1);
        door = door.wait(wait + 1);
        if door.admit() == Admit::GoAsProbe {
            door = door.ends(true, true);
        }
        prop_assert_eq!(door.admit(), Admit::Go);
    }
}
