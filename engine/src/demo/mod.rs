//! `posthaste demo`: the main job in one command, against receivers of every character.
//!
//! It does nothing that a customer could not: endpoints are made over the HTTP API, messages published over
//! TCP, and what became of them is followed as the outcome stream. At the end one sentence must hold:
//! acknowledged = delivered + pending + exhausted.

mod api_client;
mod receivers;
mod tally;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use posthaste_protocol::StreamId;
use posthaste_protocol::client::{Client, NewMessage, Options, Outcomes, PublishError};
use posthaste_protocol::command::StreamStart;
use serde_json::json;

use crate::config::Config;
use crate::engine::Engine;
use api_client::ApiClient;
use receivers::{Character, Receiver};
use tally::Tally;

const APPLICATION: &str = "acme";
/// Messages published at once on one connection.
const CHUNK: usize = 500;
/// Connections that publish.
const PUBLISHERS: usize = 4;
/// Of this many messages, how many go to receivers that are not healthy.
const SHARES: [(Character, usize); 7] = [
    (Character::Gone, 2),
    (Character::Dead, 5),
    (Character::Failing, 10),
    (Character::Flaky, 40),
    (Character::Slow, 10),
    (Character::Moody, 10),
    (Character::Healthy, 923),
];
/// Of the messages that go on to be published while the demo stays, how many go where, four times a second.
const TRICKLE: [(Character, usize); 6] = [
    (Character::Healthy, 10),
    (Character::Slow, 2),
    (Character::Flaky, 2),
    (Character::Moody, 2),
    (Character::Failing, 1),
    (Character::Dead, 1),
];
const TRICKLE_EVERY: Duration = Duration::from_millis(250);
/// The demo waits this long for deliveries to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// What `posthaste demo` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Messages to publish.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub messages: u64,
    /// Where the demo keeps its data; a fresh temporary folder if not given. Must not exist.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Keep running after the table, so that you can look around.
    #[arg(long)]
    pub stay: bool,
}

/// Runs the demo. `Ok(true)` if every acknowledged message is accounted for.
pub fn run(options: &DemoOptions) -> anyhow::Result<bool> {
    let temporary = options.folder.is_none();
    let folder = options
        .folder
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("posthaste-demo-{}", std::process::id())));
    anyhow::ensure!(!folder.exists(), "{} exists; the demo wants a fresh folder", folder.display());
    let config = demo_config(&folder)?;
    let engine = Engine::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let held = runtime.block_on(Demo::prepare(&engine, options)).and_then(|demo| {
        let held = runtime.block_on(demo.play())?;
        if options.stay {
            say("\nStaying, with a few messages a second. Press Ctrl-C to end.");
            runtime.block_on(async {
                tokio::select! {
                    ended = tokio::signal::ctrl_c() => Ok(ended?),
                    ended = demo.trickle() => ended,
                }
            })?;
        }
        Ok(held)
    });
    engine.stop()?;
    if temporary {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    held
}

/// Short waits, so that a schedule and a lockout fit into a minute.
fn demo_config(folder: &std::path::Path) -> anyhow::Result<Config> {
    let own = "
        [ingest]
        listen = '127.0.0.1:0'
        [api]
        listen = '127.0.0.1:0'
        [retry]
        policy = '1s, 2s, 3s, 4s, 5s'
        [lockout.url]
        consecutive_failures = 20
        wait_first = '2s'
        wait_max = '8s'
        [lockout.host]
        consecutive_failures = 20
        wait_first = '2s'
        wait_max = '8s'
        [egress]
        allow_cidrs = ['127.0.0.0/8']
        [log]
        filter = 'error'
    ";
    // What JSON makes of a text is TOML too.
    let folder = json!(folder.to_str().context("a folder whose name is text")?);
    let own = format!("{own}\n[data]\nfolder = {folder}\n");
    Ok(Config::layered(Some(("demo", &own)), std::iter::empty())?)
}

struct Demo<'e> {
    engine: &'e Engine,
    receivers: Vec<Receiver>,
    endpoint_ids: Vec<String>,
    messages: u64,
    tally: Arc<Mutex<Tally>>,
}

