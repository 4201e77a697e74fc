//! The catalog: applications, event types, endpoints and their secrets; what is configured, not what happens.
//!
//! All of it lives in memory twice, for two kinds of reader. The books (`books`) are ordered, for whoever
//! lists and edits. The lookups (`lookup`) are immutable snapshots, for the path of a message, which takes
//! no lock. The log has every change; the store on disk is derived from it.
//!
//!   Editor: check -> commit to the log -> Catalog::apply: books, then lookups, then subscribers
//!
//! Invariants
//! - What is not durable is not in the catalog: a change is applied after its commit.
//! - Applying the same change again changes nothing and tells nobody.
//! - An endpoint belongs to an application that there is; when the application goes, so do its endpoints.
//!
//! # On disk
//! A key and a JSON object each; a field that a reader does not know is ignored, one that is missing has its
//! default (`record`). What is secret of an endpoint is sealed (`sealed`).
//!
//! | key | value |
//! |---|---|
//! | `app/<application id>` | [`Application`] |
//! | `ep/<endpoint id>` | [`Endpoint`] |
//! | `et/<name>` | [`EventType`] |
//! | `task/<task id>` | [`Task`] |
//! | `al/<alert id>` | [`Alert`] |
//! | `fs/<endpoint id>` | [`FailingSince`] |
//! | `key/<key id>` | [`ApiKey`] |
//! | `au/<number>` | [`AuditEntry`]: one line of JSON, kept byte for byte; or what stands for entries that made room |
//!
//! Alerts, failing times and the audit log are what the engine notes: they are not configured, but are as small, are
//! kept as long, and must survive as safely.

mod alert;
mod api_key;
mod application;
mod audit;
mod audit_chain;
mod audit_room;
mod books;
mod change;
mod check;
mod editor;
mod endpoint;
mod endpoint_draft;
mod event_type;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod lookup;
mod page;
mod record;
mod request;
mod schemas;
mod sealed;
mod secret;
mod task;
pub(crate) mod token;
mod url_rules;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fakes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::core::ids::{AlertId, ApiKeyId, ApplicationId, EndpointId, TaskId};
use crate::filter::FilterCounts;
use crate::payload::Payload;
pub use alert::{Acknowledged, Alert, AlertCause, AlertDoor, AlertType, FailingSince, NOTE_BYTES_MAX};
pub(crate) use api_key::KeyUse;
pub use api_key::{ApiKey, ApiKeyDraft, EVENTS_PER_SECOND_MAX};
pub use application::{Application, ApplicationDraft};
pub(crate) use audit::number_of as audit_number;
pub use audit::{Acting, AuditEntry, AuditKey, AuditPart, LeftOut, act_as};
pub use audit_chain::{ChainBroken, ChainReport, verify_chain};
use books::Books;
pub use change::{BoxFuture, Change, ChangeLog, CommitError};
pub use check::{CatalogError, EndpointRules, FieldError, is_identifier};
pub use editor::{Editor, KeptLimits, NOTES_MAX, Note, Put};
pub use endpoint::{Authorization, Disabled, Endpoint, SuccessRule};
pub use endpoint_draft::EndpointDraft;
pub use event_type::{EventType, EventTypeDraft};
use lookup::Lookups;
pub use lookup::{EventTypeStanding, RoutedApplication};
pub use page::{Page, Start, Window};
use record::Record;
pub use record::RecordError;
pub use request::{BodySecret, ChainPlace, ClientCertificate, Format, HeaderNames};
pub use schemas::Misfit;
pub(crate) use sealed::key_of_entry;
pub use sealed::{Opened, Sealed, Sealing};
pub use secret::{GRACE_SECONDS_DEFAULT, GRACE_SECONDS_MAX, NewSecret, Secret, SignatureKind};
pub use task::{NewTask, RATE_MAX, TASKS_KEPT_MAX, Task, TaskKind, TaskState};
pub use token::NewToken;
pub use url_rules::check_url_for;
pub(crate) use url_rules::warnings as url_warnings;

