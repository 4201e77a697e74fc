//! What it says about what came.

use crate::harness::{Receiver, eventually, webhook};

#[test]
fn deliveries_are_known_by_id_and_target_and_counted_once_again_and_never() {
    let receiver = Receiver::start(&["--expect", "5"]);
    let mut wire = receiver.connect();
    for (target, id) in [
        ("/ok?slot=1", "msg_1"),
        ("/ok?slot=2", "msg_1"),
        ("/ok?slot=1", "msg_1"),
        ("/status/500", "msg_2"),
        ("/status/500", "msg_2"),
    ] {
        wire.exchange(webhook(target, id, "{}"));
    }
    let account = &receiver.stats()["account"];
    for (name, expected) in [
        ("deliveries", 3),
        ("once", 1),
        ("accepted", 2),
        ("again", 2),
        ("again_after_accepted", 1),
        ("never", 2),
        ("forgotten", 0),
    ] {
        assert_eq!(account[name], expected, "{name} of {account}");
    }
}

#[test]
fn what_it_may_not_remember_it_calls_forgotten() {
    let receiver = Receiver::start(&["--remember", "1"]);
    let mut wire = receiver.connect();
    for number in 0..2_000 {
        wire.exchange(webhook("/ok", &format!("msg_{number}"), "{}"));
    }
    let account = &receiver.stats()["account"];
    let count = |name: &str| account[name].as_u64().unwrap();
    assert_eq!(count("deliveries") + count("forgotten"), 2_000);
    assert!(count("forgotten") > 1_000, "{account}");
    assert_eq!((count("again"), &account["never"]), (0, &serde_json::Value::Null));
}

#[test]
fn asking_for_the_stats_is_no_request() {
    let receiver = Receiver::start(&[]);
    receiver.stats();
    assert_eq!(receiver.stats()["requests"], 0);
    // A webhook to that path is one.
    assert_eq!(receiver.exchange(webhook("/stats", "msg_1", "{}")).status, 404);
    assert_eq!(receiver.stats()["requests"], 1);
}

#[test]
fn requests_are_counted_by_behaviour_and_by_status_over_all_threads() {
    let receiver = Receiver::start(&["--threads", "3"]);
    let mut wires: Vec<_> = (0..9).map(|_| receiver.connect()).collect();
    for wire in &mut wires {
        for path in ["/ok", "/status/503", "/status/503?again"] {
            wire.exchange(webhook(path, "msg_1", "{}"));
        }
    }
    let stats = receiver.stats();
    assert_eq!((&stats["requests"], &stats["body_bytes"]), (&27.into(), &54.into()));
    assert_eq!((&stats["behaviours"]["ok"], &stats["behaviours"]["status"]), (&9.into(), &18.into()));
    assert_eq!((&stats["statuses"]["204"], &stats["statuses"]["503"]), (&9.into(), &18.into()));
    assert!(stats["cpu_us"].as_u64().unwrap() > 0);
}

#[test]
fn connections_are_counted_open_at_most_and_ever() {
    let receiver = Receiver::start(&[]);
    let mut wires: Vec<_> = (0..4).map(|_| receiver.connect()).collect();
    for wire in &mut wires {
        wire.exchange(webhook("/ok", "msg_1", "{}"));
    }
    drop(wires);
    // The one that asks is a connection too.
    eventually("all others are closed", || receiver.stats()["connections"]["open"] == 1);
    let connections = &receiver.stats()["connections"];
    assert!(connections["peak"].as_u64().unwrap() >= 4, "{connections}");
    assert!(connections["accepted"].as_u64().unwrap() >= 6, "{connections}");
}
