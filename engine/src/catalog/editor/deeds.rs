//! What is recorded of a change: which object, what was done to it, and which of its fields differ.

use super::super::audit::{AuditEntry, Deed, acting, fields_changed};
use super::super::record::{Key, Record};
use super::super::{CatalogError, Change, TaskState};
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
        let deed = Deed { action: action.into(), object, application, fields: Vec::new() };
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

    /// The entries of the audit log for these deeds, and what goes to make room for them.
    pub(super) fn recorded(&self, deeds: Vec<Deed>) -> Vec<Change> {
        if deeds.is_empty() {
            return Vec::new();
        }
        let (who, now_ms) = (acting(), unix_ms());
        let books = self.catalog.books.read();
        let oldest_ms = now_ms.saturating_sub(self.kept.audit_age.as_millis() as u64);
        let gone = books.audit_beyond(self.kept.audit_max, deeds.len(), oldest_ms);
        let mut last = books.audit_last();
        drop(books);
        let mut changes: Vec<Change> = gone.into_iter().map(|number| Key::Audit(number).removal()).collect();
        for deed in deeds {
            let entry = std::sync::Arc::new(AuditEntry::new(last.as_deref(), now_ms, &who, deed));
            last = Some(std::sync::Arc::clone(&entry));
            changes.push(Record::Audit(entry).change());
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
            Key::Endpoint(_) => self.application_of(change),
            _ => None,
        };
        let (verb, fields) = match (present, &change.value) {
            (None, _) => ("create", Vec::new()),
            (Some(_), None) => ("delete", Vec::new()),
            (Some(before), Some(after)) => {
                let fields = fields_changed(&before, after);
                (verb_of(&fields), fields)
            }
        };
        Some(Deed { action: format!("{what}.{verb}"), object, application, fields })
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
        let (action, application) = (action.into(), Some(task.application.to_string()));
        Some(Deed { action, object, application, fields: Vec::new() })
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
            Key::Task(_) | Key::Alert(_) | Key::Failing(_) | Key::Audit(_) => return None,
        })
    }

    /// Whose endpoint it is, before the change or after it.
    fn application_of(&self, change: &Change) -> Option<String> {
        let Ok(Key::Endpoint(id)) = Key::parse(&change.key) else { return None };
        if let Some(endpoint) = self.catalog.endpoint_by_id(id) {
            return Some(endpoint.application.to_string());
        }
        match Record::parse(&change.key, change.value.as_deref()?) {
            Ok(Record::Endpoint(endpoint)) => Some(endpoint.application.to_string()),
            _ => None,
        }
    }
}

fn verb_of(fields: &[String]) -> &'static str {
    match fields {
        [only] if only == "secrets" => "rotate_secret",
        _ => "update",
    }
}
