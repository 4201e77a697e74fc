//! Frames: what it costs to cut a pipeline of XADDs into requests, and to read them as commands.
//!
//! The sender declares lengths, so the decoder steps over payloads instead of looking through them. The floors
//! are what one pays who touches every byte once: to search it, or to copy it.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput};
use posthaste_bench::PAYLOAD;
use posthaste_protocol::command::Command;
use posthaste_protocol::frame::{Decoder, Limits};

/// Requests that one read brings.
const REQUESTS: usize = 64;
/// Few inputs at a time, so that they are in the cache, as what was just read from a socket is.
const INPUTS: BatchSize = BatchSize::NumIterations(4);

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames, 64 XADDs of 1 KiB");
    group.throughput(Throughput::Elements(REQUESTS as u64));
    let pipeline = pipeline();
    let input = || (Decoder::new(Limits::after_auth(1 << 20)), BytesMut::from(&pipeline[..]));
    group.bench_function("decode", |bencher| {
        bencher.iter_batched_ref(input, |(decoder, input)| decode(decoder, input), INPUTS);
    });
    group.bench_function("decode and parse", |bencher| {
        bencher.iter_batched_ref(input, |(decoder, input)| decode_and_parse(decoder, input), INPUTS);
    });
    group.bench_function("floor: look for line ends", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\r', black_box(&pipeline)).count());
    });
    group.bench_function("floor: copy", |bencher| {
        let mut copy = vec![0; pipeline.len()];
        bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&pipeline)));
    });
    group.finish();
}

fn pipeline() -> Vec<u8> {
    let arguments: [&[u8]; 7] =
        [b"XADD", b"messages:acme", b"*", b"type", b"invoice.paid", b"payload", &PAYLOAD];
    let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
    request.repeat(REQUESTS)
}

fn decode(decoder: &mut Decoder, input: &mut BytesMut) {
    let mut requests = 0;
    while let Some(request) = decoder.decode(input).expect("the pipeline is well formed") {
        black_box(request);
        requests += 1;
    }
    assert_eq!(requests, REQUESTS);
}

fn decode_and_parse(decoder: &mut Decoder, input: &mut BytesMut) {
    let mut requests = 0;
    while let Some(request) = decoder.decode(input).expect("the pipeline is well formed") {
        black_box(Command::parse(&request).expect("XADD is a command"));
        requests += 1;
    }
    assert_eq!(requests, REQUESTS);
}
