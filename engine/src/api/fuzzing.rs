//! What comes with requests to the API.

use std::cell::OnceCell;
use std::fmt::Display;
use std::str::FromStr;

use tokio::runtime::Runtime;

use super::DeliveryCursor;
use super::endpoint_fields::EndpointPatch;
use super::fields::Fields;
use super::paging::{LIMIT_MAX, Paging};
use super::query::Query;
use super::time::{parse_rfc3339, rfc3339};
use crate::catalog::fakes::editor;
use crate::catalog::{ApplicationDraft, Catalog, Endpoint, EndpointDraft};
use crate::config::UnknownEventTypes;
use crate::core::ids::{ApplicationId, AttemptId, EndpointId, MessageId};

/// A body that makes an endpoint makes one that is stored as it is, and that a patch without fields leaves alone.
pub(crate) fn endpoint_bodies(data: &[u8]) {
    let Ok(fields) = Fields::parse(data) else { return };
    let Ok(patch) = EndpointPatch::parse_whole(&fields) else { return };
    let draft = patch.into_draft(None);
    let secret = fields.value::<String>("secret").unwrap_or_default();
    let Some((made, stored)) = in_runtime(create(draft, secret)) else { return };
    assert_eq!(made, stored);
    let untouched =
        Fields::parse(b"{}").and_then(|fields| EndpointPatch::parse(&fields)).expect("an empty patch");
    let (before, mut after) = (EndpointDraft::from(&made), EndpointDraft::from(&made));
    untouched.apply(&mut after);
    assert_eq!(after, before);
}

/// An endpoint as it was made, and as it is after a restart.
async fn create(draft: EndpointDraft, secret: Option<String>) -> Option<(Endpoint, Endpoint)> {
    let (editor, log) = editor(UnknownEventTypes::Accept);
    let application = ApplicationDraft { name: "Shop".into(), ..ApplicationDraft::default() };
    let application = editor.create_application(application).await.expect("an application");
    let made = editor.create_endpoint(application.id, draft, secret.as_deref()).await.ok()?;
    let catalog = Catalog::load(log.entries()).expect("what was stored can be read");
    let stored = catalog.endpoint_by_id(made.id).expect("what was stored is there");
    Some(((*made).clone(), (*stored).clone()))
}

fn in_runtime<T>(run: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    let build = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    RUNTIME.with(|runtime| runtime.get_or_init(build).block_on(run))
}

/// A query string, and names of all kinds: each is read or refused, and what is read is written the same.
pub(crate) fn cursors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    reads_back::<DeliveryCursor>(text);
    reads_back::<MessageId>(text);
    reads_back::<AttemptId>(text);
    reads_back::<EndpointId>(text);
    reads_back::<ApplicationId>(text);
    if let Some(ms) = parse_rfc3339(text) {
        assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms));
    }
    let query = Query::parse(text);
    for name in ["before", "after"] {
        let _ = query.time_ms(name);
    }
    let _ = (query.flag("with_content", true), query.identifiers("event_types"), query.identifier("channel"));
    let Ok(paging) = Paging::read(&query) else { return };
    assert!(paging.limit <= LIMIT_MAX);
    let items: Vec<_> = (0..40).map(|number| EndpointId::from_u64(number * 3)).collect();
    if let Ok((page, _)) = paging.slice(&items, |id| *id) {
        assert!(page.len() <= paging.limit);
    }
    let _ = (paging.cursor::<DeliveryCursor>().is_ok(), paging.window::<MessageId>().is_ok());
}

fn reads_back<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let written = read.to_string();
        let again = written.parse::<T>().ok().map(|again| again.to_string());
        assert_eq!(again.as_ref(), Some(&written), "{text}");
    }
}
