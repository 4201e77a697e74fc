//! For tests: a log in memory that can be made to fail, and rules that know two URLs apart.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{
    AuditKey, BoxFuture, Catalog, Change, ChangeLog, CommitError, Editor, EndpointRules, KeptLimits,
};
use crate::config::UnknownEventTypes;

/// Keeps what was committed.
pub(crate) struct FakeLog {
    pub(crate) changes: Mutex<Vec<Change>>,
    pub(crate) fails_with: Mutex<Option<CommitError>>,
    /// A commit takes a permit and gives it back.
    pub(crate) permits: Semaphore,
}

impl Default for FakeLog {
    fn default() -> Self {
        Self { changes: Mutex::default(), fails_with: Mutex::default(), permits: Semaphore::new(1) }
    }
}

impl ChangeLog for FakeLog {
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(async move {
            let _permit = self.permits.acquire().await;
            if let Some(error) = *self.fails_with.lock() {
                return Err(error);
            }
            self.changes.lock().extend(changes);
            Ok(())
        })
    }
}

impl FakeLog {
    /// What a store that followed the log would hold.
    pub(crate) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = std::collections::BTreeMap::new();
        for change in self.changes.lock().iter().cloned() {
            match change.value {
                Some(value) => drop(entries.insert(change.key, value)),
                None => drop(entries.remove(&change.key)),
            }
        }
        entries.into_iter().collect()
    }
}

/// Accepts https, and http at `plain.example` alone; refuses the header `host`, knows the retry policy `patient`.
pub(crate) fn rules(unknown_event_types: UnknownEventTypes) -> EndpointRules {
    EndpointRules {
        check_url: Box::new(|text| match url::Url::parse(text) {
            Ok(url) if url.scheme() == "https" || url.host_str() == Some("plain.example") => Ok(url.into()),
            _ => Err("is not https".into()),
        }),
        check_headers: Box::new(|headers| match headers.iter().find(|(name, _)| name == "host") {
            Some(_) => Err("must not have 'host'".into()),
            None => Ok(()),
        }),
        check_retry_policy: Box::new(
            |text| if text == "patient" { Ok(()) } else { Err("is not known".into()) },
        ),
        check_identity: Box::new(|_, _| Ok(())),
        unknown_event_types,
    }
}

/// The same judgement of URLs, for those that messages bring along.
pub(crate) fn urls() -> crate::publish::UrlJudge {
    crate::publish::UrlJudge(Arc::new(rules(UnknownEventTypes::Accept).check_url))
}

/// An editor of an empty catalog over a log in memory.
pub(crate) fn editor(unknown_event_types: UnknownEventTypes) -> (Editor, Arc<FakeLog>) {
    let log = Arc::new(FakeLog::default());
    let editor =
        Editor::new(Arc::new(Catalog::default()), Arc::clone(&log) as _, rules(unknown_event_types), KEPT);
    (editor, log)
}

/// Little is kept, so that tests see the end of it.
pub(crate) const KEPT: KeptLimits = KeptLimits {
    endpoints_per_application_max: 50,
    api_keys_max: 5,
    alerts_max: 20,
    audit_max: 100,
    audit_age: std::time::Duration::from_secs(86_400),
    audit_key: AuditKey::new(7),
};
