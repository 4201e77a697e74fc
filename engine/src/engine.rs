//! The engine as a whole: what is started in which order, and ended in which.
//!
//!   recover -> directory (endpoints to shards) -> pending and fresh deliveries -> keeper -> writer -> shards -> listeners
//!
//! Ending goes the other way round: listeners close, attempts in flight finish or are left to the next start,
//! the writer stores every report, the keeper writes the ledger, and the stores are closed cleanly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use posthaste_storage::Position;
use posthaste_storage::catalog::CatalogStore;
use posthaste_storage::disk::{Disk, RealDisk};
use posthaste_storage::ledger::{Ledger, LedgerOptions};
use posthaste_storage::log::{Log, LogOptions, LogReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, watch};

use crate::access::{self, Access, Keys, MadeKeys, Portal, RateLimits};
use crate::alerts::{self, AlertRules, Ear, Heard, MailSettings, Postman, Speaker, SpeakerParts};
use crate::api::{self, Answers, Api};
use crate::catalog::{AuditKey, Catalog, Disabled, Editor, EndpointRules, KeptLimits};
use crate::clock::{self, Clock};
use crate::config::Config;
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
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::probe::{self, ProbeSettings, Prober};
use crate::publish::{PublishLimits, UrlJudge};
use crate::readiness::Readiness;
use crate::recovery::{self, Folders, Recovered, RecoverySettings};
use crate::shard::{self, ShardThread, Shards};
use crate::tasks::TaskRunner;
use crate::threads;
use crate::traces::{self, Collector, Exporter, Sampler, Tracer};
use crate::vitals::Vitals;
use crate::writer::{self, Job, State, Writer, WriterHandle, WriterSettings};

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
    ingest_address: SocketAddr,
    api_address: SocketAddr,
}

impl Engine {
    /// Starts everything. Returns once producers can connect.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let folder = DataFolder::open(&config.data.folder)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let recovered = recovery::recover(disk.clone(), recovery_settings(config), clock)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.shards.count.resolve())
            .thread_name("ingest")
            .enable_all()
            .build()
            .context("the runtime of the listeners")?;
        let (ingest_listener, api_listener) = runtime.block_on(bind(config))?;
        let (ingest_address, api_address) = (ingest_listener.local_addr()?, api_listener.local_addr()?);
        let egress = egress_policy(config, vec![ingest_address, api_address])?;
        let (parts, heard) = Parts::new(config, clock, &recovered, egress)?;
        let traces = parts.traces(config, runtime.handle())?;
        // It must know what was the matter before anything happens.
        let speaker = parts.speaker(config, &recovered.log, runtime.handle())?;
        let Started { writer, keeper, reader } =
            parts.spawn_storage(config, recovered, disk, traces.tracer)?;
        // They begin when all from before lies in their inboxes: what must not pass others arrives together.
        let shard_threads = parts.spawn_shards(config, &reader, runtime.handle(), traces.propagates)?;
        runtime.spawn(speaker.run(heard, parts.stop.subscribe()));
        parts.spawn_listeners(config, &runtime, (ingest_listener, api_listener), reader)?;
        let notes = access::keep_notes(parts.access.clone(), parts.editor.clone(), parts.stop.subscribe());
        let notes = runtime.spawn(notes);
        tracing::info!(tcp = %ingest_address, http = %api_address, "accepting");
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
            ingest_address,
            api_address,
        })
    }

    /// Where producers publish.
    pub fn ingest_address(&self) -> SocketAddr {
        self.ingest_address
    }

    /// Where the API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
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
        ledger.close(low_water, end).context("the ledger")?;
        catalog.close().context("the catalog")?;
        drop(log);
        drop(self.folder);
        tracing::info!("stopped; everything accepted is stored");
        Ok(())
    }
}

/// What is stored was answered a moment ago; publishers get a moment to read it.
fn let_answers_out(metrics: &Metrics) {
    let until = Instant::now() + ANSWERS_OUT;
    while metrics.connections.get() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}

async fn bind(config: &Config) -> anyhow::Result<(TcpListener, TcpListener)> {
    let bind = async |key: &str, address: SocketAddr| {
        TcpListener::bind(address).await.with_context(|| format!("{key} = {address}"))
    };
    Ok((bind("ingest.listen", config.ingest.listen).await?, bind("api.listen", config.api.listen).await?))
}

