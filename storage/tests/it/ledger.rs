//! What the ledger promises.

use std::fs;
use std::path::Path;

use posthaste_storage::ledger::{Ledger, LedgerError, LedgerOptions, Pending, Standing, Update};
use posthaste_storage::shelf::{MemoryShelf, Shelf, ShelfBatch, ShelfError};
use posthaste_storage::trust;
use posthaste_storage::{EntryId, Position};

mod model;
mod world;

const NOW_MS: u64 = 1_732_300_020_000;
const MINUTE_MS: u64 = 60_000;

fn at(offset: u32) -> Position {
    Position { segment: 1, offset }
}

fn pending(endpoint: u64, offset: u32, due_ms: u64) -> Update {
    let (application, message_at) = (7, at(8));
    let to = Standing::Pending { application, message_at, attempts: 1, due_ms, forgotten: true };
    Update { message: EntryId::new(NOW_MS, 0), endpoint, at: at(offset), to }
}

fn held(mut update: Update) -> Update {
    if let Standing::Pending { forgotten, .. } = &mut update.to {
        *forgotten = false;
    }
    update
}

fn settled(endpoint: u64, offset: u32) -> Update {
    Update { message: EntryId::new(NOW_MS, 0), endpoint, at: at(offset), to: Standing::Settled }
}

fn on_memory() -> (MemoryShelf, Ledger) {
    let shelf = MemoryShelf::new();
    let ledger = Ledger::on_shelf(Box::new(shelf.clone()), LedgerOptions::default()).unwrap();
    (shelf, ledger)
}

fn reopen(shelf: &MemoryShelf) -> Ledger {
    Ledger::on_shelf(Box::new(shelf.snapshot()), LedgerOptions::default()).unwrap()
}

fn endpoints(handed_out: &[Pending]) -> Vec<u64> {
    handed_out.iter().map(|pending| pending.endpoint).collect()
}

#[test]
fn a_delivery_settled_within_seconds_never_touches_the_shelf() {
    let (shelf, mut ledger) = on_memory();
    assert_eq!(ledger.apply(held(pending(1, 100, NOW_MS + 5_000)), NOW_MS), None);
    assert!(ledger.flush(NOW_MS + 1_000, at(200), at(200)).unwrap());
    assert_eq!(shelf.len(), 1, "the bookmark and nothing else");
    assert_eq!(ledger.applied_to(), at(100));
    assert_eq!(ledger.apply(settled(1, 200), NOW_MS + 5_000), None);
    ledger.flush(NOW_MS + 20_000, at(300), at(300)).unwrap();
    assert_eq!((shelf.len(), ledger.len()), (1, 0));
    assert_eq!(ledger.applied_to(), at(300));
}

#[test]
fn a_delivery_that_waits_longer_is_filed_and_survives_without_a_replay() {
    let (shelf, mut ledger) = on_memory();
    assert_eq!(ledger.apply(pending(1, 100, NOW_MS + 10 * MINUTE_MS), NOW_MS), None);
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    let mut ledger = reopen(&shelf);
    assert_eq!((ledger.replay_from(), ledger.applied_to(), ledger.len()), (at(200), at(200), 1));
    let handed_out = ledger.load(NOW_MS + 10 * MINUTE_MS, 100).unwrap();
    assert_eq!(handed_out.len(), 1);
    assert_eq!((handed_out[0].application, handed_out[0].updated_at), (7, at(100)));
}

#[test]
fn what_falls_due_together_shares_a_value() {
    let (shelf, mut ledger) = on_memory();
    for endpoint in 1..=1_000 {
        assert_eq!(ledger.apply(pending(endpoint, 100, NOW_MS + endpoint), NOW_MS), None);
    }
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    assert_eq!(shelf.len(), 3, "two chunks and the bookmark");
}

#[test]
fn a_load_hands_out_each_delivery_once_and_the_earliest_minute_first() {
    let (_, mut ledger) = on_memory();
    for (endpoint, minutes) in [(1, 3), (2, 1), (3, 2)] {
        let update = pending(endpoint, 100 + endpoint as u32, NOW_MS + minutes * MINUTE_MS);
        assert_eq!(ledger.apply(update, NOW_MS), None);
    }
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    assert_eq!(endpoints(&ledger.load(NOW_MS + 2 * MINUTE_MS, 100).unwrap()), [2, 3]);
    assert!(ledger.loaded_until() > NOW_MS + 2 * MINUTE_MS);
    assert_eq!(endpoints(&ledger.load(NOW_MS + 3 * MINUTE_MS, 100).unwrap()), [1]);
    assert_eq!(endpoints(&ledger.load(NOW_MS + 9 * MINUTE_MS, 100).unwrap()), []);
}

