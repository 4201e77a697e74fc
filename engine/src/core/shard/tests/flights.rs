//! The attempts in flight, and what must hold of them: no cap is exceeded, nothing but one probe is sent into
//! a lockout, and a receiver that asked for patience is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::receiver::Answer;
use crate::core::delivery::DeliveryKey;
use crate::core::health::{HealthCell, HealthPhase};
use crate::core::ids::EndpointId;
use crate::core::outcome::Outcome;
use crate::core::shard::{EndpointSettings, ShardSettings};
use crate::core::tick::Tick;

/// An attempt in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: DeliveryKey,
    pub(super) settings: EndpointSettings,
    /// How often the endpoint had come to the shard by then.
    pub(super) arrivals: u32,
    pub(super) answer: Answer,
    /// The world's number of the attempt, which comes back as its report.
    pub(super) number: usize,
    /// When it is over.
    pub(super) ends: Tick,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_token: BTreeMap<u32, Flight>,
    by_end: BTreeSet<(Tick, u32)>,
    by_host: BTreeMap<u64, u32>,
    by_url: BTreeMap<Url, u32>,
    /// By the address of its health: the token of the probe that is out.
    probes: BTreeMap<usize, u32>,
    /// Nothing is sent before.
    paused: BTreeMap<Url, Tick>,
}

/// An endpoint, the address of its URL's health, and its arrivals: it begins anew when it comes back or its
/// URL changes.
type Url = (EndpointId, usize, u32);

fn url(flight: &Flight) -> Url {
    (flight.settings.id, address(&flight.settings.url_health), flight.arrivals)
}

fn address(health: &Arc<HealthCell>) -> usize {
    Arc::as_ptr(health).addr()
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.by_token.len()
    }

    pub(super) fn to(&self, endpoint: EndpointId) -> usize {
        self.by_token.values().filter(|flight| flight.key.endpoint == endpoint).count()
    }

    /// When the next one is over.
    pub(super) fn next_end(&self) -> Option<(Tick, u32)> {
        self.by_end.first().copied()
    }

    pub(super) fn start(&mut self, token: u32, flight: Flight, now: Tick, limits: &ShardSettings) {
        let settings = &flight.settings;
        for health in [&settings.url_health, &settings.host_health] {
            self.check_door(health, token, now);
        }
        let paused = self.paused.get(&url(&flight));
        assert!(paused.is_none_or(|until| *until <= now), "{:?} asked for patience", settings.id);
        let to_host = self.by_host.entry(settings.host).or_default();
        *to_host += 1;
        assert!(*to_host <= limits.host_in_flight_max, "{to_host} attempts to a host");
        let to_url = self.by_url.entry(url(&flight)).or_default();
        *to_url += 1;
        assert!(*to_url <= settings.in_flight_max.into(), "{to_url} attempts to an endpoint");
        self.by_end.insert((flight.ends, token));
        assert!(self.by_token.insert(token, flight).is_none(), "token {token} is in flight already");
        assert!(self.len() <= limits.in_flight_max as usize);
    }

    /// Whatever is sent to a door that is not healthy is its one probe.
    fn check_door(&mut self, health: &Arc<HealthCell>, token: u32, now: Tick) {
        match health.view(now).phase {
            HealthPhase::Healthy => {}
            HealthPhase::LockedOut => panic!("token {token} is sent into a lockout"),
            HealthPhase::Probing => {
                let other = self.probes.insert(address(health), token);
                assert_eq!(other, None, "token {token} is sent while a probe is out");
            }
        }
    }

    pub(super) fn end(&mut self, token: u32, now: Tick) -> Flight {
        let flight = self.by_token.remove(&token).expect("what ends was in flight");
        let settings = &flight.settings;
        self.by_end.remove(&(flight.ends, token));
        *self.by_host.get_mut(&settings.host).expect("it was counted") -= 1;
        *self.by_url.get_mut(&url(&flight)).expect("it was counted") -= 1;
        self.probes.retain(|_, probe| *probe != token);
        if let Outcome::RetryAfter { wait, .. } = flight.answer.outcome {
            let paused = self.paused.entry(url(&flight)).or_default();
            *paused = (*paused).max(now + wait);
        }
        flight
    }
}
