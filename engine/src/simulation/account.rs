//! The account: what was promised to producers, and what came to receivers. Kept outside of everything that breaks.
//!
//! It knows nothing of the engine's inside. What it believes it has from the two ends: a publisher who got an id, a
//! receiver who got a request, a follower who was told an outcome. Time is that of the simulation, milliseconds.
//!
//! Checked as things arrive: never early (I2), no repetition without a cause (I3), nobody knocks at a locked door
//! (I4), the bytes are those that were published and the signature holds (I5), no id after a failed sync (I8). Checked
//! at the end: nothing acknowledged is missing, and nothing was given up before its time (I1).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// Time from the dial to the request that an attempt may need: it was admitted so long before it arrives.
const ON_THE_WAY_MS: u64 = 6_000;

/// A producer reads an answer so long after it was given, at most: it writes all that it has first, in pieces.
const ANSWER_ON_THE_WAY_MS: u64 = 5_000;

/// A message, as its producer knows it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) application: usize,
    pub(super) event_type: u8,
    pub(super) payload: Bytes,
    pub(super) event_id: Option<String>,
    /// Not to be sent before this moment of the wall clock.
    pub(super) deliver_at_ms: Option<u64>,
    /// When it was first handed over, and when it was acknowledged.
    pub(super) submitted_ms: u64,
    pub(super) acknowledged_ms: Option<u64>,
    /// Its id, as acknowledged or as received, whichever was first.
    pub(super) id: Option<String>,
    /// The endpoints that must get it, and those that may.
    pub(super) sure: BTreeSet<usize>,
    pub(super) perhaps: BTreeSet<usize>,
    pub(super) cancelled_ms: Option<u64>,
}

/// How a receiver answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// With success, whole and in time.
    Success,
    /// With success, but perhaps the engine did not get it.
    PerhapsSuccess,
    /// With a status that is a failure.
    Failure,
    /// With a wish to be left alone for so long.
    Patience(u64),
    /// In a way that is no answer.
    Nothing,
}

/// What came to an endpoint of one message.
#[derive(Debug, Default)]
struct Course {
    /// Life, and when its answer ended, of the latest success that the engine must have got.
    succeeded: Option<(u32, u64)>,
    perhaps_succeeded: bool,
    /// The latest failure, where it is known when the wait after it began.
    failed: Option<Failed>,
    resent_ms: Option<u64>,
    /// The receiver has once said when to come again, which may be sooner than the policy says.
    was_asked: bool,
    requests: u32,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    life: u32,
    life_began_ms: u64,
    at_ms: u64,
    /// The shortest wait after it.
    wait_ms: u64,
}

/// A run of failures is over when there was no result for so long: two windows of the lockout rule, at least.
const RUN_MS: u64 = 60_000;

/// What is known of the door of one endpoint, in this life.
#[derive(Debug, Default, Clone)]
struct Door {
    failures: u32,
    failed_ms: u64,
    locked_ms: Option<u64>,
}

/// What follows from the settings, for those who judge.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) lockout_failures: u32,
    pub(super) lockout_wait_ms: u64,
    /// What is reported is durable so long after it happened, while the disk is well.
    pub(super) stored_within_ms: u64,
    /// Per endpoint: all the waits of its retry policy together, at the shortest.
    pub(super) waits_ms: Vec<u64>,
}

/// The final state that a follower was told, and when.
#[derive(Debug)]
struct Told {
    state: String,
    at_ms: u64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) rules: Rules,
    pub(super) messages: Vec<Published>,
    courses: BTreeMap<(usize, usize), Course>,
    doors: BTreeMap<usize, Door>,
    life: u32,
    /// When lives began.
    began: Vec<u64>,
    /// When the wall clock was set.
    jumps: Vec<u64>,
    /// When lives ended without being asked to.
    deaths: Vec<u64>,
    /// From when to when the disk was not well.
    troubles: Vec<(u64, Option<u64>)>,
    /// When endpoints were disabled, removed or lost: what was pending for them may have ended.
    disturbed: BTreeMap<usize, Vec<u64>>,
    /// The final states that followers were told, by id and endpoint.
    told: BTreeMap<(String, usize), Told>,
    said: BTreeMap<(usize, usize), String>,
    pub(super) violations: Vec<String>,
    pub(super) requests: u64,
}

