//! The world: what is outside of the process, and outlives it. The machine, the network, the people, the time.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::sync::Arc;

use posthaste_storage::disk::sim::SimDisk;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::account::{Account, Published};
use super::dice::Dice;
use super::fault::{Fault, Faults};
use super::model::{Endpoint, Seen};
use super::plan::{Event, Plan};
use super::receiver::{HostMood, Mood};
use super::shelves::SimShelves;
use crate::core::ids::ApplicationId;
use crate::delivery::DeliveryConfig;
use crate::keyring::Keyring;
use crate::seam;

/// What the wall clock shows at the beginning: a day in 2026.
const WALL_START_MS: u64 = 1_780_000_000_000;
/// For so long after a jump of the wall clock nobody looks closely at timestamps.
const JUMP_MS: u64 = 60_000;

/// See the head of this file.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    pub(super) delivery: DeliveryConfig,
    /// Outlives the process, as a key file does.
    pub(super) keyring: Arc<Keyring>,
    pub(super) disk: SimDisk,
    pub(super) shelves: SimShelves,
    pub(super) applications: RefCell<Vec<ApplicationId>>,
    /// How slow the disk is at present, milliseconds at most for one commit.
    pub(super) disk_ms: Cell<u64>,
    /// The disk has stopped: the power is gone, or the process.
    pub(super) is_over: Notify,
    /// Messages whose producer does not know whether they were accepted, and will publish them again.
    pub(super) unanswered: RefCell<Vec<usize>>,
    /// Per message, what the endpoints were when it was first handed over.
    pub(super) seen: RefCell<BTreeMap<usize, Vec<Seen>>>,
    /// The last outcome that each follower has read.
    pub(super) followed: RefCell<Vec<String>>,
    events: Cell<usize>,
    account: RefCell<Account>,
    model: RefCell<Vec<Endpoint>>,
    hosts: RefCell<Vec<HostMood>>,
    moods: RefCell<Vec<Mood>>,
    faults: RefCell<Faults>,
    trace: Cell<u64>,
    /// Time when the present life began, and since when it lasts.
    before_ms: Cell<u64>,
    life: Cell<Option<Instant>>,
    started_wall_ms: Cell<u64>,
    wall_offset_ms: Cell<i64>,
    jumped_at_ms: Cell<u64>,
    /// Since when the log holds less, in this life, than it was told to.
    sync_failed_ms: Cell<Option<u64>>,
}

impl World {
    pub(super) fn new(seed: u64, delivery: DeliveryConfig) -> Self {
        let dice = Dice::new(seed);
        let plan = Plan::new(&dice);
        let mut account = Account::default();
        account.rules.lockout_failures = plan.config.lockout.url.consecutive_failures;
        account.rules.lockout_wait_ms = plan.config.lockout.url.wait_first.ms();
        account.rules.stored_within_ms = 2_000;
        account.rules.waits_ms = plan.endpoints.iter().map(|endpoint| endpoint.waits_ms).collect();
        Self {
            dice,
            delivery,
            keyring: Arc::new(Keyring::ephemeral()),
            disk: SimDisk::new(),
            shelves: SimShelves::default(),
            applications: RefCell::default(),
            disk_ms: Cell::new(2),
            is_over: Notify::new(),
            unanswered: RefCell::default(),
            seen: RefCell::default(),
            followed: RefCell::new(vec!["0".to_owned(); plan.applications]),
            events: Cell::new(0),
            account: RefCell::new(account),
            model: RefCell::default(),
            hosts: RefCell::new(vec![HostMood::Well; plan.hosts]),
            moods: RefCell::new(vec![Mood::WELL; plan.endpoints.len()]),
            faults: RefCell::default(),
            trace: Cell::new(seed),
            before_ms: Cell::new(0),
            life: Cell::new(None),
            started_wall_ms: Cell::new(0),
            wall_offset_ms: Cell::new(0),
            jumped_at_ms: Cell::new(0),
            sync_failed_ms: Cell::new(None),
            plan,
        }
    }

    // ---- Time

    /// Since the beginning of the simulation.
    pub(super) fn now_ms(&self) -> u64 {
        let in_life = self.life.get().map_or(0, |began| began.elapsed().as_millis() as u64);
        self.before_ms.get() + in_life
    }

    pub(super) fn wall_ms(&self) -> u64 {
        (WALL_START_MS + self.now_ms()).saturating_add_signed(self.wall_offset_ms.get())
    }

    pub(super) fn begin_life(&self) {
        self.life.set(Some(Instant::now()));
        self.started_wall_ms.set(self.wall_ms());
        seam::set_wall_ms(self.wall_ms());
        self.sync_failed_ms.set(None);
        let now = self.now_ms();
        self.account().begins_life(now);
    }

