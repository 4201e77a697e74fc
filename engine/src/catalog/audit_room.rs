//! The room of the audit log: so many entries, shared out fairly among those in whose names they are.
//!
//! When there are too many, the oldest entry of whoever has the most goes. So somebody who changes something ten thousand
//! times a minute pushes out their own entries, and nobody else's. Entries before all others are gone without a trace, as
//! in any log that is trimmed; of those in the middle a line stays that holds what the chain needs (`LeftOut`). Such lines
//! that meet become one: there is at most one before each entry.
//!
//! Invariants
//! - Read in order, each part is followed by the next: `AuditPart::is_followed_by`.
//! - There are at most as many `LeftOut` as entries.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::audit::{AuditPart, LeftOut};
use super::page::{Page, Window, page};
use super::record::{Key, Record};
use super::{AuditEntry, Change};

/// Entries that go with one change: it should stay small. Each change brings one or a few, so this keeps up.
const REMOVED_MAX: usize = 100;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct AuditLog {
    entries: BTreeMap<u64, Arc<AuditEntry>>,
    /// By the number of the last entry that it stands for.
    left_out: BTreeMap<u64, Arc<LeftOut>>,
    /// The entries in each name.
    by_actor: HashMap<Arc<str>, BTreeSet<u64>>,
    /// Those names, by how many entries they have.
    shares: BTreeSet<(usize, Arc<str>)>,
}

impl AuditLog {
    pub(super) fn page(
        &self,
        window: &Window<u64>,
        wanted: impl Fn(&AuditEntry) -> bool,
    ) -> Page<AuditEntry> {
        page(&self.entries, (Bound::Unbounded, Bound::Unbounded), window, wanted)
    }

    /// Everything, in the order of numbers.
    pub(super) fn all(&self) -> Vec<AuditPart> {
        let entries = self.entries.values().cloned().map(AuditPart::Entry);
        let mut all: Vec<AuditPart> =
            entries.chain(self.left_out.values().cloned().map(AuditPart::LeftOut)).collect();
        all.sort_unstable_by_key(AuditPart::last);
        all
    }

    /// What the next entry follows.
    pub(super) fn last(&self) -> Option<AuditPart> {
        let entry = self.entries.last_key_value().map(|(_, entry)| AuditPart::Entry(Arc::clone(entry)));
        let left_out = self.left_out.last_key_value().map(|(_, one)| AuditPart::LeftOut(Arc::clone(one)));
        entry.into_iter().chain(left_out).max_by_key(AuditPart::last)
    }

