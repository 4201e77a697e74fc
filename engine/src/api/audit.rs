//! `/audit`: who changed what, and when; and in whose name a request acts.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Extensions;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;

use super::Api;
use super::error::ApiError;
use super::paging::{ListOut, Paging};
use super::query::Query;
use crate::access::Actor;
use crate::catalog::{Acting, AuditEntry, AuditPart, Window, act_as, audit_number};

/// Who acts where nobody had to say so.
const ANONYMOUS: &str = "anonymous";

/// The middleware: whatever the request changes is recorded in the name of whoever sent it.
pub(super) async fn act(request: Request, next: Next) -> Response {
    let address = address_of(request.extensions());
    let actor = request.extensions().get::<Actor>().map_or(ANONYMOUS, |actor| &*actor.name);
    let who = Acting { actor: actor.into(), address };
    act_as(who, next.run(request)).await
}

/// Where a request came from.
pub(super) fn address_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// An entry's number behind its id.
#[derive(Debug, Clone, Copy)]
struct Number(u64);

impl FromStr for Number {
    type Err = ();

    fn from_str(id: &str) -> Result<Self, ()> {
        audit_number(id).map(Self).ok_or(())
    }
}

/// Which entries are wanted. Every condition must hold.
struct Wanted {
    actor: Option<String>,
    action: Option<String>,
    object: Option<String>,
    before_ms: Option<u64>,
    after_ms: Option<u64>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, ApiError> {
        let text = |name| query.text(name).map(Into::into);
        Ok(Self {
            actor: text("actor"),
            action: text("action"),
            object: text("object"),
            before_ms: query.time_ms("before")?,
            after_ms: query.time_ms("after")?,
        })
    }

    const fn is_everything(&self) -> bool {
        let Self { actor, action, object, before_ms, after_ms } = self;
        actor.is_none() && action.is_none() && object.is_none() && before_ms.is_none() && after_ms.is_none()
    }

    /// An action may be given as its first part alone: `endpoint` stands for all that is done to endpoints.
    fn is(&self, entry: &AuditEntry) -> bool {
        let is_action = |wanted: &String| {
            let rest = entry.action().strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.actor.as_ref().is_none_or(|actor| actor == entry.actor())
            && self.action.as_ref().is_none_or(is_action)
            && self.object.as_ref().is_none_or(|object| object == entry.object())
            && self.before_ms.is_none_or(|ms| entry.at_ms() < ms)
            && self.after_ms.is_none_or(|ms| entry.at_ms() > ms)
    }
}

/// Newest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    query: Query,
) -> Result<Json<ListOut<Box<RawValue>>>, ApiError> {
    let (paging, wanted) = (Paging::read(&query)?, Wanted::read(&query)?);
    let start = paging.start::<Number>()?.map(|number| number.0);
    let window = Window { start, descending: true, limit: paging.limit };
    let page = api.editor.catalog().audit_page(&window, |entry| wanted.is(entry));
    let raw = |entry: &Arc<AuditEntry>| {
        RawValue::from_string(entry.line().into()).expect("an entry that was read is JSON")
    };
    let names: Vec<String> = page.items.iter().map(|entry| entry.id()).collect();
    let data: Vec<(String, Box<RawValue>)> = names.into_iter().zip(page.items.iter().map(raw)).collect();
    let list = paging.list(data, page.done, |(name, _)| name.clone());
    Ok(Json(list.map(|(_, entry)| entry)))
}

/// All that is wanted, oldest first, one entry a line, byte for byte as it is stored: each holds the SHA-256 of the
/// line before it in the log. Without filters also what stands for entries that made room for others: then the chain can
/// be checked (`posthaste audit verify`).
pub(super) async fn export(State(api): State<Arc<Api>>, query: Query) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&query)?;
    let mut lines = String::new();
    let everything = wanted.is_everything();
    for part in api.editor.catalog().audit_all() {
        let is_wanted = match &part {
            AuditPart::Entry(entry) => wanted.is(entry),
            AuditPart::LeftOut(_) => everything,
        };
        if is_wanted {
            lines += part.line();
            lines.push('\n');
        }
    }
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}
