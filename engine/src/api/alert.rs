//! `/alert`: what somebody should hear of, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, TheApplication};
use super::fields::Fields;
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::rfc3339;
use crate::alerts::AlertShown;
use crate::catalog::{Alert, AlertType, Catalog, Window};
use crate::core::ids::{AlertId, ApplicationId, EndpointId};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertOut {
    #[serde(flatten)]
    shown: AlertShown,
    #[serde(skip)]
    id: AlertId,
    ended_at: Option<String>,
    acknowledged: Option<AcknowledgedOut>,
}

/// By whom and with which note is for those who run the server.
#[derive(Debug, Serialize)]
struct AcknowledgedOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl AlertOut {
    fn new(catalog: &Catalog, alert: &Alert) -> Self {
        let acknowledged = alert.acknowledged.as_ref().map(|acknowledged| AcknowledgedOut {
            by: Some(acknowledged.by.clone()),
            at: rfc3339(acknowledged.at_ms),
            note: Some(acknowledged.note.clone()),
        });
        Self {
            shown: AlertShown::new(catalog, alert),
            id: alert.id,
            ended_at: alert.ended_ms.map(rfc3339),
            acknowledged,
        }
    }
}

impl AlertOut {
    /// As an application's own people may see it.
    fn for_application(mut self) -> Self {
        if let Some(acknowledged) = &mut self.acknowledged {
            (acknowledged.by, acknowledged.note) = (None, None);
        }
        self
    }
}

/// Which alerts are wanted. Every condition must hold.
struct Wanted {
    application: Option<ApplicationId>,
    endpoint: Option<EndpointId>,
    kinds: Vec<AlertType>,
    acknowledged: Option<bool>,
    open: Option<bool>,
    before_ms: Option<u64>,
    after_ms: Option<u64>,
}

impl Wanted {
    fn read(query: &Query, application: Option<ApplicationId>, catalog: &Catalog) -> Result<Self, ApiError> {
        let kind = |name: String| {
            let names: Vec<&str> = AlertType::ALL.iter().map(|kind| kind.name()).collect();
            let problem = || ApiError::query("type", format!("type must be one of {}", names.join(", ")));
            AlertType::from_name(&name).ok_or_else(problem)
        };
        let flag = |name| query.text(name).map(|_| query.flag(name, false)).transpose();
        Ok(Self {
            application,
            endpoint: endpoint(query, application, catalog)?,
            kinds: query.list("type").into_iter().map(kind).collect::<Result<_, _>>()?,
            acknowledged: flag("acknowledged")?,
            open: flag("open")?,
            before_ms: query.time_ms("before")?,
            after_ms: query.time_ms("after")?,
        })
    }

    fn is(&self, alert: &Alert) -> bool {
        let is_open = || alert.cause.lasts() && alert.ended_ms.is_none();
        self.application.is_none_or(|application| application == alert.application)
            && self.endpoint.is_none_or(|endpoint| endpoint == alert.endpoint)
            && (self.kinds.is_empty() || self.kinds.contains(&alert.cause.kind()))
            && self.acknowledged.is_none_or(|acknowledged| acknowledged == alert.acknowledged.is_some())
            && self.open.is_none_or(|open| open == is_open())
            && self.before_ms.is_none_or(|ms| alert.raised_ms < ms)
            && self.after_ms.is_none_or(|ms| alert.raised_ms > ms)
    }
}

/// By id, even of an endpoint that is gone; or by uid, where the application is known.
fn endpoint(
    query: &Query,
    application: Option<ApplicationId>,
    catalog: &Catalog,
) -> Result<Option<EndpointId>, ApiError> {
    let Some(name) = query.text("endpoint_id") else { return Ok(None) };
    if let Ok(id) = name.parse() {
        return Ok(Some(id));
    }
    let endpoint = application.and_then(|application| catalog.endpoint(application, name));
    let unknown = || ApiError::query("endpoint_id", "endpoint_id is not the id of an endpoint");
    endpoint.map(|endpoint| Some(endpoint.id)).ok_or_else(unknown)
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    query: Query,
) -> Result<Json<ListOut<AlertOut>>, ApiError> {
    page(&api, &query, None)
}

pub(super) async fn list_by_application(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    query: Query,
) -> Result<Json<ListOut<AlertOut>>, ApiError> {
    page(&api, &query, Some(application.id))
}

fn page(
    api: &Api,
    query: &Query,
    application: Option<ApplicationId>,
) -> Result<Json<ListOut<AlertOut>>, ApiError> {
    let catalog = api.editor.catalog();
    let paging = Paging::read(query)?;
    let wanted = Wanted::read(query, application, catalog)?;
    let window = Window { start: paging.start::<AlertId>()?, descending: true, limit: paging.limit };
    let page = catalog.alerts_page(&window, |alert| wanted.is(alert));
    let shown = |alert: &Alert| match application {
        None => AlertOut::new(catalog, alert),
        Some(_) => AlertOut::new(catalog, alert).for_application(),
    };
    let data = page.items.iter().map(|alert| shown(alert)).collect();
    Ok(Json(paging.list(data, page.done, |alert: &AlertOut| alert.id.to_string())))
}

pub(super) async fn read(State(api): State<Arc<Api>>, named: Named) -> Result<Json<AlertOut>, ApiError> {
    let catalog = api.editor.catalog();
    let alert = catalog.alert(id(&named)?).ok_or_else(|| ApiError::not_found("alert"))?;
    Ok(Json(AlertOut::new(catalog, &alert)))
}

/// Says that somebody has seen it, with an optional `note`.
pub(super) async fn acknowledge(
    State(api): State<Arc<Api>>,
    named: Named,
    Body(body): Body,
) -> Result<Json<AlertOut>, ApiError> {
    let note: Option<String> = Fields::parse_or_none(&body)?.value("note")?;
    let alert = api.editor.acknowledge_alert(id(&named)?, note.as_deref().unwrap_or_default()).await?;
    Ok(Json(AlertOut::new(api.editor.catalog(), &alert)))
}

fn id(named: &Named) -> Result<AlertId, ApiError> {
    named.text("alert_id").parse().map_err(|_| ApiError::not_found("alert"))
}
