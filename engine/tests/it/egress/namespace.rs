//! A network of one's own, in which every address of the world leads to this machine.
//!
//! Whoever connects anywhere in it is seen by whoever listens there, so that a guard with a hole cannot hide it behind an
//! address that the test did not think of. Names are asked of 127.0.0.1. It is a network namespace of Linux, which takes
//! root; the test runs itself again in it. Another one ([`is_among_strangers`]) has a few addresses of its own, and all
//! others are nobody's.

use std::process::Command;

use crate::harness::{Tool, skip};

const INSIDE: &str = "POSTHASTE_TEST_IS_INSIDE";

/// Every address is made local, names are asked of this machine, and then the test runs. One address of IPv6 is given to
/// an interface too: to the others a socket can be connected and not bound.
const SCRIPT: &str = "set -e
mount --bind \"$1\" /etc/resolv.conf
ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
ip -6 address add fd12::1/128 dev lo
shift
exec \"$@\"";

/// An interface has two addresses in one network, which the system tells from each other; and whoever wants to may bind
/// to any address.
const STRANGERS: &str = "set -e
shift
ip link set lo up
ip address add 10.9.0.1/24 dev lo
ip address add 10.9.0.2/24 dev lo
ip -6 address add fd12::1/128 dev lo
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
exec \"$@\"";

/// Whether the test runs within such a network. If not, it is run there, and what it says is printed; where there can be
/// no such network, that is said.
pub(super) fn is_inside(test: &str) -> bool {
    is_within(SCRIPT, test)
}

/// The same, where 10.9.0.1, 10.9.0.2 and fd12::1 are this machine and everything else is not, although it can be bound
/// to.
pub(super) fn is_among_strangers(test: &str) -> bool {
    is_within(STRANGERS, test)
}

fn is_within(script: &str, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if let Some(unshare) = tools() {
        run_inside(&unshare, script, test);
    }
    false
}

fn tools() -> Option<Tool> {
    let (unshare, _) = (Tool::find("unshare")?, Tool::find("ip")?);
    let may = unshare.command().args(["--net", "--mount", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        skip("a network namespace cannot be made: that takes root");
        return None;
    }
    Some(unshare)
}

fn run_inside(unshare: &Tool, script: &str, test: &str) {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let names = temp.path().join("resolv.conf");
    std::fs::write(&names, "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n").expect("a file");
    let mut command: Command = unshare.command();
    command.args(["--net", "--mount", "sh", "-c", script, "sh"]).arg(names);
    command.arg(std::env::current_exe().expect("this program")).args(["--exact", test, "--nocapture"]);
    let output = command.env(INSIDE, "1").output().expect("it runs");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let [out, errors] = said;
    assert!(output.status.success() && out.contains("1 passed"), "in the namespace:\n{out}\n{errors}");
    eprintln!("{errors}");
}
