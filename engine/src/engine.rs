//! The engine as a whole: what is started in which order, and ended in which.
//!
//!   recover -> directory (endpoints to shards) -> pending and fresh deliveries -> keeper -> writer -> shards -> listeners
//!
//! Ending goes the other way round: listeners close, attempts in flight finish or are left to the next start,
//! the writer stores every report, the keeper writes the ledger, and the stores are closed cleanly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use posthaste_storage::Position;
use posthaste_storage::catalog::CatalogStore;
use posthaste_storage::disk::{Disk, RealDisk};
use posthaste_storage::ledger::{Ledger, LedgerOptions};
use posthaste_storage::log::{Log, LogOptions, LogReader};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, watch};

use crate::access::{self, Access, Keys, MadeKeys, Portal, RateLimits};
use crate::alerts::{self, AlertRules, Ear, Heard, MailSettings, Postman, Speaker, SpeakerParts};
use crate::api::serve::{self, Patience, Server};
use crate::api::{self, Answers, Api, RetryPolicies};
use crate::budget::Budget;
use crate::catalog::{AuditKey, Catalog, Disabled, Editor, EndpointRules, KeptLimits, Sealing};
use crate::clock::{self, Clock};
use crate::config::{self, Config};
use crate::console;
use crate::core::ids::EndpointId;
use crate::core::retry::RetryAfterLimits;
use crate::core::shard::ShardSettings;
use crate::data_folder::DataFolder;
use crate::delivery::{
    self, DeliveryConfig, EgressPolicy, PoolLimits, Proxy, ResponseLimits, Sender, Timeouts, Trust,
};
use crate::descriptors;
use crate::directory::{self, Directory};
use crate::history::{Condition, FreshFrom, LogHistory, Publisher};
use crate::ingest::{self, Ingest};
use crate::keeper::{self, Keeper, KeeperProgress};
use crate::keyring::Keyring;
use crate::keys::{self, Unlocked};
use crate::listener::{Door, Places, Strikes, Tls, TlsFiles, reload_on, reload_when_changed};
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::probe::{self, ProbeSettings, Prober};
use crate::publish::{PublishLimits, UrlJudge};
use crate::pulse::Pulse;
use crate::readiness::Readiness;
use crate::recovery::{self, Folders, Recovered, RecoverySettings};
use crate::shard::{self, ShardThread, Shards};
use crate::tasks::TaskRunner;
use crate::threads;
use crate::traces::{self, Collector, Exporter, Sampler, Tracer};
use crate::vitals::Vitals;
use crate::writer::{self, Ages, Job, State, Writer, WriterHandle, WriterSettings};

/// How long publishers may take to read their last answers when the engine stops.
const ANSWERS_OUT: Duration = Duration::from_secs(1);

/// How long it may take to write down who came in last.
const NOTES_OUT: Duration = Duration::from_secs(1);

/// How long the last spans may take to reach the collector when the engine stops.
const SPANS_OUT: Duration = Duration::from_secs(2);

/// A running engine.
pub struct Engine {
    folder: DataFolder,
    runtime: tokio::runtime::Runtime,
    stop: watch::Sender<bool>,
    shards: Arc<Shards>,
    shard_threads: Vec<JoinHandle<()>>,
    writer: WriterHandle,
    writer_thread: JoinHandle<(Log, CatalogStore)>,
    exporter: Option<tokio::task::JoinHandle<()>>,
    /// Writes who came in and who was turned away.
    notes: tokio::task::JoinHandle<()>,
    keeper_thread: JoinHandle<KeeperEnd>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    tls: Vec<Arc<Tls>>,
    ingest_address: SocketAddr,
    api_address: SocketAddr,
    console_url: Option<String>,
}

