//! Tests of endpoints.

use super::super::endpoint_test;
use super::super::openapi::Operation;
use super::super::route::Route;
use crate::config::Scope;

pub(super) fn routes() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, "Endpoint", summary);
    vec![
        Route::post(
            "/app/{app_id}/endpoint/probe",
            endpoint_test::probe,
            op("v1.endpoint.probe", "Try an endpoint that is not saved yet")
                .about("Ours. One attempt at once; the answer says what came of it.")
                .body("EndpointProbeIn")
                .answers(200, "ProbeOut"),
        )
        .needs(Scope::EndpointsWrite),
        Route::post(
            "/app/{app_id}/endpoint/{endpoint_id}/test",
            endpoint_test::test,
            op("v1.endpoint.test", "Try an endpoint")
                .about("Ours. One attempt at once; the answer says what came of it.")
                .body_or_none("EndpointTestIn")
                .answers(200, "ProbeOut"),
        )
        .needs(Scope::EndpointsWrite),
        Route::post(
            "/app/{app_id}/endpoint/{endpoint_id}/send-example",
            endpoint_test::send_example,
            op("v1.endpoint.send-example", "Send an endpoint an example of an event type")
                .body("EventExampleIn")
                .answers(200, "MessageOut"),
        )
        .needs(Scope::Replay),
    ]
}
