//! The watch: from how attempts end to what somebody should hear of. Pure: `now` is an argument.
//!
//! Most endpoints are fine, and nothing is kept of those: an endpoint is watched from its first failure until
//! nothing more is wrong with it. Four conditions can hold, each raised once, and over at some time:
//!
//! ```text
//!   failing            N failures in a row, over at least T            until a success
//!   success rate low   of enough attempts in a window too few succeed  until a window without that
//!   URL locked out     its health says so                              until its probe succeeds
//!   host locked out    the same, told of the endpoint that it began with
//! ```
//!
//! When the last of them is over, the endpoint has recovered. Exhausted deliveries are moments: the first of an
//! endpoint is told at once, further ones are summed up over a while. An endpoint whose every attempt has failed for
//! days is to be disabled; the moment that began is remembered on disk once it lasts an hour.
//!
//! What counts: a success; a failure for which the URL or its host is to blame, or an address that the egress guard
//! forbids. Refusals during a lockout count in the success rate alone: nobody was asked. Patience asked for
//! (`Retry-After`) and reasons of our own count nowhere.
//!
//! Invariants
//! - What is told once is not told again before it is over.
//! - At most `per_minute_max` alerts a minute; a condition that found no room is told when there is some.
//! - A change of its URL, or its end, makes an endpoint a clean sheet: what lasted is over, and nothing "recovered".

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::rules::AlertRules;
use crate::catalog::{Alert, AlertCause, AlertDoor, AlertType, Disabled, FailingSince};
use crate::core::delivery::DeliveryState;
use crate::core::health::HealthChange;
use crate::core::ids::{AlertId, ApplicationId, EndpointId, MessageId};
use crate::core::outcome::{Blame, Outcome};
use crate::core::tick::Tick;

/// Failing for this long is remembered on disk.
const REMEMBER_AFTER: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// How an attempt ended, and where its delivery stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) endpoint: EndpointId,
    pub(crate) message: MessageId,
    pub(crate) outcome: Outcome,
    pub(crate) state: DeliveryState,
    /// It went to a URL that its message brought along, and says nothing about the endpoint's own.
    pub(crate) elsewhere: bool,
}

/// An endpoint as it is configured now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Configured {
    pub(crate) endpoint: EndpointId,
    pub(crate) application: ApplicationId,
    /// Something that differs between URLs.
    pub(crate) url: u64,
    pub(crate) disabled: Option<Disabled>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Keep it, and tell whoever wants to hear.
    Raise(Alert),
    /// It is over.
    End(AlertId, Tick),
    /// A restart should know.
    Remember(FailingSince),
    /// A restart need not know any more.
    Forget(EndpointId),
    /// Every attempt has failed for too long.
    Disable(EndpointId),
}

/// What counts how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Success,
    Failure,
    Refused,
    Nothing,
}

impl Verdict {
    fn of(ended: &Ended) -> Self {
        match ended.outcome {
            _ if ended.elsewhere => Self::Nothing,
            Outcome::Success { .. } => Self::Success,
            Outcome::UrlLockedOut | Outcome::HostLockedOut => Self::Refused,
            Outcome::RetryAfter { .. } => Self::Nothing,
            Outcome::AddressForbidden => Self::Failure,
            outcome if outcome.blame() == Blame::Nobody => Self::Nothing,
            _ => Self::Failure,
        }
    }
}

/// Failures in a row.
#[derive(Debug, Clone, Copy)]
struct Run {
    since: Tick,
    failures: u32,
    remembered: bool,
    disabling: bool,
}

/// A stretch of time whose success rate is looked at. It begins with a failure.
#[derive(Debug, Clone, Copy)]
struct RateWindow {
    until: Tick,
    attempts: u32,
    failures: u32,
}

/// Deliveries that were exhausted since the alert about the first of them.
#[derive(Debug, Clone, Copy)]
struct Exhaustion {
    until: Tick,
    /// Not told yet.
    deliveries: u32,
    message: MessageId,
    outcome: Outcome,
}

/// The four conditions that last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Failing,
    RateLow,
    UrlLockedOut,
    HostLockedOut,
}

impl Condition {
    const ALL: [Self; 4] = [Self::Failing, Self::RateLow, Self::UrlLockedOut, Self::HostLockedOut];