impl Engine {
    /// Starts everything. Returns once producers can connect.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let folder = DataFolder::open(&config.data.folder)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut recovered = recovery::recover(disk.clone(), recovery_settings(config), clock)?;
        let unlocked = keys::unlock(config, &recovered.catalog)?;
        keys::renew_at_start(&mut recovered.log, &mut recovered.catalog, &unlocked)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.shards.count.resolve())
            .thread_name("ingest")
            .enable_all()
            .build()
            .context("the runtime of the listeners")?;
        let doors = runtime.block_on(Doors::open(config))?;
        let (ingest_address, api_address) = (doors.ingest.plain.address(), doors.api.plain.address());
        let delivery = delivery_config(config, egress_policy(config, doors.addresses())?)?;
        let access = Arc::new(access(config, portal(config, &unlocked.keyring)?));
        let (parts, heard) = Parts::new(config, clock, &recovered, unlocked, access, delivery)?;
        let traces = parts.traces(config, runtime.handle())?;
        // It must know what was the matter before anything happens.
        let speaker = parts.speaker(config, &recovered.log, runtime.handle())?;
        let Started { writer, keeper, reader } =
            parts.spawn_storage(config, recovered, disk, traces.tracer)?;
        // They begin when all from before lies in their inboxes: what must not pass others arrives together.
        let shard_threads = parts.spawn_shards(config, &reader, runtime.handle(), traces.propagates)?;
        runtime.spawn(speaker.run(heard, parts.stop.subscribe()));
        let (behind_tls, tls) = (doors.addresses_behind_tls(), doors.tls());
        let console_url =
            config.console.enabled.then(|| format!("{}/console", public_url(config, &doors.api)));
        parts.spawn_listeners(config, &runtime, doors, reader)?;
        let (tcp_tls, http_tls) = behind_tls.map(|address| address.map(tracing::field::display)).into();
        let console = console_url.as_deref();
        tracing::info!(tcp = %ingest_address, http = %api_address, tcp_tls, http_tls, console, "accepting");
        let notes = access::keep_notes(parts.access.clone(), parts.editor.clone(), parts.stop.subscribe());
        let notes = runtime.spawn(notes);
        Ok(Self {
            folder,
            runtime,
            stop: parts.stop,
            shards: parts.shards,
            shard_threads,
            writer: parts.writer,
            writer_thread: writer,
            exporter: traces.exporter,
            notes,
            keeper_thread: keeper,
            metrics: parts.metrics,
            readiness: parts.readiness,
            tls,
            ingest_address,
            api_address,
            console_url,
        })
    }

    /// From now on each of these signals has it looked at once whether the certificates of the listeners have changed;
    /// once, if it came before. Without TLS nothing comes of them.
    pub fn reload_on(&self, hangup: Signal) {
        if !self.tls.is_empty() {
            self.runtime.spawn(reload_on(self.tls.clone(), hangup, self.stop.subscribe()));
        }
    }

    /// Where producers publish.
    pub fn ingest_address(&self) -> SocketAddr {
        self.ingest_address
    }

    /// Where the API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where people find the console, if there is one.
    pub fn console_url(&self) -> Option<&str> {
        self.console_url.as_deref()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Stops accepting, finishes or parks what is in flight, stores everything, and ends.
    pub fn stop(self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.readiness.set_stopping();
        // Everybody who listened may have gone already.
        let _ = self.stop.send(true);
        // What they have to say goes to the log while that takes something.
        let _ = self.runtime.block_on(async { tokio::time::timeout(NOTES_OUT, self.notes).await });
        self.shards.stop();
        for thread in self.shard_threads {
            thread.join().map_err(|_| anyhow::anyhow!("a shard's thread panicked"))?;
        }
        self.writer.send(Job::Stop);
        let (log, catalog) =
            self.writer_thread.join().map_err(|_| anyhow::anyhow!("the writer's thread panicked"))?;
        let (ledger, low_water, end) =
            self.keeper_thread.join().map_err(|_| anyhow::anyhow!("the keeper's thread panicked"))?;
        let_answers_out(&self.metrics);
        if let Some(exporter) = self.exporter {
            // The writer has let go of the tracer: what is left is handed over, or lost with a collector that is away.
            let _ = self.runtime.block_on(async { tokio::time::timeout(SPANS_OUT, exporter).await });
        }
        self.runtime.shutdown_background();
        // One that failed while running ends so too: everything is in the log.
        if let Err(error) = ledger.close(low_water, end) {
            tracing::warn!(%error, "the ledger was not closed; the next start may rebuild it from the log");
        }
        if let Err(error) = catalog.close() {
            tracing::warn!(%error, "the catalog was not closed; the next start may rebuild it from the log");
        }
        drop(log);
        drop(self.folder);
        tracing::info!("stopped; everything accepted is stored");
        Ok(())
    }
}

