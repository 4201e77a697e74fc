//! Endpoints and messages that come, change and go.

use std::sync::Arc;

use posthaste_storage::Position;

use super::application::Application;
use super::endpoint::{Endpoint, Host};
use super::slots::{Delivery, Phase};
use super::{Action, Body, EndpointSettings, Gone, Home, MEMBERS_MAX, Parked, Settled, Shard};
use crate::core::delivery::{DeliveryState, Marks};
use crate::core::ids::{ApplicationId, EndpointId, MessageId};
use crate::core::pace::PaceCell;
use crate::core::tick::Tick;

impl<B: Body, R> Shard<B, R> {
    pub(super) fn endpoint(&mut self, settings: EndpointSettings) {
        let id = settings.id;
        if let Some(&slot) = self.endpoint_by_id.get(&id) {
            let endpoint = &mut self.endpoints[slot as usize];
            if endpoint.has_same_doors(&settings) {
                endpoint.change(settings);
                return self.list(slot);
            }
            // Attempts in flight knock at the old doors, whose health and room they belong to. So the old
            // endpoint stays until they have ended, and the new one begins with nothing.
            self.endpoint_gone(id, Gone::Moved);
        }
        let host = self.host(settings.host);
        let application = self.application(settings.application, &settings.application_pace);
        let slot = self.add_endpoint(Endpoint::new(settings, host, application));
        self.endpoint_by_id.insert(id, slot);
    }

    fn add_endpoint(&mut self, endpoint: Endpoint) -> u32 {
        if let Some(slot) = self.endpoints_free.pop() {
            self.endpoints[slot as usize] = endpoint;
            return slot;
        }
        let slot = self.endpoints.len() as u32;
        assert!(slot < MEMBERS_MAX, "a shard holds fewer than 2^30 endpoints");
        self.endpoints.push(endpoint);
        slot
    }

    fn host(&mut self, hash: u64) -> u32 {
        let hosts = &mut self.hosts;
        *self.host_by_hash.entry(hash).or_insert_with(|| {
            hosts.push(Host::default());
            hosts.len() as u32 - 1
        })
    }

    fn application(&mut self, id: ApplicationId, pace: &Arc<PaceCell>) -> u32 {
        let applications = &mut self.applications;
        *self.application_by_id.entry(id).or_insert_with(|| {
            applications.push(Application::new(pace.clone()));
            let number = applications.len() as u32 - 1;
            assert!(number < MEMBERS_MAX, "a shard holds fewer than 2^30 applications");
            number
        })
    }

    pub(super) fn endpoint_gone(&mut self, id: EndpointId, gone: Gone) {
        let Some(slot) = self.endpoint_by_id.remove(&id) else { return };
        let mut tokens = self.slots.of_endpoint(slot);
        // Those that must not pass each other are handed on in their order.
        tokens.sort_unstable_by_key(|token| self.slots[*token].message());
        tokens.into_iter().for_each(|token| self.part_with(token, gone));
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.gone = Some(gone);
        // What its queue names is dead; a last turn frees it.
        endpoint.paused_until = Tick::ZERO;
        self.list(slot);
        self.reclaim(slot);
    }

    pub(super) fn cancel(&mut self, message: MessageId) {
        for token in self.slots.of_message(message) {
            self.slots[token].take_back();
            self.part_with(token, Gone::Ended(DeliveryState::Cancelled));
        }
    }

    /// Gives up a delivery that is not in flight. (One in flight is concluded when its attempt ends.)
    fn part_with(&mut self, token: u32, gone: Gone) {
        let delivery = &mut self.slots[token];
        if !matches!(delivery.phase, Phase::Queued | Phase::Waiting | Phase::Held) {
            return;
        }
        let endpoint = &self.endpoints[delivery.endpoint as usize];
        let (key, application, home) =
            (delivery.key(endpoint), endpoint.settings.application, delivery.home());
        self.actions.push_back(match gone {
            Gone::Ended(state) => {
                let (message_at, progress) = (delivery.message_at, delivery.progress);
                Action::Settle(Settled { key, application, message_at, progress, state, home })
            }
            Gone::Moved => Action::Park(Parked {
                key,
                application,
                message_at: delivery.message_at,
                progress: delivery.progress,
                due: parked_due(delivery),
                home,
                forgotten: true,
            }),
        });
        self.abandon(token);
    }

    /// Gives up the slot of a delivery that is not in flight. Where the queue or the wheel still names it, it is freed
    /// when they come to it.
    pub(super) fn abandon(&mut self, token: u32) {
        let delivery = &mut self.slots[token];
        match delivery.phase {
            Phase::Held => return self.drop_slot(token),
            Phase::Queued => self.body_bytes -= delivery.body.take().map_or(0, |body| body.bytes()),
            _ => {}
        }
        delivery.phase = Phase::Dead;
        self.leave_lane(token);
    }

    pub(super) fn remember_before(&mut self, position: Position) {
        let at_risk = |slot: &Delivery<B>| {
            matches!(slot.phase, Phase::Queued | Phase::Waiting | Phase::Held)
                && slot.message_at < position
                && slot.home() != Home::Ledger
        };
        for token in self.slots.find(at_risk) {
            let delivery = &mut self.slots[token];
            let endpoint = &self.endpoints[delivery.endpoint as usize];
            self.actions.push_back(Action::Park(Parked {
                key: delivery.key(endpoint),
                application: endpoint.settings.application,
                message_at: delivery.message_at,
                progress: delivery.progress,
                due: parked_due(delivery),
                home: delivery.home(),
                forgotten: false,
            }));
            delivery.set_home(Home::Ledger);
        }
    }
}

/// When the ledger is to hand a delivery out again. One that must not pass others at once: a shard holds all of those,
/// and learns from the log when each is due.
fn parked_due<B>(delivery: &Delivery<B>) -> Tick {
    if delivery.progress.marks.has(Marks::ORDERED) { Tick::ZERO } else { delivery.due }
}
