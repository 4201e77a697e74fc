//! How endpoints have been doing lately: how many attempts succeeded, and how long answers took.
//!
//! For each endpoint three windows (a minute, an hour, a day), each of two buckets: the one that is being filled and
//! the one before it. What is said of the last minute is the bucket being filled and as much of the one before as is
//! still within a minute: an estimate that is right when attempts come evenly. Half a kilobyte an endpoint, made at
//! its first attempt, and a few tens of nanoseconds an attempt. The first ten thousand have a series over time beside it
//! (`series`), for charts.
//!
//! Nothing of it is on disk: after a start it begins with nothing, and says since when it counts.
//!
//! Not here: how many deliveries stand how (`history`), whether an endpoint is locked out (`core::health`).

mod series;

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use crate::core::ids::{EndpointId, NumberHash};
use crate::core::outcome::Outcome;
use crate::core::tick::Tick;
use series::Series;
pub(crate) use series::{EndpointSeries, Stretch};

/// Lengths of the windows, in milliseconds: a minute, an hour, a day.
const WINDOWS_MS: [u64; 3] = [60_000, 3_600_000, 86_400_000];
/// Endpoints that are remembered. At that number, those without an attempt for a day are forgotten; if there are none,
/// further endpoints have no vitals.
const ENDPOINTS_MAX: usize = 100_000;
/// Endpoints that have a series: 3 KiB each. Those that are forgotten make room.
const SERIES_MAX: usize = 10_000;
/// How often it is looked for endpoints to forget.
const FORGET_EVERY_MS: u64 = 60_000;
/// Response times are counted in steps that double: below 1 ms, below 2 ms, and so on to half a minute and beyond.
const STEPS: usize = 17;

/// See the head of this file. Any thread may ask.
pub(crate) struct Vitals {
    since: Tick,
    known: Mutex<Known>,
}

/// What is known, held for as long as a batch of attempts takes.
#[derive(Default)]
pub(crate) struct Known {
    endpoints: HashMap<EndpointId, Box<Endpoint>, NumberHash>,
    /// How many of them have a series.
    series: usize,
    forgot: Tick,
}

#[derive(Default)]
struct Endpoint {
    windows: [Window; WINDOWS_MS.len()],
    last: Option<Last>,
    series: Option<Box<Series>>,
}

/// The last attempt at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// How it ended.
    pub outcome: Outcome,
    /// When, unix milliseconds.
    pub at_ms: u64,
    /// How long it took, microseconds.
    pub took_us: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began_ms: u64,
    filling: Bucket,
    before: Bucket,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    succeeded: u32,
    failed: u32,
    refused: u32,
    answered: u32,
    sum_us: u64,
    times: [u32; STEPS],
}

/// How an endpoint has been doing.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointVitals {
    /// The last minute, hour and day.
    pub windows: [WindowVitals; WINDOWS_MS.len()],
    /// The last attempt.
    pub last: Option<Last>,
    /// Since when it is counted, unix milliseconds: the start of the process.
    pub since_ms: u64,
}

/// How an endpoint did in a window of time. Numbers are estimates, see the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WindowVitals {
    /// Attempts that were made.
    pub attempts: u64,
    /// Attempts that a lockout refused.
    pub refused: u64,
    /// Of those made, how many succeeded: 0 to 1. `None` if none was made.
    pub success_rate: Option<f64>,
    /// The mean time of attempts that were answered, milliseconds.
    pub mean_ms: Option<f64>,
    /// The time within which 99 of 100 of them were answered, milliseconds.
    pub p99_ms: Option<f64>,
}

impl Vitals {
    /// Nothing is known yet.
    pub(crate) fn new(now: Tick) -> Self {
        Self { since: now, known: Mutex::default() }
    }

    /// To note a batch of attempts.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// What is known of an endpoint; `None` if no attempt was made since the process began.
    pub(crate) fn of(&self, endpoint: EndpointId, now: Tick) -> Option<EndpointVitals> {
        let known = self.known.lock();
        let endpoint = known.endpoints.get(&endpoint)?;
        let mut windows = [WindowVitals::default(); WINDOWS_MS.len()];
        for ((vitals, window), length_ms) in windows.iter_mut().zip(&endpoint.windows).zip(WINDOWS_MS) {
            *vitals = window.vitals(now.as_ms(), length_ms);
        }
        Some(EndpointVitals { windows, last: endpoint.last, since_ms: self.since.as_ms() })
    }

    /// How an endpoint did over time; `None` if nothing is known, or there were too many others before it.
    pub(crate) fn series(&self, endpoint: EndpointId, now: Tick) -> Option<EndpointSeries> {
        let known = self.known.lock();
        known.endpoints.get(&endpoint)?.series.as_ref().map(|series| series.read(now.as_ms()))
    }
}

