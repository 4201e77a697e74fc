//! `/app`: applications.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, TheApplication};
use super::fields::Fields;
use super::paging::{ListOut, Paging};
use super::query::Query;
use super::time::rfc3339;
use crate::access::Caller;
use crate::catalog::{Application, ApplicationDraft, Put};
use crate::core::ids::ApplicationId;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplicationOut {
    id: String,
    uid: Option<String>,
    name: String,
    throttle_rate: Option<u16>,
    /// The name of `throttleRate` in older SDKs.
    rate_limit: Option<u16>,
    metadata: BTreeMap<String, String>,
    // Ours are these three.
    require_https: bool,
    allowed_ports: Option<Vec<u16>>,
    validate_payloads: bool,
    created_at: String,
    updated_at: String,
}

impl From<&Application> for ApplicationOut {
    fn from(application: &Application) -> Self {
        Self {
            id: application.id.to_string(),
            uid: application.uid.clone(),
            name: application.name.clone(),
            throttle_rate: application.throttle_rate,
            rate_limit: application.throttle_rate,
            metadata: application.metadata.clone(),
            require_https: application.require_https,
            allowed_ports: application.allowed_ports.clone(),
            validate_payloads: application.validate_payloads,
            created_at: rfc3339(application.created_ms),
            updated_at: rfc3339(application.updated_ms),
        }
    }
}

type Upserted = (StatusCode, Json<ApplicationOut>);

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    query: Query,
) -> Result<Json<ListOut<ApplicationOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let page = api.editor.catalog().applications_page(&paging.window::<ApplicationId>()?);
    let data = page.items.iter().map(|application| ApplicationOut::from(&**application)).collect();
    Ok(Json(paging.list(data, page.done, |application| application.id.clone())))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    query: Query,
    Body(body): Body,
) -> Result<Upserted, ApiError> {
    let draft = draft(&Fields::parse(&body)?)?;
    if query.flag("get_if_exists", false)? {
        return Ok(upserted(api.editor.application_or_new(draft).await?));
    }
    let created = api.editor.create_application(draft).await?;
    Ok(upserted(Put::Created(created)))
}

pub(super) async fn read(TheApplication(application): TheApplication) -> Json<ApplicationOut> {
    Json(ApplicationOut::from(&*application))
}

pub(super) async fn put(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    named: Named,
    Body(body): Body,
) -> Result<Upserted, ApiError> {
    let fields = Fields::parse(&body)?;
    let draft = draft(&fields)?;
    check_keeps_uid(&api, &caller, named.text("app_id"), draft.uid.as_deref())?;
    // What the SDKs do not know and thus cannot repeat stays as it is, unless the body has it.
    let has = |name| fields.has(name);
    let (https, ports, payloads) = (has("requireHttps"), has("allowedPorts"), has("validatePayloads"));
    let fill = |present: Option<&Application>| match present {
        None => draft,
        Some(present) => ApplicationDraft {
            require_https: if https { draft.require_https } else { present.require_https },
            allowed_ports: if ports { draft.allowed_ports } else { present.allowed_ports.clone() },
            validate_payloads: if payloads { draft.validate_payloads } else { present.validate_payloads },
            ..draft
        },
    };
    Ok(upserted(api.editor.put_application(named.text("app_id"), fill).await?))
}

/// Whoever is bound to an application may not give it the name under which others will look for theirs.
fn check_keeps_uid(api: &Api, caller: &Caller, name: &str, uid: Option<&str>) -> Result<(), ApiError> {
    if caller.bound_to().is_none() {
        return Ok(());
    }
    let present = api.editor.catalog().application(name);
    let keeps = match &present {
        Some(present) => present.uid.as_deref() == uid,
        None => uid.is_none_or(|uid| uid == name),
    };
    if keeps {
        Ok(())
    } else {
        Err(ApiError::forbidden("This token is for one application, and may not rename it"))
    }
}

pub(super) async fn patch(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    TheApplication(application): TheApplication,
    Body(body): Body,
) -> Result<Json<ApplicationOut>, ApiError> {
    let fields = Fields::parse(&body)?;
    let (uid, name) = (fields.nullable("uid")?, fields.value("name")?);
    let (rate, metadata) = (fields.nullable("throttleRate")?, fields.value("metadata")?);
    let (require_https, allowed_ports) = (fields.value("requireHttps")?, fields.nullable("allowedPorts")?);
    let validate_payloads = fields.value("validatePayloads")?;
    if let Some(uid) = &uid {
        check_keeps_uid(&api, &caller, &application.id.to_string(), uid.as_deref())?;
    }
    let edit = |draft: &mut ApplicationDraft| {
        set(&mut draft.require_https, require_https);
        set(&mut draft.allowed_ports, allowed_ports);
        set(&mut draft.validate_payloads, validate_payloads);
        set(&mut draft.uid, uid);
        set(&mut draft.name, name);
        set(&mut draft.throttle_rate, rate);
        set(&mut draft.metadata, metadata);
    };
    let application = api.editor.edit_application(application.id, edit).await?;
    Ok(Json(ApplicationOut::from(&*application)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
) -> Result<StatusCode, ApiError> {
    api.editor.remove_application(application.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A message, or access to the portal, may bring its application along; if that is there, it is left as it is.
pub(super) async fn create_if_described(
    api: &Api,
    name: &str,
    described: Option<&RawValue>,
) -> Result<(), ApiError> {
    let Some(described) = described else { return Ok(()) };
    if api.editor.catalog().resolve(name).is_some() {
        return Ok(());
    }
    let draft = draft(&Fields::parse(described.get().as_bytes())?)?;
    if draft.uid.as_deref().is_some_and(|uid| uid != name) {
        return Err(ApiError::body("application.uid", "application.uid must be the one in the path"));
    }
    api.editor.put_application(name, |_| draft).await?;
    Ok(())
}

/// An application as a whole body describes it.
fn draft(fields: &Fields<'_>) -> Result<ApplicationDraft, ApiError> {
    Ok(ApplicationDraft {
        uid: fields.value("uid")?,
        name: fields.required("name")?,
        throttle_rate: fields.value("throttleRate")?,
        metadata: fields.value("metadata")?.unwrap_or_default(),
        require_https: fields.value("requireHttps")?.unwrap_or_default(),
        allowed_ports: fields.value("allowedPorts")?,
        validate_payloads: fields.value("validatePayloads")?.unwrap_or_default(),
    })
}

/// Sets what a patch has.
pub(super) fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn upserted(put: Put<Arc<Application>>) -> Upserted {
    match put {
        Put::Created(application) => (StatusCode::CREATED, Json(ApplicationOut::from(&*application))),
        Put::Present(application) => (StatusCode::OK, Json(ApplicationOut::from(&*application))),
    }
}
