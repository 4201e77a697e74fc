//! Health: what it costs to learn an outcome, alone, beside another thread, and against one.
//!
//! The floor is `fetch_add` on a number that lies the same way: the least that a shared count costs.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use posthaste::core::health::{Admit, HealthCell, LockoutRule};
use posthaste::core::tick::Tick;
use posthaste_bench::NOW_MS;

const NOW: Tick = Tick::from_ms(NOW_MS);

/// Nothing else on its cache lines (processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Which threads there are, and which cell each of them uses.
struct Layout {
    name: &'static str,
    cells: &'static [usize],
}

const LAYOUTS: [Layout; 3] = [
    Layout { name: "1 thread", cells: &[0] },
    Layout { name: "2 threads, a cell each", cells: &[0, 1] },
    Layout { name: "2 threads, one cell", cells: &[0, 0] },
];

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("health");
    // No short samples: threads that run for a moment only hardly meet.
    group.sampling_mode(SamplingMode::Flat);
    let rule = LockoutRule::default();
    for layout in &LAYOUTS {
        measure(&mut group, "outcome", layout, |cell: &HealthCell| {
            black_box(cell.on_outcome(NOW, true, false, &rule));
        });
        measure(&mut group, "floor: fetch_add", layout, |count: &AtomicU64| {
            black_box(count.fetch_add(1, Ordering::Relaxed));
        });
    }
    for layout in &LAYOUTS {
        measure(&mut group, "admit", layout, |cell: &HealthCell| {
            assert_eq!(cell.admit(NOW, &rule), Admit::Go);
        });
        measure(&mut group, "floor: load", layout, |count: &AtomicU64| {
            assert_eq!(count.load(Ordering::Relaxed), 0);
        });
    }
    group.finish();
}

fn measure<T: Default + Sync>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    layout: &Layout,
    step: impl Fn(&T) + Sync,
) {
    let cells: [Apart<T>; 2] = Default::default();
    group.bench_function(format!("{name}, {}", layout.name), |bencher| {
        bencher.iter_custom(|times| together(layout.cells, times, |cell| step(black_box(&cells[cell].0))));
    });
}

/// Runs `step` so many times in each of the threads, which begin together; the time of the slowest.
fn together(cells: &[usize], times: u64, step: impl Fn(usize) + Sync) -> Duration {
    let barrier = Barrier::new(cells.len());
    let run = |cell: usize| {
        barrier.wait();
        let began = Instant::now();
        (0..times).for_each(|_| step(cell));
        began.elapsed()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = cells.iter().map(|&cell| scope.spawn(move || run(cell))).collect();
        let elapsed = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        elapsed.max().unwrap_or_default()
    })
}
