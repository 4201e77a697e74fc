//! The console: pages on which people see what happened and put it right.
//!
//! ```text
//!   /console   the operator: all applications       --+                            +--> a page
//!   /portal    the people of one application, by a  --+--> guard --> visit --> page +--> the same page, live
//!              link that expires (api: portal access)         (who)    |            +--> done: off to another page
//!                                                                      v
//!                                                            the API, in this process (`inside`)
//! ```
//!
//! Pages are made here, from templates that escape what they show; forms and links work without a script. What a page
//! shows and does, it asks of the API's own router in the name of whoever signed in: scopes, bindings, audit and errors
//! are the API's. A page that is asked for as `text/event-stream` goes on telling its parts as they change (`live`).
//!
//! Invariants
//! - Nothing is fetched from elsewhere, and no script or style stands in a page (`guard::dress`).
//! - Below `/portal` only the application of the link exists.
//! - What changes something comes from a form of the same session (`guard`, `visit`).
//!
//! Not here: what may be done (`api`), who may do it (`access`).

mod assets;
mod chart;
mod door;
mod fields;
mod form;
mod frame;
mod guard;
mod html;
mod inside;
mod json;
mod live;
mod pages;
mod password;
mod sessions;
mod settings;
mod shapes;
mod trouble;
mod visit;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::access::Access;
use crate::budget::Budget;
use crate::catalog::Editor;
use crate::clock::Clock;
use crate::config::Config;
use crate::listener::Strikes;
use assets::Assets;
use live::Streams;
use sessions::Sessions;
use settings::Settings;
use visit::Door;

pub use password::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, hash_of, is_hash};

/// What a form may have beyond a payload.
const FORM_SLACK_BYTES: u64 = 256 << 10;
/// The most that one byte of a payload becomes in a form.
const FORM_BYTES_PER_BYTE: u64 = 3;

/// What the console stands on.
pub(crate) struct Parts {
    /// The API's router, and nothing else.
    pub(crate) api: Router,
    pub(crate) access: Arc<Access>,
    pub(crate) editor: Editor,
    pub(crate) budget: Budget,
    pub(crate) clock: Clock,
    pub(crate) stop: watch::Receiver<bool>,
}

/// See the head of this file.
struct Console {
    parts: Parts,
    settings: Settings,
    sessions: Sessions,
    assets: Assets,
    strikes: Mutex<Strikes>,
    streams: Arc<Streams>,
    form_bytes_max: usize,
    /// The configuration as the settings page shows it.
    configuration: Vec<crate::config::Shown>,
    /// What is put behind a path to reach it from outside.
    public_url: String,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// All its paths. People reach the server at `public_url`.
///
/// # Errors
/// When what the configuration names cannot be used: a logo.
pub(crate) fn router(config: &Config, public_url: &str, parts: Parts) -> anyhow::Result<Router> {
    let settings = Settings::new(config, public_url)?;
    let payload_bytes = config.limits.payload_bytes_max.bytes();
    let console = Arc::new(Console {
        sessions: Sessions::new(settings.idle, settings.longest),
        assets: Assets::new(&settings),
        settings,
        strikes: Mutex::default(),
        streams: Arc::default(),
        form_bytes_max: (payload_bytes * FORM_BYTES_PER_BYTE + FORM_SLACK_BYTES) as usize,
        configuration: config.shown(),
        public_url: public_url.into(),
        parts,
    });
    let of_door = |door, pages: Router<Arc<Console>>, entrance| {
        let state = (console.clone(), door);
        let pages = pages.route_layer(from_fn_with_state(state.clone(), visit::admit));
        pages.merge(entrance).layer(from_fn_with_state(state, visit::guard))
    };
    let operator = of_door(Door::Operator, pages::operator(), door::operator());
    let portal = of_door(Door::Portal, pages::portal(), door::portal());
    let body_limit = DefaultBodyLimit::max(console.form_bytes_max);
    Ok(operator.merge(portal).merge(assets::routes()).layer(body_limit).with_state(console))
}
