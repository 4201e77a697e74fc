//! The deliveries of an application, the one that something happened to last first.
//!
//! Every delivery is in the list once: where the last record lies that speaks of it. A walk goes from new to old over
//! the records that may be such last words (the index skips blocks that hold none of the kind that is wanted), and
//! asks of each whether a later one follows. All pages of a list show what was true at the first: records that came
//! after it do not count.
//!
//! A delivery of which nothing happened yet is found with its message. There are such deliveries only behind the place
//! up to which the writer knows that every delivery has a record; before it, messages need not be looked at.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use posthaste_storage::log::{LogReader, ReadError, Search, Traits};
use posthaste_storage::record::{Message, Record, RecordKind};
use posthaste_storage::{EntryId, Position};

use super::standing::{Standing, Stands};
use super::stored::is_wanted;
use super::walk::{LOOKUPS_MAX, READ_BYTES_MAX, READS_MAX};
use crate::api::{
    DeliveryCounts, DeliveryCursor, DeliveryPage, DeliveryQuery, ListedDelivery, StoredDelivery,
};
use crate::clock::unix_ms;
use crate::core::delivery::DeliveryState;
use crate::core::ids::{ApplicationId, EndpointId, MessageId};

const STATES: [DeliveryState; 4] =
    [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Exhausted, DeliveryState::Cancelled];
/// Messages whose standing is kept at hand during a walk: those that go to many endpoints come again and again.
const STANDINGS_MAX: usize = 64;
/// Messages that are told apart while deliveries are counted: eight bytes each and some.
const COUNTED_MAX: usize = 1_000_000;

/// One walk.
struct Walk<'a> {
    reader: &'a LogReader,
    application: ApplicationId,
    query: &'a DeliveryQuery,
    as_of: Position,
    standings: HashMap<EntryId, Standing>,
    lookups: u32,
    reads: u32,
    page: DeliveryPage,
    stopped: Option<Stopped>,
}

/// Why a walk was not ended by the end of the list.
enum Stopped {
    /// At this place, with an endpoint if some of the record's deliveries were looked at.
    At(Position, u64),
    Failed(ReadError),
}

/// A page of the list. `fresh_from` must have been asked for before this was called.
pub(super) fn list(
    reader: &LogReader,
    fresh_from: Position,
    application: ApplicationId,
    query: &DeliveryQuery,
) -> Result<DeliveryPage, ReadError> {
    if let Some(message) = query.message {
        return of_message(reader, application, message, query);
    }
    let end = reader.end();
    let begin = match query.before_ms {
        Some(ms) => reader.seek(EntryId::new(ms, 0))?,
        None => end,
    };
    let cursor = query.cursor.unwrap_or(DeliveryCursor {
        as_of: end.as_u64(),
        fresh_from: fresh_from.as_u64(),
        at: begin.as_u64(),
        endpoint: 0,
    });
    let oldest = match query.after_ms {
        Some(ms) => reader.seek(EntryId::new(ms, u16::MAX).next())?,
        None => Position::START,
    };
    let walk = Walk {
        reader,
        application,
        query,
        // What a cursor says comes from outside.
        as_of: Position::from_u64(cursor.as_of).min(end),
        standings: HashMap::new(),
        lookups: 0,
        reads: 0,
        page: DeliveryPage::default(),
        stopped: None,
    };
    walk.run(cursor, oldest)
}