/// What is stored was answered a moment ago; publishers get a moment to read it.
fn let_answers_out(metrics: &Metrics) {
    let until = Instant::now() + ANSWERS_OUT;
    while metrics.connections.get() + metrics.api_connections.get() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All sockets that are listened on.
struct Doors {
    ingest: ServiceDoors,
    api: ServiceDoors,
}

/// Those of one service.
struct ServiceDoors {
    plain: Door,
    tls: Option<(Door, Arc<Tls>)>,
}

impl Doors {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let (ingest, api) = (&config.ingest, &config.api);
        Ok(Self {
            ingest: ServiceDoors {
                plain: Door::open("ingest.listen", ingest.listen, None).await?,
                tls: open_tls("ingest.tls", &ingest.tls, &[]).await?,
            },
            api: ServiceDoors {
                plain: Door::open("api.listen", api.listen, None).await?,
                tls: open_tls("api.tls", &api.tls, serve::PROTOCOLS).await?,
            },
        })
    }

    fn addresses_behind_tls(&self) -> [Option<SocketAddr>; 2] {
        [&self.ingest, &self.api].map(|doors| doors.tls.as_ref().map(|(door, _)| door.address()))
    }

    /// What they shake hands with.
    fn tls(&self) -> Vec<Arc<Tls>> {
        let doors = [&self.ingest, &self.api].into_iter();
        doors.filter_map(|doors| doors.tls.as_ref().map(|(_, tls)| tls.clone())).collect()
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let plain = [&self.ingest, &self.api].map(|doors| doors.plain.address());
        plain.into_iter().chain(self.addresses_behind_tls().into_iter().flatten()).collect()
    }
}

impl ServiceDoors {
    fn all(self) -> impl Iterator<Item = Door> {
        std::iter::once(self.plain).chain(self.tls.map(|(door, _)| door))
    }
}

async fn open_tls(
    section: &'static str,
    config: &config::Tls,
    protocols: &'static [&'static [u8]],
) -> anyhow::Result<Option<(Door, Arc<Tls>)>> {
    let Some(address) = config.listen.0 else { return Ok(None) };
    let client_ca = (!config.client_ca.as_os_str().is_empty()).then(|| config.client_ca.clone());
    let (certificate, key) = (config.certificate.clone(), config.key.clone());
    let tls = Tls::load(TlsFiles { section, certificate, key, client_ca }, protocols)?;
    let door = Door::open(&format!("{section}.listen"), address, Some(tls.clone())).await?;
    Ok(Some((door, tls)))
}

pub(crate) fn recovery_settings(config: &Config) -> RecoverySettings {
    let folders = Folders::below(&config.data.folder);
    RecoverySettings {
        log_folder: folders.log.clone(),
        shelves: Arc::new(folders),
        log: LogOptions {
            accept_damage: config.storage.accept_damage,
            ..LogOptions::new(config.storage.segment_bytes.bytes() as u32)
        },
        ledger: LedgerOptions {
            cache_bytes: config.ledger.cache_bytes.bytes(),
            flush_after_ms: config.ledger.flush_after.ms(),
            ..LedgerOptions::default()
        },
        event_ids_max: config.limits.event_ids_max as usize,
    }
}

/// The ledger and what it is to be closed with.
type KeeperEnd = (Ledger, Position, Position);

/// Whoever has to do with traces. All `None` where nobody collects them.
#[derive(Default)]
struct Traces {
    tracer: Option<Tracer>,
    propagates: Option<Sampler>,
    exporter: Option<tokio::task::JoinHandle<()>>,
}

/// What all threads share.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) editor: Editor,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) access: Arc<Access>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) fresh_from: Arc<FreshFrom>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) writer: WriterHandle,
    pub(crate) jobs: crossbeam_channel::Receiver<Job>,
    pub(crate) urls: UrlJudge,
    pub(crate) ear: Ear,
    pub(crate) delivery: DeliveryConfig,
    pub(crate) budget: Budget,
    pub(crate) stop: watch::Sender<bool>,
}

/// The threads behind the listeners.
struct Started {
    writer: JoinHandle<(Log, CatalogStore)>,
    keeper: JoinHandle<KeeperEnd>,
    reader: LogReader,
}

