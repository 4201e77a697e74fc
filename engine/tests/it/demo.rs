//! `posthaste demo`: the whole job in one command.

use crate::harness::binary;

#[test]
fn the_demo_accounts_for_every_message_and_ends_well() {
    let output = binary().args(["demo", "--messages", "3000"]).output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{printed}\n{said}", output.status);
    let sentence = printed.lines().find(|line| line.starts_with("acknowledged 3000 = delivered "));
    let sentence = sentence.unwrap_or_else(|| panic!("no sentence in:\n{printed}"));
    assert!(sentence.ends_with(": holds"), "{sentence}");
    let next = printed.lines().find(|line| line.contains("redis-cli -p "));
    assert!(
        next.is_some_and(|line| line.contains("XADD messages:")),
        "it shows what to try next:\n{printed}"
    );
    let console = printed.lines().find(|line| line.starts_with("console "));
    assert!(console.is_some_and(|line| line.ends_with("/console")), "it says where to watch:\n{printed}");
    for endpoint in ["healthy", "slow", "flaky", "moody", "failing", "dead", "gone"] {
        assert!(printed.lines().any(|line| line.starts_with(endpoint)), "a line for {endpoint}:\n{printed}");
    }
}