    fn of(cause: &AlertCause) -> Option<Self> {
        Some(match cause {
            AlertCause::Failing { .. } => Self::Failing,
            AlertCause::SuccessRateLow { .. } => Self::RateLow,
            AlertCause::LockedOut { door: AlertDoor::Url, .. } => Self::UrlLockedOut,
            AlertCause::LockedOut { door: AlertDoor::Host, .. } => Self::HostLockedOut,
            _ => return None,
        })
    }

    const fn kind(self) -> AlertType {
        match self {
            Self::Failing => AlertType::Failing,
            Self::RateLow => AlertType::SuccessRateLow,
            Self::UrlLockedOut | Self::HostLockedOut => AlertType::LockedOut,
        }
    }
}

/// An endpoint with which something is wrong, or was a moment ago.
#[derive(Debug)]
struct Watched {
    application: ApplicationId,
    url: u64,
    run: Option<Run>,
    window: Option<RateWindow>,
    exhaustion: Option<Exhaustion>,
    open: [Option<AlertId>; 4],
    /// When the first condition began of those that hold or are over since.
    trouble_since: Option<Tick>,
    /// What is over since.
    over: Vec<AlertType>,
    /// When it is to be looked at again.
    due: Option<Tick>,
}

impl Watched {
    fn new(application: ApplicationId, url: u64) -> Self {
        Self {
            application,
            url,
            run: None,
            window: None,
            exhaustion: None,
            open: [None; 4],
            trouble_since: None,
            over: Vec::new(),
            due: None,
        }
    }

    fn is_open(&self, condition: Condition) -> bool {
        self.open[condition as usize].is_some()
    }

    fn is_fine(&self) -> bool {
        self.run.is_none()
            && self.window.is_none()
            && self.exhaustion.is_none()
            && self.open.iter().all(Option::is_none)
    }

    fn next_due(&self) -> Option<Tick> {
        let ends = [self.window.map(|window| window.until), self.exhaustion.map(|summed| summed.until)];
        ends.into_iter().flatten().min()
    }
}

/// See the head of this file.
pub(crate) struct Watch {
    rules: AlertRules,
    endpoints: HashMap<EndpointId, Watched>,
    /// Locked-out hosts, and the endpoint each was told of.
    hosts: HashMap<u64, EndpointId>,
    /// Endpoints disabled for the engine's own reasons, with the alert that told so if it is known.
    disabled: HashMap<EndpointId, Option<AlertId>>,
    due: BTreeSet<(Tick, EndpointId)>,
    minute: Tick,
    raised_in_minute: u32,
    suppressed: u64,
    next_random: u32,
    actions: Vec<Action>,
}

impl Watch {
    /// A watch that knows of nothing. `random` makes its alerts' ids differ from those of earlier processes.
    pub(crate) fn new(rules: AlertRules, random: u32) -> Self {
        Self {
            rules,
            endpoints: HashMap::new(),
            hosts: HashMap::new(),
            disabled: HashMap::new(),
            due: BTreeSet::new(),
            minute: Tick::ZERO,
            raised_in_minute: 0,
            suppressed: 0,
            next_random: random,
            actions: Vec::new(),
        }
    }

    /// Whether an endpoint is watched: if not, its next failure should come with its URL ([`Self::meet`]).
    pub(crate) fn knows(&self, endpoint: EndpointId) -> bool {
        self.endpoints.contains_key(&endpoint)
    }

    /// Whether this outcome begins the watch of an endpoint that was fine.
    pub(crate) fn begins_watch(&self, ended: &Ended) -> bool {
        let matters = match Verdict::of(ended) {
            Verdict::Failure | Verdict::Refused => true,
            Verdict::Success => false,
            Verdict::Nothing => ended.state == DeliveryState::Exhausted,
        };
        matters && !self.knows(ended.endpoint)
    }

    /// Begins to watch an endpoint.
    pub(crate) fn meet(&mut self, endpoint: EndpointId, application: ApplicationId, url: u64) {
        self.endpoints.entry(endpoint).or_insert_with(|| Watched::new(application, url));
    }

