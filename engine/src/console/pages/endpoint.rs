//! One endpoint: how it is doing, what it is set to, and what can be done about it.

use askama::Template;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::chart;
use super::super::form::Form;
use super::super::frame::Frame;
use super::super::html::{self, Html};
use super::super::inside::encoded;
use super::super::live::Part;
use super::super::shapes::{
    Delivery, Endpoint, Headers, List, Probe, Recent, RetryPolicies, Secret, Task, Vitals,
};
use super::super::trouble::{Problems, Trouble};
use super::super::visit::{Sent, Visit};
use super::message::ProbeShown;
use super::{Answer, Page, answer, off, part, show};

/// Deliveries that are listed.
const DELIVERIES: usize = 10;

#[derive(Template)]
#[template(path = "endpoint.html", blocks = ["standing", "recent", "charts", "deliveries"])]
struct EndpointPage {
    f: Frame,
    /// Of the application, and of the endpoint below it.
    app_path: String,
    path: String,
    endpoint: Endpoint,
    headers: Headers,
    vitals: Vitals,
    attempts_hour: Html,
    attempts_day: Html,
    times_hour: Html,
    times_day: Html,
    deliveries: Vec<Delivery>,
    schedule: Html,
    policy: String,
    /// What was asked for just now.
    secret: Option<String>,
    probe: Option<ProbeShown>,
    /// What was typed into the repair form, and what is wrong with it.
    since: String,
    problems: Problems,
}

impl Page for EndpointPage {
    fn parts(&self) -> Vec<Part> {
        vec![
            part("standing", self.as_standing()),
            part("recent", self.as_recent()),
            part("charts", self.as_charts()),
            part("deliveries", self.as_deliveries()),
        ]
    }
}

impl EndpointPage {
    fn state(&self) -> Html {
        let health = self.endpoint.health.as_ref().map(|health| health.state.as_str());
        html::endpoint_state(self.endpoint.disabled, self.endpoint.disabled_reason.as_ref(), health)
    }

    fn windows(&self) -> Vec<(&'static str, &super::super::shapes::Window)> {
        self.vitals.recent.as_ref().map_or_else(Vec::new, |recent: &Recent| {
            vec![
                ("last minute", &recent.last_minute),
                ("last hour", &recent.last_hour),
                ("last day", &recent.last_day),
            ]
        })
    }
}

type Names = Path<(String, String)>;

pub(super) async fn page(visit: Visit, Path((app, name)): Names) -> Answer {
    answer(visit, move |visit| make(visit, app.clone(), name.clone())).await
}

async fn make(visit: Visit, app: String, name: String) -> Result<EndpointPage, Trouble> {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(&app));
    let path = format!("{app_path}/endpoint/{}", encoded(&name));
    let endpoint: Endpoint = inside.get(&path).await?;
    let vitals: Vitals = inside.get(&format!("{path}/vitals?with_series=true")).await?;
    let deliveries: List<Delivery> =
        inside.get(&format!("{app_path}/delivery?endpoint_id={}&limit={DELIVERIES}", endpoint.id)).await?;
    let asked = encoded(endpoint.retry_policy.as_deref().unwrap_or_default());
    let policies: RetryPolicies = inside.get(&format!("/retry-policy?policy={asked}")).await?;
    let policy = policies.policy.unwrap_or(policies.default);
    let series = vitals.series.clone().unwrap_or_default();
    Ok(EndpointPage {
        f: visit.frame("Endpoint", "endpoints", Some(&app)).await.live_at(format!("{}{path}", visit.base())),
        app_path: format!("{}{app_path}", visit.base()),
        path: format!("{}{path}", visit.base()),
        headers: inside.get(&format!("{path}/headers")).await?,
        attempts_hour: chart::attempts("Attempts, last hour", &series.minutes),
        attempts_day: chart::attempts("Attempts, last day", &series.half_hours),
        times_hour: chart::times("Response time, last hour", &series.minutes),
        times_day: chart::times("Response time, last day", &series.half_hours),
        deliveries: deliveries.data,
        schedule: chart::schedule(&policy.waits_ms, policy.jitter_percent),
        policy: match (&endpoint.retry_policy, policy.name) {
            (None, _) => "the default".into(),
            (Some(_), Some(name)) => format!("{name}: {}", policy.policy),
            (Some(text), None) => text.clone(),
        },
        endpoint,
        vitals,
        secret: None,
        probe: None,
        since: String::new(),
        problems: Problems::default(),
    })
}

