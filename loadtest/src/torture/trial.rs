//! A trial: books, receivers and a subject, taken through one life after another.
//!
//! ```text
//!   begin --> load --> something bad --> end of a life --> start --> load --> ... --> drain --> verdict
//! ```
//!
//! Not here: what the bad thing is.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::Arguments;
use super::books::{Books, Totals};
use super::follower::Follower;
use super::load::Load;
use super::random::Random;
use super::receiver::{Receiver, SECRET};
use super::subject::{Start, Started, Subject, folder_name, resolved};
use crate::engine::{Setting, find_binary};
use crate::run::interrupt;

pub(super) const APPLICATION: &str = "torture";
pub(super) const EVENT_TYPE: &str = "torture.test";
/// Endpoints, each on a host and a channel of its own, so that both shards have work.
pub(super) const CHANNELS: u64 = 4;

/// A shard has so many attempts in flight at most, and starts nothing while so many reports are not stored: what a cut
/// can repeat at most.
const SHARDS: u64 = 2;
const IN_FLIGHT_MAX: u64 = 64;
const UNSTORED_MAX: u64 = 8_192;
pub(super) const OPEN_MAX: u64 = SHARDS * (IN_FLIGHT_MAX + UNSTORED_MAX);

/// I6: a folder of this size is open within this time.
const RECOVERY_MAX: Duration = Duration::from_secs(10);
/// I7: what the settings below allow (bodies 2 x 16, unacknowledged 8 read and 8 stored, the caches of sled 2 x 8), the
/// buffers of two sleds and the allocator (an idle process of this kind has about 110), and 64 MiB.
const RESIDENT_BYTES_MAX: u64 = (64 + 128 + 64) << 20;
/// How long everything that is owed may take to come.
const DRAIN_PATIENCE: Duration = Duration::from_secs(120);

/// Small segments and a short memory of the ledger, so that what is bad meets rotations, trims and flushes.
const SETTINGS: [(&str, &str); 21] = [
    ("shards.count", "2"),
    ("shards.in_flight_max", "64"),
    ("shards.body_bytes_max", "16MiB"),
    ("storage.segment_bytes", "1MiB"),
    ("storage.retention_bytes", "16MiB"),
    ("storage.reserve_bytes", "1MiB"),
    ("ledger.flush_after", "1s"),
    ("ledger.cache_bytes", "8MiB"),
    ("ingest.unacknowledged_bytes_max", "8MiB"),
    ("limits.event_ids_max", "1000"),
    // A machine that is busy must not make attempts time out: then they would rightly come again.
    ("delivery.timeout_total", "30s"),
    ("delivery.timeout_connect", "30s"),
    ("delivery.timeout_first_byte", "30s"),
    ("retry.policy", "exponential first=500ms factor=1 max=500ms attempts=100 jitter=0%"),
    // Receivers that refuse everything for a time are locked out for a moment only.
    ("lockout.url.wait_first", "1s"),
    ("lockout.url.wait_factor", "1"),
    ("lockout.url.wait_max", "1s"),
    ("lockout.url.consecutive_failures", "255"),
    ("lockout.url.window_failures_min", "1023"),
    ("lockout.url.failure_percent", "100"),
    ("lockout.host.consecutive_failures", "255"),
];

/// See the head of this file.
pub(super) struct Trial {
    kind: &'static str,
    pub(super) random: Random,
    pub(super) books: Arc<Books>,
    receivers: Vec<Receiver>,
    pub(super) start: Start,
    pub(super) subject: Option<Subject>,
    follower: Option<Follower>,
    /// Of this trial alone: the books, and the data where it has no other place.
    pub(super) folder: PathBuf,
    began: Instant,
    until: Option<Duration>,
    cycles: u32,
    recoveries: Vec<Duration>,
    resident_bytes_max: u64,
    facts: Vec<String>,
}

impl Trial {
    /// Books and receivers, and a folder for both. Nothing is started yet. `data`: where the data folder is to be.
    pub(super) fn prepare(
        kind: &'static str,
        arguments: &Arguments,
        data: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let parent = arguments.own.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = parent.join(folder_name(kind, arguments.seed));
        std::fs::create_dir_all(&folder).with_context(|| format!("--folder {}", parent.display()))?;
        let folder = resolved(&folder)?;
        let books = Arc::new(Books::open(&folder, arguments.seed)?);
        let receivers = (0..CHANNELS).map(|_| Receiver::start(&books)).collect::<anyhow::Result<_>>()?;
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let all: Vec<Setting> = SETTINGS.iter().chain(settings).map(owned).collect();
        let start = Start {
            binary: find_binary(arguments.own.engine_binary.as_deref())?,
            folder: data.map_or_else(|| folder.join("data"), Path::to_owned),
            settings: [all, arguments.own.settings.clone()].concat(),
            ..Start::default()
        };
        Ok(Self {
            kind,
            random: Random::seeded(arguments.seed),
            books,
            receivers,
            start,
            subject: None,
            follower: None,
            folder,
            began: Instant::now(),
            until: arguments.until,
            cycles: 0,
            recoveries: Vec::new(),
            resident_bytes_max: 0,
            facts: Vec::new(),
        })
    }

