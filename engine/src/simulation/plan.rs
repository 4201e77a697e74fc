//! The plan: what a seed decides beforehand. Settings, endpoints, and what will happen when.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::fault::Fault;
use super::receiver::{ANSWERS, HostMood, Mood};
use crate::config::Config;
use crate::config::Size;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Event types that there are.
pub(super) const EVENT_TYPES: u8 = 3;

/// An endpoint as it is set up at the beginning.
pub(super) struct EndpointPlan {
    pub(super) application: usize,
    pub(super) host: usize,
    pub(super) event_types: Option<BTreeSet<u8>>,
    pub(super) retry_policy: &'static str,
    /// No attempt follows a failed one sooner.
    pub(super) wait_ms: u64,
    /// All its waits together, at the shortest.
    pub(super) waits_ms: u64,
    pub(super) throttle_rate: Option<u16>,
}

/// How a process or its machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Stop,
    Kill,
    /// After so many further operations of the disk.
    KillAfter(u64),
    PowerCut,
    /// Some sectors of what was not synced survive.
    TornPowerCut,
    PowerCutAfter(u64),
}

/// What goes wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskTrouble {
    WriteFails,
    ReadFails,
    SyncFails,
    Full,
    Slow(u64),
}

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Publish {
        messages: u64,
        manner: Manner,
    },
    Host(usize, HostMood),
    Endpoint(usize, Mood),
    Operate(Fault, usize),
    Disk(DiskTrouble),
    DiskWell,
    /// After `after` operations `times` of the ledger's fail.
    LedgerFails {
        after: u64,
        times: u64,
    },
    WallClock(i64),
    End(Ending),
}

/// How a producer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Well,
    HangsUpInFrame,
    SpeaksGarbage,
    DoesNotRead,
}

pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) applications: usize,
    pub(super) hosts: usize,
    pub(super) endpoints: Vec<EndpointPlan>,
    /// In the order in which they happen.
    pub(super) events: Vec<(u64, Event)>,
    /// From here on nothing goes wrong any more.
    pub(super) well_from_ms: u64,
}

/// Retry policies with the shortest wait that each has, and with the sum of its waits (less their jitter).
const POLICIES: [(&str, u64, u64); 5] = [
    ("5s, 30s, 2m, 10m, 30m, 1h, 2h, 4h, 8h, 12h", 4_500, 89_779_500),
    ("exponential first=5s factor=3 max=12h attempts=11", 4_500, 83_164_500),
    ("1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s", 900, 9_000),
    ("10m, 1h, 6h, 12h, 24h jitter=20%", 480_000, 124_320_000),
    ("1m, 5m, 30m, 3h", 54_000, 11_664_000),
];

impl Plan {
    pub(super) fn new(dice: &Dice) -> Self {
        let (applications, hosts) = (dice.between(1..=2) as usize, dice.between(1..=4) as usize);
        let endpoints =
            (0..dice.between(2..=6)).map(|_| endpoint(dice, applications, hosts)).collect::<Vec<_>>();
        let well_from_ms = dice.between(1..=48) * HOUR;
        let mut events = Vec::new();
        let mut any_time = |count: u64, event: &mut dyn FnMut() -> Event| {
            for _ in 0..count {
                events.push((dice.between(MINUTE..=well_from_ms), event()));
            }
        };
        any_time(dice.between(5..=25), &mut || publish(dice));
        any_time(dice.between(0..=6), &mut || Event::Host(dice.index(hosts), host_mood(dice)));
        any_time(dice.between(0..=12), &mut || Event::Endpoint(dice.index(endpoints.len()), mood(dice)));
        any_time(dice.between(0..=8), &mut || Event::Operate(dice.pick(&DEEDS), dice.index(endpoints.len())));
        any_time(dice.between(0..=4), &mut || Event::Disk(disk_trouble(dice)));
        any_time(dice.between(0..=2), &mut || Event::LedgerFails {
            after: dice.between(0..=30),
            times: dice.pick(&[1, 1, 3, 100]),
        });
        any_time(dice.between(0..=2), &mut || Event::WallClock(wall_jump(dice)));
        any_time(dice.between(0..=5), &mut || Event::End(ending(dice)));
        follow_up(dice, &mut events);
        events.retain(|(at, _)| *at <= well_from_ms);
        events.sort_by_key(|(at, _)| *at);
        Self { config: config(dice), applications, hosts, endpoints, events, well_from_ms }
    }
}

