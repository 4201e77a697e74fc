//! Changes of endpoints and their secrets.

use std::sync::Arc;

use super::super::check::{CatalogError, FieldError};
use super::super::limits::SECRETS_MAX;
use super::super::record::{Key, Record};
use super::super::{
    Disabled, Endpoint, EndpointDraft, GRACE_SECONDS_MAX, NewSecret, Secret, SignatureKind, check_url_for,
};
use super::{Editor, Put, Turn, random};
use crate::clock::unix_ms;
use crate::config::UnknownEventTypes;
use crate::core::ids::{ApplicationId, EndpointId};
use crate::routing::Pattern;

const WHAT: &str = "endpoint";

impl Editor {
    /// A new endpoint; its secret is the given one, or a new one.
    ///
    /// # Errors
    /// A field that may not be so; a uid that is taken; an application that there is not; a change that did
    /// not become durable.
    pub async fn create_endpoint(
        &self,
        application: ApplicationId,
        draft: EndpointDraft,
        secret: Option<&str>,
    ) -> Result<Arc<Endpoint>, CatalogError> {
        let turn = self.turn().await;
        self.write_new_endpoint(turn, application, draft, secret).await
    }

    /// The endpoint that [`Self::create_endpoint`] would make, and nothing is stored.
    ///
    /// # Errors
    /// As for [`Self::create_endpoint`], but for what concerns storing it.
    pub fn try_endpoint(
        &self,
        application: ApplicationId,
        mut draft: EndpointDraft,
        secret: Option<&str>,
    ) -> Result<Endpoint, CatalogError> {
        self.check_endpoint(application, None, &mut draft)?;
        let secret = first_secret(secret)?;
        let now_ms = unix_ms();
        Ok(draft.into_endpoint(EndpointId::new(now_ms, random()), application, vec![secret], now_ms))
    }

    /// Makes the endpoint `id_or_uid` as the draft says, or a new one, whose uid that is if the draft has none.
    /// What the draft cannot say (secrets) stays, or is new where it cannot be read any more.
    ///
    /// # Errors
    /// As for [`Self::create_endpoint`]; and an id that no endpoint has, since ids cannot be chosen.
    pub async fn put_endpoint(
        &self,
        application: ApplicationId,
        id_or_uid: &str,
        fill: impl FnOnce(Option<&Endpoint>) -> EndpointDraft,
    ) -> Result<Put<Arc<Endpoint>>, CatalogError> {
        let turn = self.turn().await;
        if let Some(present) = self.catalog.endpoint(application, id_or_uid) {
            let draft = fill(Some(&present));
            let put = match present.unreadable() {
                None => self.rewrite_endpoint(turn, &present, draft).await,
                Some(_) => self.make_anew(turn, &present, draft).await,
            };
            return put.map(Put::Present);
        }
        if id_or_uid.parse::<EndpointId>().is_ok() {
            return Err(CatalogError::NotFound { what: WHAT });
        }
        let mut draft = fill(None);
        draft.uid.get_or_insert_with(|| id_or_uid.to_owned());
        self.write_new_endpoint(turn, application, draft, None).await.map(Put::Created)
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    /// As for [`Self::create_endpoint`]; and when there is none.
    pub async fn edit_endpoint(
        &self,
        id: EndpointId,
        edit: impl FnOnce(&mut EndpointDraft),
    ) -> Result<Arc<Endpoint>, CatalogError> {
        let turn = self.turn().await;
        let present = self.present_endpoint(id)?;
        present.check_readable()?;
        let mut draft = EndpointDraft::from(&*present);
        edit(&mut draft);
        self.rewrite_endpoint(turn, &present, draft).await
    }

    /// Removes an endpoint; what is pending for it is cancelled.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn remove_endpoint(&self, id: EndpointId) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        self.present_endpoint(id)?;
        self.remove(turn, [Key::Endpoint(id)].into_iter()).await
    }

