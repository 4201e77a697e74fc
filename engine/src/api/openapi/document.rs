//! The document as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::operation::{Answer, Operation, Parameter};
use super::{page, schema, schemas};
use crate::api::idempotency;
use crate::api::paging::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::api::route::{BASE, Route};
use crate::config::Scope;

const ABOUT: &str = "Posthaste stores messages, brings them to the endpoints that want them, tries again when \
    that fails, and can say what became of each. The shapes are those of the open Svix server API; what is ours \
    says so. Fields that are not known are ignored. `null` for a field that cannot be empty counts as absent.";
/// What shows the document to people, and what each part of it is about.
const TAGS: [(&str, &str); 11] = [
    ("Application", "Whose endpoints these are: a customer of the platform that runs this."),
    ("Event Type", "What messages are about, and what endpoints can ask for."),
    ("Endpoint", "URLs that want messages, with secret, policy and state."),
    ("Message", "What happened: published once, delivered to every endpoint that wants it."),
    ("Message Attempt", "What was tried, and what came back."),
    ("Background Task", "Much that is delivered again, and how far that has come."),
    ("Server", "How the server as a whole is doing, and what it was told to do."),
    ("Alert", "What somebody should hear of."),
    ("Audit", "Who changed what, and when."),
    ("Authentication", "Keys, and access for the people of one application."),
    ("Health", "The server itself."),
];

/// See the head of this file. Made once; cloning shares it.
#[derive(Debug, Clone)]
pub(in crate::api) struct Document(Arc<Rendered>);

#[derive(Debug)]
struct Rendered {
    json: Bytes,
    html: Bytes,
    page_policy: HeaderValue,
}

impl Document {
    /// Of these routes.
    pub(in crate::api) fn of(routes: &[Route]) -> Self {
        let value = value(routes);
        let json = serde_json::to_vec(&value).expect("a value can always be written as JSON").into();
        let page_policy =
            page::policy().try_into().expect("the policy is visible ASCII; a test renders the page");
        Self(Arc::new(Rendered { json, html: page::render(&value).into(), page_policy }))
    }

    pub(in crate::api) fn json(&self) -> Bytes {
        self.0.json.clone()
    }

    pub(super) fn html(&self) -> Bytes {
        self.0.html.clone()
    }

    pub(super) fn page_policy(&self) -> HeaderValue {
        self.0.page_policy.clone()
    }
}

fn value(routes: &[Route]) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let item = paths.entry(format!("{BASE}{}", route.path)).or_default();
        item.insert(route.method.as_str().to_ascii_lowercase(), operation(route));
    }
    let tags: Vec<Value> =
        TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Posthaste", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "HTTPBearer": {
                "type": "http", "scheme": "bearer",
                "description": "A token of the configuration (`api.tokens`, `api.keys`), a key that was made, or a token from app-portal-access",
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let Operation { id, tag, summary, description, parameters, body, answers, errors: _ } = &route.operation;
    let mut about = (*description).to_owned();
    let mut json = json!({
        "operationId": id, "tags": [tag], "summary": summary,
        "parameters": all_parameters(route, parameters), "responses": responses(route, answers),
    });
    if let Some(scope) = route.needs {
        json["security"] = json!([{ "HTTPBearer": [] }]);
        json["x-scope"] = scope.name().into();
        about = format!("{about}\n\nNeeds the scope `{}`.", scope.name()).trim().into();
    } else {
        json["security"] = json!([]);
    }
    json["description"] = about.into();
    if let Some(body) = body {
        let content = json!({ "application/json": { "schema": schema::named(body.schema) } });
        json["requestBody"] = json!({ "required": body.required, "content": content });
    }
    json
}

fn all_parameters(route: &Route, query: &[Parameter]) -> Vec<Value> {
    let mut all: Vec<Value> = names_in(route.path).map(path_parameter).collect();
    all.extend(query.iter().map(Parameter::json));
    if route.is_repeatable() {
        let hours = idempotency::KEPT_FOR.as_secs() / 3_600;
        let about = format!(
            "The same request under the same key within {hours} hours is answered as it was the first time"
        );
        all.push(json!({
            "name": "idempotency-key", "in": "header", "required": false, "description": about, "style": "simple",
            "schema": {
                "type": "string", "minLength": 1, "maxLength": idempotency::KEY_BYTES_MAX, "pattern": "^[!-~]+$",
            },
        }));
    }
    all
}