impl Account {
    fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    // ---- Lives and troubles

    pub(super) fn begins_life(&mut self, now: u64) {
        self.life += 1;
        self.began.push(now);
        self.doors.clear();
    }

    pub(super) fn dies(&mut self, now: u64) {
        self.deaths.push(now);
    }

    /// When the life of this moment began.
    fn life_at(&self, at: u64) -> u64 {
        self.began.iter().rfind(|began| **began <= at).copied().unwrap_or(0)
    }

    /// Somebody has set the wall clock, by which a new life goes.
    pub(super) fn clock_jumps(&mut self, now: u64) {
        self.jumps.push(now);
    }

    /// From now on what attempts came to may not reach the disk.
    pub(super) fn trouble_begins(&mut self, now: u64) {
        if self.troubles.last().is_none_or(|(_, until)| until.is_some()) {
            self.troubles.push((now, None));
        }
    }

    pub(super) fn trouble_ends(&mut self, now: u64) {
        if let Some((_, until @ None)) = self.troubles.last_mut() {
            *until = Some(now);
        }
    }

    fn is_trouble_between(&self, from: u64, to: u64) -> bool {
        self.troubles.iter().any(|(begin, end)| *begin <= to && end.is_none_or(|end| end >= from))
    }

    // ---- Operators

    /// What was pending for this endpoint may end from now on.
    pub(super) fn disturb(&mut self, endpoint: usize, now: u64) {
        self.disturbed.entry(endpoint).or_default().push(now);
        self.doors.remove(&endpoint);
    }

    pub(super) fn new_door(&mut self, endpoint: usize) {
        self.doors.remove(&endpoint);
    }

    pub(super) fn resent(&mut self, number: usize, endpoint: usize, now: u64) {
        self.courses.entry((number, endpoint)).or_default().resent_ms = Some(now);
    }

    // ---- Producers

    /// `sync_failed_ms`: since when the log holds less than it was told to.
    pub(super) fn acknowledged(&mut self, number: usize, id: &str, sync_failed_ms: Option<u64>, now: u64) {
        // One that was stored before may be answered again, if it is repeated under its event id.
        let since = self.messages[number].submitted_ms;
        if let Some(failed) = sync_failed_ms.filter(|failed| since > failed + ANSWER_ON_THE_WAY_MS) {
            self.violation(format!(
                "I8: message {number} was acknowledged at {now}; a sync of the log had failed at {failed}"
            ));
        }
        let message = &mut self.messages[number];
        message.acknowledged_ms.get_or_insert(now);
        match &message.id {
            Some(known) if known != id => {
                let what = format!("I5: message {number} was acknowledged as {id} and is known as {known}");
                self.violation(what);
            }
            _ => message.id = Some(id.to_owned()),
        }
    }

    /// A follower of outcomes was told. Perhaps before anybody knows which message that is.
    pub(super) fn told(&mut self, id: &str, endpoint: usize, state: &str, now: u64) {
        tracing::info!(id, endpoint, state, "simulation: told");
        if state != "pending" {
            self.told.insert((id.to_owned(), endpoint), Told { state: state.to_owned(), at_ms: now });
        }
    }

    fn told_of(&self, number: usize, endpoint: usize) -> Option<&Told> {
        let id = self.messages[number].id.clone()?;
        self.told.get(&(id, endpoint))
    }

    // ---- Receivers

