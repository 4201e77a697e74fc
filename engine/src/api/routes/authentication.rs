//! `/auth`

use super::super::openapi::{Operation, query};
use super::super::route::Route;
use super::super::{api_key, portal_access};
use crate::config::Scope;

const TAG: &str = "Authentication";

pub(super) fn routes() -> Vec<Route> {
    [portal(), api_keys()].into_iter().flatten().collect()
}

fn api_keys() -> Vec<Route> {
    let op = |id, summary| Operation::new(id, TAG, summary).about("Ours.");
    vec![
        Route::get(
            "/auth/api-key",
            api_key::list,
            op("v1.authentication.list-api-keys", "List the keys that were made, oldest first")
                .query(query::page("key_08xTVbZb2uD"))
                .answers(200, "ListResponse_ApiKeyOut_"),
        )
        .needs(Scope::Admin),
        Route::post(
            "/auth/api-key",
            api_key::create,
            Operation::new("v1.authentication.create-api-key", TAG, "Make a key")
                .about(
                    "Ours. The answer has the token, which is shown this once. It is accepted here and by the TCP \
                     port. A repetition under an idempotency-key makes no second key, and does not show the token \
                     again.",
                )
                .body("ApiKeyIn")
                .answers(201, "ApiKeyMadeOut"),
        )
        .needs(Scope::Admin),
        Route::get(
            "/auth/api-key/{key_id}",
            api_key::read,
            op("v1.authentication.get-api-key", "Read a key").answers(200, "ApiKeyOut"),
        )
        .needs(Scope::Admin),
        Route::delete(
            "/auth/api-key/{key_id}",
            api_key::revoke,
            Operation::new("v1.authentication.revoke-api-key", TAG, "Revoke a key")
                .about("Ours. At once: connections that came in by it are closed.")
                .answers_nothing(204),
        )
        .needs(Scope::Admin),
        Route::post(
            "/auth/api-key/{key_id}/expire",
            api_key::expire,
            op("v1.authentication.expire-api-key", "Let a key run out in a while")
                .body("ApiKeyExpireIn")
                .answers(200, "ApiKeyOut"),
        )
        .needs(Scope::Admin),
    ]
}

fn portal() -> Vec<Route> {
    vec![
        Route::post(
            "/auth/app-portal-access/{app_id}",
            portal_access::create,
            Operation::new("v1.authentication.app-portal-access", TAG, "Let the people of an application in")
                .about(
                    "The token is accepted for the paths of this application, to read them, to change its \
                     endpoints and to send again; not to publish, and not for other applications.",
                )
                .body_or_none("AppPortalAccessIn")
                .answers(200, "AppPortalAccessOut"),
        )
        .needs(Scope::Admin),
        Route::post(
            "/auth/logout",
            portal_access::log_out,
            Operation::new("logout_api_v1_auth_logout__post", TAG, "End the token that the request shows")
                .about("Only tokens from app-portal-access can be ended. A restart of the server forgets it.")
                .answers_nothing(204),
        )
        .needs(Scope::Read)
        .shared()
        .done_each_time(),
    ]
}
