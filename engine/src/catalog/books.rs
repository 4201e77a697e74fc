//! The books: everything in the catalog, in order, for whoever lists and edits.
//!
//! Only what is durable is written here. No rules are checked: that has been done before (`editor`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::audit_room::AuditLog;
use super::editor::NOTES_MAX;
use super::page::{Page, Start, Window, page};
use super::{Alert, ApiKey, Application, Endpoint, EventType, FailingSince, Task};
use crate::core::ids::{AlertId, ApiKeyId, ApplicationId, EndpointId, TaskId};

/// An endpoint's place: its application's endpoints lie together.
type Place = (ApplicationId, EndpointId);

const FIRST: EndpointId = EndpointId::from_u64(0);
const LAST: EndpointId = EndpointId::from_u64(u64::MAX);

/// Alerts that go with one change: it should stay small. A change brings fewer.
const ALERTS_REMOVED_MAX: usize = 2 * NOTES_MAX;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Books {
    applications: BTreeMap<ApplicationId, Arc<Application>>,
    application_uids: HashMap<String, ApplicationId>,
    endpoints: BTreeMap<Place, Arc<Endpoint>>,
    endpoint_owners: HashMap<EndpointId, ApplicationId>,
    /// How many endpoints each application has; none where it has none.
    endpoint_counts: HashMap<ApplicationId, usize>,
    endpoint_uids: HashMap<(ApplicationId, String), EndpointId>,
    event_types: BTreeMap<String, Arc<EventType>>,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    alerts: BTreeMap<AlertId, Arc<Alert>>,
    failing: BTreeMap<EndpointId, FailingSince>,
    audit: AuditLog,
    api_keys: BTreeMap<ApiKeyId, Arc<ApiKey>>,
}

impl Books {
    pub(super) fn application(&self, id_or_uid: &str) -> Option<Arc<Application>> {
        let id = match id_or_uid.parse() {
            Ok(id) => id,
            Err(_) => *self.application_uids.get(id_or_uid)?,
        };
        self.application_by_id(id)
    }

    pub(super) fn application_by_id(&self, id: ApplicationId) -> Option<Arc<Application>> {
        self.applications.get(&id).cloned()
    }

    pub(super) fn endpoint(&self, application: ApplicationId, id_or_uid: &str) -> Option<Arc<Endpoint>> {
        let id = match id_or_uid.parse() {
            Ok(id) => id,
            Err(_) => *self.endpoint_uids.get(&(application, id_or_uid.to_owned()))?,
        };
        self.endpoints.get(&(application, id)).cloned()
    }

    pub(super) fn endpoint_by_id(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        let application = *self.endpoint_owners.get(&id)?;
        self.endpoints.get(&(application, id)).cloned()
    }

    pub(super) fn endpoint_ids(&self, application: ApplicationId) -> Vec<EndpointId> {
        self.endpoints.range((application, FIRST)..=(application, LAST)).map(|((_, id), _)| *id).collect()
    }

    pub(super) fn endpoints_count(&self, application: ApplicationId) -> usize {
        self.endpoint_counts.get(&application).copied().unwrap_or(0)
    }

    pub(super) fn endpoints_of(&self, application: ApplicationId) -> Vec<Arc<Endpoint>> {
        let own = self.endpoints.range((application, FIRST)..=(application, LAST));
        own.map(|(_, endpoint)| Arc::clone(endpoint)).collect()
    }

    pub(super) fn applications_all(&self) -> Vec<Arc<Application>> {
        self.applications.values().cloned().collect()
    }

    pub(super) fn endpoints_all(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.values().cloned().collect()
    }

    pub(super) fn event_type(&self, name: &str) -> Option<Arc<EventType>> {
        self.event_types.get(name).cloned()
    }

    pub(super) fn applications_page(&self, window: &Window<ApplicationId>) -> Page<Application> {
        page(&self.applications, (Bound::Unbounded, Bound::Unbounded), window, |_| true)
    }

    pub(super) fn endpoints_page(
        &self,
        application: ApplicationId,
        window: &Window<EndpointId>,
    ) -> Page<Endpoint> {
        let start = match window.start {
            Start::First => Start::First,
            Start::After(id) => Start::After((application, id)),
            Start::Before(id) => Start::Before((application, id)),
        };
        let window = Window { start, descending: window.descending, limit: window.limit };
        let own = (Bound::Included((application, FIRST)), Bound::Included((application, LAST)));
        page(&self.endpoints, own, &window, |_| true)
    }

