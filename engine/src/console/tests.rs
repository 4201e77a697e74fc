//! Through the doors, as a browser without a script sees it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::inside::encoded;
use super::{Parts, hash_of, router};
use crate::api::tests::world::World;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::config::Config;

const OPERATOR: &str = "ph_operator_token";
const PASSWORD: &str = "correct horse battery";

/// A server, and somebody who looks at its pages.
struct Browser {
    world: World,
    pages: Router,
    cookies: Mutex<Vec<(String, String)>>,
    peer: SocketAddr,
    /// Keeps what is live going.
    _stop: watch::Sender<bool>,
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    html: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token of the forms on the page.
    fn token(&self) -> &str {
        let (_, rest) = self.html.split_once("name=\"_token\" value=\"").expect("the page has a form");
        rest.split_once('"').expect("a value").0
    }

    fn has(&self, text: &str) -> bool {
        self.html.contains(text)
    }
}

impl Browser {
    /// Of a server that asks for a key.
    fn new() -> Self {
        Self::of(World::with_tokens(&[OPERATOR]), "")
    }

    /// Of a server that asks nobody.
    fn anybody() -> Self {
        Self::of(World::new(), "")
    }

    fn of(world: World, configuration: &str) -> Self {
        Self::over(world.router.clone(), world, configuration)
    }

