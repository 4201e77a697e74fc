//! Changes of applications.

use std::sync::Arc;

use super::super::check::CatalogError;
use super::super::record::{Key, Record};
use super::super::{Application, ApplicationDraft, url_rules};
use super::{Editor, Put, Turn, random};
use crate::clock::unix_ms;
use crate::core::ids::ApplicationId;

const WHAT: &str = "application";

impl Editor {
    /// A new application.
    ///
    /// # Errors
    /// A field that may not be so; a uid that is taken; a change that did not become durable.
    pub async fn create_application(
        &self,
        draft: ApplicationDraft,
    ) -> Result<Arc<Application>, CatalogError> {
        let turn = self.turn().await;
        self.write_new_application(turn, draft).await
    }

    /// The application with the draft's uid as it is, or a new one.
    ///
    /// # Errors
    /// As for [`Self::create_application`].
    pub async fn application_or_new(
        &self,
        draft: ApplicationDraft,
    ) -> Result<Put<Arc<Application>>, CatalogError> {
        let turn = self.turn().await;
        if let Some(present) = draft.uid.as_ref().and_then(|uid| self.catalog.application(uid)) {
            return Ok(Put::Present(present));
        }
        self.write_new_application(turn, draft).await.map(Put::Created)
    }

    /// Makes the application `id_or_uid` as the draft says, or a new one, whose uid that is if the draft has
    /// none.
    ///
    /// # Errors
    /// As for [`Self::create_application`]; and an id that no application has, since ids cannot be chosen.
    pub async fn put_application(
        &self,
        id_or_uid: &str,
        fill: impl FnOnce(Option<&Application>) -> ApplicationDraft,
    ) -> Result<Put<Arc<Application>>, CatalogError> {
        let turn = self.turn().await;
        if let Some(present) = self.catalog.application(id_or_uid) {
            let draft = fill(Some(&present));
            return self.rewrite_application(turn, &present, draft).await.map(Put::Present);
        }
        if id_or_uid.parse::<ApplicationId>().is_ok() {
            return Err(CatalogError::NotFound { what: WHAT });
        }
        let mut draft = fill(None);
        draft.uid.get_or_insert_with(|| id_or_uid.to_owned());
        self.write_new_application(turn, draft).await.map(Put::Created)
    }

    /// Changes an application.
    ///
    /// # Errors
    /// As for [`Self::create_application`]; and when there is none.
    pub async fn edit_application(
        &self,
        id: ApplicationId,
        edit: impl FnOnce(&mut ApplicationDraft),
    ) -> Result<Arc<Application>, CatalogError> {
        let turn = self.turn().await;
        let present = self.present_application(id)?;
        let mut draft = ApplicationDraft::from(&*present);
        edit(&mut draft);
        self.rewrite_application(turn, &present, draft).await
    }

    /// Removes an application with its endpoints and keys; what is pending for them is cancelled.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn remove_application(&self, id: ApplicationId) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        self.present_application(id)?;
        let (endpoints, keys) = {
            let books = self.catalog.books.read();
            (books.endpoint_ids(id), books.api_keys_of(id))
        };
        // What is for this application alone could not be used any more, and would be forgotten by everybody.
        let keys = keys.into_iter().map(Key::Access);
        let gone = endpoints.into_iter().map(Key::Endpoint).chain(keys).chain([Key::Application(id)]);
        self.remove(turn, gone).await
    }

    async fn write_new_application(
        &self,
        turn: Turn,
        draft: ApplicationDraft,
    ) -> Result<Arc<Application>, CatalogError> {
        draft.check()?;
        self.check_application_uid(None, draft.uid.as_deref())?;
        let now_ms = unix_ms();
        let id = loop {
            let id = ApplicationId::new(now_ms, random());
            if self.catalog.books.read().application_by_id(id).is_none() {
                break id;
            }
        };
        self.write_application(turn, draft.into_application(id, now_ms, now_ms)).await
    }

    async fn rewrite_application(
        &self,
        turn: Turn,
        present: &Application,
        draft: ApplicationDraft,
    ) -> Result<Arc<Application>, CatalogError> {
        draft.check()?;
        self.check_application_uid(Some(present.id), draft.uid.as_deref())?;
        self.check_url_rules(present, &draft)?;
        self.write_application(turn, draft.into_application(present.id, present.created_ms, unix_ms())).await
    }

    async fn write_application(
        &self,
        turn: Turn,
        application: Application,
    ) -> Result<Arc<Application>, CatalogError> {
        let application = Arc::new(application);
        self.put(turn, Record::Application(Arc::clone(&application))).await?;
        Ok(application)
    }

    fn present_application(&self, id: ApplicationId) -> Result<Arc<Application>, CatalogError> {
        self.catalog.books.read().application_by_id(id).ok_or(CatalogError::NotFound { what: WHAT })
    }

    /// A rule that stays as it was is obeyed already.
    fn check_url_rules(&self, present: &Application, draft: &ApplicationDraft) -> Result<(), CatalogError> {
        if draft.require_https == present.require_https && draft.allowed_ports == present.allowed_ports {
            return Ok(());
        }
        let endpoints = self.catalog.books.read().endpoints_of(present.id);
        Ok(url_rules::check_present(draft, endpoints.iter().map(|endpoint| &**endpoint))?)
    }

    fn check_application_uid(
        &self,
        own: Option<ApplicationId>,
        uid: Option<&str>,
    ) -> Result<(), CatalogError> {
        match uid.and_then(|uid| self.catalog.application(uid)) {
            Some(other) if Some(other.id) != own => {
                let name = uid.unwrap_or_default().to_owned();
                Err(CatalogError::Taken { what: WHAT, field: "uid", name })
            }
            _ => Ok(()),
        }
    }
}
