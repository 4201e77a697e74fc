//! The overview: how the server is doing at this moment, and what is the matter, in words.

use askama::Template;
use axum::response::{IntoResponse as _, Redirect};

use super::super::chart;
use super::super::frame::Frame;
use super::super::html::{self, Html};
use super::super::live::Part;
use super::super::shapes::{Alert, Application, List, Overview};
use super::super::trouble::Trouble;
use super::super::visit::Visit;
use super::{Answer, Page, answer, part};

/// Alerts that are named.
const ALERTS: usize = 10;

#[derive(Template)]
#[template(path = "overview.html", blocks = ["figures", "matters", "seconds", "minutes"])]
struct OverviewPage {
    f: Frame,
    overview: Overview,
    alerts: Vec<Alert>,
    is_empty: bool,
    seconds_chart: Html,
    minutes_chart: Html,
}

impl Page for OverviewPage {
    fn parts(&self) -> Vec<Part> {
        vec![
            part("figures", self.as_figures()),
            part("matters", self.as_matters()),
            part("seconds", self.as_seconds()),
            part("minutes", self.as_minutes()),
        ]
    }
}

impl OverviewPage {
    fn is_well(&self) -> bool {
        self.overview.problems.is_empty() && self.overview.locked_out.count == 0 && self.alerts.is_empty()
    }
}

pub(super) async fn page(visit: Visit) -> Answer {
    if visit.bound_to().is_some() {
        let home = visit.frame("", "", None).await.home;
        return Ok(Redirect::to(&home).into_response());
    }
    answer(visit, make).await
}

async fn make(visit: Visit) -> Result<OverviewPage, Trouble> {
    let inside = visit.inside();
    let overview: Overview = inside.get("/overview").await?;
    let alerts: List<Alert> = inside.get(&format!("/alert?open=true&limit={ALERTS}")).await?;
    let applications: List<Application> = inside.get("/app?limit=1").await?;
    Ok(OverviewPage {
        f: visit.frame("Overview", "overview", None).await.live(&visit),
        seconds_chart: chart::rates("Last three minutes", &overview.seconds),
        minutes_chart: chart::rates("Last day", &overview.minutes),
        overview,
        // Who is locked out is named already.
        alerts: alerts.data.into_iter().filter(|alert| !alert.r#type.ends_with("locked_out")).collect(),
        is_empty: applications.data.is_empty(),
    })
}