    fn over(api: Router, world: World, configuration: &str) -> Self {
        let config = Config::layered(Some(("test", configuration)), std::iter::empty()).expect("valid");
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            api,
            access: world.access.clone(),
            editor: world.editor.clone(),
            budget: Budget::new(64 << 20),
            clock: Clock::start(),
            stop: stopped,
        };
        let pages = router(&config, "http://127.0.0.1:7481", parts).expect("it starts");
        let peer = SocketAddr::from(([127, 0, 0, 1], 4_000));
        Self { world, pages, cookies: Mutex::default(), peer, _stop: stop }
    }

    async fn signed_in() -> Self {
        let browser = Self::new();
        assert_eq!(browser.sign_in(OPERATOR).await.status, 303);
        browser
    }

    async fn sign_in(&self, credential: &str) -> Seen {
        self.post_raw("/console/login", &format!("credential={}", encoded(credential)), &[]).await
    }

    async fn send(&self, request: Request<Body>) -> Seen {
        let mut request = request;
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let cookies =
            self.cookies.lock().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let headers = request.headers_mut();
        headers.entry("host").or_insert("127.0.0.1:7481".parse().expect("a host"));
        if !cookies.is_empty() {
            headers.insert("cookie", cookies.join("; ").parse().expect("cookies"));
        }
        let response = self.pages.clone().oneshot(request).await.expect("it never fails");
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all("set-cookie") {
            let (pair, _) = cookie.to_str().expect("text").split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            let mut cookies = self.cookies.lock();
            cookies.retain(|(known, _)| known != name);
            cookies.push((name.into(), value.into()));
        }
        let html = to_bytes(body, 32 << 20).await.expect("a body");
        let html = String::from_utf8(html.to_vec()).expect("text");
        Seen { status: parts.status.as_u16(), headers: parts.headers, html }
    }

    async fn get(&self, path: &str) -> Seen {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    async fn post_raw(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Seen {
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    /// Sends a form of the page at `from`.
    async fn post(&self, from: &str, to: &str, fields: &[(&str, &str)]) -> Seen {
        let page = self.get(from).await;
        let token = ("_token", page.token());
        let pairs = fields.iter().copied().chain([token]);
        let body: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.post_raw(to, &body.join("&"), &[("sec-fetch-site", "same-origin")]).await
    }

    async fn api(&self, path: &str, body: Value) -> Value {
        let answer = self.world.call_with("POST", path, &body.to_string(), Some(OPERATOR)).await;
        assert!(answer.status < 300, "{path}: {}", answer.body);
        answer.body
    }

    async fn application(&self, uid: &str) -> String {
        let made = self.api("/app", json!({ "name": format!("The {uid}"), "uid": uid })).await;
        made["id"].as_str().expect("an id").into()
    }

    async fn endpoint(&self, app: &str, url: &str) -> String {
        let made = self.api(&format!("/app/{app}/endpoint"), json!({ "url": url })).await;
        made["id"].as_str().expect("an id").into()
    }
}

#[tokio::test]
async fn without_a_session_one_signs_in_and_comes_to_where_one_wanted_to_go() {
    let browser = Browser::new();
    let away = browser.get("/console/app?iterator=x").await;
    assert_eq!(
        (away.status, away.header("location")),
        (303, "/console/login?to=%2Fconsole%2Fapp%3Fiterator%3Dx")
    );
    assert_eq!(browser.get("/console/login").await.status, 200);
    let wrong = browser.sign_in("wrong").await;
    assert_eq!((wrong.status, wrong.has("neither a key that is valid nor the password")), (401, true));
    let form = format!("credential={OPERATOR}&to=%2Fconsole%2Fapp");
    let right = browser.post_raw("/console/login", &form, &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!((right.status, right.header("location")), (303, "/console/app"));
    let cookie = right.header("set-cookie");
    assert!(cookie.starts_with("ph=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(browser.get("/console").await.status, 200);
    let out = browser.post("/console", "/console/sign-out", &[]).await;
    assert!(out.header("set-cookie").ends_with("Max-Age=0"), "{}", out.header("set-cookie"));
    browser.cookies.lock().clear();
    browser.cookies.lock().push(("ph".into(), cookie[3..46].into()));
    assert_eq!(browser.get("/console").await.status, 303, "the session has ended, and not only its cookie");
}

#[tokio::test]
async fn over_https_cookies_are_bound_to_this_host_and_sent_over_https_alone() {
    let world = World::with_tokens(&[OPERATOR]);
    let mut browser = Browser::of(world, "");
    let config = Config::layered(None, std::iter::empty()).expect("valid");
    let (_stop, stop) = watch::channel(false);
    let parts = Parts {
        api: browser.world.router.clone(),
        access: browser.world.access.clone(),
        editor: browser.world.editor.clone(),
        budget: Budget::new(64 << 20),
        clock: Clock::start(),
        stop,
    };
    browser.pages = router(&config, "https://hooks.example", parts).expect("it starts");
    let signed_in = browser.sign_in(OPERATOR).await;
    let cookie = signed_in.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-ph=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    assert_eq!(browser.get("/console").await.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn the_password_lets_in_under_a_name_of_its_own_and_nobody_else_does_any_more() {
    let hash = hash_of(PASSWORD).expect("long enough");
    let browser = Browser::of(World::new(), &format!("[console]\npassword_hash = '{hash}'"));
    assert_eq!(browser.get("/console").await.status, 303, "with a password, somebody is asked");
    assert_eq!(browser.sign_in("wrong horse battery").await.status, 401);
    assert_eq!(browser.sign_in(PASSWORD).await.status, 303);
    assert!(browser.get("/console").await.has(">console</span>"));
    let audit = browser.get("/console/audit").await;
    assert!(audit.has("console.sign_in"), "{}", audit.html);
}

#[tokio::test]
async fn whoever_guesses_waits_and_then_a_right_one_is_not_judged_either() {
    let browser = Browser::new();
    for _ in 0..6 {
        assert_eq!(browser.sign_in("guess").await.status, 401);
    }
    let barred = browser.sign_in(OPERATOR).await;
    assert_eq!((barred.status, barred.has("Try again in")), (429, true));
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_the_sessions_it_began() {
    let browser = Browser::new();
    let made = browser.api("/auth/api-key", json!({ "name": "ann", "scopes": ["admin"] })).await;
    assert_eq!(browser.sign_in(made["token"].as_str().expect("a token")).await.status, 303);
    assert_eq!(browser.get("/console").await.status, 200);
    let path = format!("/auth/api-key/{}", made["id"].as_str().expect("an id"));
    assert_eq!(browser.world.call_with("DELETE", &path, "", Some(OPERATOR)).await.status, 204);
    assert_eq!(browser.get("/console").await.status, 303);
}

#[tokio::test]
async fn a_key_may_do_here_what_it_may_do_at_the_api() {
    let browser = Browser::new();
    let acme = browser.application("acme").await;
    browser.application("other").await;
    let endpoint = browser.endpoint("acme", "https://shop.example/hook").await;
    let made = browser
        .api("/auth/api-key", json!({ "name": "reader", "scopes": ["read"], "applicationId": "acme" }))
        .await;
    assert_eq!(browser.sign_in(made["token"].as_str().expect("a token")).await.status, 303);
    let home = browser.get("/console").await;
    assert_eq!((home.status, home.header("location")), (303, &*format!("/console/app/{acme}")));
    let page = browser.get(&format!("/console/app/acme/endpoint/{endpoint}")).await;
    assert!(page.has("https://shop.example/hook") && !page.has(">Pause<") && !page.has("Reveal it"));
    for path in ["/console/app/other", "/console/key", "/console/audit", "/console/settings", "/console/app"]
    {
        assert!([403, 404].contains(&browser.get(path).await.status), "{path}");
    }
    let token = browser.get("/console/app/acme").await.token().to_owned();
    let act = format!("/console/app/acme/endpoint/{endpoint}/do");
    let headers = [("sec-fetch-site", "same-origin")];
    assert_eq!(browser.post_raw(&act, &format!("do=pause&_token={token}"), &headers).await.status, 403);
}

#[tokio::test]
async fn what_changes_something_needs_a_form_of_this_session_from_a_page_of_this_server() {
    let browser = Browser::signed_in().await;
    let token = browser.get("/console/app").await.token().to_owned();
    let send = async |token: &str, headers: &[(&str, &str)]| {
        browser.post_raw("/console/app", &format!("name=New&_token={token}"), headers).await
    };
    let here = [("sec-fetch-site", "same-origin")];
    for (token, headers) in
        [("", &here[..]), ("wrong", &here), (&*token, &[("sec-fetch-site", "cross-site")])]
    {
        let refused = send(token, headers).await;
        assert_eq!((refused.status, refused.has("nothing was done") || refused.has("not done")), (403, true));
    }
    assert_eq!(send(&token, &[("origin", "https://evil.example")]).await.status, 403);
    assert_eq!(send(&token, &here).await.status, 303);
    let other = Browser::signed_in().await;
    assert_eq!(other.post_raw("/console/app", &format!("name=x&_token={token}"), &here).await.status, 403);
    assert_eq!(browser.get("/console/app").await.html.matches(">New</a>").count(), 1);
}

#[tokio::test]
async fn another_name_or_another_machine_is_not_served_where_nobody_signs_in() {
    let mut browser = Browser::anybody();
    assert_eq!(browser.get("/console").await.status, 200);
    let rebound =
        Request::get("/console").header("host", "evil.example").body(Body::empty()).expect("a request");
    assert_eq!(browser.send(rebound).await.status, 403);
    browser.peer = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let refused = browser.get("/console").await;
    assert_eq!((refused.status, refused.has("serves its own machine alone")), (403, true));
}

/// All pages of the operator, with an application, an endpoint and an event type.
async fn all_pages(browser: &Browser) -> Vec<String> {
    let app = browser.application("acme").await;
    let endpoint = browser.endpoint("acme", "https://shop.example/hook?a=1&b=<2>").await;
    browser
        .api("/event-type", json!({ "name": "a.b", "description": "<i>", "schemas": {"1": {"examples": [{"x": "</script>"}]}} }))
        .await;
    let message =
        browser.api("/app/acme/msg", json!({ "eventType": "a.b", "payload": {"<b>": "</pre>"} })).await;
    let message = message["id"].as_str().expect("an id").to_owned();
    let mut pages: Vec<String> = [
        "",
        "/app",
        "/event-type",
        "/event-type/new",
        "/event-type/one/a.b",
        "/event-type/one/a.b/edit",
        "/alert",
    ]
    .map(|path| format!("/console{path}"))
    .into();
    pages.extend(["/task", "/audit", "/key", "/settings", "/verify"].map(|path| format!("/console{path}")));
    let of_app = [
        "",
        "/settings",
        "/activity",
        "/activity?state=pending&tail=1",
        "/endpoint/new",
        "/test",
        "/test?type=a.b",
        "/alert",
        "/event-type",
        "/event-type/a.b",
        "/verify",
    ];
    pages.extend(of_app.map(|path| format!("/console/app/{app}{path}")));
    pages.extend(["", "/edit"].map(|path| format!("/console/app/{app}/endpoint/{endpoint}{path}")));
    pages.push(format!("/console/app/{app}/msg/{message}"));
    pages
}

#[tokio::test]
async fn every_page_is_there_and_says_what_a_browser_may_do_with_it() {
    let browser = Browser::signed_in().await;
    for path in all_pages(&browser).await.into_iter().chain(["/console/nowhere".into()]) {
        let page = browser.get(&path).await;
        assert_eq!(page.status, if path.ends_with("nowhere") { 404 } else { 200 }, "{path}: {}", page.html);
        let policy = page.header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert!(page.html.len() < 100_000, "{path}: {}", page.html.len());
    }
}

#[tokio::test]
async fn no_page_has_a_script_or_a_style_in_it_or_fetches_anything_from_elsewhere() {
    let browser = Browser::signed_in().await;
    let inline = regex::Regex::new(r#"(?i)<script(?: [^>]*)?>[^<]|<style|<[^>]* style=|<[^>]* on[a-z]+="#)
        .expect("a pattern");
    let fetches = regex::Regex::new(r#"(?:src|href|action)="(?:[a-z]+:)?//"#).expect("a pattern");
    for path in all_pages(&browser).await {
        let page = browser.get(&path).await;
        assert!(!inline.is_match(&page.html), "{path}: {:?}", inline.find(&page.html));
        let fetched = fetches.find_iter(&page.html).map(|found| found.as_str()).collect::<Vec<_>>();
        assert!(fetched.is_empty(), "{path}: {fetched:?}");
    }
}

#[tokio::test]
async fn names_descriptions_and_payloads_are_shown_as_text() {
    let browser = Browser::signed_in().await;
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
    let made = browser.api("/app", json!({ "name": hostile, "uid": "evil" })).await;
    let app = made["id"].as_str().expect("an id");
    browser
        .api("/app/evil/endpoint", json!({ "url": "https://a.example/?<script>", "description": hostile }))
        .await;
    for path in ["/console/app", &format!("/console/app/{app}"), &format!("/console/app/{app}/settings")] {
        let page = browser.get(path).await;
        assert!(!page.has("<script>alert") && !page.has("<img src=x"), "{path}: {}", page.html);
        assert!(
            page.has("&#60;script&#62;alert(1)") || page.has("&lt;script&gt;alert(1)"),
            "{path}: {}",
            page.html
        );
    }
    for query in ["?said=<script>", "?iterator=\"><script>"] {
        let page = browser
            .get(&format!(
                "/console/app/{app}/activity{}",
                query.replace('<', "%3C").replace('>', "%3E").replace('"', "%22")
            ))
            .await;
        assert!(!page.has("<script>"), "{query}");
    }
}

#[tokio::test]
async fn an_endpoint_is_added_changed_paused_and_removed() {
    let browser = Browser::signed_in().await;
    let app = browser.application("acme").await;
    browser.api("/event-type", json!({ "name": "a.b", "description": "of a test" })).await;
    let new = format!("/console/app/{app}/endpoint/new");
    let fields = [
        ("url", "https://shop.example/hook"),
        ("description", "the shop"),
        ("eventTypes", "a.b"),
        ("eventTypesMore", "call.*"),
        ("retryPolicy", "patient"),
        ("successRule", "only_200"),
        ("format", "json"),
        ("headerNames", "both"),
        ("headers", "X-One: 1\r\nX-Two: 2"),
        ("authorization", "bearer"),
        ("token", "s3cret"),
        ("throttleRate", "10"),
    ];
    let made = browser.post(&new, &new, &fields).await;
    assert_eq!(made.status, 303, "{}", made.html);
    let path = made.header("location").split('?').next().expect("a path").to_owned();
    let page = browser.get(made.header("location")).await;
    for text in [
        "https://shop.example/hook",
        "the shop",
        "call.*",
        "x-one: 1",
        "bearer",
        "200 alone",
        "at most 10 a second",
    ] {
        assert!(page.has(text), "{text}: {}", page.html);
    }
    assert!(page.has("3 attempts within 11 min") && page.has("Created.") && !page.has("s3cret"));
    let edit = format!("{path}/edit");
    let shown = browser.get(&edit).await;
    assert!(
        shown.has("value=\"patient\" selected") && shown.has("value=\"a.b\" checked") && !shown.has("s3cret")
    );
    let changed = [("url", "https://shop.example/two"), ("headers", "x-two: 3"), ("authorization", "keep")];
    let rest = [("successRule", "any_2xx"), ("format", "form"), ("headerNames", "webhook")];
    let saved = browser.post(&edit, &edit, &[&changed[..], &rest].concat()).await;
    assert_eq!(saved.status, 303, "{}", saved.html);
    let page = browser.get(&path).await;
    assert!(
        page.has("x-two: 3") && !page.has("x-one") && page.has("bearer") && page.has("form"),
        "{}",
        page.html
    );
    let act = format!("{path}/do");
    for (deed, seen) in [("pause", "paused"), ("resume", "active"), ("rotate", "The secret was replaced")] {
        let done = browser.post(&path, &act, &[("do", deed)]).await;
        assert_eq!(done.status, 303, "{deed}");
        assert!(browser.get(done.header("location")).await.has(seen), "{deed}");
    }
    assert!(!browser.get(&path).await.has("whsec_"));
    let revealed = browser.post(&path, &act, &[("do", "reveal")]).await;
    assert!(revealed.has("value=\"whsec_"), "{}", revealed.html);
    assert_eq!(browser.post(&path, &act, &[("do", "delete")]).await.status, 303);
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let browser = Browser::signed_in().await;
    let app = browser.application("acme").await;
    let new = format!("/console/app/{app}/endpoint/new");
    for (field, value, problem) in [
        ("url", "not a url", "f-url-problem"),
        ("throttleRate", "many", "f-throttleRate-problem"),
        ("ownPolicy", "whenever", "f-ownPolicy-problem"),
        ("headers", "no colon", "f-headers-problem"),
        ("eventTypesMore", "with space/slash", "problem"),
    ] {
        let mut fields = vec![
            ("url", "https://shop.example/hook"),
            ("description", "kept <as> typed"),
            ("successRule", "any_2xx"),
            ("format", "json"),
            ("headerNames", "webhook"),
            ("retryPolicy", "=own"),
            ("ownPolicy", "1s"),
        ];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let refused = browser.post(&new, &new, &fields).await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.html);
        assert!(refused.has(&format!("id=\"{problem}\"")) || refused.has("class=\"problem\""), "{field}");
        assert!(refused.has("aria-invalid=\"true\"") || problem == "problem", "{field}: {}", refused.html);
        assert!(refused.has("kept &#60;as&#62; typed"), "{field}: {}", refused.html);
    }
    let filtered = browser.get(&format!("/console/app/{app}/activity?after=yesterday")).await;
    assert_eq!((filtered.status, filtered.has("id=\"after-problem\"")), (422, true));
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked() {
    let browser = Browser::signed_in().await;
    let made =
        browser.post("/console/key", "/console/key", &[("name", "deploy"), ("scopes", "ingest")]).await;
    let (_, token) = made.html.split_once("value=\"ph_").expect("its token");
    let token = token.split('"').next().expect("a value").to_owned();
    let page = browser.get("/console/key").await;
    assert!(page.has("deploy") && !page.has(&token));
    let (_, id) = page.html.split_once("/console/key/").expect("a form");
    let act = format!("/console/key/{}/do", id.split('/').next().expect("an id"));
    assert_eq!(browser.post("/console/key", &act, &[("do", "revoke")]).await.status, 303);
    assert!(!browser.get("/console/key").await.has("deploy"));
    let refused = browser
        .post("/console/key", "/console/key", &[("name", "x"), ("days", "0"), ("scopes", "read")])
        .await;
    assert_eq!((refused.status, refused.has("it must be 1 to 3650 days")), (422, true));
}

#[tokio::test]
async fn a_link_opens_its_application_and_a_wrong_one_says_so() {
    let browser = Browser::new();
    let app = browser.application("acme").await;
    let access = browser.api(&format!("/auth/app-portal-access/{app}"), json!({})).await;
    let url = access["url"].as_str().expect("a link");
    assert!(url.contains("/portal#key=portal_"), "{url}");
    for path in ["/portal", "/portal/app/acme"] {
        assert!(browser.get(path).await.html.contains("link"), "{path}");
    }
    for wrong in ["nonsense", "portal_AAAA", OPERATOR] {
        let refused = browser.post_raw("/portal/enter", &format!("key={}", encoded(wrong)), &[]).await;
        assert_eq!((refused.status, refused.has("not valid any more, or never was")), (401, true), "{wrong}");
    }
    let entered = browser.post_raw("/portal/enter", &format!("key={}", encoded(url)), &[]).await;
    assert_eq!((entered.status, entered.header("location")), (303, &*format!("/portal/app/{app}")));
    let page = browser.get(&format!("/portal/app/{app}")).await;
    assert!(page.status == 200 && page.has("The acme") && page.has("Add new endpoint"));
    assert_eq!(browser.get("/console").await.status, 303, "a link does not open the other door");
    let out = browser.post(&format!("/portal/app/{app}"), "/portal/sign-out", &[]).await;
    assert_eq!(out.status, 303);
    let again = browser.post_raw("/portal/enter", &format!("key={}", encoded(url)), &[]).await;
    assert_eq!(again.status, 401, "the link itself was ended");
}

#[tokio::test]
async fn a_link_for_reading_shows_nothing_that_changes_and_changes_nothing() {
    let browser = Browser::new();
    browser.application("acme").await;
    let endpoint = browser.endpoint("acme", "https://shop.example/hook").await;
    let access = browser.api("/auth/app-portal-access/acme", json!({ "readOnly": true })).await;
    let key = access["token"].as_str().expect("a token");
    let entered = browser.post_raw("/portal/enter", &format!("key={key}"), &[]).await;
    let home = entered.header("location").to_owned();
    let page = browser.get(&format!("{home}/endpoint/{endpoint}")).await;
    assert!(page.status == 200 && !page.has("/do\"") && !page.has("Edit"), "{}", page.html);
    let act = format!("{home}/endpoint/{endpoint}/do");
    for deed in ["pause", "delete", "rotate", "reveal", "recover"] {
        let fields = [("do", deed), ("since", "1h")];
        assert_eq!(browser.post(&home, &act, &fields).await.status, 403, "{deed}");
    }
}

#[tokio::test]
async fn only_configured_origins_may_frame_the_portal_and_nobody_the_console() {
    let world = World::with_tokens(&[OPERATOR]);
    let browser = Browser::of(world, "[console]\nframe_origins = ['https://app.example.com']");
    assert!(
        browser
            .get("/portal")
            .await
            .header("content-security-policy")
            .ends_with("frame-ancestors https://app.example.com")
    );
    assert!(
        browser
            .get("/console/login")
            .await
            .header("content-security-policy")
            .ends_with("frame-ancestors 'none'")
    );
    assert!(
        Browser::new()
            .get("/portal")
            .await
            .header("content-security-policy")
            .ends_with("frame-ancestors 'none'")
    );
}

#[tokio::test]
async fn the_style_sheet_and_the_script_may_be_kept_and_the_brand_is_the_configured_one() {
    let world = World::with_tokens(&[OPERATOR]);
    let browser = Browser::of(world, "[console]\nname = 'Hooks & Co'\ncolour = '#ffd400'");
    let page = browser.get("/console/login").await;
    assert!(page.has("Hooks &#38; Co"), "{}", page.html);
    let (_, rest) = page.html.split_once("/console/assets/").expect("a style sheet");
    let version = rest.split('/').next().expect("a version");
    for (file, kind) in [("console.css", "text/css"), ("console.js", "text/javascript")] {
        let asset = browser.get(&format!("/console/assets/{version}/{file}")).await;
        assert!(
            asset.header("content-type").starts_with(kind)
                && asset.header("cache-control").contains("immutable")
        );
    }
    let style = browser.get(&format!("/console/assets/{version}/console.css")).await;
    assert!(style.has("--brand:#ffd400;--on-brand:#000"));
}

#[tokio::test(start_paused = true)]
async fn a_live_page_tells_its_parts_when_they_change_and_ends_with_its_session() {
    let browser = Browser::signed_in().await;
    let app = browser.application("acme").await;
    let cookie = format!("ph={}", browser.cookies.lock()[0].1);
    let mut request = Request::get(format!("/console/app/{app}"))
        .header("accept", "text/event-stream")
        .header("host", "localhost")
        .header("cookie", cookie)
        .body(Body::empty())
        .expect("a request");
    request.extensions_mut().insert(ConnectInfo(browser.peer));
    let response = browser.pages.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        use http_body_util::BodyExt as _;
        let frame = tokio::time::timeout(Duration::from_secs(60), body.frame()).await.expect("in time");
        frame.map(|frame| {
            String::from_utf8(frame.expect("a frame").into_data().expect("data").to_vec()).expect("text")
        })
    };
    assert_eq!(next().await.as_deref(), Some("retry: 3000\n\n"));
    let first = next().await.expect("a part");
    assert!(first.starts_with("event: part\ndata: {") && first.contains("No endpoints yet"), "{first}");
    browser.endpoint("acme", "https://shop.example/hook").await;
    let mut second = next().await.expect("another");
    while second.starts_with(':') {
        second = next().await.expect("another");
    }
    assert!(second.contains("https://shop.example/hook"), "{second}");
    browser.post("/console", "/console/sign-out", &[]).await;
    let mut last = next().await.expect("the end");
    while last.starts_with(':') || last.starts_with("event: part") {
        last = next().await.expect("the end");
    }
    assert!(last.starts_with("event: ended"), "{last}");
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_form_that_is_too_large_and_one_of_a_megabyte_are_both_answered() {
    let browser = Browser::signed_in().await;
    let app = browser.application("acme").await;
    let page = format!("/console/app/{app}/test");
    let payload = format!("{{\"x\":\"{}\"}}", "\u{1}<é>".repeat(100_000));
    let refused = browser.post(&page, &page, &[("payload", &payload), ("do", "publish")]).await;
    assert!((400..500).contains(&refused.status), "{}", refused.status);
    let huge = "x".repeat(8 << 20);
    let refused = browser.post(&page, &page, &[("payload", &huge)]).await;
    assert_eq!((refused.status, refused.has("The form is larger than")), (413, true));
}

/// What a browser would send of the form that has these fields, if nobody touched it.
fn untouched(html: &str) -> Vec<(String, String)> {
    let pattern = |text: &str| regex::Regex::new(text).expect("a pattern");
    let attribute = |tag: &str, name: &str| {
        pattern(&format!(r#"(?s)\s{name}="([^"]*)""#)).captures(tag).map(|found| plain(&found[1]))
    };
    let form =
        html.split("class=\"stack\"").nth(1).expect("a form").split("</form>").next().expect("its end");
    let mut fields = Vec::new();
    for found in pattern(r"(?s)<input[^>]*>").find_iter(form) {
        let tag = found.as_str();
        let is_box = tag.contains("type=\"checkbox\"");
        if let (Some(name), Some(value)) = (attribute(tag, "name"), attribute(tag, "value"))
            && (!is_box || tag.contains(" checked"))
        {
            fields.push((name, value));
        }
    }
    for found in pattern(r"(?s)<textarea([^>]*)>\n?(.*?)</textarea>").captures_iter(form) {
        fields.push((attribute(&found[1], "name").expect("a name"), plain(&found[2])));
    }
    for found in pattern(r"(?s)<select([^>]*)>(.*?)</select>").captures_iter(form) {
        let options: Vec<&str> = found[2].split("<option").skip(1).collect();
        let chosen = options.iter().find(|option| option.contains(" selected")).or(options.first());
        let value = attribute(chosen.expect("an option"), "value").expect("a value");
        fields.push((attribute(&found[1], "name").expect("a name"), value));
    }
    fields
}

fn plain(html: &str) -> String {
    let pairs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    pairs.iter().fold(html.to_owned(), |text, (escaped, c)| text.replace(escaped, c))
}

#[tokio::test]
async fn an_edit_that_changes_nothing_changes_nothing() {
    let browser = Browser::signed_in().await;
    let app = browser.application("acme").await;
    browser.api("/event-type", json!({ "name": "a.b", "description": "of a test" })).await;
    let everything = json!({
        "url": "https://shop.example/hook?x=1&y=<\"'>",
        "uid": "shop-1",
        "description": "a \"shop\" & more",
        "eventTypes": ["a.b", "call.*"],
        "channels": ["one", "two"],
        "headers": { "x-one": "1: a", "authorization-x": "s3cret", "x-api-key": "s3cret" },
        "authorization": { "type": "basic", "username": "ann", "password": "s3cret" },
        "throttleRate": 7,
        "metadata": { "a": "b: c", "with=sign": " spaced ", "two": "line\nbreak" },
        "retryPolicy": "patient",
        "timeoutMs": 1234,
        "successRule": "only_200",
        "format": "form",
        "bodySecret": "s3cret",
        "headerNames": "both",
        "concurrency": 3,
        "filter": "payload.a > 1\n&& payload.b < \"2\"",
        "chain": { "name": "first", "position": 2 },
        "tellResponse": true,
    });
    let before = browser.api("/app/acme/endpoint", everything).await;
    let id = before["id"].as_str().expect("an id");
    let edit = format!("/console/app/{app}/endpoint/{id}/edit");
    let shown = browser.get(&edit).await;
    assert!(!shown.has("s3cret"));
    let mut fields = untouched(&shown.html);
    fields.push(("do".into(), "save".into()));
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(&value.replace('\n', "\r\n"))))
        .collect();
    let saved = browser.post_raw(&edit, &body.join("&"), &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(saved.status, 303, "{}", saved.html);
    let path = format!("/app/acme/endpoint/{id}");
    let mut after = browser.world.call_with("GET", &path, "", Some(OPERATOR)).await.body;
    for field in ["version", "updatedAt"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before);
    let kept =
        browser.world.editor.catalog().endpoint_by_id(id.parse().expect("an id")).expect("it is there");
    assert_eq!((kept.headers.len(), &*kept.headers["x-api-key"]), (3, "s3cret"));
    assert!(kept.authorization.is_some() && kept.body_secret.is_some());
}

#[tokio::test]
async fn what_breaks_is_a_page_and_not_a_connection_that_ends() {
    async fn broken() {
        panic!("as a test wants it");
    }
    let world = World::new();
    let browser = Browser::over(Router::new().fallback(broken), world, "");
    for path in ["/console", "/console/app", "/console/key"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 500, "{path}");
        assert!(page.has("Something broke") && page.has("</html>"), "{}", page.html);
        assert!(page.header("content-security-policy").contains("script-src 'self'"));
    }
}