    /// Stops deliveries to an endpoint, for the engine's own reasons. Nothing happens if it is disabled.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn disable_endpoint(&self, id: EndpointId, reason: Disabled) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        let present = self.present_endpoint(id)?;
        if present.is_disabled() {
            return Ok(());
        }
        self.write_endpoint(turn, Endpoint { disabled: Some(reason), ..next_revision(&present) }).await?;
        Ok(())
    }

    /// Gives an endpoint a new secret. The one before keeps signing beside it for `grace_seconds`, 0 to
    /// [`GRACE_SECONDS_MAX`].
    ///
    /// # Errors
    /// A secret of another form; a grace time outside its range; when there is no such endpoint; a change
    /// that did not become durable.
    pub async fn rotate_secret(
        &self,
        id: EndpointId,
        new: NewSecret<'_>,
        grace_seconds: u32,
    ) -> Result<(), CatalogError> {
        if grace_seconds > GRACE_SECONDS_MAX {
            let problem = format!("is {grace_seconds}; it must be 0 to {GRACE_SECONDS_MAX}");
            return Err(FieldError::new("gracePeriodSeconds", problem).into());
        }
        let turn = self.turn().await;
        let present = self.present_endpoint(id)?;
        present.check_readable()?;
        let newest = new.make(present.secrets.first())?;
        let now_ms = unix_ms();
        let expires_ms = now_ms + u64::from(grace_seconds) * 1_000;
        let older =
            present.secrets_at(now_ms).filter(|old| grace_seconds > 0 && old.key != newest.key).map(|old| {
                let expires_ms = old.expires_ms.map_or(expires_ms, |earlier| earlier.min(expires_ms));
                Secret { key: old.key.clone(), expires_ms: Some(expires_ms) }
            });
        let secrets = [newest.clone()].into_iter().chain(older).take(SECRETS_MAX).collect();
        self.write_endpoint(turn, Endpoint { secrets, ..next_revision(&present) }).await?;
        Ok(())
    }

    async fn write_new_endpoint(
        &self,
        turn: Turn,
        application: ApplicationId,
        mut draft: EndpointDraft,
        secret: Option<&str>,
    ) -> Result<Arc<Endpoint>, CatalogError> {
        self.check_endpoint(application, None, &mut draft)?;
        self.check_count(application)?;
        let secret = first_secret(secret)?;
        let now_ms = unix_ms();
        let id = loop {
            let id = EndpointId::new(now_ms, random());
            if self.catalog.endpoint_by_id(id).is_none() {
                break id;
            }
        };
        self.write_endpoint(turn, draft.into_endpoint(id, application, vec![secret], now_ms)).await
    }

    async fn rewrite_endpoint(
        &self,
        turn: Turn,
        present: &Endpoint,
        mut draft: EndpointDraft,
    ) -> Result<Arc<Endpoint>, CatalogError> {
        self.check_endpoint(present.application, Some(present), &mut draft)?;
        self.write_endpoint(turn, draft.revise(present, unix_ms())).await
    }

    /// As [`Self::rewrite_endpoint`], for one whose secrets cannot be read: it gets a new one.
    async fn make_anew(
        &self,
        turn: Turn,
        present: &Endpoint,
        mut draft: EndpointDraft,
    ) -> Result<Arc<Endpoint>, CatalogError> {
        self.check_endpoint(present.application, Some(present), &mut draft)?;
        let endpoint = draft.revise(present, unix_ms());
        self.write_endpoint(turn, Endpoint { secrets: vec![first_secret(None)?], ..endpoint }).await
    }

    async fn write_endpoint(&self, turn: Turn, endpoint: Endpoint) -> Result<Arc<Endpoint>, CatalogError> {
        let endpoint = Arc::new(endpoint);
        self.put(turn, Record::Endpoint(Arc::clone(&endpoint))).await?;
        Ok(endpoint)
    }

    fn present_endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>, CatalogError> {
        self.catalog.endpoint_by_id(id).ok_or(CatalogError::NotFound { what: WHAT })
    }

    /// Each costs memory, and time in every message of its application.
    fn check_count(&self, application: ApplicationId) -> Result<(), CatalogError> {
        let count = self.catalog.books.read().endpoints_count(application);
        let max = self.kept.endpoints_per_application_max;
        if count < max {
            return Ok(());
        }
        let limit = "limits.endpoints_per_application_max";
        Err(CatalogError::TooMany { what: "endpoints", where_: " of this application", count, max, limit })
    }

    fn check_endpoint(
        &self,
        application: ApplicationId,
        present: Option<&Endpoint>,
        draft: &mut EndpointDraft,
    ) -> Result<(), CatalogError> {
        draft.check(present, &self.rules)?;
        self.check_application_url(application, present, draft)?;
        self.check_event_types(present, draft)?;
        let Some(uid) = &draft.uid else { return Ok(()) };
        match self.catalog.endpoint(application, uid) {
            Some(other) if present.is_none_or(|present| present.id != other.id) => {
                Err(CatalogError::Taken { what: WHAT, field: "uid", name: uid.clone() })
            }
            _ => Ok(()),
        }
    }

    fn check_application_url(
        &self,
        application: ApplicationId,
        present: Option<&Endpoint>,
        draft: &EndpointDraft,
    ) -> Result<(), CatalogError> {
        if present.is_some_and(|present| present.url == draft.url) {
            return Ok(());
        }
        let application = self.catalog.books.read().application_by_id(application);
        let application = application.ok_or(CatalogError::NotFound { what: "application" })?;
        Ok(check_url_for(&application, &draft.url).map_err(|problem| FieldError::new("url", problem))?)
    }

    /// An event type that an endpoint asked for before may be archived or gone by now; it does no harm.
    fn check_event_types(&self, present: Option<&Endpoint>, draft: &EndpointDraft) -> Result<(), FieldError> {
        let before = present.and_then(|present| present.event_types.as_ref());
        let wanted = draft.event_types.iter().flatten();
        for text in wanted.filter(|text| before.is_none_or(|before| !before.contains(*text))) {
            let Pattern::Exact(name) = Pattern::of(text) else { continue };
            let problem = match (self.catalog.event_type(name), self.rules.unknown_event_types) {
                (None, UnknownEventTypes::Refuse) => "which the catalog does not have",
                (Some(event_type), _) if event_type.archived => "which is archived",
                _ => continue,
            };
            return Err(FieldError::new("eventTypes", format!("names '{name}', {problem}")));
        }
        Ok(())
    }
}

/// The given secret, or a new one.
fn first_secret(given: Option<&str>) -> Result<Secret, FieldError> {
    given.map_or_else(|| Ok(Secret::generate(SignatureKind::V1)), |text| Secret::parse("secret", text))
}

fn next_revision(present: &Endpoint) -> Endpoint {
    Endpoint { revision: present.revision.saturating_add(1), updated_ms: unix_ms(), ..present.clone() }
}
