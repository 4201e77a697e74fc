//! The console in a real browser: headless Chromium, driven by playwright-core; and what shows without one.
//!
//! The journeys are in `console/journeys.js`. Each has a server of its own here, with what it needs to find there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{
    APPLICATION, Answer, Api, Authority, EVENT_TYPE, Receiver, Site, Tool, World, node_with, python_with,
    steady, wait_for_async, wait_until,
};

/// How long a journey may take on a machine that has much else to do.
const JOURNEY: Duration = Duration::from_secs(240);
/// A token that may do everything.
const KEY: &str = "a-token-of-the-operator";
/// A lockout that begins soon and does not last.
const SOON_LOCKED_OUT: [(&str, &str); 4] = [
    ("lockout.url.consecutive_failures", "3"),
    ("lockout.url.wait_first", "'1s'"),
    ("lockout.url.wait_max", "'1s'"),
    ("retry.policy", "'exponential first=500ms factor=1 max=500ms attempts=100'"),
];

/// The browser, and the means to drive it; `None`, after saying so, where they are not there.
struct Browser {
    node: Tool,
    chromium: PathBuf,
}

impl Browser {
    fn find() -> Option<Self> {
        node_with("axe-core")?;
        let node = node_with("playwright-core")?;
        Some(Self { node, chromium: Tool::find("chromium")?.path().into() })
    }

    /// Makes a journey through the server of this address.
    async fn travel(&self, journey: &str, base: &str, with: &[(&str, &str)]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/console/journeys.js");
        let mut command = self.node.command();
        command.arg(script).arg(journey).env("BASE", base).env("CHROMIUM", &self.chromium);
        command.envs(with.iter().copied());
        self.node.run_command(command, JOURNEY).await;
    }
}

fn base(world: &World) -> String {
    format!("http://{}", world.posthaste.http())
}