impl Known {
    /// Notes an attempt that ended, or was refused.
    pub(crate) fn note(&mut self, endpoint: EndpointId, now: Tick, outcome: Outcome, took_us: u32) {
        if !(outcome.is_sent() || outcome.is_lockout()) {
            return;
        }
        if !self.endpoints.contains_key(&endpoint) && !self.has_room(now) {
            return;
        }
        let endpoint = self.endpoints.entry(endpoint).or_default();
        if endpoint.series.is_none() && self.series < SERIES_MAX {
            endpoint.series = Some(Box::new(Series::new()));
            self.series += 1;
        }
        let at_ms = now.as_ms();
        if let Some(series) = &mut endpoint.series {
            series.note(at_ms, outcome, took_us);
        }
        for (window, length_ms) in endpoint.windows.iter_mut().zip(WINDOWS_MS) {
            window.move_to(at_ms, length_ms);
            window.filling.note(outcome, took_us);
        }
        if outcome.is_sent() {
            endpoint.last = Some(Last { outcome, at_ms, took_us });
        }
    }

    fn has_room(&mut self, now: Tick) -> bool {
        if self.endpoints.len() < ENDPOINTS_MAX {
            return true;
        }
        if now.since(self.forgot).as_millis() as u64 >= FORGET_EVERY_MS {
            self.forgot = now;
            let [.., day_ms] = WINDOWS_MS;
            self.endpoints
                .retain(|_, endpoint| endpoint.windows.iter().any(|w| w.began_ms + day_ms > now.as_ms()));
            self.series = self.endpoints.values().filter(|endpoint| endpoint.series.is_some()).count();
        }
        self.endpoints.len() < ENDPOINTS_MAX
    }
}

impl Window {
    fn move_to(&mut self, now_ms: u64, length_ms: u64) {
        let gone_ms = now_ms.saturating_sub(self.began_ms);
        if gone_ms < length_ms {
            return;
        }
        let filled = std::mem::take(&mut self.filling);
        if gone_ms < 2 * length_ms {
            (self.before, self.began_ms) = (filled, self.began_ms + length_ms);
        } else {
            (self.before, self.began_ms) = (Bucket::default(), now_ms);
        }
    }

    fn vitals(&self, now_ms: u64, length_ms: u64) -> WindowVitals {
        let mut window = *self;
        window.move_to(now_ms, length_ms);
        let gone = now_ms.saturating_sub(window.began_ms) as f64 / length_ms as f64;
        window.filling.vitals(&window.before, 1.0 - gone.min(1.0))
    }
}

