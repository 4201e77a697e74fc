//! Signatures that are checked.

use std::time::{SystemTime, UNIX_EPOCH};

use standardwebhooks::Webhook;

use crate::harness::{Receiver, webhook};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn signed(timestamp: i64, body: &str, sent: &str) -> String {
    let signature = Webhook::new(SECRET).unwrap().sign("msg_1", timestamp, body.as_bytes()).unwrap();
    let headers = format!("\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\nhost: a");
    webhook("/ok", "msg_1", sent).replacen("\r\nhost: a", &headers, 1)
}

#[test]
fn only_what_is_signed_is_accepted_and_the_rest_is_counted() {
    let receiver = Receiver::start(&["--secret", SECRET]);
    let mut wire = receiver.connect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert_eq!(wire.exchange(signed(now, "{}", "{}")).status, 204);
    assert_eq!(wire.exchange(signed(now, "{}", "[]")).status, 401, "another body");
    assert_eq!(wire.exchange(signed(now - 3600, "{}", "{}")).status, 401, "an hour old");
    assert_eq!(wire.exchange(webhook("/ok", "msg_1", "{}")).status, 401, "not signed");
    let stats = receiver.stats();
    assert_eq!((&stats["signature_failures"], &stats["statuses"]["401"]), (&3.into(), &3.into()));
    assert_eq!(stats["account"]["accepted"], 1);
}

#[test]
fn without_a_secret_nothing_is_checked() {
    let receiver = Receiver::start(&[]);
    assert_eq!(receiver.exchange(signed(0, "{}", "[]")).status, 204);
    assert_eq!(receiver.stats()["signature_failures"], 0);
}
