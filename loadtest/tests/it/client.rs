//! Plain clients, against a receiver that counts.

use serde_json::Value;

use crate::harness::{Receiver, run};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn figures(arguments: &[&str]) -> Value {
    let (status, stdout, stderr) = run(&[&["client", "--json"], arguments].concat());
    assert!(status.success(), "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn each_kind_sends_as_many_as_it_was_told_to_all_hosts_in_turn() {
    for kind in ["pooled", "low-level"] {
        let receiver = Receiver::start_with(&["--json", "--listen", "127.0.0.1-127.0.0.2:0"]);
        let urls: Vec<_> =
            receiver.addresses().iter().map(|address| format!("http://{address}/ok")).collect();
        let load = ["--requests", "400", "--warm-up", "100", "--in-flight", "8", "--body-bytes", "64"];
        let figures = figures(&[&["--kind", kind, "--url", &urls[0], "--url", &urls[1]], &load[..]].concat());

        assert_eq!((&figures["kind"], &figures["requests"]), (&kind.into(), &400.into()), "{figures}");
        assert_eq!(figures["failed"], 0, "{figures}");
        for name in ["seconds", "per_second", "cpu_us_per_request", "p50_us", "p99_us", "max_us"] {
            assert!(figures[name].as_f64().unwrap() > 0.0, "{name} of {figures}");
        }
        let stats = receiver.stats();
        assert_eq!((&stats["requests"], &stats["body_bytes"]), (&500.into(), &(500 * 64).into()));
        assert_eq!(stats["account"]["once"], 500, "each has an id of its own");
        let accepted = stats["connections"]["accepted"].as_u64().unwrap();
        assert!(accepted < 60, "{kind} keeps its connections: {accepted}");
    }
}

#[test]
fn what_is_not_answered_with_2xx_has_failed() {
    let receiver = Receiver::start(&[]);
    for kind in ["pooled", "low-level"] {
        for path in ["status/500", "drop"] {
            let url = format!("http://{}/{path}", receiver.address());
            let figures = figures(&["--kind", kind, "--url", &url, "--requests", "30", "--warm-up", "0"]);
            assert_eq!(figures["failed"], 30, "{kind} {path}: {figures}");
        }
    }
}

#[test]
fn what_is_signed_is_accepted_by_who_checks() {
    let receiver = Receiver::start(&["--secret", SECRET]);
    let url = format!("http://{}/ok", receiver.address());
    let load = ["--kind", "low-level", "--url", &url, "--requests", "20", "--warm-up", "0"];
    assert_eq!(figures(&[&load[..], &["--sign", SECRET]].concat())["failed"], 0);
    assert_eq!(figures(&[&load[..], &["--sign"]].concat())["failed"], 20, "signed with another secret");
    assert_eq!(figures(&load)["failed"], 20, "not signed");
}

#[test]
fn without_json_the_figures_are_a_table() {
    let receiver = Receiver::start(&[]);
    let url = format!("http://{}/ok", receiver.address());
    let (status, stdout, _) = run(&["client", "--kind", "pooled", "--url", &url, "--requests", "7"]);
    assert!(status.success());
    assert!(stdout.lines().any(|line| line.starts_with("requests ") && line.ends_with(" 7")), "{stdout}");
}
