//! Errors.

use serde_json::json;

use super::super::schema::*;
use super::Schema;

pub(super) fn schemas() -> Vec<Schema> {
    let detail = json!({ "type": "array", "items": named("ValidationErrorItem") });
    let location = json!({
        "type": "array", "items": text(),
        "description": "Where it is: `body`, `query`, `path` or `header`, and the field in it",
    });
    vec![
        (
            "HttpErrorOut",
            object(
                &["code", "detail"],
                json!({ "code": described(text(), "For programs"), "detail": described(text(), "For people") }),
            ),
        ),
        ("HTTPValidationError", object(&["detail"], json!({ "detail": detail }))),
        (
            "ValidationErrorItem",
            object(&["loc", "msg", "type"], json!({ "loc": location, "msg": text(), "type": text() })),
        ),
    ]
}