impl Walk<'_> {
    fn run(mut self, cursor: DeliveryCursor, oldest: Position) -> Result<DeliveryPage, ReadError> {
        let from = Position::from_u64(cursor.at).min(self.as_of);
        let fresh_from = Position::from_u64(cursor.fresh_from);
        let halves = [(fresh_from.max(oldest), from, true), (oldest, from.min(fresh_from), false)];
        let mut bytes = READ_BYTES_MAX;
        for (to, from, with_messages) in halves {
            if to >= from {
                continue;
            }
            let Some(search) = self.search(with_messages) else { continue };
            let reader = self.reader;
            let found = reader
                .search_back(&search, (to, from), bytes, |at, record| self.look_at(at, &record, cursor))?;
            match self.stopped.take() {
                Some(Stopped::Failed(error)) => return Err(error),
                Some(Stopped::At(at, endpoint)) => {
                    return Ok(self.page_until(DeliveryCursor { at: at.as_u64(), endpoint, ..cursor }));
                }
                None if !found.whole => {
                    return Ok(self.page_until(DeliveryCursor {
                        at: found.to.as_u64(),
                        endpoint: 0,
                        ..cursor
                    }));
                }
                // What is left for the second half is not known exactly; the two together read twice the bytes at most.
                None => bytes = READ_BYTES_MAX,
            }
        }
        Ok(self.page)
    }

    fn page_until(mut self, next: DeliveryCursor) -> DeliveryPage {
        self.page.next = Some(next);
        self.page
    }

    /// Which records may have the last word about a delivery that is wanted; `None` if none can.
    fn search(&self, with_messages: bool) -> Option<Search> {
        let states = if self.query.states.is_empty() { &STATES[..] } else { &self.query.states };
        let waiting = [RecordKind::Parked, RecordKind::Carried];
        let mut says = states.iter().fold(Traits::NONE, |says, state| says.or(Traits::state(state.code())));
        if states.contains(&DeliveryState::Pending) {
            says = waiting.iter().fold(says, |says, kind| says.or(Traits::kind(*kind)));
            if with_messages {
                says = says.or(Traits::kind(RecordKind::Message));
            }
        }
        let class = self.query.status_code.map(|code| code / 100);
        let class = class.or(self.query.status_code_class.map(|class| class / 100));
        let answered = class.map_or(Traits::ANY, |class| {
            // With these the last attempt is another record's.
            let others = waiting
                .iter()
                .fold(Traits::kind(RecordKind::Settled), |all, kind| all.or(Traits::kind(*kind)));
            others.or(Traits::status_class(class))
        });
        Some(Search {
            application: self.application.as_u64(),
            endpoint: self.query.endpoint.map(EndpointId::as_u64),
            traits: [says, answered],
        })
    }

    fn look_at(&mut self, at: Position, record: &Record<'_>, cursor: DeliveryCursor) -> ControlFlow<()> {
        let behind = Position::from_u64(at.as_u64() + 1);
        let looked_at = if behind.as_u64() == cursor.at { cursor.endpoint } else { 0 };
        match self.take_from(at, record, looked_at) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(endpoint)) => {
                self.stopped = Some(Stopped::At(behind, endpoint));
                ControlFlow::Break(())
            }
            Err(error) => {
                self.stopped = Some(Stopped::Failed(error));
                ControlFlow::Break(())
            }
        }
    }

    /// Takes the deliveries about which this record has the last word. Returns the endpoint up to which it came, if
    /// there may be more than fit.
    fn take_from(
        &mut self,
        at: Position,
        record: &Record<'_>,
        looked_at: u64,
    ) -> Result<Option<u64>, ReadError> {
        let (id, message_at) = match record {
            Record::Attempt(attempt) if !self.may_be(attempt.endpoint, looked_at) => return Ok(None),
            Record::Attempt(attempt) => (attempt.message, Some(attempt.message_at)),
            Record::Parked(parked) if !self.may_be(parked.endpoint, looked_at) => return Ok(None),
            Record::Parked(parked) => (parked.message, Some(parked.message_at)),
            Record::Settled(settled) => (settled.message, None),
            Record::Message(message) => (message.id, Some(at)),
            Record::Carried(carried) => (carried.message.id, Some(at)),
            _ => return Ok(None),
        };
        if self.lookups >= LOOKUPS_MAX || self.reads >= READS_MAX {
            return Ok(Some(looked_at));
        }
        if self.is_not_of_interest(id, message_at)? {
            return Ok(None);
        }
        if !self.standings.contains_key(&id) {
            self.lookups += 1;
            if self.standings.len() >= STANDINGS_MAX {
                self.standings.clear();
            }
            let standing = Standing::read(self.reader, id, message_at, self.as_of)?;
            self.standings.insert(id, standing);
        }
        let Some(standing) = self.standings.get(&id) else { return Ok(None) };
        let message = standing.message();
        if !self.wants_message(message.as_ref()) {
            return Ok(None);
        }
        let mut before = looked_at;
        let beyond = (std::ops::Bound::Excluded(looked_at), std::ops::Bound::Unbounded);
        for (endpoint, stands) in standing.deliveries.range(beyond) {
            if stands.at == at && wants(self.query, stands) {
                if self.page.items.len() >= self.query.limit {
                    return Ok(Some(before));
                }
                self.page.items.push(listed(id, message.as_ref(), stands));
            }
            before = *endpoint;
        }
        Ok(None)
    }

    /// Whether the message alone says that nothing of it is wanted: far cheaper than to gather all about it.
    fn is_not_of_interest(&mut self, id: EntryId, at: Option<Position>) -> Result<bool, ReadError> {
        let asked = !self.query.event_types.is_empty() || self.query.channel.is_some();
        let Some(at) = at.filter(|_| asked && !self.standings.contains_key(&id)) else { return Ok(false) };
        self.reads += 1;
        let Some(owned) = self.reader.record_at(at)? else { return Ok(false) };
        let record = owned.record();
        let message = record.message().filter(|message| message.id == id);
        Ok(message.is_some_and(|message| !self.wants_message(Some(message))))
    }

    fn may_be(&self, endpoint: u64, looked_at: u64) -> bool {
        endpoint > looked_at && self.query.endpoint.is_none_or(|wanted| wanted.as_u64() == endpoint)
    }

    fn wants_message(&self, message: Option<&Message<'_>>) -> bool {
        let query = self.query;
        match message {
            Some(message) => is_wanted(message, &query.event_types, query.channel.as_deref()),
            None => query.event_types.is_empty() && query.channel.is_none(),
        }
    }
}