    /// A request has come to an endpoint. Its id was read from the header.
    pub(super) fn arrived(&mut self, number: usize, endpoint: usize, id: &str, clock_ms: u64, now: u64) {
        tracing::info!(now, number, endpoint, id, "simulation: arrived");
        self.requests += 1;
        let message = &mut self.messages[number];
        if message.id.get_or_insert_with(|| id.to_owned()) != id {
            let known = message.id.clone();
            self.violation(format!("I5: message {number} came as {id} and is known as {known:?}"));
        }
        let message = &self.messages[number];
        if !message.sure.contains(&endpoint) && !message.perhaps.contains(&endpoint) {
            self.violation(format!("I5: endpoint {endpoint} got message {number}, which it does not want"));
        } else if message.deliver_at_ms.is_some_and(|at| clock_ms < at)
            && self.courses.get(&(number, endpoint)).is_none_or(|course| course.resent_ms.is_none())
        {
            let at = message.deliver_at_ms;
            self.violation(format!("I2: message {number} came at {clock_ms}, and not before {at:?}"));
        }
        self.check_repetition(number, endpoint, now);
        self.check_wait(number, endpoint, now);
        self.check_door(number, endpoint, now);
        self.courses.entry((number, endpoint)).or_default().requests += 1;
    }

    fn check_repetition(&mut self, number: usize, endpoint: usize, now: u64) {
        let Some(course) = self.courses.get(&(number, endpoint)) else { return };
        let Some((life, at)) = course.succeeded else { return };
        if course.resent_ms.is_some_and(|resent| resent >= at.saturating_sub(ON_THE_WAY_MS)) {
            return;
        }
        let was_told = course.resent_ms.is_none()
            && self.told_of(number, endpoint).is_some_and(|told| told.state == "delivered");
        if was_told || !self.may_be_lost(at) {
            let lives = (life, self.life);
            self.violation(format!(
                "I3: message {number} came to {endpoint} again at {now} after its success at {at} (lives {lives:?})"
            ));
        }
    }

    /// Whether what came of an attempt at this moment may never have reached the disk.
    fn may_be_lost(&self, at: u64) -> bool {
        let within = self.rules.stored_within_ms;
        self.deaths.iter().any(|death| (at..=at + within).contains(death))
            || self.is_trouble_between(at.saturating_sub(within), at + within)
    }

    fn check_wait(&mut self, number: usize, endpoint: usize, now: u64) {
        let Some(course) = self.courses.get(&(number, endpoint)) else { return };
        let Some(Failed { life, life_began_ms, at_ms: at, wait_ms: wait }) = course.failed else { return };
        let was_resent = course.resent_ms.is_some_and(|resent| resent >= at.saturating_sub(ON_THE_WAY_MS));
        // A later life knows of the wait what was stored, and measures it by the wall clock.
        let is_known =
            life == self.life || !self.may_be_lost(at) && self.jumps.iter().all(|jump| *jump < life_began_ms);
        if is_known && !was_resent && now < at + wait {
            let lives = (life, self.life);
            self.violation(format!(
                "I2: message {number} came to {endpoint} at {now}, {} ms after a failure; at least {wait} (lives \
                 {lives:?})",
                now - at
            ));
        }
    }

    fn check_door(&mut self, number: usize, endpoint: usize, now: u64) {
        let Some(locked) = self.doors.get(&endpoint).and_then(|door| door.locked_ms) else { return };
        let (from, to) =
            (locked + ON_THE_WAY_MS, locked + self.rules.lockout_wait_ms - ON_THE_WAY_MS - 1_000);
        if (from..to).contains(&now) {
            self.violation(format!(
                "I4: message {number} came to {endpoint} at {now}, locked out since {locked} for {} ms",
                self.rules.lockout_wait_ms
            ));
        }
    }

    /// The receiver has answered, or given up. `wait_ms`: no further attempt of this delivery before that.
    pub(super) fn answered(
        &mut self,
        number: usize,
        endpoint: usize,
        answer: Answered,
        wait_ms: u64,
        now: u64,
    ) {
        tracing::info!(now, number, endpoint, ?answer, "simulation: answered");
        let life = self.life;
        let life_began_ms = self.life_at(now);
        let failed = |wait_ms| Some(Failed { life, life_began_ms, at_ms: now, wait_ms });
        let course = self.courses.entry((number, endpoint)).or_default();
        let door = self.doors.entry(endpoint).or_default();
        match answer {
            Answered::Success => {
                course.succeeded = Some((life, now));
                *door = Door::default();
            }
            Answered::PerhapsSuccess => {
                course.perhaps_succeeded = true;
                *door = Door::default();
            }
            Answered::Failure => {
                course.failed = failed(wait_ms);
                if now > door.failed_ms + RUN_MS {
                    door.failures = 0;
                }
                (door.failures, door.failed_ms) = (door.failures + 1, now);
                if door.failures >= self.rules.lockout_failures {
                    door.locked_ms.get_or_insert(now);
                }
            }
            Answered::Patience(asked_ms) => {
                (course.failed, course.was_asked) = (failed(asked_ms), true);
            }
            // The engine may have given up before: when its wait began is not known.
            Answered::Nothing => course.failed = None,
        }
        // A probe that fails makes the wait longer; where it began is not seen from here.
        if door.locked_ms.is_some_and(|locked| now > locked + self.rules.lockout_wait_ms - ON_THE_WAY_MS) {
            *door = Door::default();
        }
    }

