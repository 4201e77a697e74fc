//! What stands around every page: the brand, where one can go, and in whose name one is here.

use super::inside::encoded;
use super::shapes::Application;
use super::visit::{Door, FORM_TOKEN, Visit};
use crate::config::Scope;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) brand: String,
    pub(super) has_logo: bool,
    /// What changes when the style sheet or the script does.
    pub(super) assets: String,
    /// `/console` or `/portal`.
    pub(super) base: &'static str,
    /// Where one begins.
    pub(super) home: String,
    pub(super) nav: Vec<Link>,
    /// Where it stands how signatures are checked.
    pub(super) verify_path: String,
    /// The application that the page is about.
    pub(super) application: Option<Named>,
    pub(super) application_nav: Vec<Link>,
    /// In whose name one is here; empty where nobody was asked.
    pub(super) who: String,
    pub(super) form_token_field: &'static str,
    pub(super) form_token: String,
    /// What has just been done, in words.
    pub(super) said: Option<&'static str>,
    pub(super) may_write: bool,
    pub(super) may_replay: bool,
    pub(super) may_ingest: bool,
    pub(super) is_admin: bool,
    /// Where the page tells its parts as they change, if it does.
    pub(super) live_at: Option<String>,
}

/// An application as it is called in paths and in words.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// Below which its pages lie.
    pub(super) path: String,
    pub(super) name: String,
}

/// A way to another page.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) path: String,
    pub(super) text: &'static str,
    pub(super) is_current: bool,
}

/// What can have been done, by the word that stands in the address (`?said=`).
const SAID: [(&str, &str); 24] = [
    ("created", "Created."),
    ("saved", "Saved."),
    ("deleted", "Deleted."),
    (
        "paused",
        "Paused: it gets nothing until it is resumed. What it misses is kept and can be sent afterwards.",
    ),
    ("resumed", "Resumed. What it missed meanwhile can be sent from its page."),
    ("rotated", "The secret was replaced. The old one keeps signing beside it for a day."),
    ("retried", "Sent again: the attempt is made now."),
    ("retried-many", "Sent again: the attempts are made now."),
    ("cancelled", "Cancelled."),
    ("task", "Started. It goes on in the background."),
    ("task-cancelled", "Stopped. What was delivered stays delivered."),
    ("archived", "Archived: endpoints cannot newly subscribe to it."),
    ("restored", "In use again."),
    ("acknowledged", "Acknowledged."),
    ("revoked", "Revoked: whoever came in by it is out."),
    ("expires", "It ends in a day."),
    ("published", "Published."),
    ("example", "The example was published to this endpoint."),
    ("erased", "Erased."),
    ("headers", "The headers were saved."),
    ("nothing", "Nothing was chosen, so nothing was done."),
    (
        "partly",
        "Some were sent again; others could not be: their message or endpoint is gone, or you may not.",
    ),
    ("disabled", "The endpoint is paused; resume it first."),
    ("signed-out", "You are signed out."),
];

/// The sentence for a word in the address: never words of whoever made the address.
pub(super) fn said(word: &str) -> Option<&'static str> {
    SAID.iter().find(|(known, _)| *known == word).map(|(_, sentence)| *sentence)
}

impl Frame {
    /// Around a page of `section`, which is about this application (by id or uid).
    pub(super) async fn new(
        visit: &Visit,
        title: &str,
        section: &'static str,
        application: Option<&str>,
    ) -> Self {
        let base = visit.base();
        let application = match application {
            Some(name) => {
                let path = format!("/app/{}", encoded(name));
                // What is not there has no name; the page says so itself.
                let found = visit.inside().get::<Application>(&path).await.ok();
                found.map(|found| Named { path: format!("{base}{path}"), name: found.name })
            }
            None => None,
        };
        let application_nav = application.as_ref().map(|it| application_nav(visit, &it.path, section));
        let verify_path = match &application {
            Some(it) if nav(visit, section).is_empty() => format!("{}/verify", it.path),
            _ => format!("{base}/verify"),
        };
        Self {
            verify_path,
            title: title.into(),
            brand: visit.console().settings.brand.name.clone(),
            has_logo: visit.console().settings.brand.logo.is_some(),
            assets: visit.console().assets.version.clone(),
            base,
            home: match visit.bound_to() {
                Some(bound) => format!("{base}/app/{}", encoded(&bound)),
                None => base.into(),
            },
            nav: nav(visit, section),
            application,
            application_nav: application_nav.unwrap_or_default(),
            who: if visit.has_signed_in() { visit.name().into() } else { String::new() },
            form_token_field: FORM_TOKEN,
            form_token: visit.form_token().into(),
            said: said(visit.query().text("said")),
            may_write: visit.may(Scope::EndpointsWrite),
            may_replay: visit.may(Scope::Replay),
            may_ingest: visit.may(Scope::Ingest),
            is_admin: visit.may(Scope::Admin) && visit.bound_to().is_none(),
            live_at: None,
        }
    }

    /// The same, of a page that tells its parts as they change, at its own address.
    pub(super) fn live(self, visit: &Visit) -> Self {
        self.live_at(visit.address().to_owned())
    }

    /// The same, of a page that can be the answer to a form, and tells its parts elsewhere.
    pub(super) fn live_at(self, path: String) -> Self {
        Self { live_at: Some(path), ..self }
    }
}

fn nav(visit: &Visit, section: &str) -> Vec<Link> {
    let link = |(name, path, text): (&str, &str, &'static str)| Link {
        path: format!("{}{path}", visit.base()),
        text,
        is_current: name == section,
    };
    if visit.door == Door::Portal || visit.bound_to().is_some() {
        return Vec::new();
    }
    let all = [
        ("overview", "", "Overview"),
        ("applications", "/app", "Applications"),
        ("event-types", "/event-type", "Event types"),
        ("alerts", "/alert", "Alerts"),
        ("tasks", "/task", "Tasks"),
        ("verify", "/verify", "Signatures"),
    ];
    let admin =
        [("settings", "/settings", "Settings"), ("keys", "/key", "Keys"), ("audit", "/audit", "Audit log")];
    let admin = admin.into_iter().filter(|_| visit.may(Scope::Admin));
    all.into_iter().chain(admin).map(link).collect()
}

fn application_nav(visit: &Visit, path: &str, section: &str) -> Vec<Link> {
    let link = |(name, below, text): (&str, &str, &'static str)| Link {
        path: format!("{path}{below}"),
        text,
        is_current: name == section,
    };
    let mut all = vec![
        ("endpoints", "", "Endpoints"),
        ("activity", "/activity", "Activity"),
        ("test", "/test", "Test bench"),
        ("app-alerts", "/alert", "Alerts"),
    ];
    if visit.door == Door::Portal || visit.bound_to().is_some() {
        all.extend([
            ("app-event-types", "/event-type", "Event types"),
            ("app-verify", "/verify", "Signatures"),
        ]);
    } else if visit.may(Scope::Admin) {
        all.push(("application", "/settings", "Settings"));
    }
    all.into_iter().map(link).collect()
}