fn wants(query: &DeliveryQuery, stands: &Stands) -> bool {
    let delivery = &stands.delivery;
    let status = stands.last.map(|last| last.outcome.status().unwrap_or(0));
    query.endpoint.is_none_or(|endpoint| endpoint == delivery.endpoint)
        && (query.states.is_empty() || query.states.contains(&delivery.state))
        && query.status_code.is_none_or(|code| status == Some(code))
        && query
            .status_code_class
            .is_none_or(|class| status.is_some_and(|status| status / 100 == class / 100))
}

fn listed(id: EntryId, message: Option<&Message<'_>>, stands: &Stands) -> ListedDelivery {
    ListedDelivery {
        message: MessageId(id),
        event_id: message.and_then(|message| message.event_id).map(Into::into),
        event_type: message.map(|message| message.event_type.into()),
        delivery: stands.delivery,
        last: stands.last,
    }
}

/// The deliveries of one message, those that are wanted, in one page.
fn of_message(
    reader: &LogReader,
    application: ApplicationId,
    id: MessageId,
    query: &DeliveryQuery,
) -> Result<DeliveryPage, ReadError> {
    let standing = Standing::read(reader, id.0, None, reader.end())?;
    let message = standing.message();
    let is_wanted = message.as_ref().is_some_and(|message| {
        message.application == application.as_u64()
            && is_wanted(message, &query.event_types, query.channel.as_deref())
    });
    let mut page = DeliveryPage::default();
    if !is_wanted {
        return Ok(page);
    }
    let after = query.cursor.map_or(0, |cursor| cursor.endpoint);
    let mut before = after;
    for (endpoint, stands) in standing.deliveries.iter().filter(|(endpoint, _)| **endpoint > after) {
        if wants(query, stands) {
            if page.items.len() >= query.limit {
                page.next = Some(DeliveryCursor { endpoint: before, ..DeliveryCursor::default() });
                break;
            }
            page.items.push(listed(id.0, message.as_ref(), stands));
        }
        before = *endpoint;
    }
    Ok(page)
}

/// How many deliveries to an endpoint stand how. One pass, from new to old: what is met first of a delivery is the
/// last word about it.
pub(super) fn count(
    reader: &LogReader,
    application: ApplicationId,
    endpoint: EndpointId,
    (since_ms, until_ms): (u64, u64),
) -> Result<DeliveryCounts, ReadError> {
    let end = reader.end();
    let oldest = reader.seek(EntryId::new(since_ms, 0))?;
    let until = reader.seek(EntryId::new(until_ms, 0))?;
    let search = Search {
        application: application.as_u64(),
        endpoint: Some(endpoint.as_u64()),
        traits: [Traits::ANY; 2],
    };
    let now_ms = unix_ms();
    let (mut counts, mut met) = (DeliveryCounts::default(), HashSet::new());
    let mut taken_back = HashSet::new();
    // From the end of the log: what happened after `until` says which deliveries have not to be counted.
    let found = reader.search_back(&search, (oldest, end), READ_BYTES_MAX, |at, record| {
        if met.len() + taken_back.len() >= COUNTED_MAX {
            return ControlFlow::Break(());
        }
        if let Record::Settled(settled) = record
            && settled.endpoint == 0
        {
            // Whether it ended a delivery to this endpoint shows when that is met.
            taken_back.insert(settled.message);
            return ControlFlow::Continue(());
        }
        if let Some((id, mut delivery)) = said(&record, endpoint)
            && met.insert(id)
        {
            if !delivery.state.is_final() && taken_back.contains(&id) {
                delivery.state = DeliveryState::Cancelled;
            }
            if at < until {
                counts.add(&delivery, now_ms);
            }
        }
        ControlFlow::Continue(())
    })?;
    if !found.whole {
        counts.counted_since_ms = reader.id_from(found.to)?.map(EntryId::ms);
    }
    Ok(counts)
}

/// What a record says about deliveries to an endpoint.
fn said(record: &Record<'_>, endpoint: EndpointId) -> Option<(EntryId, StoredDelivery)> {
    let stands =
        |state, attempts, next_attempt_ms| StoredDelivery { endpoint, state, attempts, next_attempt_ms };
    let pending = DeliveryState::Pending;
    Some(match record {
        Record::Attempt(attempt) => {
            let next = (attempt.next_attempt_ms > 0).then_some(attempt.next_attempt_ms);
            (attempt.message, stands(DeliveryState::from_code(attempt.state)?, attempt.number, next))
        }
        Record::Settled(settled) => {
            (settled.message, stands(DeliveryState::from_code(settled.state)?, 0, None))
        }
        Record::Parked(parked) => {
            (parked.message, stands(pending, 0, (parked.due_ms > 0).then_some(parked.due_ms)))
        }
        Record::Carried(carried) => {
            let mut pending_here = carried.pending.iter();
            let due_ms = pending_here.find(|one| one.endpoint == endpoint.as_u64())?.due_ms;
            (carried.message.id, stands(pending, 0, Some(due_ms)))
        }
        Record::Message(message) => (message.id, stands(pending, 0, message.extras.unpack().due_ms)),
        _ => return None,
    })
}
