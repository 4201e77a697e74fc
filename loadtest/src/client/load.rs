//! What a plain client sends, and how much of it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;

use crate::receiver::{Secret, ranges};

use super::tally::{Figures, Tally, cpu};

const USER_AGENT_VALUE: &str = concat!("posthaste-loadtest/", env!("CARGO_PKG_VERSION"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue = HeaderValue::from_static(USER_AGENT_VALUE);
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Where requests go.
pub(super) struct Host {
    pub(super) address: SocketAddr,
    /// The whole URL.
    uri: Uri,
    /// Path and query of it.
    target: Uri,
    name: HeaderValue,
}

/// What is sent: so many requests, each to the next host.
pub(super) struct Load {
    pub(super) hosts: Vec<Host>,
    body: Bytes,
    secret: Option<Secret>,
    in_flight: usize,
    warm_up: u64,
    requests: u64,
    claimed: AtomicU64,
}

/// One way of sending.
pub(super) trait PlainClient: Send + Sync + 'static {
    /// Sends the request and reads the response to its end; `Ok(true)` if it was a 2xx.
    fn send(&self, load: &Load, number: u64) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

impl Load {
    pub(super) fn new(
        hosts: Vec<Host>,
        body_bytes: usize,
        secret: Option<Secret>,
        in_flight: usize,
        warm_up: u64,
        requests: u64,
    ) -> Self {
        let body = Bytes::from(text_of_json(body_bytes));
        Self { hosts, body, secret, in_flight, warm_up, requests, claimed: AtomicU64::new(0) }
    }

    /// The host of a request.
    pub(super) fn host(&self, number: u64) -> usize {
        (number % self.hosts.len() as u64) as usize
    }

    /// A request with a whole URL, as pooled clients want it.
    pub(super) fn absolute(&self, number: u64) -> anyhow::Result<Request<Full<Bytes>>> {
        self.request(number, self.hosts[self.host(number)].uri.clone())
    }

    /// A request as it goes over the wire.
    pub(super) fn origin(&self, number: u64) -> anyhow::Result<Request<Full<Bytes>>> {
        let host = &self.hosts[self.host(number)];
        let mut request = self.request(number, host.target.clone())?;
        request.headers_mut().insert(HOST, host.name.clone());
        Ok(request)
    }

    fn request(&self, number: u64, uri: Uri) -> anyhow::Result<Request<Full<Bytes>>> {
        let webhook_id = format!("msg_{number:020}");
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
        let mut request = Request::post(uri)
            .header(CONTENT_TYPE, JSON)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT_ENCODING, IDENTITY)
            .header("webhook-id", &webhook_id)
            .header("webhook-timestamp", timestamp);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", secret.sign(&webhook_id, timestamp, &self.body)?);
        }
        Ok(request.body(Full::new(self.body.clone()))?)
    }

    /// Warms up, then measures.
    pub(super) async fn run<C: PlainClient>(self: &Arc<Self>, client: C) -> anyhow::Result<Figures> {
        let client = Arc::new(client);
        self.send_range(0..self.warm_up, &client).await?;
        let (begun, cpu_before) = (Instant::now(), cpu());
        let tally = self.send_range(self.warm_up..self.warm_up + self.requests, &client).await?;
        Ok(tally.figures(begun.elapsed(), cpu() - cpu_before))
    }

    async fn send_range<C: PlainClient>(
        self: &Arc<Self>,
        numbers: Range<u64>,
        client: &Arc<C>,
    ) -> anyhow::Result<Tally> {
        let end = numbers.end;
        self.claimed.store(numbers.start, Relaxed);
        let tally = Arc::new(Tally::new());
        let slots: Vec<_> = (0..self.in_flight)
            .map(|slot| {
                let (load, client, tally) = (Arc::clone(self), Arc::clone(client), Arc::clone(&tally));
                tokio::spawn(async move { load.keep_sending(end, slot, &*client, &tally).await })
            })
            .collect();
        for slot in slots {
            slot.await?;
        }
        Arc::into_inner(tally).context("a sender has outlived its phase")
    }

    async fn keep_sending<C: PlainClient>(&self, end: u64, slot: usize, client: &C, tally: &Tally) {
        loop {
            let number = self.claimed.fetch_add(1, Relaxed);
            if number >= end {
                return;
            }
            let begun = Instant::now();
            let succeeded = client.send(self, number).await.unwrap_or(false);
            tally.count(slot, succeeded, begun.elapsed());
        }
    }
}

/// Every host that the URLs stand for.
pub(super) fn hosts(urls: &[String]) -> anyhow::Result<Vec<Host>> {
    let mut all = Vec::new();
    for url in urls {
        let hosts = hosts_of(url).with_context(|| format!("--url {url}"))?;
        all.extend(hosts);
        let (count, max) = (all.len(), ranges::ADDRESSES_MAX);
        ensure!(count <= max, "--url names {count} addresses; the limit is {max}");
    }
    Ok(all)
}

fn hosts_of(url: &str) -> anyhow::Result<Vec<Host>> {
    let rest = url.strip_prefix("http://").context("only http:// is possible")?;
    let (addresses, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let target: Uri = path.parse().with_context(|| format!("{path:?} is not a path"))?;
    ranges::one(addresses)?
        .into_iter()
        .map(|address| {
            let name = HeaderValue::from_str(&address.to_string())?;
            let uri = format!("http://{address}{path}").parse()?;
            Ok(Host { address, uri, target: target.clone(), name })
        })
        .collect()
}

/// A JSON string of so many bytes; of fewer than two, digits.
fn text_of_json(bytes: usize) -> Vec<u8> {
    let mut text = vec![if bytes < 2 { b'1' } else { b'x' }; bytes];
    if let [first, .., last] = text.as_mut_slice() {
        (*first, *last) = (b'"', b'"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(url: &str) -> Load {
        Load::new(hosts(&[url.to_owned()]).unwrap(), 1024, None, 1, 0, 1)
    }

    #[test]
    fn hosts_take_turns() {
        let load = load("http://127.0.0.1-127.0.0.3:9000/ok?slot=1");
        let uris: Vec<_> = (0..4).map(|number| load.absolute(number).unwrap().uri().to_string()).collect();
        let url = |last: u8| format!("http://127.0.0.{last}:9000/ok?slot=1");
        assert_eq!(uris, [url(1), url(2), url(3), url(1)]);
    }

    #[test]
    fn a_request_is_what_the_engine_would_send() {
        let request = load("http://127.0.0.1:9000/ok?slot=1").origin(7).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", "/ok?slot=1".to_owned()));
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("host"), "127.0.0.1:9000");
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("accept-encoding"), "identity");
        assert_eq!(header("webhook-id"), "msg_00000000000000000007");
        assert!(header("webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    }

    #[test]
    fn bodies_of_every_size_are_json() {
        for bytes in [1, 2, 3, 1024] {
            let text = text_of_json(bytes);
            assert_eq!(text.len(), bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok(), "{bytes}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_with_its_value() {
        let refusal = |url: &str| format!("{:#}", hosts(&[url.to_owned()]).err().unwrap());
        assert_eq!(refusal("https://127.0.0.1:1/"), "--url https://127.0.0.1:1/: only http:// is possible");
        assert!(refusal("http://127.0.0.1/ok").contains("a port is missing"));
        assert!(refusal("http://127.0.0.1:1/a b").contains("\"/a b\" is not a path"));
    }
}
