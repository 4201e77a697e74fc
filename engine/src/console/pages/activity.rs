//! The activity of an application: its deliveries, the one that something happened to last first. What is asked for stands
//! in the address, so that it can be handed on.

use askama::Template;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::super::form::Form;
use super::super::frame::Frame;
use super::super::html;
use super::super::inside::encoded;
use super::super::live::{self, Part};
use super::super::shapes::{Delivery, Endpoint, List};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::{Answer, EVERY, Page, off, part, show};

/// Deliveries of a page.
const LIMIT: usize = 50;
/// Deliveries that are sent again at a time.
const PICKED_MAX: usize = 250;
/// Endpoints that are offered to choose from.
const ENDPOINTS_MAX: usize = 250;

/// What a filter is called in the address, and by the API.
const FILTERS: [(&str, &str); 8] = [
    ("endpoint", "endpoint_id"),
    ("type", "event_types"),
    ("channel", "channel"),
    ("state", "state"),
    ("message", "msg_id"),
    ("class", "status_code_class"),
    ("after", "after"),
    ("before", "before"),
];

#[derive(Template)]
#[template(path = "activity.html", blocks = ["rows"])]
struct ActivityPage {
    f: Frame,
    path: String,
    /// What is asked for.
    filters: Form,
    problems: Problems,
    endpoints: Vec<Endpoint>,
    list: List<Delivery>,
    is_tail: bool,
    /// The filters as a query: with the tail turned the other way, for the page behind this one, and as they are.
    turned: String,
    next: String,
    query: String,
}

impl Page for ActivityPage {
    fn parts(&self) -> Vec<Part> {
        vec![part("rows", self.as_rows())]
    }
}

impl ActivityPage {
    fn is_filtered(&self) -> bool {
        FILTERS.iter().any(|(name, _)| !self.filters.text(name).is_empty())
    }

    fn url_of(&self, id: &str) -> Option<&str> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id).map(|endpoint| endpoint.url.as_str())
    }

    fn problem(&self, name: &str) -> Option<&str> {
        let (_, api) = FILTERS.iter().find(|(filter, _)| *filter == name)?;
        self.problems.of([*api])
    }

    fn other_problem(&self) -> Option<&str> {
        self.problems.beyond(FILTERS.map(|(_, api)| api))
    }

    fn is_chosen(&self, name: &str, value: &str) -> bool {
        self.filters.text(name) == value
    }
}

pub(super) async fn page(visit: Visit, Path(app): Path<String>) -> Answer {
    if !visit.wants_stream {
        let page = make(visit, app).await?;
        let status = page.problems.status();
        return Ok(show(&page, status));
    }
    let again = visit.clone();
    Ok(live::stream(&visit, EVERY, move || {
        let made = make(again.clone(), app.clone());
        async move { made.await.ok().map(|page| page.parts()) }
    }))
}

async fn make(visit: Visit, app: String) -> Result<ActivityPage, Trouble> {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(&app));
    let filters = visit.query();
    let is_tail = filters.text("tail") == "1";
    let asked = format!("{app_path}/delivery?limit={LIMIT}{}", api_query(&filters));
    let (list, problems) = match inside.get::<List<Delivery>>(&asked).await {
        Ok(list) => (list, Problems::default()),
        Err(trouble @ Trouble::Field { .. }) => (List::default(), trouble.into()),
        // One that is gone, or never was, has no deliveries.
        Err(trouble) if trouble.status() == StatusCode::NOT_FOUND && !filters.text("message").is_empty() => {
            (List::default(), Trouble::field("msg_id", trouble.detail()).into())
        }
        Err(trouble) => return Err(trouble),
    };
    let mut endpoints: List<Endpoint> =
        inside.get(&format!("{app_path}/endpoint?limit={ENDPOINTS_MAX}")).await?;
    let asked = filters.text("endpoint");
    if !asked.is_empty() && !endpoints.data.iter().any(|endpoint| endpoint.id == asked) {
        // It is chosen, so it is offered, too.
        let one: Endpoint = inside.get(&format!("{app_path}/endpoint/{}", encoded(asked))).await?;
        endpoints.data.push(Endpoint { id: asked.into(), ..one });
    }
    let query = page_query(&filters);
    let f = visit.frame("Activity", "activity", Some(&app)).await;
    Ok(ActivityPage {
        f: if is_tail { f.live(&visit) } else { f },
        path: format!("{}{app_path}", visit.base()),
        problems,
        endpoints: endpoints.data,
        is_tail,
        turned: if is_tail { query.clone() } else { format!("{query}&tail=1") },
        next: format!("{query}&iterator={}", encoded(&list.iterator)),
        query,
        list,
        filters,
    })
}

