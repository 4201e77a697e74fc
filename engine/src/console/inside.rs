//! The API, asked in this process: what a page shows and does goes through the router that clients use.
//!
//! The caller is handed over as it is known (`access::Known`), instead of a token that would be looked up again; the rest
//! (scopes, binding to an application, pace, audit, limits) is the API's own.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

use super::trouble::Trouble;
use crate::access::{Caller, Known};

/// The largest answer that is read: the largest payload, escaped.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// See the head of this file.
#[derive(Clone)]
pub(super) struct Inside {
    pub(super) api: Router,
    pub(super) caller: Caller,
    pub(super) peer: SocketAddr,
}

impl Inside {
    /// `GET` of a path below `/api/v1`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        read(&self.call(Method::GET, path, None).await?)
    }

    /// `POST` with this body, for its answer.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Trouble> {
        // What pages make has text keys and no numbers that JSON lacks.
        let body = serde_json::to_vec(body).expect("a body is JSON");
        read(&self.call(Method::POST, path, Some(body)).await?)
    }

    /// Does something whose answer says nothing more.
    pub(super) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), Trouble> {
        self.call(method, path, body.map(|body| body.to_string().into_bytes())).await.map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, Trouble> {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(Body::from(body)),
            None => request.body(Body::empty()),
        };
        // A path that cannot be written as one leads nowhere.
        let Ok(mut request) = request else { return Err(Trouble::not_found()) };
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(Known(self.caller.clone()));
        let answer = match self.api.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status();
        let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
        let body =
            body.map_err(|_| Trouble::refused(StatusCode::INTERNAL_SERVER_ERROR, "The answer is too large"))?;
        if status.is_success() { Ok(body) } else { Err(Trouble::read(status, &body)) }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        tracing::error!(%error, "an answer of the API was not understood by the console");
        Trouble::refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "An answer was not understood; the log of the server says more",
        )
    })
}

/// A part of a path or of a query, made fit for it (RFC 3986 section 2.1).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            byte => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)].into());
                out.push(HEX[usize::from(byte & 15)].into());
            }
        }
    }
    // A part that is "." or ".." would lead elsewhere.
    if out.bytes().all(|byte| byte == b'.') { out.replace('.', "%2E") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_path_cannot_lead_out_of_it() {
        for (text, expected) in [
            ("app_1", "app_1"),
            ("../../auth", "..%2F..%2Fauth"),
            ("..", "%2E%2E"),
            ("a?b#c%2F", "a%3Fb%23c%252F"),
            ("ä\n", "%C3%A4%0A"),
        ] {
            assert_eq!(encoded(text), expected);
        }
    }
}
