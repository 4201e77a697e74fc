//! What a shard remembers of an endpoint and of a host: who waits, how many are under way, how wide the
//! window is.

use std::collections::VecDeque;
use std::sync::Arc;

use super::slots::{NONE, Slots};
use super::{EndpointSettings, Gone};
use crate::core::outcome::Outcome;
use crate::core::tick::Tick;

/// Attempts in flight an endpoint may have before it has shown what it can take.
const WINDOW_FIRST: u16 = 8;

/// Deliveries of one endpoint that are due, first come first served. Linked through the slots, so that a
/// queue of a million costs nothing beside them.
#[derive(Debug)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }
}

impl Queue {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    pub(super) fn push<B>(&mut self, slots: &mut Slots<B>, token: u32) {
        slots[token].next = NONE;
        match self.tail {
            NONE => self.head = token,
            tail => slots[tail].next = token,
        }
        self.tail = token;
        self.len += 1;
    }

    pub(super) fn pop<B>(&mut self, slots: &Slots<B>) -> Option<u32> {
        let token = self.head()?;
        self.head = slots[token].next;
        if self.head == NONE {
            self.tail = NONE;
        }
        self.len -= 1;
        Some(token)
    }
}

/// An endpoint as its shard sees it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) settings: EndpointSettings,
    /// Its host, by number in the shard.
    pub(super) host: u32,
    /// Its application, by number in the shard.
    pub(super) application: u32,
    pub(super) queue: Queue,
    pub(super) in_flight: u32,
    /// Slots that name it: queued, waiting, in flight, or dead and not yet freed.
    pub(super) held: u32,
    window: u16,
    /// Whether its last attempt was answered promptly.
    pub(super) prompt: bool,
    /// Whether it stands in a line, of the shard, of its host or of its application. Then its queue is not empty.
    pub(super) listed: bool,
    /// Whether room at its host is kept for it until its turn.
    pub(super) called: bool,
    /// Whether its application's pace has room for it, if nobody else takes it before its turn.
    pub(super) called_for_pace: bool,
    /// Nothing is sent before: the receiver asked for patience, or wants nothing more.
    pub(super) paused_until: Tick,
    /// Pauses the wheel still names.
    pub(super) pauses: u32,
    /// Set when it is no more, with what becomes of its deliveries.
    pub(super) gone: Option<Gone>,
}

impl Endpoint {
    pub(super) fn new(settings: EndpointSettings, host: u32, application: u32) -> Self {
        let window = WINDOW_FIRST.min(settings.in_flight_max).max(1);
        Self {
            settings,
            host,
            application,
            queue: Queue::default(),
            in_flight: 0,
            held: 0,
            window,
            prompt: false,
            listed: false,
            called: false,
            called_for_pace: false,
            paused_until: Tick::ZERO,
            pauses: 0,
            gone: None,
        }
    }

    /// Whether these settings lead to the same URL and host, as far as health goes.
    pub(super) fn has_same_doors(&self, settings: &EndpointSettings) -> bool {
        self.settings.host == settings.host
            && Arc::ptr_eq(&self.settings.url_health, &settings.url_health)
            && Arc::ptr_eq(&self.settings.host_health, &settings.host_health)
    }

    /// New settings for the same doors.
    pub(super) fn change(&mut self, settings: EndpointSettings) {
        self.window = self.window.min(settings.in_flight_max).max(1);
        self.settings = settings;
    }

    /// Whether it should stand in line: it has something to send, room to send it, and is not there yet.
    pub(super) fn wants_turn(&self, now: Tick) -> bool {
        !self.listed
            && self.queue.len() > 0
            && self.in_flight < u32::from(self.window)
            && self.paused_until <= now
    }

    /// The window widens while the endpoint answers and halves when it does not.
    pub(super) fn learn_window(&mut self, outcome: Outcome, within_prompt: bool) {
        if !outcome.is_sent() {
            return;
        }
        let answered = outcome.status().is_some();
        self.prompt = answered && within_prompt;
        let patience = matches!(outcome, Outcome::RetryAfter { .. });
        if answered && !patience {
            self.window = self.window.saturating_add(1).min(self.settings.in_flight_max).max(1);
        } else {
            self.window = (self.window / 2).max(1);
        }
    }
}

/// A host as its shard sees it.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) in_flight: u32,
    /// Attempts in flight that are probes, of the host or of a URL on it.
    pub(super) probes: u32,
    /// Endpoints in line for which room is kept.
    pub(super) called: u32,
    /// Endpoints that wait until fewer attempts are in flight.
    pub(super) waiting_for_room: VecDeque<u32>,
    /// Endpoints that wait until a probe comes back.
    pub(super) waiting_for_probe: VecDeque<u32>,
}

impl Host {
    /// Whether there is room that is not kept for anybody.
    pub(super) fn has_room(&self, in_flight_max: u32) -> bool {
        self.in_flight + self.called < in_flight_max
    }
}