    /// At the start: an alert that was not over when the process ended. Healths begin anew with a process, so
    /// lockouts are over.
    pub(crate) fn restore_alert(&mut self, now: Tick, alert: &Alert, endpoint: Option<&Configured>) {
        let Some(configured) = endpoint else { return self.end_alert(alert.id, now) };
        if alert.cause.kind() == AlertType::Disabled {
            match configured.disabled {
                Some(Disabled::Gone | Disabled::Failing) => {
                    self.disabled.insert(configured.endpoint, Some(alert.id));
                }
                _ => self.end_alert(alert.id, now),
            }
            return;
        }
        let condition = match Condition::of(&alert.cause) {
            Some(condition @ (Condition::Failing | Condition::RateLow)) if configured.disabled.is_none() => {
                condition
            }
            _ => return self.end_alert(alert.id, now),
        };
        self.meet(configured.endpoint, configured.application, configured.url);
        let Some(watched) = self.endpoints.get_mut(&configured.endpoint) else { return };
        watched.open[condition as usize] = Some(alert.id);
        let since = match &alert.cause {
            AlertCause::Failing { since_ms, failures, .. } => {
                let since = Tick::from_ms(*since_ms);
                let run = Run { since, failures: *failures, remembered: false, disabling: false };
                watched.run.get_or_insert(run);
                since
            }
            _ => {
                let until = now + self.rules.rate_window;
                watched.window = Some(RateWindow { until, attempts: 0, failures: 0 });
                Tick::from_ms(alert.raised_ms)
            }
        };
        let earliest = watched.trouble_since.map_or(since, |before| before.min(since));
        watched.trouble_since = Some(earliest);
        self.reschedule(configured.endpoint);
    }

    /// At the start: an endpoint that has been failing for long. One that is gone or disabled is forgotten.
    pub(crate) fn restore_failing(&mut self, failing: &FailingSince, endpoint: Option<&Configured>) {
        let Some(configured) = endpoint.filter(|configured| configured.disabled.is_none()) else {
            return self.actions.push(Action::Forget(failing.endpoint));
        };
        self.meet(configured.endpoint, configured.application, configured.url);
        if let Some(watched) = self.endpoints.get_mut(&configured.endpoint) {
            let since = Tick::from_ms(failing.since_ms);
            watched.run = Some(Run { since, failures: failing.failures, remembered: true, disabling: false });
        }
    }

    /// At the start: an endpoint that is disabled. That was told when it happened.
    pub(crate) fn restore_disabled(&mut self, endpoint: EndpointId) {
        self.disabled.entry(endpoint).or_insert(None);
    }

    /// An attempt ended, or was refused.
    pub(crate) fn on_ended(&mut self, now: Tick, ended: &Ended) {
        let Some(watched) = self.endpoints.get_mut(&ended.endpoint) else { return };
        let verdict = Verdict::of(ended);
        watched.count_in_window(now, verdict, &self.rules);
        match verdict {
            Verdict::Success => self.on_success(now, ended.endpoint),
            Verdict::Failure => self.on_failure(now, ended),
            Verdict::Refused | Verdict::Nothing => {}
        }
        self.look_at_rate(now, ended.endpoint);
        if ended.state == DeliveryState::Exhausted {
            self.on_exhausted(now, ended);
        }
        self.settle(ended.endpoint);
    }

    /// The health of a URL, or of the host `host`, has changed.
    pub(crate) fn on_door(
        &mut self,
        now: Tick,
        configured: &Configured,
        host: Option<u64>,
        change: HealthChange,
    ) {
        let condition = if host.is_some() { Condition::HostLockedOut } else { Condition::UrlLockedOut };
        match change {
            HealthChange::LockedOut { until } => {
                if host.is_some_and(|host| self.hosts.contains_key(&host)) {
                    return;
                }
                self.meet(configured.endpoint, configured.application, configured.url);
                let door = if host.is_some() { AlertDoor::Host } else { AlertDoor::Url };
                let cause = AlertCause::LockedOut { door, until_ms: until.as_ms() };
                let told = self.open(now, configured.endpoint, condition, cause, now);
                if let Some(host) = host.filter(|_| told) {
                    self.hosts.insert(host, configured.endpoint);
                }
                self.settle(configured.endpoint);
            }
            HealthChange::StaysLockedOut { .. } => {}
            HealthChange::Recovered => {
                let endpoint = match host {
                    Some(host) => self.hosts.remove(&host),
                    None => Some(configured.endpoint),
                };
                let Some(endpoint) = endpoint else { return };
                self.close(now, endpoint, condition);
                self.settle(endpoint);
            }
        }
    }

