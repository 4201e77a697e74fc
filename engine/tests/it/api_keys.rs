//! Keys that are made and revoked while the server runs, through both doors.

use hyper::Method;
use posthaste_protocol::value::Value as Reply;
use serde_json::{Value, json};

use crate::harness::{
    APPLICATION, Answer, Api, EVENT_TYPE, Receiver, Resp, Site, Tool, World, binary, bulk, error_text,
    python_with, wait_for_async,
};

/// A key that was made.
struct Made {
    id: String,
    token: &'static str,
}

async fn make(api: &Api, body: Value) -> Made {
    let made = api.post("/api/v1/auth/api-key", &body).await;
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    Made { id: text("id"), token: text("token").leak() }
}

fn for_acme(scopes: &[&str]) -> Value {
    json!({ "name": "shop", "scopes": scopes, "applicationId": APPLICATION })
}

/// A world in which publishers must authenticate, and another application in it.
async fn guarded() -> World {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let world = World::with(&[("ingest.require_key", "true")], json!({}), receiver).await;
    world.api().make_application("other").await;
    world
}

async fn auth(resp: &mut Resp, words: &[&str]) -> Reply {
    let all: Vec<&str> = std::iter::once("AUTH").chain(words.iter().copied()).collect();
    resp.call(&all).await
}

#[tokio::test]
async fn a_key_publishes_over_tcp_for_its_application_and_reads_nothing() {
    let world = guarded().await;
    let key = make(&world.api(), for_acme(&["ingest"])).await;
    let mut resp = world.resp().await;
    assert!(error_text(&resp.xadd(APPLICATION, EVENT_TYPE, "1").await).starts_with("NOAUTH "));
    assert_eq!(bulk(&auth(&mut resp, &[key.token]).await), "OK");
    bulk(&resp.xadd(APPLICATION, EVENT_TYPE, "1").await);
    world.receiver.had(1).await;
    // Whether the other application exists is not told.
    let existing = error_text(&resp.xadd("other", EVENT_TYPE, "1").await);
    let missing = error_text(&resp.xadd("nobody", EVENT_TYPE, "1").await);
    assert_eq!(existing, "NOPERM No permissions to access a key");
    assert_eq!(existing, missing);
    let refused = error_text(&resp.call(&["XLEN", "messages:acme"]).await);
    let expected = format!("NOPERM User {} has no permissions to run the 'xlen' command", key.id);
    assert!(refused.starts_with(&expected), "{refused}");
    assert_eq!(bulk(&resp.call(&["ACL", "WHOAMI"]).await), key.id);
    let info = bulk(&resp.call(&["INFO"]).await);
    assert!(info.contains("posthaste_version") && !info.contains("messages_accepted"), "{info}");
}

#[tokio::test]
async fn a_key_for_reading_reads_what_belongs_to_its_application_and_publishes_nothing() {
    let world = guarded().await;
    let (writer, reader) =
        (make(&world.api(), for_acme(&["ingest"])).await, make(&world.api(), for_acme(&["read"])).await);
    let mut writing = world.resp().await;
    auth(&mut writing, &["shop", writer.token]).await;
    bulk(&writing.xadd(APPLICATION, EVENT_TYPE, "1").await);
    let mut resp = world.resp().await;
    assert_eq!(bulk(&auth(&mut resp, &[&reader.id, reader.token]).await), "OK");
    assert_eq!(resp.xlen(APPLICATION).await, 1);
    for (words, allowed) in [
        (&["XRANGE", "messages:acme", "-", "+"][..], true),
        (&["XREVRANGE", "messages:acme", "+", "-"], true),
        (&["XREAD", "STREAMS", "outcomes:acme", "$"], true),
        (&["XLEN", "messages:other"], false),
        (&["XRANGE", "messages:other", "-", "+"], false),
        (&["XREAD", "STREAMS", "outcomes:acme", "outcomes:other", "0", "0"], false),
        (&["XADD", "messages:acme", "*", "type", EVENT_TYPE, "payload", "1"], false),
    ] {
        let reply = resp.call(words).await;
        let is_refused = matches!(&reply, Reply::Error(text) if text.starts_with(b"NOPERM "));
        assert_eq!(!is_refused, allowed, "{words:?}: {reply:?}");
    }
}

