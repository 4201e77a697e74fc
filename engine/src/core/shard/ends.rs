//! Ends: what everybody learns from an attempt that has ended, and what becomes of its delivery.

use std::time::Duration;

use super::slots::Phase;
use super::{Action, AttemptEnded, Body, DISABLING, Door, ENDPOINT_TOKEN, Gone, Home, PROMPT, Probes, Shard};
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::outcome::{Blame, Outcome};
use crate::core::retry::{self, Next, RetryPolicy};
use crate::core::tick::Tick;

impl<B: Body, R> Shard<B, R> {
    pub(super) fn ended(&mut self, token: u32, outcome: Outcome, took: Duration, report: R) {
        let delivery = &self.slots[token];
        debug_assert_eq!(delivery.phase, Phase::InFlight, "an attempt ends once");
        let (endpoint, counted_prompt) = (delivery.endpoint, delivery.is_counted_prompt());
        let probes = delivery.probes;
        self.in_flight -= 1;
        if !counted_prompt {
            self.in_flight_not_prompt -= 1;
        }
        self.land(endpoint, probes);
        if !self.slots[token].progress.marks.has(Marks::ELSEWHERE) {
            self.learn(endpoint, outcome, took, probes);
        }
        self.conclude(token, outcome, took, Some(report));
        self.relist_after_end(endpoint, probes);
    }

    /// One attempt fewer is in flight.
    fn land(&mut self, slot: u32, probes: Probes) {
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.in_flight -= 1;
        let host = &mut self.hosts[endpoint.host as usize];
        host.in_flight -= 1;
        host.probes -= u32::from(probes.any());
    }

    /// Health, window and pause learn from an attempt.
    fn learn(&mut self, slot: u32, outcome: Outcome, took: Duration, probes: Probes) {
        self.endpoints[slot as usize].learn_window(outcome, took <= PROMPT);
        match outcome {
            Outcome::RetryAfter { wait, .. } => self.pause(slot, wait),
            Outcome::Gone => self.pause(slot, DISABLING),
            _ => {}
        }
        self.learn_health(slot, outcome, probes);
    }

    pub(super) fn pause(&mut self, slot: u32, wait: Duration) {
        let until = self.now + wait;
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.paused_until = endpoint.paused_until.max(until);
        endpoint.pauses += 1;
        self.wheel.insert(until, slot | ENDPOINT_TOKEN);
    }

    fn learn_health(&mut self, slot: u32, outcome: Outcome, probes: Probes) {
        let settings = &self.endpoints[slot as usize].settings;
        let answered = outcome.status().is_some();
        let url_verdict = match outcome.blame() {
            _ if outcome.is_success() => Some(true),
            // Asking for patience is not failing, but a probe so answered has not opened the door.
            Blame::Url if probes.url || !matches!(outcome, Outcome::RetryAfter { .. }) => Some(false),
            _ => None,
        };
        let host_verdict = match outcome.blame() {
            Blame::Host => Some(false),
            _ if answered => Some(true),
            _ => None,
        };
        let url = (&settings.url_health, url_verdict, probes.url, &self.settings.url_lockout);
        let host = (&settings.host_health, host_verdict, probes.host, &self.settings.host_lockout);
        for (door, (health, verdict, probe, rule)) in [(Door::Url, url), (Door::Host, host)] {
            let change = match verdict {
                Some(success) => health.on_outcome(self.now, success, probe, rule),
                None => {
                    if probe {
                        health.release_probe(self.now);
                    }
                    None
                }
            };
            if let Some(change) = change {
                self.actions.push_back(Action::Health { endpoint: settings.id, door, change });
            }
        }
    }

    /// What an attempt's end means for its delivery: done, again, or never again.
    pub(super) fn conclude(&mut self, token: u32, outcome: Outcome, took: Duration, report: Option<R>) {
        let delivery = &mut self.slots[token];
        let endpoint = &self.endpoints[delivery.endpoint as usize];
        let key = delivery.key(endpoint);
        let (progress, next) = retry_of(&endpoint.settings.retry, key, delivery.progress, outcome, self.now);
        let (state, next) = match (next, endpoint.gone) {
            _ if outcome.is_success() => (DeliveryState::Delivered, None),
            _ if delivery.is_taken_back() => (DeliveryState::Cancelled, None),
            (_, Some(Gone::Ended(state))) => (state, None),
            (Some(at), _) => (DeliveryState::Pending, Some(at)),
            (None, _) => (DeliveryState::Exhausted, None),
        };
        let ordered = progress.marks.has(Marks::ORDERED);
        let forgotten = next.is_some_and(|at| at > self.horizon && !ordered || endpoint.gone.is_some());
        self.actions.push_back(Action::Ended(AttemptEnded {
            key,
            application: endpoint.settings.application,
            message_at: delivery.message_at,
            number: progress.made(),
            revision: delivery.revision,
            started: self.now - took,
            outcome,
            state,
            next_attempt: next,
            progress,
            home: delivery.home(),
            forgotten,
            report,
        }));
        if outcome == Outcome::Gone && endpoint.gone.is_none() && !progress.marks.has(Marks::ELSEWHERE) {
            self.actions.push_back(Action::Disable(endpoint.settings.id));
        }
        match next {
            Some(at) if !forgotten => {
                delivery.progress = progress;
                delivery.due = at;
                delivery.set_home(Home::Ledger);
                delivery.phase = Phase::Waiting;
                delivery.body = None;
                self.wheel.insert(at, token);
                self.let_older_pass(token);
            }
            _ => self.drop_slot(token),
        }
    }
}

/// Asks the retry policy. Returns how far the delivery has come with this attempt, and when it goes on.
fn retry_of(
    policy: &RetryPolicy,
    key: DeliveryKey,
    before: Progress,
    outcome: Outcome,
    now: Tick,
) -> (Progress, Option<Tick>) {
    let (uses_attempt, at) = match retry::next_attempt(policy, key, before, outcome, now) {
        Next::After { at, uses_attempt } => (uses_attempt, Some(at)),
        Next::GiveUp => (true, None),
    };
    let mut progress = before;
    let counted = if uses_attempt { &mut progress.attempts } else { &mut progress.patience };
    *counted = counted.saturating_add(1);
    (progress, at)
}
