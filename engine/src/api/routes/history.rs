//! What became of messages: by endpoint, by state, in numbers, and as a whole.

use super::super::openapi::{Operation, Parameter, query, schema};
use super::super::route::Route;
use super::super::{delivery, endpoint_messages, endpoint_stats, endpoint_vitals, export};
use crate::config::Scope;

pub(super) fn routes() -> Vec<Route> {
    let [status, status_code_class] = query::of_attempts();
    let op = |id, summary| Operation::new(id, "Message Attempt", summary);
    vec![
        Route::get(
            "/app/{app_id}/endpoint/{endpoint_id}/msg",
            endpoint_messages::list,
            op("v1.message-attempt.list-attempted-messages", "List the messages that go to an endpoint")
                .query(query::page("msg_1732300000000-0"))
                .query([status])
                .query(query::of_messages())
                .query([query::with_content(true)])
                .answers(200, "ListResponse_EndpointMessageOut_"),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/endpoint/{endpoint_id}/stats",
            endpoint_stats::read,
            Operation::new("v1.endpoint.get-stats", "Endpoint", "How an endpoint is doing, in numbers")
                .query([
                    Parameter::new("since", "Count from here", schema::time()),
                    Parameter::new("until", "Count up to here", schema::time()),
                ])
                .answers(200, "EndpointStats"),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/endpoint/{endpoint_id}/vitals",
            endpoint_vitals::read,
            Operation::new("v1.endpoint.get-vitals", "Endpoint", "How an endpoint has been doing lately")
                .about("Ours. From memory alone; it begins anew when the server does.")
                .query([query::flag("with_series", "Whether its last hour and day are told in parts")])
                .answers(200, "EndpointVitals"),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/delivery",
            delivery::list,
            op("v1.delivery.list", "List deliveries by where they stand")
                .about("Ours. The one that something happened to last comes first.")
                .query(query::page("dlv_3_2_1_0"))
                .query([Parameter::list("state", "That stand so", schema::named("DeliveryState"))])
                .query([
                    Parameter::new("msg_id", "Of this message", schema::uid("unique-msg-identifier")),
                    Parameter::new("event_id", "Of the message with this id of yours", schema::uid("an-id")),
                    Parameter::new("endpoint_id", "To this endpoint", schema::uid("unique-ep-identifier")),
                    Parameter::new(
                        "status_code",
                        "Answered with this status; 0: not",
                        schema::number(0, 599),
                    ),
                    status_code_class,
                ])
                .query(query::of_messages())
                .answers(200, "ListResponse_DeliveryOut_"),
        )
        .needs(Scope::Read),
        Route::get(
            "/app/{app_id}/export",
            export::export,
            op("v1.message.export", "Messages and attempts as JSON lines, oldest first")
                .about("Ours. The last line has the type `end`; without it the export was cut short.")
                .query(query::span())
                .answers_other(200, "application/x-ndjson"),
        )
        .needs(Scope::Read),
    ]
}