impl<'e> Demo<'e> {
    async fn prepare(engine: &'e Engine, options: &DemoOptions) -> anyhow::Result<Self> {
        let mut api = ApiClient::connect(engine.api_address()).await?;
        api.post("/api/v1/app", &json!({ "name": "Acme", "uid": APPLICATION })).await?;
        let mut demo = Self {
            engine,
            receivers: Vec::new(),
            endpoint_ids: Vec::new(),
            messages: options.messages,
            tally: Arc::default(),
        };
        for character in Character::ALL {
            let receiver = Receiver::start(character).await?;
            let event_type = event_type(character);
            let what = format!("for the receiver that {}", character.what_it_does());
            api.post("/api/v1/event-type", &json!({ "name": event_type, "description": what })).await?;
            let endpoint = json!({
                "url": receiver.url(), "eventTypes": [event_type], "description": character.what_it_does(),
            });
            let made = api.post(&format!("/api/v1/app/{APPLICATION}/endpoint"), &endpoint).await?;
            demo.endpoint_ids.push(made["id"].as_str().unwrap_or_default().to_owned());
            demo.receivers.push(receiver);
        }
        Ok(demo)
    }

    async fn play(&self) -> anyhow::Result<bool> {
        let tcp = self.engine.ingest_address();
        if let Some(console) = self.engine.console_url() {
            say(&format!("console  {console}"));
        }
        say(&format!("API      http://{}/api/v1/app/{APPLICATION}/endpoint", self.engine.api_address()));
        say(&format!(
            "publish  redis-cli -p {} XADD messages:{APPLICATION} '*' type {} payload '{{\"n\":1}}'\n",
            tcp.port(),
            event_type(Character::Healthy),
        ));
        let client = Client::connect(tcp.to_string(), Options::default()).await?;
        let outcomes = client.outcomes(APPLICATION, StreamStart::BEGINNING);
        let follower = tokio::spawn(follow(outcomes, self.tally.clone()));
        let began = Instant::now();
        let publishing = self.publish(tcp.to_string());
        tokio::pin!(publishing);
        let mut published_in = None;
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                result = &mut publishing, if published_in.is_none() => {
                    result?;
                    published_in = Some(began.elapsed());
                }
                _ = tick.tick() => {
                    self.tally.lock().settle_early();
                    self.draw(began);
                    let done = published_in.is_some() && self.tally.lock().open() == 0;
                    if done || began.elapsed() > PATIENCE {
                        break;
                    }
                }
            }
        }
        follower.abort();
        Ok(self.conclude(began.elapsed(), published_in.unwrap_or_default()))
    }

    /// Publishes everything over a few pipelined connections. What goes to the receiver that wants nothing more
    /// is published first and at once: after its first answer it would get nothing.
    async fn publish(&self, address: String) -> anyhow::Result<()> {
        let mut plan: Vec<usize> = Vec::with_capacity(self.messages as usize);
        let total: usize = SHARES.iter().map(|(_, share)| share).sum();
        let gone = self.messages as usize * SHARES[0].1 / total;
        plan.extend(std::iter::repeat_n(index_of(Character::Gone), gone.min(CHUNK)));
        let rest: Vec<usize> = SHARES[1..]
            .iter()
            .flat_map(|(character, share)| std::iter::repeat_n(index_of(*character), *share))
            .collect();
        // A stride coprime to the cycle's length mixes the characters evenly.
        let mixed = (0..).map(|n: usize| rest[n * 7919 % rest.len()]);
        plan.extend(mixed.take(self.messages as usize - plan.len()));
        let first = plan.drain(..gone.min(CHUNK)).collect::<Vec<_>>();
        let opening = Client::connect(address.clone(), Options::default()).await?;
        publish_plan(&opening, &first, 0, &self.tally).await?;
        let share = plan.len().div_ceil(PUBLISHERS);
        let publishers = plan.chunks(share).enumerate().map(|(number, part)| {
            let (address, part, tally) = (address.clone(), part.to_vec(), self.tally.clone());
            tokio::spawn(async move {
                let client = Client::connect(address, Options::default()).await?;
                publish_plan(&client, &part, (number + 1) * 10_000_000, &tally).await
            })
        });
        for publisher in publishers.collect::<Vec<_>>() {
            publisher.await??;
        }
        Ok(())
    }

    /// Goes on publishing a little of everything, so that there is something to see. Nobody counts it.
    async fn trickle(&self) -> anyhow::Result<()> {
        let client = Client::connect(self.engine.ingest_address().to_string(), Options::default()).await?;
        let plan: Vec<usize> =
            TRICKLE.iter().flat_map(|(character, count)| vec![index_of(*character); *count]).collect();
        let mut ticks = tokio::time::interval(TRICKLE_EVERY);
        for first_number in (100_000_000..).step_by(plan.len()) {
            ticks.tick().await;
            publish_chunk(&client, &plan, first_number)
                .await
                .into_iter()
                .try_for_each(|answer| answer.map(drop))?;
        }
        Ok(())
    }

    fn draw(&self, began: Instant) {
        if !std::io::stdout().is_terminal() {
            return;
        }
        let total = self.tally.lock().total();
        print_now(&format!(
            "\r{:5.1} s  acknowledged {:>7}  delivered {:>7}  exhausted {:>5}  attempts {:>7}  refused {:>5} ",
            began.elapsed().as_secs_f64(),
            total.acknowledged,
            total.delivered,
            total.exhausted,
            total.attempts_sent,
            total.refused_by_lockout,
        ));
    }

    /// The table and the sentence. Returns whether it holds.
    fn conclude(&self, took: Duration, published_in: Duration) -> bool {
        let tally = self.tally.lock();
        say("\n");
        say(
            "endpoint  what it does                     acknowledged delivered exhausted  attempts  refused  requests seen",
        );
        for (index, receiver) in self.receivers.iter().enumerate() {
            let one = tally.endpoints.get(&index).cloned().unwrap_or_default();
            say(&format!(
                "{:<9} {:<32} {:>12} {:>9} {:>9} {:>9} {:>8} {:>14}",
                receiver.character.name(),
                receiver.character.what_it_does(),
                one.acknowledged,
                one.delivered,
                one.exhausted,
                one.attempts_sent,
                one.refused_by_lockout,
                receiver.requests(),
            ));
        }
        let total = tally.total();
        // Asked of the engine, not computed from the rest: the sentence below must be able to fail.
        let pending = u64::try_from(self.engine.metrics().pending.get()).unwrap_or(0);
        let held = total.acknowledged == total.delivered + pending + total.exhausted
            && total.acknowledged == self.messages
            && tally.ended_twice == 0;
        say(&format!(
            "\npublished in {:.2} s ({:.0} messages/s), all deliveries ended in {:.1} s",
            published_in.as_secs_f64(),
            self.messages as f64 / published_in.as_secs_f64(),
            took.as_secs_f64(),
        ));
        say(&format!(
            "acknowledged {} = delivered {} + pending {pending} + exhausted {}: {}",
            total.acknowledged,
            total.delivered,
            total.exhausted,
            if held { "holds" } else { "DOES NOT HOLD" },
        ));
        held
    }
}