/// The names in the braces of a path.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Value {
    let (about, schema) = match name {
        "app_id" => ("The application's id or uid", schema::uid("unique-app-identifier")),
        "endpoint_id" => ("The endpoint's id or uid", schema::uid("unique-ep-identifier")),
        "msg_id" => ("The message's id or event id", schema::uid("unique-msg-identifier")),
        "event_type_name" => ("The event type's name", schema::event_type()),
        "key_id" => ("The key's id", schema::uid("key_08xTVbZb2uD")),
        "alert_id" => ("The alert's id", schema::uid("al_08xTVbZb2uD")),
        "task_id" => ("The background task's id", schema::uid("qtask_08xTVbZb2uD")),
        "attempt_id" => ("The attempt's id", schema::uid("atmpt_1732300000000-0")),
        _ => ("An id", schema::uid("an-id")),
    };
    json!({
        "name": name, "in": "path", "required": true, "description": about, "style": "simple", "schema": schema,
    })
}

fn responses(route: &Route, answers: &[(u16, Option<Answer>)]) -> Map<String, Value> {
    let good = answers.iter().map(|(status, answer)| {
        let mut json = json!({ "description": reason(*status) });
        if let Some(answer) = answer {
            json["content"] = answer.content();
        }
        (status.to_string(), json)
    });
    let bad = errors(route).into_iter().map(|status| {
        let name = if status == 422 { "HTTPValidationError" } else { "HttpErrorOut" };
        let mut json = json!({ "description": reason(status), "content": Answer::Json(name).content() });
        if status == 429 {
            json["headers"] = json!({ "Retry-After": {
                "description": "Seconds to wait; absent where the server has too much to store",
                "schema": { "type": "integer", "minimum": 1 },
            } });
        }
        (status.to_string(), json)
    });
    good.chain(bad).collect()
}

/// What may go wrong on this route.
fn errors(route: &Route) -> Vec<u16> {
    let Some(scope) = route.needs else { return route.operation.errors.clone() };
    let (has_names, has_body) = (route.path.contains('{'), route.operation.body.is_some());
    let has_fields = has_body || !route.operation.parameters.is_empty();
    let is_write = route.method != "GET";
    let mut errors = vec![401, 403, 429, 500, 503];
    errors.extend(has_names.then_some(404));
    errors.extend((has_names || has_fields || route.is_repeatable()).then_some(422));
    errors.extend((is_write && (has_body || route.is_repeatable())).then_some(409));
    errors.extend((has_body || route.is_repeatable()).then_some(413));
    errors.extend(has_body.then_some(415));
    errors.extend((is_write && scope != Scope::Read).then_some(507));
    errors.extend(&route.operation.errors);
    errors.sort_unstable();
    errors
}

fn reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    status.canonical_reason().unwrap_or("Answer")
}

/// Parameters that many queries have.
pub(in crate::api) mod query {
    use super::{LIMIT_DEFAULT, LIMIT_MAX, Parameter, json, schema};

    /// Which page: how many, and from where.
    pub(in crate::api) fn page(example: &str) -> [Parameter; 2] {
        let limit = schema::with(schema::number(0, LIMIT_MAX as u64), "default", LIMIT_DEFAULT);
        let iterator = schema::with(schema::text(), "example", example);
        [
            Parameter::new("limit", "The most items of the page", limit),
            Parameter::new("iterator", "The iterator that came with another page", iterator),
        ]
    }

    /// From old to new, or from new to old.
    pub(in crate::api) fn order() -> Parameter {
        Parameter::new("order", "The order of the list", schema::named("Ordering"))
    }

    /// Which messages.
    pub(in crate::api) fn of_messages() -> [Parameter; 4] {
        let [before, after] = span();
        [
            Parameter::list("event_types", "Of one of these event types", schema::event_type()),
            Parameter::new("channel", "On this channel", schema::channel()),
            before,
            after,
        ]
    }

    /// From when to when.
    pub(in crate::api) fn span() -> [Parameter; 2] {
        [
            Parameter::new("before", "Before this time", schema::time()),
            Parameter::new("after", "After this time", schema::time()),
        ]
    }

    /// Something that must be so, or must not; either if nothing is said.
    pub(in crate::api) fn choice(name: &'static str, about: &'static str) -> Parameter {
        Parameter::new(name, about, json!({ "type": "boolean" }))
    }

    /// Which attempts, by how they ended.
    pub(in crate::api) fn of_attempts() -> [Parameter; 2] {
        [
            Parameter::new("status", "That ended so", schema::named("MessageStatus")),
            Parameter::new("status_code_class", "Answered like this", schema::named("StatusCodeClass")),
        ]
    }

    /// Whether what is large is shown.
    pub(in crate::api) fn with_content(default: bool) -> Parameter {
        let about = "Whether payloads, responses and schemas are shown";
        Parameter::new("with_content", about, schema::flag(default))
    }

    /// Something that is so or not.
    pub(in crate::api) fn flag(name: &'static str, about: &'static str) -> Parameter {
        Parameter::new(name, about, json!({ "type": "boolean", "default": false }))
    }
}
