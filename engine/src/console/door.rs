//! The doors: signing in and out, and what a link of an application leads to.
//!
//! ```text
//!   /console/login   a key, or the password --> a new session --> where one wanted to go
//!   /portal#key=...  the part behind # never reaches a server by itself: a script of the page sends it as a form,
//!                    or one pastes the link --> a new session --> the application of the link
//! ```
//!
//! Who shows something wrong is noted as at the API, and after a few times waits longer before the next is judged
//! (`listener::Strikes`): a right one is not told from a wrong one meanwhile.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Console;
use super::form::Form;
use super::frame::said;
use super::inside::encoded;
use super::pages::login::{LoginPage, PortalPage};
use super::pages::show;
use super::sessions::Holder;
use super::visit::{Door, Visit, peer_of};
use crate::access;
use crate::catalog::{Acting, act_as};
use crate::clock::unix_ms;

/// The largest form at a door: a token and where one wanted to go.
const FORM_BYTES_MAX: usize = 16 << 10;

pub(super) fn operator() -> Router<Arc<Console>> {
    Router::new().route("/console/login", get(login).post(sign_in))
}

pub(super) fn portal() -> Router<Arc<Console>> {
    Router::new().route("/portal", get(portal_door)).route("/portal/enter", post(enter))
}

/// Behind the gate: one must be in to go out.
pub(super) async fn sign_out(visit: Visit) -> Response {
    visit.end();
    let to = match visit.door {
        Door::Operator => "/console/login?said=signed-out",
        Door::Portal => "/portal?said=signed-out",
    };
    let mut response = Redirect::to(to).into_response();
    response.headers_mut().append(SET_COOKIE, visit.console().cookie(visit.door, None));
    response
}

async fn login(State(console): State<Arc<Console>>, request: Request) -> Response {
    let query = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    if console.asks_nobody() {
        return Redirect::to("/console").into_response();
    }
    show(&LoginPage::new(&console, query.text("to"), said(query.text("said")), None), StatusCode::OK)
}

async fn sign_in(State(console): State<Arc<Console>>, request: Request) -> Response {
    let peer = peer_of(request.extensions());
    let Some(form) = read(request).await else {
        return refuse_login(&console, "", "The form is too large.", StatusCode::PAYLOAD_TOO_LARGE);
    };
    let to = form.text("to").to_owned();
    if let Some(wait) = console.strikes.lock().barred_for(Instant::now(), peer.ip().into()) {
        let words = format!("Too many wrong ones from this address. Try again in {} s.", wait.as_secs() + 1);
        return refuse_login(&console, &to, &words, StatusCode::TOO_MANY_REQUESTS);
    }
    let given = Zeroizing::new(form.text("credential").to_owned());
    let by_key = console.parts.access.holder(&given, unix_ms(), Some(peer.ip()));
    let holder = match (&by_key, &console.settings.password) {
        (Some(_), _) => Some(Holder::Token(given)),
        (None, Some(password)) => password.is(given).await.then_some(Holder::Password),
        (None, None) => None,
    };
    let caller = holder.as_ref().and_then(|holder| console.caller(holder, Door::Operator, peer));
    let (Some(holder), Some(caller)) = (holder, caller) else {
        console.strikes.lock().failed(Instant::now(), peer.ip().into());
        console.parts.access.note_refusal(access::Door::Console, Some(peer.ip()));
        let words = "That is neither a key that is valid nor the password.";
        return refuse_login(&console, &to, words, StatusCode::UNAUTHORIZED);
    };
    let name = caller.actor.name.clone();
    let who = Acting { actor: name.clone(), address: Some(peer.ip()) };
    let recorded = console.parts.editor.record_deed("console.sign_in", name.to_string(), None);
    if let Err(error) = act_as(who, recorded).await {
        // Whoever must put things right has to come in while the disk takes nothing.
        tracing::warn!(%error, %name, "somebody signed in to the console, which could not be recorded");
    }
    begin(&console, Door::Operator, holder, &local(&to, "/console"))
}

/// Always a new session: nobody can have laid its id into the browser before.
fn begin(console: &Console, door: Door, holder: Holder, to: &str) -> Response {
    let (id, _) = console.sessions.begin(holder, console.parts.clock.now());
    let mut response = Redirect::to(to).into_response();
    response.headers_mut().append(SET_COOKIE, console.cookie(door, Some(&id)));
    response
}

fn refuse_login(console: &Console, to: &str, words: &str, status: StatusCode) -> Response {
    show(&LoginPage::new(console, to, None, Some(words)), status)
}

/// A page of this door, and nothing else: an address that was handed in must not lead away.
fn local(to: &str, otherwise: &str) -> String {
    let is_local = to.starts_with("/console") && !to.starts_with("/console/login");
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && !to.starts_with("//");
    if is_local && is_plain { to.into() } else { otherwise.into() }
}

async fn portal_door(State(console): State<Arc<Console>>, request: Request) -> Response {
    let query = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    show(&PortalPage::new(&console, said(query.text("said")), None), StatusCode::OK)
}

async fn enter(State(console): State<Arc<Console>>, request: Request) -> Response {
    let peer = peer_of(request.extensions());
    let refuse = |words: &str, status| show(&PortalPage::new(&console, None, Some(words)), status);
    let Some(form) = read(request).await else {
        return refuse("The form is too large.", StatusCode::PAYLOAD_TOO_LARGE);
    };
    // The link as a whole may be pasted.
    let given = form.text("key");
    let token = given.rsplit_once("#key=").map_or(given, |(_, token)| token);
    let holder = Holder::Token(Zeroizing::new(token.to_owned()));
    let caller = console.caller(&holder, Door::Portal, peer);
    let application = caller.as_ref().and_then(|caller| match caller.bound_to() {
        Some(access::Binding::Id(id)) => Some(id.to_string()),
        _ => None,
    });
    match application {
        Some(application) if console.parts.editor.catalog().application(&application).is_some() => {
            let to = format!("/portal/app/{}", encoded(&application));
            begin(&console, Door::Portal, holder, &to)
        }
        Some(_) => refuse("The application of this link is gone.", StatusCode::GONE),
        None => {
            console.parts.access.note_refusal(access::Door::Console, Some(peer.ip()));
            refuse("This link is not valid any more, or never was.", StatusCode::UNAUTHORIZED)
        }
    }
}

/// Small, since it comes from anybody.
async fn read(request: Request) -> Option<Form> {
    let body: Bytes = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX).await.ok()?;
    Some(Form::parse(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_one_stays_here() {
        for (to, expected) in [
            ("/console/app?x=1", "/console/app?x=1"),
            ("", "/console"),
            ("//evil.example/console", "/console"),
            ("https://evil.example/console", "/console"),
            ("/console/login?to=/console/login", "/console"),
            ("/console\\@evil.example", "/console"),
            ("/console\r\nset-cookie: x", "/console"),
            ("/api/v1/app", "/console"),
        ] {
            assert_eq!(local(to, "/console"), expected, "{to}");
        }
    }
}
