//! For whoever runs the server: alerts, and who changed what.

use super::super::openapi::{Operation, Parameter, query, schema};
use super::super::route::Route;
use super::super::{alert, audit, overview, retry_policy, source_addresses};
use crate::config::Scope;

const ALERT: &str = "Alert";
const AUDIT: &str = "Audit";

pub(super) fn routes() -> Vec<Route> {
    [alerts(), audit_log(), network(), server()].into_iter().flatten().collect()
}

fn alerts() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, ALERT, summary).about("Ours.");
    let list = |operation: Operation| {
        operation
            .query(query::page("al_08xTVbZb2uD"))
            .query([Parameter::list("type", "Of one of these types", schema::named("AlertType"))])
            .query([Parameter::new(
                "endpoint_id",
                "About this endpoint",
                schema::uid("unique-ep-identifier"),
            )])
            .query([
                query::choice("acknowledged", "Whether somebody has acknowledged it"),
                query::choice("open", "Whether it still lasts"),
            ])
            .query(query::span())
            .answers(200, "ListResponse_AlertOut_")
    };
    vec![
        Route::get("/alert", alert::list, list(op("v1.alert.list", "List alerts, newest first")))
            .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/alert",
            alert::list_by_application,
            list(op("v1.alert.list-by-app", "List the alerts of an application, newest first")),
        )
        .needs(Scope::Read),
        Route::get(
            "/alert/{alert_id}",
            alert::read,
            op("v1.alert.get", "Read an alert").answers(200, "AlertOut"),
        )
        .needs(Scope::Read),
        Route::post(
            "/alert/{alert_id}/acknowledge",
            alert::acknowledge,
            op("v1.alert.acknowledge", "Say that somebody has seen it")
                .body_or_none("AcknowledgeIn")
                .answers(200, "AlertOut"),
        )
        .needs(Scope::Admin),
    ]
}

fn audit_log() -> Vec<Route> {
    let op = |id, summary| {
        Operation::new(id, AUDIT, summary)
            .about("Ours.")
            .query([
                Parameter::new("actor", "In this name", schema::text()),
                Parameter::new("action", "This action, or all that begin so: `endpoint`", schema::text()),
                Parameter::new("object", "Done to this", schema::text()),
            ])
            .query(query::span())
    };
    vec![
        Route::get(
            "/audit",
            audit::list,
            op("v1.audit.list", "Who changed what, newest first")
                .query(query::page("aud_1"))
                .answers(200, "ListResponse_AuditEntryOut_"),
        )
        .needs(Scope::Admin),
        Route::get(
            "/audit/export",
            audit::export,
            op("v1.audit.export", "Who changed what, as JSON lines, oldest first")
                .answers_other(200, "application/x-ndjson"),
        )
        .needs(Scope::Admin),
    ]
}

fn server() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, "Server", summary).about("Ours.");
    vec![
        Route::get(
            "/overview",
            overview::read,
            op("v1.overview.get", "How the server is doing at this moment").answers(200, "OverviewOut"),
        )
        .needs(Scope::Read),
        Route::get(
            "/retry-policy",
            retry_policy::read,
            op(
                "v1.retry-policy.get",
                "The retry policies of the configuration, and when their attempts fall",
            )
            .query([Parameter::new(
                "policy",
                "This one too: by name, or written out as an endpoint may have it",
                schema::text(),
            )])
            .answers(200, "RetryPoliciesOut"),
        )
        .needs(Scope::Read)
        .shared(),
    ]
}

fn network() -> Vec<Route> {
    let operation =
        Operation::new("v1.source-addresses.list", "Health", "Where requests to receivers come from")
            .about("Ours: for their allow lists, as `delivery.source_addresses` says.")
            .answers(200, "SourceAddressesOut");
    vec![Route::get("/source-addresses", source_addresses::list, operation).needs(Scope::Read).shared()]
}
