//! Attempts against real sockets on this machine, and receivers that misbehave on purpose.

mod answers;
mod connections;
mod corpus;
mod guard;
mod identities;
mod limits;
mod proxies;
mod receiver;
mod special_ranges;
#[path = "../../../tests/egress/corpus.rs"]
mod spellings;
mod tls;

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use posthaste_storage::EntryId;
use tokio::task::LocalSet;

use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::core::retry::RetryAfterLimits;

use super::*;

/// Runs a test as a shard would run: one thread, tasks that may not leave it. A test that hangs fails.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded =
        async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

/// Lets everything that has already happened on the sockets become known.
async fn settle() {
    // The runtime asks the system for events at least once in 61 turns.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn config() -> DeliveryConfig {
    let limit = Duration::from_secs(20);
    DeliveryConfig {
        timeouts: Timeouts { dns: limit, connect: limit, tls: limit, first_byte: limit, total: limit },
        pool: PoolLimits {
            idle_timeout: Duration::from_secs(15),
            age_max: Duration::from_secs(600),
            connections_per_host_max: 8,
            connections_max: 100,
            streams_per_connection_max: 100,
        },
        response: ResponseLimits {
            body_bytes_read_max: 64 * 1_024,
            body_bytes_kept_max: 4 * 1_024,
            headers_bytes_kept_max: 1_024,
        },
        retry_after: RetryAfterLimits { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        http2: true,
        egress: policy(&["127.0.0.0/8"]),
        name_servers: Vec::new(),
        trust: Trust::load(None).unwrap(),
        proxy: None,
    }
}

fn policy(allow_cidrs: &[&str]) -> EgressPolicy {
    EgressPolicy {
        allow_http: true,
        allow_cidrs: allow_cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        deny_cidrs: Vec::new(),
        allow_names: Vec::new(),
        allow_ports: vec![80, 443],
        deny_ports: Vec::new(),
        lenient: false,
        nat64: false,
        own_addresses: Vec::new(),
    }
}

/// Short deadlines, for tests in which one of them passes.
fn hasty(timeouts: Timeouts) -> DeliveryConfig {
    DeliveryConfig { timeouts, ..config() }
}

fn sender(config: &DeliveryConfig) -> Sender {
    Sender::with_resolver(config, Rc::new(Answers::default())).unwrap()
}

fn spec(url: &str) -> TargetSpec<'_> {
    TargetSpec::new(url)
}

fn target(url: &str) -> Target {
    Target::prepare(spec(url)).unwrap()
}

const MESSAGE: MessageHead<'static> =
    MessageHead { id: MessageId(EntryId::new(1_732_300_000_000, 3)), content_type: None, parent: None };
/// The same id as receivers see it.
const MESSAGE_ID: &str = "msg_1732300000000-3";
const NOW: u64 = 1_732_300_000;

/// One attempt of a small message.
async fn attempt(sender: &Sender, url: &str) -> Ended {
    sender.attempt(&target(url), MESSAGE, Bytes::from_static(b"{}"), NOW).await
}

/// A resolver that answers what a test wants: each lookup takes the next list, the last one stays.
#[derive(Default)]
struct Answers {
    lists: RefCell<Vec<Vec<IpAddr>>>,
    hangs: bool,
}

impl Answers {
    fn new(lists: &[&[&str]]) -> Rc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Rc::new(Self { lists: RefCell::new(lists.iter().rev().map(parse).collect()), hangs: false })
    }
}

impl Resolve for Answers {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let mut lists = self.lists.borrow_mut();
            let list = if lists.len() > 1 { lists.pop() } else { lists.last().cloned() };
            list.ok_or(ResolveError::NoAddress { name: name.to_owned() })
        })
    }
}