    pub(super) fn put(&mut self, part: AuditPart) {
        self.remove(part.last());
        match part {
            AuditPart::Entry(entry) => {
                self.change_share(entry.actor(), |own| own.insert(entry.number()));
                self.entries.insert(entry.number(), entry);
            }
            AuditPart::LeftOut(one) => drop(self.left_out.insert(one.last(), one)),
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.left_out.remove(&number);
        if let Some(entry) = self.entries.remove(&number) {
            self.change_share(entry.actor(), |own| own.remove(&number));
        }
    }

    fn change_share(&mut self, actor: &str, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let (actor, mut own) = match self.by_actor.remove_entry(actor) {
            Some(known) => known,
            None => (Arc::from(actor), BTreeSet::new()),
        };
        self.shares.remove(&(own.len(), Arc::clone(&actor)));
        change(&mut own);
        if !own.is_empty() {
            self.shares.insert((own.len(), Arc::clone(&actor)));
            self.by_actor.insert(actor, own);
        }
    }

    /// What must change so that with `more` entries there are `max` at most, and none from before `oldest_ms`.
    pub(super) fn room_for(&self, more: usize, max: usize, oldest_ms: u64) -> Vec<Change> {
        let old = self.entries.iter().take_while(|(_, entry)| entry.at_ms() < oldest_ms);
        let mut gone: BTreeSet<u64> = old.take(REMOVED_MAX).map(|(number, _)| *number).collect();
        let surplus = (self.entries.len() + more).saturating_sub(max);
        let wanted = surplus.saturating_sub(gone.len()).min(REMOVED_MAX);
        self.pick(wanted, &mut gone);
        self.without(&gone)
    }

    /// Picks so many entries more: again and again the oldest of whoever has the most left.
    fn pick(&self, wanted: usize, gone: &mut BTreeSet<u64>) {
        // How many are left to those from whom something was taken; everybody else has what `shares` says.
        let mut left: HashMap<&str, usize> = HashMap::new();
        for number in gone.iter() {
            let Some(entry) = self.entries.get(number) else { continue };
            let all = self.by_actor.get(entry.actor()).map_or(0, BTreeSet::len);
            *left.entry(entry.actor()).or_insert(all) -= 1;
        }
        for _ in 0..wanted {
            let untouched = self.shares.iter().rev().find(|(_, actor)| !left.contains_key(&**actor));
            let untouched = untouched.map(|(count, actor)| (*count, &**actor));
            let touched = left.iter().map(|(actor, count)| (*count, *actor)).max();
            let Some((count, actor)) = untouched.into_iter().chain(touched).max() else { return };
            let oldest = self.by_actor.get(actor).and_then(|own| own.iter().find(|one| !gone.contains(one)));
            let Some(oldest) = oldest else { return };
            gone.insert(*oldest);
            left.insert(actor, count - 1);
        }
    }

    /// The changes that take these entries out, such that the chain holds.
    fn without(&self, gone: &BTreeSet<u64>) -> Vec<Change> {
        let first_kept = self.entries.keys().find(|number| !gone.contains(number)).copied();
        let first_kept = first_kept.unwrap_or(u64::MAX);
        let mut changes: BTreeMap<u64, Option<LeftOut>> = BTreeMap::new();
        // At most one more than entries go.
        for (last, _) in self.left_out.range(..first_kept) {
            changes.insert(*last, None);
        }
        for (number, entry) in gone.iter().filter_map(|number| self.entries.get_key_value(number)) {
            if *number < first_kept {
                changes.insert(*number, None);
            } else {
                self.leave_out(entry, &mut changes);
            }
        }
        let change = |(last, left_out): (u64, Option<LeftOut>)| match left_out {
            Some(left_out) => Record::Audit(AuditPart::LeftOut(Arc::new(left_out))).change(),
            None => Key::Audit(last).removal(),
        };
        changes.into_iter().map(change).collect()
    }

    /// Puts a line in the place of an entry, together with what it meets.
    fn leave_out(&self, entry: &AuditEntry, changes: &mut BTreeMap<u64, Option<LeftOut>>) {
        let number = entry.number();
        let (mut first, mut last, mut hash) = (number, number, entry.hash());
        let find = |changes: &BTreeMap<u64, Option<LeftOut>>, at: u64| match changes.get(&at) {
            Some(changed) => changed.clone(),
            None => self.left_out.get(&at).map(|one| LeftOut::clone(one)),
        };
        if let Some(before) = find(changes, number - 1) {
            first = before.first();
            changes.insert(number - 1, None);
        }
        // Entries are taken out in the order of their numbers, so what comes behind is as it was stored.
        let behind = self.left_out.range(number + 1..).next().map(|(_, one)| one);
        if let Some(behind) = behind.filter(|behind| behind.first() == number + 1) {
            (last, hash) = (behind.last(), behind.hash().to_owned());
            changes.insert(number, None);
        }
        changes.insert(last, Some(LeftOut::new(first, last, hash)));
    }

    /// Says where the chain of entries is broken: something was altered or taken out behind the engine's back.
    pub(super) fn say_gaps(&self) {
        for after in self.gaps() {
            tracing::error!(after, "the audit log has a gap: what follows this entry does not fit it");
        }
    }

    fn gaps(&self) -> Vec<u64> {
        let all = self.all();
        let broken = all.windows(2).filter(|pair| !pair[0].is_followed_by(&pair[1]));
        broken.map(|pair| pair[0].last()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::audit::{Acting, Deed};
    use super::*;

    /// Appends an entry in this name and makes room for it, as the editor does.
    fn append(log: &mut AuditLog, actor: &str, at_ms: u64, max: usize, oldest_ms: u64) {
        let changes = log.room_for(1, max, oldest_ms);
        let who = Acting { actor: actor.into(), address: None };
        let entry = AuditEntry::new(log.last().as_ref(), at_ms, &who, Deed::of("a.b", "o".into()));
        for change in changes {
            apply(log, &change);
        }
        log.put(AuditPart::Entry(Arc::new(entry)));
    }

    fn apply(log: &mut AuditLog, change: &Change) {
        match (Key::parse(&change.key).unwrap(), &change.value) {
            (Key::Audit(number), None) => log.remove(number),
            (_, Some(value)) => log.put(AuditPart::parse(value).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn count(log: &AuditLog, actor: &str) -> usize {
        log.entries.values().filter(|entry| entry.actor() == actor).count()
    }

    #[test]
    fn whoever_floods_pushes_out_their_own_entries_and_nobody_elses() {
        let mut log = AuditLog::default();
        for _ in 0..10 {
            append(&mut log, "ann", 1, 100, 0);
        }
        for _ in 0..5_000 {
            append(&mut log, "flood", 1, 100, 0);
        }
        append(&mut log, "bob", 1, 100, 0);
        assert_eq!((count(&log, "ann"), count(&log, "bob"), count(&log, "flood")), (10, 1, 89));
        assert_eq!(log.gaps(), Vec::<u64>::new());
        assert_eq!(log.left_out.len(), 1, "what was left out in a row is one line");
    }

    #[test]
    fn what_is_too_old_goes_whoever_has_it_and_nothing_stays_of_what_was_first() {
        let mut log = AuditLog::default();
        for at_ms in 1..=50 {
            append(&mut log, if at_ms % 2 == 0 { "ann" } else { "bob" }, at_ms, 100, 0);
        }
        append(&mut log, "ann", 51, 100, 41);
        assert_eq!(log.entries.keys().next(), Some(&41));
        assert!(log.left_out.is_empty() && log.gaps().is_empty());
    }

    #[test]
    fn when_much_goes_at_once_nothing_stays_of_what_was_left_out_before_it() {
        let mut log = AuditLog::default();
        let mut at_ms = 0;
        for (actors, rounds) in [(&["ann", "flood"][..], 300), (&["flood"], 600)] {
            for actor in (0..rounds).flat_map(|_| actors) {
                at_ms += 1;
                append(&mut log, actor, at_ms, 10_000, 0);
            }
        }
        // The oldest of whoever has the most are every second one.
        for max in [1_100, 1_000, 900] {
            at_ms += 1;
            append(&mut log, "ann", at_ms, max, 0);
        }
        assert!(log.left_out.len() > 200, "{}", log.left_out.len());
        for _ in 0..1_000 {
            append(&mut log, "ann", at_ms, 10_000, 0);
        }
        // Both the age and the number are lowered: a hundred go for each, all of them ann's.
        at_ms += 1;
        append(&mut log, "ann", at_ms, 200, 500);
        assert_eq!(log.gaps(), Vec::<u64>::new());
    }

    #[test]
    fn a_missing_entry_or_one_that_was_altered_shows() {
        let full = || {
            let mut log = AuditLog::default();
            (0..4).for_each(|_| append(&mut log, "ann", 1, 100, 0));
            log
        };
        assert!(full().gaps().is_empty());
        let mut log = full();
        log.remove(1);
        assert!(log.gaps().is_empty(), "the oldest go with time");
        log.remove(3);
        assert_eq!(log.gaps(), [2]);
        let mut log = full();
        let altered = log.entries[&2].line().replace("ann", "bob");
        log.put(AuditPart::parse(altered.as_bytes()).unwrap());
        assert_eq!(log.gaps(), [2]);
    }

    proptest! {
        #[test]
        fn the_chain_holds_and_shares_are_fair_whatever_comes(
            turns in prop::collection::vec((0..6u8, 1..40u8), 1..60),
            max in 5..30usize,
        ) {
            let mut log = AuditLog::default();
            let mut appended: HashMap<String, usize> = HashMap::new();
            for (actor, times) in turns {
                let actor = format!("actor-{actor}");
                for _ in 0..times {
                    append(&mut log, &actor, 1, max, 0);
                    *appended.entry(actor.clone()).or_default() += 1;
                }
                prop_assert_eq!(log.gaps(), Vec::<u64>::new());
                prop_assert!(log.entries.len() <= max && log.left_out.len() <= log.entries.len());
                // Who has an equal share or less has lost nothing.
                let share = max / appended.len();
                for (actor, appended) in &appended {
                    prop_assert!(count(&log, actor) >= share.saturating_sub(1).min(*appended));
                }
                let shares: usize = log.shares.iter().map(|(count, _)| count).sum();
                prop_assert_eq!(shares, log.entries.len());
            }
        }
    }
}
