//! Listeners at every address of the network, at every port that the corpus names: whoever connects is noted with the
//! address that was dialled. At the addresses that stand for the public internet there is a receiver, which redirects
//! to a spelling of the corpus, or fails; nobody else gets an answer.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::corpus::Spelling;

/// What stands for the public internet.
pub(super) const PUBLIC: [&str; 2] = ["93.184.215.14", "2606:2800:21f:cb07::14"];
/// `/redirect/<n>` of the public receiver leads to the spelling of this number.
pub(super) const REDIRECT: &str = "/redirect/";

/// See the head of this file.
pub(super) struct Canaries(Arc<Seen>);

#[derive(Default)]
struct Seen {
    locations: Vec<String>,
    /// Where somebody connected, other than to the public.
    connected: Mutex<Vec<SocketAddr>>,
    /// Paths that the public receiver was asked for.
    asked: Mutex<Vec<String>>,
}

impl Canaries {
    pub(super) async fn start(corpus: &[Spelling]) -> Self {
        let ports =
            corpus.iter().filter_map(|spelling| Url::parse(&spelling.url).ok()?.port_or_known_default());
        let ports: BTreeSet<u16> = ports.chain([80, 443, 8080]).filter(|&port| port > 0).collect();
        let locations = corpus.iter().map(|spelling| spelling.url.clone()).collect();
        let seen = Arc::new(Seen { locations, ..Seen::default() });
        for port in ports {
            // Both families: Linux gives IPv4 connections to a listener on `::` too.
            let listener = TcpListener::bind(("::", port)).await.expect("every port is free in here");
            let seen = seen.clone();
            tokio::spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    tokio::spawn(welcome(tcp, seen.clone()));
                }
            });
        }
        Self(seen)
    }

    /// Where somebody connected who should not have.
    pub(super) fn connected(&self) -> Vec<SocketAddr> {
        self.0.connected.lock().clone()
    }

    /// How often the public receiver was asked for paths that begin so.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.0.asked.lock().iter().filter(|asked| asked.starts_with(path)).count()
    }
}

async fn welcome(tcp: TcpStream, seen: Arc<Seen>) {
    let Ok(dialled) = tcp.local_addr() else { return };
    let dialled = SocketAddr::new(dialled.ip().to_canonical(), dialled.port());
    let is_public = |public: &str| dialled.ip() == public.parse::<IpAddr>().expect("an address");
    if PUBLIC.into_iter().any(is_public) {
        // A receiver that breaks off is a receiver too.
        let _ = receive(tcp, &seen).await;
    } else {
        seen.connected.lock().push(dialled);
    }
}

async fn receive(mut tcp: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if tcp.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let number = path.strip_prefix(REDIRECT).and_then(|number| number.parse::<usize>().ok());
    let first = match number.and_then(|number| seen.locations.get(number)) {
        Some(location) => format!("302 Found\r\nLocation: {location}"),
        None => "500 Internal Server Error".to_owned(),
    };
    seen.asked.lock().push(path.to_owned());
    let answer = format!("HTTP/1.1 {first}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    tcp.write_all(answer.as_bytes()).await?;
    tcp.shutdown().await
}