impl Parts {
    pub(crate) fn new(
        config: &Config,
        clock: Clock,
        recovered: &Recovered,
        unlocked: Unlocked,
        access: Arc<Access>,
        delivery: DeliveryConfig,
    ) -> anyhow::Result<(Self, Receiver<Heard>)> {
        let shards = Shards::new(config.shards.count.resolve());
        let (writer, jobs) = writer::queue();
        let policies = config.retry.policies.iter().map(|(name, text)| Ok((name.clone(), text.parse()?)));
        let directory = Directory::new(
            shards.clone(),
            clock,
            config.shards.endpoint_in_flight_max,
            config.retry.policy.parse()?,
            policies.collect::<anyhow::Result<_>>()?,
        );
        let (catalog, keyring) = (Arc::new(unlocked.opened.catalog), unlocked.keyring);
        let changes = Arc::new(Sealing::new(writer.clone(), keyring.clone()));
        catalog.tell_all(|event| directory.on_event(event));
        let listener = directory.clone();
        catalog.subscribe(move |event| listener.on_event(event));
        let urls = url_judge(delivery.egress.clone());
        let rules = endpoint_rules(config, urls.clone(), directory.clone());
        catalog.tell_all(|event| access.on_event(event));
        let listener = access.clone();
        catalog.subscribe(move |event| listener.on_event(event));
        let kept = kept_limits(config, &access);
        let metrics = Metrics::with(catalog.filter_counts().clone());
        let (ear, heard) = alerts::ear(metrics.clone());
        let listener = ear.clone();
        catalog.subscribe(move |event| listener.on_event(event));
        let parts = Self {
            clock,
            pulse: Pulse::new(metrics.clone(), clock),
            metrics,
            shards,
            editor: Editor::new(catalog.clone(), changes, rules, kept),
            directory,
            catalog,
            access,
            keyring,
            outcomes: Outcomes::new(recovered.log.reader()),
            fresh_from: Arc::default(),
            vitals: Arc::new(Vitals::new(clock.now())),
            readiness: Arc::default(),
            writer,
            jobs,
            urls,
            ear,
            delivery,
            stop: watch::Sender::new(false),
            budget: Budget::new(config.ingest.unacknowledged_bytes_max.bytes()),
        };
        Ok((parts, heard))
    }

    fn prober(&self, config: &Config) -> anyhow::Result<Arc<Prober>> {
        let settings = probe_settings(config, self.delivery.clone());
        probe::spawn(settings, self.stop.subscribe()).context("the prober's thread")
    }

    fn limits(&self, config: &Config) -> PublishLimits {
        PublishLimits {
            payload_bytes_max: config.limits.payload_bytes_max.bytes(),
            unknown_event_types: config.limits.unknown_event_types,
            urls: self.urls.clone(),
        }
    }

    pub(crate) fn publisher(&self, history: LogHistory) -> Publisher {
        Publisher { writer: self.writer.clone(), history, budget: self.budget.clone() }
    }

