//! Attempts, by message and by endpoint, and where deliveries stand.

use super::super::openapi::{Operation, Parameter, query, schema};
use super::super::route::Route;
use super::super::{attempt, message};
use crate::config::Scope;

const TAG: &str = "Message Attempt";

pub(super) fn routes() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary);
    let list = |operation: Operation| {
        operation
            .query(query::page("atmpt_1732300000000-0"))
            .query(query::of_attempts())
            .query(query::of_messages())
            .query([query::with_content(true)])
            .answers(200, "ListResponse_MessageAttemptOut_")
    };
    let endpoint_id =
        Parameter::new("endpoint_id", "At this endpoint, by id or uid", schema::uid("unique-ep-identifier"));
    vec![
        Route::get(
            "/app/{app_id}/attempt/endpoint/{endpoint_id}",
            attempt::list_by_endpoint,
            list(op("v1.message-attempt.list-by-endpoint", "List the attempts at an endpoint, newest first")),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/attempt/msg/{msg_id}",
            attempt::list_by_message,
            list(op("v1.message-attempt.list-by-msg", "List the attempts of a message, newest first"))
                .query([endpoint_id]),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
            attempt::read,
            op("v1.message-attempt.get", "Read an attempt").answers(200, "MessageAttemptOut"),
        )
        .needs(Scope::Read),
        Route::delete(
            "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
            attempt::erase,
            op("v1.message-attempt.expunge-content", "Erase the response of an attempt")
                .about("Its headers and its body.")
                .answers_nothing(204)
                .answers(409, "HttpErrorOut"),
        )
        .needs(Scope::Admin),
        Route::post(
            "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
            message::resend,
            op("v1.message-attempt.resend", "Deliver a message to an endpoint again, now")
                .about("Whatever became of it; or for the first time.")
                .answers(202, "EmptyResponse"),
        )
        .needs(Scope::Replay),
        Route::get(
            "/app/{app_id}/msg/{msg_id}/endpoint",
            message::deliveries,
            op("v1.message-attempt.list-attempted-destinations", "Where the deliveries of a message stand")
                .about("Those to endpoints that are gone are left out.")
                .query(query::page("ep_08xTVbZb2uD"))
                .answers(200, "ListResponse_MessageEndpointOut_"),
        )
        .needs(Scope::Read),
    ]
}
