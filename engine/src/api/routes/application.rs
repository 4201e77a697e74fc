//! `/app`

use super::super::application::{create, delete, list, patch, put, read};
use super::super::openapi::{Operation, query};
use super::super::route::Route;
use crate::config::Scope;

const TAG: &str = "Application";

pub(super) fn routes() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary);
    let upserted = |operation: Operation| {
        operation.body("ApplicationIn").answers(200, "ApplicationOut").answers(201, "ApplicationOut")
    };
    vec![
        Route::get(
            "/app",
            list,
            op("v1.application.list", "List applications")
                .query(query::page("app_08xTVbZb2uD"))
                .query([query::order()])
                .answers(200, "ListResponse_ApplicationOut_"),
        )
        .needs(Scope::Read),
        Route::post(
            "/app",
            create,
            upserted(op("v1.application.create", "Make an application"))
                .query([query::flag("get_if_exists", "Whether the one that has the uid will do")]),
        )
        .needs(Scope::Admin),
        Route::get(
            "/app/{app_id}",
            read,
            op("v1.application.get", "Read an application").answers(200, "ApplicationOut"),
        )
        .needs(Scope::Read),
        Route::put(
            "/app/{app_id}",
            put,
            upserted(op("v1.application.update", "Replace an application, or make it under this uid")),
        )
        .needs(Scope::Admin),
        Route::patch(
            "/app/{app_id}",
            patch,
            op("patch_application", "Change what the body has")
                .body("ApplicationPatch")
                .answers(200, "ApplicationOut"),
        )
        .needs(Scope::Admin),
        Route::delete(
            "/app/{app_id}",
            delete,
            op("v1.application.delete", "Remove an application and its endpoints").answers_nothing(204),
        )
        .needs(Scope::Admin),
    ]
}
