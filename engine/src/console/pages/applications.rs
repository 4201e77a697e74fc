//! Applications: the list of them, one's settings, and links for its people.

use askama::Template;
use axum::http::Method;
use serde_json::{Value, json};

use super::super::fields::{Field, FormPage, Section};
use super::super::form::Form;
use super::super::frame::Frame;
use super::super::html;
use super::super::inside::encoded;
use super::super::shapes::{Application, List, PortalAccess};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::{Answer, off, show};
use axum::extract::Path;
use axum::http::StatusCode;

/// Links are good for so long: a day.
const LINK_SECONDS: u64 = 86_400;

#[derive(Template)]
#[template(path = "applications.html")]
struct ApplicationsPage {
    f: Frame,
    list: List<Application>,
    /// What was typed into the form, and what is wrong with it.
    name: String,
    uid: String,
    problems: Problems,
}

pub(super) async fn page(visit: Visit) -> Answer {
    list(&visit, &Form::default(), Problems::default()).await
}

async fn list(visit: &Visit, form: &Form, problems: Problems) -> Answer {
    let iterator = encoded(visit.query().text("iterator"));
    let list = visit.inside().get(&format!("/app?limit=50&iterator={iterator}")).await?;
    let f = visit.frame("Applications", "applications", None).await;
    let status = problems.status();
    let (name, uid) = (form.raw("name").into(), form.raw("uid").into());
    Ok(show(&ApplicationsPage { f, list, name, uid, problems }, status))
}

pub(super) async fn create(visit: Visit, Sent(form): Sent) -> Answer {
    let body = json!({ "name": form.text("name"), "uid": form.or_null("uid") });
    match visit.inside().post::<Application>("/app", &body).await {
        Ok(made) => Ok(off(&format!("{}/app/{}", visit.base(), encoded(&made.id)), "created")),
        Err(trouble) => list(&visit, &form, trouble.into()).await,
    }
}

fn sections() -> Vec<Section> {
    vec![
        Section::new(
            "",
            vec![
                Field::line("name", "Name").required(),
                Field::line("uid", "uid").hint(
                    "Your own id of it, which paths and publishers may use: letters, digits, -, _ and .",
                ),
                Field::line("throttleRate", "Messages a second")
                    .hint("To all its endpoints together; what is more waits. Empty: no limit."),
            ],
        ),
        Section::new(
            "Rules for its endpoints",
            vec![
                Field::tick("requireHttps", "URLs must be https"),
                Field::tick("validatePayloads", "Payloads must fit the schema of their event type"),
                Field::line("allowedPorts", "Ports that URLs may have")
                    .hint("With spaces between: 443 8443. Empty: those that egress allows."),
            ],
        ),
    ]
}

pub(super) async fn settings(visit: Visit, Path(app): Path<String>) -> Answer {
    let path = format!("/app/{}", encoded(&app));
    let found: Application = visit.inside().get(&path).await?;
    Ok(settings_page(&visit, &app, None).await.answer(&form_of(&found), &Problems::default()))
}

fn form_of(application: &Application) -> Form {
    let number = |number: Option<u16>| number.map(|number| number.to_string());
    let ports = application
        .allowed_ports
        .as_ref()
        .map(|ports| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" "));
    Form::of([
        ("name", Some(application.name.clone())),
        ("uid", application.uid.clone()),
        ("throttleRate", number(application.throttle_rate)),
        ("requireHttps", application.require_https.then(|| "1".into())),
        ("validatePayloads", application.validate_payloads.then(|| "1".into())),
        ("allowedPorts", ports),
    ])
}

async fn settings_page(visit: &Visit, app: &str, link: Option<PortalAccess>) -> FormPage {
    let action = format!("{}/app/{}/settings", visit.base(), encoded(app));
    let cancel = format!("{}/app/{}", visit.base(), encoded(app));
    let f = visit.frame("Settings", "application", Some(app)).await;
    let more = More { f: f.clone(), path: cancel.clone(), link };
    FormPage {
        after: html::Html(more.render().unwrap_or_default()),
        ..FormPage::new(f, action, sections(), cancel)
    }
}

/// What else can be done with an application.
#[derive(Template)]
#[template(path = "application_more.html")]
struct More {
    f: Frame,
    path: String,
    link: Option<PortalAccess>,
}

pub(super) async fn save(visit: Visit, Path(app): Path<String>, Sent(form): Sent) -> Answer {
    let path = format!("/app/{}", encoded(&app));
    let ports = match form.list_or_null("allowedPorts") {
        Value::Array(ports) => {
            let number =
                |port: &Value| port.as_str().and_then(|port| port.parse::<u64>().ok()).map(Value::from);
            ports.iter().map(|port| number(port).unwrap_or_else(|| port.clone())).collect()
        }
        other => other,
    };
    let body = json!({
        "name": form.text("name"),
        "uid": form.or_null("uid"),
        "throttleRate": form.number_or_null("throttleRate"),
        "requireHttps": form.is_ticked("requireHttps"),
        "validatePayloads": form.is_ticked("validatePayloads"),
        "allowedPorts": ports,
    });
    match visit.inside().send(Method::PATCH, &path, Some(&body)).await {
        Ok(()) => {
            // By its uid it may have another name now.
            let name = if form.text("uid").is_empty() || app.starts_with("app_") {
                app
            } else {
                form.text("uid").into()
            };
            Ok(off(&format!("{}/app/{}/settings", visit.base(), encoded(&name)), "saved"))
        }
        Err(trouble) => Ok(settings_page(&visit, &app, None).await.answer(&form, &trouble.into())),
    }
}

/// A link for its people, shown this once.
pub(super) async fn link(visit: Visit, Path(app): Path<String>, Sent(form): Sent) -> Answer {
    let inside = visit.inside();
    let path = format!("/auth/app-portal-access/{}", encoded(&app));
    let body = json!({ "expiry": LINK_SECONDS, "readOnly": form.is_ticked("readOnly") });
    let link: PortalAccess = inside.post(&path, &body).await?;
    let found: Application = inside.get(&format!("/app/{}", encoded(&app))).await?;
    Ok(settings_page(&visit, &app, Some(link)).await.answer(&form_of(&found), &Problems::default()))
}

pub(super) async fn delete(visit: Visit, Path(app): Path<String>, Sent(form): Sent) -> Answer {
    let inside = visit.inside();
    let path = format!("/app/{}", encoded(&app));
    let found: Application = inside.get(&path).await?;
    if form.text("confirm") != found.name {
        let detail = "The name that was typed is not that of the application, so nothing was removed.";
        return Err(Trouble::refused(StatusCode::CONFLICT, detail));
    }
    inside.send(Method::DELETE, &path, None).await?;
    Ok(off(&format!("{}/app", visit.base()), "deleted"))
}
