//! The hot paths one by one: the wheel, and group commit at several batch sizes.

#![allow(missing_docs, reason = "criterion's macros make public items without documentation")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use posthaste::core::tick::Tick;
use posthaste::core::wheel::Wheel;
use posthaste_bench::message;
use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::{Log, LogOptions};

const TIMERS: u32 = 1_000_000;
const SEGMENT_BYTES: u32 = 64 << 20;

/// Due times spread over an hour, in an order that is not the order of time.
fn due(number: u32) -> Tick {
    Tick::from_ms(1 + u64::from(number.wrapping_mul(2_654_435_761)) % 3_600_000)
}

fn wheel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    group.throughput(Throughput::Elements(TIMERS.into())).sample_size(10);
    let filled = || {
        let mut wheel = Wheel::new(Tick::ZERO);
        (0..TIMERS).for_each(|number| wheel.insert(due(number), number));
        wheel
    };
    group.bench_function("insert 1,000,000", |bencher| bencher.iter(|| black_box(filled())));
    group.bench_function("expire 1,000,000", |bencher| {
        bencher.iter_batched(
            filled,
            |mut wheel| while wheel.pop_due(Tick::from_ms(3_600_001)).is_some() {},
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn group_commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("group commit of 1 KiB messages");
    let payload = vec![b'x'; 1_024];
    for batch in [1u64, 16, 128, 512] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut log, _) = Log::open(Arc::new(RealDisk), folder.path(), LogOptions::new(SEGMENT_BYTES))
            .expect("a fresh folder opens");
        group.throughput(Throughput::Elements(batch)).sample_size(20);
        group.bench_function(format!("{batch}"), |bencher| {
            bencher.iter(|| {
                for _ in 0..batch {
                    let id = log.next_id(1);
                    log.append(&message(id, &payload, &[1])).expect("there is room");
                }
                log.commit().expect("the disk takes it")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, wheel, group_commit);
criterion_main!(benches);
