//! An alert as it is shown: in messages, in the API and in mails alike.
//!
//! The body of a message is what the API shows of the alert at the moment when it was raised.

use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::{Alert, AlertCause, AlertType, Catalog, EventTypeDraft};
use crate::clock::rfc3339;

/// What people and programs are told of an alert.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertShown {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    summary: String,
    raised_at: String,
    application_id: String,
    application_uid: Option<String>,
    endpoint_id: String,
    endpoint_uid: Option<String>,
    /// The URL of the endpoint without its query, which may hold secrets; `None` once it is gone.
    url: Option<String>,
    detail: Value,
}

impl AlertShown {
    /// With what the catalog has about its endpoint now.
    pub(crate) fn new(catalog: &Catalog, alert: &Alert) -> Self {
        let endpoint = catalog.endpoint_by_id(alert.endpoint);
        let application = catalog.application(&alert.application.to_string());
        let url = endpoint.as_ref().map(|endpoint| without_query(&endpoint.url).to_owned());
        Self {
            id: alert.id.to_string(),
            kind: alert.cause.kind().event_type(),
            summary: summary(&alert.cause, url.as_deref().unwrap_or(&alert.endpoint.to_string())),
            raised_at: rfc3339(alert.raised_ms),
            application_id: alert.application.to_string(),
            application_uid: application.and_then(|application| application.uid.clone()),
            endpoint_id: alert.endpoint.to_string(),
            endpoint_uid: endpoint.and_then(|endpoint| endpoint.uid.clone()),
            url,
            detail: detail(&alert.cause),
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let application = self.application_uid.as_ref().unwrap_or(&self.application_id);
        let Self { raised_at, summary, endpoint_id, .. } = self;
        format!("{raised_at}  {summary} (application {application}, endpoint {endpoint_id})")
    }

    /// What happened, in words.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }
}

/// Neither query nor user information: both may hold secrets.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn summary(cause: &AlertCause, which: &str) -> String {
    match cause {
        AlertCause::Failing { since_ms, failures, outcome, status } => {
            let last = with_status(outcome, *status);
            format!(
                "{which} is failing: {failures} failures in a row since {}, the last one {last}",
                rfc3339(*since_ms)
            )
        }
        AlertCause::SuccessRateLow { window_ms, attempts, failures } => {
            let seconds = window_ms / 1_000;
            format!(
                "{which} has a low success rate: {failures} of {attempts} attempts within {seconds} s failed"
            )
        }
        AlertCause::Exhausted { deliveries: 1, message, outcome, status } => {
            let last = with_status(outcome, *status);
            format!("{message} did not arrive at {which}: its last attempt ended with {last}")
        }
        AlertCause::Exhausted { deliveries, message, outcome, status } => {
            let last = with_status(outcome, *status);
            format!(
                "{deliveries} more messages did not arrive at {which}; the last one, {message}, ended with {last}"
            )
        }
        AlertCause::LockedOut { door, until_ms } => {
            let door = door.name();
            format!("{which} is locked out (its {door} keeps failing), at least until {}", rfc3339(*until_ms))
        }
        AlertCause::Recovered { after, since_ms } => {
            let after: Vec<&str> = after.iter().map(|kind| kind.name()).collect();
            format!("{which} has recovered ({}, since {})", after.join(", "), rfc3339(*since_ms))
        }
        AlertCause::Disabled { reason, since_ms: Some(since_ms) } => {
            format!(
                "{which} was disabled ({}): it had been failing since {}",
                reason.name(),
                rfc3339(*since_ms)
            )
        }
        AlertCause::Disabled { reason, since_ms: None } => {
            format!("{which} was disabled ({})", reason.name())
        }
    }
}

fn with_status(outcome: &str, status: Option<u16>) -> String {
    status.map_or_else(|| outcome.to_owned(), |status| format!("{outcome} {status}"))
}

fn detail(cause: &AlertCause) -> Value {
    match cause {
        AlertCause::Failing { since_ms, failures, outcome, status } => json!({
            "since": rfc3339(*since_ms), "failures": failures, "lastOutcome": outcome, "lastStatus": status,
        }),
        AlertCause::SuccessRateLow { window_ms, attempts, failures } => json!({
            "windowSeconds": window_ms / 1_000,
            "attempts": attempts,
            "failures": failures,
            "successPercent": u64::from(attempts.saturating_sub(*failures)) * 100 / u64::from(*attempts).max(1),
        }),
        AlertCause::Exhausted { deliveries, message, outcome, status } => json!({
            "deliveries": deliveries,
            "lastMessageId": message.to_string(),
            "lastOutcome": outcome,
            "lastStatus": status,
        }),
        AlertCause::LockedOut { door, until_ms } => {
            json!({ "door": door.name(), "until": rfc3339(*until_ms) })
        }
        AlertCause::Recovered { after, since_ms } => {
            let after: Vec<&str> = after.iter().map(|kind| kind.event_type()).collect();
            json!({ "after": after, "since": rfc3339(*since_ms) })
        }
        AlertCause::Disabled { reason, since_ms } => {
            json!({ "reason": reason.name(), "failingSince": since_ms.map(rfc3339) })
        }
    }
}

