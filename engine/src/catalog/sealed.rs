//! What is secret of an endpoint, sealed before it reaches the disk.
//!
//! Signing secrets (old ones in rotation too), credentials, custom headers, the secret of forms and the client
//! certificate with its private key are one JSON object; sealed for the endpoint (`keyring`), in base64, it is the
//! field `sealed` of the stored entry, which then has none of these fields. All custom headers are in it, because
//! nobody can tell from their names which are secret.
//!
//!   Editor: plain change --Sealing--> log, catalog's copy      start: stored entry --open--> plain endpoint
//!
//! In memory everything is plain, opened once at the start: no attempt decrypts anything.
//!
//! Invariants
//! - What is stored through [`Sealing`] has no secret in plain text.
//! - An endpoint that cannot be opened keeps what is stored of it, whatever else of it is changed, until it is made
//!   anew. It never gets a request with half of its settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::audit::{Acting, AuditEntry, AuditPart, Deed};
use super::record::{Key, Record};
use super::request::{BodySecret, ClientCertificate};
use super::secret::Secret;
use super::{
    Authorization, BoxFuture, Catalog, CatalogError, Change, ChangeLog, CommitError, Endpoint, FieldError,
    RecordError,
};
use crate::core::ids::EndpointId;
use crate::keyring::{KeyId, Keyring, OpenError, Owner, key_of};

/// The secrets of an endpoint as they are stored, where they could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Sealed {
    text: Box<str>,
    why: Box<str>,
}

impl Sealed {
    /// Why they could not be opened.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl From<String> for Sealed {
    fn from(text: String) -> Self {
        Self { text: text.into(), why: "it was not opened".into() }
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        sealed.text.into()
    }
}

/// What is sealed. A field that is missing has its default; one that is not known is ignored.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Secrets {
    secrets: Vec<Secret>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<Authorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_secret: Option<BodySecret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<Box<ClientCertificate>>,
}

impl Endpoint {
    /// Why its secrets cannot be read, if so: then no request can be made.
    pub fn unreadable(&self) -> Option<&str> {
        self.sealed.as_deref().map(Sealed::why)
    }

    /// What may be done to an endpoint whose secrets cannot be read.
    pub(super) fn check_readable(&self) -> Result<(), CatalogError> {
        let Some(why) = self.unreadable() else { return Ok(()) };
        let problem = format!(
            "cannot be changed, because what is stored of them cannot be read: {why}. PUT the whole endpoint: it gets \
             what the request says, and a new signing secret"
        );
        Err(FieldError::new("secrets", problem).into())
    }

    const fn owner(&self) -> Owner {
        Owner::Endpoint(self.id.as_u64())
    }

    /// The same, as it may be stored.
    fn seal(mut self, keyring: &Keyring) -> Self {
        if self.sealed.is_some() {
            return self;
        }
        let secrets = Secrets {
            secrets: std::mem::take(&mut self.secrets),
            headers: std::mem::take(&mut self.headers),
            authorization: self.authorization.take(),
            body_secret: self.body_secret.take(),
            client_certificate: self.client_certificate.take(),
        };
        let plain =
            serde_json::to_vec(&secrets).expect("maps with text keys and plain values are always JSON");
        let sealed = keyring.seal(self.owner(), &Zeroizing::new(plain));
        self.sealed = Some(Box::new(BASE64_STANDARD.encode(sealed).into()));
        self
    }

    /// Opens what is sealed of it. Returns the key that it was sealed with; `None` where it was stored in plain text.
    fn open(&mut self, keyring: &Keyring) -> Result<Option<KeyId>, OpenError> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(sealed.text.as_bytes()).map_err(|_| OpenError::Form)?;
        let key = key_of(&bytes).ok_or(OpenError::Form)?;
        let plain = keyring.open(self.owner(), &bytes)?;
        // What was sealed by a version that is not known yet, and read as something else, is no better than damage.
        let secrets: Secrets = serde_json::from_slice(&plain).map_err(|_| OpenError::Damaged { id: key })?;
        let Secrets { secrets, headers, authorization, body_secret, client_certificate } = secrets;
        (self.secrets, self.headers, self.authorization) = (secrets, headers, authorization);
        (self.body_secret, self.client_certificate, self.sealed) = (body_secret, client_certificate, None);
        Ok(Some(key))
    }
}

