//! Staging: from jobs to records in the log's block.

use tokio::time::Instant;

use posthaste_storage::log::{AppendError, BATCH_BYTES_MAX};
use posthaste_storage::record::{
    Attempt, Change as ChangeRecord, Course, Extras as ExtrasRecord, Message as MessageRecord,
    Parked as ParkedRecord, Record, Settled as SettledRecord, event_hash,
};
use posthaste_storage::{EntryId, Position};
use tokio::sync::oneshot;

use super::{Block, Cancel, Event, Job, Known, PublishReply, Writer};
use crate::catalog::{Change, CommitError};
use crate::core::delivery::{DeliveryState, Marks, Trigger};
use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::core::shard::{AttemptEnded, Parked, Settled};
use crate::delivery::Ended as Report;
use crate::publish::{Admitted, Extras, PublishError};

/// A batch of publishes whose records are in the block.
pub(super) struct StagedPublish {
    pub(super) answers: Vec<Result<MessageId, PublishError>>,
    pub(super) stored: Vec<Stored>,
    pub(super) reply: PublishReply,
}

/// A message whose record is in the block.
pub(super) struct Stored {
    pub(super) id: EntryId,
    pub(super) at: Position,
    pub(super) message: Admitted,
}

/// A catalog change whose records are in the block.
pub(super) struct StagedChange {
    pub(super) changes: Vec<Change>,
    pub(super) positions: Vec<Position>,
    pub(super) reply: Option<ChangeReply>,
}

/// Whom to tell what came of a change.
type ChangeReply = oneshot::Sender<Result<(), CommitError>>;

/// A cancellation whose record is in the block.
pub(super) struct StagedCancel {
    pub(super) cancel: Cancel,
    pub(super) at: Position,
}

/// A report whose record is in the block.
pub(super) struct StagedEvent {
    /// The shard that made it, whose count of unstored reports it is in.
    pub(super) shard: Option<usize>,
    pub(super) at: Position,
    pub(super) event: Event,
}

impl Writer {
    pub(super) fn stage(&mut self, job: Job, block: &mut Block) {
        match job {
            Job::Publish { messages, reply } => self.stage_publishes(messages, reply, block),
            Job::Change { changes, reply } => self.stage_change(changes, reply, block),
            Job::Report { shard, events } => {
                events.into_iter().for_each(|event| self.stage_event(Some(shard), event, block));
            }
            Job::Settle(settled) => {
                settled.into_iter().for_each(|one| self.stage_event(None, Event::Settled(one), block));
            }
            Job::Cancel(cancel) => self.stage_cancel(cancel, block),
            Job::Erase(erase) => self.erase(erase, block),
            Job::Deliver { deliveries, reply } => self.stage_extras(deliveries, reply, block),
            Job::Carry(pending) => self.state.carrying = Some(pending.into()),
            Job::Stop => self.state.stopping = true,
        }
    }

    /// Stages what was held back, before anything newer. After a disk that took nothing, not at once.
    pub(super) fn stage_held(&mut self, block: &mut Block) {
        if self.state.blocked_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.state.blocked_until = None;
        for (shard, event) in std::mem::take(&mut self.state.held) {
            self.stage_event(shard, event, block);
        }
    }

