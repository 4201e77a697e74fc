//! The ledger: what it costs to remember a pending delivery, and to hand it out when it falls due.
//!
//! Fifty thousand at a time, due within the hour. Inserted means applied and flushed to sled (not to the disk: the
//! log is the truth); a range is everything that falls due in that hour. The floors: sled with a key for each
//! delivery, which is what one would write without chunks, and a tree in memory, which survives nothing.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use posthaste_bench::{NOW_MS, scattered};
use posthaste_storage::ledger::{Ledger, LedgerOptions, Standing, Update};
use posthaste_storage::{EntryId, Position};
use tempfile::TempDir;

use crate::folder;

const DELIVERIES: u64 = 50_000;
const HOUR_MS: u64 = 3_600_000;
/// Ids and places, as they are in a chunk.
const VALUE_BYTES: usize = 44;

/// When it is due, then what it is.
type Key = [u8; 24];

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger, 50,000 deliveries");
    group.throughput(Throughput::Elements(DELIVERIES)).sample_size(10);
    group.measurement_time(Duration::from_secs(2));
    insert(&mut group);
    range(&mut group);
    group.finish();
}

fn insert(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function("apply", |bencher| {
        bencher.iter_batched_ref(fresh, |(ledger, _)| apply_all(ledger), BatchSize::PerIteration);
    });
    group.bench_function("apply and flush", |bencher| {
        bencher.iter_batched_ref(fresh, |(ledger, _)| insert_all(ledger), BatchSize::PerIteration);
    });
    group.bench_function("floor: a key each in sled", |bencher| {
        bencher.iter_batched_ref(fresh_sled, |(sled, _)| fill_sled(sled), BatchSize::PerIteration);
    });
    group.bench_function("floor: a tree in memory", |bencher| bencher.iter_with_large_drop(full_tree));
}

fn range(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function("load", |bencher| {
        let full = || {
            let (mut ledger, folder) = fresh();
            insert_all(&mut ledger);
            (ledger, folder)
        };
        bencher.iter_batched_ref(full, |(ledger, _)| load_all(ledger), BatchSize::PerIteration);
    });
    let (sled, _folder) = fresh_sled();
    fill_sled(&sled);
    group.bench_function("floor: a range of sled", |bencher| {
        bencher.iter(|| {
            let pairs = sled.range(Key::default()..).map(|pair| pair.expect("sled reads"));
            assert_eq!(pairs.map(black_box).count() as u64, DELIVERIES);
        });
    });
    let tree = full_tree();
    group.bench_function("floor: a range of a tree in memory", |bencher| {
        bencher.iter(|| {
            let pairs = tree.range(Key::default()..);
            assert_eq!(pairs.map(black_box).count() as u64, DELIVERIES);
        });
    });
}

fn fresh() -> (Ledger, TempDir) {
    let folder = folder();
    let ledger = Ledger::open(&folder.path().join("ledger"), LedgerOptions::default());
    (ledger.expect("a fresh folder opens"), folder)
}

fn apply_all(ledger: &mut Ledger) {
    for number in 0..DELIVERIES {
        let returned = ledger.apply(update(number), NOW_MS);
        assert_eq!(returned, None, "nothing is loaded yet, so the ledger keeps it");
    }
}

fn insert_all(ledger: &mut Ledger) {
    apply_all(ledger);
    let later_ms = NOW_MS + LedgerOptions::default().flush_after_ms;
    let end = at(DELIVERIES);
    assert!(ledger.flush(later_ms, end, end).expect("sled writes"), "all of them are old enough");
}

fn load_all(ledger: &mut Ledger) {
    let loaded = ledger.load(NOW_MS + HOUR_MS, DELIVERIES as usize).expect("sled reads");
    assert_eq!(black_box(loaded).len() as u64, DELIVERIES);
}

/// A first attempt failed; the shard leaves the next one to the ledger.
fn update(number: u64) -> Update {
    let to = Standing::Pending {
        application: 1,
        message_at: at(number),
        attempts: 1,
        due_ms: due_ms(number),
        forgotten: true,
    };
    Update { message: id(number), endpoint: 1, at: at(number), to }
}

fn id(number: u64) -> EntryId {
    EntryId::from_u64(EntryId::new(NOW_MS, 0).as_u64() + number)
}

fn at(number: u64) -> Position {
    Position { segment: 1, offset: 64 + number as u32 * 64 }
}

fn due_ms(number: u64) -> u64 {
    NOW_MS + scattered(number, HOUR_MS)
}

fn key(number: u64) -> Key {
    let mut key = Key::default();
    key[..8].copy_from_slice(&due_ms(number).to_be_bytes());
    key[8..16].copy_from_slice(&id(number).as_u64().to_be_bytes());
    key[16..].copy_from_slice(&1u64.to_be_bytes());
    key
}

fn fresh_sled() -> (sled::Db, TempDir) {
    let folder = folder();
    (open_sled(folder.path()), folder)
}

/// With the settings that the ledger gives it, as far as they matter here.
fn open_sled(folder: &Path) -> sled::Db {
    let config = sled::Config::new()
        .path(folder)
        .mode(sled::Mode::HighThroughput)
        .segment_size(8 << 20)
        .cache_capacity(LedgerOptions::default().cache_bytes)
        .flush_every_ms(Some(1_000));
    config.open().expect("a fresh folder opens")
}

fn fill_sled(sled: &sled::Db) {
    for number in 0..DELIVERIES {
        sled.insert(key(number), &[7u8; VALUE_BYTES][..]).expect("sled writes");
    }
}

fn full_tree() -> BTreeMap<Key, [u8; VALUE_BYTES]> {
    (0..DELIVERIES).map(|number| (key(number), [7; VALUE_BYTES])).collect()
}