/// Seals what is secret of every change on its way into the log.
pub struct Sealing<L> {
    log: L,
    keyring: Arc<Keyring>,
}

impl<L: ChangeLog> Sealing<L> {
    /// Before this log, with this keyring.
    pub const fn new(log: L, keyring: Arc<Keyring>) -> Self {
        Self { log, keyring }
    }
}

impl<L: ChangeLog> ChangeLog for Sealing<L> {
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>> {
        self.log.commit(changes.into_iter().map(|change| seal(change, &self.keyring)).collect())
    }
}

fn seal(change: Change, keyring: &Keyring) -> Change {
    let Ok(Key::Endpoint(_)) = Key::parse(&change.key) else { return change };
    let Some(value) = change.value else { return change };
    let plain = Zeroizing::new(value);
    match Record::parse(&change.key, &plain).expect("an endpoint that was just written can be read") {
        Record::Endpoint(endpoint) => sealed(&endpoint, keyring),
        other => other.change(),
    }
}

/// The change that stores it as it is, sealed under the newest key.
fn sealed(endpoint: &Endpoint, keyring: &Keyring) -> Change {
    Record::Endpoint(Arc::new(endpoint.clone().seal(keyring))).change()
}

/// A catalog as it was stored, and what came of opening its secrets.
#[derive(Debug)]
pub struct Opened {
    /// The catalog.
    pub catalog: Catalog,
    /// Endpoints that are stored in plain text, or under an older key.
    pub stale: Vec<EndpointId>,
    /// Endpoints that could not be opened. They are in the catalog, and get no request.
    pub unreadable: Vec<(EndpointId, OpenError)>,
}

impl Catalog {
    /// The catalog as it was stored, opened with these keys.
    ///
    /// # Errors
    /// The first entry that cannot be read, by its key. Secrets that cannot be opened are no error here.
    pub fn open(
        entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        keyring: &Keyring,
    ) -> Result<Opened, RecordError> {
        let (mut stale, mut unreadable) = (Vec::new(), Vec::new());
        let catalog = Self::fill(entries, |endpoint| match endpoint.open(keyring) {
            Ok(key) if key == Some(keyring.newest()) => {}
            Ok(_) => stale.push(endpoint.id),
            Err(error) => {
                if let Some(sealed) = &mut endpoint.sealed {
                    sealed.why = error.to_string().into();
                }
                unreadable.push((endpoint.id, error));
            }
        })?;
        Ok(Opened { catalog, stale, unreadable })
    }

    /// The changes that store these endpoints as they are, under the newest key.
    pub fn sealed_anew<'a>(
        &'a self,
        endpoints: &'a [EndpointId],
        keyring: &'a Keyring,
    ) -> impl Iterator<Item = Change> + 'a {
        let present = endpoints.iter().filter_map(|id| self.endpoint_by_id(*id));
        present.filter(|endpoint| endpoint.sealed.is_none()).map(|endpoint| sealed(&endpoint, keyring))
    }

    /// What the audit log says of secrets that were stored anew under this key.
    pub fn rotation_recorded(&self, key: KeyId, now_ms: u64) -> Change {
        let last = self.books.read().audit().last();
        let deed = Deed::of("key.rotate", key.to_string());
        let entry = AuditEntry::new(last.as_ref(), now_ms, &Acting::default(), deed);
        Record::Audit(AuditPart::Entry(Arc::new(entry))).change()
    }
}

