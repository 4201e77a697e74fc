//! A visit: somebody at a door of the console, who has signed in, and what they asked for.
//!
//! ```text
//!   request --guard--> cookie --> session --> what it was signed in with, judged anew --> Visit --> page
//!      | refused          | none, or ended
//!      v                  v
//!   a page of why      sign in (operator) / what became of the link (portal); where nobody is asked: a new session
//! ```
//!
//! Answers that are `Trouble` become pages here, since here it is known what stands around them.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request, State};
use axum::http::header::{CONTENT_LENGTH, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use subtle::ConstantTimeEq as _;

use super::Console;
use super::form::Form;
use super::frame::Frame;
use super::guard::{self, Framing};
use super::inside::{Inside, encoded};
use super::pages::notice;
use super::sessions::{Holder, Session};
use super::trouble::Trouble;
use crate::access::{Binding, Caller};
use crate::clock::unix_ms;
use crate::config::Scope;

/// The field of every form that carries the token of the session.
pub(super) const FORM_TOKEN: &str = "_token";

/// Where somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// For whoever runs the server, and whoever has a key.
    Operator,
    /// For the people of one application.
    Portal,
}

impl Door {
    /// What all its paths begin with.
    pub(super) const fn base(self) -> &'static str {
        match self {
            Self::Operator => "/console",
            Self::Portal => "/portal",
        }
    }

    const fn cookie_name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Self::Operator, true) => "__Host-ph",
            (Self::Operator, false) => "ph",
            (Self::Portal, true) => "__Host-ph-portal",
            (Self::Portal, false) => "ph-portal",
        }
    }
}

/// See the head of this file.
#[derive(Clone)]
pub(super) struct Visit {
    console: Arc<Console>,
    pub(super) door: Door,
    session_id: Arc<str>,
    session: Session,
    caller: Caller,
    peer: SocketAddr,
    uri: Uri,
    pub(super) wants_stream: bool,
}

impl Visit {
    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// The API in the name of whoever this is.
    pub(super) fn inside(&self) -> Inside {
        Inside { api: self.console.parts.api.clone(), caller: self.caller.clone(), peer: self.peer }
    }

    /// Whether they may do what needs this scope.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.caller.may(scope)
    }

    /// What all paths of this door begin with.
    pub(super) const fn base(&self) -> &'static str {
        self.door.base()
    }

    /// The path and query that were asked for.
    pub(super) fn address(&self) -> &str {
        self.uri.path_and_query().map_or("", |address| address.as_str())
    }

    /// The query, as a form.
    pub(super) fn query(&self) -> Form {
        Form::parse(self.uri.query().unwrap_or_default().as_bytes())
    }

    pub(super) fn form_token(&self) -> &str {
        &self.session.form_token
    }

    /// In whose name they are here.
    pub(super) fn name(&self) -> &str {
        &self.caller.actor.name
    }

    /// The only application that exists for them, by id or uid, if it is so.
    pub(super) fn bound_to(&self) -> Option<String> {
        self.caller.bound_to().map(|binding| match binding {
            Binding::Id(id) => id.to_string(),
            Binding::Name(name) => name.to_string(),
        })
    }

    /// Whether they had to show something to come in.
    pub(super) const fn has_signed_in(&self) -> bool {
        !matches!(self.session.holder, Holder::Anybody)
    }

    /// Whether the session still lasts, and what was signed in with still opens the door.
    pub(super) fn is_alive(&self) -> bool {
        let console = &self.console;
        // Who never signed in is not signed out by waiting.
        let lasts =
            !self.has_signed_in() || console.sessions.is_alive(&self.session_id, console.parts.clock.now());
        lasts && console.caller(&self.session.holder, self.door, self.peer).is_some()
    }

    /// Ends it.
    pub(super) fn end(&self) {
        if let (Door::Portal, Holder::Token(token)) = (self.door, &self.session.holder) {
            self.console.parts.access.portal.log_out(token, unix_ms() / 1_000);
        }
        self.console.sessions.end(&self.session_id);
    }
}

