//! `kill -9` under load, again and again: nothing that was acknowledged is lost, and no more is repeated than
//! was under way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use posthaste_protocol::client::{Client, NewMessage, Options};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::{
    APPLICATION, Answer, EVENT_TYPE, Follower, Ledger, NO_LOCKOUT, Random, Received, Receiver, World,
    wait_for_async,
};

const KILLS: usize = 24;
/// Messages that await their acknowledgement at a time, on each of the connections. Few: what is published has
/// to be delivered, twice.
const WINDOW: usize = 16;
const PUBLISHERS: usize = 2;
/// A shard has so many attempts in flight at most, and starts nothing while so many reports are not stored.
const SHARDS: usize = 2;
const IN_FLIGHT_MAX: usize = 64;
const UNSTORED_MAX: usize = 8_192;

/// Small segments and a short memory of the ledger, so that kills meet rotations and flushes. Every delivery
/// shall arrive, so nothing is locked out.
const SETTINGS: [(&str, &str); 5] = [
    ("shards.count", "2"),
    ("shards.in_flight_max", "64"),
    ("storage.segment_bytes", "'1MiB'"),
    ("ledger.flush_after", "'1s'"),
    ("retry.policy", "'exponential first=100ms factor=1 max=100ms attempts=100'"),
];

/// Publishes until told to stop, and notes what was acknowledged.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What all publishers share: the ledger, and a number for each message, so that payloads differ.
#[derive(Default)]
struct Books {
    ledger: Mutex<Ledger>,
    next: AtomicU64,
}

impl Load {
    fn start(address: std::net::SocketAddr, books: &Arc<Books>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let publish = |_| tokio::spawn(publish(address.to_string(), books.clone(), stop.clone()));
        let tasks = (0..PUBLISHERS).map(publish).collect();
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a publisher does not panic");
        }
    }
}

async fn publish(address: String, books: Arc<Books>, stop: Arc<AtomicBool>) {
    let Ok(client) = Client::connect(address, Options::default()).await else { return };
    while !stop.load(Ordering::Relaxed) {
        let number = |_| books.next.fetch_add(1, Ordering::Relaxed);
        let payloads: Vec<String> = (0..WINDOW).map(|n| json!({ "number": number(n) }).to_string()).collect();
        let new = |payload| NewMessage::new(APPLICATION, EVENT_TYPE, str::as_bytes(payload));
        let messages: Vec<NewMessage<'_>> = payloads.iter().map(|payload| new(payload)).collect();
        let answers = client.publish_many(&messages).await;
        for (answer, payload) in answers.into_iter().zip(payloads) {
            match answer {
                Ok(id) => books.ledger.lock().acknowledged(id, payload),
                // The process was killed: whether this one was stored is not known, and nothing was promised.
                Err(_) => return,
            }
        }
    }
}

/// A receiver that refuses each message in three once, by its number.
async fn flaky() -> Receiver {
    let digit = |received: &Received| received.body.iter().rev().find(|byte| byte.is_ascii_digit()).copied();
    Receiver::behaving(move |received, before| {
        let refuses = before == 0 && digit(received).is_some_and(|digit| digit % 3 == 0);
        Answer::Status(if refuses { 503 } else { 204 })
    })
    .await
}

/// What was open at a receiver when the process died: messages that had arrived, as far as nobody had been told
/// that they had.
struct AtKill {
    told: HashSet<String>,
    arrived: HashMap<String, usize>,
}

impl AtKill {
    fn look(follower: &Follower, endpoint: &str, receiver: &Receiver) -> Self {
        let delivered = follower.outcomes().into_iter();
        let delivered = delivered.filter(|told| told.endpoint == endpoint && told.state == "delivered");
        let told = delivered.map(|told| format!("msg_{}", told.message)).collect();
        Self { told, arrived: receiver.by_id() }
    }

    /// Messages that may be repeated because of this kill.
    fn open(&self) -> usize {
        self.arrived.keys().filter(|id| !self.told.contains(*id)).count()
    }