    fn stage_publishes(&mut self, messages: Vec<Admitted>, reply: PublishReply, block: &mut Block) {
        let mut answers = Vec::with_capacity(messages.len());
        let mut stored = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(self.stage_publish(message, &mut stored));
        }
        block.publishes.push(StagedPublish { answers, stored, reply });
    }

    fn stage_publish(
        &mut self,
        message: Admitted,
        stored: &mut Vec<Stored>,
    ) -> Result<MessageId, PublishError> {
        let key =
            message.event_id.as_deref().map(|event_id| event_hash(message.application.as_u64(), event_id));
        if let Some(first) = key.and_then(|key| self.event_ids.find(key)) {
            let first_id = MessageId(first.message);
            if first.digest == message.digest {
                return Ok(first_id);
            }
            let event_id = message.event_id.as_deref().unwrap_or_default().into();
            return Err(PublishError::Conflict { event_id, first: first_id });
        }
        if self.state.poisoned {
            return Err(PublishError::LogPoisoned);
        }
        if self.state.full {
            return Err(PublishError::Full);
        }
        let id = self.log.next_id(self.clock.now().as_ms());
        let endpoints: Vec<u64> = message.endpoints.iter().map(|endpoint| endpoint.as_u64()).collect();
        let channels: Vec<&str> = message.channels.iter().map(AsRef::as_ref).collect();
        let own_url = message.extras.as_ref().and_then(|extras| extras.url.as_ref());
        let sealed = own_url.and_then(|url| url.sealed_secret(MessageId(id), &self.keyring));
        let mut packed = Vec::new();
        let record = MessageRecord {
            id,
            application: message.application.as_u64(),
            event_type: &message.event_type,
            event_id: message.event_id.as_deref(),
            content_type: message.content_type.as_deref(),
            extras: extras_record(message.extras.as_deref(), sealed.as_deref()).pack(&mut packed),
            channels: channels.as_slice().into(),
            digest: message.digest,
            endpoints: endpoints.as_slice().into(),
            payload: &message.payload,
            erased: false,
        };
        let at = self.log.append(&Record::Message(record)).map_err(append_error)?;
        if let Some(key) = key {
            self.event_ids.remember(key, Known { message: id, digest: message.digest });
        }
        stored.push(Stored { id, at, message });
        Ok(MessageId(id))
    }

    /// Stages changes, all of them or none.
    fn stage_change(&mut self, changes: Vec<Change>, reply: ChangeReply, block: &mut Block) {
        let bytes = changes.iter().map(record_bytes_max).sum();
        self.make_room(bytes, block);
        let refusal = match self.state.poisoned {
            true => CommitError::Poisoned,
            false if self.state.full => CommitError::Full,
            false if bytes > BATCH_BYTES_MAX as usize => {
                tracing::error!(
                    bytes,
                    max = BATCH_BYTES_MAX,
                    "a change of the catalog is too large for a batch"
                );
                CommitError::Full
            }
            false => return self.stage_changes(changes, Some(reply), block),
        };
        // Whoever asked may have gone; then there is nobody to tell.
        let _ = reply.send(Err(refusal));
    }

    /// Stages changes that fit the block. They may use the space that is kept back from publishers.
    pub(super) fn stage_changes(
        &mut self,
        changes: Vec<Change>,
        reply: Option<ChangeReply>,
        block: &mut Block,
    ) {
        let append = |change: &Change| {
            self.log
                .append(&Record::Change(ChangeRecord { key: &change.key, value: change.value.as_deref() }))
        };
        match changes.iter().map(append).collect() {
            Ok(positions) => block.changes.push(StagedChange { changes, positions, reply }),
            Err(error) => {
                // Only a log that stopped refuses what fits; then nothing of the block is committed.
                self.stop_accepting(&error);
                if let Some(reply) = reply {
                    let _ = reply.send(Err(CommitError::Poisoned));
                }
            }
        }
    }

    /// Stages what a shard or the keeper reports, behind whatever was reported before.
    pub(super) fn stage_event(&mut self, shard: Option<usize>, event: Event, block: &mut Block) {
        self.make_room(1, block);
        if self.state.poisoned {
            return;
        }
        if !self.state.held.is_empty() {
            return self.state.held.push_back((shard, event));
        }
        let event = self.state.cancelled.end(event);
        let taken_back = self.state.cancelled.is_held(&event);
        let now_ms = self.clock.now().as_ms();
        let staged = match &event {
            Event::Ended(ended) => {
                let mut record = attempt_record(self.log.next_id(now_ms), ended);
                if taken_back {
                    (record.state, record.next_attempt_ms) = (DeliveryState::Cancelled.code(), 0);
                }
                self.log.append(&Record::Attempt(record))
            }
            Event::Parked(parked) if taken_back => {
                self.log.append(&Record::Settled(taken_back_record(parked, now_ms)))
            }
            Event::Parked(parked) => self.log.append(&Record::Parked(parked_record(parked))),
            Event::Settled(settled) => {
                let id = self.log.next_id(now_ms);
                let why = self.shards.places.why_not(settled.key.endpoint);
                self.log.append(&Record::Attempt(withdrawn_record(id, settled, now_ms, why)))
            }
        };
        let next = self.next_of_chain(&event);
        match staged {
            Ok(at) => {
                block.events.push(StagedEvent { shard, at, event });
                if let Some(next) = next {
                    self.stage_extra(next, block);
                }
            }
            Err(error) => tracing::error!(%error, "a report cannot be stored"),
        }
    }

    pub(super) fn stage_cancel(&mut self, cancel: Cancel, block: &mut Block) {
        self.make_room(1, block);
        let record = SettledRecord {
            message: cancel.message.0,
            application: cancel.application.as_u64(),
            endpoint: 0,
            state: DeliveryState::Cancelled.code(),
            at_ms: self.clock.now().as_ms(),
        };
        match self.log.append(&Record::Settled(record)) {
            Ok(at) => block.cancels.push(StagedCancel { cancel, at }),
            Err(error) => {
                self.stop_accepting(&error);
                let _ = cancel.reply.send(Err(CommitError::Poisoned));
            }
        }
        // At once: what is reported from now on must know whether the message is taken back.
        self.commit(std::mem::take(block));
    }

    /// Answers everybody in a block that did not become durable, and gives back what is to be tried again.
    pub(super) fn refuse(
        &mut self,
        block: Block,
        publish: &PublishError,
        change: CommitError,
    ) -> Vec<(Option<usize>, Event)> {
        let new_ids = block.publishes.iter().flat_map(|staged| &staged.stored).map(|stored| stored.id);
        let first_lost = new_ids.min().unwrap_or(EntryId::MAX);
        for staged in block.publishes {
            self.refuse_publishes(staged, first_lost, publish);
        }
        // Nobody waits for some of these answers any more; then there is nobody to tell.
        for reply in block.changes.into_iter().filter_map(|staged| staged.reply) {
            let _ = reply.send(Err(change));
        }
        block.extra_answers.into_iter().for_each(|answer| answer.tell(Err(change)));
        for StagedCancel { cancel, .. } in block.cancels {
            let _ = cancel.reply.send(Err(change));
        }
        block.events.into_iter().map(|staged| (staged.shard, staged.event)).collect()
    }

    fn refuse_publishes(&mut self, staged: StagedPublish, first_lost: EntryId, error: &PublishError) {
        for stored in &staged.stored {
            if let Some(event_id) = &stored.message.event_id {
                self.event_ids.take_back(event_hash(stored.message.application.as_u64(), event_id));
            }
        }
        // An id of this block is lost, whether it was new, or the answer to a repetition or a conflict.
        let answers = staged.answers.into_iter().map(|answer| match answer {
            Ok(id) | Err(PublishError::Conflict { first: id, .. }) if id.0 >= first_lost => {
                Err(error.clone())
            }
            other => other,
        });
        let answers: Vec<_> = answers.collect();
        self.metrics.refused.inc_by(answers.iter().filter(|answer| answer.is_err()).count() as u64);
        let _ = staged.reply.send(answers);
    }
}

