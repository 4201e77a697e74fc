//! Event types: what messages are about, with schema and example.

use askama::Template;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::fields::{Field, FormPage, Section};
use super::super::form::Form;
use super::super::frame::Frame;
use super::super::html::{self, Html};
use super::super::inside::encoded;
use super::super::json::pretty;
use super::super::shapes::{EventType, Example, List};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::{Answer, off, show};

#[derive(Template)]
#[template(path = "event_types.html")]
struct EventTypesPage {
    f: Frame,
    /// What the pages of single ones begin with.
    path: String,
    list: List<EventType>,
    with_archived: bool,
}

#[derive(Template)]
#[template(path = "event_type.html")]
struct EventTypePage {
    f: Frame,
    event_type: EventType,
    /// Where it is changed; empty where it cannot be.
    path: String,
    schema: Option<Html>,
    example: Html,
    /// Whether the example was made from a schema.
    has_schema: bool,
}

pub(super) async fn page(visit: Visit) -> Answer {
    let f = visit.frame("Event types", "event-types", None).await;
    let path = format!("{}/event-type/one", visit.base());
    list(&visit, f, path).await
}

pub(super) async fn of_application(visit: Visit, Path(app): Path<String>) -> Answer {
    let f = visit.frame("Event types", "app-event-types", Some(&app)).await;
    let path = format!("{}/app/{}/event-type", visit.base(), encoded(&app));
    list(&visit, f, path).await
}

async fn list(visit: &Visit, f: Frame, path: String) -> Answer {
    let query = visit.query();
    let with_archived = query.text("archived") == "1";
    let iterator = encoded(query.text("iterator"));
    let asked = format!("/event-type?limit=100&include_archived={with_archived}&iterator={iterator}");
    let list = visit.inside().get(&asked).await?;
    Ok(show(&EventTypesPage { f, path, list, with_archived }, StatusCode::OK))
}

pub(super) async fn one(visit: Visit, Path(name): Path<String>) -> Answer {
    let f = visit.frame(&name, "event-types", None).await;
    let path = if f.is_admin {
        format!("{}/event-type/one/{}", visit.base(), encoded(&name))
    } else {
        String::new()
    };
    shown(&visit, f, path, &name).await
}

pub(super) async fn one_of_application(visit: Visit, Path((app, name)): Path<(String, String)>) -> Answer {
    let f = visit.frame(&name, "app-event-types", Some(&app)).await;
    shown(&visit, f, String::new(), &name).await
}

async fn shown(visit: &Visit, f: Frame, path: String, name: &str) -> Answer {
    let inside = visit.inside();
    let event_type: EventType = inside.get(&format!("/event-type/{}", encoded(name))).await?;
    let example: Example = inside.get(&format!("/event-type/{}/example", encoded(name))).await?;
    let page = EventTypePage {
        f,
        path,
        schema: event_type.schemas.as_deref().map(|schemas| pretty(schemas.get())),
        example: pretty(example.payload.as_deref().map_or("", RawValue::get)),
        has_schema: example.has_schema,
        event_type,
    };
    Ok(show(&page, StatusCode::OK))
}

fn sections(is_new: bool) -> Vec<Section> {
    let mut fields = Vec::new();
    if is_new {
        fields.push(
            Field::line("name", "Name")
                .required()
                .placeholder("invoice.paid")
                .hint("Words with dots between; endpoints may ask for all that begin alike."),
        );
    }
    fields.push(Field::line("description", "Description").wide().required());
    fields.push(Field::tick("deprecated", "Deprecated"));
    let schemas = Field::area("schemas", "JSON Schemas, by version", 14)
        .placeholder("{\"1\": {\"type\": \"object\", \"examples\": [{\"id\": 7}]}}")
        .hint("The highest number is the present one. An example in it is what test events carry.");
    vec![Section::new("", fields), Section::new("", vec![schemas])]
}

fn body(form: &Form) -> Result<Value, Trouble> {
    let schemas = match form.raw("schemas").trim() {
        "" => Value::Null,
        text => serde_json::from_str(text)
            .map_err(|error| Trouble::field("schemas", format!("it is not JSON: {error}")))?,
    };
    Ok(json!({
        "description": form.text("description"),
        "deprecated": form.is_ticked("deprecated"),
        "schemas": schemas,
    }))
}

async fn new_page(visit: &Visit) -> FormPage {
    let list = format!("{}/event-type", visit.base());
    let f = visit.frame("New event type", "event-types", None).await;
    FormPage::new(f, format!("{list}/new"), sections(true), list)
}

pub(super) async fn new(visit: Visit) -> Answer {
    Ok(new_page(&visit).await.answer(&Form::default(), &Problems::default()))
}

pub(super) async fn create(visit: Visit, Sent(form): Sent) -> Answer {
    let made = async {
        let mut body = body(&form)?;
        body["name"] = json!(form.text("name"));
        visit.inside().post::<EventType>("/event-type", &body).await
    };
    match made.await {
        Ok(made) => Ok(off(&format!("{}/event-type/one/{}", visit.base(), encoded(&made.name)), "created")),
        Err(trouble) => Ok(new_page(&visit).await.answer(&form, &trouble.into())),
    }
}

async fn edit_page(visit: &Visit, name: &str) -> FormPage {
    let path = format!("{}/event-type/one/{}", visit.base(), encoded(name));
    let f = visit.frame("Edit event type", "event-types", None).await;
    FormPage::new(f, format!("{path}/edit"), sections(false), path)
}

pub(super) async fn edit(visit: Visit, Path(name): Path<String>) -> Answer {
    let found: EventType = visit.inside().get(&format!("/event-type/{}", encoded(&name))).await?;
    let schemas = found.schemas.as_deref().map(|schemas| {
        let value = serde_json::from_str::<Value>(schemas.get());
        value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_default()
    });
    let form = Form::of([
        ("description", Some(found.description)),
        ("deprecated", found.deprecated.then(|| "1".into())),
        ("schemas", schemas),
    ]);
    Ok(edit_page(&visit, &name).await.answer(&form, &Problems::default()))
}

pub(super) async fn save(visit: Visit, Path(name): Path<String>, Sent(form): Sent) -> Answer {
    let path = format!("/event-type/{}", encoded(&name));
    let saved = async { visit.inside().send(Method::PATCH, &path, Some(&body(&form)?)).await };
    match saved.await {
        Ok(()) => Ok(off(&format!("{}/event-type/one/{}", visit.base(), encoded(&name)), "saved")),
        Err(trouble) => Ok(edit_page(&visit, &name).await.answer(&form, &trouble.into())),
    }
}

/// What the buttons of the page do.
pub(super) async fn act(visit: Visit, Path(name): Path<String>, Sent(form): Sent) -> Answer {
    let inside = visit.inside();
    let path = format!("/event-type/{}", encoded(&name));
    let here = format!("{}/event-type/one/{}", visit.base(), encoded(&name));
    match form.text("do") {
        "archive" => {
            inside.send(Method::DELETE, &path, None).await?;
            Ok(off(&here, "archived"))
        }
        "restore" => {
            inside.send(Method::PATCH, &path, Some(&json!({ "archived": false }))).await?;
            Ok(off(&here, "restored"))
        }
        "expunge" => {
            inside.send(Method::DELETE, &format!("{path}?expunge=true"), None).await?;
            Ok(off(&format!("{}/event-type", visit.base()), "deleted"))
        }
        _ => Err(Trouble::not_found()),
    }
}
