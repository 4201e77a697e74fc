//! `/auth`

use super::super::openapi::Operation;
use super::super::portal_access;
use super::super::route::Route;
use crate::config::Scope;

const TAG: &str = "Authentication";

pub(super) fn routes() -> Vec<Route> {
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
        .shared(),
    ]
}
