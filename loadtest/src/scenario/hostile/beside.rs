//! The receivers beside the faults: they behave, and get everything, once.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::super::context::setting;
use super::judge::Judge;
use crate::engine::{Api, Setting};
use crate::receiver::{Arrival, Observer, Options, Receiver};

const APPLICATION: &str = "beside";
const EVENT_TYPE: &str = "beside.paid";
/// One in the clear, one in TLS with HTTP/2.
const RECEIVERS: u64 = 2;

/// See the head of this file.
pub(super) struct Beside {
    plain: Receiver,
    tls: Receiver,
    arrivals: Arc<Arrivals>,
    published: AtomicU64,
    ca_file: CaFile,
}

#[derive(Default)]
struct Arrivals {
    seen: Mutex<HashSet<(String, String)>>,
    again: AtomicU64,
}

impl Observer for Arrivals {
    fn arrived(&self, arrival: Arrival<'_>) {
        let delivery = (arrival.webhook_id.to_owned(), arrival.target.to_owned());
        if !self.seen.lock().insert(delivery) {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The authorities that the engine is to trust; removed with this.
struct CaFile(PathBuf);

impl Drop for CaFile {
    fn drop(&mut self) {
        // It lies where temporary files go.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Beside {
    /// Starts them. The engine is to trust their authority, and another one.
    pub(super) fn start(other_ca_pem: &str) -> anyhow::Result<Self> {
        let arrivals = Arc::<Arrivals>::default();
        let start = |tls| {
            let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
            let options = Options { listen, threads: 1, tls, loopback_only: true };
            Receiver::start(options, arrivals.clone())
        };
        let (plain, tls) = (start(false)?, start(true)?);
        let path = std::env::temp_dir().join(format!("posthaste-loadtest-ca-{}.pem", std::process::id()));
        let pem = format!("{other_ca_pem}\n{}", tls.ca_pem().unwrap_or_default());
        std::fs::write(&path, pem).with_context(|| path.display().to_string())?;
        Ok(Self { plain, tls, arrivals, published: AtomicU64::new(0), ca_file: CaFile(path) })
    }

    /// What the engine needs to believe them.
    pub(super) fn settings(&self) -> Vec<Setting> {
        vec![setting("delivery.ca_file", &self.ca_file.0.display().to_string())]
    }

    /// Makes their endpoints.
    pub(super) fn enter(&self, api: &mut Api) -> anyhow::Result<()> {
        api.post("/api/v1/app", &json!({ "name": APPLICATION, "uid": APPLICATION }))?;
        api.post("/api/v1/event-type", &json!({ "name": EVENT_TYPE, "description": "Beside the faults" }))?;
        for (scheme, receiver) in [("http", &self.plain), ("https", &self.tls)] {
            let url = format!("{scheme}://{}/ok?{scheme}", receiver.addresses()[0]);
            api.post(&format!("/api/v1/app/{APPLICATION}/endpoint"), &json!({ "url": url }))?;
        }
        Ok(())
    }

    pub(super) fn publish(&self, api: &mut Api, number: u64) -> anyhow::Result<()> {
        super::post(api, APPLICATION, EVENT_TYPE, number)?;
        self.published.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Deliveries expected, received, and received again.
    pub(super) fn account(&self) -> (u64, u64, u64) {
        let expected = RECEIVERS * self.published.load(Ordering::Relaxed);
        (expected, self.arrivals.seen.lock().len() as u64, self.arrivals.again.load(Ordering::Relaxed))
    }

    /// Whether the first attempt of each delivery was the last. How long the slowest of those that are still listed
    /// took, in milliseconds.
    pub(super) fn judge(&self, api: &mut Api, judge: &mut Judge) -> anyhow::Result<f64> {
        let page = api.text(&format!("/api/v1/app/{APPLICATION}/endpoint?limit=10"))?;
        let endpoints: Value = serde_json::from_str(&page)?;
        let mut slowest: f64 = 0.0;
        for endpoint in endpoints["data"].as_array().into_iter().flatten() {
            let id = endpoint["id"].as_str().unwrap_or_default();
            let path =
                format!("/api/v1/app/{APPLICATION}/attempt/endpoint/{id}?limit=250&with_content=false");
            let page: Value = serde_json::from_str(&api.text(&path)?)?;
            for attempt in page["data"].as_array().into_iter().flatten() {
                judge.beside(attempt);
                slowest = slowest.max(attempt["timing"]["totalMs"].as_f64().unwrap_or(f64::MAX));
            }
        }
        Ok(slowest)
    }
}
