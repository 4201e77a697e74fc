//! URLs that messages brought along: are they well?
//!
//! Such a URL is nobody's, so its health is kept beside that of endpoints, by the same rule: after many failures in a
//! row it is locked out, and attempts during that are refused. Only URLs that failed of late are remembered, and only
//! so many: a lockout that is forgotten costs a few attempts.
//!
//! Each shard remembers for itself: the messages of one endpoint are all made by one shard.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::core::health::{Admit, HealthCell, HealthPhase, LockoutRule};
use crate::core::outcome::{Blame, Outcome};
use crate::core::tick::Tick;

/// URLs remembered at most.
const REMEMBERED_MAX: usize = 4_096;

/// See the head of this file.
pub(super) struct OwnUrls {
    rule: LockoutRule,
    failing: RefCell<HashMap<Box<str>, HealthCell>>,
}

/// What an attempt owes when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    probe: bool,
}

impl OwnUrls {
    pub(super) fn new(rule: LockoutRule) -> Self {
        Self { rule, failing: RefCell::default() }
    }

    /// Whether an attempt may be made; `None` if the URL is locked out.
    pub(super) fn admit(&self, url: &str, now: Tick) -> Option<Admitted> {
        match self.failing.borrow().get(url).map(|health| health.admit(now, &self.rule)) {
            None | Some(Admit::Go) => Some(Admitted { probe: false }),
            Some(Admit::GoAsProbe) => Some(Admitted { probe: true }),
            Some(Admit::Refuse { .. }) => None,
        }
    }

    /// Learns how the attempt ended.
    pub(super) fn learn(&self, url: &str, now: Tick, admitted: Admitted, outcome: Outcome) {
        let mut failing = self.failing.borrow_mut();
        let success = outcome.is_success();
        match failing.get(url) {
            Some(_) if success => drop(failing.remove(url)),
            Some(health) if outcome.blame() == Blame::Nobody => {
                if admitted.probe {
                    health.release_probe(now);
                }
            }
            Some(health) => drop(health.on_outcome(now, false, admitted.probe, &self.rule)),
            None if success || outcome.blame() == Blame::Nobody => {}
            None => {
                if failing.len() >= REMEMBERED_MAX {
                    failing.retain(|_, health| health.view(now).phase != HealthPhase::Healthy);
                }
                if failing.len() < REMEMBERED_MAX {
                    let health = HealthCell::default();
                    health.on_outcome(now, false, false, &self.rule);
                    failing.insert(url.into(), health);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Tick = Tick::from_ms(1_732_300_000_000);
    const FAILED: Outcome = Outcome::BadStatus { status: 500 };

    #[test]
    fn a_url_that_keeps_failing_is_locked_out_and_one_that_recovers_is_forgotten() {
        let urls = OwnUrls::new(LockoutRule::default());
        let mut made = 0;
        while let Some(admitted) = urls.admit("https://a.example/", NOW) {
            urls.learn("https://a.example/", NOW, admitted, FAILED);
            made += 1;
            assert!(made < 1_000, "it is never locked out");
        }
        assert!(made > 1);
        assert!(urls.admit("https://b.example/", NOW).is_some());
        let later = NOW + std::time::Duration::from_secs(3_600);
        let probe = urls.admit("https://a.example/", later).unwrap();
        assert!(probe.probe);
        assert_eq!(urls.admit("https://a.example/", later), None, "one probe at a time");
        urls.learn("https://a.example/", later, probe, Outcome::Success { status: 200 });
        assert!(urls.failing.borrow().is_empty());
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let urls = OwnUrls::new(LockoutRule::default());
        for number in 0..REMEMBERED_MAX + 10 {
            urls.learn(&number.to_string(), NOW, Admitted { probe: false }, FAILED);
        }
        assert!(urls.failing.borrow().len() <= REMEMBERED_MAX);
    }
}
