//! A flood of connections from which nothing comes, out of one machine.
//!
//! It gets the share of one address. Machines that are enough to fill all places between them keep new clients out for as
//! long as strangers are waited for; that is not tried here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::attacker::connect;

/// Connections in the making at a time.
const AT_ONCE: u32 = 500;
/// How long each is held: a stranger is closed before that.
const PATIENCE: Duration = Duration::from_secs(10);
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flood {
    pub(super) opened: u32,
}

/// Opens so many and holds them until they are closed by the other side.
pub(super) async fn run(to: SocketAddr, connections: u32) -> anyhow::Result<Flood> {
    raise_descriptors();
    let mut holding = JoinSet::new();
    let making = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE as usize));
    for _ in 0..connections {
        let making = making.clone();
        holding.spawn(async move {
            let permit = making.acquire_owned().await;
            let Ok(Ok(mut stream)) = timeout(PATIENCE, connect(SOURCE, to)).await else { return false };
            drop(permit);
            // Closed, or let go.
            let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
            true
        });
    }
    let mut opened = 0;
    while let Some(held) = holding.join_next().await {
        opened += u32::from(held?);
    }
    Ok(Flood { opened })
}

/// Each connection takes a descriptor. What the system does not allow is seen in what was opened.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