/// The event type of an alert's messages, as the catalog has it: for people, and with a JSON Schema of the body.
pub(crate) fn event_type(kind: AlertType) -> EventTypeDraft {
    let (description, detail) = match kind {
        AlertType::Failing => (
            "Attempts at an endpoint fail one after the other, for some time.",
            json!({
                "since": time(), "failures": count(), "lastOutcome": text(), "lastStatus": status(),
            }),
        ),
        AlertType::SuccessRateLow => (
            "Too few of the attempts at an endpoint succeed.",
            json!({
                "windowSeconds": count(), "attempts": count(), "failures": count(), "successPercent": count(),
            }),
        ),
        AlertType::Exhausted => (
            "Messages did not arrive at an endpoint, and are not tried again.",
            json!({
                "deliveries": count(), "lastMessageId": text(), "lastOutcome": text(), "lastStatus": status(),
            }),
        ),
        AlertType::LockedOut => (
            "Nothing is sent to an endpoint for a while, because its URL or host keeps failing.",
            json!({
                "door": { "enum": ["url", "host"] }, "until": time(),
            }),
        ),
        AlertType::Recovered => (
            "Nothing is wrong with an endpoint any more.",
            json!({
                "after": { "type": "array", "items": text() }, "since": time(),
            }),
        ),
        AlertType::Disabled => (
            "An endpoint gets nothing any more: it answered 410, or has been failing for too long.",
            json!({
                "reason": { "enum": ["gone", "failing"] },
                "failingSince": { "type": ["string", "null"], "format": "date-time" },
            }),
        ),
    };
    let schemas = json!({ "1": schema(kind, description, detail) });
    EventTypeDraft {
        description: description.into(),
        schemas: Some(serde_json::value::to_raw_value(&schemas).expect("JSON is JSON")),
        ..EventTypeDraft::default()
    }
}

fn schema(kind: AlertType, description: &str, detail: Value) -> Value {
    let required: Vec<&String> = detail.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    let nullable = json!({ "type": ["string", "null"] });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.event_type(),
        "description": description,
        "type": "object",
        "properties": {
            "id": text(),
            "type": { "const": kind.event_type() },
            "summary": text(),
            "raisedAt": time(),
            "applicationId": text(),
            "applicationUid": nullable,
            "endpointId": text(),
            "endpointUid": nullable,
            "url": nullable,
            "detail": { "type": "object", "properties": detail, "required": required },
        },
        "required": ["id", "type", "summary", "raisedAt", "applicationId", "endpointId", "detail"],
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn status() -> Value {
    json!({ "type": ["integer", "null"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        assert_eq!(without_query("https://shop.example/hook?key=secret#x"), "https://shop.example/hook");
        assert_eq!(without_query("https://shop.example/"), "https://shop.example/");
    }

    #[test]
    fn the_schema_of_every_event_type_names_the_fields_of_its_body() {
        let status = Some(500);
        let outcome = || "bad_status".to_owned();
        let message = "msg_1-1".parse().unwrap();
        let causes = [
            AlertCause::Failing { since_ms: 0, failures: 5, outcome: outcome(), status },
            AlertCause::SuccessRateLow { window_ms: 60_000, attempts: 10, failures: 5 },
            AlertCause::Exhausted { deliveries: 2, message, outcome: outcome(), status },
            AlertCause::LockedOut { door: crate::catalog::AlertDoor::Host, until_ms: 0 },
            AlertCause::Recovered { after: vec![AlertType::Failing], since_ms: 0 },
            AlertCause::Disabled { reason: crate::catalog::Disabled::Gone, since_ms: None },
        ];
        for cause in causes {
            let draft = event_type(cause.kind());
            let schemas: Value = serde_json::from_str(draft.schemas.unwrap().get()).unwrap();
            let schema = &schemas["1"]["properties"]["detail"]["properties"];
            let shown = detail(&cause);
            assert!(shown.as_object().unwrap().keys().eq(schema.as_object().unwrap().keys()), "{shown}");
        }
    }
}