#[tokio::test]
async fn names_and_keys_that_do_not_belong_together_are_refused_and_so_are_links_of_the_portal() {
    let world = guarded().await;
    let key = make(&world.api(), for_acme(&["ingest"])).await;
    let portal = world.api().post("/api/v1/auth/app-portal-access/acme", &json!({})).await;
    let portal = portal["token"].as_str().expect("a token");
    let wrong = format!("{}x", &key.token[..key.token.len() - 1]);
    for words in [&["somebody", key.token][..], &[&wrong], &["shop", &wrong], &[portal]] {
        let mut resp = world.resp().await;
        assert!(!matches!(auth(&mut resp, words).await, Reply::Simple(_)), "{words:?}");
        assert!(
            error_text(&resp.xadd(APPLICATION, EVENT_TYPE, "1").await).starts_with("NOAUTH "),
            "{words:?}"
        );
    }
    let mut resp = world.resp().await;
    let hello = resp.call(&["HELLO", "3", "AUTH", "shop", key.token]).await;
    assert!(matches!(hello, Reply::Map(_)), "{hello:?}");
    bulk(&resp.xadd(APPLICATION, EVENT_TYPE, "1").await);
    resp.call(&["RESET"]).await;
    assert!(error_text(&resp.xadd(APPLICATION, EVENT_TYPE, "1").await).starts_with("NOAUTH "));
}

#[tokio::test]
async fn a_revocation_closes_connections_that_are_open_also_those_that_wait_for_outcomes() {
    let world = guarded().await;
    let key = make(&world.api(), for_acme(&["ingest", "read"])).await;
    let (mut idle, mut waiting) = (world.resp().await, world.resp().await);
    for resp in [&mut idle, &mut waiting] {
        assert_eq!(bulk(&auth(resp, &[key.token]).await), "OK");
    }
    assert_eq!(idle.xlen(APPLICATION).await, 0);
    waiting.send(b"XREAD BLOCK 0 STREAMS outcomes:acme $\r\n").await;
    world.api().delete(&format!("/api/v1/auth/api-key/{}", key.id)).await;
    for resp in [idle, waiting] {
        assert_eq!(resp.rest().await, "-NOAUTH the key of this connection was revoked, or has expired\r\n");
    }
    let mut resp = world.resp().await;
    assert!(!matches!(auth(&mut resp, &[key.token]).await, Reply::Simple(_)));
}

#[tokio::test]
async fn the_keys_of_the_configuration_are_accepted_over_tcp_beside_the_password() {
    let receiver = Receiver::answering(Answer::Status(204)).await;
    let settings = [
        ("ingest.password", "'open sesame'"),
        ("api.tokens", "['the first token']"),
        (
            "api.keys",
            "{ shop = { token = 'the shop token', scopes = ['ingest'], application = 'acme', event_types = ['invoice.*'] } }",
        ),
    ];
    let site = Site::new(&settings);
    let posthaste = site.start().await;
    let api = Api::at(posthaste.http()).with_token("the first token");
    for uid in ["acme", "other"] {
        api.make_application(uid).await;
    }
    for name in ["invoice.paid", "user.signup"] {
        api.make_event_type(name).await;
    }
    api.make_endpoint("acme", &json!({ "url": receiver.url() })).await;
    let mut shop = Resp::connect(posthaste.tcp()).await;
    assert_eq!(bulk(&auth(&mut shop, &["shop", "the shop token"]).await), "OK");
    bulk(&shop.xadd("acme", "invoice.paid", "1").await);
    for (application, event_type) in [("acme", "user.signup"), ("other", "invoice.paid")] {
        assert!(error_text(&shop.xadd(application, event_type, "1").await).starts_with("NOPERM "));
    }
    for (words, name) in [(&["open sesame"][..], "default"), (&["the first token"], "token-1")] {
        let mut resp = Resp::connect(posthaste.tcp()).await;
        assert_eq!(bulk(&auth(&mut resp, words).await), "OK");
        assert_eq!(bulk(&resp.call(&["ACL", "WHOAMI"]).await), name);
        bulk(&resp.xadd("acme", "user.signup", "1").await);
    }
    receiver.had(3).await;
}

#[tokio::test]
async fn who_publishes_faster_than_their_key_may_is_told_how_long_to_wait_and_nobody_else_is() {
    let world = guarded().await;
    let mut body = for_acme(&["ingest"]);
    body["eventsPerSecond"] = 5.into();
    let (slow, fast) = (make(&world.api(), body).await, make(&world.api(), for_acme(&["ingest"])).await);
    let xadd = ["XADD", "messages:acme", "*", "type", EVENT_TYPE, "payload", "1"].map(str::to_owned).to_vec();
    for (key, is_limited) in [(&slow, true), (&fast, false)] {
        let mut resp = world.resp().await;
        auth(&mut resp, &[key.token]).await;
        let replies = resp.pipeline(&vec![xadd.clone(); 200]).await;
        let refused: Vec<String> =
            replies.iter().filter(|reply| matches!(reply, Reply::Error(_))).map(error_text).collect();
        // Two hundred take less than the forty seconds that five a second allow.
        assert_eq!(!refused.is_empty(), is_limited, "{refused:?}");
        assert!(refused.iter().all(|text| text.starts_with("RATELIMIT retry after ")), "{refused:?}");
        assert!(refused.len() < replies.len());
    }
}

