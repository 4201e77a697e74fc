//! Telling: what follows from a block that is durable.
//!
//! In this order: deliveries to the shards, answers to publishers, updates to the ledger, and a word to those
//! who follow outcomes.

use posthaste_storage::Position;
use posthaste_storage::catalog::CatalogChange;
use posthaste_storage::ledger::{Standing, Update};

use super::carry::StagedCarry;
use super::stage::{StagedCancel, StagedChange, StagedEvent, StagedPublish, Stored};
use super::{Block, Event, Writer};
use crate::alerts::{Ended, Heard};
use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::core::shard::{AttemptEnded, Home, Incoming, Parked, Settled};
use crate::core::tick::Tick;
use crate::delivery::Ended as Report;
use crate::keeper::{DUE_MS_ORDERED, Hold, LedgerUpdate, lane};
use crate::message::Message;
use crate::publish::Extras;
use crate::shard::ShardBatches;
use crate::traces::Accepted;

impl Writer {
    pub(super) fn tell(&mut self, block: Block) {
        let mut batches = self.shards.batches();
        for publish in block.publishes {
            self.tell_publish(publish, &mut batches);
        }
        let extras = block.extras.into_iter().map(|extra| self.tell_extra(extra, &mut batches));
        let extras: Vec<LedgerUpdate> = extras.collect();
        self.shards.put_batches(batches);
        self.tell_changes(block.changes);
        let cancelled = block.cancels.into_iter().map(|cancel| self.tell_cancel(cancel)).collect::<Vec<_>>();
        block.extra_answers.into_iter().for_each(|answer| answer.tell(Ok(())));
        let mut updates = self.tell_events(block.events);
        updates.extend(extras);
        updates.extend(block.carried.into_iter().flat_map(StagedCarry::updates));
        if !updates.is_empty() || !cancelled.is_empty() {
            self.send_to_keeper(updates, cancelled);
        }
        self.note_oldest();
        self.fresh_from.set(self.low_water());
    }

    fn tell_publish(&mut self, publish: StagedPublish, batches: &mut ShardBatches) {
        self.metrics.accepted.inc_by(publish.stored.len() as u64);
        let traced = self.tracer.as_ref().map(|tracer| tracer.begin(publish.stored.iter().map(for_traces)));
        for stored in publish.stored {
            self.hand_out(stored, batches);
        }
        let refused = publish.answers.iter().filter(|answer| answer.is_err()).count();
        self.metrics.refused.inc_by(refused as u64);
        // A publisher that has gone will publish again, and its event id will tell.
        let _ = publish.reply.send(publish.answers);
        if let (Some(tracer), Some(traced)) = (&self.tracer, traced) {
            tracer.answered(traced, self.clock.now_us());
        }
    }

    fn hand_out(&mut self, stored: Stored, batches: &mut ShardBatches) {
        let Stored { id, at, message } = stored;
        if message.endpoints.is_empty() {
            return;
        }
        let id = MessageId(id);
        self.metrics.pending.inc_by(message.endpoints.len() as i64);
        self.state.ages.add(id.0, message.endpoints.len() as u64);
        let home = Home::Log(self.state.fresh.push(at, message.endpoints.len() as u32));
        let extras = message.extras.as_deref();
        let url = extras.and_then(|extras| extras.url.clone());
        let marks = marks(extras);
        let key = extras.and_then(|extras| extras.ordering_key.as_deref());
        let lane = lane(message.application, key);
        let due = extras.and_then(|extras| extras.due_ms).map_or(Tick::ZERO, Tick::from_ms);
        let body = Message::new(id, message.content_type.as_deref(), &message.payload, url);
        for endpoint in message.endpoints {
            let key = DeliveryKey { message: id, endpoint };
            let chained = extras.is_some_and(|extras| extras.chains.contains(&endpoint.as_u64()));
            let incoming = Incoming {
                key,
                application: message.application,
                message_at: at,
                progress: Progress { marks: marks.with(Marks::CHAINED, chained), ..Progress::default() },
                due,
                lane,
                home,
                replaces: false,
                body: Some(body.clone()),
            };
            self.state.hand_out(batches, &self.shards, incoming);
        }
    }

    /// All changes of the block at once: the copy must not claim to be complete up to the end with half of them.
    fn tell_changes(&mut self, staged: Vec<StagedChange>) {
        if staged.is_empty() {
            return;
        }
        let changes = staged.iter().flat_map(|staged| staged.changes.iter().zip(&staged.positions));
        let changes: Vec<CatalogChange<'_>> = changes
            .map(|(change, at)| CatalogChange { key: &change.key, value: change.value.as_deref(), at: *at })
            .collect();
        self.apply_to_catalog(&changes);
        for reply in staged.into_iter().filter_map(|staged| staged.reply) {
            // Whoever asked may have gone; then there is nobody to tell.
            let _ = reply.send(Ok(()));
        }
    }

    fn tell_cancel(&mut self, StagedCancel { cancel, at }: StagedCancel) -> (MessageId, Position) {
        self.state.cancelled.insert(cancel.message, self.state.surveying);
        self.shards.cancel(cancel.message);
        let _ = cancel.reply.send(Ok(()));
        (cancel.message, at)
    }