    /// As [`Self::prepare`], with a subject that has its application and endpoints.
    pub(super) fn begin(
        kind: &'static str,
        arguments: &Arguments,
        data: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut trial = Self::prepare(kind, arguments, data, settings)?;
        trial.start()?;
        trial.make_endpoints()?;
        Ok(trial)
    }

    /// Whether there is to be another cycle: asked for, in time, and nobody wants it to end.
    pub(super) fn goes_on(&self, cycles: u32) -> bool {
        let in_time = self.until.is_none_or(|until| self.began.elapsed() < until);
        self.cycles < cycles && in_time && !interrupt::is_requested() && self.books.totals().breaches == 0
    }

    /// Starts the subject, and follows it. Where it does not accept, that is a breach.
    pub(super) fn start(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        match self.start.start()? {
            Started::Accepts(subject) => {
                let took = began.elapsed();
                self.recovered(took);
                self.follow(subject);
                Ok(took)
            }
            Started::Ended { status, said } => {
                self.books.breach(format!("I6: it did not start ({status}) and said: {}", said.last()));
                bail!("the engine did not start ({status}): {}\n{}", said.last(), self.kept())
            }
        }
    }

    /// This is the subject from now on, and the books are told what it says has become of deliveries.
    pub(super) fn follow(&mut self, subject: Subject) {
        self.follower = Some(Follower::start(subject.tcp, APPLICATION, &self.books));
        self.subject = Some(subject);
    }

    fn recovered(&mut self, took: Duration) {
        self.recoveries.push(took);
        if took > RECOVERY_MAX {
            self.books.breach(format!("I6: it accepted after {took:?}; the limit is {RECOVERY_MAX:?}"));
        }
    }

    /// The subject, which was started.
    pub(super) fn subject(&mut self) -> anyhow::Result<&mut Subject> {
        self.subject.as_mut().context("no engine was started")
    }

    pub(super) fn make_endpoints(&mut self) -> anyhow::Result<()> {
        let mut api = self.subject()?.connect_api()?;
        api.post_unless_there(
            "/api/v1/event-type",
            &json!({ "name": EVENT_TYPE, "description": "Torture" }),
        )?;
        api.post_unless_there("/api/v1/app", &json!({ "name": APPLICATION, "uid": APPLICATION }))?;
        for (channel, receiver) in self.receivers.iter().enumerate() {
            let endpoint =
                json!({ "url": receiver.url(), "channels": [format!("c{channel}")], "secret": SECRET });
            api.post(&format!("/api/v1/app/{APPLICATION}/endpoint"), &endpoint)?;
        }
        Ok(())
    }

    pub(super) fn load(&mut self) -> anyhow::Result<Load> {
        let tcp = self.subject()?.tcp;
        Ok(Load::start(tcp, &self.books))
    }

    /// The subject is killed, if it lives, and its life is over. What was open at its end.
    pub(super) fn end_life(&mut self, load: Option<Load>) -> anyhow::Result<u64> {
        self.watch_memory();
        let panicked = self.subject.as_ref().and_then(|subject| subject.said().line_with(&["panicked at"]));
        if let Some(subject) = self.subject.take() {
            subject.kill()?;
        }
        if let Some(line) = panicked {
            self.facts.push(format!("panicked: {line}"));
        }
        if let Some(load) = load {
            load.stop();
        }
        if let Some(follower) = self.follower.take() {
            follower.stop();
        }
        self.receivers.iter().for_each(Receiver::wait_until_quiet);
        Ok(self.books.end_life())
    }

    /// I7, as far as this subject has come.
    pub(super) fn watch_memory(&mut self) {
        let Some(subject) = &self.subject else { return };
        let bytes = subject.resident_bytes_max();
        self.resident_bytes_max = self.resident_bytes_max.max(bytes);
        if bytes > RESIDENT_BYTES_MAX {
            let mib = |bytes| bytes >> 20;
            self.books.breach(format!(
                "I7: it had {} MiB in memory; the limit is {} MiB",
                mib(bytes),
                mib(RESIDENT_BYTES_MAX)
            ));
        }
    }