    /// What was told as delivered is stored as delivered: it must not arrive again.
    fn check(&self, receiver: &Receiver, seed: u64) {
        let now = receiver.by_id();
        for id in &self.told {
            assert_eq!(now[id], self.arrived[id], "SEED={seed}: {id} was told as delivered, and came again");
        }
    }
}

/// A world that is killed again and again.
struct Trial {
    random: Random,
    world: World,
    flaky: Receiver,
    follower: Follower,
    books: Arc<Books>,
    kills: Vec<AtKill>,
}

impl Trial {
    async fn prepare() -> Self {
        let settings = [&SETTINGS, &NO_LOCKOUT[..]].concat();
        let receiver = Receiver::answering(Answer::Status(204)).await;
        let world = World::with(&settings, json!({}), receiver).await;
        let flaky = flaky().await;
        world.add_endpoint(json!({}), &flaky).await;
        let follower = world.follow().await;
        Self { random: Random::seeded(), world, flaky, follower, books: Arc::default(), kills: Vec::new() }
    }

    /// Publishes, kills at a random moment, and starts again.
    async fn kill_under_load(&mut self) {
        let load = Load::start(self.world.posthaste.tcp(), &self.books);
        self.pass_up_to(Duration::from_millis(400)).await;
        self.world.posthaste.kill();
        load.stop().await;
        self.follower.stop();
        self.kills.push(AtKill::look(&self.follower, &self.world.endpoint, &self.world.receiver));
        if self.kills.len().is_multiple_of(4) {
            let mut recovering = self.world.site.spawn();
            self.pass_up_to(Duration::from_millis(60)).await;
            recovering.kill();
        }
        self.world.posthaste = self.world.site.start().await;
        self.follower.turn_to(self.world.posthaste.tcp()).await;
    }

    /// The one place where time shall pass: the moment of a kill is drawn by lot.
    async fn pass_up_to(&mut self, longest: Duration) {
        let ms = self.random.below(longest.as_millis() as u64);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn everything_acknowledged_arrives(&self) {
        let ledger = std::mem::take(&mut *self.books.ledger.lock());
        for receiver in [&self.world.receiver, &self.flaky] {
            ledger.has_arrived_at(receiver, &format!("SEED={}", self.random.seed)).await;
            ledger.check_bodies_at(receiver);
        }
        *self.books.ledger.lock() = ledger;
        let api = self.world.api();
        wait_for_async("nothing to be pending: whatever is repeated has been", async || {
            (api.metric("posthaste_deliveries_pending").await == 0).then_some(())
        })
        .await;
    }

    fn no_more_is_repeated_than_was_open(&self) {
        let (seed, receiver) = (self.random.seed, &self.world.receiver);
        self.kills.iter().for_each(|kill| kill.check(receiver, seed));
        let open: Vec<usize> = self.kills.iter().map(AtKill::open).collect();
        let (repeats, bound) = (receiver.count() - receiver.messages(), open.iter().sum::<usize>());
        let acknowledged = self.books.ledger.lock().len();
        eprintln!(
            "{} kills, {acknowledged} acknowledged, all arrived; {} unacknowledged ones arrived too; \
             {repeats} repeats, at most {bound} were possible (SEED={seed})",
            self.kills.len(),
            receiver.messages() - acknowledged,
        );
        assert!(
            repeats <= bound,
            "SEED={seed}: {repeats} repeats, with {bound} deliveries open at the kills"
        );
        let allowed = SHARDS * (IN_FLIGHT_MAX + UNSTORED_MAX);
        assert!(
            open.iter().all(|open| *open <= allowed),
            "SEED={seed}: {open:?}, of {allowed} that are allowed"
        );
        assert!(acknowledged > KILLS, "SEED={seed}: only {acknowledged} messages were acknowledged");
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_over_many_kills_and_repeats_are_bounded() {
    let mut trial = Trial::prepare().await;
    for _ in 0..KILLS {
        trial.kill_under_load().await;
    }
    trial.everything_acknowledged_arrives().await;
    trial.no_more_is_repeated_than_was_open();
}
