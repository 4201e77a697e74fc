//! Turns: who is served next, one attempt at a time.

use std::time::Duration;

use super::slots::Phase;
use super::{
    APPLICATION_TOKEN, Action, Body, ENDPOINT_TOKEN, EXPIRED_PER_TURN, PROBE_ELSEWHERE, Probes, Shard, Start,
};
use crate::core::delivery::Marks;
use crate::core::health::{Admit, HealthCell};
use crate::core::outcome::Outcome;

impl<B: Body, R> Shard<B, R> {
    /// Moves what is due from the wheel into the queues. Returns whether anything was.
    pub(super) fn expire(&mut self) -> bool {
        for turn in 0..EXPIRED_PER_TURN {
            let Some(token) = self.wheel.pop_due(self.now) else { return turn > 0 };
            if token & APPLICATION_TOKEN == APPLICATION_TOKEN {
                self.call_for_pace(token & !APPLICATION_TOKEN);
                continue;
            }
            if token & ENDPOINT_TOKEN != 0 {
                let slot = token & !ENDPOINT_TOKEN;
                self.endpoints[slot as usize].pauses -= 1;
                self.list(slot);
                self.reclaim(slot);
                continue;
            }
            match self.slots[token].phase {
                Phase::Waiting => {
                    self.slots[token].phase = Phase::Queued;
                    self.enqueue(token);
                }
                _ => self.drop_slot(token),
            }
        }
        true
    }

    /// Puts a delivery at the end of its endpoint's queue.
    pub(super) fn enqueue(&mut self, token: u32) {
        let delivery = &mut self.slots[token];
        let bytes = delivery.body.as_ref().map_or(0, Body::bytes);
        if self.body_bytes + bytes > self.settings.body_bytes_max {
            delivery.body = None;
        } else {
            self.body_bytes += bytes;
        }
        let endpoint = delivery.endpoint;
        self.endpoints[endpoint as usize].queue.push(&mut self.slots, token);
        self.list(endpoint);
    }

    /// Puts an endpoint in the line, if it has something to send and may.
    pub(super) fn list(&mut self, slot: u32) {
        let endpoint = &mut self.endpoints[slot as usize];
        if endpoint.wants_turn(self.now) {
            endpoint.listed = true;
            self.line.push_back(slot);
        }
    }

    /// An attempt has ended. Who waited for its room, or for what it found out, goes before its endpoint.
    pub(super) fn relist_after_end(&mut self, slot: u32, probes: Probes) {
        let host = self.endpoints[slot as usize].host;
        if probes.any() {
            while let Some(waiting) = self.hosts[host as usize].waiting_for_probe.pop_front() {
                self.endpoints[waiting as usize].listed = false;
                self.list(waiting);
            }
        }
        self.call_for_room(host);
        self.list(slot);
    }

    /// Gives room at a host to the endpoint that has waited for it longest. The room stays its own until its
    /// turn, or endpoints that come later could take it for ever.
    fn call_for_room(&mut self, host: u32) {
        let host = &mut self.hosts[host as usize];
        while host.has_room(self.settings.host_in_flight_max)
            && let Some(slot) = host.waiting_for_room.pop_front()
        {
            let endpoint = &mut self.endpoints[slot as usize];
            endpoint.listed = false;
            if endpoint.wants_turn(self.now) {
                endpoint.listed = true;
                endpoint.called = true;
                host.called += 1;
                self.line.push_back(slot);
            }
        }
    }

    /// One turn for the endpoint at the head of the line. Returns whether the line may go on.
    pub(super) fn serve(&mut self) -> bool {
        if self.in_flight >= self.settings.in_flight_max {
            return false;
        }
        let Some(slot) = self.next_in_line() else { return false };
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.listed = false;
        let host = endpoint.host;
        if std::mem::take(&mut endpoint.called) {
            self.hosts[host as usize].called -= 1;
        }
        self.turn(slot);
        self.call_for_room(host);
        true
    }

    /// Who waited for the half of the endpoints that are not prompt goes first, as long as it has room.
    fn next_in_line(&mut self) -> Option<u32> {
        let waited = if self.is_half_full() { None } else { self.line_not_prompt.pop_front() };
        waited.or_else(|| self.line.pop_front())
    }

    /// Whether endpoints that are not prompt have all the room they get.
    fn is_half_full(&self) -> bool {
        self.in_flight_not_prompt >= (self.settings.in_flight_max / 2).max(1)
    }

