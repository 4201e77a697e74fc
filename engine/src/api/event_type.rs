//! `/event-type`: what endpoints can subscribe to.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Api;
use super::application::set;
use super::error::ApiError;
use super::example;
use super::extract::{Body, Named};
use super::fields::Fields;
use super::paging::{ListOut, Paging};
use super::payload::show;
use super::query::Query;
use super::time::rfc3339;
use crate::catalog::{EventType, EventTypeDraft, Put};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventTypeOut {
    name: String,
    description: String,
    archived: bool,
    deprecated: bool,
    schemas: Option<Box<RawValue>>,
    feature_flag: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<&EventType> for EventTypeOut {
    fn from(event_type: &EventType) -> Self {
        Self {
            name: event_type.name.clone(),
            description: event_type.description.clone(),
            archived: event_type.archived,
            deprecated: event_type.deprecated,
            schemas: event_type.schemas.clone(),
            feature_flag: event_type.feature_flag.clone(),
            created_at: rfc3339(event_type.created_ms),
            updated_at: rfc3339(event_type.updated_ms),
        }
    }
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    query: Query,
) -> Result<Json<ListOut<EventTypeOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let with_content = query.flag("with_content", false)?;
    let archived_too = query.flag("include_archived", false)?;
    let page = api.editor.catalog().event_types_page(&paging.window::<String>()?, archived_too);
    let out = |event_type: &Arc<EventType>| {
        let out = EventTypeOut::from(&**event_type);
        if with_content { out } else { EventTypeOut { schemas: None, ..out } }
    };
    let data = page.items.iter().map(out).collect();
    Ok(Json(paging.list(data, page.done, |event_type| event_type.name.clone())))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Body(body): Body,
) -> Result<(StatusCode, Json<EventTypeOut>), ApiError> {
    let fields = Fields::parse(&body)?;
    let name: String = fields.required("name")?;
    let event_type = api.editor.create_event_type(&name, draft(&fields)?).await?;
    Ok((StatusCode::CREATED, Json(EventTypeOut::from(&*event_type))))
}

/// What its payloads look like: as its newest schema gives or describes it, or a stand-in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExampleOut {
    event_type: String,
    payload: Box<RawValue>,
    /// Whether there is a schema that it was made from.
    has_schema: bool,
}

pub(super) async fn example(State(api): State<Arc<Api>>, named: Named) -> Result<Json<ExampleOut>, ApiError> {
    let event_type = api.editor.catalog().event_type(named.text("event_type_name"));
    let event_type = event_type.ok_or_else(|| ApiError::not_found("event type"))?;
    let made = example::of(&event_type);
    let has_schema = made.is_some();
    let payload = made.unwrap_or_else(|| example::plain(&event_type.name));
    let payload = show(None, &payload).value;
    Ok(Json(ExampleOut { event_type: event_type.name.clone(), payload, has_schema }))
}

pub(super) async fn read(State(api): State<Arc<Api>>, named: Named) -> Result<Json<EventTypeOut>, ApiError> {
    let event_type = api.editor.catalog().event_type(named.text("event_type_name"));
    let event_type = event_type.ok_or_else(|| ApiError::not_found("event type"))?;
    Ok(Json(EventTypeOut::from(&*event_type)))
}

pub(super) async fn put(
    State(api): State<Arc<Api>>,
    named: Named,
    Body(body): Body,
) -> Result<(StatusCode, Json<EventTypeOut>), ApiError> {
    let draft = draft(&Fields::parse(&body)?)?;
    Ok(match api.editor.put_event_type(named.text("event_type_name"), draft).await? {
        Put::Created(event_type) => (StatusCode::CREATED, Json(EventTypeOut::from(&*event_type))),
        Put::Present(event_type) => (StatusCode::OK, Json(EventTypeOut::from(&*event_type))),
    })
}

pub(super) async fn patch(
    State(api): State<Arc<Api>>,
    named: Named,
    Body(body): Body,
) -> Result<Json<EventTypeOut>, ApiError> {
    let fields = Fields::parse(&body)?;
    let description = fields.value("description")?;
    let (archived, deprecated) = (fields.value("archived")?, fields.value("deprecated")?);
    let (schemas, feature_flag) = (schemas(&fields)?, fields.nullable("featureFlag")?);
    let edit = |draft: &mut EventTypeDraft| {
        set(&mut draft.description, description);
        set(&mut draft.archived, archived);
        set(&mut draft.deprecated, deprecated);
        set(&mut draft.schemas, schemas);
        set(&mut draft.feature_flag, feature_flag);
    };
    let event_type = api.editor.edit_event_type(named.text("event_type_name"), edit).await?;
    Ok(Json(EventTypeOut::from(&*event_type)))
}

/// Archives; with `expunge`, removes for good.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    named: Named,
    query: Query,
) -> Result<StatusCode, ApiError> {
    let name = named.text("event_type_name");
    if query.flag("expunge", false)? {
        api.editor.remove_event_type(name).await?;
    } else {
        api.editor.edit_event_type(name, |draft| draft.archived = true).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn draft(fields: &Fields<'_>) -> Result<EventTypeDraft, ApiError> {
    Ok(EventTypeDraft {
        description: fields.required("description")?,
        archived: fields.value("archived")?.unwrap_or_default(),
        deprecated: fields.value("deprecated")?.unwrap_or_default(),
        schemas: schemas(fields)?.flatten(),
        feature_flag: fields.value("featureFlag")?,
    })
}

/// An object of whatever, kept as it was given; the catalog checks that they are schemas.
fn schemas(fields: &Fields<'_>) -> Result<Option<Option<Box<RawValue>>>, ApiError> {
    fields.nullable::<BTreeMap<String, IgnoredAny>>("schemas")?;
    fields.nullable("schemas")
}
