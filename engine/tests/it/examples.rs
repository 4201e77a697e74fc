//! The examples in docs/examples do what they say, as they are.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::harness::{
    APPLICATION, Answer, Api, EVENT_TYPE, Killed, Receiver, Site, Tool, World, python_with, skip, wait_for,
    wait_until,
};

#[path = "../../../docs/examples/publish.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own, too")]
mod publish;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// An example with the program that runs it.
fn example(runner: &Tool, name: &str) -> Command {
    let mut command = runner.command();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name));
    command
}

/// Node with this package, from `$POSTHASTE_NODE_MODULES` or where CI puts it.
fn node_with(package: &str) -> Option<Node> {
    let tool = Tool::find("node")?;
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/counterparts/node/node_modules");
    let modules = std::env::var_os("POSTHASTE_NODE_MODULES").map_or_else(beside, PathBuf::from);
    if modules.join(package).is_dir() {
        return Some(Node { tool, modules });
    }
    skip(&format!("node has no package '{package}' in {}", modules.display()));
    None
}

struct Node {
    tool: Tool,
    modules: PathBuf,
}

impl Node {
    fn example(&self, name: &str) -> Command {
        let mut command = example(&self.tool, name);
        command.env("NODE_PATH", &self.modules);
        command
    }
}

/// A program that runs, and what it has printed so far.
struct Running {
    child: Killed,
    lines: std::sync::Arc<Mutex<Vec<String>>>,
    reading: std::thread::JoinHandle<()>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = Killed(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let out = BufReader::new(child.0.stdout.take().expect("a pipe"));
        let lines = std::sync::Arc::<Mutex<Vec<String>>>::default();
        let written = lines.clone();
        let reading = std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| written.lock().push(line));
        });
        Self { child, lines, reading }
    }

    /// The rest of the first line that begins so.
    async fn says(&self, beginning: &str) -> String {
        wait_for(&format!("'{beginning}...'"), || {
            self.lines.lock().iter().find_map(|line| Some(line.strip_prefix(beginning)?.to_owned()))
        })
        .await
    }

    /// Waits until it has ended well, and returns what it printed.
    async fn printed(mut self) -> Vec<String> {
        let ended =
            wait_for("the example to end", || self.child.0.try_wait().expect("a child of ours")).await;
        wait_until("the end of what it prints", || self.reading.is_finished()).await;
        let lines = std::mem::take(&mut *self.lines.lock());
        assert!(ended.success(), "{ended}: {lines:#?}");
        lines
    }
}

fn redis_url(world: &World) -> String {
    format!("redis://{}", world.posthaste.tcp())
}

/// Runs an example that publishes, at a receiver that fails at first, and checks that each message was followed
/// through its failure to its delivery.
async fn publishes_and_follows(mut command: Command, arguments: &[&str], messages: usize) {
    let receiver = Receiver::behaving(|_, before| Answer::Status(if before == 0 { 500 } else { 204 })).await;
    let world = World::with(&[], json!({ "retryPolicy": "100ms, 100ms jitter=0%" }), receiver).await;
    command.env("REDIS_URL", redis_url(&world)).args([APPLICATION, EVENT_TYPE]).args(arguments);
    let printed = Running::start(command).printed().await.join("\n");
    assert_eq!(world.receiver.messages(), messages, "{printed}");
    for id in world.receiver.by_id().into_keys() {
        let id = id.strip_prefix("msg_").expect("an id").to_owned();
        assert!(printed.contains(&id), "{id} in:\n{printed}");
    }
    assert_eq!(printed.matches("bad_status").count(), messages, "{printed}");
    assert_eq!(printed.matches("success").count(), messages, "{printed}");
}

