//! `/event-type`

use super::super::event_type::{create, delete, example, list, patch, put, read};
use super::super::openapi::{Operation, query};
use super::super::route::Route;
use crate::config::Scope;

const TAG: &str = "Event Type";

pub(super) fn routes() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary);
    vec![
        Route::get(
            "/event-type",
            list,
            op("v1.event-type.list", "List event types")
                .query(query::page("user.signup"))
                .query([query::order(), query::with_content(false)])
                .query([query::flag("include_archived", "Whether those no longer in use are listed too")])
                .answers(200, "ListResponse_EventTypeOut_"),
        )
        .needs(Scope::Read)
        .shared(),
        Route::post(
            "/event-type",
            create,
            op("v1.event-type.create", "Make an event type, or take an archived one into use again")
                .body("EventTypeIn")
                .answers(201, "EventTypeOut"),
        )
        .needs(Scope::Admin),
        Route::get(
            "/event-type/{event_type_name}",
            read,
            op("v1.event-type.get", "Read an event type").answers(200, "EventTypeOut"),
        )
        .needs(Scope::Read)
        .shared(),
        Route::get(
            "/event-type/{event_type_name}/example",
            example,
            op("v1.event-type.get-example", "What the payloads of an event type look like")
                .about("Ours. As its newest schema gives or describes it; without one, a stand-in.")
                .answers(200, "EventTypeExampleOut"),
        )
        .needs(Scope::Read)
        .shared(),
        Route::put(
            "/event-type/{event_type_name}",
            put,
            op("v1.event-type.update", "Replace an event type, or make it under this name")
                .body("EventTypeUpdate")
                .answers(200, "EventTypeOut")
                .answers(201, "EventTypeOut"),
        )
        .needs(Scope::Admin),
        Route::patch(
            "/event-type/{event_type_name}",
            patch,
            op("patch_event_type", "Change what the body has")
                .body("EventTypePatch")
                .answers(200, "EventTypeOut"),
        )
        .needs(Scope::Admin),
        Route::delete(
            "/event-type/{event_type_name}",
            delete,
            op("v1.event-type.delete", "Archive an event type")
                .query([query::flag("expunge", "Whether it is removed for good")])
                .answers_nothing(204),
        )
        .needs(Scope::Admin),
    ]
}