    /// An endpoint is there, or has changed.
    pub(crate) fn on_configured(&mut self, now: Tick, configured: &Configured) {
        let endpoint = configured.endpoint;
        match configured.disabled {
            Some(reason @ (Disabled::Gone | Disabled::Failing)) => {
                if self.disabled.contains_key(&endpoint) {
                    return;
                }
                let run = self.endpoints.get(&endpoint).and_then(|watched| watched.run);
                let since_ms = run.map(|run| run.since.as_ms());
                self.clean_sheet(now, endpoint);
                let cause = AlertCause::Disabled { reason, since_ms };
                let alert = self.raise(now, configured.application, endpoint, cause);
                self.disabled.insert(endpoint, alert);
            }
            Some(Disabled::ByHand) => self.clean_sheet(now, endpoint),
            None => {
                if let Some(Some(alert)) = self.disabled.remove(&endpoint) {
                    self.end_alert(alert, now);
                }
                if self.endpoints.get(&endpoint).is_some_and(|watched| watched.url != configured.url) {
                    self.clean_sheet(now, endpoint);
                }
            }
        }
    }

    /// An endpoint is gone.
    pub(crate) fn on_removed(&mut self, now: Tick, endpoint: EndpointId) {
        self.clean_sheet(now, endpoint);
        if let Some(Some(alert)) = self.disabled.remove(&endpoint) {
            self.end_alert(alert, now);
        }
    }

    /// An endpoint could not be disabled: its next failure tries again.
    pub(crate) fn on_not_disabled(&mut self, endpoint: EndpointId) {
        if let Some(run) = self.endpoints.get_mut(&endpoint).and_then(|watched| watched.run.as_mut()) {
            run.disabling = false;
        }
    }

    /// Time has passed.
    pub(crate) fn on_tick(&mut self, now: Tick) {
        while let Some(&(at, endpoint)) = self.due.first() {
            if at > now {
                return;
            }
            self.due.pop_first();
            if let Some(watched) = self.endpoints.get_mut(&endpoint) {
                watched.due = None;
            }
            self.end_window(now, endpoint);
            self.sum_up_exhausted(now, endpoint);
            self.settle(endpoint);
        }
    }

    /// What is to be done; empty afterwards.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Alerts that found no room in their minute, since the last call.
    pub(crate) fn take_suppressed(&mut self) -> u64 {
        std::mem::take(&mut self.suppressed)
    }

    fn on_success(&mut self, now: Tick, endpoint: EndpointId) {
        let Some(watched) = self.endpoints.get_mut(&endpoint) else { return };
        if watched.run.take().is_some_and(|run| run.remembered) {
            self.actions.push(Action::Forget(endpoint));
        }
        self.close(now, endpoint, Condition::Failing);
    }

    fn on_failure(&mut self, now: Tick, ended: &Ended) {
        let Some(watched) = self.endpoints.get_mut(&ended.endpoint) else { return };
        let first = Run { since: now, failures: 0, remembered: false, disabling: false };
        let run = watched.run.get_or_insert(first);
        run.failures = run.failures.saturating_add(1);
        let lasts = now.since(run.since);
        if lasts >= REMEMBER_AFTER && !run.remembered {
            run.remembered = true;
            let (endpoint, since_ms, failures) = (ended.endpoint, run.since.as_ms(), run.failures);
            self.actions.push(Action::Remember(FailingSince { endpoint, since_ms, failures }));
        }
        let too_long = lasts >= self.rules.disable_after && run.failures >= self.rules.disable_attempts_min;
        if too_long && !run.disabling {
            run.disabling = true;
            self.actions.push(Action::Disable(ended.endpoint));
        }
        let is_failing = run.failures >= self.rules.failing_attempts && lasts >= self.rules.failing_for;
        let run = *run;
        if is_failing && !watched.is_open(Condition::Failing) {
            let cause = AlertCause::Failing {
                since_ms: run.since.as_ms(),
                failures: run.failures,
                outcome: ended.outcome.name().into(),
                status: ended.outcome.status(),
            };
            self.open(now, ended.endpoint, Condition::Failing, cause, run.since);
        }
    }

