//! Start and end of a receiver.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Receiver, Wire, webhook};

#[test]
fn each_address_of_each_range_is_listened_on() {
    let receiver =
        Receiver::start_with(&["--json", "--listen", "127.0.0.1-127.0.0.3:0", "--listen", "127.0.0.9:0"]);
    let addresses = receiver.addresses();
    let hosts: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(hosts, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"]);
    for address in addresses {
        assert_eq!(Wire::connect(address).exchange(webhook("/ok", "msg_1", "{}")).status, 204);
    }
    assert_eq!(receiver.stats()["requests"], 4);
}

#[test]
fn it_says_where_it_listens() {
    let receiver = Receiver::start_with(&["--listen", "127.0.0.1:0"]);
    assert!(receiver.first_line.starts_with("listening on http://127.0.0.1:"), "{}", receiver.first_line);
    let receiver = Receiver::start_with(&["--listen", "127.0.0.1-127.0.0.2:0", "--tls"]);
    let line = &receiver.first_line;
    assert!(line.starts_with("listening on https://127.0.0.1:") && line.ends_with("2 addresses\n"), "{line}");
}

#[test]
fn a_thousand_listeners_are_no_burden() {
    let receiver = Receiver::start_with(&["--json", "--listen", "127.0.1.1-127.0.4.232:0"]);
    let addresses = receiver.addresses();
    assert_eq!(addresses.len(), 1000);
    let last = Wire::connect(addresses[999]).exchange(webhook("/ok", "msg_1", "{}"));
    assert_eq!(last.status, 204);
}

#[test]
fn either_signal_ends_it_with_its_stats_and_success() {
    for signal in [Signal::INT, Signal::TERM] {
        let receiver = Receiver::start(&[]);
        receiver.exchange(webhook("/ok", "msg_1", "{}"));
        let (status, said) = receiver.end(signal);
        assert!(status.success(), "{signal:?}: {status}");
        let stats: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(stats["requests"], 1, "{signal:?}");
    }
}

#[test]
fn without_json_the_stats_are_a_table() {
    let receiver = Receiver::start_with(&["--listen", "127.0.0.1:0", "--expect", "3"]);
    let (status, said) = receiver.end(Signal::TERM);
    assert!(status.success());
    let value = |name: &str| {
        let line =
            said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {said}"));
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!((value("requests").as_str(), value("never received").as_str()), ("0", "3"));
}
