//! Is the server there?

use axum::http::StatusCode;

pub(super) async fn alive() -> StatusCode {
    StatusCode::NO_CONTENT
}
