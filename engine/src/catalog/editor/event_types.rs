//! Changes of event types.

use std::sync::Arc;

use super::super::check::CatalogError;
use super::super::record::{Key, Record};
use super::super::{EventType, EventTypeDraft};
use super::{Editor, Put, Turn};
use crate::clock::unix_ms;

const WHAT: &str = "event type";

impl Editor {
    /// A new event type, or an archived one taken back into use; of that, only the name is kept.
    ///
    /// # Errors
    /// A field that may not be so; a name that is taken; a change that did not become durable.
    pub async fn create_event_type(
        &self,
        name: &str,
        draft: EventTypeDraft,
    ) -> Result<Arc<EventType>, CatalogError> {
        let turn = self.turn().await;
        let present = self.catalog.event_type(name);
        if present.as_ref().is_some_and(|present| !present.archived) {
            return Err(CatalogError::Taken { what: WHAT, field: "name", name: name.to_owned() });
        }
        self.write_event_type(turn, name, present.as_deref(), draft).await
    }

    /// Makes the event type as the draft says, or a new one of this name.
    ///
    /// # Errors
    /// A field that may not be so; a change that did not become durable.
    pub async fn put_event_type(
        &self,
        name: &str,
        draft: EventTypeDraft,
    ) -> Result<Put<Arc<EventType>>, CatalogError> {
        let turn = self.turn().await;
        let present = self.catalog.event_type(name);
        let put = if present.is_some() { Put::Present } else { Put::Created };
        self.write_event_type(turn, name, present.as_deref(), draft).await.map(put)
    }

    /// Changes an event type.
    ///
    /// # Errors
    /// A field that may not be so; when there is none; a change that did not become durable.
    pub async fn edit_event_type(
        &self,
        name: &str,
        edit: impl FnOnce(&mut EventTypeDraft),
    ) -> Result<Arc<EventType>, CatalogError> {
        let turn = self.turn().await;
        let present = self.present_event_type(name)?;
        let mut draft = EventTypeDraft::from(&*present);
        edit(&mut draft);
        self.write_event_type(turn, name, Some(&present), draft).await
    }

    /// Removes an event type as if it had never been.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn remove_event_type(&self, name: &str) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        self.present_event_type(name)?;
        self.remove(turn, [Key::EventType(name)].into_iter()).await
    }

    async fn write_event_type(
        &self,
        turn: Turn,
        name: &str,
        present: Option<&EventType>,
        draft: EventTypeDraft,
    ) -> Result<Arc<EventType>, CatalogError> {
        draft.check(name)?;
        let now_ms = unix_ms();
        let created_ms = present.map_or(now_ms, |present| present.created_ms);
        let event_type = Arc::new(draft.into_event_type(name.to_owned(), created_ms, now_ms));
        self.put(turn, Record::EventType(Arc::clone(&event_type))).await?;
        Ok(event_type)
    }

    fn present_event_type(&self, name: &str) -> Result<Arc<EventType>, CatalogError> {
        self.catalog.event_type(name).ok_or(CatalogError::NotFound { what: WHAT })
    }
}
