//! The test bench: compose an event or take an example, send it, and see what comes of it.
//!
//! Two ways: to one endpoint at once, with the answer on this page, nothing stored; or published like any other message,
//! and followed on its own page.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::frame::Frame;
use super::super::inside::encoded;
use super::super::shapes::{Endpoint, EventType, Example, List, Message, Probe};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::message::ProbeShown;
use super::{Answer, off, show};

/// Endpoints and event types that are offered.
const OFFERED_MAX: usize = 250;

#[derive(Template)]
#[template(path = "test_bench.html")]
struct TestBench {
    f: Frame,
    path: String,
    endpoints: Vec<Endpoint>,
    event_types: Vec<EventType>,
    form: Form,
    problems: Problems,
    result: Option<ProbeShown>,
}

/// Fields that problems are shown beside.
const FIELDS: [&str; 4] = ["eventType", "payload", "endpoint", "channels"];

pub(super) async fn page(visit: Visit, Path(app): Path<String>) -> Answer {
    let query = visit.query();
    let form = Form::of([
        ("endpoint", Some(query.text("endpoint").to_owned())),
        ("eventType", Some(query.text("type").to_owned())),
    ]);
    let form = match query.text("type") {
        "" => form,
        _ => with_example(&visit, form).await?,
    };
    bench(&visit, &app, form, Problems::default(), None).await
}

async fn bench(
    visit: &Visit,
    app: &str,
    form: Form,
    problems: Problems,
    result: Option<ProbeShown>,
) -> Answer {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(app));
    let endpoints: List<Endpoint> = inside.get(&format!("{app_path}/endpoint?limit={OFFERED_MAX}")).await?;
    let event_types: List<EventType> = inside.get(&format!("/event-type?limit={OFFERED_MAX}")).await?;
    let status = problems.status();
    let page = TestBench {
        f: visit.frame("Test bench", "test", Some(app)).await,
        path: format!("{}{app_path}", visit.base()),
        endpoints: endpoints.data,
        event_types: event_types.data,
        form,
        problems,
        result,
    };
    Ok(show(&page, status))
}

/// The form with the example of its event type as payload, if there is such an event type.
async fn with_example(visit: &Visit, form: Form) -> Result<Form, Trouble> {
    let path = format!("/event-type/{}/example", encoded(form.text("eventType")));
    match visit.inside().get::<Example>(&path).await {
        Ok(example) => Ok(form.with("payload", vec![to_be_changed(&example)])),
        Err(trouble) if trouble.status() == StatusCode::NOT_FOUND => Ok(form),
        Err(trouble) => Err(trouble),
    }
}

/// An example, as text to be changed.
fn to_be_changed(example: &Example) -> String {
    let payload = example.payload.as_deref().map_or("{}", RawValue::get);
    let value = serde_json::from_str::<Value>(payload);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| payload.into())
}

pub(super) async fn act(visit: Visit, Path(app): Path<String>, Sent(form): Sent) -> Answer {
    if form.text("do") == "example" {
        let form = with_example(&visit, form).await?;
        return bench(&visit, &app, form, Problems::default(), None).await;
    }
    match send(&visit, &app, &form).await {
        Ok(Sending::Tried(probe)) => {
            bench(&visit, &app, form, Problems::default(), Some(ProbeShown::new(*probe))).await
        }
        Ok(Sending::Published(message)) => {
            let path = format!("{}/app/{}/msg/{}", visit.base(), encoded(&app), encoded(&message.id));
            Ok(off(&path, "published"))
        }
        Err(trouble) => bench(&visit, &app, form, trouble.into(), None).await,
    }
}

/// What is sent, its payload byte for byte.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<&'a str>,
    payload: &'a RawValue,
    channels: Value,
}

enum Sending {
    Tried(Box<Probe>),
    Published(Box<Message>),
}

async fn send(visit: &Visit, app: &str, form: &Form) -> Result<Sending, Trouble> {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(app));
    // As it was typed: order of keys and spelling of numbers are part of what receivers sign.
    let payload = form.raw("payload").trim();
    let payload: Box<RawValue> = serde_json::from_str(if payload.is_empty() { "{}" } else { payload })
        .map_err(|error| Trouble::field("payload", format!("it is not JSON: {error}")))?;
    let event_type = form.text("eventType");
    let event_type = if event_type.is_empty() { "endpoint.test" } else { event_type };
    match form.text("do") {
        "publish" => {
            let channels = form.list_or_null("channels");
            let body = Event { event_type: Some(event_type), payload: &payload, channels };
            inside.post(&format!("{app_path}/msg"), &body).await.map(Box::new).map(Sending::Published)
        }
        "example-message" => {
            let endpoint = endpoint(form)?;
            let path = format!("{app_path}/endpoint/{endpoint}/send-example");
            let body = json!({ "eventType": event_type });
            inside.post(&path, &body).await.map(Box::new).map(Sending::Published)
        }
        _ => {
            let endpoint = endpoint(form)?;
            let named = (!form.text("eventType").is_empty()).then_some(event_type);
            let body = Event { event_type: named, payload: &payload, channels: Value::Null };
            let path = format!("{app_path}/endpoint/{endpoint}/test");
            inside.post(&path, &body).await.map(Box::new).map(Sending::Tried)
        }
    }
}

fn endpoint(form: &Form) -> Result<String, Trouble> {
    match form.text("endpoint") {
        "" => Err(Trouble::field("endpoint", "choose the endpoint to send it to")),
        endpoint => Ok(encoded(endpoint)),
    }
}