async fn publish_plan(
    client: &Client,
    plan: &[usize],
    first_number: usize,
    tally: &Mutex<Tally>,
) -> anyhow::Result<()> {
    for (chunk_number, chunk) in plan.chunks(CHUNK).enumerate() {
        let answers = publish_chunk(client, chunk, first_number + chunk_number * CHUNK).await;
        let mut tally = tally.lock();
        for (answer, index) in answers.into_iter().zip(chunk) {
            tally.acknowledged(answer?, *index);
        }
    }
    Ok(())
}

/// One message for each, numbered from there on.
async fn publish_chunk(
    client: &Client,
    chunk: &[usize],
    first_number: usize,
) -> Vec<Result<StreamId, PublishError>> {
    let texts: Vec<(String, String)> = (first_number..)
        .zip(chunk)
        .map(|(number, index)| (event_type(Character::ALL[*index]), json!({ "number": number }).to_string()))
        .collect();
    let messages: Vec<NewMessage<'_>> = texts
        .iter()
        .map(|(event_type, payload)| NewMessage::new(APPLICATION, event_type, payload.as_bytes()))
        .collect();
    client.publish_many(&messages).await
}

async fn follow(mut outcomes: Outcomes, tally: Arc<Mutex<Tally>>) -> anyhow::Result<()> {
    loop {
        let outcome = outcomes.next().await?;
        tally.lock().outcome(outcome);
    }
}

fn event_type(character: Character) -> String {
    format!("demo.{}", character.name())
}

fn index_of(character: Character) -> usize {
    Character::ALL.iter().position(|other| *other == character).unwrap_or(0)
}

fn say(text: &str) {
    print_now(&format!("{text}\n"));
}

fn print_now(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe ends the drawing, not the demo.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
