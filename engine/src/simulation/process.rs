//! One life of the process: the engine put together as `Engine` does it, but with tasks for threads.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use posthaste_storage::catalog::CatalogStore;
use posthaste_storage::disk::Disk;
use posthaste_storage::ledger::LedgerOptions;
use posthaste_storage::log::{Log, LogReader};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::producer::Port;
use super::receiver::SimNetwork;
use super::world::World;
use crate::access::Portal;
use crate::clock::Clock;
use crate::delivery::Sender;
use crate::engine::{Parts, access, rate_limits, recovery_settings};
use crate::history::{LogHistory, Publisher};
use crate::keeper::Keeper;
use crate::keys::Unlocked;
use crate::recovery::{self, RecoveryError, RecoverySettings};
use crate::seam::Bell;
use crate::shard;
use crate::writer::{Job, Writer};

/// Where the log is on the simulation's disk.
pub(super) const LOG_FOLDER: &str = "/sim/log";
/// How often writer and keeper look after things when nothing happens.
const ROUND: Duration = Duration::from_secs(120);
/// While something waits for space.
const SPACE_ROUND: Duration = Duration::from_millis(500);

/// A process that has recovered, and runs.
pub(super) struct Process {
    pub(super) parts: Parts,
    pub(super) publisher: Publisher,
    pub(super) port: Port,
    shards: Vec<JoinHandle<()>>,
    writer: JoinHandle<(Log, CatalogStore)>,
    keeper: JoinHandle<Keeper>,
}

pub(super) fn settings(world: &World) -> RecoverySettings {
    let mut settings = recovery_settings(&world.plan.config);
    settings.log_folder = LOG_FOLDER.into();
    settings.shelves = Arc::new(world.shelves.clone());
    settings.log.seal_in_background = false;
    settings.log.salt_seed = Some(world.dice.next());
    if world.dice.one_in(2) {
        // So small that what rarely happens happens.
        settings.ledger = LedgerOptions {
            flush_after_ms: 0,
            flush_every_ms: 0,
            young_max: 8,
            overrides_max: 16,
            chunk_entries_max: 2,
            sweep_chunks: 2,
            cache_bytes: 1 << 20,
        };
    }
    settings
}

impl Process {
    pub(super) fn start(world: &Rc<World>) -> Result<Self, RecoveryError> {
        let (config, clock) = (&world.plan.config, Clock::start());
        let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
        let recovered = recovery::recover(disk.clone(), settings(world), clock)?;
        let reader = recovered.log.reader();
        let unlocked =
            Unlocked::with(world.keyring.clone(), &recovered.catalog).expect("the catalog is read");
        let access = access(config, Portal::with_key(&[0; 32], rate_limits(config)));
        let parts = Parts::new(config, clock, &recovered, unlocked, Arc::new(access), world.delivery.clone());
        let (parts, heard) = parts.expect("the settings are allowed");
        let runtime = tokio::runtime::Handle::current();
        let speaker = parts.speaker(config, &recovered.log, &runtime).expect("there is no mail to set up");
        let (keeper, writer) = parts.storage(config, recovered, disk).expect("the simulation's shelves work");
        let shards = start_shards(world, &parts, &reader);
        let keeper_bell = Rc::<Notify>::default();
        let keeper =
            spawn_local(keep(keeper, keeper_bell.clone(), ROUND.min(config.ledger.horizon.duration() / 4)));
        let writer = spawn_local(write(world.clone(), writer, parts.writer.bell().clone(), keeper_bell));
        runtime.spawn(speaker.run(heard, parts.stop.subscribe()));
        let port = Port { ingest: parts.ingest(config, reader.clone()), stop: parts.stop.subscribe() };
        let history = LogHistory::new(reader, parts.fresh_from.clone());
        let publisher = parts.publisher(history);
        Ok(Self { parts, publisher, port, shards, writer, keeper })
    }

    /// Ends as the engine does when it is asked to.
    pub(super) async fn stop(self) {
        // Everybody who listened may have gone already.
        let _ = self.parts.stop.send(true);
        self.parts.shards.stop();
        for shard in self.shards {
            shard.await.expect("a shard ends");
        }
        self.parts.writer.send(Job::Stop);
        let (log, catalog) = self.writer.await.expect("the writer ends");
        let keeper = self.keeper.await.expect("the keeper ends");
        // One that failed is rebuilt by the next life.
        let _ = keeper.ledger.close(keeper.low_water, keeper.end);
        catalog.close().expect("the simulation's shelves work");
        drop(log);
    }
}

fn start_shards(world: &Rc<World>, parts: &Parts, reader: &LogReader) -> Vec<JoinHandle<()>> {
    let runtime = tokio::runtime::Handle::current();
    let start = |number| {
        let thread =
            parts.shard(&world.plan.config, number, reader, &runtime).expect("the settings are allowed");
        let (names, network) = (SimNetwork(world.clone()), SimNetwork(world.clone()));
        let sender = Sender::on_network(&parts.delivery, Rc::new(names), Rc::new(network));
        spawn_local(shard::run(thread, sender.expect("no TLS to set up")))
    };
    (0..parts.shards.len()).map(start).collect()
}

/// The writer's thread. Between two steps it is as slow as the disk.
async fn write(world: Rc<World>, mut writer: Writer, bell: Bell, keeper: Rc<Notify>) -> (Log, CatalogStore) {
    while !writer.is_stopping() {
        if writer.is_idle() {
            let patience = if writer.waits_for_space() { SPACE_ROUND } else { ROUND };
            tokio::select! {
                biased;
                () = bell.rung() => {}
                () = sleep(patience) => {}
            }
        }
        sleep(Duration::from_millis(world.dice.between(0..=world.disk_ms.get()))).await;
        writer.step(Duration::ZERO);
        world.look_at_syncs();
        keeper.notify_one();
        if world.disk.is_off() {
            world.is_over.notify_one();
            // Nothing follows: whoever is answered after the end hears nothing.
            std::future::pending::<()>().await;
        }
        while writer.keeper_is_behind() {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let ended = writer.finish();
    keeper.notify_one();
    ended
}

/// The keeper's thread.
async fn keep(mut keeper: Keeper, bell: Rc<Notify>, round: Duration) -> Keeper {
    loop {
        tokio::select! {
            biased;
            () = bell.notified() => {}
            () = sleep(round) => {}
        }
        keeper.turn();
        if keeper.has_ended() {
            return keeper;
        }
    }
}