#[tokio::test]
async fn redis_cli_and_redis_py_authenticate_as_a_user_with_a_key() {
    let world = guarded().await;
    let key = make(&world.api(), for_acme(&["ingest", "read"])).await;
    let port = world.posthaste.tcp().port().to_string();
    if let Some(tool) = Tool::find("redis-cli") {
        let words = ["-p", &port, "--user", &key.id, "--pass", key.token, "--no-auth-warning", "-e"];
        let run = async |command: &[&str]| {
            let arguments = words.iter().chain(command).map(|word| (*word).to_owned());
            tool.run(arguments).await.trim_end().to_owned()
        };
        assert_eq!(run(&["ACL", "WHOAMI"]).await, key.id);
        run(&["XADD", "messages:acme", "*", "type", EVENT_TYPE, "payload", "1"]).await;
        assert_eq!(run(&["XLEN", "messages:acme"]).await, "1");
    }
    if let Some(python) = python_with("redis") {
        let arguments = [port, key.id.clone(), key.token.to_owned()];
        assert_eq!(python.script("redis_py_keys.py", arguments).await, "ok\n");
    }
}

#[tokio::test]
async fn the_first_key_is_made_without_a_server_and_opens_one_that_asks_everybody_for_a_key() {
    let site = Site::new(&[("api.require_key", "true"), ("ingest.require_key", "true")]);
    let config = site.config();
    let create = |arguments: &[&str]| {
        let mut command = binary();
        command.args(["token", "create", "--name", "ops", "--config"]).arg(&config).args(arguments);
        command.output().expect("it runs")
    };
    let output = create(&["--scope", "admin"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token: &'static str = String::from_utf8(output.stdout).expect("text").trim_end().to_owned().leak();
    let posthaste = site.start().await;
    assert_eq!(Api::at(posthaste.http()).call(Method::GET, "/api/v1/app", None).await.0, 401);
    let api = Api::at(posthaste.http()).with_token(token);
    api.make_application("acme").await;
    api.make_event_type(EVENT_TYPE).await;
    let mut resp = Resp::connect(posthaste.tcp()).await;
    assert_eq!(bulk(&auth(&mut resp, &["ops", token]).await), "OK");
    bulk(&resp.xadd("acme", EVENT_TYPE, "1").await);
    let first_use = wait_for_async("the first use to be written down", async || {
        let page = api.get("/api/v1/audit?action=api_key").await;
        page["data"].as_array().filter(|entries| entries.len() == 2).cloned()
    });
    let entries = first_use.await;
    let shown: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry["action"].as_str().expect("a text"), entry["actor"].as_str().expect("a text")))
        .collect();
    let id = entries[1]["object"].as_str().expect("an id");
    assert_eq!(shown, [("api_key.first_use", id), ("api_key.create", "command-line")]);
    // While a server runs, its API is the way.
    let refused = create(&["--scope", "read"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another process uses this data folder"));
}

#[tokio::test]
async fn a_key_for_the_configuration_touches_no_data_folder_and_opens_a_server_that_has_its_lines() {
    let mut site = Site::new(&[]);
    let mut command = binary();
    command.args(["token", "create", "--for-config", "--name", "shop", "--scope", "read,ingest", "--config"]);
    let output = command.arg(site.config()).output().expect("it runs");
    assert!(output.status.success() && !site.data().exists());
    let printed = String::from_utf8(output.stdout).expect("text");
    let (first, lines) = printed.split_once('\n').expect("two lines");
    let token: &'static str = first.rsplit(' ').next().expect("a token").to_owned().leak();
    let fields: Vec<&str> = lines.lines().skip(1).collect();
    site.set("api.keys", &format!("{{ shop = {{ {} }} }}", fields.join(", ")));
    let posthaste = site.start().await;
    let status = async |api: Api| api.call(Method::GET, "/api/v1/app", None).await.0;
    assert_eq!(status(Api::at(posthaste.http())).await, 401);
    assert_eq!(status(Api::at(posthaste.http()).with_token(token)).await, 200);
}

#[tokio::test]
async fn a_key_survives_a_kill_and_so_does_its_revocation() {
    let mut world = World::with(
        &[("ingest.require_key", "true")],
        json!({}),
        Receiver::answering(Answer::Status(204)).await,
    )
    .await;
    let (kept, revoked) =
        (make(&world.api(), for_acme(&["ingest"])).await, make(&world.api(), for_acme(&["ingest"])).await);
    world.api().delete(&format!("/api/v1/auth/api-key/{}", revoked.id)).await;
    world.kill_and_start().await;
    for (key, is_valid) in [(kept, true), (revoked, false)] {
        let mut resp = world.resp().await;
        let reply = auth(&mut resp, &["shop", key.token]).await;
        assert_eq!(matches!(reply, Reply::Simple(_)), is_valid, "{reply:?}");
    }
}