/// Limits of what is configured, in bytes or numbers.
pub mod limits {
    /// The longest uid of an application or endpoint.
    pub const UID_BYTES_MAX: usize = 256;
    /// The longest name of an application.
    pub const NAME_BYTES_MAX: usize = 256;
    /// The longest event type.
    pub const EVENT_TYPE_BYTES_MAX: usize = 256;
    /// The longest channel.
    pub const CHANNEL_BYTES_MAX: usize = 128;
    /// The longest description.
    pub const DESCRIPTION_BYTES_MAX: usize = 4_096;
    /// The most metadata of one thing: keys and values together.
    pub const METADATA_BYTES_MAX: usize = 4_096;
    /// The most channels of an endpoint.
    pub const ENDPOINT_CHANNELS_MAX: usize = 10;
    /// The most event types and patterns of an endpoint.
    pub const ENDPOINT_EVENT_TYPES_MAX: usize = 1_000;
    /// The longest bearer token, user name or password.
    pub const CREDENTIAL_BYTES_MAX: usize = 4_096;
    /// The largest certificates or private key of an endpoint, as PEM.
    pub const CERTIFICATES_BYTES_MAX: usize = 64 * 1_024;
    /// The longest filter of an endpoint.
    pub const FILTER_BYTES_MAX: usize = 4_096;
    /// The last position in a chain.
    pub const CHAIN_POSITION_MAX: u16 = 999;
    /// The most attempts in flight that an endpoint may ask for.
    pub const CONCURRENCY_MAX: u16 = 10_000;
    /// The most event types and patterns of a key.
    pub const KEY_EVENT_TYPES_MAX: usize = 100;
    /// The most ports that an application may name.
    pub const ALLOWED_PORTS_MAX: usize = 100;
    /// The largest schemas of an event type, as JSON.
    pub const SCHEMAS_BYTES_MAX: usize = 256 * 1_024;
    /// The deepest nesting of a schema.
    pub const SCHEMAS_DEPTH_MAX: usize = 64;
    /// The most versions of an event type's schema.
    pub const SCHEMA_VERSIONS_MAX: usize = 100;
    /// The shortest time an endpoint may be given to answer.
    pub const TIMEOUT_MS_MIN: u32 = 100;
    /// The longest time an endpoint may be given to answer.
    pub const TIMEOUT_MS_MAX: u32 = 60_000;
    /// The most secrets an endpoint may have at once: the newest, and older ones that still run out.
    pub const SECRETS_MAX: usize = 10;
}

/// What has changed, told to subscribers after it took effect.
#[derive(Debug, Clone)]
pub enum CatalogEvent {
    /// There is a new application, or one has other settings than before.
    ApplicationChanged(Arc<Application>),
    /// There is a new endpoint, or one has other settings than before.
    EndpointChanged(Arc<Endpoint>),
    /// An endpoint is gone.
    EndpointRemoved(EndpointId, ApplicationId),
    /// An application is gone; its endpoints were told of before.
    ApplicationRemoved(ApplicationId),
    /// There is a new key, or one ends at another time or was used.
    ApiKeyChanged(Arc<ApiKey>),
    /// A key was revoked.
    ApiKeyRemoved(ApiKeyId),
}

type Subscriber = Box<dyn Fn(&CatalogEvent) + Send + Sync>;

/// See the head of this file. Shared behind an `Arc`.
#[derive(Default)]
pub struct Catalog {
    books: RwLock<Books>,
    lookups: Lookups,
    /// Held while a change takes effect and is told, so that everybody hears of changes in their order.
    /// Subscribers may read the catalog meanwhile, and may not change it.
    subscribers: Mutex<Vec<Subscriber>>,
}