/// The key that an entry of the catalog is sealed with, if it is sealed.
pub(crate) fn key_of_entry(key: &[u8], value: &[u8]) -> Option<KeyId> {
    let Ok(Record::Endpoint(endpoint)) = Record::parse(key, value) else { return None };
    key_of(&BASE64_STANDARD.decode(endpoint.sealed.as_ref()?.text.as_bytes()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{FakeLog, KEPT, rules};
    use super::super::{ApplicationDraft, Disabled, Editor, EndpointDraft, NewSecret, Put};
    use super::*;
    use crate::config::UnknownEventTypes::Accept;

    /// Everything secret that an endpoint may have, each recognisable.
    const SECRETS: [&str; 6] = [
        "whsec_C2FVsBQIhrscChlQIMV",
        "topsecret-token",
        "topsecret-header",
        "topsecret-form",
        "PRIVATE",
        "x-tenant",
    ];

    struct World {
        editor: Editor,
        log: Arc<FakeLog>,
        keyring: Arc<Keyring>,
    }

    /// A log that others hold too.
    struct Shared(Arc<FakeLog>);

    impl ChangeLog for Shared {
        fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>> {
            self.0.commit(changes)
        }
    }

    impl World {
        fn with(catalog: Catalog, log: Arc<FakeLog>, keyring: Arc<Keyring>) -> Self {
            let sealing = Arc::new(Sealing::new(Shared(Arc::clone(&log)), Arc::clone(&keyring)));
            Self { editor: Editor::new(Arc::new(catalog), sealing, rules(Accept), KEPT), log, keyring }
        }

        fn new() -> Self {
            Self::with(Catalog::default(), Arc::default(), Arc::new(Keyring::ephemeral()))
        }

        fn stored(&self) -> String {
            let changes = self.log.changes.lock();
            changes.iter().map(|c| String::from_utf8_lossy(c.value.as_deref().unwrap_or_default())).collect()
        }

        async fn endpoint(&self) -> Arc<Endpoint> {
            let draft = ApplicationDraft {
                name: "acme".into(),
                uid: Some("acme".into()),
                ..ApplicationDraft::default()
            };
            let application = self.editor.create_application(draft).await.unwrap();
            let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
            self.editor.create_endpoint(application.id, draft_with_secrets(), Some(secret)).await.unwrap()
        }
    }

    fn draft_with_secrets() -> EndpointDraft {
        EndpointDraft {
            url: "https://a.example/".into(),
            headers: [("x-tenant".to_owned(), "topsecret-header".to_owned())].into(),
            authorization: Some(Authorization::Bearer { token: "topsecret-token".into() }),
            format: super::super::Format::Form,
            body_secret: Some(BodySecret("topsecret-form".into())),
            client_certificate: Some(Box::new(ClientCertificate {
                certificate: "CERTIFICATE".into(),
                key: "PRIVATE".into(),
            })),
            ..EndpointDraft::default()
        }
    }

    #[tokio::test]
    async fn nothing_secret_of_an_endpoint_is_stored_in_plain_text_and_all_of_it_is_loaded_again() {
        let world = World::new();
        let made = world.endpoint().await;
        world.editor.rotate_secret(made.id, NewSecret::default(), 3_600).await.unwrap();
        let present = world.editor.catalog().endpoint_by_id(made.id).unwrap();
        assert_eq!(present.secrets.len(), 2);
        let stored = world.stored();
        let found: Vec<&str> = SECRETS.into_iter().filter(|secret| stored.contains(secret)).collect();
        assert_eq!(found, [""; 0]);
        assert!(!stored.contains(&present.secrets[0].key[6..]) && stored.contains("https://a.example/"));

        let opened = Catalog::open(world.log.entries(), &world.keyring).unwrap();
        assert_eq!(opened.catalog.endpoint_by_id(made.id), Some(present));
        assert!(opened.stale.is_empty() && opened.unreadable.is_empty());
    }

    #[tokio::test]
    async fn the_audit_log_names_the_fields_that_changed_although_all_are_sealed_anew() {
        let world = World::new();
        let made = world.endpoint().await;
        world.editor.edit_endpoint(made.id, |draft| draft.description = "x".into()).await.unwrap();
        world.editor.edit_endpoint(made.id, |draft| draft.authorization = None).await.unwrap();
        world.editor.rotate_secret(made.id, NewSecret::default(), 0).await.unwrap();
        let entries = world.editor.catalog().audit_all();
        let lines: Vec<&str> = entries[2..].iter().map(|entry| entry.line()).collect();
        for (line, fields) in
            lines.iter().zip([r#"["description"]"#, r#"["authorization"]"#, r#"["secrets"]"#])
        {
            assert!(line.contains(fields), "{line}");
        }
        assert!(lines.last().unwrap().contains(r#""endpoint.rotate_secret""#));
    }

    #[tokio::test]
    async fn an_endpoint_of_an_older_version_is_read_and_sealed_when_it_is_stored_anew() {
        let world = World::new();
        let made = world.endpoint().await;
        let plain: Vec<_> =
            [Record::Endpoint(Arc::clone(&made)).change()].map(|c| (c.key, c.value.unwrap())).into();
        let applications = world.log.entries().into_iter().filter(|(key, _)| !key.starts_with(b"ep/"));
        let opened = Catalog::open(applications.chain(plain), &world.keyring).unwrap();
        assert_eq!(opened.catalog.endpoint_by_id(made.id), Some(Arc::clone(&made)));
        assert_eq!(opened.stale, [made.id]);
        let anew: Vec<Change> = opened.catalog.sealed_anew(&opened.stale, &world.keyring).collect();
        let value = String::from_utf8(anew[0].value.clone().unwrap()).unwrap();
        assert!(anew.len() == 1 && SECRETS.iter().all(|secret| !value.contains(secret)), "{value}");
        assert_eq!(key_of_entry(&anew[0].key, value.as_bytes()), Some(world.keyring.newest()));
    }

    /// The world's catalog, after `damage` was done to what is stored.
    fn reopened(world: &World, damage: impl Fn(&str) -> String) -> Opened {
        let entries = world.log.entries().into_iter().map(|(key, value)| {
            let is_endpoint = key.starts_with(b"ep/");
            let value = if is_endpoint { damage(&String::from_utf8(value).unwrap()).into() } else { value };
            (key, value)
        });
        Catalog::open(entries, &world.keyring).unwrap()
    }

    fn sealed_text(value: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        value["sealed"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn secrets_that_were_moved_from_another_endpoint_are_not_opened() {
        let world = World::new();
        let one = world.endpoint().await;
        let application = one.application;
        let other = world.editor.create_endpoint(application, draft_with_secrets(), None).await.unwrap();
        let (mut texts, entries) = (Vec::new(), world.log.entries());
        for (_, value) in entries.iter().filter(|(key, _)| key.starts_with(b"ep/")) {
            texts.push(sealed_text(std::str::from_utf8(value).unwrap()));
        }
        let swapped = |value: &str| match value.contains(&texts[0]) {
            true => value.replace(&texts[0], &texts[1]),
            false => value.replace(&texts[1], &texts[0]),
        };
        let opened = reopened(&world, swapped);
        let ids: Vec<EndpointId> = opened.unreadable.iter().map(|(id, _)| *id).collect();
        assert!(ids.contains(&one.id) && ids.contains(&other.id) && ids.len() == 2);
        let endpoint = opened.catalog.endpoint_by_id(one.id).unwrap();
        assert!(
            endpoint.secrets.is_empty() && endpoint.authorization.is_none() && endpoint.headers.is_empty()
        );
        let why = endpoint.unreadable().unwrap();
        assert!(why.contains("damaged, or moved from somewhere else"), "{why}");
    }

    #[tokio::test]
    async fn an_endpoint_that_cannot_be_opened_keeps_what_is_stored_until_it_is_made_anew() {
        let world = World::new();
        let made = world.endpoint().await;
        let flip = |value: &str| {
            let text = sealed_text(value);
            let other = if text.ends_with("AA==") { "BB==" } else { "AA==" };
            value.replace(&text, &format!("{}{other}", &text[..text.len() - 4]))
        };
        let opened = reopened(&world, flip);
        let text = opened.catalog.endpoint_by_id(made.id).unwrap().sealed.as_ref().unwrap().text.clone();
        let world = World::with(opened.catalog, Arc::default(), Arc::clone(&world.keyring));
        let refusal = world.editor.edit_endpoint(made.id, |draft| draft.headers.clear()).await.unwrap_err();
        assert!(refusal.to_string().contains("PUT the whole endpoint"), "{refusal}");
        assert!(world.editor.rotate_secret(made.id, NewSecret::default(), 0).await.is_err());
        // The engine itself may still disable it.
        world.editor.disable_endpoint(made.id, Disabled::Gone).await.unwrap();
        assert!(world.stored().contains(&*text), "what could not be read is as it was");

        let id = made.id.to_string();
        let put = world.editor.put_endpoint(made.application, &id, |_| draft_with_secrets()).await.unwrap();
        let Put::Present(anew) = put else { panic!("{put:?}") };
        assert!(anew.unreadable().is_none() && anew.secrets.len() == 1 && anew.secrets != made.secrets);
        assert_eq!((anew.id, anew.created_ms, &anew.headers), (made.id, made.created_ms, &made.headers));
        world.editor.edit_endpoint(made.id, |draft| draft.description = "x".into()).await.unwrap();
    }
}
