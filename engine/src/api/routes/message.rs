//! `/app/{app_id}/msg`

use super::super::openapi::{Operation, query};
use super::super::route::Route;
use super::super::{batch, filter_test, message};
use crate::config::Scope;

const TAG: &str = "Message";

pub(super) fn routes() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary);
    vec![
        Route::get(
            "/app/{app_id}/msg",
            message::list,
            op("v1.message.list", "List the messages of an application, newest first")
                .query(query::page("msg_1732300000000-0"))
                .query(query::of_messages())
                .query([query::with_content(true)])
                .answers(200, "ListResponse_MessageOut_"),
        )
        .needs(Scope::Read),
        Route::post(
            "/app/{app_id}/msg",
            message::create,
            op("v1.message.create", "Publish a message")
                .about("It is stored on disk before the answer comes.")
                .query([query::with_content(true)])
                .body("MessageIn")
                .answers(202, "MessageOut"),
        )
        .needs(Scope::Ingest),
        Route::post(
            "/app/{app_id}/msg/batch",
            batch::create,
            op("v1.message.create-batch", "Publish many messages at once")
                .about("Ours. One that is refused does not stand in the way of the others.")
                .query([query::with_content(false)])
                .body("MessageBatchIn")
                .answers(202, "MessageBatchOut"),
        )
        .needs(Scope::Ingest)
        .takes_batches(),
        // It changes nothing, and shows nothing that was not sent along.
        Route::post(
            "/app/{app_id}/filter-test",
            filter_test::ask,
            op("v1.message.filter-test", "What a filter says of a message")
                .about("Ours. Nothing is saved and nothing is sent.")
                .body("FilterTestIn")
                .answers(200, "FilterTestOut"),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/msg/{msg_id}",
            message::read,
            op("v1.message.get", "Read a message")
                .query([query::with_content(true)])
                .answers(200, "MessageOut"),
        )
        .needs(Scope::Read),
        Route::delete(
            "/app/{app_id}/msg/{msg_id}/content",
            message::erase,
            op("v1.message.expunge-content", "Erase the payload of a message")
                .about(
                    "What is pending of it is cancelled, and it cannot be sent again. When the answer comes, the \
                     payload cannot be read any more, not from the disk either.",
                )
                .answers_nothing(204)
                .answers(409, "HttpErrorOut"),
        )
        .needs(Scope::Admin),
        Route::delete(
            "/app/{app_id}/msg/{msg_id}",
            message::cancel,
            op("v1.message.cancel", "Cancel what is pending of a message")
                .about("Ours. Doing so again is fine.")
                .answers_nothing(204),
        )
        .needs(Scope::Ingest),
    ]
}
