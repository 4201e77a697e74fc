//! The request: what an attempt does between its turn and its connection.
//!
//! The floor is what a client written for this one endpoint would do: the HMAC, and its head copied whole into
//! memory of its own. Not measured here: hyper's writing of the head, and the socket.

use std::fmt::Write as _;
use std::hint::black_box;

use aws_lc_rs::hmac;
use bytes::Bytes;
use criterion::Criterion;
use posthaste::delivery::bench_support::request;
use posthaste::delivery::{MessageHead, Target};
use posthaste_bench::PAYLOAD;

use crate::signature::{ID, UNIX_SECS, content, key, target};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request, 1 KiB");
    let payload = Bytes::from_static(&PAYLOAD);
    let message = MessageHead { id: ID, content_type: None };
    for (name, with_secret) in [("signed", true), ("unsigned", false)] {
        let target = target(with_secret);
        group.bench_function(format!("build, {name}"), |bencher| {
            bencher.iter(|| request(black_box(&target), message, payload.clone(), UNIX_SECS));
        });
    }
    let (key, content) = (key(), content());
    let head = head(&target(true), message, &payload);
    group.bench_function("floor: HMAC and a copy of the head", |bencher| {
        bencher.iter(|| (hmac::sign(&key, black_box(&content)), black_box(head.as_bytes()).to_vec()));
    });
    group.bench_function("floor: a copy of the head", |bencher| {
        bencher.iter(|| black_box(head.as_bytes()).to_vec());
    });
    group.finish();
}

/// The head as it goes over the wire.
fn head(target: &Target, message: MessageHead<'_>, payload: &Bytes) -> String {
    let request = request(target, message, payload.clone(), UNIX_SECS).expect("the message can be sent");
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let value = value.to_str().expect("its headers are text");
        write!(head, "{name}: {value}\r\n").expect("memory takes it");
    }
    head + "\r\n"
}
