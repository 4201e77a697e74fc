//! The audit log: who changed what, and when.

use askama::Template;
use axum::http::StatusCode;

use super::super::form::Form;
use super::super::frame::Frame;
use super::super::html;
use super::super::inside::encoded;
use super::super::shapes::{AuditEntry, List};
use super::super::visit::Visit;
use super::{Answer, show};

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    f: Frame,
    filters: Form,
    list: List<AuditEntry>,
    next: String,
}

pub(super) async fn page(visit: Visit) -> Answer {
    let filters = visit.query();
    let mut query = String::new();
    for name in ["actor", "action", "object"] {
        if !filters.text(name).is_empty() {
            query += &format!("&{name}={}", encoded(filters.text(name)));
        }
    }
    let iterator = encoded(filters.text("iterator"));
    let list: List<AuditEntry> =
        visit.inside().get(&format!("/audit?limit=100{query}&iterator={iterator}")).await?;
    let next = format!("?iterator={}{query}", encoded(&list.iterator));
    let f = visit.frame("Audit log", "audit", None).await;
    Ok(show(&AuditPage { f, filters, list, next }, StatusCode::OK))
}