/// At least as much as the record of a change takes in a batch.
fn record_bytes_max(change: &Change) -> usize {
    const AROUND: usize = 64;
    change.key.len() + change.value.as_ref().map_or(0, Vec::len) + AROUND
}

fn extras_record<'a>(extras: Option<&'a Extras>, sealed_url_secret: Option<&'a [u8]>) -> ExtrasRecord<'a> {
    let Some(extras) = extras else { return ExtrasRecord::NONE };
    ExtrasRecord {
        due_ms: extras.due_ms,
        ordering_key: extras.ordering_key.as_deref(),
        url: extras.url.as_ref().map(|url| &*url.url),
        url_secret: None,
        sealed_url_secret,
        chains: extras.chains.as_slice().into(),
    }
}

fn append_error(error: AppendError) -> PublishError {
    match error {
        AppendError::RecordTooLarge { bytes, max, .. } => PublishError::PayloadTooLarge { bytes, max },
        // A batch of one connection is far smaller than a block; only a burst of reports can fill one.
        AppendError::BatchFull { .. } => PublishError::Overloaded,
        AppendError::Poisoned { .. } => PublishError::LogPoisoned,
    }
}

fn attempt_record<'a>(id: EntryId, ended: &'a AttemptEnded<Report>) -> Attempt<'a> {
    let report = ended.report.as_ref();
    Attempt {
        id,
        message: ended.key.message.0,
        application: ended.application.as_u64(),
        endpoint: ended.key.endpoint.as_u64(),
        number: ended.number,
        progress: ended.progress.to_u16(),
        started_ms: ended.started.as_ms(),
        duration_us: report.map_or(0, |report| report.timing.total_us),
        outcome: ended.outcome.code(),
        status: ended.outcome.status().unwrap_or(0),
        state: ended.state.code(),
        next_attempt_ms: ended.next_attempt.map_or(0, |at| at.as_ms()),
        endpoint_revision: ended.revision,
        message_at: ended.message_at,
        response_headers: report.map_or(&[], |report| report.response_headers.as_ref()),
        response_body: report.map_or(&[], |report| report.response_body.as_ref()),
        detail: report.map_or("", |report| report.detail.as_ref()),
        course: course(ended),
        erased: false,
    }
}

