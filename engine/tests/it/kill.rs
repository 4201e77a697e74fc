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
    wait_for_async, wait_until,
};

const KILLS: usize = 24;
/// Messages that await their acknowledgement at a time, on each of the connections.
const WINDOW: usize = 64;
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

#[tokio::test]
async fn nothing_acknowledged_is_lost_over_many_kills_and_repeats_are_bounded() {
    let mut random = Random::seeded();
    let seed = random.seed;
    let settings = [&SETTINGS, &NO_LOCKOUT[..]].concat();
    let mut world = World::with(&settings, json!({}), Receiver::answering(Answer::Status(204)).await).await;
    let flaky = flaky().await;
    world.add_endpoint(json!({}), &flaky).await;
    let books = Arc::new(Books::default());
    let mut follower = world.follow().await;
    let mut kills = Vec::new();
    for number in 0..KILLS {
        let load = Load::start(world.posthaste.tcp(), &books);
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        world.posthaste.kill();
        load.stop().await;
        follower.stop();
        kills.push(AtKill::look(&follower, &world.endpoint, &world.receiver));
        if number % 4 == 3 {
            // Killed while it recovers.
            let mut starting = world.site.spawn();
            tokio::time::sleep(Duration::from_millis(random.below(60))).await;
            starting.kill();
        }
        world.posthaste = world.site.start().await;
        follower.turn_to(world.posthaste.tcp()).await;
    }
    let acknowledged = books.ledger.lock().len();
    assert!(acknowledged > KILLS, "SEED={seed}: only {acknowledged} messages were acknowledged");
    for receiver in [&world.receiver, &flaky] {
        wait_until(&format!("all of {acknowledged} to arrive; SEED={seed}"), || {
            books.ledger.lock().missing_at(receiver).is_empty()
        })
        .await;
        books.ledger.lock().check_bodies_at(receiver);
    }
    settled(&world).await;
    for kill in &kills {
        kill.check(&world.receiver, seed);
    }
    report(&world, &kills, acknowledged, seed);
}

/// Waits until nothing is pending: whatever is repeated has been by then.
async fn settled(world: &World) {
    let api = world.api();
    wait_for_async("nothing to be pending", async || {
        (api.metric("posthaste_deliveries_pending").await == 0).then_some(())
    })
    .await;
}

fn report(world: &World, kills: &[AtKill], acknowledged: usize, seed: u64) {
    let repeats = world.receiver.count() - world.receiver.messages();
    let open: Vec<usize> = kills.iter().map(AtKill::open).collect();
    let bound: usize = open.iter().sum();
    eprintln!(
        "{} kills, {acknowledged} acknowledged, all arrived; {} unacknowledged ones arrived too; {repeats} repeats, \
         at most {bound} were possible (SEED={seed})",
        kills.len(),
        world.receiver.messages() - acknowledged,
    );
    assert!(repeats <= bound, "SEED={seed}: {repeats} repeats, with {bound} deliveries open at the kills");
    let open_max = SHARDS * (IN_FLIGHT_MAX + UNSTORED_MAX);
    assert!(
        open.iter().all(|open| *open <= open_max),
        "SEED={seed}: {open:?}, of {open_max} that are allowed"
    );
}