    /// The later of the wall clock, by which the time of a message is judged when it comes, and what the engine goes
    /// by from then on: the wall clock as it was at its start, carried forward.
    pub(super) fn latest_clock_ms(&self) -> u64 {
        self.wall_ms().max(self.started_wall_ms.get() + self.now_ms() - self.before_ms.get())
    }

    pub(super) fn is_between_lives(&self) -> bool {
        self.life.get().is_none()
    }

    /// The life is over; a new one begins a moment later.
    pub(super) fn end_life(&self) {
        self.before_ms.set(self.now_ms() + self.dice.between(100..=120_000));
        self.life.set(None);
    }

    pub(super) fn jump(&self, by_ms: i64) {
        self.wall_offset_ms.set(self.wall_offset_ms.get() + by_ms);
        self.jumped_at_ms.set(self.now_ms());
        let now = self.now_ms();
        self.account().clock_jumps(now);
        seam::set_wall_ms(self.wall_ms());
        self.count(if by_ms > 0 { Fault::WallClockForward } else { Fault::WallClockBackward });
    }

    pub(super) fn jumped_at_ms(&self) -> u64 {
        self.jumped_at_ms.get()
    }

    /// The writer has made a step: what came of it?
    pub(super) fn look_at_syncs(&self) {
        if self.sync_failed_ms.get().is_none() && self.disk.has_forgotten("seg") {
            self.sync_failed_ms.set(Some(self.now_ms()));
        }
    }

    pub(super) fn sync_failed_ms(&self) -> Option<u64> {
        self.sync_failed_ms.get()
    }

    pub(super) fn is_wall_jumping(&self) -> bool {
        self.jumped_at_ms.get() > 0 && self.now_ms() < self.jumped_at_ms.get() + JUMP_MS
    }

    /// What happens next, and when.
    pub(super) fn next_event(&self) -> Option<(u64, Event)> {
        self.plan.events.get(self.events.get()).copied()
    }

    pub(super) fn event_has_happened(&self) {
        self.events.set(self.events.get() + 1);
    }

    // ---- What is known and felt

    pub(super) fn account(&self) -> RefMut<'_, Account> {
        self.account.borrow_mut()
    }

    pub(super) fn model(&self) -> RefMut<'_, Vec<Endpoint>> {
        self.model.borrow_mut()
    }

    pub(super) fn host_mood(&self, host: usize) -> HostMood {
        self.hosts.borrow()[host]
    }

    pub(super) fn set_host_mood(&self, host: usize, mood: HostMood) {
        self.hosts.borrow_mut()[host] = mood;
    }

    pub(super) fn mood(&self, endpoint: usize) -> Mood {
        self.moods.borrow()[endpoint]
    }

    pub(super) fn set_mood(&self, endpoint: usize, mood: Mood) {
        self.moods.borrow_mut()[endpoint] = mood;
    }

    /// Everything and everybody is well again.
    pub(super) fn heal(&self) {
        self.hosts.borrow_mut().fill(HostMood::Well);
        self.moods.borrow_mut().fill(Mood::WELL);
        self.disk_well();
    }

    pub(super) fn disk_well(&self) {
        self.disk.heal();
        self.disk.set_capacity(None);
        self.disk_ms.set(2);
        let now = self.now_ms();
        self.account().trouble_ends(now);
    }

    /// An endpoint says that it wants nothing more; whether the engine hears it is not certain.
    pub(super) fn lose(&self, endpoint: usize) {
        let now = self.now_ms();
        self.account().disturb(endpoint, now);
        self.model()[endpoint].begin_change();
    }

    pub(super) fn new_message(&self, message: impl FnOnce(usize) -> Published) -> usize {
        let mut account = self.account();
        let number = account.messages.len();
        let message = message(number);
        account.messages.push(message);
        number
    }

    // ---- What is counted

    pub(super) fn count(&self, fault: Fault) {
        self.faults.borrow_mut().count(fault);
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.borrow().clone()
    }

    pub(super) fn violation(&self, what: String) {
        self.account().violations.push(what);
    }

    pub(super) fn is_violated(&self) -> bool {
        !self.account().violations.is_empty()
    }

    /// Adds to the trace by which two runs of one seed are compared.
    pub(super) fn trace(&self, what: &[u64]) {
        let mix = |hash: u64, what: &u64| (hash ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        self.trace.set(what.iter().fold(self.trace.get(), mix));
    }

    pub(super) fn trace_hash(&self) -> u64 {
        self.trace.get()
    }
}
