//! `/retry-policy`: which policies the configuration has, and what a policy means: when its attempts fall.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::query::Query;
use crate::core::retry::RetryPolicy;

/// Retry policies of the configuration, as they are written there.
#[derive(Debug, Clone, Default)]
pub struct RetryPolicies {
    /// Of endpoints that ask for none.
    pub default: String,
    /// By name.
    pub named: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryPolicyOut {
    /// `null` for one that was written out, and for the default.
    name: Option<String>,
    /// As it is written.
    policy: String,
    /// Waits between its attempts, milliseconds.
    waits_ms: Vec<u64>,
    /// By how much each is spread to either side.
    jitter_percent: u8,
}

#[derive(Debug, Serialize)]
pub(super) struct RetryPoliciesOut {
    default: RetryPolicyOut,
    named: Vec<RetryPolicyOut>,
    /// The one that was asked for.
    policy: Option<RetryPolicyOut>,
}

impl RetryPolicyOut {
    fn new(name: Option<&str>, text: &str) -> Result<Self, String> {
        let policy: RetryPolicy = text.parse().map_err(|error| format!("{error}"))?;
        Ok(Self {
            name: name.map(Into::into),
            policy: text.into(),
            waits_ms: policy.delays().map(|wait| wait.as_millis() as u64).collect(),
            jitter_percent: policy.jitter_percent(),
        })
    }
}

/// All of the configuration; and the one that `policy` names or writes out.
pub(super) async fn read(
    State(api): State<Arc<Api>>,
    query: Query,
) -> Result<Json<RetryPoliciesOut>, ApiError> {
    let RetryPolicies { default, named } = &api.retry_policies;
    let broken = |problem: String| ApiError::query("policy", problem);
    let asked = query.text("policy").map(|asked| match named.get_key_value(asked) {
        Some((name, text)) => RetryPolicyOut::new(Some(name), text),
        None => RetryPolicyOut::new(None, asked),
    });
    let named = named.iter().map(|(name, text)| RetryPolicyOut::new(Some(name), text));
    Ok(Json(RetryPoliciesOut {
        default: RetryPolicyOut::new(None, default).map_err(broken)?,
        named: named.collect::<Result<_, _>>().map_err(broken)?,
        policy: asked.transpose().map_err(broken)?,
    }))
}
