//! Alerts: what somebody should hear of, newest first.

use askama::Template;
use axum::extract::Path;
use axum::http::Method;

use super::super::frame::Frame;
use super::super::html;
use super::super::inside::encoded;
use super::super::live::Part;
use super::super::shapes::{Alert, List};
use super::super::visit::{Sent, Visit};
use super::{Answer, Page, answer, off, part};
use serde_json::json;

#[derive(Template)]
#[template(path = "alerts.html", blocks = ["rows"])]
struct AlertsPage {
    f: Frame,
    list: List<Alert>,
    is_open_only: bool,
}

impl Page for AlertsPage {
    fn parts(&self) -> Vec<Part> {
        vec![part("rows", self.as_rows())]
    }
}

impl AlertsPage {
    /// Whether it is over, or was never something that lasts, is said by when it ended.
    fn kind(alert: &Alert) -> &str {
        alert.r#type.rsplit('.').next().unwrap_or_default()
    }
}

/// The query of the API for the query of the page.
fn asked(visit: &Visit) -> (String, bool) {
    let query = visit.query();
    let is_open_only = query.text("open") == "true";
    let open = if is_open_only { "&open=true" } else { "" };
    (format!("limit=50{open}&iterator={}", encoded(query.text("iterator"))), is_open_only)
}

pub(super) async fn page(visit: Visit) -> Answer {
    answer(visit, async |visit: Visit| {
        let (query, is_open_only) = asked(&visit);
        let list = visit.inside().get(&format!("/alert?{query}")).await?;
        Ok(AlertsPage { f: visit.frame("Alerts", "alerts", None).await.live(&visit), list, is_open_only })
    })
    .await
}

pub(super) async fn of_application(visit: Visit, Path(app): Path<String>) -> Answer {
    answer(visit, move |visit: Visit| {
        let app = app.clone();
        async move {
            let (query, is_open_only) = asked(&visit);
            let list = visit.inside().get(&format!("/app/{}/alert?{query}", encoded(&app))).await?;
            let f = visit.frame("Alerts", "app-alerts", Some(&app)).await.live(&visit);
            Ok(AlertsPage { f, list, is_open_only })
        }
    })
    .await
}

pub(super) async fn acknowledge(visit: Visit, Path(id): Path<String>, Sent(form): Sent) -> Answer {
    let path = format!("/alert/{}/acknowledge", encoded(&id));
    visit.inside().send(Method::POST, &path, Some(&json!({ "note": form.text("note") }))).await?;
    Ok(off(&format!("{}/alert", visit.base()), "acknowledged"))
}
