//! The lookups: what the path of a message asks of the catalog, answered without a lock.
//!
//! An application is found by its id and by its uid alike; what is found stays the same over all changes and
//! holds the present snapshot of its routes, which is swapped whole.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use serde_json::value::RawValue;

use super::schemas::{self, Misfit, PayloadSchema};
use super::{Application, Endpoint, EventType};
use crate::core::ids::ApplicationId;
use crate::filter::FilterCounts;
use crate::payload::Payload;
use crate::routing::{AppRoutes, Routed};

/// An application as the path of a message sees it.
#[derive(Debug)]
pub struct RoutedApplication {
    settings: ArcSwap<Application>,
    routes: ArcSwap<AppRoutes>,
    filter_counts: FilterCounts,
}

impl RoutedApplication {
    /// Its id.
    pub fn id(&self) -> ApplicationId {
        self.settings.load().id
    }

    /// It, as it is at present.
    pub fn settings(&self) -> Arc<Application> {
        self.settings.load_full()
    }

    /// Whether payloads must fit the schema of their event type.
    pub fn validates_payloads(&self) -> bool {
        self.settings.load().validate_payloads
    }

    /// Where a message goes.
    pub fn route(&self, event_type: &str, channels: &[impl AsRef<str>], payload: &Payload<'_>) -> Routed {
        self.routes.load().route(event_type, channels, payload, &self.filter_counts)
    }

    fn change(&self, change: impl FnOnce(&mut AppRoutes)) {
        let mut routes = AppRoutes::clone(&self.routes.load());
        change(&mut routes);
        self.routes.store(Arc::new(routes));
    }
}

/// Whether messages of an event type are welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTypeStanding {
    /// The catalog has it.
    Known,
    /// The catalog has it, and it is no longer in use.
    Archived,
    /// The catalog does not have it.
    Unknown,
}

/// An event type as the path of a message sees it.
#[derive(Debug)]
struct Welcome {
    standing: EventTypeStanding,
    schemas: Option<Box<RawValue>>,
    /// Compiled for the first payload that is held against it: most never are. `None` without a schema.
    newest: OnceLock<Option<PayloadSchema>>,
}

/// See the head of this file. Changes come one at a time.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    applications: papaya::HashMap<Box<str>, Arc<RoutedApplication>>,
    event_types: papaya::HashMap<Box<str>, Arc<Welcome>>,
    filter_counts: FilterCounts,
}

impl Lookups {
    pub(super) const fn filter_counts(&self) -> &FilterCounts {
        &self.filter_counts
    }

    pub(super) fn application(&self, id_or_uid: &str) -> Option<Arc<RoutedApplication>> {
        self.applications.pin().get(id_or_uid).cloned()
    }

    pub(super) fn event_type(&self, name: &str) -> EventTypeStanding {
        self.event_types.pin().get(name).map_or(EventTypeStanding::Unknown, |known| known.standing)
    }

    pub(super) fn check_payload(&self, event_type: &str, payload: &Payload<'_>) -> Result<(), Misfit> {
        let Some(known) = self.event_types.pin().get(event_type).cloned() else { return Ok(()) };
        let Some(schemas) = &known.schemas else { return Ok(()) };
        let newest = known.newest.get_or_init(|| schemas::compile_newest(event_type, schemas));
        newest.as_ref().map_or(Ok(()), |schema| schema.check(payload.value()))
    }

    pub(super) fn put_application(&self, before: Option<&Application>, application: &Arc<Application>) {
        let applications = self.applications.pin();
        let id: Box<str> = application.id.to_string().into();
        let routed = applications.get(&id).cloned().unwrap_or_else(|| {
            let settings = ArcSwap::from(Arc::clone(application));
            let (routes, filter_counts) = (ArcSwap::default(), self.filter_counts.clone());
            Arc::new(RoutedApplication { settings, routes, filter_counts })
        });
        routed.settings.store(Arc::clone(application));
        applications.insert(id, Arc::clone(&routed));
        let uid_before = before.and_then(|before| before.uid.as_deref());
        if uid_before != application.uid.as_deref() {
            uid_before.and_then(|uid| applications.remove(uid));
        }
        if let Some(uid) = &application.uid {
            applications.insert(uid.as_str().into(), routed);
        }
    }

    pub(super) fn remove_application(&self, application: &Application) {
        let applications = self.applications.pin();
        applications.remove(application.id.to_string().as_str());
        application.uid.as_deref().and_then(|uid| applications.remove(uid));
    }

    /// One swap for both, so that no message falls between the old wishes and the new.
    pub(super) fn put_endpoint(&self, before: Option<&Endpoint>, endpoint: &Endpoint) {
        self.change_routes(endpoint.application, |routes| {
            if let Some(before) = before.filter(|before| !before.is_disabled()) {
                routes.remove(before.id, before.interest());
            }
            if !endpoint.is_disabled() {
                routes.insert(endpoint.id, endpoint.interest());
            }
        });
    }

    /// Endpoints of one application, none of which is there yet.
    pub(super) fn put_endpoints(&self, endpoints: &[Arc<Endpoint>]) {
        let Some(first) = endpoints.first() else { return };
        self.change_routes(first.application, |routes| {
            for endpoint in endpoints.iter().filter(|endpoint| !endpoint.is_disabled()) {
                routes.insert(endpoint.id, endpoint.interest());
            }
        });
    }

    pub(super) fn remove_endpoint(&self, endpoint: &Endpoint) {
        if !endpoint.is_disabled() {
            self.change_routes(endpoint.application, |routes| {
                routes.remove(endpoint.id, endpoint.interest())
            });
        }
    }

    pub(super) fn put_event_type(&self, event_type: &EventType) {
        let standing =
            if event_type.archived { EventTypeStanding::Archived } else { EventTypeStanding::Known };
        let (schemas, newest) = (event_type.schemas.clone(), OnceLock::new());
        let known = Arc::new(Welcome { standing, schemas, newest });
        self.event_types.pin().insert(event_type.name.as_str().into(), known);
    }

    pub(super) fn remove_event_type(&self, name: &str) {
        self.event_types.pin().remove(name);
    }

    fn change_routes(&self, application: ApplicationId, change: impl FnOnce(&mut AppRoutes)) {
        if let Some(routed) = self.applications.pin().get(application.to_string().as_str()) {
            routed.change(change);
        }
    }
}
