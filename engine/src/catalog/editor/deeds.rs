//! What is recorded of a change: which object, what was done to it, and which of its fields differ.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::audit::{Acting, AuditEntry, AuditPart, Deed, fields_changed};
use super::super::record::{Key, Record};
use super::super::{ApiKey, CatalogError, Change, TaskState};
use super::Editor;
use crate::clock::unix_ms;

impl Editor {
    /// Records something that is done to an object and changes nothing in the catalog, before it is done.
    ///
    /// # Errors
    /// When that did not become durable.
    pub async fn record_deed(
        &self,
        action: &str,
        object: String,
        application: Option<String>,
    ) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        let deed = Deed { application, ..Deed::of(action, object) };
        let changes = self.recorded(vec![deed]);
        self.write(turn, changes).await
    }

    /// What these changes do. Endpoints that go with their application are part of what is done to that.
    pub(super) fn deeds(&self, changes: &[Change]) -> Vec<Deed> {
        let deeds = changes.iter().filter_map(|change| self.deed(change));
        let deeds: Vec<Deed> = deeds.collect();
        match deeds.iter().any(|deed| deed.action == "application.delete") {
            true => deeds.into_iter().filter(|deed| deed.action != "endpoint.delete").collect(),
            false => deeds,
        }
    }

    /// The entries of the audit log for what somebody did, and what goes to make room for them.
    pub(super) fn recorded_for(&self, deeds: Vec<(Acting, Deed)>) -> Vec<Change> {
        if deeds.is_empty() {
            return Vec::new();
        }
        let now_ms = unix_ms();
        let books = self.catalog.books.read();
        let oldest_ms = now_ms.saturating_sub(self.kept.audit_age.as_millis() as u64);
        let mut changes = books.audit().room_for(deeds.len(), self.kept.audit_max, oldest_ms);
        let mut last = books.audit().last();
        drop(books);
        for (who, deed) in deeds {
            let entry = Arc::new(AuditEntry::new(last.as_ref(), now_ms, &who, deed));
            last = Some(AuditPart::Entry(Arc::clone(&entry)));
            changes.push(Record::Audit(AuditPart::Entry(entry)).change());
        }
        changes
    }

    /// `None` for what the engine notes for itself.
    fn deed(&self, change: &Change) -> Option<Deed> {
        let key = Key::parse(&change.key).ok()?;
        if let Key::Task(_) = key {
            return self.task_deed(change);
        }
        let (what, object, present) = self.object(key)?;
        let application = match key {
            Key::Endpoint(_) | Key::Access(_) => self.application_of(change),
            _ => None,
        };
        let digest = |value: &[u8]| self.kept.audit_key.digest(&lasting(key, value));
        let before = present.as_deref().map(digest);
        let after = change.value.as_deref().map(digest);
        let (verb, fields) = match (present, &change.value) {
            (None, _) => ("create", Vec::new()),
            (Some(_), None) if what == "api_key" => ("revoke", Vec::new()),
            (Some(_), None) => ("delete", Vec::new()),
            (Some(before), Some(after)) => {
                let fields = fields_changed(&before, after);
                (verb_of(&fields), fields)
            }
        };
        Some(Deed { application, fields, before, after, ..Deed::of(format!("{what}.{verb}"), object) })
    }

    /// Somebody began a task, or stopped it. How far it comes is its own affair.
    fn task_deed(&self, change: &Change) -> Option<Deed> {
        let Ok(Record::Task(task)) = Record::parse(&change.key, change.value.as_deref()?) else {
            return None;
        };
        let (action, object) = match (self.catalog.task(task.id).is_some(), task.state) {
            (false, _) => (task.kind.name(), task.endpoint.to_string()),
            (true, TaskState::Cancelled) => ("task.cancel", task.id.to_string()),
            (true, _) => return None,
        };
        Some(Deed { application: Some(task.application.to_string()), ..Deed::of(action, object) })
    }

    /// What kind of object a key stands for, what it is called, and how it is stored at present.
    fn object(&self, key: Key<'_>) -> Option<(&'static str, String, Option<Vec<u8>>)> {
        let books = self.catalog.books.read();
        let stored = |record: Record| record.change().value.unwrap_or_default();
        Some(match key {
            Key::Application(id) => {
                let present = books.application_by_id(id).map(Record::Application).map(stored);
                ("application", id.to_string(), present)
            }
            Key::Endpoint(id) => {
                ("endpoint", id.to_string(), books.endpoint_by_id(id).map(Record::Endpoint).map(stored))
            }
            Key::EventType(name) => {
                ("event_type", name.into(), books.event_type(name).map(Record::EventType).map(stored))
            }
            Key::Access(id) => ("api_key", id.to_string(), books.api_key(id).map(Record::ApiKey).map(stored)),
            Key::Task(_) | Key::Alert(_) | Key::Failing(_) | Key::Audit(_) => return None,
        })
    }

    /// Whose endpoint or key it is, before the change or after it.
    fn application_of(&self, change: &Change) -> Option<String> {
        let present = match Key::parse(&change.key) {
            Ok(Key::Endpoint(id)) => self.catalog.endpoint_by_id(id).map(Record::Endpoint),
            Ok(Key::Access(id)) => self.catalog.api_key(id).map(Record::ApiKey),
            _ => None,
        };
        let record = present.or_else(|| Record::parse(&change.key, change.value.as_deref()?).ok());
        match record? {
            Record::Endpoint(endpoint) => Some(endpoint.application.to_string()),
            Record::ApiKey(key) => key.application.map(|id| id.to_string()),
            _ => None,
        }
    }
}

/// A value without what is written down beside the audit log: when a key was last used.
fn lasting<'v>(key: Key<'_>, value: &'v [u8]) -> Cow<'v, [u8]> {
    let (Key::Access(_), Ok(present)) = (key, serde_json::from_slice::<ApiKey>(value)) else {
        return value.into();
    };
    let unused = Record::ApiKey(Arc::new(ApiKey { last_used_ms: None, ..present }));
    unused.change().value.unwrap_or_default().into()
}

fn verb_of(fields: &[String]) -> &'static str {
    match fields {
        [only] if only == "secrets" => "rotate_secret",
        [only] if only == "expiresMs" => "expire",
        _ => "update",
    }
}
