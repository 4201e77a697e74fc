//! Access for the people of one application.

use serde_json::json;

use super::super::schema::*;
use super::Schema;
use crate::api::portal_access::{EXPIRY_SECONDS_MAX, EXPIRY_SECONDS_MIN};

pub(super) fn schemas() -> Vec<Schema> {
    let expiry = or_null(number(EXPIRY_SECONDS_MIN, EXPIRY_SECONDS_MAX));
    let expiry = described(expiry, "Seconds after which the token is no longer accepted");
    let flags = json!({ "type": "array", "items": text() });
    let access_in = json!({
        "application": described(or_null(named("ApplicationIn")), "Makes the application if it is not there"),
        "expiry": with(expiry, "default", EXPIRY_SECONDS_MAX),
        "readOnly": described(or_null(flag(false)), "Whether the token is for looking only"),
        "featureFlags": described(or_null(flags), "Taken for the SDKs' sake, without effect"),
    });
    let url = with(text(), "format", "uri");
    let access_out = json!({
        "url": described(url, "Where a page for these people will be; there is none yet"),
        "token": described(text(), "A bearer token for this application's paths"),
    });
    vec![
        ("AppPortalAccessIn", object(&[], access_in)),
        ("AppPortalAccessOut", object(&["token", "url"], access_out)),
    ]
}
