//! The configuration as it is in effect, with what the shipped file says of each key.

use askama::Template;
use axum::http::StatusCode;

use super::super::frame::Frame;
use super::super::trouble::Trouble;
use super::super::visit::Visit;
use super::{Answer, show};
use crate::config::{Scope, Shown};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage<'a> {
    f: Frame,
    sections: &'a [Shown],
    public_url: &'a str,
}

pub(super) async fn page(visit: Visit) -> Answer {
    if visit.bound_to().is_some() || !visit.may(Scope::Admin) {
        return Err(Trouble::refused(
            StatusCode::FORBIDDEN,
            "The configuration is for whoever runs the server",
        ));
    }
    let f = visit.frame("Settings", "settings", None).await;
    let console = visit.console();
    let page = SettingsPage { f, sections: &console.configuration, public_url: &console.public_url };
    Ok(show(&page, StatusCode::OK))
}
