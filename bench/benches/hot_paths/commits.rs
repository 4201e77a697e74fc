//! Commits: what it takes until a batch of messages is durable, by the number of those who share the sync.
//!
//! The floor is a bare file: the same bytes appended by the standard library, and the same `fdatasync`.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use posthaste_bench::{NOW_MS, message};
use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::{Log, LogOptions};

use crate::folder;

/// Small enough that the disk never holds much, large enough that a new one is rare.
const SEGMENT_BYTES: u32 = 64 << 20;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commits of 1 KiB messages");
    // Disks have moods; a longer look evens them out.
    group.sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(3));
    for messages in [1, 16, 128, 512] {
        group.throughput(Throughput::Elements(messages));
        let bytes = commit(&mut group, messages);
        append_and_sync(&mut group, messages, bytes);
    }
    group.finish();
}

/// Returns how many bytes a commit writes.
fn commit(group: &mut BenchmarkGroup<'_, WallTime>, messages: u64) -> usize {
    let folder = folder();
    let (mut log, _) = Log::open(Arc::new(RealDisk), folder.path(), LogOptions::new(SEGMENT_BYTES))
        .expect("a fresh folder opens");
    let bytes = fill_and_commit(&mut log, messages);
    group.bench_function(format!("commit of {messages}"), |bencher| {
        bencher.iter_custom(|times| {
            let began = Instant::now();
            for _ in 0..times {
                fill_and_commit(&mut log, messages);
            }
            let elapsed = began.elapsed();
            unlink_closed(&mut log);
            elapsed
        });
    });
    bytes
}

/// Returns how many bytes were pending.
fn fill_and_commit(log: &mut Log, messages: u64) -> usize {
    for _ in 0..messages {
        let id = log.next_id(NOW_MS);
        log.append(&message(id)).expect("there is room");
    }
    let bytes = log.pending_bytes();
    black_box(log.commit().expect("the disk takes it"));
    bytes
}

fn unlink_closed(log: &mut Log) {
    let segments = log.segments();
    let closed = segments.len().saturating_sub(1);
    for segment in &segments[..closed] {
        log.unlink(segment.number).expect("the oldest segment is closed");
    }
}

fn append_and_sync(group: &mut BenchmarkGroup<'_, WallTime>, messages: u64, bytes: usize) {
    let folder = folder();
    let content = vec![b'x'; bytes];
    let mut bare = Bare::begin(folder.path());
    group.bench_function(format!("floor: append and fdatasync the bytes of {messages}"), |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| bare.append(folder.path(), &content)).sum());
    });
}

/// A file that grows as a segment does, so that the file system has as much to keep in mind.
struct Bare {
    file: File,
    bytes: u64,
}

impl Bare {
    fn begin(folder: &Path) -> Self {
        Self { file: File::create(folder.join("bare")).expect("the folder can be written to"), bytes: 0 }
    }

    /// The time until the content is durable. To begin a new file does not count.
    fn append(&mut self, folder: &Path, content: &[u8]) -> Duration {
        if self.bytes >= SEGMENT_BYTES.into() {
            *self = Self::begin(folder);
        }
        let began = Instant::now();
        let written = self.file.write_all_at(content, self.bytes).and_then(|()| self.file.sync_data());
        let elapsed = began.elapsed();
        written.expect("the disk takes it");
        self.bytes += content.len() as u64;
        elapsed
    }
}