/// The filters as the API wants them.
fn api_query(filters: &Form) -> String {
    let mut query = String::new();
    for (name, api) in FILTERS {
        let value = match (name, filters.text(name)) {
            (_, "") => continue,
            ("after" | "before", time) => with_zone(time),
            (_, text) => text.to_owned(),
        };
        query += &format!("&{api}={}", encoded(&value));
    }
    match filters.text("iterator") {
        "" => {}
        iterator => query += &format!("&iterator={}", encoded(iterator)),
    }
    query
}

/// A browser's field for times knows no zone; these pages are in UTC.
fn with_zone(time: &str) -> String {
    match time.len() {
        16 if time.contains('T') => format!("{time}:00Z"),
        19 if time.contains('T') => format!("{time}Z"),
        _ => time.into(),
    }
}

/// The filters as they stand in the address, without a place in the list.
fn page_query(filters: &Form) -> String {
    let set = FILTERS.iter().filter(|(name, _)| !filters.text(name).is_empty());
    let pairs: Vec<String> = set.map(|(name, _)| format!("{name}={}", encoded(filters.text(name)))).collect();
    format!("?{}", pairs.join("&"))
}

/// Sends again what was picked: `<message>/<endpoint>` each.
pub(super) async fn retry(visit: Visit, Path(app): Path<String>, Sent(form): Sent) -> Answer {
    let app_path = format!("/app/{}", encoded(&app));
    // Only the query comes from the form: it cannot lead elsewhere.
    let back = Form::parse(form.text("query").trim_start_matches('?').as_bytes());
    let here = format!("{}{app_path}/activity{}", visit.base(), page_query(&back));
    let picked = form.all("pick");
    if picked.len() > PICKED_MAX {
        let detail = format!("{} deliveries were chosen; the limit is {PICKED_MAX} at a time.", picked.len());
        return Err(Trouble::refused(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let mut done = 0;
    for pick in picked {
        let Some((message, endpoint)) = pick.split_once('/') else { continue };
        let path = format!("{app_path}/msg/{}/endpoint/{}/resend", encoded(message), encoded(endpoint));
        match visit.inside().send(Method::POST, &path, None).await {
            Ok(()) => done += 1,
            Err(trouble) if picked.len() == 1 => return Err(trouble),
            Err(_) => {}
        }
    }
    Ok(said(&here, done, picked.len()))
}

fn said(here: &str, done: usize, picked: usize) -> Response {
    let word = match (done, picked) {
        (_, 0) => "nothing",
        (done, picked) if done < picked => "partly",
        (1, _) => "retried",
        _ => "retried-many",
    };
    off(here, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_go_from_the_address_to_the_api_and_back() {
        let filters = Form::parse(
            b"endpoint=ep_1&type=a.b&state=&after=2026-01-31T12:00&class=500&tail=1&iterator=x&other=1",
        );
        assert_eq!(
            api_query(&filters),
            "&endpoint_id=ep_1&event_types=a.b&status_code_class=500&after=2026-01-31T12%3A00%3A00Z&iterator=x"
        );
        assert_eq!(page_query(&filters), "?endpoint=ep_1&type=a.b&class=500&after=2026-01-31T12%3A00");
        assert_eq!(page_query(&Form::default()), "?");
    }
}