impl Bucket {
    fn note(&mut self, outcome: Outcome, took_us: u32) {
        if outcome.is_lockout() {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let counter = if outcome.is_success() { &mut self.succeeded } else { &mut self.failed };
        *counter = counter.saturating_add(1);
        if outcome.status().is_some() {
            self.answered = self.answered.saturating_add(1);
            self.sum_us += u64::from(took_us);
            let step = &mut self.times[step_of(took_us)];
            *step = step.saturating_add(1);
        }
    }

    /// This bucket, and of the one before it so much as its `share`.
    fn vitals(&self, before: &Self, share: f64) -> WindowVitals {
        let both = |count: fn(&Self) -> u32| f64::from(count(self)) + f64::from(count(before)) * share;
        let (succeeded, failed) = (both(|bucket| bucket.succeeded), both(|bucket| bucket.failed));
        let (attempts, answered) = (succeeded + failed, both(|bucket| bucket.answered));
        let sum_us = self.sum_us as f64 + before.sum_us as f64 * share;
        let mut times = [0.0; STEPS];
        for (time, (filling, before)) in times.iter_mut().zip(self.times.iter().zip(&before.times)) {
            *time = f64::from(*filling) + f64::from(*before) * share;
        }
        WindowVitals {
            attempts: attempts.round() as u64,
            refused: both(|bucket| bucket.refused).round() as u64,
            success_rate: (attempts > 0.0).then(|| succeeded / attempts),
            mean_ms: (answered > 0.0).then(|| sum_us / answered / 1_000.0),
            p99_ms: (answered > 0.0).then(|| quantile_ms(&times, 0.99)),
        }
    }
}

/// The step that a time is counted in.
fn step_of(took_us: u32) -> usize {
    ((took_us / 1_000 + 1).ilog2() as usize).min(STEPS - 1)
}

/// Where a step begins, in milliseconds: the inverse of [`step_of`].
fn begin_of(step: usize) -> f64 {
    ((1u32 << step) - 1).into()
}

/// Within a step, times are taken to be spread evenly.
fn quantile_ms(times: &[f64; STEPS], quantile: f64) -> f64 {
    let mut left = times.iter().sum::<f64>() * quantile;
    for (step, count) in times.iter().enumerate() {
        if left <= *count && *count > 0.0 {
            let (begin, end) = (begin_of(step), begin_of(step + 1));
            return begin + (end - begin) * left / count;
        }
        left -= count;
    }
    begin_of(STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SHOP: EndpointId = EndpointId::from_u64(7);
    const OK: Outcome = Outcome::Success { status: 200 };
    const BAD: Outcome = Outcome::BadStatus { status: 500 };

    fn start() -> Tick {
        Tick::from_ms(1_732_300_000_000)
    }

    #[test]
    fn the_last_minute_hour_and_day_are_told_apart() {
        let vitals = Vitals::new(start());
        assert_eq!(vitals.of(SHOP, start()), None);
        (0..30).for_each(|_| vitals.lock().note(SHOP, start(), BAD, 5_000));
        let later = start() + Duration::from_secs(600);
        (0..10).for_each(|_| vitals.lock().note(SHOP, later, OK, 20_000));
        let known = vitals.of(SHOP, later).unwrap();
        let [minute, hour, day] = known.windows;
        assert_eq!((minute.attempts, minute.success_rate), (10, Some(1.0)));
        assert_eq!((hour.attempts, hour.success_rate), (40, Some(0.25)));
        assert_eq!((day.attempts, day.mean_ms), (40, Some((30.0 * 5.0 + 10.0 * 20.0) / 40.0)));
        assert_eq!(known.last, Some(Last { outcome: OK, at_ms: later.as_ms(), took_us: 20_000 }));
        let [minute, hour, day] = vitals.of(SHOP, later + Duration::from_secs(7_200)).unwrap().windows;
        assert_eq!((minute.attempts, hour.attempts, day.attempts), (0, 0, 40));
        assert_eq!(minute.success_rate, None);
    }

    #[test]
    fn what_slides_out_of_a_window_counts_less_and_less() {
        let vitals = Vitals::new(start());
        (0..100).for_each(|_| vitals.lock().note(SHOP, start(), OK, 1_000));
        let minute = |secs| vitals.of(SHOP, start() + Duration::from_secs(secs)).unwrap().windows[0].attempts;
        assert_eq!((minute(59), minute(60), minute(90), minute(119), minute(120)), (100, 100, 50, 2, 0));
    }

    #[test]
    fn the_slowest_one_in_a_hundred_shows_in_the_p99_within_a_factor_of_two() {
        let vitals = Vitals::new(start());
        (0..980).for_each(|_| vitals.lock().note(SHOP, start(), OK, 10_000));
        (0..20).for_each(|_| vitals.lock().note(SHOP, start(), OK, 2_000_000));
        let p99 = vitals.of(SHOP, start()).unwrap().windows[0].p99_ms.unwrap();
        assert!((1_000.0..4_000.0).contains(&p99), "{p99}");
        for (us, step) in [(0, 0), (999, 0), (1_000, 1), (3_000, 2), (7_000, 3), (u32::MAX, STEPS - 1)] {
            assert_eq!(step_of(us), step);
        }
    }

    #[test]
    fn a_refusal_is_no_attempt_and_what_was_never_to_be_sent_is_nothing() {
        let vitals = Vitals::new(start());
        vitals.lock().note(SHOP, start(), Outcome::Withdrawn, 0);
        assert_eq!(vitals.of(SHOP, start()), None);
        vitals.lock().note(SHOP, start(), Outcome::UrlLockedOut, 0);
        let minute = vitals.of(SHOP, start()).unwrap().windows[0];
        assert_eq!((minute.attempts, minute.refused, minute.success_rate), (0, 1, None));
    }

    #[test]
    fn beyond_the_bound_only_endpoints_without_an_attempt_for_a_day_make_room() {
        let vitals = Vitals::new(start());
        let note = |number: u64, at| vitals.lock().note(EndpointId::from_u64(number), at, OK, 1);
        (0..ENDPOINTS_MAX as u64).for_each(|number| note(number, start()));
        note(u64::MAX, start());
        assert_eq!(vitals.of(EndpointId::from_u64(u64::MAX), start()), None);
        let later = start() + Duration::from_secs(90_000);
        note(u64::MAX, later);
        assert!(vitals.of(EndpointId::from_u64(u64::MAX), later).is_some());
        assert_eq!(vitals.of(EndpointId::from_u64(1), later), None);
    }
}
