//! Keys of the API: made, shortened, revoked; and when they were used.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::audit::{Acting, Deed, acting};
use super::super::check::CatalogError;
use super::super::record::{Key, Record};
use super::super::{ApiKey, ApiKeyDraft, Change, KeyUse, NewToken};
use super::{Editor, random};
use crate::clock::unix_ms;
use crate::core::ids::ApiKeyId;

const WHAT: &str = "API key";
/// In whose name it is recorded that somebody was turned away.
const STRANGER: &str = "stranger";
/// Uses of keys that are written at once: they fit a batch of the log.
const USES_MAX: usize = 500;

impl Editor {
    /// A new key, and the only chance to see its token.
    ///
    /// # Errors
    /// A field that may not be so; an application that there is not; as many keys as there may be; a change that did
    /// not become durable.
    pub async fn create_api_key(
        &self,
        draft: ApiKeyDraft,
        environment: &str,
    ) -> Result<(Arc<ApiKey>, NewToken), CatalogError> {
        let now_ms = unix_ms();
        draft.check(now_ms)?;
        let turn = self.turn().await;
        let (count, max) = (self.catalog.books.read().api_keys_count(), self.kept.api_keys_max);
        if count >= max {
            let limit = "limits.api_keys_max";
            return Err(CatalogError::TooMany { what: "API keys", where_: "", count, max, limit });
        }
        if let Some(id) = draft.application {
            let application = self.catalog.books.read().application_by_id(id);
            application.ok_or(CatalogError::NotFound { what: "application" })?;
        }
        // An id that is revoked is not given again: it is made of the time and of 22 random bits.
        let id = loop {
            let id = ApiKeyId::new(now_ms, random());
            if self.catalog.api_key(id).is_none() {
                break id;
            }
        };
        let token = NewToken::generate(environment, id);
        let key = Arc::new(draft.into_key(id, token.sha256, now_ms));
        self.put(turn, Record::ApiKey(Arc::clone(&key))).await?;
        Ok((key, token))
    }

    /// A key ends at this time, unix milliseconds, if it would not have ended before.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn expire_api_key(&self, id: ApiKeyId, at_ms: u64) -> Result<Arc<ApiKey>, CatalogError> {
        let turn = self.turn().await;
        let present = self.catalog.api_key(id).ok_or(CatalogError::NotFound { what: WHAT })?;
        if present.expires_ms.is_some_and(|expires_ms| expires_ms <= at_ms) {
            return Ok(present);
        }
        let key = Arc::new(ApiKey { expires_ms: Some(at_ms), ..ApiKey::clone(&present) });
        self.put(turn, Record::ApiKey(Arc::clone(&key))).await?;
        Ok(key)
    }

    /// Revokes a key. When this returns, nobody comes in by it any more.
    ///
    /// # Errors
    /// When there is none; a change that did not become durable.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        self.catalog.api_key(id).ok_or(CatalogError::NotFound { what: WHAT })?;
        self.remove(turn, [Key::Access(id)].into_iter()).await
    }

    /// Writes down when keys were used. The first use of each is recorded, in its own name.
    ///
    /// # Errors
    /// When it did not become durable.
    pub(crate) async fn write_key_uses(&self, uses: &[KeyUse]) -> Result<(), CatalogError> {
        for uses in uses.chunks(USES_MAX) {
            let turn = self.turn().await;
            let (mut changes, mut deeds): (Vec<Change>, Vec<(Acting, Deed)>) = (Vec::new(), Vec::new());
            for used in uses {
                // One that was revoked meanwhile stays so.
                let Some(key) = self.catalog.api_key(used.id) else { continue };
                let key = ApiKey { last_used_ms: Some(used.at_ms), ..ApiKey::clone(&key) };
                if used.is_first {
                    let who = Acting { actor: key.id.to_string().into(), address: used.from };
                    let application = key.application.map(|id| id.to_string());
                    let deed = Deed { application, ..Deed::of("api_key.first_use", key.id.to_string()) };
                    deeds.push((who, deed));
                }
                changes.push(Record::ApiKey(Arc::new(key)).change());
            }
            changes.extend(self.recorded_for(deeds));
            if !changes.is_empty() {
                self.write(turn, changes).await?;
            }
        }
        Ok(())
    }

    /// Records who was turned away: at which door, from where, how often.
    ///
    /// # Errors
    /// When it did not become durable.
    pub(crate) async fn record_refusals(
        &self,
        refusals: impl IntoIterator<Item = (&'static str, Option<IpAddr>, u64)>,
    ) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        let deeds = refusals.into_iter().map(|(door, address, count)| {
            let who = Acting { actor: STRANGER.into(), address };
            (who, Deed { count: Some(count), ..Deed::of("access.refuse", door.to_owned()) })
        });
        let changes = self.recorded_for(deeds.collect());
        self.write(turn, changes).await
    }

    /// The entries for these deeds, in the name of whoever acts.
    pub(super) fn recorded(&self, deeds: Vec<Deed>) -> Vec<Change> {
        let who = acting();
        self.recorded_for(deeds.into_iter().map(|deed| (who.clone(), deed)).collect())
    }
}