    /// Waits until everything that is owed has come, and nothing is pending. `false`: its patience ended first.
    pub(super) fn drain(&mut self) -> anyhow::Result<bool> {
        let until = Instant::now() + DRAIN_PATIENCE;
        while Instant::now() < until && !interrupt::is_requested() {
            if self.books.owed() == 0 && self.subject()?.metric("posthaste_deliveries_pending")? == 0 {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    /// A cycle is over: one line about it.
    pub(super) fn cycle(&mut self, what: &str) -> anyhow::Result<()> {
        self.cycles += 1;
        let Totals { acknowledged, taken, repeats, .. } = self.books.totals();
        let owed = self.books.owed();
        say(&format!(
            "{} {}: {what}; so far {acknowledged} acknowledged, {taken} received, {owed} owed, {repeats} repeated",
            self.kind, self.cycles
        ))
    }

    /// Something for the totals.
    pub(super) fn fact(&mut self, fact: String) {
        self.facts.push(fact);
    }

    pub(super) fn cycles(&self) -> u32 {
        self.cycles
    }

    /// Where to look when something is wrong.
    pub(super) fn kept(&self) -> String {
        format!(
            "SEED={}; kept: {} and the data in {}",
            self.books.seed,
            self.books.path().display(),
            self.start.folder.display()
        )
    }

    /// Everything has been done: waits for what is owed, and gives the verdict.
    pub(super) fn finish(self) -> anyhow::Result<ExitCode> {
        self.finish_on(())
    }

    /// As [`Self::finish`], where the data lies on a volume: it is let go in between.
    pub(super) fn finish_on<V>(mut self, volume: V) -> anyhow::Result<ExitCode> {
        if !self.drain()? {
            let pending = self.subject()?.metric("posthaste_deliveries_pending")?;
            self.fact(format!("{pending} deliveries were still pending after {DRAIN_PATIENCE:?}"));
        }
        self.end_life(None)?;
        let is_sound = self.judge()?;
        drop(volume);
        if !is_sound {
            return Ok(ExitCode::FAILURE);
        }
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("removing {}", self.folder.display()))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Says what the books say; whether they are in order.
    fn judge(&self) -> anyhow::Result<bool> {
        let totals = self.books.close(OPEN_MAX);
        say(&self.told(&totals))?;
        let breaches = self.books.breaches();
        if breaches.is_empty() {
            return Ok(true);
        }
        for breach in &breaches {
            say(&format!("BREACH {breach}"))?;
        }
        let copied = self.copy_data();
        say(&format!("{} breaches; {}{copied}", totals.breaches, self.kept()))?;
        Ok(false)
    }

    /// Data on a volume that goes away with this program is copied to where it stays.
    fn copy_data(&self) -> String {
        if self.start.folder.starts_with(&self.folder) {
            return String::new();
        }
        let copy = self.folder.join("data");
        match copy_folder(&self.start.folder, &copy) {
            Ok(()) => format!(", copied to {}", copy.display()),
            Err(error) => format!(", not copied: {error:#}"),
        }
    }

    fn told(&self, totals: &Totals) -> String {
        let mut text = format!("torture {}, seed {}: {} cycles", self.kind, self.books.seed, self.cycles);
        let share = 100.0 * totals.repeats as f64 / totals.taken.max(1) as f64;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n  {} published, {} acknowledged, {} received in {} requests, {} publishes refused\n  {} lost; {} \
             repeated ({share:.3}%) of at most {} possible; {} given up and made again",
            totals.published,
            totals.acknowledged,
            totals.taken,
            totals.requests,
            totals.refused_publishes,
            totals.lost,
            totals.repeats,
            totals.open,
            totals.given_up,
        );
        let mut recoveries = self.recoveries.clone();
        recoveries.sort_unstable();
        if let (Some(last), Some(middle)) = (recoveries.last(), recoveries.get(recoveries.len() / 2)) {
            let _ = write!(
                text,
                "\n  {} starts: accepting after {middle:.0?} (median), {last:.0?} (longest)",
                recoveries.len()
            );
        }
        let _ = write!(
            text,
            "\n  at most {} MiB in memory; took {:.0?}; {} breaches",
            self.resident_bytes_max >> 20,
            self.began.elapsed(),
            totals.breaches
        );
        self.facts.iter().for_each(|fact| text += &format!("\n  {fact}"));
        text
    }
}

/// One or more lines on standard output.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").context("standard output")
}

/// Copies a folder with everything in it.
pub(super) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("{}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => {
                std::fs::copy(entry.path(), &target).with_context(|| format!("{}", target.display()))?;
            }
        }
    }
    Ok(())
}
