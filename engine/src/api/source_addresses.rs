//! `/source-addresses`: where requests to receivers come from, for their allow lists. The operator's word.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;

#[derive(Debug, Serialize)]
pub(super) struct SourceAddressesOut {
    /// Networks such as `203.0.113.7/32`.
    addresses: Vec<String>,
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<SourceAddressesOut> {
    Json(SourceAddressesOut { addresses: api.source_addresses.clone() })
}