    /// Whoever tells of alerts, and starts the postman if there are to be mails.
    pub(crate) fn speaker(
        &self,
        config: &Config,
        log: &Log,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<Speaker> {
        let history = LogHistory::new(log.reader(), self.fresh_from.clone());
        let mut mailbox = None;
        if !config.alerts.email.host.is_empty() {
            let tls = self.delivery.trust.client_config(false).context("alerts.email")?;
            let tls = tls.map(|mut tls| {
                tls.alpn_protocols.clear();
                Arc::new(tls)
            });
            let (postman, own) = Postman::new(mail_settings(config), tls, self.metrics.clone());
            runtime.spawn(postman.run());
            mailbox = Some(own);
        }
        let parts = SpeakerParts {
            rules: alert_rules(config),
            application: Some(config.alerts.application.clone()).filter(|uid| !uid.is_empty()),
            editor: self.editor.clone(),
            messages: Arc::new(self.publisher(history)),
            limits: self.limits(config),
            mailbox,
            metrics: self.metrics.clone(),
            clock: self.clock,
        };
        Ok(Speaker::new(parts, clock::unix_ms() as u32))
    }

    /// Starts the exporter, if there is a collector.
    fn traces(&self, config: &Config, runtime: &tokio::runtime::Handle) -> anyhow::Result<Traces> {
        let trace = &config.trace;
        let refuse = |rule: &str| anyhow::anyhow!("trace: {rule}");
        let Some(url) = traces::parse_endpoint(&trace.endpoint).map_err(refuse)? else {
            return Ok(Traces::default());
        };
        let headers = traces::parse_headers(&trace.headers).map_err(refuse)?;
        let tls = self.delivery.trust.client_config(false).context("trace")?.map(Arc::new);
        let salt = self.access.portal.number_for("trace ids");
        let sampler = Sampler::new(trace.sample, salt);
        let (tracer, spans) = traces::tracer(sampler, self.metrics.clone());
        let exporter = Exporter {
            spans,
            collector: Collector::new(&url, headers, tls),
            service: trace.service_name.clone(),
            metrics: self.metrics.clone(),
            failing: false,
        };
        Ok(Traces {
            tracer: Some(tracer),
            propagates: trace.propagate.then_some(sampler),
            exporter: Some(runtime.spawn(exporter.run())),
        })
    }

    /// What a shard's thread works with.
    pub(crate) fn shard(
        &self,
        config: &Config,
        number: usize,
        reader: &LogReader,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<ShardThread> {
        Ok(ShardThread {
            number,
            shards: self.shards.clone(),
            settings: shard_settings(config)?,
            clock: self.clock,
            writer: self.writer.clone(),
            reader: reader.clone(),
            keyring: self.keyring.clone(),
            metrics: self.metrics.clone(),
            ear: self.ear.clone(),
            propagates: None,
            grace: config.shutdown.grace.duration(),
            disable: disabler(runtime.clone(), self.editor.clone()),
        })
    }

    fn spawn_shards(
        &self,
        config: &Config,
        reader: &LogReader,
        runtime: &tokio::runtime::Handle,
        propagates: Option<Sampler>,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let spawn = |number| {
            let thread = ShardThread { propagates, ..self.shard(config, number, reader, runtime)? };
            // Made here once, so that what is wrong with the settings is said at the start.
            Sender::new(&self.delivery).context("delivery")?;
            let delivery = self.delivery.clone();
            let sender = move || Sender::new(&delivery).expect("the same settings made a sender before");
            shard::spawn(thread, sender).context("a shard's thread")
        };
        (0..self.shards.len()).map(spawn).collect()
    }

    /// Starts keeper and writer.
    fn spawn_storage(
        &self,
        config: &Config,
        recovered: Recovered,
        disk: Arc<dyn Disk>,
        tracer: Option<Tracer>,
    ) -> anyhow::Result<Started> {
        let reader = recovered.log.reader();
        let (keeper, writer) = self.storage(config, recovered, disk)?;
        let writer = Writer { tracer, ..writer };
        let keeper = threads::spawn("keeper", || keeper.run())?;
        let writer = threads::spawn("writer", || writer.run())?;
        Ok(Started { writer, keeper, reader })
    }

    /// Keeper and writer, with what recovery found handed to the shards.
    pub(crate) fn storage(
        &self,
        config: &Config,
        recovered: Recovered,
        disk: Arc<dyn Disk>,
    ) -> anyhow::Result<(Keeper, Writer)> {
        let Recovered { log, shelves, ledger, catalog, fresh, in_ledger, event_ids } = recovered;
        let (reader, end) = (log.reader(), log.end());
        let ages = Ages::read(&ledger, in_ledger, self.clock.now().as_ms()).context("the ledger")?;
        let mut state = State::new(ages);
        let low_water = fresh.keys().next().copied().unwrap_or(end);
        self.metrics.pending.inc_by(in_ledger as i64);
        let (batches_in, batches) = crossbeam_channel::bounded(keeper::BATCHES_MAX);
        let progress = Arc::new(KeeperProgress::default());
        let mut keeper = Keeper {
            ledger,
            reader,
            batches,
            shards: self.shards.clone(),
            writer: self.writer.clone(),
            clock: self.clock,
            progress: progress.clone(),
            horizon: config.ledger.horizon.duration(),
            low_water,
            end,
            shelves,
            metrics: self.metrics.clone(),
            failure: None,
        };
        keeper.hand_out_ordered().context("the ledger")?;
        recovery::hand_out_fresh(fresh, &mut state, &self.shards, &self.metrics);
        self.fresh_from.set(low_water);
        let folder = config.data.folder.clone();
        let writer = Writer {
            log,
            catalog,
            jobs: self.jobs.clone(),
            keeper: batches_in,
            keeper_progress: progress,
            shards: self.shards.clone(),
            outcomes: self.outcomes.clone(),
            metrics: self.metrics.clone(),
            ear: self.ear.clone(),
            tracer: None,
            clock: self.clock,
            settings: writer_settings(config),
            available_bytes: Box::new(move || disk.available_bytes(&folder).unwrap_or(u64::MAX)),
            event_ids,
            keyring: self.keyring.clone(),
            fresh_from: self.fresh_from.clone(),
            vitals: self.vitals.clone(),
            readiness: self.readiness.clone(),
            state,
        };
        Ok((keeper, writer))
    }

    fn spawn_listeners(
        &self,
        config: &Config,
        runtime: &tokio::runtime::Runtime,
        doors: Doors,
        reader: LogReader,
    ) -> anyhow::Result<()> {
        let ingest = self.ingest(config, reader.clone());
        let api_config = &config.api;
        let public_url = public_url(config, &doors.api);
        let server = Arc::new(Server {
            router: self.router(config, runtime.handle(), reader, public_url)?,
            places: Places::new("api", api_config.connections_max, api_config.connections_per_address_max),
            patience: Patience {
                request: api_config.request_timeout.duration(),
                idle: api_config.idle_timeout.duration(),
            },
            metrics: self.metrics.clone(),
        });
        let tls = doors.tls();
        if !tls.is_empty() {
            runtime.spawn(reload_when_changed(tls, self.stop.subscribe()));
        }
        runtime.spawn(self.pulse.clone().run(self.clock, self.stop.subscribe()));
        for door in doors.ingest.all() {
            runtime.spawn(ingest::listen(ingest.clone(), door, self.stop.subscribe()));
        }
        for door in doors.api.all() {
            runtime.spawn(serve::listen(server.clone(), door, self.stop.subscribe()));
        }
        Ok(())
    }

    /// What the listener for publishers and its connections work with.
    pub(crate) fn ingest(&self, config: &Config, reader: LogReader) -> Arc<Ingest> {
        let ingest_config = &config.ingest;
        Arc::new(Ingest {
            catalog: self.catalog.clone(),
            writer: self.writer.clone(),
            shards: self.shards.clone(),
            outcomes: self.outcomes.clone(),
            reader,
            metrics: self.metrics.clone(),
            limits: self.limits(config),
            access: self.access.clone(),
            clock: self.clock,
            password: ingest_config.password.clone(),
            require_key: ingest_config.require_key,
            places: Places::new(
                "ingest",
                ingest_config.connections_max,
                ingest_config.connections_per_address_max,
            ),
            strikes: Mutex::new(Strikes::default()),
            request_timeout: ingest_config.request_timeout.duration(),
            idle_timeout: ingest_config.idle_timeout.duration(),
            budget: self.budget.clone(),
            large_answers: Arc::new(Semaphore::new(ingest::LARGE_ANSWERS_MAX)),
            connection_ids: AtomicI64::new(0),
        })
    }

    /// The management API, and the metrics beside it.
    fn router(
        &self,
        config: &Config,
        runtime: &tokio::runtime::Handle,
        reader: LogReader,
        public_url: String,
    ) -> anyhow::Result<axum::Router> {
        let history = LogHistory::new(reader.clone(), self.fresh_from.clone());
        let messages = Arc::new(self.publisher(history.clone()));
        let tasks = TaskRunner {
            editor: self.editor.clone(),
            reader,
            messages: messages.clone(),
            runtime: runtime.clone(),
        };
        tasks.resume();
        let (directory, vitals) = (self.directory.clone(), self.vitals.clone());
        let api = api::router(Api {
            editor: self.editor.clone(),
            messages,
            tasks: Arc::new(tasks),
            history: Arc::new(history),
            health: Some(Arc::new(Condition { directory, vitals, clock: self.clock })),
            probes: self.prober(config)?,
            limits: self.limits(config),
            access: self.access.clone(),
            answers: answers(config),
            exports: Arc::new(Semaphore::new(api::EXPORTS_MAX)),
            budget: self.budget.clone(),
            public_url: public_url.clone(),
            readiness: self.readiness.clone(),
            pulse: self.pulse.clone(),
            clock: self.clock,
            retry_policies: RetryPolicies {
                default: config.retry.policy.clone(),
                named: config.retry.policies.clone(),
            },
            source_addresses: config.delivery.source_addresses.clone(),
        });
        let pages = match config.console.enabled {
            false => axum::Router::new(),
            true => console::router(config, &public_url, self.console_parts(api.clone()))?,
        };
        let metrics = self.metrics.clone();
        Ok(api.merge(pages).route("/metrics", axum::routing::get(move || async move { metrics.render() })))
    }
}

impl Parts {
    fn console_parts(&self, api: axum::Router) -> console::Parts {
        console::Parts {
            api,
            access: self.access.clone(),
            editor: self.editor.clone(),
            budget: self.budget.clone(),
            clock: self.clock,
            stop: self.stop.subscribe(),
        }
    }
}

/// Who may come in.
pub(crate) fn access(config: &Config, portal: Portal) -> Access {
    let (api, limits) = (&config.api, rate_limits(config));
    let keys = Keys::new(&api.tokens, limits).with(&api.keys, limits).required(api.require_key);
    Access::new(keys, MadeKeys::new(&api.key_environment, limits), portal, limits)
}

/// What portal tokens of this data folder are signed with.
pub(crate) fn portal(config: &Config, keyring: &Keyring) -> anyhow::Result<Portal> {
    let accept = config.secrets.accept_unreadable;
    Portal::open(&config.data.folder, keyring, accept, rate_limits(config))
        .context("the key of portal tokens")
}

pub(crate) const fn rate_limits(config: &Config) -> RateLimits {
    RateLimits { requests: config.api.rate_max, messages: config.limits.events_per_second_max }
}

pub(crate) fn kept_limits(config: &Config, access: &Access) -> KeptLimits {
    KeptLimits {
        endpoints_per_application_max: config.limits.endpoints_per_application_max as usize,
        api_keys_max: config.limits.api_keys_max as usize,
        alerts_max: config.alerts.kept_max as usize,
        audit_max: config.audit.kept_max as usize,
        audit_age: config.audit.retention.duration(),
        audit_key: AuditKey::new(access.portal.number_for("audit objects")),
    }
}

fn answers(config: &Config) -> Answers {
    let api = &config.api;
    Answers::new(api.idempotency_keys_max as usize, api.idempotency_bytes_max.as_usize())
}

/// Where people reach the API, as far as is known here.
fn public_url(config: &Config, doors: &ServiceDoors) -> String {
    match (config.api.public_url.as_str(), &doors.tls) {
        ("", None) => format!("http://{}", doors.plain.address()),
        ("", Some((door, _))) => format!("https://{}", door.address()),
        (url, _) => url.into(),
    }
}

/// Disables an endpoint in the catalog, from whichever thread.
fn disabler(runtime: tokio::runtime::Handle, editor: Editor) -> Box<dyn Fn(EndpointId) + Send> {
    Box::new(move |endpoint| {
        let editor = editor.clone();
        runtime.spawn(async move {
            match editor.disable_endpoint(endpoint, Disabled::Gone).await {
                Ok(_) => tracing::warn!(%endpoint, "disabled: it answered 410"),
                Err(error) => tracing::error!(%endpoint, %error, "could not be disabled"),
            }
        });
    })
}

fn alert_rules(config: &Config) -> AlertRules {
    let alerts = &config.alerts;
    AlertRules {
        failing_attempts: alerts.failing_attempts,
        failing_for: alerts.failing_for.duration(),
        rate_window: alerts.rate_window.duration(),
        rate_attempts_min: alerts.rate_attempts_min,
        rate_percent_min: alerts.rate_percent_min,
        exhausted_every: alerts.exhausted_every.duration(),
        disable_after: alerts.disable_after.duration(),
        disable_attempts_min: alerts.disable_attempts_min,
        per_minute_max: alerts.per_minute_max,
    }
}

fn mail_settings(config: &Config) -> MailSettings {
    let email = config.alerts.email.clone();
    MailSettings {
        host: email.host,
        port: email.port,
        security: email.security,
        user: email.user,
        password: email.password,
        from: email.from,
        to: email.to,
        digest_wait: email.digest_wait.duration(),
        digest_every: email.digest_every.duration(),
    }
}

fn writer_settings(config: &Config) -> WriterSettings {
    WriterSettings {
        reserve_bytes: config.storage.reserve_bytes.bytes(),
        retention_age: config.storage.retention_age.duration(),
        retention_bytes: config.storage.retention_bytes.bytes(),
        replay_bytes_max: config.ledger.replay_bytes_max.bytes(),
        segment_bytes: config.storage.segment_bytes.bytes(),
        horizon: config.ledger.horizon.duration(),
        report_wait: config.storage.report_wait.duration(),
    }
}

fn shard_settings(config: &Config) -> anyhow::Result<ShardSettings> {
    let shards = &config.shards;
    Ok(ShardSettings {
        in_flight_max: shards.in_flight_max,
        host_in_flight_max: shards.host_in_flight_max,
        queue_max: shards.queue_max,
        deliveries_max: shards.deliveries_max as usize,
        body_bytes_max: shards.body_bytes_max.as_usize(),
        park_for: shards.park_for.duration(),
        url_lockout: config.lockout.url.rule()?,
        host_lockout: config.lockout.host.rule()?,
    })
}

fn egress_policy(config: &Config, own_addresses: Vec<SocketAddr>) -> anyhow::Result<EgressPolicy> {
    let egress = &config.egress;
    let cidrs = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>();
    Ok(EgressPolicy {
        allow_http: egress.allow_http,
        allow_cidrs: cidrs(&egress.allow_cidrs).context("egress.allow_cidrs")?,
        deny_cidrs: cidrs(&egress.deny_cidrs).context("egress.deny_cidrs")?,
        allow_names: egress.allow_names.clone(),
        allow_ports: egress.allow_ports.clone(),
        deny_ports: egress.deny_ports.clone(),
        lenient: egress.lenient,
        nat64: egress.nat64,
        own_addresses,
    })
}

/// Connections kept by a shard: as many as are wished for, and as the system's limit of open files allows.
fn connections_max(config: &Config) -> usize {
    let wanted = config.delivery.connections_max as usize;
    let (shards, in_flight) = (config.shards.count.resolve(), config.shards.in_flight_max as usize);
    let doors = config.ingest.connections_max as usize + config.api.connections_max as usize;
    let in_use = doors + shards * in_flight;
    let allowed = descriptors::raise(in_use as u64) / shards;
    if allowed < wanted {
        tracing::info!(
            allowed,
            wanted,
            "delivery.connections_max is more than the limit of open files allows"
        );
    }
    wanted.min(allowed.max(1))
}

/// How attempts are made, where nothing listens.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn delivery_of(config: &Config) -> anyhow::Result<DeliveryConfig> {
    delivery_config(config, egress_policy(config, Vec::new())?)
}

fn delivery_config(config: &Config, egress: EgressPolicy) -> anyhow::Result<DeliveryConfig> {
    let (delivery, retry) = (&config.delivery, &config.retry);
    let ca_file = (!delivery.ca_file.as_os_str().is_empty()).then_some(delivery.ca_file.as_path());
    Ok(DeliveryConfig {
        timeouts: Timeouts {
            dns: delivery.timeout_dns.duration(),
            connect: delivery.timeout_connect.duration(),
            tls: delivery.timeout_tls.duration(),
            first_byte: delivery.timeout_first_byte.duration(),
            total: delivery.timeout_total.duration(),
        },
        pool: PoolLimits {
            idle_timeout: delivery.idle_timeout.duration(),
            age_max: delivery.connection_age_max.duration(),
            connections_per_host_max: delivery.connections_per_host_max as usize,
            connections_max: connections_max(config),
            streams_per_connection_max: delivery.streams_per_connection_max as usize,
        },
        response: ResponseLimits {
            body_bytes_read_max: delivery.response_body_read_max.as_usize(),
            body_bytes_kept_max: delivery.response_body_kept_max.as_usize(),
            headers_bytes_kept_max: delivery.response_headers_kept_max.as_usize(),
        },
        retry_after: RetryAfterLimits {
            min: retry.retry_after_min.duration(),
            max: retry.retry_after_max.duration(),
        },
        http2: delivery.http2,
        egress,
        name_servers: delivery
            .name_servers
            .iter()
            .map(|server| server.parse())
            .collect::<Result<_, _>>()
            .context("delivery.name_servers")?,
        trust: Trust::load(ca_file).context("delivery.ca_file")?,
        proxy: Proxy::parse(
            &delivery.proxy,
            &delivery.proxy_user,
            &delivery.proxy_password,
            delivery.proxy_pin,
        )
        .context("delivery.proxy")?,
    })
}

fn probe_settings(config: &Config, delivery: DeliveryConfig) -> ProbeSettings {
    let probe = &config.probe;
    ProbeSettings {
        delivery,
        in_flight_max: probe.in_flight_max as usize,
        waiting_max: probe.waiting_max as usize,
        per_application_max: probe.per_application_max as usize,
        show_private: probe.show_private,
    }
}

fn url_judge(egress: EgressPolicy) -> UrlJudge {
    UrlJudge(Arc::new(move |url| {
        let checked = delivery::check_url(url, &egress);
        checked.map(|url| url.as_str().to_owned()).map_err(|error| error.to_string())
    }))
}

fn endpoint_rules(config: &Config, urls: UrlJudge, directory: Arc<Directory>) -> EndpointRules {
    EndpointRules {
        check_url: Box::new(move |url| (urls.0)(url)),
        check_headers: Box::new(|headers| {
            delivery::check_headers(headers).map_err(|error| error.to_string())
        }),
        check_retry_policy: Box::new(move |policy| directory.policy(Some(policy)).map(drop)),
        check_identity: Box::new(directory::check_identity),
        unknown_event_types: config.limits.unknown_event_types,
    }
}