impl Catalog {
    /// The catalog as it was stored in plain text: what is sealed of it stays so.
    ///
    /// # Errors
    /// The first entry that cannot be read, by its key.
    pub fn load(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<Self, RecordError> {
        Self::fill(entries, |_| {})
    }

    /// The catalog of these entries; `open` sees every endpoint first.
    fn fill(
        entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        mut open: impl FnMut(&mut Endpoint),
    ) -> Result<Self, RecordError> {
        let catalog = Self::default();
        let mut endpoints = Vec::new();
        for (key, value) in entries {
            match Record::parse(&key, &value)? {
                Record::Endpoint(endpoint) => {
                    let mut endpoint = Arc::unwrap_or_clone(endpoint);
                    open(&mut endpoint);
                    endpoints.push(Arc::new(endpoint));
                }
                record => catalog.put(record),
            }
        }
        // Endpoints come after the applications that they belong to, and all of one application in one
        // change of its routes: a million of them one by one would take seconds.
        endpoints.sort_unstable_by_key(|endpoint| (endpoint.application, endpoint.id));
        for endpoints in endpoints.chunk_by(|one, next| one.application == next.application) {
            let mut books = catalog.books.write();
            endpoints.iter().for_each(|endpoint| drop(books.put_endpoint(endpoint)));
            catalog.lookups.put_endpoints(endpoints);
        }
        catalog.books.read().audit().say_gaps();
        Ok(catalog)
    }

    /// Makes a durable change take effect: `None` removes the entry. Applying it again does nothing.
    ///
    /// # Errors
    /// A key or value that cannot be read; nothing has changed then.
    pub fn apply(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        match value {
            Some(value) => self.put(Record::parse(key, value)?),
            None => self.remove(record::Key::parse(key)?),
        }
        Ok(())
    }

    /// Calls `subscriber` after every change from now on, in their order, on the thread that makes it.
    pub fn subscribe(&self, subscriber: impl Fn(&CatalogEvent) + Send + Sync + 'static) {
        self.subscribers.lock().push(Box::new(subscriber));
    }

    /// The application with this id or uid, for the path of a message. Takes no lock.
    pub fn resolve(&self, id_or_uid: &str) -> Option<Arc<RoutedApplication>> {
        self.lookups.application(id_or_uid)
    }

    /// What filters have kept back so far, of all applications.
    pub const fn filter_counts(&self) -> &FilterCounts {
        self.lookups.filter_counts()
    }

    /// Whether messages of this event type are welcome. Takes no lock.
    pub fn event_type_standing(&self, name: &str) -> EventTypeStanding {
        self.lookups.event_type(name)
    }

    /// Holds a payload against the newest schema of its event type, if there is one. Takes no lock, but for the
    /// first payload, for which the schema is compiled.
    ///
    /// # Errors
    /// Where it does not fit, and why.
    pub fn check_payload(&self, event_type: &str, payload: &Payload<'_>) -> Result<(), Misfit> {
        self.lookups.check_payload(event_type, payload)
    }

    /// The application with this id or uid.
    pub fn application(&self, id_or_uid: &str) -> Option<Arc<Application>> {
        self.books.read().application(id_or_uid)
    }

    /// The endpoint of this application with this id or uid.
    pub fn endpoint(&self, application: ApplicationId, id_or_uid: &str) -> Option<Arc<Endpoint>> {
        self.books.read().endpoint(application, id_or_uid)
    }

    /// The endpoint with this id, whosever it is.
    pub fn endpoint_by_id(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.books.read().endpoint_by_id(id)
    }

    /// Tells of everything there is, for a subscriber at its start: of applications before their endpoints.
    pub fn tell_all(&self, subscriber: impl Fn(&CatalogEvent)) {
        let (applications, endpoints, keys) = {
            let books = self.books.read();
            (books.applications_all(), books.endpoints_all(), books.api_keys_all())
        };
        keys.into_iter().map(CatalogEvent::ApiKeyChanged).for_each(|event| subscriber(&event));
        applications.into_iter().map(CatalogEvent::ApplicationChanged).for_each(|event| subscriber(&event));
        endpoints.into_iter().map(CatalogEvent::EndpointChanged).for_each(|event| subscriber(&event));
    }

    /// The key with this id.
    pub fn api_key(&self, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        self.books.read().api_key(id)
    }

    /// A page of the keys, by id.
    pub fn api_keys_page(&self, window: &Window<ApiKeyId>) -> Page<ApiKey> {
        self.books.read().api_keys_page(window)
    }

    /// The event type of this name.
    pub fn event_type(&self, name: &str) -> Option<Arc<EventType>> {
        self.books.read().event_type(name)
    }

    /// The alert with this id.
    pub fn alert(&self, id: AlertId) -> Option<Arc<Alert>> {
        self.books.read().alert(id)
    }

    /// A page of the alerts that are wanted, by id.
    pub fn alerts_page(&self, window: &Window<AlertId>, wanted: impl Fn(&Alert) -> bool) -> Page<Alert> {
        self.books.read().alerts_page(window, wanted)
    }

    /// All alerts, oldest first.
    pub fn alerts_all(&self) -> Vec<Arc<Alert>> {
        self.books.read().alerts_all()
    }

    /// Endpoints that were disabled for the engine's own reasons.
    pub fn endpoints_disabled(&self) -> Vec<EndpointId> {
        let endpoints = self.books.read().endpoints_all();
        let by_engine = |endpoint: &Arc<Endpoint>| {
            matches!(endpoint.disabled, Some(Disabled::Gone | Disabled::Failing)).then_some(endpoint.id)
        };
        endpoints.iter().filter_map(by_engine).collect()
    }

    /// Endpoints that have been failing for long.
    pub fn failing_all(&self) -> Vec<FailingSince> {
        self.books.read().failing_all()
    }

    /// A page of the audit log: what is wanted of it, by number.
    pub fn audit_page(&self, window: &Window<u64>, wanted: impl Fn(&AuditEntry) -> bool) -> Page<AuditEntry> {
        self.books.read().audit().page(window, wanted)
    }

    /// All of the audit log, oldest first, with what stands for entries that made room for others.
    pub fn audit_all(&self) -> Vec<AuditPart> {
        self.books.read().audit().all()
    }

    /// A page of the applications, by id.
    pub fn applications_page(&self, window: &Window<ApplicationId>) -> Page<Application> {
        self.books.read().applications_page(window)
    }

    /// A page of an application's endpoints, by id.
    pub fn endpoints_page(&self, application: ApplicationId, window: &Window<EndpointId>) -> Page<Endpoint> {
        self.books.read().endpoints_page(application, window)
    }

    /// A page of the event types, by name; archived ones are left out unless asked for.
    pub fn event_types_page(&self, window: &Window<String>, archived_too: bool) -> Page<EventType> {
        self.books.read().event_types_page(window, archived_too)
    }

    /// The background task with this id.
    pub fn task(&self, id: TaskId) -> Option<Arc<Task>> {
        self.books.read().task(id)
    }

    /// A page of the background tasks, by id.
    pub fn tasks_page(&self, window: &Window<TaskId>, wanted: impl Fn(&Task) -> bool) -> Page<Task> {
        self.books.read().tasks_page(window, wanted)
    }

    fn put(&self, record: Record) {
        let subscribers = self.subscribers.lock();
        match record {
            Record::Application(application) => {
                let before = self.books.write().put_application(&application);
                if before.as_ref() == Some(&application) {
                    return;
                }
                self.lookups.put_application(before.as_deref(), &application);
                tell(&subscribers, &CatalogEvent::ApplicationChanged(application));
            }
            Record::Task(task) => self.books.write().put_task(task),
            Record::EventType(event_type) => {
                self.lookups.put_event_type(&event_type);
                self.books.write().put_event_type(event_type);
            }
            Record::Endpoint(endpoint) => {
                let Some(before) = self.books.write().put_endpoint(&endpoint) else { return };
                // The shards hear of it before messages are routed to it: what came first would find nobody.
                tell(&subscribers, &CatalogEvent::EndpointChanged(endpoint.clone()));
                self.lookups.put_endpoint(before.as_deref(), &endpoint);
            }
            Record::Alert(alert) => self.books.write().put_alert(alert),
            Record::Failing(failing) => self.books.write().put_failing(failing),
            Record::Audit(part) => self.books.write().audit_mut().put(part),
            Record::ApiKey(key) => {
                self.books.write().put_api_key(Arc::clone(&key));
                tell(&subscribers, &CatalogEvent::ApiKeyChanged(key));
            }
        }
    }

    fn remove(&self, key: record::Key<'_>) {
        let subscribers = self.subscribers.lock();
        match key {
            record::Key::EventType(name) => {
                self.books.write().remove_event_type(name);
                self.lookups.remove_event_type(name);
            }
            record::Key::Task(id) => self.books.write().remove_task(id),
            record::Key::Endpoint(id) => self.remove_endpoint(id, &subscribers),
            record::Key::Alert(id) => self.books.write().remove_alert(id),
            record::Key::Failing(id) => self.books.write().remove_failing(id),
            record::Key::Audit(number) => self.books.write().audit_mut().remove(number),
            record::Key::Access(id) => {
                self.books.write().remove_api_key(id);
                tell(&subscribers, &CatalogEvent::ApiKeyRemoved(id));
            }
            record::Key::Application(id) => {
                let endpoints = self.books.read().endpoint_ids(id);
                endpoints.into_iter().for_each(|endpoint| self.remove_endpoint(endpoint, &subscribers));
                let Some(application) = self.books.write().remove_application(id) else { return };
                self.lookups.remove_application(&application);
                tell(&subscribers, &CatalogEvent::ApplicationRemoved(id));
            }
        }
    }

    fn remove_endpoint(&self, id: EndpointId, subscribers: &[Subscriber]) {
        let Some(endpoint) = self.books.write().remove_endpoint(id) else { return };
        self.lookups.remove_endpoint(&endpoint);
        tell(subscribers, &CatalogEvent::EndpointRemoved(id, endpoint.application));
    }
}

fn tell(subscribers: &[Subscriber], event: &CatalogEvent) {
    subscribers.iter().for_each(|subscriber| subscriber(event));
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}
