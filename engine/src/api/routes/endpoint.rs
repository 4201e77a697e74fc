//! `/app/{app_id}/endpoint`

use super::super::openapi::{Operation, query};
use super::super::route::Route;
use super::super::{endpoint, endpoint_headers, endpoint_secret};
use crate::config::Scope;

const TAG: &str = "Endpoint";
const ALL: &str = "/app/{app_id}/endpoint";
const ONE: &str = "/app/{app_id}/endpoint/{endpoint_id}";
const HEADERS: &str = "/app/{app_id}/endpoint/{endpoint_id}/headers";
const SECRET: &str = "/app/{app_id}/endpoint/{endpoint_id}/secret";
const ROTATE: &str = "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate";

pub(super) fn routes() -> Vec<Route> {
    [endpoints(), headers(), secrets()].into_iter().flatten().collect()
}

fn op(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
}

fn endpoints() -> Vec<Route> {
    vec![
        Route::get(
            ALL,
            endpoint::list,
            op("v1.endpoint.list", "List the endpoints of an application")
                .query(query::page("ep_08xTVbZb2uD"))
                .query([query::order()])
                .answers(200, "ListResponse_EndpointOut_"),
        )
        .needs(Scope::Read),
        Route::post(
            ALL,
            endpoint::create,
            op("v1.endpoint.create", "Make an endpoint").body("EndpointIn").answers(201, "EndpointOut"),
        )
        .needs(Scope::EndpointsWrite),
        Route::get(
            ONE,
            endpoint::read,
            op("v1.endpoint.get", "Read an endpoint").answers(200, "EndpointOut"),
        )
        .needs(Scope::Read),
        Route::put(
            ONE,
            endpoint::put,
            op("v1.endpoint.update", "Replace an endpoint, or make it under this uid")
                .about("What the SDKs do not know (the fields that are ours, and headers) stays unless the body has it.")
                .body("EndpointUpdate")
                .answers(200, "EndpointOut")
                .answers(201, "EndpointOut"),
        )
        .needs(Scope::EndpointsWrite),
        Route::patch(
            ONE,
            endpoint::patch,
            op("patch_endpoint", "Change what the body has").body("EndpointPatch").answers(200, "EndpointOut"),
        )
        .needs(Scope::EndpointsWrite),
        Route::delete(
            ONE,
            endpoint::delete,
            op("v1.endpoint.delete", "Remove an endpoint")
                .about("What is pending for it is cancelled.")
                .answers_nothing(204),
        )
        .needs(Scope::EndpointsWrite),
    ]
}

fn headers() -> Vec<Route> {
    vec![
        Route::get(
            HEADERS,
            endpoint_headers::read,
            op("v1.endpoint.get-headers", "Read the headers that its requests carry")
                .answers(200, "EndpointHeadersOut"),
        )
        .needs(Scope::Read),
        Route::put(
            HEADERS,
            endpoint_headers::put,
            op("v1.endpoint.update-headers", "Replace the headers that its requests carry")
                .body("EndpointHeadersIn")
                .answers_nothing(204),
        )
        .needs(Scope::EndpointsWrite),
        Route::patch(
            HEADERS,
            endpoint_headers::patch,
            op("v1.endpoint.patch-headers", "Change some of the headers that its requests carry")
                .body("EndpointHeadersPatchIn")
                .answers_nothing(204),
        )
        .needs(Scope::EndpointsWrite),
    ]
}

fn secrets() -> Vec<Route> {
    vec![
        // Whoever knows the secret can sign as we do.
        Route::get(
            SECRET,
            endpoint_secret::read,
            op("v1.endpoint.get-secret", "Read the secret that signs its requests")
                .answers(200, "EndpointSecretOut"),
        )
        .needs(Scope::EndpointsWrite),
        Route::post(
            ROTATE,
            endpoint_secret::rotate,
            op("v1.endpoint.rotate-secret", "Replace the secret that signs its requests")
                .about("The old one keeps signing beside the new one for a while.")
                .body_or_none("EndpointSecretRotateIn")
                .answers_nothing(204),
        )
        .needs(Scope::EndpointsWrite),
    ]
}