fn course(ended: &AttemptEnded<Report>) -> Course {
    let by_hand = ended.progress.marks.has(Marks::BY_HAND);
    let trigger = if by_hand { Trigger::Manual } else { Trigger::Scheduled };
    let course = Course { trigger: trigger.code(), ..Course::default() };
    let Some(report) = &ended.report else { return course };
    let timing = report.timing;
    Course {
        dns_us: timing.dns_us,
        connect_us: timing.connect_us,
        tls_us: timing.tls_us,
        first_byte_us: timing.first_byte_us,
        reused: report.reused,
        signed_secs: report.signed_secs,
        ..course
    }
}

/// A delivery that ends without an attempt is told as the refusal to make one, so that history and the outcome
/// stream account for every delivery.
fn withdrawn_record(id: EntryId, settled: &Settled, now_ms: u64, why: &'static str) -> Attempt<'static> {
    Attempt {
        id,
        message: settled.key.message.0,
        application: settled.application.as_u64(),
        endpoint: settled.key.endpoint.as_u64(),
        number: settled.progress.made().saturating_add(1),
        progress: settled.progress.to_u16(),
        started_ms: now_ms,
        duration_us: 0,
        outcome: Outcome::Withdrawn.code(),
        status: 0,
        state: settled.state.code(),
        next_attempt_ms: 0,
        endpoint_revision: 0,
        message_at: settled.message_at,
        response_headers: &[],
        response_body: &[],
        detail: why,
        course: Course::default(),
        erased: false,
    }
}

fn taken_back_record(parked: &Parked, now_ms: u64) -> SettledRecord {
    SettledRecord {
        message: parked.key.message.0,
        application: parked.application.as_u64(),
        endpoint: parked.key.endpoint.as_u64(),
        state: DeliveryState::Cancelled.code(),
        at_ms: now_ms,
    }
}

fn parked_record(parked: &Parked) -> ParkedRecord {
    ParkedRecord {
        message: parked.key.message.0,
        application: parked.application.as_u64(),
        endpoint: parked.key.endpoint.as_u64(),
        attempts: parked.progress.to_u16(),
        due_ms: parked.due.as_ms(),
        message_at: parked.message_at,
    }
}
