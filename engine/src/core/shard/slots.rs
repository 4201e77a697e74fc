//! The deliveries a shard holds, each in a numbered slot of 56 bytes.
//!
//! The wheel and the queues name deliveries by slot number, four bytes instead of a pointer. A slot is only
//! used again when neither of them names it any more: a delivery that ends while it is named there becomes
//! `Dead` first, and is removed when they come to it.

use std::ops::{Index, IndexMut};

use posthaste_storage::{EntryId, Position};

use super::endpoint::Endpoint;
use super::{Home, Incoming, Probes};
use crate::core::delivery::{DeliveryKey, Progress};
use crate::core::ids::MessageId;
use crate::core::tick::Tick;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// What a slot's delivery is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// In its endpoint's queue.
    Queued,
    /// In the wheel.
    Waiting,
    /// Behind another of its lane; named by nobody else.
    Held,
    /// An attempt is under way.
    InFlight,
    /// Ended, but still named by the queue or the wheel.
    Dead,
    /// The slot is free.
    Free,
}

/// A delivery, packed.
#[derive(Debug)]
pub(super) struct Delivery<B> {
    message: EntryId,
    pub(super) message_at: Position,
    pub(super) body: Option<B>,
    /// When it may be attempted.
    pub(super) due: Tick,
    pub(super) endpoint: u32,
    /// The delivery behind this one in its queue, or the next free slot.
    pub(super) next: u32,
    log_place: u32,
    /// The endpoint's revision when the attempt was made or refused.
    pub(super) revision: u32,
    pub(super) progress: Progress,
    pub(super) phase: Phase,
    pub(super) probes: Probes,
    flags: u8,
}

/// The ledger remembers it.
const IN_LEDGER: u8 = 1;
/// Its message was taken back while the attempt was in flight.
const TAKEN_BACK: u8 = 2;
/// The attempt in flight was counted as one of a prompt endpoint.
const COUNTED_PROMPT: u8 = 4;

// Millions of these are held; a field more is megabytes more.
const _: () = assert!(size_of::<Delivery<Box<u8>>>() <= 56);

impl<B> Delivery<B> {
    pub(super) fn new(incoming: Incoming<B>, endpoint: u32, phase: Phase) -> Self {
        let mut delivery = Self {
            message: incoming.key.message.0,
            message_at: incoming.message_at,
            body: incoming.body,
            due: incoming.due,
            endpoint,
            next: NONE,
            log_place: 0,
            revision: 0,
            progress: incoming.progress,
            phase,
            probes: Probes::default(),
            flags: 0,
        };
        delivery.set_home(incoming.home);
        delivery
    }

    pub(super) fn message(&self) -> EntryId {
        self.message
    }

    pub(super) fn key(&self, endpoint: &Endpoint) -> DeliveryKey {
        DeliveryKey { message: MessageId(self.message), endpoint: endpoint.settings.id }
    }

    /// Its message was taken back while the attempt was in flight.
    pub(super) fn is_taken_back(&self) -> bool {
        self.flags & TAKEN_BACK != 0
    }

    pub(super) fn take_back(&mut self) {
        self.flags |= TAKEN_BACK;
    }

    /// Whether the attempt in flight was counted as one of a prompt endpoint.
    pub(super) fn is_counted_prompt(&self) -> bool {
        self.flags & COUNTED_PROMPT != 0
    }

    pub(super) fn count_prompt(&mut self, prompt: bool) {
        self.flags = if prompt { self.flags | COUNTED_PROMPT } else { self.flags & !COUNTED_PROMPT };
    }

    pub(super) fn home(&self) -> Home {
        if self.flags & IN_LEDGER != 0 { Home::Ledger } else { Home::Log(self.log_place) }
    }

    pub(super) fn set_home(&mut self, home: Home) {
        match home {
            Home::Ledger => self.flags |= IN_LEDGER,
            Home::Log(place) => {
                self.flags &= !IN_LEDGER;
                self.log_place = place;
            }
        }
    }
}

/// All slots of a shard.
#[derive(Debug)]
pub(super) struct Slots<B> {
    slots: Vec<Delivery<B>>,
    free: u32,
    len: usize,
}

impl<B> Default for Slots<B> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: NONE, len: 0 }
    }
}

impl<B> Slots<B> {
    /// Slots in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, delivery: Delivery<B>) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let token = self.free;
            self.free = self.slots[token as usize].next;
            self.slots[token as usize] = delivery;
            return token;
        }
        let token = self.slots.len() as u32;
        assert!(token < super::ENDPOINT_TOKEN, "a shard holds fewer than 2^31 deliveries");
        self.slots.push(delivery);
        token
    }

    pub(super) fn remove(&mut self, token: u32) {
        let slot = &mut self.slots[token as usize];
        debug_assert_ne!(slot.phase, Phase::Free, "a slot is freed once");
        slot.phase = Phase::Free;
        slot.body = None;
        slot.next = self.free;
        self.free = token;
        self.len -= 1;
    }

    /// The slots in use that `wanted` picks. Walks all of them: for what happens rarely.
    pub(super) fn find(&self, wanted: impl Fn(&Delivery<B>) -> bool) -> Vec<u32> {
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.phase != Phase::Free);
        used.filter(|(_, slot)| wanted(slot)).map(|(token, _)| token as u32).collect()
    }

    pub(super) fn of_endpoint(&self, endpoint: u32) -> Vec<u32> {
        self.find(|slot| slot.endpoint == endpoint)
    }

    pub(super) fn of_message(&self, message: MessageId) -> Vec<u32> {
        self.find(|slot| slot.message == message.0)
    }
}

impl<B> Index<u32> for Slots<B> {
    type Output = Delivery<B>;

    fn index(&self, token: u32) -> &Delivery<B> {
        &self.slots[token as usize]
    }
}

impl<B> IndexMut<u32> for Slots<B> {
    fn index_mut(&mut self, token: u32) -> &mut Delivery<B> {
        &mut self.slots[token as usize]
    }
}