    // ---- The end

    fn is_excused(&self, number: usize, endpoint: usize) -> bool {
        let message = &self.messages[number];
        let since = message.submitted_ms;
        message.cancelled_ms.is_some()
            || self.disturbed.get(&endpoint).is_some_and(|times| times.iter().any(|at| *at >= since))
    }

    /// Deliveries that were promised and of which nobody has heard the end.
    pub(super) fn open(&self) -> Vec<(usize, usize)> {
        let mut open = Vec::new();
        for (number, message) in self.messages.iter().enumerate() {
            if message.acknowledged_ms.is_none() {
                continue;
            }
            for &endpoint in &message.sure {
                let course = self.courses.get(&(number, endpoint));
                let has_ended = course.is_some_and(|course| course.succeeded.is_some())
                    || self.told_of(number, endpoint).is_some();
                if !has_ended && !self.is_excused(number, endpoint) {
                    open.push((number, endpoint));
                }
            }
        }
        open
    }

    /// What the engine says of a delivery that is open.
    pub(super) fn said(&mut self, number: usize, endpoint: usize, what: String) {
        self.said.insert((number, endpoint), what);
    }

    /// Nothing acknowledged may be missing.
    pub(super) fn close(&mut self, now: u64) {
        for (number, endpoint) in self.open() {
            let requests = self.courses.get(&(number, endpoint)).map_or(0, |course| course.requests);
            let acknowledged = self.messages[number].acknowledged_ms;
            let said = self.said.get(&(number, endpoint)).cloned().unwrap_or_default();
            self.violation(format!(
                "I1: message {number}, acknowledged at {acknowledged:?}, never came to endpoint {endpoint} and nobody \
                 was told why ({requests} requests); it is {now}; the engine says {said}"
            ));
        }
        for number in 0..self.messages.len() {
            for endpoint in self.messages[number].sure.clone() {
                self.check_told(number, endpoint);
            }
        }
    }

    fn check_told(&mut self, number: usize, endpoint: usize) {
        let course = self.courses.get(&(number, endpoint));
        let has_come = course.is_some_and(|course| course.succeeded.is_some() || course.perhaps_succeeded);
        let has_own_waits = course.is_some_and(|course| course.resent_ms.is_some() || course.was_asked);
        let Some(told) = self.told_of(number, endpoint) else { return };
        let since = self.messages[number].submitted_ms;
        match told.state.as_str() {
            "delivered" if !has_come => self.violation(format!(
                "I1: message {number} was told as delivered to endpoint {endpoint}, which never got it"
            )),
            "cancelled" if !self.is_excused(number, endpoint) => self.violation(format!(
                "I1: message {number} to endpoint {endpoint} was cancelled, and nobody asked for it"
            )),
            // A new life goes by the wall clock: where that was set since the old one began, waits are over sooner.
            "exhausted"
                if told.at_ms < since + self.rules.waits_ms[endpoint]
                    && !has_own_waits
                    && !self.is_excused(number, endpoint)
                    && !self.jumps.iter().any(|jump| (self.life_at(since)..=told.at_ms).contains(jump)) =>
            {
                let (after, waits) = (told.at_ms - since, self.rules.waits_ms[endpoint]);
                self.violation(format!(
                    "I1: message {number} to endpoint {endpoint} was given up after {after} ms; its waits alone are {waits}"
                ));
            }
            _ => {}
        }
    }
}