#[test]
fn a_load_in_small_steps_hands_out_the_same_as_a_large_one() {
    let (_, mut ledger) = on_memory();
    for endpoint in 1..=20 {
        let due_ms = NOW_MS + endpoint * 20_000;
        assert_eq!(ledger.apply(pending(endpoint, 100 + endpoint as u32, due_ms), NOW_MS), None);
    }
    let mut handed_out = Vec::new();
    while ledger.loaded_until() <= NOW_MS + 10 * MINUTE_MS {
        let some = ledger.load(NOW_MS + 10 * MINUTE_MS, 3).unwrap();
        assert!(some.len() <= 3);
        handed_out.extend(some);
    }
    assert_eq!(endpoints(&handed_out), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_delivery_forgotten_too_late_goes_back_to_the_shard_at_once() {
    let (_, mut ledger) = on_memory();
    assert!(ledger.load(NOW_MS + 5 * MINUTE_MS, 100).unwrap().is_empty());
    let returned = ledger.apply(pending(1, 100, NOW_MS + 4 * MINUTE_MS), NOW_MS);
    assert_eq!(returned.map(|pending| pending.endpoint), Some(1));
    assert!(ledger.load(NOW_MS + 9 * MINUTE_MS, 100).unwrap().is_empty(), "it is in the shard's hands");
}

#[test]
fn a_delivery_that_the_shard_keeps_is_not_handed_out_to_it() {
    let (shelf, mut ledger) = on_memory();
    assert_eq!(ledger.apply(held(pending(1, 100, NOW_MS + MINUTE_MS)), NOW_MS), None);
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    assert!(ledger.load(NOW_MS + 5 * MINUTE_MS, 100).unwrap().is_empty());
    let mut after_a_crash = reopen(&shelf);
    assert_eq!(endpoints(&after_a_crash.load(NOW_MS + 5 * MINUTE_MS, 100).unwrap()), [1]);
}

#[test]
fn a_loaded_delivery_that_is_settled_leaves_the_shelf_with_the_next_flush() {
    let (shelf, mut ledger) = on_memory();
    for endpoint in [1, 2] {
        assert_eq!(ledger.apply(pending(endpoint, 100, NOW_MS), NOW_MS), None);
    }
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    assert_eq!(ledger.load(NOW_MS, 100).unwrap().len(), 2);
    assert_eq!(ledger.apply(settled(1, 200), NOW_MS), None);
    assert_eq!(ledger.len(), 1);
    ledger.flush(NOW_MS + 20_000, at(300), at(300)).unwrap();
    assert_eq!(endpoints(&reopen(&shelf).load(NOW_MS, 100).unwrap()), [2]);
    assert_eq!(ledger.apply(settled(2, 300), NOW_MS), None);
    ledger.flush(NOW_MS + 30_000, at(400), at(400)).unwrap();
    assert_eq!((shelf.len(), ledger.len()), (1, 0));
}

#[test]
fn a_stale_entry_does_not_come_back_when_its_news_came_before_it_was_loaded() {
    let (shelf, mut ledger) = on_memory();
    for endpoint in [1, 2] {
        assert_eq!(ledger.apply(pending(endpoint, 100, NOW_MS + 9 * MINUTE_MS), NOW_MS), None);
    }
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();

    let mut after_a_crash = reopen(&shelf);
    after_a_crash.apply_replayed(settled(1, 200));
    assert_eq!(endpoints(&after_a_crash.load(NOW_MS + 9 * MINUTE_MS, 100).unwrap()), [2]);

    let second = shelf.snapshot();
    let mut swept = Ledger::on_shelf(Box::new(second.clone()), LedgerOptions::default()).unwrap();
    swept.apply_replayed(settled(1, 200));
    swept.flush(NOW_MS + 20_000, at(300), at(300)).unwrap();
    assert_eq!((swept.len(), swept.applied_to()), (1, at(300)));
    assert_eq!(endpoints(&reopen(&second).load(NOW_MS + 9 * MINUTE_MS, 100).unwrap()), [2]);
}

#[test]
fn the_log_is_replayed_from_the_oldest_message_that_only_it_knows() {
    let (_, mut ledger) = on_memory();
    ledger.flush(NOW_MS, at(50), at(200)).unwrap();
    assert_eq!((ledger.replay_from(), ledger.applied_to()), (at(50), at(200)));
}

#[test]
fn a_flush_before_its_time_does_nothing_unless_memory_is_full() {
    let options = LedgerOptions { young_max: 4, ..LedgerOptions::default() };
    let mut ledger = Ledger::on_shelf(Box::new(MemoryShelf::new()), options).unwrap();
    assert!(ledger.flush(NOW_MS, at(100), at(100)).unwrap());
    for endpoint in 1..=4 {
        assert!(!ledger.flush(NOW_MS + 1, at(100), at(100)).unwrap());
        assert_eq!(ledger.apply(pending(endpoint, 100 + endpoint as u32, NOW_MS + MINUTE_MS), NOW_MS), None);
    }
    assert!(ledger.wants_flush());
    assert!(ledger.flush(NOW_MS + 1, at(200), at(200)).unwrap());
    assert_eq!((ledger.in_memory(), ledger.len()), (2, 4));
}

#[test]
fn what_a_load_found_before_it_failed_is_handed_out_and_memory_stays_bounded_afterwards() {
    let (mut shelf, mut ledger) = on_memory();
    for endpoint in 1..=3 {
        let due_ms = NOW_MS + endpoint * 2 * MINUTE_MS;
        assert_eq!(ledger.apply(pending(endpoint, 100 + endpoint as u32, due_ms), NOW_MS), None);
    }
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    let (first, _) = shelf.next(&[]).unwrap().unwrap();
    let (second, mut value) = shelf.next(&[&first[..], &[0]].concat()).unwrap().unwrap();
    value[20] ^= 1;
    let mut batch = ShelfBatch::default();
    batch.put(second, value);
    shelf.write(batch).unwrap();

    assert_eq!(endpoints(&ledger.load(NOW_MS + 9 * MINUTE_MS, 100).unwrap()), [1]);
    assert!(matches!(ledger.load(NOW_MS + 9 * MINUTE_MS, 100), Err(LedgerError::Damaged { .. })));
    let before = ledger.in_memory();
    for endpoint in 10..1_000 {
        let late = NOW_MS + 90 * MINUTE_MS;
        assert_eq!(ledger.apply(pending(endpoint, 300 + endpoint as u32, late), NOW_MS), None);
        assert_eq!(ledger.apply_unheld(pending(endpoint, 2_000 + endpoint as u32, late), NOW_MS), None);
    }
    assert_eq!(ledger.in_memory(), before, "they are in the log");
}

#[test]
fn a_large_flush_goes_out_in_batches_and_the_bookmark_moves_last() {
    /// A shelf that dies before its third batch.
    struct Dying(MemoryShelf, u32);
    impl Shelf for Dying {
        fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ShelfError> {
            self.0.read(key)
        }
        fn next(&self, from: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>, ShelfError> {
            self.0.next(from)
        }
        fn write(&mut self, batch: ShelfBatch) -> Result<(), ShelfError> {
            assert!(batch.bytes() < 5 * 1024 * 1024);
            self.1 += 1;
            let dies = ShelfError::Failed { doing: "write", folder: "ledger".into(), why: "test".into() };
            if self.1 < 3 { self.0.write(batch) } else { Err(dies) }
        }
        fn hand_over(&mut self) -> Result<(), ShelfError> {
            Ok(())
        }
        fn close(self: Box<Self>) -> Result<(), ShelfError> {
            Ok(())
        }
    }

    let shelf = MemoryShelf::new();
    let options = LedgerOptions { young_max: 400_000, ..LedgerOptions::default() };
    let mut ledger = Ledger::on_shelf(Box::new(Dying(shelf.clone(), 0)), options).unwrap();
    let updates: Vec<_> = (1..=300_000).map(|n| pending(n, 100 + n as u32, NOW_MS + n * 10)).collect();
    for &update in &updates {
        assert_eq!(ledger.apply(update, NOW_MS), None);
    }
    assert!(ledger.flush(NOW_MS + 10_000, at(900_000), at(900_000)).is_err());
    assert!(matches!(ledger.flush(NOW_MS + 20_000, at(900_000), at(900_000)), Err(LedgerError::Failed)));

    let mut ledger = Ledger::on_shelf(Box::new(shelf), options).unwrap();
    assert_eq!(ledger.applied_to(), Position::START);
    assert!(ledger.len() > 100_000);
    updates.iter().for_each(|&update| ledger.apply_replayed(update));
    let handed_out = ledger.load(NOW_MS + 100 * MINUTE_MS, usize::MAX).unwrap();
    assert_eq!(handed_out.len(), updates.len());
}

#[test]
fn a_damaged_chunk_is_an_error_and_never_a_wrong_delivery() {
    let (shelf, mut ledger) = on_memory();
    assert_eq!(ledger.apply(pending(1, 100, NOW_MS), NOW_MS), None);
    ledger.flush(NOW_MS + 10_000, at(200), at(200)).unwrap();
    let mut damaged = shelf.snapshot();
    let (key, mut value) = damaged.next(&[]).unwrap().unwrap();
    value[20] ^= 1;
    let mut batch = ShelfBatch::default();
    batch.put(key, value);
    damaged.write(batch).unwrap();
    let mut ledger = reopen(&damaged);
    assert!(matches!(ledger.check(), Err(LedgerError::Damaged { .. })));
    assert!(matches!(ledger.load(NOW_MS, 100), Err(LedgerError::Damaged { .. })));
    assert!(matches!(ledger.load(NOW_MS, 100), Err(LedgerError::Failed)));
}

#[test]
fn chunks_without_a_bookmark_are_damage() {
    let mut shelf = MemoryShelf::new();
    let mut batch = ShelfBatch::default();
    batch.put([0; 16], vec![1]);
    shelf.write(batch).unwrap();
    let opened = Ledger::on_shelf(Box::new(shelf), LedgerOptions::default());
    assert!(matches!(opened, Err(LedgerError::Damaged { .. })));
}

#[test]
fn an_option_out_of_range_is_named() {
    let options = LedgerOptions { chunk_entries_max: 513, ..LedgerOptions::default() };
    let error = Ledger::on_shelf(Box::new(MemoryShelf::new()), options).err().unwrap();
    assert_eq!(error.to_string(), "ledger option chunk_entries_max is 513; it must be from 1 to 512");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn on_sled_the_files_as_a_killed_process_leaves_them_hold_what_was_handed_over() {
    let temp = tempfile::tempdir().unwrap();
    let (folder, copy) = (temp.path().join("ledger"), temp.path().join("copy"));
    let mut ledger = Ledger::open(&folder, LedgerOptions::default()).unwrap();
    for endpoint in 1..=5_000 {
        let due_ms = NOW_MS + (endpoint % 50) * MINUTE_MS;
        assert_eq!(ledger.apply(pending(endpoint, 100 + endpoint as u32, due_ms), NOW_MS), None);
    }
    ledger.flush(NOW_MS + 10_000, at(9_000), at(9_000)).unwrap();
    assert_eq!(ledger.load(NOW_MS, usize::MAX).unwrap().len(), 100);
    assert_eq!(ledger.apply(settled(50, 9_000), NOW_MS), None);
    ledger.flush(NOW_MS + 20_000, at(9_100), at(9_100)).unwrap();
    assert_eq!(ledger.hand_over().unwrap(), at(9_100));

    copy_folder(&folder, &copy);
    fs::copy(trust::marker_path(&folder), trust::marker_path(&copy)).unwrap();
    let mut killed = Ledger::open(&copy, LedgerOptions::default()).unwrap();
    killed.check().unwrap();
    assert_eq!((killed.applied_to(), killed.len()), (at(9_100), 4_999));
    assert_eq!(killed.load(NOW_MS + 50 * MINUTE_MS, usize::MAX).unwrap().len(), 4_999);
}

#[test]
fn on_sled_a_clean_close_is_believed_without_a_boot_id_and_a_power_cut_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("ledger");
    let mut ledger = Ledger::open(&folder, LedgerOptions::default()).unwrap();
    assert_eq!(ledger.apply(pending(1, 100, NOW_MS + MINUTE_MS), NOW_MS), None);
    ledger.close(at(200), at(200)).unwrap();
    assert_eq!(trust::Trust::in_boot(&folder, None).unwrap(), trust::Trust::Trusted);
    let ledger = Ledger::open(&folder, LedgerOptions::default()).unwrap();
    assert_eq!((ledger.len(), ledger.applied_to()), (1, at(200)));
    drop(ledger);

    fs::write(trust::marker_path(&folder), "open some-other-boot\n").unwrap();
    let refused = Ledger::open(&folder, LedgerOptions::default());
    assert!(matches!(refused, Err(LedgerError::Shelf(ShelfError::NotTrusted { .. }))));
    Ledger::set_aside(&folder, NOW_MS).unwrap();
    let rebuilt = Ledger::open(&folder, LedgerOptions::default()).unwrap();
    assert_eq!((rebuilt.len(), rebuilt.replay_from()), (0, Position::START));
}
