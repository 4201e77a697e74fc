//! The books: where every delivery stands, by what the shard has said of it so far.
//!
//!   opened -> in the shard <-> in flight
//!                |   ^
//!      forgotten v   | handed out at the horizon
//!             in the ledger            in the shard or in flight -> ended, once
//!
//! Every step that does not follow from the one before stops the test.

use std::collections::BTreeMap;

use posthaste_storage::Position;

use crate::core::delivery::{DeliveryKey, DeliveryState, Marks, Progress};
use crate::core::ids::{ApplicationId, EndpointId};
use crate::core::outcome::Outcome;
use crate::core::shard::{AttemptEnded, Home, Incoming, Parked, Settled, Start};
use crate::core::tick::Tick;

/// Who has a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The shard.
    Shard,
    /// The shard, and an attempt is in flight.
    InFlight,
    /// The ledger alone.
    Ledger,
    /// Nobody: it has ended.
    Ended(DeliveryState),
}

/// What is known of one delivery.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) place: Place,
    pub(super) application: ApplicationId,
    pub(super) message_at: Position,
    pub(super) progress: Progress,
    pub(super) home: Home,
    /// It must not be attempted before.
    pub(super) due: Tick,
    /// Its lane; 0: none.
    pub(super) lane: u64,
    /// Its attempt was under way when the endpoint moved: those behind it do not wait for that.
    pub(super) left_behind: bool,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Books {
    accounts: BTreeMap<DeliveryKey, Account>,
    /// Whether order may be lost, because the shard is full.
    pub(super) may_lose_order: bool,
}

impl Books {
    pub(super) fn open<B>(&mut self, incoming: &Incoming<B>) {
        let account = Account {
            place: Place::Shard,
            application: incoming.application,
            message_at: incoming.message_at,
            progress: incoming.progress,
            home: incoming.home,
            due: incoming.due,
            lane: incoming.lane,
            left_behind: false,
        };
        assert!(
            self.accounts.insert(incoming.key, account).is_none(),
            "{:?} is published once",
            incoming.key
        );
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (DeliveryKey, &Account)> {
        self.accounts.iter().map(|(key, account)| (*key, account))
    }

    pub(super) fn of(&mut self, key: DeliveryKey) -> &mut Account {
        self.accounts.get_mut(&key).unwrap_or_else(|| panic!("{key:?} was never published"))
    }

    pub(super) fn started<B>(&mut self, start: &Start<B>, now: Tick) {
        let account = self.of(start.key);
        assert_eq!(account.place, Place::Shard, "{:?} is started twice", start.key);
        assert!(account.due <= now, "{:?} is due at {:?} and starts at {now:?}", start.key, account.due);
        assert_eq!(account.message_at, start.message_at);
        account.place = Place::InFlight;
        let lane = account.lane;
        if lane != 0 && !self.may_lose_order {
            self.check_order(start.key, lane);
        }
    }

    /// The endpoint has other doors from now on, or another shard.
    pub(super) fn moved(&mut self, endpoint: EndpointId) {
        let own = self.accounts.iter_mut().filter(|(key, _)| key.endpoint == endpoint);
        own.for_each(|(_, account)| account.left_behind |= account.place == Place::InFlight);
    }

    /// Nothing older of the lane may be on its way.
    fn check_order(&self, started: DeliveryKey, lane: u64) {
        for (key, account) in &self.accounts {
            let passes = !account.left_behind
                && key.endpoint == started.endpoint
                && key.message < started.message
                && account.lane == lane;
            assert!(!passes || matches!(account.place, Place::Ended(_)), "{started:?} passes {key:?}");
        }
    }

    pub(super) fn ended<R>(&mut self, ended: &AttemptEnded<R>, now: Tick) {
        let account = self.of(ended.key);
        let from = if ended.outcome.is_lockout() { Place::Shard } else { Place::InFlight };
        assert_eq!(account.place, from, "{:?} ends with {:?}", ended.key, ended.outcome);
        assert_eq!(ended.report.is_none(), ended.outcome.is_lockout(), "only what was sent has a report");
        assert!(ended.started <= now && account.due <= now, "a refusal is an attempt and never early");
        account.is_same(ended.application, ended.message_at, ended.home);
        account.check_progress(ended);
        assert_eq!(ended.next_attempt.is_some(), !ended.state.is_final());
        account.progress = ended.progress;
        match ended.next_attempt {
            Some(due) => {
                assert!(due > now, "a retry takes time");
                account.due = due;
                account.home = Home::Ledger;
                account.place = if ended.forgotten { Place::Ledger } else { Place::Shard };
            }
            None => account.end(ended.state),
        }
    }

    pub(super) fn parked(&mut self, parked: &Parked, now: Tick) {
        let account = self.of(parked.key);
        // One under way is only remembered elsewhere from now on.
        let stays = account.place == Place::InFlight && !parked.forgotten;
        assert!(stays || account.place == Place::Shard, "{:?} is parked", parked.key);
        let ordered = parked.progress.marks.has(Marks::ORDERED);
        assert!(ordered || parked.due >= account.due, "parking makes nothing due earlier");
        assert_eq!(parked.progress, account.progress);
        account.is_same(parked.application, parked.message_at, parked.home);
        // One that must not pass others is handed out at once, with the time that the log knows.
        account.due = account.due.max(parked.due);
        account.home = Home::Ledger;
        if parked.forgotten {
            account.place = Place::Ledger;
        } else {
            assert!(parked.due <= now || parked.due == account.due);
        }
    }

    pub(super) fn settled(&mut self, settled: &Settled) {
        let account = self.of(settled.key);
        assert_eq!(account.place, Place::Shard, "{:?} is settled", settled.key);
        assert_eq!((settled.application, settled.home), (account.application, account.home));
        account.end(settled.state);
    }
}

impl Account {
    fn is_same(&self, application: ApplicationId, message_at: Position, home: Home) {
        assert_eq!((application, message_at, home), (self.application, self.message_at, self.home));
    }

    fn check_progress<R>(&self, ended: &AttemptEnded<R>) {
        let (before, after) = (self.progress, ended.progress);
        assert_eq!(after.made(), before.made() + 1, "each attempt counts once");
        assert_eq!(ended.number, after.made());
        if !matches!(ended.outcome, Outcome::RetryAfter { .. }) {
            assert_eq!(after.patience, before.patience, "only who asks for patience gets it");
        }
    }

    pub(super) fn end(&mut self, state: DeliveryState) {
        assert!(!matches!(self.place, Place::Ended(_)), "a delivery ends once");
        assert!(state.is_final());
        self.place = Place::Ended(state);
    }
}
