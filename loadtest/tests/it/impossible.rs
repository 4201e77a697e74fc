//! Loads that cannot be: one sentence with option and value, exit status 2.

use std::net::TcpListener;

use crate::harness::{Forgetful, refusal, run};

#[test]
fn loads_that_are_impossible_are_refused_by_option_and_value() {
    for (arguments, expected) in [
        (
            &["--fan-out", "11", "--endpoints", "20", "--applications", "2"][..],
            "--fan-out 11: an application has only 10 endpoints",
        ),
        (&["--hosts", "200", "--endpoints", "100"], "--hosts 200: there are only 100 endpoints"),
        (&["--slow", "60", "--hanging", "50"], "are 110% together"),
        (&["--hanging", "101"], "invalid value '101' for '--hanging"),
        (&["--rate", "300", "--full-speed"], "'--rate <RATE>' cannot be used with '--full-speed'"),
        (&["--duration", "5"], "invalid value '5' for '--duration"),
        (&["--duration", "5s", "--messages", "5"], "'--duration <DURATION>' cannot be used with '--messages"),
        (&["--dead-host", "--hosts", "1"], "--dead-host: with --hosts 1 nobody would be left"),
        (&["--receiver", "203.0.113.1:0"], "--receiver 203.0.113.1:0: "),
        (
            &["--engine-binary", "/nowhere/posthaste"],
            "--engine-binary /nowhere/posthaste: there is no such file",
        ),
        (&["--setting", "policy=1h"], "invalid value 'policy=1h' for '--setting"),
        (&["--json", "/nowhere/at/all.json"], "--json /nowhere/at/all.json: there is no folder"),
        (&["--address", "127.0.0.1:1"], "--api <API>"),
        (&["--address", "127.0.0.1:1", "--api", "127.0.0.1:1"], "--api 127.0.0.1:1: "),
    ] {
        let said = refusal(&[&["run"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_receiver_whose_port_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&["run", "--hosts", "1", "--receiver", &address]);
    assert!(said.contains(&format!("--receiver {address}: ")) && said.contains("in use"), "{said}");
}

#[test]
fn a_scenario_without_a_name_or_with_an_unknown_one_is_told_the_names() {
    for arguments in [&["scenario"][..], &["scenario", "warp"]] {
        let said = refusal(arguments);
        for name in [
            "million",
            "ceiling",
            "fan-out",
            "latency",
            "isolation",
            "pending-10m",
            "many-endpoints",
            "restart",
            "tls",
            "idle",
            "console",
        ] {
            assert!(said.contains(name), "{said}");
        }
    }
}

#[test]
fn fewer_rounds_than_a_median_needs_are_refused() {
    let said = refusal(&["compare", "--rounds", "4"]);
    assert!(said.contains("invalid value '4' for '--rounds"), "{said}");
}

#[test]
fn an_engine_that_refuses_everything_is_told_with_its_reason() {
    let engine = Forgetful::refusing();
    let (tcp, api) = (engine.tcp.to_string(), engine.api.to_string());
    let said = refusal(&[
        "run",
        "--hosts",
        "1",
        "--messages",
        "10",
        "--warm-up",
        "0s",
        "--patience",
        "1s",
        "--address",
        &tcp,
        "--api",
        &api,
    ]);
    assert!(said.contains(&format!("{tcp} (--address) refuses messages: OOM the disk is full")), "{said}");
}

#[test]
fn an_engine_that_will_not_start_is_told_with_its_last_words() {
    let said = refusal(&["run", "--hosts", "1", "--engine-binary", "/bin/ls"]);
    assert!(said.contains("the engine did not start"), "{said}");
}

#[test]
fn help_is_no_error() {
    let (status, said, _) = run(&["run", "--help"]);
    assert!(status.success() && said.contains("--fan-out"), "{said}");
}
