//! `/app/{app}/endpoint`: an application's endpoints.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::endpoint_fields::{EndpointOut, EndpointPatch};
use super::error::ApiError;
use super::extract::{Body, Named, TheApplication, TheEndpoint};
use super::fields::Fields;
use super::paging::{ListOut, Paging};
use super::query::Query;
use crate::catalog::Put;
use crate::core::ids::EndpointId;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    query: Query,
) -> Result<Json<ListOut<EndpointOut>>, ApiError> {
    let paging = Paging::read(&query)?;
    let window = paging.window::<EndpointId>()?;
    let page = api.editor.catalog().endpoints_page(application.id, &window);
    let data = page.items.iter().map(|endpoint| EndpointOut::new(&api, endpoint)).collect();
    Ok(Json(paging.list(data, page.done, |endpoint| endpoint.id.clone())))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    Body(body): Body,
) -> Result<(StatusCode, Json<EndpointOut>), ApiError> {
    let fields = Fields::parse(&body)?;
    let draft = EndpointPatch::parse_whole(&fields)?.into_draft(None);
    let secret: Option<String> = fields.value("secret")?;
    let endpoint = api.editor.create_endpoint(application.id, draft, secret.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(EndpointOut::new(&api, &endpoint))))
}

pub(super) async fn read(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
) -> Json<EndpointOut> {
    Json(EndpointOut::new(&api, &endpoint))
}

pub(super) async fn put(
    State(api): State<Arc<Api>>,
    TheApplication(application): TheApplication,
    named: Named,
    Body(body): Body,
) -> Result<(StatusCode, Json<EndpointOut>), ApiError> {
    let patch = EndpointPatch::parse_whole(&Fields::parse(&body)?)?;
    let name = named.text("endpoint_id");
    let put = api.editor.put_endpoint(application.id, name, |present| patch.into_draft(present)).await?;
    Ok(match put {
        Put::Created(endpoint) => (StatusCode::CREATED, Json(EndpointOut::new(&api, &endpoint))),
        Put::Present(endpoint) => (StatusCode::OK, Json(EndpointOut::new(&api, &endpoint))),
    })
}

pub(super) async fn patch(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
    Body(body): Body,
) -> Result<Json<EndpointOut>, ApiError> {
    let patch = EndpointPatch::parse(&Fields::parse(&body)?)?;
    let endpoint = api.editor.edit_endpoint(endpoint.id, |draft| patch.apply(draft)).await?;
    Ok(Json(EndpointOut::new(&api, &endpoint)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    TheEndpoint(endpoint): TheEndpoint,
) -> Result<StatusCode, ApiError> {
    api.editor.remove_endpoint(endpoint.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
