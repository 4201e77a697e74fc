//! hyper's own connections, with a small pool for each host, on one thread.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::load::{Load, PlainClient};
use super::tally::Figures;

pub(super) fn run(load: &Arc<Load>) -> anyhow::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pools = load.hosts.iter().map(|_| Mutex::default()).collect();
    runtime.block_on(async {
        // In a task like the senders: what the runtime is entered with has a queue of its own.
        let load = Arc::clone(load);
        tokio::spawn(async move { load.run(LowLevel { pools }).await }).await?
    })
}

type Sender = SendRequest<Full<Bytes>>;

/// Idle connections of each host, the last used on top.
struct LowLevel {
    pools: Vec<Mutex<Vec<Sender>>>,
}

impl PlainClient for LowLevel {
    async fn send(&self, load: &Load, number: u64) -> anyhow::Result<bool> {
        let host = load.host(number);
        let mut sender = match self.idle(host).await {
            Some(sender) => sender,
            None => connect(load, host).await?,
        };
        let response = sender.send_request(load.origin(number)?).await?;
        let succeeded = response.status().is_success();
        response.into_body().collect().await?;
        self.pools[host].lock().push(sender);
        Ok(succeeded)
    }
}

impl LowLevel {
    /// An idle connection that is still open.
    async fn idle(&self, host: usize) -> Option<Sender> {
        loop {
            let mut sender = self.pools[host].lock().pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }
}

async fn connect(load: &Load, host: usize) -> anyhow::Result<Sender> {
    let stream = TcpStream::connect(load.hosts[host].address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its error reaches whoever waits for the response.
    tokio::spawn(connection);
    Ok(sender)
}
