//! The pulse: what the whole server did, second by second over the last minutes, and minute by minute over the last day.
//!
//! Once a second the counters are read (`metrics`), and what they grew by is one beat. Sixty of them make one of a minute.
//! Nothing of it is on disk, and nobody on the path of a message does anything for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::metrics::Metrics;

/// How often it is felt.
const BEAT: Duration = Duration::from_secs(1);
/// Beats that are kept: three minutes.
const SECONDS_MAX: usize = 180;
/// Minutes that are kept: a day.
const MINUTES_MAX: usize = 1_440;
/// Beats that what is said of this moment is the mean of.
const NOW: usize = 3;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Pulse {
    metrics: Arc<Metrics>,
    since_ms: u64,
    felt: Mutex<Felt>,
}

#[derive(Debug, Default)]
struct Felt {
    last: Counted,
    last_minute: Counted,
    seconds: VecDeque<Beat>,
    minutes: VecDeque<Beat>,
}

/// How far the counters have come.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    at_ms: u64,
    accepted: u64,
    delivered: u64,
    failed: u64,
    exhausted: u64,
}

/// What happened in a stretch of time, per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Beat {
    /// When it ended, unix milliseconds.
    pub at_ms: u64,
    /// Messages accepted.
    pub accepted: f64,
    /// Deliveries that arrived.
    pub delivered: f64,
    /// Attempts that were sent and failed.
    pub failed: f64,
    /// Deliveries given up.
    pub exhausted: f64,
    /// Deliveries that had not ended at its end.
    pub pending: i64,
}

impl Pulse {
    /// Of what is counted here.
    pub(crate) fn new(metrics: Arc<Metrics>, clock: Clock) -> Arc<Self> {
        let since_ms = clock.now().as_ms();
        let begin = Counted { at_ms: since_ms, ..Counted::default() };
        let felt = Mutex::new(Felt { last: begin, last_minute: begin, ..Felt::default() });
        Arc::new(Self { metrics, since_ms, felt })
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// When the process began, unix milliseconds.
    pub(crate) const fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// Feels it until told to stop.
    pub(crate) async fn run(self: Arc<Self>, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.beat(clock.now().as_ms()),
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn beat(&self, now_ms: u64) {
        let metrics = &self.metrics;
        let counted = Counted {
            at_ms: now_ms,
            accepted: metrics.accepted.get(),
            delivered: metrics.delivered.get(),
            failed: metrics.attempts_failed.get(),
            exhausted: metrics.exhausted.get(),
        };
        let pending = metrics.pending.get();
        let mut felt = self.felt.lock();
        if let Some(beat) = counted.since(&felt.last, pending) {
            push(&mut felt.seconds, beat, SECONDS_MAX);
            felt.last = counted;
        }
        if now_ms >= felt.last_minute.at_ms + 60_000
            && let Some(beat) = counted.since(&felt.last_minute, pending)
        {
            push(&mut felt.minutes, beat, MINUTES_MAX);
            felt.last_minute = counted;
        }
    }

    /// At this moment: the mean of the last few beats.
    pub(crate) fn now(&self) -> Beat {
        let felt = self.felt.lock();
        let last: Vec<&Beat> = felt.seconds.iter().rev().take(NOW).collect();
        let [newest, ..] = last[..] else { return Beat::default() };
        let mean = |of: fn(&Beat) -> f64| last.iter().map(|beat| of(beat)).sum::<f64>() / last.len() as f64;
        Beat {
            accepted: mean(|beat| beat.accepted),
            delivered: mean(|beat| beat.delivered),
            failed: mean(|beat| beat.failed),
            exhausted: mean(|beat| beat.exhausted),
            ..*newest
        }
    }

    /// The last minutes by the second, oldest first.
    pub(crate) fn seconds(&self) -> Vec<Beat> {
        self.felt.lock().seconds.iter().copied().collect()
    }

    /// The last day by the minute, oldest first.
    pub(crate) fn minutes(&self) -> Vec<Beat> {
        self.felt.lock().minutes.iter().copied().collect()
    }
}

impl Counted {
    /// `None` if no time has passed.
    fn since(&self, before: &Self, pending: i64) -> Option<Beat> {
        let ms = self.at_ms.saturating_sub(before.at_ms);
        if ms == 0 {
            return None;
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 * 1_000.0 / ms as f64;
        Some(Beat {
            at_ms: self.at_ms,
            accepted: per_second(self.accepted, before.accepted),
            delivered: per_second(self.delivered, before.delivered),
            failed: per_second(self.failed, before.failed),
            exhausted: per_second(self.exhausted, before.exhausted),
            pending,
        })
    }
}

fn push(beats: &mut VecDeque<Beat>, beat: Beat, max: usize) {
    if beats.len() == max {
        beats.pop_front();
    }
    beats.push_back(beat);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_beat_is_what_the_counters_grew_by_and_only_so_many_are_kept() {
        let metrics = Metrics::new();
        let clock = Clock::start();
        let pulse = Pulse::new(metrics.clone(), clock);
        let start_ms = pulse.since_ms();
        metrics.accepted.inc_by(50);
        pulse.beat(start_ms + 500);
        pulse.beat(start_ms + 500);
        assert_eq!(pulse.seconds().iter().map(|beat| beat.accepted).collect::<Vec<_>>(), [100.0]);
        for second in 1..=1_000_u64 {
            metrics.delivered.inc_by(3);
            pulse.beat(start_ms + 500 + second * 1_000);
        }
        assert_eq!((pulse.seconds().len(), pulse.minutes().len()), (SECONDS_MAX, 16));
        assert!(pulse.now().delivered > 2.9 && pulse.now().accepted < 0.1, "{:?}", pulse.now());
    }
}
