//! Pages that say why there is no page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::Console;
use super::super::frame::Frame;
use super::super::trouble::Trouble;
use super::super::visit::{Door, Visit};
use super::show;

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    title: &'a str,
    brand: &'a str,
    has_logo: bool,
    assets: &'a str,
    what: &'a str,
    hint: &'a str,
    way: &'a str,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    f: Frame,
    what: String,
    hint: &'static str,
}

/// For somebody of whom nothing is known.
pub(in crate::console) fn bare(
    console: &Console,
    door: Door,
    status: StatusCode,
    title: &str,
    what: &str,
    hint: &str,
) -> Response {
    let way = match (door, status) {
        (Door::Operator, StatusCode::UNAUTHORIZED) => "/console/login",
        (Door::Portal, StatusCode::UNAUTHORIZED) => "/portal",
        _ => "",
    };
    let (brand, assets) = (&console.settings.brand, &console.assets.version);
    show(
        &Notice { title, brand: &brand.name, has_logo: brand.logo.is_some(), assets, what, hint, way },
        status,
    )
}

/// For somebody who is in.
pub(in crate::console) async fn in_frame(visit: &Visit, trouble: &Trouble) -> Response {
    let status = trouble.status();
    let (title, hint) = match status.as_u16() {
        403 => ("Not allowed", "Whoever gave you your key or link decides what you may do here."),
        404 => {
            ("Not here", "It may have been removed, or its record has been trimmed (storage.retention_age).")
        }
        405 => ("Not here", "Go back to the page that has the form."),
        409 => ("Not now", "Something stands in the way; what it is stands above."),
        422 => ("Not understood", "Something in the address or the form is not what it should be."),
        429 => ("Too much at once", "Wait a moment, then load the page again."),
        503 | 507 => ("Not available", "Whoever runs the server should look at its log."),
        400..500 => ("Not done", "What stands above says what is wrong with it."),
        _ => ("Something broke", "The log of the server says what. Loading the page again may help."),
    };
    let f = visit.frame(title, "", None).await;
    show(&TroublePage { f, what: trouble.detail().into(), hint }, status)
}