/// A URL that makes a receiver answer otherwise: 204, or the status that `to` says.
async fn switch(receiver: Arc<Receiver>) -> String {
    #[derive(Deserialize)]
    struct To {
        to: Option<u16>,
    }
    let turn = move |Query(To { to }): Query<To>| {
        let receiver = receiver.clone();
        async move { receiver.answers(Answer::Status(to.unwrap_or(204))) }
    };
    format!("{}/switch", serve(Router::new().route("/switch", post(turn))).await)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A server on which something has happened: what arrived, what failed, and what is locked out.
async fn busy_world() -> World {
    let failing =
        Receiver::answering(Answer::Body(500, "{\"error\": \"no room in the <b>cellar</b>\"}")).await;
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let settings =
        [SOON_LOCKED_OUT[0], SOON_LOCKED_OUT[1], SOON_LOCKED_OUT[2], ("probe.show_private", "true")];
    let world = World::with(&settings, json!({ "description": "the shop" }), receiver).await;
    let again = steady("300ms").replace("attempts=100", "attempts=3");
    let example =
        json!({ "1": { "examples": [{ "invoice": "inv_1042", "amount": 129.5, "currency": "EUR" }] } });
    let described = json!({ "description": "An invoice was paid", "schemas": example });
    world.api().patch(&format!("/api/v1/event-type/{EVENT_TYPE}"), &described).await;
    world.add_endpoint(json!({ "retryPolicy": again, "description": "the cellar" }), &failing).await;
    world.publish(30).await;
    let api = world.api();
    let nothing_pending = async || (api.metric("posthaste_deliveries_pending").await == 0).then_some(());
    wait_for_async("all has ended", nothing_pending).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_added_tried_watched_changed_and_removed_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    let receiver = Receiver::answering(Answer::Body(200, "{\"taken\": true}")).await;
    let url = receiver.url();
    let world = World::with(&[("probe.show_private", "true")], json!({ "disabled": true }), receiver).await;
    let example = json!({ "1": { "type": "object", "examples": [{ "type": "invoice.paid", "amount": 3 }] } });
    let path = format!("/api/v1/event-type/{EVENT_TYPE}");
    world.api().patch(&path, &json!({ "schemas": example })).await;
    browser.travel("add_endpoint", &base(&world), &[("RECEIVER", &url)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_found_understood_and_put_right_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let no_retry = json!({ "retryPolicy": "none" });
    let world = World::with(&crate::harness::NO_LOCKOUT, no_retry, receiver).await;
    world.publish(4).await;
    let World { receiver, posthaste, site: _site, endpoint: _ } = world;
    let switch = switch(Arc::new(receiver)).await;
    let base = format!("http://{}", posthaste.http());
    browser.travel("repair", &base, &[("SWITCH", &switch)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_of_an_application_shows_nothing_of_another_by_guessing_either() {
    let Some(browser) = Browser::find() else { return };
    let site = Site::new(&[("api.tokens", &format!("['{KEY}']"))]);
    let posthaste = site.start().await;
    let api = Api::at(posthaste.http()).with_token(KEY);
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let mut other = Value::Null;
    for (uid, name) in [("acme", "Acme"), ("globex", "Globex")] {
        let app = api.post("/api/v1/app", &json!({ "uid": uid, "name": name })).await;
        let fields = json!({
            "url": receiver.url(), "description": format!("{name} at {uid}.example"), "retryPolicy": "none",
        });
        let endpoint = api.make_endpoint(uid, &fields).await;
        if uid == "acme" {
            api.make_event_type(EVENT_TYPE).await;
        }
        let message = json!({ "eventType": EVENT_TYPE, "payload": { "of": format!("{uid}.example") } });
        let message = api.post(&format!("/api/v1/app/{uid}/msg"), &message).await;
        let id = message["id"].as_str().expect("an id");
        let attempt = async || api.attempts(uid, id).await.first().map(|attempt| attempt["id"].clone());
        let attempt = wait_for_async("an attempt", attempt).await;
        other = json!({ "app": app["id"], "endpoint": endpoint, "message": id, "attempt": attempt });
    }
    let access = api.post("/api/v1/auth/app-portal-access/acme", &json!({})).await;
    let link = access["url"].as_str().expect("a link");
    let base = format!("http://{}", posthaste.http());
    let with = [("PORTAL", link), ("OTHER", &other.to_string()), ("KEY", KEY)];
    browser.travel("portal", &base, &with).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_change_as_things_happen_and_an_endpoint_is_seen_locked_out_and_recovering() {
    let Some(browser) = Browser::find() else { return };
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&SOON_LOCKED_OUT, json!({}), receiver).await;
    world.publish(1).await;
    let World { receiver, posthaste, site: _site, endpoint: _ } = world;
    let switch = switch(Arc::new(receiver)).await;
    let base = format!("http://{}", posthaste.http());
    browser.travel("live", &base, &[("SWITCH", &switch)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_javascript_everything_can_be_read_and_done() {
    let Some(browser) = Browser::find() else { return };
    let site = Site::new(&[("api.tokens", &format!("['{KEY}']"))]);
    let posthaste = site.start().await;
    let api = Api::at(posthaste.http()).with_token(KEY);
    api.make_application(APPLICATION).await;
    let access = api.post("/api/v1/auth/app-portal-access/acme", &json!({})).await;
    let link = access["url"].as_str().expect("a link");
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let base = format!("http://{}", posthaste.http());
    let with = [("PORTAL", link), ("RECEIVER", &receiver.url()), ("KEY", KEY)];
    browser.travel("without_script", &base, &with).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_that_keeps_anybody_from_using_a_page() {
    let Some(browser) = Browser::find() else { return };
    let world = busy_world().await;
    browser.travel("accessibility", &base(&world), &[]).await;
    browser.travel("keyboard", &base(&world), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_payloads_and_megabytes_are_shown_as_text_or_refused() {
    let Some(browser) = Browser::find() else { return };
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"`${1}";
    let receiver = Receiver::answering(Answer::Typed(200, "text/html", hostile.into())).await;
    let world = World::with(&[], json!({ "description": hostile }), receiver).await;
    let api = world.api();
    api.patch("/api/v1/app/acme", &json!({ "name": hostile })).await;
    api.patch(&format!("/api/v1/event-type/{EVENT_TYPE}"), &json!({ "description": hostile })).await;
    world.publish(1).await;
    wait_until("it arrived", || world.receiver.count() == 1).await;
    browser.travel("hostile", &base(&world), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_is_shown_in_a_frame_of_configured_origins_alone() {
    let Some(browser) = Browser::find() else { return };
    for is_framed in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let framer = format!("http://{}", listener.local_addr().expect("an address"));
        let origins = if is_framed { format!("['{framer}']") } else { "[]".into() };
        let site = Site::new(&[("console.frame_origins", &origins)]);
        let posthaste = site.start().await;
        let base = format!("http://{}", posthaste.http());
        let page = format!("<!doctype html><title>x</title><iframe src=\"{base}/portal\"></iframe>");
        let router = Router::new()
            .route("/", get(move || async move { ([(CONTENT_TYPE, "text/html")], page) }))
            .route("/favicon.ico", get(|| async { "" }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let with = [("FRAMER", &*framer), ("FRAMED", if is_framed { "1" } else { "0" })];
        browser.travel("frame", &base, &with).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_frame_over_https_the_people_of_an_application_stay_signed_in() {
    let Some(browser) = Browser::find() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // Another site than the server's, which is reached by its address.
    let framer = format!("http://localhost:{}", listener.local_addr().expect("an address").port());
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let pair = authority.put(folder.path(), "server");
    let path = |path: &Path| format!("'{}'", path.display());
    let site = Site::new(&[
        ("api.tokens", &format!("['{KEY}']")),
        ("api.tls.listen", "'127.0.0.1:0'"),
        ("api.tls.certificate", &path(&pair.certificate)),
        ("api.tls.key", &path(&pair.key)),
        ("console.frame_origins", &format!("['{framer}']")),
    ]);
    let posthaste = site.start().await;
    let api = Api::at(posthaste.http()).with_token(KEY);
    api.make_application(APPLICATION).await;
    api.make_endpoint(APPLICATION, &json!({ "url": "https://shop.example/hook" })).await;
    let access = api.post("/api/v1/auth/app-portal-access/acme", &json!({})).await;
    let link = access["url"].as_str().expect("a link").to_owned();
    let base = format!("https://{}", posthaste.http_tls());
    assert!(link.starts_with(&format!("{base}/portal#key=")), "{link}");
    let page =
        format!("<!doctype html><title>x</title><iframe src=\"{link}\" width=1000 height=700></iframe>");
    let router = Router::new()
        .route("/", get(move || async move { ([(CONTENT_TYPE, "text/html")], page) }))
        .route("/favicon.ico", get(|| async { "" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    browser.travel("framed_over_tls", &base, &[("FRAMER", &framer)]).await;
}

/// With `POSTHASTE_IMAGES` it writes them there: `docs/images` is made so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_can_be_taken_of_the_pages() {
    let Some(browser) = Browser::find() else { return };
    let world = busy_world().await;
    let images = std::env::var("POSTHASTE_IMAGES").unwrap_or_default();
    browser.travel("pictures", &base(&world), &[("IMAGES", &images)]).await;
    if !images.is_empty() {
        let picture =
            std::fs::read(Path::new(&images).join("overview-desktop-light.png")).expect("a picture");
        assert_eq!(&picture[1..4], b"PNG");
    }
}

/// What calls a sample in Python: with the request, with another body, with a signature cut short, and a day later.
const CALL_PYTHON: &str = "
import json, sys
code, secret, request = open(sys.argv[1]).read(), sys.argv[2], json.loads(sys.argv[3])
exec(code.replace('whsec_...', secret))
headers, body = request['headers'], request['body']
short = dict(headers, **{'webhook-signature': headers['webhook-signature'][:-8]})
old = dict(headers, **{'webhook-timestamp': str(int(headers['webhook-timestamp']) - 86400)})
print(receive(body.encode(), headers), receive((body + ' ').encode(), headers), receive(body.encode(), short), receive(body.encode(), old))
";

/// The same in JavaScript.
const CALL_JAVASCRIPT: &str = "
const { headers, body } = JSON.parse(process.argv[2]);
const { receive } = await import(process.argv[3]);
const log = console.log;
console.log = () => {};
const short = { ...headers, 'webhook-signature': headers['webhook-signature'].slice(0, -8) };
const old = { ...headers, 'webhook-timestamp': String(headers['webhook-timestamp'] - 86400) };
log(receive(body, headers), receive(body + ' ', headers), receive(body, short), receive(body, old));
";

#[tokio::test]
async fn the_samples_in_python_and_javascript_take_what_is_signed_and_refuse_the_rest() {
    let Some(python) = python_with("standardwebhooks") else { return };
    let Some(node) = node_with("standardwebhooks") else { return };
    let world = World::start().await;
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    world.publish_one().await;
    wait_until("it arrived", || world.receiver.count() == 1).await;
    let received = &world.receiver.received()[0];
    let header = |name: &'static str| (name, received.header(name).to_owned());
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
    let body = String::from_utf8_lossy(&received.body);
    let request = json!({ "headers": BTreeMap::from(headers), "body": body }).to_string();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/samples");
    let sample = samples.join("verify.py").display().to_string();
    let printed = python.run(["-c", CALL_PYTHON, &sample, &secret, &request]).await;
    assert_eq!(printed.lines().last(), Some("204 401 401 401"), "{printed}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Modules are looked for beside the script.
    std::os::unix::fs::symlink(node.modules(), folder.path().join("node_modules")).expect("a link");
    let call = folder.path().join("call.mjs");
    std::fs::write(&call, CALL_JAVASCRIPT).expect("written");
    for name in ["verify.mjs", "verify_plain.mjs"] {
        let code = std::fs::read_to_string(samples.join(name)).expect("a sample");
        let sample = folder.path().join(name);
        std::fs::write(&sample, code.replace("whsec_...", &secret)).expect("written");
        let arguments = [call.clone().into_os_string(), request.clone().into(), sample.into_os_string()];
        assert_eq!(node.run(arguments).await.trim(), "204 401 401 401", "{name}");
    }
}

#[tokio::test]
async fn the_password_command_prints_lines_that_let_in() {
    let made = run_with_input(["console", "password"], "correct horse battery\n");
    let (_, hash) = made.split_once("password_hash = ").expect("a line");
    let site = Site::new(&[("console.password_hash", hash.trim())]);
    let posthaste = site.start().await;
    let (status, _) = Api::at(posthaste.http()).call(hyper::Method::GET, "/console", None).await;
    assert_eq!(status, 303, "somebody is asked now");
}

fn run_with_input<const N: usize>(arguments: [&str; N], input: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = crate::harness::binary();
    let mut child = command
        .args(arguments.map(OsString::from))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}