#[tokio::test]
async fn the_example_in_shell_publishes_and_follows() {
    let (Some(shell), Some(_)) = (Tool::find("sh"), Tool::find("redis-cli")) else { return };
    publishes_and_follows(example(&shell, "publish.sh"), &[r#"{"n": 1}"#], 1).await;
}

#[tokio::test]
async fn the_example_in_python_publishes_and_follows() {
    let Some(python) = python_with("redis") else { return };
    publishes_and_follows(example(&python, "publish.py"), &[], 3).await;
}

#[tokio::test]
async fn the_example_in_javascript_publishes_and_follows() {
    let Some(node) = node_with("ioredis") else { return };
    publishes_and_follows(node.example("publish.js"), &[], 3).await;
}

#[tokio::test]
async fn the_example_in_rust_publishes_and_follows() {
    let world = World::start().await;
    let address = world.posthaste.tcp().to_string();
    publish::publish_and_follow(&address, APPLICATION, EVENT_TYPE).await.expect("it succeeds");
    let bodies: HashSet<_> = world.receiver.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies.len(), 3);
}

/// Runs a receiver, sends it messages that are signed and one that is not, and checks what it made of them.
async fn receives_and_refuses(mut command: Command) {
    command.env("WEBHOOK_SECRET", SECRET).arg("0");
    let receiver = Running::start(command);
    let url = receiver.says("listening on ").await;
    let world = World::start().await;
    world.api().make_endpoint(APPLICATION, &json!({ "url": url, "secret": SECRET })).await;
    let published = world.publish(3).await;
    world.follow().await.saw(6, "delivered").await;
    for id in published {
        let shown = receiver.says(&format!("received msg_{id} ")).await;
        let shown = shown.replace(['\'', '"', ' '], "");
        assert!(["{n:0}", "{n:1}", "{n:2}"].contains(&&*shown), "{shown}");
    }
    let address: SocketAddr =
        url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let (status, _) = Api::at(address).call(Method::POST, "/", Some(&json!({ "n": "forged" }))).await;
    assert_eq!(status, 400, "nobody signed it");
    refuses_what_is_forged(address).await;
    assert_eq!(receiver.lines.lock().iter().filter(|line| line.starts_with("received")).count(), 3);
}

/// Sends signatures that are cut short, and those of other requests (CVE-2024-21491, CVE-2025-53548). Each must be
/// refused, and so must one that is played again.
async fn refuses_what_is_forged(address: SocketAddr) {
    const ID: &str = "msg_forged";
    const BODY: &str = r#"{"n":"received"}"#;
    let webhook = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let timestamp = i64::try_from(since.as_secs()).expect("not that late");
    let sign = |timestamp, body: &str| webhook.sign(ID, timestamp, body.as_bytes()).expect("a signature");
    let whole = sign(timestamp, BODY);
    let forged = [
        "",
        "v1,",
        "v1",
        &whole[..whole.len() - 1],
        &whole[..12],
        &sign(timestamp, "{}"),
        &sign(timestamp - 1, BODY),
    ];
    for signature in forged.map(str::to_owned) {
        let status = post_signed(address, ID, timestamp, &signature, BODY).await;
        assert_eq!(status, 400, "{signature:?} was believed");
    }
    let old = timestamp - 3_600;
    assert_eq!(post_signed(address, ID, old, &sign(old, BODY), BODY).await, 400, "it is an hour old");
}

async fn post_signed(address: SocketAddr, id: &str, timestamp: i64, signature: &str, body: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut tcp = tokio::net::TcpStream::connect(address).await.expect("it accepts");
    let length = body.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\
         webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\r\n{body}"
    );
    tcp.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn the_receiver_in_python_takes_what_is_signed_and_refuses_the_rest() {
    let Some(python) = python_with("standardwebhooks") else { return };
    receives_and_refuses(example(&python, "receive.py")).await;
}

#[tokio::test]
async fn the_receiver_in_javascript_takes_what_is_signed_and_refuses_the_rest() {
    let Some(node) = node_with("standardwebhooks") else { return };
    receives_and_refuses(node.example("receive.js")).await;
}

/// Runs an example that manages, twice: a customer that is there already is no reason to fail.
async fn manages(command: impl Fn() -> Command) {
    const TOKEN: &str = "token of a test";
    let site = Site::new(&[("api.tokens", "['token of a test']")]);
    let posthaste = site.start().await;
    let receiver = Receiver::answering(Answer::Status(204)).await;
    for round in 1..=2 {
        let mut command = command();
        command.env("API_URL", format!("http://{}", posthaste.http())).env("API_TOKEN", TOKEN);
        command.arg(receiver.url());
        let printed = Running::start(command).printed().await;
        assert_eq!(receiver.count(), round, "{printed:#?}");
        let received = &receiver.received()[round - 1];
        let secret = printed[0].split_once("verifies with ").expect("a secret").1;
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        verifier.verify(&received.body, &received.headers).expect("signed with it");
        assert!(printed.contains(&format!("published {}", received.id())), "{printed:#?}");
        assert!(printed.contains(&"attempt 204".to_owned()), "{printed:#?}");
        assert!(printed[3].eq_ignore_ascii_case("disabled true"), "{printed:#?}");
    }
    let endpoints = Api::at(posthaste.http()).with_token(TOKEN).get("/api/v1/app/acme/endpoint").await;
    let disabled = |endpoint: &Value| endpoint["disabled"] == json!(true);
    assert!(endpoints["data"].as_array().expect("a list").iter().all(disabled), "{endpoints}");
}

#[tokio::test]
async fn the_svix_sdk_of_python_manages_as_the_example_shows() {
    let Some(python) = python_with("svix") else { return };
    manages(|| example(&python, "manage.py")).await;
}

#[tokio::test]
async fn the_svix_sdk_of_javascript_manages_as_the_example_shows() {
    let Some(node) = node_with("svix") else { return };
    manages(|| node.example("manage.js")).await;
}

/// Runs a platform whose customer answers in good JSON, in broken JSON, and not at all.
async fn acts_on_replies(command: impl Fn() -> Command) {
    let receiver = Receiver::behaving(|received, _| {
        let body = String::from_utf8_lossy(&received.body).into_owned();
        let json = |reply: &str| Answer::Typed(200, "application/json", reply.to_owned());
        match () {
            () if body.contains("hours") => json(r#"{"messages": [{"content": "9 to 5"}]}"#),
            () if body.contains("forward") => {
                json(r#"{"messages": [{"content": "look", "to_number": "15550199"}]}"#)
            }
            () if body.contains("oops") => json(r#"{"messages": [}"#),
            () => Answer::Status(204),
        }
    })
    .await;
    let world = World::with(&[], json!({ "tellResponse": true }), receiver).await;
    for (text, expect) in [
        ("opening hours?", "send to 15550100: 9 to 5"),
        ("please forward", "send to 15550199: look"),
        ("oops", "the customer should know: this is not JSON"),
        ("thank you", "nothing to send"),
    ] {
        let mut command = command();
        command.env("REDIS_URL", redis_url(&world)).args([APPLICATION, EVENT_TYPE, "15550100", text]);
        let printed = Running::start(command).printed().await;
        assert!(matches!(&printed[..], [line] if line.starts_with(expect)), "{text}: {printed:#?}");
    }
    let asked: Value = serde_json::from_slice(&world.receiver.received()[0].body).expect("JSON");
    assert_eq!(asked, json!({ "from": "15550100", "content": "opening hours?" }));
}

#[tokio::test]
async fn a_platform_in_python_acts_on_what_its_customer_answers() {
    let Some(python) = python_with("redis") else { return };
    acts_on_replies(|| example(&python, "autoreply.py")).await;
}

#[tokio::test]
async fn a_platform_in_javascript_acts_on_what_its_customer_answers() {
    let Some(node) = node_with("ioredis") else { return };
    acts_on_replies(|| node.example("autoreply.js")).await;
}

#[test]
fn every_example_is_named_in_their_overview_and_run_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let overview = include_str!("../../../docs/examples/README.md");
    let here = include_str!("examples.rs");
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        if name != "README.md" {
            assert!(overview.contains(&format!("({name})")), "{name} is not in the overview");
            assert!(here.contains(&name), "{name} is not run");
        }
    }
}