pub(crate) fn recovery_settings(config: &Config) -> RecoverySettings {
    RecoverySettings {
        folders: Folders::below(&config.data.folder),
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
struct Parts {
    clock: Clock,
    metrics: Arc<Metrics>,
    shards: Arc<Shards>,
    directory: Arc<Directory>,
    editor: Editor,
    catalog: Arc<Catalog>,
    access: Arc<Access>,
    outcomes: Arc<Outcomes>,
    fresh_from: Arc<FreshFrom>,
    vitals: Arc<Vitals>,
    readiness: Arc<Readiness>,
    writer: WriterHandle,
    jobs: crossbeam_channel::Receiver<Job>,
    urls: UrlJudge,
    ear: Ear,
    delivery: DeliveryConfig,
    prober: Arc<Prober>,
    stop: watch::Sender<bool>,
}

/// The threads behind the listeners.
struct Started {
    writer: JoinHandle<(Log, CatalogStore)>,
    keeper: JoinHandle<KeeperEnd>,
    reader: LogReader,
}

impl Parts {
    fn new(
        config: &Config,
        clock: Clock,
        recovered: &Recovered,
        egress: EgressPolicy,
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
        let entries = recovered.catalog.iter().map(|entry| entry.map(|entry| (entry.key, entry.value)));
        let catalog = Arc::new(Catalog::load(entries.collect::<Result<Vec<_>, _>>()?)?);
        catalog.tell_all(|event| directory.on_event(event));
        let listener = directory.clone();
        catalog.subscribe(move |event| listener.on_event(event));
        let urls = url_judge(egress.clone());
        let rules = endpoint_rules(config, urls.clone(), directory.clone());
        let access = Arc::new(access(config)?);
        catalog.tell_all(|event| access.made().on_event(event));
        let keys = access.made().clone();
        catalog.subscribe(move |event| keys.on_event(event));
        let kept = kept_limits(config, &access);
        let metrics = Metrics::with(catalog.filter_counts().clone());
        let (ear, heard) = alerts::ear(metrics.clone());
        let listener = ear.clone();
        catalog.subscribe(move |event| listener.on_event(event));
        let (delivery, stop) = (delivery_config(config, egress)?, watch::Sender::new(false));
        let prober = probe::spawn(probe_settings(config, delivery.clone()), stop.subscribe());
        let parts = Self {
            clock,
            metrics,
            shards,
            editor: Editor::new(catalog.clone(), Arc::new(writer.clone()), rules, kept),
            directory,
            catalog,
            access,
            outcomes: Outcomes::new(recovered.log.reader()),
            fresh_from: Arc::default(),
            vitals: Arc::new(Vitals::new(clock.now())),
            readiness: Arc::default(),
            writer,
            jobs,
            urls,
            ear,
            delivery,
            prober: prober.context("the prober's thread")?,
            stop,
        };
        Ok((parts, heard))
    }

    fn limits(&self, config: &Config) -> PublishLimits {
        PublishLimits {
            payload_bytes_max: config.limits.payload_bytes_max.bytes(),
            unknown_event_types: config.limits.unknown_event_types,
            urls: self.urls.clone(),
        }
    }

    /// Whoever tells of alerts, and starts the postman if there are to be mails.
    fn speaker(
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
            messages: Arc::new(Publisher { writer: self.writer.clone(), history }),
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

    fn spawn_shards(
        &self,
        config: &Config,
        reader: &LogReader,
        runtime: &tokio::runtime::Handle,
        propagates: Option<Sampler>,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let settings = shard_settings(config)?;
        let spawn = |number| {
            let thread = ShardThread {
                number,
                shards: self.shards.clone(),
                settings: settings.clone(),
                clock: self.clock,
                writer: self.writer.clone(),
                reader: reader.clone(),
                metrics: self.metrics.clone(),
                ear: self.ear.clone(),
                propagates,
                grace: config.shutdown.grace.duration(),
                disable: disabler(runtime.clone(), self.editor.clone()),
            };
            // Made here once, so that what is wrong with the settings is said at the start.
            Sender::new(&self.delivery).context("delivery")?;
            let delivery = self.delivery.clone();
            let sender = move || Sender::new(&delivery).expect("the same settings made a sender before");
            shard::spawn(thread, sender).context("a shard's thread")
        };
        (0..self.shards.len()).map(spawn).collect()
    }

    /// Starts keeper and writer, and hands the fresh deliveries to the shards.
    fn spawn_storage(
        &self,
        config: &Config,
        recovered: Recovered,
        disk: Arc<dyn Disk>,
        tracer: Option<Tracer>,
    ) -> anyhow::Result<Started> {
        let Recovered { log, ledger, catalog, fresh, in_ledger, event_ids } = recovered;
        let (reader, end) = (log.reader(), log.end());
        let mut state = State::default();
        let low_water = fresh.keys().next().copied().unwrap_or(end);
        self.metrics.pending.inc_by(in_ledger as i64);
        let (batches_in, batches) = crossbeam_channel::bounded(keeper::BATCHES_MAX);
        let progress = Arc::new(KeeperProgress::default());
        let mut keeper = Keeper {
            ledger,
            reader: reader.clone(),
            batches,
            shards: self.shards.clone(),
            writer: self.writer.clone(),
            clock: self.clock,
            progress: progress.clone(),
            horizon: config.ledger.horizon.duration(),
            low_water,
            end,
            failed: false,
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
            tracer,
            clock: self.clock,
            settings: writer_settings(config),
            available_bytes: Box::new(move || disk.available_bytes(&folder).unwrap_or(u64::MAX)),
            event_ids,
            fresh_from: self.fresh_from.clone(),
            vitals: self.vitals.clone(),
            readiness: self.readiness.clone(),
            state,
        };
        let keeper = threads::spawn("keeper", || keeper.run())?;
        let writer = threads::spawn("writer", || writer.run())?;
        Ok(Started { writer, keeper, reader })
    }

    fn spawn_listeners(
        &self,
        config: &Config,
        runtime: &tokio::runtime::Runtime,
        (tcp, http): (TcpListener, TcpListener),
        reader: LogReader,
    ) -> anyhow::Result<()> {
        let limits = self.limits(config);
        let unacknowledged =
            u32::try_from(config.ingest.unacknowledged_bytes_max.bytes()).unwrap_or(u32::MAX);
        let ingest = Arc::new(Ingest {
            catalog: self.catalog.clone(),
            writer: self.writer.clone(),
            shards: self.shards.clone(),
            outcomes: self.outcomes.clone(),
            reader: reader.clone(),
            metrics: self.metrics.clone(),
            limits: limits.clone(),
            access: self.access.clone(),
            clock: self.clock,
            password: config.ingest.password.clone(),
            require_key: config.ingest.require_key,
            connections_max: config.ingest.connections_max,
            idle_timeout: config.ingest.idle_timeout.duration(),
            unacknowledged: Arc::new(Semaphore::new(unacknowledged as usize)),
            unacknowledged_max: unacknowledged,
            connected: AtomicU32::new(0),
            connection_ids: AtomicI64::new(0),
        });
        runtime.spawn(ingest::listen(ingest, tcp, self.stop.subscribe()));
        let public_url = public_url(config, http.local_addr()?);
        let router = self.router(config, runtime.handle(), (limits, reader), public_url)?;
        let mut stop = self.stop.subscribe();
        runtime.spawn(async move {
            let stopped = async move {
                // An engine that is gone has stopped too.
                let _ = stop.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(http, router.into_make_service_with_connect_info::<SocketAddr>())
                .with_graceful_shutdown(stopped)
                .await
            {
                tracing::error!(%error, "the API's listener ended");
            }
        });
        Ok(())
    }

    /// The management API, and the metrics beside it.
    fn router(
        &self,
        config: &Config,
        runtime: &tokio::runtime::Handle,
        (limits, reader): (PublishLimits, LogReader),
        public_url: String,
    ) -> anyhow::Result<axum::Router> {
        let history = LogHistory::new(reader.clone(), self.fresh_from.clone());
        let messages = Arc::new(Publisher { writer: self.writer.clone(), history: history.clone() });
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
            probes: self.prober.clone(),
            limits,
            access: self.access.clone(),
            answers: answers(config),
            public_url,
            readiness: self.readiness.clone(),
            clock: self.clock,
            source_addresses: config.delivery.source_addresses.clone(),
        });
        let metrics = self.metrics.clone();
        Ok(api.route("/metrics", axum::routing::get(move || async move { metrics.render() })))
    }
}

/// Who may come in.
pub(crate) fn access(config: &Config) -> anyhow::Result<Access> {
    let api = &config.api;
    let limits = RateLimits { requests: api.rate_max, messages: config.limits.events_per_second_max };
    let keys = Keys::new(&api.tokens, limits).with(&api.keys, limits).required(api.require_key);
    let portal = Portal::open(&config.data.folder, limits).context("the key of portal tokens")?;
    Ok(Access::new(keys, MadeKeys::new(&api.key_environment, limits), portal, limits))
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
fn public_url(config: &Config, listen: SocketAddr) -> String {
    match config.api.public_url.as_str() {
        "" => format!("http://{listen}"),
        url => url.into(),
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
    let in_use = config.ingest.connections_max as usize + shards * in_flight;
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
