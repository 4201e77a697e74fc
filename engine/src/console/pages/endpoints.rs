//! The endpoints of an application: where its messages go, and how each is doing.

use askama::Template;
use axum::extract::Path;

use super::super::frame::Frame;
use super::super::html;
use super::super::inside::{Inside, encoded};
use super::super::live::Part;
use super::super::shapes::{Endpoint, List, Vitals, Window};
use super::super::trouble::Trouble;
use super::super::visit::Visit;
use super::{Answer, Page, answer, part};

/// Endpoints of a page.
const LIMIT: usize = 50;

#[derive(Template)]
#[template(path = "endpoints.html", blocks = ["rows"])]
struct EndpointsPage {
    f: Frame,
    path: String,
    rows: Vec<Row>,
    /// Asks for the page behind this one.
    next: Option<String>,
}

struct Row {
    endpoint: Endpoint,
    vitals: Vitals,
}

impl Row {
    /// The last hour.
    fn hour(&self) -> Window {
        self.vitals.recent.as_ref().map(|recent| recent.last_hour.clone()).unwrap_or_default()
    }

    fn state(&self) -> html::Html {
        let health = self.endpoint.health.as_ref().map(|health| health.state.as_str());
        html::endpoint_state(self.endpoint.disabled, self.endpoint.disabled_reason.as_ref(), health)
    }
}

impl Page for EndpointsPage {
    fn parts(&self) -> Vec<Part> {
        vec![part("rows", self.as_rows())]
    }
}

pub(super) async fn page(visit: Visit, Path(app): Path<String>) -> Answer {
    answer(visit, move |visit| make(visit, app.clone())).await
}

async fn make(visit: Visit, app: String) -> Result<EndpointsPage, Trouble> {
    let inside = visit.inside();
    let path = format!("/app/{}", encoded(&app));
    let iterator = encoded(visit.query().text("iterator"));
    let list: List<Endpoint> =
        inside.get(&format!("{path}/endpoint?order=descending&limit={LIMIT}&iterator={iterator}")).await?;
    let mut rows = Vec::with_capacity(list.data.len());
    for endpoint in list.data {
        let vitals = vitals(&inside, &path, &endpoint).await?;
        rows.push(Row { endpoint, vitals });
    }
    Ok(EndpointsPage {
        f: visit.frame("Endpoints", "endpoints", Some(&app)).await.live(&visit),
        path: format!("{}{path}", visit.base()),
        rows,
        next: (!list.done).then_some(list.iterator),
    })
}

/// From memory alone. One that went meanwhile has none.
async fn vitals(inside: &Inside, path: &str, endpoint: &Endpoint) -> Result<Vitals, Trouble> {
    match inside.get(&format!("{path}/endpoint/{}/vitals", encoded(&endpoint.id))).await {
        Err(trouble) if trouble.status() == http::StatusCode::NOT_FOUND => Ok(Vitals::default()),
        other => other,
    }
}
