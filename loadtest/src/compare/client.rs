//! A plain client as a process of its own: its CPU is its own too, and its allocator what it would be elsewhere.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::receiver::Receiver;

const BODY_BYTES: u32 = 1_024;
/// Requests that open connections and are not measured.
const WARM_UP: u64 = 10_000;

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one of hyper-util, with its pool.
    Pooled,
    /// hyper's connections.
    LowLevel,
}

/// What it says at the end.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) per_second: f64,
    pub(crate) cpu_us_per_request: f64,
    pub(crate) p99_us: f64,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::LowLevel => "low-level",
        }
    }
}

/// Sends so many requests to all hosts of a receiver in turn.
pub(crate) fn run(kind: Kind, receiver: &Receiver, requests: u64, in_flight: u32) -> anyhow::Result<Sent> {
    let mut command = Command::new(std::env::current_exe().context("where this program lies")?);
    command.args(["client", "--kind", kind.name(), "--json"]);
    for (option, value) in [
        ("--requests", requests),
        ("--in-flight", in_flight.into()),
        ("--body-bytes", BODY_BYTES.into()),
        ("--warm-up", WARM_UP.min(requests)),
    ] {
        command.args([option, &value.to_string()]);
    }
    for address in receiver.addresses() {
        command.args(["--url", &format!("http://{address}/ok")]);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("the client")?;
    ensure!(output.status.success(), "the {} client ended with {}", kind.name(), output.status);
    let sent: Sent = serde_json::from_slice(&output.stdout).context("what the client says")?;
    let (failed, requests) = (sent.failed, sent.requests);
    ensure!(failed == 0, "{failed} of {requests} requests of the {} client failed", kind.name());
    Ok(sent)
}
