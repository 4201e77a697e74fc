//! TLS on both listeners, spoken to with the clients that people have.

use std::net::SocketAddr;

use posthaste_protocol::StreamId;
use posthaste_protocol::client::{Client, Dialler, NewMessage, Options};
use posthaste_protocol::command::StreamStart;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{
    APPLICATION, Answer, Authority, EVENT_TYPE, Pair, Receiver, Resp, Site, Tool, World, bulk, node_with,
    python_with, wait_for_async,
};

const TOKEN: &str = "token of a test";

/// A world that is also reached over TLS, and the files of its certificate.
struct Secured {
    world: World,
    authority: Authority,
    folder: TempDir,
    pair: Pair,
}

impl Secured {
    async fn start() -> Self {
        Self::with(None).await
    }

    /// Where `clients` is given, it insists on certificates from there.
    async fn with(clients: Option<&Authority>) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
        let pair = authority.put(folder.path(), "server");
        let client_ca = clients.map(|clients| clients.put(folder.path(), "client").authority);
        let mut site = Site::new(&[]);
        secure(&mut site, &pair);
        for section in ["ingest", "api"] {
            if let Some(path) = &client_ca {
                site.set(&format!("{section}.tls.client_ca"), &format!("'{}'", path.display()));
            }
        }
        let world = World::on(site, json!({}), Receiver::answering(Answer::Status(204)).await).await;
        Self { world, authority, folder, pair }
    }

    fn tcp(&self) -> SocketAddr {
        self.world.posthaste.tcp_tls()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn ca(&self) -> String {
        self.pair.authority.display().to_string()
    }
}

/// Both listeners behind TLS too, with this certificate.
fn secure(site: &mut Site, pair: &Pair) {
    for section in ["ingest", "api"] {
        site.set(&format!("{section}.tls.listen"), "'127.0.0.1:0'");
        site.set(&format!("{section}.tls.certificate"), &format!("'{}'", pair.certificate.display()));
        site.set(&format!("{section}.tls.key"), &format!("'{}'", pair.key.display()));
    }
}

fn words<const N: usize>(words: [&str; N]) -> [String; N] {
    words.map(str::to_owned)
}

#[tokio::test]
async fn redis_cli_publishes_over_tls_and_not_without_knowing_the_authority() {
    let Some(tool) = Tool::find("redis-cli") else { return };
    let secured = Secured::start().await;
    let (port, key) = (secured.tcp().port().to_string(), format!("messages:{APPLICATION}"));
    let xadd = ["XADD", &key, "*", "type", EVENT_TYPE, "payload", "{}"];
    let trusting = ["-h", "127.0.0.1", "-p", &port, "--tls", "--cacert", &secured.ca()].map(str::to_owned);
    let id = tool.run(trusting.into_iter().chain(words(xadd))).await;
    secured.world.receiver.had(1).await;
    assert_eq!(secured.world.receiver.received()[0].id(), format!("msg_{}", id.trim_end()));
    let mut strange = tool.command();
    strange.args(["-h", "127.0.0.1", "-p", &port, "--tls", "PING"]);
    let said = strange.output().expect("it runs");
    assert!(!String::from_utf8_lossy(&said.stdout).contains("PONG"));
}

#[tokio::test]
async fn the_client_for_rust_publishes_and_follows_over_what_its_owner_dials() {
    let secured = Secured::start().await;
    let (at, client) = (secured.tcp(), secured.authority.client());
    let dialler = Dialler::new(move || {
        let connector = TlsConnector::from(client.clone());
        async move { connector.connect(at.ip().into(), TcpStream::connect(at).await?).await }
    });
    let client = Client::connect_with(dialler, Options::default()).await.expect("a handshake");
    let mut outcomes = client.outcomes(APPLICATION, StreamStart::After(StreamId::MIN));
    let id = client.publish(&NewMessage::new(APPLICATION, EVENT_TYPE, b"{}")).await.expect("accepted");
    assert_eq!(outcomes.next().await.expect("an outcome").message, id);
}

#[tokio::test]
async fn redis_py_publishes_and_follows_outcomes_over_tls() {
    let Some(python) = python_with("redis") else { return };
    let secured = Secured::start().await;
    let printed = python.script("redis_py.py", [secured.tcp().port().to_string(), secured.ca()]).await;
    assert_eq!(printed, "ok\n");
    assert_eq!(secured.world.receiver.messages(), 2 * 101);
}

async fn svix(tool: Tool, variable: &'static str, script: &str) {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let pair = authority.put(folder.path(), "server");
    let mut site = Site::new(&[("api.tokens", &format!("['{TOKEN}']"))]);
    secure(&mut site, &pair);
    let posthaste = site.start().await;
    let receiver = Receiver::answering(Answer::Body(200, "thank you")).await;
    let arguments = [format!("https://{}", posthaste.http_tls()), TOKEN.into(), receiver.url()];
    let tool = tool.with_variable(variable, pair.authority.into());
    assert_eq!(tool.script(script, arguments).await, "ok\n");
    assert_eq!(receiver.count(), 4);
}

#[tokio::test]
async fn the_svix_sdk_for_python_works_over_https() {
    if let Some(python) = python_with("svix") {
        svix(python, "SSL_CERT_FILE", "svix_sdk.py").await;
    }
}