    pub(super) fn event_types_page(&self, window: &Window<String>, archived_too: bool) -> Page<EventType> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        page(&self.event_types, all, window, |event_type| archived_too || !event_type.archived)
    }

    pub(super) fn task(&self, id: TaskId) -> Option<Arc<Task>> {
        self.tasks.get(&id).cloned()
    }

    pub(super) fn tasks_page(&self, window: &Window<TaskId>, wanted: impl Fn(&Task) -> bool) -> Page<Task> {
        page(&self.tasks, (Bound::Unbounded, Bound::Unbounded), window, wanted)
    }

    pub(super) fn tasks_all(&self) -> Vec<Arc<Task>> {
        self.tasks.values().cloned().collect()
    }

    pub(super) fn put_task(&mut self, task: Arc<Task>) {
        self.tasks.insert(task.id, task);
    }

    pub(super) fn remove_task(&mut self, id: TaskId) {
        self.tasks.remove(&id);
    }

    /// Returns what was there before.
    pub(super) fn put_application(&mut self, application: &Arc<Application>) -> Option<Arc<Application>> {
        let before = self.applications.insert(application.id, Arc::clone(application));
        if let Some(uid) = before.as_ref().and_then(|before| before.uid.as_ref()) {
            self.application_uids.remove(uid);
        }
        if let Some(uid) = &application.uid {
            self.application_uids.insert(uid.clone(), application.id);
        }
        before
    }

    /// The application must have no endpoints any more.
    pub(super) fn remove_application(&mut self, id: ApplicationId) -> Option<Arc<Application>> {
        let before = self.applications.remove(&id)?;
        if let Some(uid) = &before.uid {
            self.application_uids.remove(uid);
        }
        Some(before)
    }

    /// Returns what was there before, or `None` when nothing has changed: it is there just so, or its
    /// application is gone (a change that is read again after both were removed).
    pub(super) fn put_endpoint(&mut self, endpoint: &Arc<Endpoint>) -> Option<Option<Arc<Endpoint>>> {
        let place = (endpoint.application, endpoint.id);
        if !self.applications.contains_key(&endpoint.application)
            || self.endpoints.get(&place) == Some(endpoint)
        {
            return None;
        }
        let before = self.endpoints.insert(place, Arc::clone(endpoint));
        if before.is_none() {
            *self.endpoint_counts.entry(endpoint.application).or_default() += 1;
        }
        self.endpoint_owners.insert(endpoint.id, endpoint.application);
        if let Some(uid) = before.as_ref().and_then(|before| before.uid.clone()) {
            self.endpoint_uids.remove(&(endpoint.application, uid));
        }
        if let Some(uid) = &endpoint.uid {
            self.endpoint_uids.insert((endpoint.application, uid.clone()), endpoint.id);
        }
        Some(before)
    }

    pub(super) fn remove_endpoint(&mut self, id: EndpointId) -> Option<Arc<Endpoint>> {
        let application = self.endpoint_owners.remove(&id)?;
        let before = self.endpoints.remove(&(application, id))?;
        if let Entry::Occupied(mut count) = self.endpoint_counts.entry(application) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if let Some(uid) = before.uid.clone() {
            self.endpoint_uids.remove(&(application, uid));
        }
        Some(before)
    }

    pub(super) fn put_event_type(&mut self, event_type: Arc<EventType>) {
        self.event_types.insert(event_type.name.clone(), event_type);
    }

    pub(super) fn remove_event_type(&mut self, name: &str) {
        self.event_types.remove(name);
    }

    pub(super) fn alert(&self, id: AlertId) -> Option<Arc<Alert>> {
        self.alerts.get(&id).cloned()
    }

    pub(super) fn alerts_page(
        &self,
        window: &Window<AlertId>,
        wanted: impl Fn(&Alert) -> bool,
    ) -> Page<Alert> {
        page(&self.alerts, (Bound::Unbounded, Bound::Unbounded), window, wanted)
    }

    pub(super) fn alerts_all(&self) -> Vec<Arc<Alert>> {
        self.alerts.values().cloned().collect()
    }

    /// The oldest alerts that are too many once there are `more`.
    pub(super) fn alerts_beyond(&self, max: usize, more: usize) -> Vec<AlertId> {
        let surplus = (self.alerts.len() + more).saturating_sub(max);
        self.alerts.keys().take(surplus.min(ALERTS_REMOVED_MAX)).copied().collect()
    }

    pub(super) fn put_alert(&mut self, alert: Arc<Alert>) {
        self.alerts.insert(alert.id, alert);
    }

    pub(super) fn remove_alert(&mut self, id: AlertId) {
        self.alerts.remove(&id);
    }

    pub(super) fn failing_all(&self) -> Vec<FailingSince> {
        self.failing.values().copied().collect()
    }

    pub(super) fn put_failing(&mut self, failing: FailingSince) {
        self.failing.insert(failing.endpoint, failing);
    }

    pub(super) fn remove_failing(&mut self, id: EndpointId) {
        self.failing.remove(&id);
    }

    pub(super) const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    pub(super) const fn audit_mut(&mut self) -> &mut AuditLog {
        &mut self.audit
    }

    pub(super) fn api_key(&self, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        self.api_keys.get(&id).cloned()
    }

    pub(super) fn api_keys_count(&self) -> usize {
        self.api_keys.len()
    }

    pub(super) fn api_keys_all(&self) -> Vec<Arc<ApiKey>> {
        self.api_keys.values().cloned().collect()
    }

    /// Those that are for this application alone.
    pub(super) fn api_keys_of(&self, application: ApplicationId) -> Vec<ApiKeyId> {
        let own = self.api_keys.values().filter(|key| key.application == Some(application));
        own.map(|key| key.id).collect()
    }

    pub(super) fn api_keys_page(&self, window: &Window<ApiKeyId>) -> Page<ApiKey> {
        page(&self.api_keys, (Bound::Unbounded, Bound::Unbounded), window, |_| true)
    }

    pub(super) fn put_api_key(&mut self, key: Arc<ApiKey>) {
        self.api_keys.insert(key.id, key);
    }

    pub(super) fn remove_api_key(&mut self, id: ApiKeyId) {
        self.api_keys.remove(&id);
    }
}
