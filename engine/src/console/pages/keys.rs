//! Keys of the API: made here, shown once, revoked.

use askama::Template;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::frame::Frame;
use super::super::html;
use super::super::inside::encoded;
use super::super::shapes::{ApiKey, List};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::{Answer, off, show};

/// How long whoever has a key may take to change over: a day.
const EXPIRY_SECONDS: u64 = 86_400;

/// Scopes, and what they allow in words.
const SCOPES: [(&str, &str); 5] = [
    ("read", "read: look at everything but secrets"),
    ("ingest", "ingest: publish, and take back"),
    ("endpoints:write", "endpoints:write: make and change endpoints, see secrets"),
    ("replay", "replay: send again, send examples"),
    ("admin", "admin: everything"),
];

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    f: Frame,
    list: List<ApiKey>,
    made: Option<ApiKey>,
    form: Form,
    problems: Problems,
    scopes: [(&'static str, &'static str); 5],
}

const FIELDS: [&str; 4] = ["name", "scopes", "applicationId", "expiresAt"];

impl KeysPage {
    fn is_ticked(&self, scope: &str) -> bool {
        self.form.all("scopes").iter().any(|ticked| ticked == scope)
    }
}

pub(super) async fn page(visit: Visit) -> Answer {
    list(&visit, None, Form::default(), Problems::default()).await
}

async fn list(visit: &Visit, made: Option<ApiKey>, form: Form, problems: Problems) -> Answer {
    let iterator = encoded(visit.query().text("iterator"));
    let list = visit.inside().get(&format!("/auth/api-key?limit=100&iterator={iterator}")).await?;
    let f = visit.frame("Keys", "keys", None).await;
    let status = problems.status();
    Ok(show(&KeysPage { f, list, made, form, problems, scopes: SCOPES }, status))
}

pub(super) async fn create(visit: Visit, Sent(form): Sent) -> Answer {
    let expires_at = match form.text("days") {
        "" => Ok(Value::Null),
        days => match days.parse::<u64>() {
            Ok(days @ 1..=3_650) => {
                Ok(json!(crate::clock::rfc3339(crate::clock::unix_ms() + days * 86_400_000)))
            }
            _ => Err(Trouble::field("expiresAt", "it must be 1 to 3650 days, or empty: never")),
        },
    };
    let made = async {
        let body = json!({
            "name": form.text("name"),
            "scopes": form.all("scopes"),
            "applicationId": form.or_null("applicationId"),
            "eventTypes": form.list_or_null("eventTypes"),
            "expiresAt": expires_at?,
        });
        visit.inside().post::<ApiKey>("/auth/api-key", &body).await
    };
    match made.await {
        Ok(made) => list(&visit, Some(made), Form::default(), Problems::default()).await,
        Err(trouble) => list(&visit, None, form, trouble.into()).await,
    }
}

/// What the buttons of the page do.
pub(super) async fn act(visit: Visit, Path(id): Path<String>, Sent(form): Sent) -> Answer {
    let inside = visit.inside();
    let path = format!("/auth/api-key/{}", encoded(&id));
    let here = format!("{}/key", visit.base());
    match form.text("do") {
        "revoke" => {
            inside.send(Method::DELETE, &path, None).await?;
            Ok(off(&here, "revoked"))
        }
        "expire" => {
            let body = json!({ "expiry": EXPIRY_SECONDS });
            inside.send(Method::POST, &format!("{path}/expire"), Some(&body)).await?;
            Ok(off(&here, "expires"))
        }
        _ => Err(Trouble::refused(StatusCode::NOT_FOUND, "There is nothing like that to be done with a key")),
    }
}