#[tokio::test]
async fn the_svix_sdk_for_javascript_works_over_https() {
    if let Some(node) = node_with("svix") {
        svix(node, "NODE_EXTRA_CA_CERTS", "svix_sdk.js").await;
    }
}

/// The status that curl got for `GET /api/v1/health`; 0 if it got none.
async fn curl(tool: &Tool, at: SocketAddr, options: &[&str]) -> u16 {
    let mut command = tool.command();
    command.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "20"]);
    command.args(options).arg(format!("https://{at}/api/v1/health"));
    let run = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let printed = run.await.expect("it ends").stdout;
    String::from_utf8_lossy(&printed).parse().expect("a number")
}

#[tokio::test]
async fn curl_speaks_to_the_api_over_https_from_tls_1_2_on_and_gets_http_1_1() {
    let Some(tool) = Tool::find("curl") else { return };
    let secured = Secured::start().await;
    let (at, ca) = (secured.world.posthaste.http_tls(), secured.ca());
    for options in [["--tlsv1.3", "--http1.1"], ["--tls-max", "1.2"], ["--tlsv1.2", "--http2"]] {
        assert_eq!(curl(&tool, at, &[&["--cacert", &ca], &options[..]].concat()).await, 204, "{options:?}");
    }
    let old = ["--cacert", &ca, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    assert_eq!(curl(&tool, at, &old).await, 0);
    assert_eq!(curl(&tool, at, &[]).await, 0, "an authority that nobody told it of");
}

#[tokio::test]
async fn who_shows_no_certificate_is_not_let_in_where_one_is_insisted_on() {
    let (Some(tool), Some(redis)) = (Tool::find("curl"), Tool::find("redis-cli")) else { return };
    let clients = Authority::new();
    let secured = Secured::with(Some(&clients)).await;
    let (at, ca, port) = (secured.world.posthaste.http_tls(), secured.ca(), secured.tcp().port().to_string());
    assert_eq!(curl(&tool, at, &["--cacert", &ca]).await, 0);
    let (certificate, key) = (secured.path("client.certificate.pem"), secured.path("client.key.pem"));
    let known = ["--cacert", &ca, "--cert", &certificate, "--key", &key];
    assert_eq!(curl(&tool, at, &known).await, 204);
    let (server_certificate, server_key) =
        (secured.pair.certificate.display().to_string(), secured.pair.key.display().to_string());
    let of_another = ["--cacert", &ca, "--cert", &server_certificate, "--key", &server_key];
    assert_eq!(curl(&tool, at, &of_another).await, 0, "a certificate from somebody else");
    let door = ["-h", "127.0.0.1", "-p", &port, "--tls"].map(str::to_owned);
    let printed = redis.run(door.into_iter().chain(words(known)).chain(["PING".to_owned()])).await;
    assert_eq!(printed, "PONG\n");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart_and_open_connections_go_on() {
    let secured = Secured::start().await;
    let mut before = Resp::connect_tls(secured.tcp(), secured.authority.client()).await.expect("a handshake");
    assert_eq!(bulk(&before.call(&["PING"]).await), "PONG");
    let new = Authority::new();
    new.put(secured.folder.path(), "server");
    secured.world.posthaste.signal(Signal::HUP);
    let after = wait_for_async("the new certificate", async || {
        Resp::connect_tls(secured.tcp(), new.client()).await.ok()
    });
    assert_eq!(bulk(&after.await.call(&["PING"]).await), "PONG");
    assert!(Resp::connect_tls(secured.tcp(), secured.authority.client()).await.is_err());
    before.xadd(APPLICATION, EVENT_TYPE, "{}").await;
    secured.world.receiver.had(1).await;
    // A pair that does not fit together is reported, and changes nothing.
    std::fs::write(&secured.pair.key, "not a key").expect("written");
    secured.world.posthaste.signal(Signal::HUP);
    secured.world.posthaste.says("the old certificate stays in use").await;
    assert!(Resp::connect_tls(secured.tcp(), new.client()).await.is_ok());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start_by_the_name_of_its_setting() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let pair = authority.put(folder.path(), "server");
    let mut site = Site::new(&[]);
    secure(&mut site, &pair);
    site.set("api.tls.key", &format!("'{}'", pair.certificate.display()));
    let refused = site.refusal().await;
    assert!(refused.starts_with("api.tls.key = ") && refused.contains("no private key"), "{refused}");
}

#[tokio::test]
async fn something_else_than_tls_on_the_tls_ports_is_closed_and_harms_nobody() {
    let secured = Secured::start().await;
    for at in [secured.tcp(), secured.world.posthaste.http_tls()] {
        for bytes in
            [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n", &[0x16, 3, 1, 0xff, 0xff]]
        {
            let mut plain = Resp::connect(at).await;
            plain.send(bytes).await;
            // The last one is the beginning of a handshake, which is waited for until it has taken too long.
            let said = plain.rest().await;
            assert!(!said.contains("HTTP/1.1") && !said.contains("PONG"), "{said}");
        }
    }
    let mut good = Resp::connect_tls(secured.tcp(), secured.authority.client()).await.expect("a handshake");
    assert_eq!(bulk(&good.call(&["PING"]).await), "PONG");
}
