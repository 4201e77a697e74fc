//! Records: what it costs to encode a fact, and to append it to the pending batch. No disk is involved.
//!
//! The floor of encoding is the copy of the payload; that of appending, the copy of the record and its CRC32C.

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use posthaste_bench::{NOW_MS, PAYLOAD, attempt, message};
use posthaste_storage::EntryId;
use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::{Log, LogOptions};
use posthaste_storage::record::Record;

use crate::folder;

/// Records of a batch.
const RECORDS: u64 = 128;

type Make = fn(EntryId) -> Record<'static>;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records, 128 at a time");
    group.throughput(Throughput::Elements(RECORDS));
    encode(&mut group);
    for (name, make) in [("messages of 1 KiB", message as Make), ("attempts", attempt as Make)] {
        append(&mut group, name, make);
        copy_with_checksum(&mut group, name, make);
    }
    group.finish();
}

fn encode(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut buffer = Vec::new();
    group.bench_function("encode messages of 1 KiB", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            for sequence in 0..RECORDS {
                message(EntryId::new(NOW_MS, sequence as u16)).encode(black_box(&mut buffer));
            }
        });
    });
    group.bench_function("floor: copy payloads of 1 KiB", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            for _ in 0..RECORDS {
                black_box(&mut buffer).extend_from_slice(black_box(&PAYLOAD));
            }
        });
    });
}

fn append(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, make: Make) {
    let folder = folder();
    let (mut log, _) = Log::open(Arc::new(RealDisk), folder.path(), LogOptions::new(64 << 20))
        .expect("a fresh folder opens");
    group.bench_function(format!("append {name}"), |bencher| {
        bencher.iter(|| {
            for _ in 0..RECORDS {
                let id = log.next_id(NOW_MS);
                black_box(log.append(&make(id)).expect("there is room"));
            }
            log.discard_pending();
        });
    });
}

fn copy_with_checksum(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, make: Make) {
    let (mut body, mut buffer) = (Vec::new(), Vec::new());
    make(EntryId::new(NOW_MS, 0)).encode(&mut body);
    group.bench_function(format!("floor: copy and CRC32C of {name}"), |bencher| {
        bencher.iter(|| {
            buffer.clear();
            for _ in 0..RECORDS {
                black_box(&mut buffer).extend_from_slice(black_box(&body));
                black_box(crc32c::crc32c(&buffer[buffer.len() - body.len()..]));
            }
        });
    });
}