/// What the buttons of the page do.
pub(super) async fn act(visit: Visit, Path((app, name)): Names, Sent(form): Sent) -> Answer {
    let inside = visit.inside();
    let app_path = format!("/app/{}", encoded(&app));
    let path = format!("{app_path}/endpoint/{}", encoded(&name));
    let here = format!("{}{path}", visit.base());
    let set = async |body: Value| inside.send(Method::PATCH, &path, Some(&body)).await;
    match form.text("do") {
        "pause" => {
            set(json!({ "disabled": true })).await?;
            Ok(off(&here, "paused"))
        }
        "resume" => {
            set(json!({ "disabled": false })).await?;
            Ok(off(&here, "resumed"))
        }
        "delete" => {
            inside.send(Method::DELETE, &path, None).await?;
            Ok(off(&format!("{}{app_path}", visit.base()), "deleted"))
        }
        "rotate" => {
            inside.send(Method::POST, &format!("{path}/secret/rotate"), None).await?;
            Ok(off(&here, "rotated"))
        }
        "reveal" => {
            let secret: Secret = inside.get(&format!("{path}/secret")).await?;
            let page = EndpointPage { secret: Some(secret.key), ..make(visit, app, name).await? };
            Ok(show(&page, StatusCode::OK))
        }
        "test" => {
            let probe: Probe = inside.post(&format!("{path}/test"), &json!({})).await?;
            let page = EndpointPage { probe: Some(ProbeShown::new(probe)), ..make(visit, app, name).await? };
            Ok(show(&page, StatusCode::OK))
        }
        kind @ ("recover" | "replay-missing" | "bulk-replay") => {
            let body = match since(&form) {
                Ok(since) => json!({ "since": since }),
                Err(trouble) => return refused(visit, app, name, &form, trouble).await,
            };
            match inside.post::<Task>(&format!("{path}/{kind}"), &body).await {
                Ok(task) => {
                    let task = format!("{}{app_path}/task/{}", visit.base(), encoded(&task.id));
                    Ok(off(&task, "task"))
                }
                Err(trouble) => refused(visit, app, name, &form, trouble).await,
            }
        }
        _ => Err(Trouble::not_found()),
    }
}

/// The page, with what was typed and what is wrong with it.
async fn refused(visit: Visit, app: String, name: String, form: &Form, trouble: Trouble) -> Answer {
    let problems = Problems::from(trouble);
    let status = problems.status();
    let page = EndpointPage { since: form.raw("since").into(), problems, ..make(visit, app, name).await? };
    Ok(show(&page, status))
}

/// From when: so many hours ago, or a time in UTC as a browser's field gives it.
fn since(form: &Form) -> Result<String, Trouble> {
    let text = form.text("since");
    if let Some(hours) = text.strip_suffix('h').and_then(|hours| hours.parse::<u64>().ok()) {
        let ms = crate::clock::unix_ms().saturating_sub(hours.saturating_mul(3_600_000));
        return Ok(crate::clock::rfc3339(ms));
    }
    let with_zone =
        if text.ends_with('Z') { text.to_owned() } else { format!("{}Z", text.replace(' ', "T")) };
    let with_seconds =
        if with_zone.len() == "2026-01-01T00:00Z".len() { with_zone.replace('Z', ":00Z") } else { with_zone };
    match with_seconds.parse::<jiff::Timestamp>() {
        Ok(at) => Ok(at.to_string()),
        Err(_) => Err(Trouble::field("since", "it must be a time such as 2026-01-31 12:00 (UTC), or 24h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_taken_as_people_write_it() {
        let since = |text: &str| since(&Form::of([("since", Some(text.into()))])).ok();
        assert_eq!(since("2026-01-31 12:00").as_deref(), Some("2026-01-31T12:00:00Z"));
        assert_eq!(since("2026-01-31T12:00").as_deref(), Some("2026-01-31T12:00:00Z"));
        assert_eq!(since("2026-01-31T12:00:05Z").as_deref(), Some("2026-01-31T12:00:05Z"));
        assert!(since("24h").is_some());
        for wrong in ["", "yesterday", "24", "-1h", "2026-02-31 12:00"] {
            assert_eq!(since(wrong), None, "{wrong}");
        }
    }
}