    fn turn(&mut self, slot: u32) {
        let Some(token) = self.head_of_queue(slot) else { return };
        let is_half_full = self.is_half_full();
        let endpoint = &mut self.endpoints[slot as usize];
        if !endpoint.wants_turn(self.now) {
            return;
        }
        if !endpoint.prompt && is_half_full {
            // One with an attempt in flight is listed when that ends, perhaps as a prompt one.
            if endpoint.in_flight == 0 {
                endpoint.listed = true;
                self.line_not_prompt.push_back(slot);
            }
            return;
        }
        let host = &mut self.hosts[endpoint.host as usize];
        if !host.has_room(self.settings.host_in_flight_max) {
            endpoint.listed = true;
            host.waiting_for_room.push_back(slot);
            return;
        }
        self.ask_health(slot, token);
    }

    /// The first live delivery of the endpoint's queue; dead ones are freed on the way.
    fn head_of_queue(&mut self, slot: u32) -> Option<u32> {
        loop {
            let token = self.endpoints[slot as usize].queue.head()?;
            if self.slots[token].phase == Phase::Queued {
                if self.gives_way(token) {
                    continue;
                }
                return Some(token);
            }
            self.endpoints[slot as usize].queue.pop(&self.slots);
            self.drop_slot(token);
        }
    }

    /// Both doors must be open.
    fn ask_health(&mut self, slot: u32, token: u32) {
        if self.slots[token].progress.marks.has(Marks::ELSEWHERE) {
            // It does not go to these doors.
            return self.ask_pace(slot, token);
        }
        let now = self.now;
        let endpoint = &mut self.endpoints[slot as usize];
        let (url, host) = (&endpoint.settings.url_health, &endpoint.settings.host_health);
        let shut = match (url.peek(now), host.peek(now)) {
            (Admit::Refuse { .. }, _) => Some((url.is_probing(now), Outcome::UrlLockedOut)),
            (_, Admit::Refuse { .. }) => Some((host.is_probing(now), Outcome::HostLockedOut)),
            _ => None,
        };
        match shut {
            None => self.ask_pace(slot, token),
            // A probe is under way: what it finds decides for the others, who wait for it.
            Some((true, _)) if self.hosts[endpoint.host as usize].probes == 0 => {
                self.pause(slot, PROBE_ELSEWHERE);
            }
            Some((true, _)) => {
                endpoint.listed = true;
                self.hosts[endpoint.host as usize].waiting_for_probe.push_back(slot);
            }
            Some((false, outcome)) => {
                self.take_from_queue(slot);
                self.conclude(token, outcome, Duration::ZERO, None);
                self.list(slot);
            }
        }
    }

    /// The endpoint's own pace and that of its application. What is refused at a door does not count in them.
    fn ask_pace(&mut self, slot: u32, token: u32) {
        let pace = &self.endpoints[slot as usize].settings.pace;
        let wait = pace.as_ref().map_or(Duration::ZERO, |pace| pace.wait(self.now));
        if !wait.is_zero() {
            self.pause(slot, wait);
        } else if self.is_in_pace(slot) {
            let elsewhere = self.slots[token].progress.marks.has(Marks::ELSEWHERE);
            let probes = if elsewhere { Probes::default() } else { self.pass_doors(slot) };
            self.start(slot, token, probes);
        }
    }

    /// Nothing is in the way any more; neither probe is spent before.
    fn pass_doors(&self, slot: u32) -> Probes {
        let settings = &self.endpoints[slot as usize].settings;
        let goes_as_probe = |health: &HealthCell, rule| health.admit(self.now, rule) == Admit::GoAsProbe;
        Probes {
            url: goes_as_probe(&settings.url_health, &self.settings.url_lockout),
            host: goes_as_probe(&settings.host_health, &self.settings.host_lockout),
        }
    }

    pub(super) fn take_from_queue(&mut self, slot: u32) -> Option<B> {
        let endpoint = &mut self.endpoints[slot as usize];
        let token = endpoint.queue.pop(&self.slots)?;
        let delivery = &mut self.slots[token];
        delivery.revision = endpoint.settings.revision;
        let body = delivery.body.take();
        self.body_bytes -= body.as_ref().map_or(0, Body::bytes);
        body
    }

    fn start(&mut self, slot: u32, token: u32, probes: Probes) {
        let body = self.take_from_queue(slot);
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.in_flight += 1;
        self.applications[endpoint.application as usize].pace.spend(self.now);
        if let Some(pace) = &endpoint.settings.pace {
            pace.spend(self.now);
        }
        let host = &mut self.hosts[endpoint.host as usize];
        host.in_flight += 1;
        host.probes += u32::from(probes.any());
        self.in_flight += 1;
        let delivery = &mut self.slots[token];
        delivery.phase = Phase::InFlight;
        delivery.probes = probes;
        delivery.count_prompt(endpoint.prompt);
        if !endpoint.prompt {
            self.in_flight_not_prompt += 1;
        }
        self.actions.push_back(Action::Start(Start {
            token,
            key: delivery.key(endpoint),
            message_at: delivery.message_at,
            body,
        }));
        self.list(slot);
    }
}