    fn look_at_rate(&mut self, now: Tick, endpoint: EndpointId) {
        let Some(watched) = self.endpoints.get(&endpoint) else { return };
        let Some(window) = watched.window else { return };
        let says_something = window.attempts >= self.rules.rate_attempts_min;
        if says_something && !self.is_rate_fine(&window) && !watched.is_open(Condition::RateLow) {
            let cause = AlertCause::SuccessRateLow {
                window_ms: self.rules.rate_window.as_millis() as u64,
                attempts: window.attempts,
                failures: window.failures,
            };
            let since = window.until - self.rules.rate_window;
            self.open(now, endpoint, Condition::RateLow, cause, since);
        }
    }

    fn is_rate_fine(&self, window: &RateWindow) -> bool {
        let successes = u64::from(window.attempts.saturating_sub(window.failures));
        successes * 100 >= u64::from(window.attempts) * u64::from(self.rules.rate_percent_min)
    }

    fn end_window(&mut self, now: Tick, endpoint: EndpointId) {
        let Some(watched) = self.endpoints.get_mut(&endpoint) else { return };
        let Some(window) = watched.window.filter(|window| window.until <= now) else { return };
        watched.window = None;
        let is_open = watched.is_open(Condition::RateLow);
        let is_over = is_open && window.attempts > 0 && self.is_rate_fine(&window);
        if is_over {
            self.close(now, endpoint, Condition::RateLow);
        }
        if let Some(watched) = self.endpoints.get_mut(&endpoint)
            && (window.failures > 0 || is_open && !is_over)
        {
            let until = now + self.rules.rate_window;
            watched.window = Some(RateWindow { until, attempts: 0, failures: 0 });
        }
    }

    fn on_exhausted(&mut self, now: Tick, ended: &Ended) {
        let until = now + self.rules.exhausted_every;
        let Some(watched) = self.endpoints.get_mut(&ended.endpoint) else { return };
        let is_first = watched.exhaustion.is_none();
        let nothing = Exhaustion { until, deliveries: 0, message: ended.message, outcome: ended.outcome };
        let summed = watched.exhaustion.get_or_insert(nothing);
        summed.deliveries = summed.deliveries.saturating_add(1);
        (summed.message, summed.outcome) = (ended.message, ended.outcome);
        if is_first {
            self.tell_exhausted(now, ended.endpoint);
        }
    }

    fn sum_up_exhausted(&mut self, now: Tick, endpoint: EndpointId) {
        let every = self.rules.exhausted_every;
        let Some(watched) = self.endpoints.get_mut(&endpoint) else { return };
        let Some(summed) = watched.exhaustion.as_mut().filter(|summed| summed.until <= now) else { return };
        if summed.deliveries == 0 {
            watched.exhaustion = None;
            return;
        }
        summed.until = now + every;
        self.tell_exhausted(now, endpoint);
    }

    /// Tells of those that were not told yet. Those that find no room are told with the next.
    fn tell_exhausted(&mut self, now: Tick, endpoint: EndpointId) {
        let Some(watched) = self.endpoints.get(&endpoint) else { return };
        let Some(summed) = watched.exhaustion.filter(|summed| summed.deliveries > 0) else { return };
        let cause = AlertCause::Exhausted {
            deliveries: summed.deliveries,
            message: summed.message,
            outcome: summed.outcome.name().into(),
            status: summed.outcome.status(),
        };
        if self.raise(now, watched.application, endpoint, cause).is_some()
            && let Some(summed) = self.endpoints.get_mut(&endpoint).and_then(|w| w.exhaustion.as_mut())
        {
            summed.deliveries = 0;
        }
    }

    /// A condition holds from now on. `false` when it was known, or found no room in its minute.
    fn open(
        &mut self,
        now: Tick,
        endpoint: EndpointId,
        condition: Condition,
        cause: AlertCause,
        since: Tick,
    ) -> bool {
        let Some(watched) = self.endpoints.get(&endpoint) else { return false };
        if watched.is_open(condition) {
            return false;
        }
        let Some(alert) = self.raise(now, watched.application, endpoint, cause) else { return false };
        if let Some(watched) = self.endpoints.get_mut(&endpoint) {
            watched.open[condition as usize] = Some(alert);
            watched.trouble_since = Some(watched.trouble_since.map_or(since, |before| before.min(since)));
        }
        true
    }

