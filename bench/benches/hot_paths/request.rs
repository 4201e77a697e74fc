//! The request: what an attempt does between its turn and its connection.
//!
//! The floor is what a client written for this one endpoint would do: the HMAC, and its head copied whole into
//! memory of its own. Not measured here: the socket.

use std::hint::black_box;

use aws_lc_rs::hmac;
use bytes::Bytes;
use criterion::Criterion;
use posthaste::core::ids::MessageId;
use posthaste::delivery::MessageHead;
use posthaste::delivery::bench_support::http1_head;
use posthaste_bench::PAYLOAD;

use crate::signature::{MESSAGE, UNIX_SECS, content, key, target};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request, 1 KiB");
    let payload = Bytes::from_static(&PAYLOAD);
    let message = MessageHead { id: MessageId(MESSAGE), content_type: None, parent: None };
    for (name, with_secret) in [("signed", true), ("unsigned", false)] {
        let target = target(with_secret);
        group.bench_function(format!("build, {name}"), |bencher| {
            bencher.iter(|| http1_head(black_box(&target), message, payload.clone(), UNIX_SECS));
        });
    }
    let (key, content) = (key(), content());
    let head = http1_head(&target(true), message, payload.clone(), UNIX_SECS).expect("it can be sent");
    group.bench_function("floor: HMAC and a copy of the head", |bencher| {
        bencher.iter(|| (hmac::sign(&key, black_box(&content)), black_box(head.as_slice()).to_vec()));
    });
    group.bench_function("floor: a copy of the head", |bencher| {
        bencher.iter(|| black_box(head.as_slice()).to_vec());
    });
    group.finish();
}
