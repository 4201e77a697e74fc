//! What the engine notes for itself: alerts, and since when endpoints have been failing. And the end of alerts'
//! lives: somebody acknowledges them, and the oldest make room for new ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::audit::{AuditKey, Deed, acting};
use super::super::check::{self, CatalogError};
use super::super::record::{Key, Record};
use super::super::{Acknowledged, Alert, Change, FailingSince, NOTE_BYTES_MAX};
use super::Editor;
use crate::clock::unix_ms;
use crate::core::ids::{AlertId, EndpointId};

/// The most notes that are written at once: with what goes to make room for them, they fit a batch of the log.
pub const NOTES_MAX: usize = 1_000;

/// How much there may be, and how much of what was noted is kept: the newest so many.
#[derive(Debug, Clone, Copy)]
pub struct KeptLimits {
    /// `limits.endpoints_per_application_max`
    pub endpoints_per_application_max: usize,
    /// `limits.api_keys_max`
    pub api_keys_max: usize,
    /// `alerts.kept_max`
    pub alerts_max: usize,
    /// `audit.kept_max`
    pub audit_max: usize,
    /// `audit.retention`
    pub audit_age: Duration,
    /// What entries of the audit log are made with.
    pub audit_key: AuditKey,
}

/// Something to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An alert was raised.
    Raised(Alert),
    /// An alert was over at this time, unix milliseconds.
    Over(AlertId, u64),
    /// An endpoint has been failing for long.
    Failing(FailingSince),
    /// It does not any more.
    NotFailing(EndpointId),
}

impl Editor {
    /// Writes notes down, at most [`NOTES_MAX`], all of them or none.
    ///
    /// # Errors
    /// When they did not become durable.
    pub async fn write_notes(&self, notes: &[Note]) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        let mut alerts: BTreeMap<AlertId, Alert> = BTreeMap::new();
        let mut changes = Vec::new();
        for note in notes {
            match note {
                Note::Raised(alert) => drop(alerts.insert(alert.id, alert.clone())),
                Note::Over(id, at_ms) => {
                    // One that has made room for others meanwhile stays gone.
                    let known = alerts.get(id).cloned();
                    let known = known.or_else(|| self.catalog.alert(*id).map(|alert| Alert::clone(&alert)));
                    if let Some(alert) = known {
                        alerts.insert(*id, Alert { ended_ms: Some(*at_ms), ..alert });
                    }
                }
                Note::Failing(failing) => changes.push(Record::Failing(*failing).change()),
                Note::NotFailing(endpoint) => changes.push(Key::Failing(*endpoint).removal()),
            }
        }
        let new = alerts.keys().filter(|id| self.catalog.alert(**id).is_none()).count();
        let gone = self.catalog.books.read().alerts_beyond(self.kept.alerts_max, new);
        changes.extend(gone.iter().map(|id| Key::Alert(*id).removal()));
        let staying = alerts.into_values().filter(|alert| !gone.contains(&alert.id));
        changes.extend(staying.map(|alert| Record::Alert(Arc::new(alert)).change()));
        if changes.is_empty() {
            return Ok(());
        }
        self.write(turn, changes).await
    }

    /// Somebody has seen an alert: whoever this is done in the name of. Doing so again changes note and time.
    ///
    /// # Errors
    /// A note that is too long; when there is no such alert; a change that did not become durable.
    pub async fn acknowledge_alert(&self, id: AlertId, note: &str) -> Result<Arc<Alert>, CatalogError> {
        check::text("note", note, NOTE_BYTES_MAX)?;
        let turn = self.turn().await;
        let present = self.catalog.alert(id).ok_or(CatalogError::NotFound { what: "alert" })?;
        let (by, at_ms) = (acting().actor.to_string(), unix_ms());
        let acknowledged = Some(Acknowledged { by, at_ms, note: note.into() });
        let alert = Arc::new(Alert { acknowledged, ..Alert::clone(&present) });
        let application = Some(alert.application.to_string());
        let deed = Deed { application, ..Deed::of("alert.acknowledge", id.to_string()) };
        let mut changes: Vec<Change> = vec![Record::Alert(Arc::clone(&alert)).change()];
        changes.extend(self.recorded(vec![deed]));
        self.write(turn, changes).await?;
        Ok(alert)
    }
}
