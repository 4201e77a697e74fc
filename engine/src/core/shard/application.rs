//! Applications that want only so many attempts a second, over all their endpoints: who waits for the pace.
//!
//! Endpoints that find no room in the pace stand in a line of their application, and the wheel brings it up when there
//! is room again. Who waited longest goes first; endpoints that come later stand behind.
//!
//! Invariant: as long as somebody waits, the wheel names the application, once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{APPLICATION_TOKEN, Body, Shard};
use crate::core::pace::PaceCell;
use crate::core::wheel::WHEEL_STEP_MS;

/// An application as its shard sees it.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) pace: Arc<PaceCell>,
    /// Endpoints that wait for their turn in its pace.
    waiting: VecDeque<u32>,
}

impl Application {
    pub(super) fn new(pace: Arc<PaceCell>) -> Self {
        Self { pace, waiting: VecDeque::new() }
    }
}

impl<B: Body, R> Shard<B, R> {
    /// Whether the application's pace lets this endpoint make an attempt now. If not, it stands in line for it.
    pub(super) fn is_in_pace(&mut self, slot: u32) -> bool {
        let endpoint = &mut self.endpoints[slot as usize];
        let (number, called) = (endpoint.application, std::mem::take(&mut endpoint.called_for_pace));
        let application = &mut self.applications[number as usize];
        let is_first = application.waiting.is_empty();
        if (called || is_first) && application.pace.room(self.now) > 0 {
            return true;
        }
        endpoint.listed = true;
        // One that was called has come too late: another shard, or another endpoint, took its place.
        if called {
            application.waiting.push_front(slot);
        } else {
            application.waiting.push_back(slot);
        }
        if is_first {
            self.await_pace(number);
        }
        false
    }

    /// There may be room in an application's pace again.
    pub(super) fn call_for_pace(&mut self, number: u32) {
        let application = &mut self.applications[number as usize];
        let room = application.pace.room(self.now).min(application.waiting.len());
        for slot in application.waiting.drain(..room).collect::<Vec<_>>() {
            let endpoint = &mut self.endpoints[slot as usize];
            (endpoint.listed, endpoint.called_for_pace) = (false, true);
            self.list(slot);
            self.reclaim(slot);
        }
        if !self.applications[number as usize].waiting.is_empty() {
            self.await_pace(number);
        }
    }

    fn await_pace(&mut self, number: u32) {
        let wait = self.applications[number as usize].pace.wait(self.now);
        // Those who were just called have not gone yet, so it may look as if there was room.
        let wait = wait.max(Duration::from_millis(WHEEL_STEP_MS));
        self.wheel.insert(self.now + wait, number | APPLICATION_TOKEN);
    }
}