    /// A condition is over; with the last of them, the endpoint has recovered.
    fn close(&mut self, now: Tick, endpoint: EndpointId, condition: Condition) {
        let Some(watched) = self.endpoints.get_mut(&endpoint) else { return };
        let Some(alert) = watched.open[condition as usize].take() else { return };
        if !watched.over.contains(&condition.kind()) {
            watched.over.push(condition.kind());
        }
        let recovered = watched.open.iter().all(Option::is_none);
        let (application, since) = (watched.application, watched.trouble_since.unwrap_or(now));
        let after = if recovered { std::mem::take(&mut watched.over) } else { Vec::new() };
        if recovered {
            watched.trouble_since = None;
        }
        self.end_alert(alert, now);
        if recovered {
            let cause = AlertCause::Recovered { after, since_ms: since.as_ms() };
            self.raise(now, application, endpoint, cause);
        }
    }

    /// Nothing is known of an endpoint any more; what lasted is over.
    fn clean_sheet(&mut self, now: Tick, endpoint: EndpointId) {
        self.tell_exhausted(now, endpoint);
        let Some(watched) = self.endpoints.remove(&endpoint) else { return };
        if let Some(at) = watched.due {
            self.due.remove(&(at, endpoint));
        }
        if watched.run.is_some_and(|run| run.remembered) {
            self.actions.push(Action::Forget(endpoint));
        }
        self.hosts.retain(|_, told_of| *told_of != endpoint);
        for condition in Condition::ALL {
            if let Some(alert) = watched.open[condition as usize] {
                self.end_alert(alert, now);
            }
        }
    }

    fn end_alert(&mut self, alert: AlertId, now: Tick) {
        self.actions.push(Action::End(alert, now));
    }

    /// `None` when the minute is full.
    fn raise(
        &mut self,
        now: Tick,
        application: ApplicationId,
        endpoint: EndpointId,
        cause: AlertCause,
    ) -> Option<AlertId> {
        if now.since(self.minute) >= MINUTE {
            (self.minute, self.raised_in_minute) = (now, 0);
        }
        if self.raised_in_minute >= self.rules.per_minute_max {
            self.suppressed += 1;
            return None;
        }
        self.raised_in_minute += 1;
        self.next_random = self.next_random.wrapping_add(1);
        let id = AlertId::new(now.as_ms(), self.next_random);
        let raised_ms = now.as_ms();
        let alert = Alert { id, application, endpoint, cause, raised_ms, ended_ms: None, acknowledged: None };
        self.actions.push(Action::Raise(alert));
        Some(id)
    }

    /// After something happened: watched no more if all is fine, looked at again when it is time.
    fn settle(&mut self, endpoint: EndpointId) {
        let Some(watched) = self.endpoints.get(&endpoint) else { return };
        if watched.is_fine() {
            if let Some(at) = watched.due {
                self.due.remove(&(at, endpoint));
            }
            self.endpoints.remove(&endpoint);
            return;
        }
        self.reschedule(endpoint);
    }

    fn reschedule(&mut self, endpoint: EndpointId) {
        let Some(watched) = self.endpoints.get_mut(&endpoint) else { return };
        let next = watched.next_due();
        if watched.due == next {
            return;
        }
        if let Some(at) = watched.due {
            self.due.remove(&(at, endpoint));
        }
        watched.due = next;
        if let Some(at) = next {
            self.due.insert((at, endpoint));
        }
    }
}

impl Watched {
    fn count_in_window(&mut self, now: Tick, verdict: Verdict, rules: &AlertRules) {
        let failed = match verdict {
            Verdict::Success => 0,
            Verdict::Failure | Verdict::Refused => 1,
            Verdict::Nothing => return,
        };
        // A success alone begins no window: what is fine need not be counted.
        if self.window.is_none() && failed == 0 {
            return;
        }
        let until = now + rules.rate_window;
        let window = self.window.get_or_insert(RateWindow { until, attempts: 0, failures: 0 });
        window.attempts = window.attempts.saturating_add(1);
        window.failures = window.failures.saturating_add(failed);
    }
}
