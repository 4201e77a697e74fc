//! The simulator's own claims.

use super::{Bug, Report, run};

/// Seeds that run with every test.
const SEEDS: u64 = 20;

#[test]
fn nothing_acknowledged_is_lost_whatever_breaks() {
    let mut sum = Report::default();
    for seed in 1..=SEEDS {
        match run(seed, None) {
            Ok(report) => sum.add(&report),
            Err(violations) => panic!("SEED={seed}: {violations:#?}"),
        }
    }
    eprintln!("{sum:#?}");
}

#[test]
fn the_same_seed_does_the_same_again() {
    for seed in 1..=5 {
        assert_eq!(run(seed, None), run(seed, None), "SEED={seed}");
    }
}

#[test]
fn what_is_broken_on_purpose_is_noticed() {
    for bug in [Bug::AcknowledgeBeforeSync, Bug::RemoveNeeded, Bug::ForgetEnds] {
        let noticed = (1..=1_000).find(|seed| run(*seed, Some(bug)).is_err());
        let seed = noticed.unwrap_or_else(|| panic!("{bug:?} went unnoticed"));
        eprintln!("{bug:?}: noticed by seed {seed}: {:?}", run(seed, Some(bug)).err());
    }
}