impl Console {
    /// Who holds this, if it opens this door.
    pub(super) fn caller(&self, holder: &Holder, door: Door, peer: SocketAddr) -> Option<Caller> {
        let (access, now_ms, address) = (&self.parts.access, unix_ms(), Some(peer.ip()));
        match (holder, door) {
            (Holder::Token(token), Door::Operator) => access.holder(token, now_ms, address),
            (Holder::Token(token), Door::Portal) => access.portal_holder(token, now_ms),
            (Holder::Password, Door::Operator) => self.settings.password.as_ref().map(|_| access.operator()),
            (Holder::Anybody, Door::Operator) if self.asks_nobody() => access.caller(None, now_ms, address),
            (Holder::Password | Holder::Anybody, _) => None,
        }
    }

    /// Whether nobody has to sign in, since there is nothing to sign in with.
    pub(super) fn asks_nobody(&self) -> bool {
        self.settings.password.is_none() && self.parts.access.asks_nobody()
    }

    /// The cookie of a session that has just begun; or, with no id, the end of it (RFC 6265 section 4.1).
    pub(super) fn cookie(&self, door: Door, id: Option<&str>) -> HeaderValue {
        let is_secure = self.settings.is_secure;
        let name = door.cookie_name(is_secure);
        let mut cookie = format!("{name}={}; Path=/; HttpOnly", id.unwrap_or_default());
        // In a frame of another site a cookie is sent only so, and kept apart by who shows the frame (CHIPS).
        let is_framed = door == Door::Portal && is_secure && self.settings.is_framed;
        cookie += if is_framed { "; SameSite=None; Partitioned" } else { "; SameSite=Lax" };
        if is_secure {
            cookie += "; Secure";
        }
        if id.is_none() {
            cookie += "; Max-Age=0";
        }
        HeaderValue::from_str(&cookie).expect("an id has letters, digits, '-' and '_'")
    }

    /// The id that a browser shows.
    pub(super) fn shown_id<'h>(&self, door: Door, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = door.cookie_name(self.settings.is_secure);
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|cookie| cookie.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, id)| id)
    }
}

/// Where a request came from.
pub(super) fn peer_of(extensions: &axum::http::Extensions) -> SocketAddr {
    let info = extensions.get::<ConnectInfo<SocketAddr>>();
    info.map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |info| info.0)
}

/// The middleware before everything of a door.
pub(super) async fn guard(
    State((console, door)): State<(Arc<Console>, Door)>,
    request: Request,
    next: Next,
) -> Response {
    // A link of an application is something to show: its door is open to other machines in any case.
    let asks_nobody = door == Door::Operator && console.asks_nobody();
    let path = request.uri().path().to_owned();
    let mut response = match guard::check(&request, &console.settings, asks_nobody) {
        Ok(()) => unless_it_panics(next.run(request)).await.unwrap_or_else(|| {
            tracing::error!(%path, "a page of the console panicked; what it said stands on the standard error output");
            let (what, hint) = ("This page could not be made.", "The log of the server says why.");
            notice::bare(&console, door, StatusCode::INTERNAL_SERVER_ERROR, "Something broke", what, hint)
        }),
        Err(refusal) => {
            let (what, hint) = refusal.in_words();
            notice::bare(&console, door, StatusCode::FORBIDDEN, "Not here", what, hint)
        }
    };
    if let Some(trouble) = response.extensions_mut().remove::<Trouble>() {
        response = notice::bare(&console, door, trouble.status(), "That did not work", trouble.detail(), "");
    }
    let framing = if door == Door::Portal { Framing::Configured } else { Framing::Nobody };
    guard::dress(&mut response, &console.settings, framing);
    response
}

/// What it comes to; `None` if it panics. A page holds nothing that could be left half done: it asks the API.
async fn unless_it_panics<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |poll| poll.map(Some))
    })
    .await
}

