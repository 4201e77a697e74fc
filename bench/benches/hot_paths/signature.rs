//! The signature: HMAC-SHA256 over id, timestamp and 1 KiB of payload, as the text of a header.
//!
//! The floor is one call of the cryptographic library over the same bytes, lying in one piece, with its key
//! prepared. Beside it what preparing costs, which endpoints save by doing it once.

use std::hint::black_box;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use criterion::Criterion;
use posthaste::delivery::bench_support::sign;
use posthaste::delivery::{SigningSecret, Target, TargetSpec};
use posthaste_bench::{NOW_MS, PAYLOAD};
use posthaste_storage::EntryId;

/// Id and timestamp of the message that is sent.
pub(crate) const MESSAGE: EntryId = EntryId::new(1_732_300_000_000, 3);
const ID: &str = "msg_1732300000000-3";
pub(crate) const UNIX_SECS: u64 = NOW_MS / 1_000;
const KEY: [u8; 32] = [7; 32];

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signature, 1 KiB");
    let target = target(true);
    // As it stands in a head: id and timestamp first.
    let mut out = format!("{ID}{UNIX_SECS}").into_bytes();
    let (id, timestamp) = (0..ID.len(), ID.len()..out.len());
    group.bench_function("sign", |bencher| {
        bencher.iter(|| {
            out.truncate(timestamp.end);
            sign(&target, id.clone(), timestamp.clone(), black_box(&PAYLOAD), &mut out);
        });
    });
    let (key, content) = (key(), content());
    group.bench_function("floor: HMAC with a prepared key", |bencher| {
        bencher.iter(|| hmac::sign(&key, black_box(&content)));
    });
    group.bench_function("HMAC with a key prepared for it", |bencher| {
        bencher.iter(|| hmac::sign(&hmac::Key::new(HMAC_SHA256, black_box(&KEY)), black_box(&content)));
    });
    group.finish();
}

/// An endpoint as most are.
pub(crate) fn target(with_secret: bool) -> Target {
    let secret = SigningSecret::from_key(&KEY).expect("32 bytes are a key");
    let secrets = [secret];
    Target::prepare(TargetSpec {
        headers: &[("x-shop".to_owned(), "42".to_owned())],
        secrets: if with_secret { &secrets } else { &[] },
        ..TargetSpec::new("https://hooks.example.com/posthaste/inbox?shop=42")
    })
    .expect("nothing is wrong with it")
}

/// Its key, prepared.
pub(crate) fn key() -> hmac::Key {
    hmac::Key::new(HMAC_SHA256, &KEY)
}

/// What is signed, in one piece.
pub(crate) fn content() -> Vec<u8> {
    [ID.as_bytes(), b".", UNIX_SECS.to_string().as_bytes(), b".", &PAYLOAD].concat()
}
