//! The retry rules as claims: delivery after delivery is walked to its end.

use super::*;
use crate::core::ids::{EndpointId, MessageId};
use posthaste_storage::EntryId;

const NOW: Tick = Tick::from_ms(1_732_300_000_000);
const FAILED: Outcome = Outcome::BadStatus { status: 500 };

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn key(number: u64) -> DeliveryKey {
    DeliveryKey { message: MessageId(EntryId::from_u64(number)), endpoint: EndpointId::from_u64(7) }
}

fn asks_for(wait: Duration) -> Outcome {
    Outcome::RetryAfter { status: 429, wait }
}

fn progress(attempts: u8, patience: u8) -> Progress {
    Progress { attempts, patience, ..Progress::default() }
}

fn policy(text: &str) -> RetryPolicy {
    text.parse().expect("a fine policy")
}

/// Attempts a delivery whose attempts all end like this at once, until it is given up. Returns how far it
/// came and how long it took.
fn walk(policy: &RetryPolicy, key: DeliveryKey, outcome: Outcome) -> (Progress, Duration) {
    let (mut progress, mut now) = (Progress::default(), NOW);
    loop {
        let next = next_attempt(policy, key, progress, outcome, now);
        match next {
            Next::After { uses_attempt: false, .. } => progress.patience += 1,
            _ => progress.attempts += 1,
        }
        let Next::After { at, .. } = next else { return (progress, now.since(NOW)) };
        assert!(at > now, "a retry takes time");
        now = at;
    }
}

#[test]
fn a_failing_delivery_is_tried_eleven_times_over_more_than_a_day() {
    for number in 0..1_000 {
        let (progress, took) = walk(&RetryPolicy::default(), key(number), FAILED);
        assert_eq!(progress.attempts, 11);
        assert!(took > secs(24 * 3_600) && took < secs(31 * 3_600), "{took:?}");
    }
}

#[test]
fn a_policy_without_delays_makes_one_attempt() {
    let (progress, took) = walk(&policy("none"), key(1), FAILED);
    assert_eq!((progress.made(), took), (1, Duration::ZERO));
}

#[test]
fn without_jitter_the_delay_is_the_one_written() {
    let policy = policy("5s, 2m jitter=0%");
    let at = |attempts| next_attempt(&policy, key(1), progress(attempts, 0), FAILED, NOW);
    assert_eq!(at(0), Next::After { at: NOW + secs(5), uses_attempt: true });
    assert_eq!(at(1), Next::After { at: NOW + secs(120), uses_attempt: true });
    assert_eq!(at(2), Next::GiveUp);
    assert_eq!(at(u8::MAX), Next::GiveUp);
}

#[test]
fn nothing_follows_a_success_a_410_or_a_damaged_payload() {
    for outcome in [Outcome::Success { status: 204 }, Outcome::Gone, Outcome::PayloadDamaged] {
        assert_eq!(
            next_attempt(&RetryPolicy::default(), key(1), Progress::default(), outcome, NOW),
            Next::GiveUp
        );
    }
}

#[test]
fn every_other_failure_uses_an_attempt_and_is_tried_again() {
    for outcome in (0..=u8::MAX).filter_map(|code| Outcome::from_code(code, 500)) {
        if is_last_word(outcome) || matches!(outcome, Outcome::RetryAfter { .. }) {
            continue;
        }
        let next = next_attempt(&RetryPolicy::default(), key(1), Progress::default(), outcome, NOW);
        assert!(matches!(next, Next::After { uses_attempt: true, .. }), "{outcome:?}");
    }
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let policy = RetryPolicy::default();
    let ask = |key, attempts| next_attempt(&policy, key, progress(attempts, 0), FAILED, NOW);
    assert_eq!(ask(key(5), 3), ask(key(5), 3));
    assert_ne!(ask(key(5), 3), ask(key(6), 3), "another message");
    let other = DeliveryKey { endpoint: EndpointId::from_u64(8), ..key(5) };
    assert_ne!(ask(key(5), 3), ask(other, 3), "another endpoint");
}

#[test]
fn jitter_spreads_deliveries_evenly_to_both_sides_of_the_delay() {
    let policy = policy("1000s jitter=10%");
    let mut buckets = [0u32; 20];
    for number in 0..20_000 {
        let next = next_attempt(&policy, key(number), Progress::default(), FAILED, NOW);
        let Next::After { at, .. } = next else { panic!("it has another attempt") };
        let wait = at.since(NOW);
        assert!(wait >= secs(900) && wait <= secs(1_100), "{wait:?}");
        buckets[(wait.as_secs() as usize - 900).min(199) / 10] += 1;
    }
    for count in buckets {
        assert!((800..1_200).contains(&count), "{buckets:?}");
    }
}

#[test]
fn a_receiver_that_asks_for_patience_gets_it_and_no_attempt_is_used_up() {
    let mut shares = [0u32; 2];
    for number in 0..1_000 {
        let next =
            next_attempt(&RetryPolicy::default(), key(number), progress(2, 19), asks_for(secs(60)), NOW);
        let Next::After { at, uses_attempt: false } = next else { panic!("{next:?}") };
        let wait = at.since(NOW);
        assert!(wait >= secs(60) && wait <= secs(66), "{wait:?}");
        shares[usize::from(wait > secs(63))] += 1;
    }
    assert!(shares.iter().all(|&count| count > 400), "those who were told to wait all come back at once");
}

#[test]
fn a_receiver_that_asks_for_patience_for_ever_is_given_up() {
    let (progress, took) = walk(&RetryPolicy::default(), key(1), asks_for(secs(1)));
    assert_eq!(progress, self::progress(11, PATIENT_WAITS_MAX));
    assert!(took > secs(24 * 3_600));
    let (progress, _) = walk(&policy("none"), key(1), asks_for(secs(1)));
    assert_eq!(progress, self::progress(1, PATIENT_WAITS_MAX));
}

#[test]
fn when_patience_is_spent_the_receiver_is_still_not_disturbed_before_it_asked_for() {
    let next = next_attempt(
        &RetryPolicy::default(),
        key(1),
        progress(0, PATIENT_WAITS_MAX),
        asks_for(secs(3_600)),
        NOW,
    );
    let Next::After { at, uses_attempt: true } = next else { panic!("{next:?}") };
    assert!(at >= NOW + secs(3_600));
}

#[test]
fn a_wait_is_granted_within_the_limits() {
    let limits = RetryAfterLimits::default();
    let day = secs(24 * 3_600);
    for (asked, granted) in [(secs(0), secs(1)), (secs(60), secs(60)), (day, day), (Duration::MAX, day)] {
        assert_eq!(clamp_retry_after(asked, &limits), granted);
    }
}

#[test]
fn the_longest_waits_do_not_overflow() {
    let late = Tick::from_ms(u64::MAX - 1);
    let next =
        next_attempt(&RetryPolicy::default(), key(1), Progress::default(), asks_for(Duration::MAX), late);
    assert_eq!(next, Next::After { at: Tick::MAX, uses_attempt: false });
}