/// The middleware before its pages.
pub(super) async fn admit(
    State((console, door)): State<(Arc<Console>, Door)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = peer_of(request.extensions());
    let now = console.parts.clock.now();
    let shown = console.shown_id(door, request.headers());
    let found = shown.and_then(|id| Some((Arc::from(id), console.sessions.find(id, now)?)));
    let known = found.and_then(|(id, session)| {
        let caller = console.caller(&session.holder, door, peer);
        if caller.is_none() {
            console.sessions.end(&id);
        }
        Some((id, session, caller?))
    });
    let (id, session, caller, is_new) = match known {
        Some((id, session, caller)) => (id, session, caller, false),
        None => match console.caller(&Holder::Anybody, door, peer) {
            Some(caller) => {
                let (id, session) = console.sessions.begin(Holder::Anybody, now);
                (id.into(), session, caller, true)
            }
            None => return turned_away(&console, door, &request),
        },
    };
    if let Some(place) = request.extensions().get::<Arc<crate::listener::Place>>() {
        // Too late: then the connection is closed, whatever is answered here.
        let _ = place.keep();
    }
    let visit = Visit {
        wants_stream: super::live::is_wanted(request.headers()),
        uri: request.uri().clone(),
        session_id: Arc::clone(&id),
        console: console.clone(),
        door,
        session,
        caller,
        peer,
    };
    request.extensions_mut().insert(visit.clone());
    let mut response = next.run(request).await;
    if let Some(trouble) = response.extensions_mut().remove::<Trouble>() {
        response = notice::in_frame(&visit, &trouble).await;
    }
    if is_new {
        response.headers_mut().append(SET_COOKIE, console.cookie(door, Some(&id)));
    }
    response
}

/// Somebody without a session.
fn turned_away(console: &Console, door: Door, request: &Request) -> Response {
    match door {
        Door::Operator if request.method() == Method::GET && !super::live::is_wanted(request.headers()) => {
            let wanted = request.uri().path_and_query().map_or("/console", |wanted| wanted.as_str());
            Redirect::to(&format!("/console/login?to={}", encoded(wanted))).into_response()
        }
        Door::Operator => notice::bare(
            console,
            door,
            StatusCode::UNAUTHORIZED,
            "You are not signed in",
            "The session has ended, so nothing was done.",
            "Sign in and do it again.",
        ),
        Door::Portal => notice::bare(
            console,
            door,
            StatusCode::UNAUTHORIZED,
            "This link has ended",
            "Links to this page are valid for a limited time.",
            "Open it again from where you found it, or ask for a new link.",
        ),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Trouble::not_found)
    }
}

/// A form that this session was shown.
pub(super) struct Sent(pub(super) Form);

impl FromRequest<Arc<Console>> for Sent {
    type Rejection = Trouble;

    async fn from_request(mut request: Request, console: &Arc<Console>) -> Result<Self, Trouble> {
        let visit = request.extensions().get::<Visit>().cloned().ok_or_else(Trouble::not_found)?;
        // What arrives is held until it is read: it counts with what arrives at the API.
        let overloaded = || {
            Trouble::refused(
                StatusCode::TOO_MANY_REQUESTS,
                "Too much is arriving at once; try again in a moment",
            )
        };
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = length.unwrap_or(usize::MAX).min(console.form_bytes_max);
        let room = console.parts.budget.arrive_soon(bytes).await;
        let _room = room.ok_or_else(overloaded)?;
        let body = read(&mut request, console).await?;
        let form = Form::parse(&body);
        let shown = form.raw(FORM_TOKEN).as_bytes();
        if !bool::from(shown.ct_eq(visit.form_token().as_bytes())) {
            let detail = "This form is from an earlier session, so nothing was done. Load the page again and repeat it.";
            return Err(Trouble::refused(StatusCode::FORBIDDEN, detail));
        }
        Ok(Self(form))
    }
}

async fn read(request: &mut Request, console: &Arc<Console>) -> Result<Bytes, Trouble> {
    let request = std::mem::take(request);
    Bytes::from_request(request, console).await.map_err(|error| {
        let detail = match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                format!("The form is larger than {} bytes", console.form_bytes_max)
            }
            _ => error.body_text(),
        };
        Trouble::refused(error.status(), detail)
    })
}

impl Visit {
    /// What stands around a page with this title.
    pub(super) async fn frame(&self, title: &str, section: &'static str, application: Option<&str>) -> Frame {
        Frame::new(self, title, section, application).await
    }
}
