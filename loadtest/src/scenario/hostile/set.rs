//! Sets of endpoints: each has one endpoint for every fault and version of HTTP, and hears of rounds of its own.

use std::collections::HashMap;

use serde_json::json;

use crate::engine::Api;
use crate::fault::{Place, Places};

/// The application of the faults.
pub(super) const APPLICATION: &str = "hostile";
/// Waits of the endpoint whose name leads elsewhere when it is looked up once more: longer than answers are believed.
const LOOKED_UP_AGAIN_AFTER: &str = "1500ms";

/// See the head of this file.
pub(super) struct Sets<'a> {
    /// By the endpoint's id.
    places: HashMap<String, &'a Place>,
    /// Endpoints that a 410 disables, by set.
    disabled_by_410: Vec<Vec<String>>,
}

impl<'a> Sets<'a> {
    /// Makes all endpoints.
    pub(super) fn make(api: &mut Api, places: &'a Places) -> anyhow::Result<Self> {
        api.post("/api/v1/app", &json!({ "name": APPLICATION, "uid": APPLICATION }))?;
        let count = places.all().iter().map(|place| place.number + 1).max().unwrap_or(0);
        let mut sets = Self { places: HashMap::new(), disabled_by_410: vec![Vec::new(); count] };
        for number in 0..count {
            let event_type = json!({ "name": event_type_of(number), "description": "A set of faults" });
            api.post("/api/v1/event-type", &event_type)?;
        }
        for place in places.all() {
            sets.add(api, place)?;
        }
        Ok(sets)
    }

    fn add(&mut self, api: &mut Api, place: &'a Place) -> anyhow::Result<()> {
        let retry = place.fault.needs_another_lookup().then_some(LOOKED_UP_AGAIN_AFTER);
        let endpoint = json!({
            "url": place.url(), "eventTypes": [event_type_of(place.number)], "retryPolicy": retry,
            // One after the other: what befalls one attempt over a shared connection is not to befall another.
            "concurrency": 1,
        });
        let made = api.post(&format!("/api/v1/app/{APPLICATION}/endpoint"), &endpoint)?;
        let id = made["id"].as_str().unwrap_or_default().to_owned();
        if place.fault.ends.iter().any(|end| end.outcome == "gone") {
            self.disabled_by_410[place.number].push(id.clone());
        }
        self.places.insert(id, place);
        Ok(())
    }

    /// The place that an endpoint leads to.
    pub(super) fn place(&self, endpoint: &str) -> Option<&'a Place> {
        self.places.get(endpoint).copied()
    }

    /// How many endpoints a set has.
    pub(super) fn endpoints_in_one(&self) -> usize {
        self.places.len() / self.disabled_by_410.len()
    }

    /// What messages of a round are about.
    pub(super) fn event_type(&self, round: u64) -> String {
        event_type_of((round % self.disabled_by_410.len() as u64) as usize)
    }

    /// Enables what a 410 of an earlier round has disabled.
    pub(super) fn let_back_in(&mut self, api: &mut Api, round: u64) -> anyhow::Result<()> {
        let set = (round % self.disabled_by_410.len() as u64) as usize;
        for endpoint in &self.disabled_by_410[set] {
            let path = format!("/api/v1/app/{APPLICATION}/endpoint/{endpoint}");
            api.patch(&path, &json!({ "disabled": false }))?;
        }
        Ok(())
    }
}

fn event_type_of(set: usize) -> String {
    format!("hostile.set{set}")
}
