//! The shapes of the API's answers, as far as pages show them.
//!
//! Fields that a page does not show are left out; what is missing in an answer is empty.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) iterator: String,
    pub(super) done: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { data: Vec::new(), iterator: String::new(), done: true }
    }
}

macro_rules! shapes {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Default, Deserialize)]
            #[serde(rename_all = "camelCase", default)]
            pub(super) struct $name { $(pub(super) $field: $kind),* }
        )*
    };
}

shapes! {
    Application {
        id: String,
        uid: Option<String>,
        name: String,
        throttle_rate: Option<u16>,
        metadata: BTreeMap<String, String>,
        require_https: bool,
        allowed_ports: Option<Vec<u16>>,
        validate_payloads: bool,
        created_at: String,
    }
    Endpoint {
        id: String,
        uid: Option<String>,
        url: String,
        description: String,
        disabled: bool,
        disabled_reason: Option<String>,
        event_types: Option<BTreeSet<String>>,
        channels: Option<BTreeSet<String>>,
        throttle_rate: Option<u16>,
        metadata: BTreeMap<String, String>,
        created_at: String,
        updated_at: String,
        authorization: Option<Kind>,
        retry_policy: Option<String>,
        timeout_ms: Option<u32>,
        success_rule: String,
        format: String,
        has_body_secret: bool,
        header_names: String,
        concurrency: Option<u16>,
        filter: Option<String>,
        chain: Option<Chain>,
        tell_response: bool,
        has_client_certificate: bool,
        ca_certificates: Option<String>,
        health: Option<Health>,
        warnings: Vec<String>,
    }
    Kind { r#type: String }
    Chain { name: String, position: u16 }
    Health { state: String, until: Option<String> }
    Headers { headers: BTreeMap<String, String>, sensitive: Vec<String> }
    Secret { key: String }
    Vitals {
        recent: Option<Recent>,
        last_attempt: Option<LastAttempt>,
        health: Option<Health>,
        series: Option<Series>,
    }
    Recent { since: String, last_minute: Window, last_hour: Window, last_day: Window }
    Window {
        attempts: u64,
        refused: u64,
        success_rate: Option<f64>,
        mean_ms: Option<f64>,
        p99_ms: Option<f64>,
    }
    LastAttempt {
        id: String,
        outcome: String,
        response_status_code: u16,
        timestamp: String,
        duration_ms: f64,
    }
    Series { minutes: Vec<Stretch>, half_hours: Vec<Stretch> }
    Stretch {
        since: String,
        succeeded: u32,
        failed: u32,
        refused: u32,
        mean_ms: Option<f64>,
        max_ms: Option<f64>,
    }
    Delivery {
        msg_id: String,
        event_id: Option<String>,
        event_type: Option<String>,
        endpoint_id: String,
        state: String,
        status_text: String,
        attempts: u16,
        last_attempt: Option<LastAttempt>,
        next_attempt: Option<String>,
    }
    MessageEndpoint {
        id: String,
        url: String,
        disabled: bool,
        state: String,
        status_text: String,
        attempts: u16,
        next_attempt: Option<String>,
    }
    Message {
        id: String,
        event_type: String,
        event_id: Option<String>,
        channels: Option<Vec<String>>,
        payload: Option<Box<RawValue>>,
        timestamp: String,
        deliver_at: Option<String>,
        ordering_key: Option<String>,
        override_url: Option<String>,
        content_type: Option<String>,
        payload_encoding: Option<String>,
        payload_erased: bool,
    }
    Attempt {
        id: String,
        msg_id: String,
        endpoint_id: String,
        url: String,
        response: String,
        response_status_code: u16,
        response_duration_ms: u64,
        timestamp: String,
        outcome: String,
        detail: String,
        attempt_number: u16,
        state: String,
        next_attempt: Option<String>,
        response_headers: String,
        timing: Timing,
        reused: bool,
        trigger: String,
        error: Option<Explanation>,
        request_headers: Option<BTreeMap<String, String>>,
        request_headers_missing: Option<String>,
        response_erased: bool,
    }
    Timing { dns_ms: f64, connect_ms: f64, tls_ms: f64, first_byte_ms: f64, total_ms: f64 }
    Explanation { class: String, text: String, hint: String }
    Probe {
        message_id: String,
        event_type: String,
        payload: Option<Box<RawValue>>,
        outcome: String,
        outcome_text: String,
        status: Option<u16>,
        response: Option<Value>,
        response_headers: BTreeMap<String, String>,
        response_hidden: bool,
        timing: Timing,
        request_headers: BTreeMap<String, String>,
    }
    Task { id: String, status: String, task: String, data: Progress, created_at: String, updated_at: String }
    Progress {
        app_id: String,
        endpoint_id: String,
        since: String,
        until: String,
        rate: u32,
        looked_at: u64,
        made: u64,
        detail: Option<String>,
    }
    EventType {
        name: String,
        description: String,
        archived: bool,
        deprecated: bool,
        schemas: Option<Box<RawValue>>,
        created_at: String,
        updated_at: String,
    }
    Example { payload: Option<Box<RawValue>>, has_schema: bool }
    Alert {
        id: String,
        r#type: String,
        summary: String,
        raised_at: String,
        ended_at: Option<String>,
        application_id: String,
        endpoint_id: String,
        acknowledged: Option<Acknowledged>,
    }
    Acknowledged { by: Option<String>, at: String, note: Option<String> }
    AuditEntry {
        id: String,
        at: String,
        actor: String,
        address: Option<String>,
        action: String,
        object: String,
        application: Option<String>,
        fields: Vec<String>,
        count: Option<u64>,
    }
    ApiKey {
        id: String,
        name: String,
        censored_token: String,
        scopes: Vec<String>,
        application_id: Option<String>,
        event_types: Option<Vec<String>>,
        expires_at: Option<String>,
        last_used_at: Option<String>,
        created_at: String,
        token: Option<String>,
    }
    PortalAccess { url: String, token: String }
    SourceAddresses { addresses: Vec<String> }
    RetryPolicies { default: RetryPolicy, named: Vec<RetryPolicy>, policy: Option<RetryPolicy> }
    RetryPolicy { name: Option<String>, policy: String, waits_ms: Vec<u64>, jitter_percent: u8 }
    Overview {
        version: String,
        since: String,
        now: Beat,
        in_flight: i64,
        in_memory: i64,
        oldest_pending: Option<String>,
        locked_out: LockedOut,
        open_alerts: usize,
        log_bytes: u64,
        disk_available_bytes: u64,
        problems: Vec<Explanation>,
        seconds: Vec<Beat>,
        minutes: Vec<Beat>,
    }
    Beat {
        timestamp: String,
        accepted: f64,
        delivered: f64,
        failed: f64,
        exhausted: f64,
        pending: i64,
    }
    LockedOut { count: usize, endpoints: Vec<LockedOutEndpoint> }
    LockedOutEndpoint {
        app_id: String,
        endpoint_id: String,
        url: String,
        state: String,
        until: Option<String>,
    }
}
