//! The wheel: what it costs to let something wait, and to find that it is due, with ten million waiting.
//!
//! Two views. All at once: ten million inserted, ten million expired. And steadily: one expires, one is
//! inserted, ten million wait all the time. The floor is the standard library's binary heap of entries as
//! small as the wheel's (8 bytes); to empty one of ten million takes it so long that only the first 100,000 are
//! taken from it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use posthaste::core::tick::Tick;
use posthaste::core::wheel::Wheel;
use posthaste_bench::scattered;

const WAITING: u32 = 10_000_000;
/// Everything waits for up to an hour.
const WAIT_MS_MAX: u32 = 3_600_000;
/// Entries taken off the full heap at a time.
const POPPED: u32 = 100_000;

type Heap = BinaryHeap<Reverse<u64>>;

pub(crate) fn bench(criterion: &mut Criterion) {
    let waits: Vec<u32> = (0..WAITING).map(wait_ms).collect();
    let mut group = criterion.benchmark_group("wheel, 10,000,000 waiting");
    group.throughput(Throughput::Elements(WAITING.into())).sample_size(10);
    group.measurement_time(Duration::from_secs(6));
    insert_all(&mut group, &waits);
    expire_all(&mut group, &waits);
    group.throughput(Throughput::Elements(1)).sample_size(30);
    group.measurement_time(Duration::from_secs(3));
    steadily(&mut group, &waits);
    group.finish();
}

fn wait_ms(number: u32) -> u32 {
    1 + scattered(number.into(), WAIT_MS_MAX.into()) as u32
}

fn full_wheel(waits: &[u32]) -> Wheel {
    let mut wheel = Wheel::new(Tick::ZERO);
    for (token, wait) in (0..).zip(waits) {
        wheel.insert(Tick::from_ms((*wait).into()), token);
    }
    wheel
}

/// An entry of the heap: when it is due, then what it is.
fn entry(due_ms: u32, token: u32) -> Reverse<u64> {
    Reverse(u64::from(due_ms) << 32 | u64::from(token))
}

fn full_heap(waits: &[u32]) -> Heap {
    let mut heap = Heap::new();
    for (token, wait) in (0..).zip(waits) {
        heap.push(entry(*wait, token));
    }
    heap
}

fn insert_all(group: &mut BenchmarkGroup<'_, WallTime>, waits: &[u32]) {
    group.bench_function("insert all", |bencher| bencher.iter_with_large_drop(|| full_wheel(waits)));
    group.bench_function("floor: push all to a heap", |bencher| {
        bencher.iter_with_large_drop(|| full_heap(waits));
    });
}

fn expire_all(group: &mut BenchmarkGroup<'_, WallTime>, waits: &[u32]) {
    group.bench_function("expire all", |bencher| {
        bencher.iter_batched_ref(
            || full_wheel(waits),
            |wheel| while black_box(wheel.pop_due(Tick::from_ms(u64::from(WAIT_MS_MAX) + 16))).is_some() {},
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(POPPED.into()));
    group.bench_function("floor: pop the first 100,000 from a heap", |bencher| {
        // From a fresh heap each time: what is put back lies at the top, where it is found for little.
        bencher.iter_batched_ref(
            || full_heap(waits),
            |heap| (0..POPPED).for_each(|_| assert!(black_box(heap.pop()).is_some())),
            BatchSize::PerIteration,
        );
    });
}

fn steadily(group: &mut BenchmarkGroup<'_, WallTime>, waits: &[u32]) {
    let mut state = None;
    group.bench_function("expire one, insert one", |bencher| {
        let (wheel, now) = state.get_or_insert_with(|| (full_wheel(waits), Tick::ZERO));
        bencher.iter(|| {
            let token = pop_next(wheel, now);
            wheel.insert(*now + Duration::from_millis(waits[token as usize].into()), token);
        });
    });
    let mut heap = None;
    group.bench_function("floor: pop one from a heap, push one", |bencher| {
        let heap = heap.get_or_insert_with(|| full_heap(waits));
        bencher.iter(|| {
            let Some(Reverse(first)) = heap.pop() else { unreachable!("ten million wait") };
            let (due_ms, token) = ((first >> 32) as u32, first as u32);
            heap.push(entry(due_ms + waits[token as usize], token));
        });
    });
}

/// The next token, however far the clock has to go for it.
fn pop_next(wheel: &mut Wheel, now: &mut Tick) -> u32 {
    loop {
        if let Some(token) = wheel.pop_due(*now) {
            return token;
        }
        *now = wheel.next_due().unwrap_or(Tick::MAX);
    }
}