    /// Returns what follows for the ledger.
    fn tell_events(&mut self, events: Vec<StagedEvent>) -> Vec<LedgerUpdate> {
        self.outcomes.written();
        let mut updates = Vec::new();
        let mut stored = vec![0; self.shards.len()];
        self.note_vitals(&events);
        let mut ended_ones = Vec::with_capacity(events.len());
        for StagedEvent { shard, at, event } in events {
            if let Some(shard) = shard {
                stored[shard] += 1;
            }
            let taken_back = self.state.cancelled.is_held(&event);
            let update = match event {
                Event::Ended(ended) => {
                    ended_ones.push(for_alerts(&ended));
                    if let Some(tracer) = &self.tracer {
                        tracer.attempted(&ended, at);
                    }
                    self.tell_ended(&ended, at)
                }
                Event::Parked(parked) => self.tell_parked(&parked, at),
                Event::Settled(settled) => self.tell_settled(&settled, at),
            };
            // The shard has yet to hear that the message was taken back. It will end the delivery then.
            let update = update.filter(|_| !taken_back);
            updates.extend(update.map(|update| LedgerUpdate {
                update,
                hold: if shard.is_some() { Hold::Shard } else { Hold::Nobody },
            }));
        }
        self.outcomes.publish();
        self.shards.stored(&stored);
        if !ended_ones.is_empty() {
            self.ear.hear(Heard::Ended(ended_ones));
        }
        updates
    }

    fn note_vitals(&self, events: &[StagedEvent]) {
        let (now, mut vitals) = (self.clock.now(), self.vitals.lock());
        for staged in events {
            // What came from a URL that the message brought along says nothing about the endpoint.
            if let Event::Ended(ended) = &staged.event
                && !ended.progress.marks.has(Marks::ELSEWHERE)
            {
                let took_us = ended.report.as_ref().map_or(0, |report| report.timing.total_us);
                vitals.note(ended.key.endpoint, now, ended.outcome, took_us);
            }
        }
    }

    fn tell_ended(&mut self, ended: &AttemptEnded<Report>, at: Position) -> Option<Update> {
        self.metrics.attempt(ended.outcome);
        if let Some(report) = &ended.report {
            self.metrics.attempt_seconds.observe(f64::from(report.timing.total_us) / 1e6);
        }
        self.outcomes.note(ended.application);
        if ended.state.is_final() {
            return self.tell_final(ended.key, ended.home, ended.state, at);
        }
        self.leave_log(ended.home);
        let to = Standing::Pending {
            application: ended.application.as_u64(),
            message_at: ended.message_at,
            attempts: ended.progress.to_u16(),
            due_ms: if ended.progress.marks.has(Marks::ORDERED) {
                DUE_MS_ORDERED
            } else {
                ended.next_attempt.unwrap_or_default().as_ms()
            },
            forgotten: ended.forgotten,
        };
        Some(update(ended.key, at, to))
    }

    fn tell_parked(&mut self, parked: &Parked, at: Position) -> Option<Update> {
        self.leave_log(parked.home);
        let to = Standing::Pending {
            application: parked.application.as_u64(),
            message_at: parked.message_at,
            attempts: parked.progress.to_u16(),
            due_ms: parked.due.as_ms(),
            forgotten: parked.forgotten,
        };
        Some(update(parked.key, at, to))
    }

    fn tell_settled(&mut self, settled: &Settled, at: Position) -> Option<Update> {
        self.metrics.attempt(Outcome::Withdrawn);
        self.outcomes.note(settled.application);
        self.tell_final(settled.key, settled.home, settled.state, at)
    }

    fn tell_final(
        &mut self,
        key: DeliveryKey,
        home: Home,
        state: DeliveryState,
        at: Position,
    ) -> Option<Update> {
        match state {
            DeliveryState::Delivered => self.metrics.delivered.inc(),
            DeliveryState::Exhausted => self.metrics.exhausted.inc(),
            DeliveryState::Cancelled | DeliveryState::Pending => self.metrics.cancelled.inc(),
        };
        self.metrics.pending.dec();
        self.state.ages.end(key.message.0);
        self.leave_log(home);
        (home == Home::Ledger).then_some(update(key, at, Standing::Settled))
    }

    /// The log is not the only one to remember this delivery any more.
    fn leave_log(&mut self, home: Home) {
        if let Home::Log(place) = home {
            self.state.fresh.count_down(place);
        }
    }
}

/// What is special about the deliveries of a message.
fn marks(extras: Option<&Extras>) -> Marks {
    let Some(extras) = extras else { return Marks::NONE };
    Marks::NONE
        .with(Marks::ELSEWHERE, extras.url.is_some())
        .with(Marks::ORDERED, extras.ordering_key.is_some())
}

fn for_traces(stored: &Stored) -> Accepted<'_> {
    let message = &stored.message;
    Accepted {
        message: MessageId(stored.id),
        application: message.application,
        event_type: &message.event_type,
        payload_bytes: message.payload.len(),
        deliveries: message.endpoints.len(),
    }
}

fn for_alerts(ended: &AttemptEnded<Report>) -> Ended {
    Ended {
        endpoint: ended.key.endpoint,
        message: ended.key.message,
        outcome: ended.outcome,
        state: ended.state,
        elsewhere: ended.progress.marks.has(Marks::ELSEWHERE),
    }
}

fn update(key: DeliveryKey, at: Position, to: Standing) -> Update {
    Update { message: key.message.0, endpoint: key.endpoint.as_u64(), at, to }
}