/// What does not stay as it becomes; and publishers tend to be there when something breaks.
fn follow_up(dice: &Dice, events: &mut Vec<(u64, Event)>) {
    let mut more = Vec::new();
    for (at, event) in events.iter() {
        match event {
            Event::Disk(DiskTrouble::SyncFails | DiskTrouble::WriteFails) => {
                more.push((at + dice.between(1_000..=10 * MINUTE), Event::End(ending(dice))));
            }
            Event::Disk(_) => more.push((at + dice.between(1_000..=2 * MINUTE), Event::DiskWell)),
            Event::Host(host, mood) if *mood != HostMood::Well => {
                more.push((at + dice.between(MINUTE..=12 * HOUR), Event::Host(*host, HostMood::Well)));
            }
            Event::Endpoint(endpoint, mood) if *mood != Mood::WELL => {
                more.push((at + dice.between(MINUTE..=12 * HOUR), Event::Endpoint(*endpoint, Mood::WELL)));
            }
            Event::Operate(Fault::EndpointDisabled, endpoint) => {
                let enabled = Event::Operate(Fault::EndpointEnabled, *endpoint);
                more.push((at + dice.between(MINUTE..=6 * HOUR), enabled));
            }
            _ => {}
        }
        if matches!(event, Event::Disk(_) | Event::End(_)) {
            more.push((at.saturating_sub(dice.between(0..=200)), publish(dice)));
            more.push((at + dice.between(0..=20_000), publish(dice)));
        }
    }
    events.extend(more);
}

fn endpoint(dice: &Dice, applications: usize, hosts: usize) -> EndpointPlan {
    let (retry_policy, wait_ms, waits_ms) = dice.pick(&POLICIES);
    let chooses = dice.one_in(2);
    let event_types = (0..EVENT_TYPES).filter(|_| dice.one_in(2)).collect::<BTreeSet<u8>>();
    EndpointPlan {
        application: dice.index(applications),
        host: dice.index(hosts),
        event_types: (chooses && !event_types.is_empty()).then_some(event_types),
        retry_policy,
        wait_ms,
        waits_ms,
        throttle_rate: dice.one_in(4).then(|| dice.between(1..=10) as u16),
    }
}

const DEEDS: [Fault; 8] = [
    Fault::EndpointDisabled,
    Fault::EndpointEnabled,
    Fault::EndpointMoved,
    Fault::EndpointRemoved,
    Fault::SecretRotated,
    Fault::SubscriptionChanged,
    Fault::MessageCancelled,
    Fault::MessageResent,
];

fn publish(dice: &Dice) -> Event {
    let manner = match dice.index(12) {
        0 => Manner::HangsUpInFrame,
        1 => Manner::SpeaksGarbage,
        2 => Manner::DoesNotRead,
        _ => Manner::Well,
    };
    Event::Publish { messages: dice.between(1..=5), manner }
}

fn host_mood(dice: &Dice) -> HostMood {
    dice.pick(&[HostMood::Refuses, HostMood::Hangs, HostMood::NoName, HostMood::Forbidden])
}

fn mood(dice: &Dice) -> Mood {
    Mood { well_percent: dice.pick(&[0, 0, 30, 70, 90]), fault: dice.pick(&ANSWERS) }
}

fn disk_trouble(dice: &Dice) -> DiskTrouble {
    match dice.index(5) {
        0 => DiskTrouble::WriteFails,
        1 => DiskTrouble::ReadFails,
        2 => DiskTrouble::SyncFails,
        3 => DiskTrouble::Full,
        _ => DiskTrouble::Slow(dice.between(50..=3_000)),
    }
}

fn wall_jump(dice: &Dice) -> i64 {
    let by = dice.pick(&[HOUR, 24 * HOUR]) as i64;
    if dice.one_in(2) { by } else { -by }
}

fn ending(dice: &Dice) -> Ending {
    match dice.index(6) {
        0 => Ending::Stop,
        1 => Ending::Kill,
        2 => Ending::KillAfter(dice.between(0..=30)),
        3 => Ending::PowerCut,
        4 => Ending::TornPowerCut,
        _ => Ending::PowerCutAfter(dice.between(0..=30)),
    }
}

fn config(dice: &Dice) -> Config {
    let text = format!(
        r#"
        limits.unknown_event_types = "accept"
        limits.event_ids_max = 1000
        storage.report_wait = "0ms"
        storage.retention_age = "{retention_h}h"
        ledger.horizon = "{horizon}s"
        ledger.flush_after = "{flush}s"
        shards.count = {shards}
        shards.queue_max = {queue}
        shards.deliveries_max = 1000
        shards.in_flight_max = {in_flight}
        shards.endpoint_in_flight_max = {window}
        shards.body_bytes_max = "1MiB"
        lockout.url.consecutive_failures = {failures}
        lockout.url.wait_first = "{wait}s"
        "#,
        retention_h = dice.pick(&[1, 2, 12, 168]),
        horizon = dice.pick(&[120, 600, 3_600]),
        flush = dice.pick(&[1, 10, 60]),
        shards = dice.between(1..=3),
        queue = dice.pick(&[2, 10, 1_000]),
        in_flight = dice.pick(&[2, 16, 256]),
        window = dice.pick(&[1, 4, 64]),
        failures = dice.pick(&[3, 10]),
        wait = dice.pick(&[30, 120]),
    );
    let text = ("simulation", text.as_str());
    let mut config =
        Config::layered(Some(text), std::iter::empty()).expect("the simulation's settings are allowed");
    // Smaller than any operator may have them, so that many come and go within a few messages.
    config.storage.segment_bytes = Size::from_bytes(dice.pick(&[2 << 10, 16 << 10, 1 << 20]));
    config.storage.reserve_bytes = Size::from_bytes(0);
    config
}
