//! Secrets at rest: what the disk is told, and what the keys are needed for.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use posthaste::core::ids::{ApplicationId, EndpointId};
use posthaste_storage::disk::RealDisk;
use posthaste_storage::log::{Log, LogOptions};
use posthaste_storage::record::{Change, Channels, Endpoints, Extras, Message, Record};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::harness::{
    APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Posthaste, Received, Receiver, Site, World, binary, steady,
    wait_for_async, wait_until,
};

/// The secret that messages bring along with their URL.
const OWN_SECRET: &str = "whsec_bG9ja2VkIGF3YXkgYW5kIG5vdCBmb3VuZCBhZ2Fpbi4u";

fn verifies(received: &Received, secret: &str) -> bool {
    let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
    webhook.verify(&received.body, &received.headers).is_ok()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files
}

/// The files below a folder in which these bytes stand.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let finder = memchr::memmem::Finder::new(bytes);
    let holds = |path: &PathBuf| finder.find(&std::fs::read(path).expect("readable")).is_some();
    files(folder).into_iter().filter(holds).collect()
}

/// What of a secret must not be found: itself, and the bytes that its base64 stands for.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bare = secret.strip_prefix("whsec_").or_else(|| secret.strip_prefix("whsk_")).unwrap_or(secret);
    let bytes = BASE64_STANDARD.decode(bare).unwrap_or_default();
    // Of a key pair, the seed alone.
    let seed = bytes.get(..32).unwrap_or(&bytes).to_vec();
    [bare.as_bytes().to_vec(), BASE64_STANDARD.encode(bare).into(), seed]
        .into_iter()
        .filter(|form| form.len() >= 8)
        .collect()
}

async fn publish(world: &World, endpoint: &str, to: &str, secret: &str) -> String {
    let own = json!({ "url": to, "secret": secret, "endpoint": endpoint });
    let body = json!({ "eventType": EVENT_TYPE, "payload": { "n": "marker-of-payloads" }, "override": own });
    let made = world.api().post(&format!("/api/v1/app/{APPLICATION}/msg"), &body).await;
    made["id"].as_str().expect("an id").to_owned()
}

/// A file for the keys that is not in the data folder, and the setting that names it.
fn key_file() -> (tempfile::TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("posthaste.key");
    let setting = format!("'{}'", path.display());
    (folder, path, setting)
}

fn keys(site: &Site, arguments: &[&str]) -> Output {
    let mut command = binary();
    command.arg("keys").args(arguments).arg("--config").arg(site.config());
    command.output().expect("it runs")
}

fn printed(site: &Site, arguments: &[&str]) -> String {
    let output = keys(site, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The ids of the keys, oldest first.
fn ids(site: &Site) -> Vec<String> {
    let lines = printed(site, &["list"]);
    lines.lines().map(|line| line.split(' ').next().expect("an id").to_owned()).collect()
}

/// Takes the oldest key out of the file.
fn remove_oldest(path: &Path) {
    let text = std::fs::read_to_string(path).expect("text");
    let oldest = text.lines().find(|line| !line.starts_with('#')).expect("a key");
    std::fs::write(path, text.replace(&format!("{oldest}\n"), "")).expect("written");
}

#[tokio::test]
async fn nothing_secret_is_found_in_the_data_folder_however_the_process_ended() {
    let usual = Receiver::answering(Answer::Status(204)).await;
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["sender.example".to_owned()]).expect("parameters");
    let certificate = certificate.self_signed(&key).expect("a certificate");
    let fields = json!({
        "authorization": { "type": "bearer", "token": "topsecret-bearer-token" },
        "headers": { "x-tenant": "topsecret-of-no-telling-name" },
    });
    let mut world = World::with(&[], fields, usual).await;
    let form = json!({
        "format": "form", "bodySecret": "topsecret-body-secret",
        "authorization": { "type": "basic", "username": "topsecret-user", "password": "topsecret-password" },
    });
    let form = world.add_endpoint(form, &world.receiver).await;
    let shown = json!({
        "url": "https://127.0.0.1:8443/",
        "clientCertificate": { "certificate": certificate.pem(), "key": key.serialize_pem() },
    });
    let shown = world.api().make_endpoint(APPLICATION, &shown).await;
    let pem = key.serialize_pem();
    let pem = pem.lines().nth(1).expect("base64").to_owned();

    let api = world.api();
    let mut secrets: Vec<String> = ["topsecret-", OWN_SECRET, &pem].map(str::to_owned).into();
    let pair = format!("whsk_{}", BASE64_STANDARD.encode(b"a seed of thirty-two bytes, yes."));
    for endpoint in [&world.endpoint, &form, &shown] {
        secrets.push(api.secret(APPLICATION, endpoint).await);
        let rotate = format!("/api/v1/app/{APPLICATION}/endpoint/{endpoint}/secret/rotate");
        api.post(&rotate, &json!({})).await;
        secrets.push(api.secret(APPLICATION, endpoint).await);
        api.post(&rotate, &json!({ "key": pair })).await;
    }
    secrets.push(pair);
    api.post(&format!("/api/v1/auth/app-portal-access/{APPLICATION}"), &json!({})).await;
    let own = Receiver::answering(Answer::Status(204)).await;
    publish(&world, &world.endpoint, &own.url(), OWN_SECRET).await;
    publish(&world, &form, &own.url(), "topsecret-form-override").await;
    wait_until("the requests", || own.count() == 2).await;
    let sent: Vec<Received> = own.received();
    assert!(sent.iter().any(|received| verifies(received, OWN_SECRET)), "it signs");
    assert!(sent.iter().any(|received| received.body.ends_with(b"secret=topsecret-form-override")));

    for killed in [true, false] {
        if killed {
            world.posthaste.kill();
        } else {
            world.restart().await;
        }
        let data = world.site.data();
        for secret in &secrets {
            for form in forms(secret) {
                assert_eq!(files_with(data, &form), Vec::<PathBuf>::new(), "{secret}, killed: {killed}");
            }
        }
        // What is not secret is found, so the search can find something.
        assert!(!files_with(data, b"marker-of-payloads").is_empty());
        assert!(!files_with(data, world.receiver.url().as_bytes()).is_empty());
        assert_eq!(std::fs::metadata(data.join("portal.key")).expect("there").len(), 32 + 49, "sealed");
        if killed {
            world.posthaste = world.site.start().await;
        }
    }
    // And all of it is there again.
    world.publish(1).await;
    let shown = world.endpoint_shown().await;
    assert_eq!(shown["headers"]["x-tenant"], Value::Null, "{shown}");
    let asked = |received: &Received| {
        received.header("authorization") == "Bearer topsecret-bearer-token"
            && received.header("x-tenant") == "topsecret-of-no-telling-name"
    };
    wait_until("a request with everything", || world.receiver.received().iter().any(asked)).await;
}

#[tokio::test]
async fn after_a_rotation_deliveries_go_on_with_valid_signatures_and_the_old_key_can_go_once_nothing_needs_it()
 {
    let (_folder, path, setting) = key_file();
    let settings = [&[("secrets.key_file", setting.as_str())][..], &NO_LOCKOUT].concat();
    let policy = json!({ "retryPolicy": steady("300ms") });
    let mut world = World::with(&settings, policy, Receiver::answering(Answer::Status(204)).await).await;
    let own = Receiver::answering(Answer::Status(500)).await;
    publish(&world, &world.endpoint, &own.url(), OWN_SECRET).await;
    wait_until("an attempt", || own.count() >= 1).await;
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    let refused = keys(&world.site, &["rotate"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another process uses this data folder"));
    assert!(!world.site.data().join("secrets.key").exists(), "the keys are elsewhere");

    world.posthaste.terminate();
    world.posthaste.ended().await;
    let before = ids(&world.site);
    let said = printed(&world.site, &["rotate"]);
    assert!(said.contains("the secrets of 1 endpoints") && said.contains(&before[0]), "{said}");
    let after = ids(&world.site);
    assert_eq!((after.len(), &after[0]), (2, &before[0]));
    let used = printed(&world.site, &["list", "--used"]);
    let used: Vec<&str> = used.lines().collect();
    assert!(used[0].contains("decrypts ") && used[0].contains("0 endpoints, 1 messages"), "{used:#?}");
    assert!(
        used[1].contains("encrypts") && used[1].contains("1 endpoints, portal tokens, 0 messages"),
        "{used:#?}"
    );

    // The message that was encrypted with the old key is delivered, and a new one too.
    world.posthaste = world.site.start().await;
    own.answers(Answer::Status(204));
    world.publish(1).await;
    world.receiver.had(1).await;
    assert!(verifies(&world.receiver.received()[0], &secret), "signed with the endpoint's secret");
    let ended = world.follow().await;
    ended.saw(2, "delivered").await;
    assert!(own.received().iter().all(|received| verifies(received, OWN_SECRET)), "by the secret of the URL");

    // Without the old key: only what is left under it fails, and says why.
    let message = publish(&world, &world.endpoint, &own.url(), OWN_SECRET).await;
    world.posthaste.terminate();
    world.posthaste.ended().await;
    remove_oldest(&path);
    assert_eq!(ids(&world.site), after[1..]);
    let used = printed(&world.site, &["list", "--used"]);
    assert!(used.contains(&format!("{}  NOT IN ", before[0])), "{used}");
    world.posthaste = world.site.start().await;
    world.publish(1).await;
    world.receiver.had(2).await;
    assert!(verifies(&world.receiver.received()[1], &secret));
    let shown = world.api().get(&format!("/api/v1/app/{APPLICATION}/msg/{message}")).await;
    assert_eq!(shown["overrideUrl"], own.url());
    let audit = world.api().get("/api/v1/audit?limit=250").await;
    let rotated = |entry: &Value| entry["action"] == "key.rotate" && entry["object"] == after[1].as_str();
    assert!(audit["data"].as_array().expect("a list").iter().any(rotated), "{audit}");
}

#[tokio::test]
async fn a_message_whose_key_is_gone_fails_its_attempts_and_says_which_key_and_where() {
    let (_folder, path, setting) = key_file();
    let settings = [&[("secrets.key_file", setting.as_str())][..], &NO_LOCKOUT].concat();
    let policy = json!({ "retryPolicy": steady("200ms") });
    let mut world = World::with(&settings, policy, Receiver::answering(Answer::Status(204)).await).await;
    let own = Receiver::answering(Answer::Status(500)).await;
    let message = publish(&world, &world.endpoint, &own.url(), OWN_SECRET).await;
    wait_until("an attempt", || own.count() >= 1).await;
    world.posthaste.terminate();
    world.posthaste.ended().await;
    printed(&world.site, &["rotate"]);
    let oldest = ids(&world.site)[0].clone();
    let both = std::fs::read(&path).expect("readable");
    remove_oldest(&path);
    world.posthaste = world.site.start().await;
    let expected = format!(
        "the secret for its URL cannot be read: it is encrypted with the key {oldest}, which is not in {} \
         (secrets.key_file)",
        path.display()
    );
    let api = world.api();
    wait_for_async("an attempt that says so", async || {
        let attempts = api.attempts(APPLICATION, &message).await;
        attempts.iter().any(|attempt| attempt["detail"] == expected.as_str()).then_some(())
    })
    .await;
    // The key is put back: it goes on.
    std::fs::write(&path, both).expect("written");
    own.answers(Answer::Status(204));
    world.restart().await;
    world.follow().await.saw(1, "delivered").await;
}

#[tokio::test]
async fn a_start_without_the_right_key_is_refused_by_its_id_and_the_file() {
    let (_folder, path, setting) = key_file();
    let settings = [("secrets.key_file", setting.as_str())];
    let mut world = World::with(&settings, json!({}), Receiver::answering(Answer::Status(204)).await).await;
    let secret = world.api().secret(APPLICATION, &world.endpoint).await;
    world.posthaste.terminate();
    world.posthaste.ended().await;
    let id = ids(&world.site)[0].clone();
    let right = std::fs::read(&path).expect("readable");
    let expected = |state: &str| {
        format!(
            "secrets in the data folder are encrypted with the key {id} (1 endpoints), and {} (secrets.key_file) \
             {state}; put that file back, or give up what was encrypted with it (secrets.accept_unreadable)",
            path.display()
        )
    };
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(world.site.refusal().await, expected("does not exist"));
    assert!(!path.exists(), "none is made where one is missed");

    let other = BASE64_STANDARD.encode([7; 32]);
    std::fs::write(&path, format!("{other}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("permitted");
    let refused = world.site.refusal().await;
    assert!(refused.contains("its mode is 0644, so others may use it; it must be 0600"), "{refused}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("permitted");
    assert_eq!(world.site.refusal().await, expected("does not have it"));
    assert!(!keys(&world.site, &["rotate"]).status.success(), "nothing is put on top of what cannot be read");

    // Without endpoints too: the key of portal tokens is there from the first start on.
    let empty = Site::new(&[("secrets.key_file", &setting)]);
    assert!(empty.start().await.stop().await.success());
    std::fs::write(&path, BASE64_STANDARD.encode([8; 32])).expect("written");
    let refused = empty.refusal().await;
    assert!(refused.contains("(portal tokens)") && refused.contains("does not have it"), "{refused}");

    std::fs::write(&path, right).expect("written");
    world.posthaste = world.site.start().await;
    world.publish(1).await;
    world.receiver.had(1).await;
    assert!(verifies(&world.receiver.received()[0], &secret));
}

#[tokio::test]
async fn who_gives_up_a_lost_key_starts_and_makes_each_endpoint_anew() {
    let (_folder, path, setting) = key_file();
    let settings = [&[("secrets.key_file", setting.as_str())][..], &NO_LOCKOUT].concat();
    let policy =
        json!({ "retryPolicy": steady("200ms"), "authorization": { "type": "bearer", "token": "abc" } });
    let mut world = World::with(&settings, policy, Receiver::answering(Answer::Status(204)).await).await;
    let lost = world.api().secret(APPLICATION, &world.endpoint).await;
    world.posthaste.terminate();
    world.posthaste.ended().await;
    std::fs::remove_file(&path).expect("removed");
    world.site.set("secrets.accept_unreadable", "true");
    world.posthaste = world.site.start().await;
    world.posthaste.says("its secrets cannot be read: its attempts fail until it is PUT anew").await;

    let message = format!("msg_{}", world.publish_one().await);
    let api = world.api();
    wait_for_async("an attempt that says why", async || {
        let attempts = api.attempts(APPLICATION, &message).await;
        let detail = attempts.first()?["detail"].as_str()?.to_owned();
        assert!(
            detail.starts_with("the secrets of the endpoint cannot be read: it is encrypted with"),
            "{detail}"
        );
        Some(())
    })
    .await;
    assert_eq!(world.receiver.count(), 0, "nothing is sent without its authorization and signature");
    let endpoint = format!("/api/v1/app/{APPLICATION}/endpoint/{}", world.endpoint);
    let (status, refused) = api.call(Method::PATCH, &endpoint, Some(&json!({ "description": "x" }))).await;
    assert!(status == 422 && refused.to_string().contains("PUT the whole endpoint"), "{status} {refused}");

    let whole = json!({
        "url": world.receiver.url(), "retryPolicy": steady("200ms"),
        "authorization": { "type": "bearer", "token": "new" },
    });
    let (status, put) = api.call(Method::PUT, &endpoint, Some(&whole)).await;
    assert!(status == 200 && put["id"] == world.endpoint.as_str(), "{status} {put}");
    world.follow().await.saw(1, "delivered").await;
    let secret = api.secret(APPLICATION, &world.endpoint).await;
    assert_ne!(secret, lost);
    let received = &world.receiver.received()[0];
    assert!(verifies(received, &secret) && received.header("authorization") == "Bearer new");
}

/// A data folder as layout 1 left it: everything in plain text, a message under way.
fn write_layout_1(data: &Path, url: &str, own_url: &str) -> Vec<u8> {
    std::fs::create_dir_all(data.join("log")).expect("a folder");
    std::fs::write(data.join("posthaste.version"), "1\n").expect("written");
    std::fs::write(data.join("portal.key"), [0x5a; 32]).expect("written");
    let (application, endpoint) = (ApplicationId::from_u64(7), EndpointId::from_u64(9));
    let value = json!({ "id": application.to_string(), "uid": APPLICATION, "name": "Acme", "created_ms": 1, "updated_ms": 1 });
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let endpoint_value = json!({
        "id": endpoint.to_string(), "application": application.to_string(), "url": url,
        "secrets": [{ "key": secret, "expires_ms": null }],
        "authorization": { "type": "bearer", "token": "topsecret-old-token" },
        "revision": 1, "created_ms": 1, "updated_ms": 1,
    });
    let disk = Arc::new(RealDisk);
    let (mut log, _) = Log::open(disk, &data.join("log"), LogOptions::new(1 << 20)).expect("a log");
    for (key, value) in [(format!("app/{application}"), value), (format!("ep/{endpoint}"), endpoint_value)] {
        let value = value.to_string();
        log.append(&Record::Change(Change { key: key.as_bytes(), value: Some(value.as_bytes()) }))
            .expect("appended");
    }
    let extras = Extras { url: Some(own_url), url_secret: Some(OWN_SECRET), ..Extras::NONE };
    let (mut packed, endpoints) = (Vec::new(), [endpoint.as_u64()]);
    let id = log.next_id(posthaste::clock::unix_ms());
    let none: [&str; 0] = [];
    log.append(&Record::Message(Message {
        id,
        application: application.as_u64(),
        event_type: EVENT_TYPE,
        event_id: None,
        content_type: None,
        extras: extras.pack(&mut packed),
        channels: Channels::from(&none[..]),
        digest: [0; 16],
        endpoints: Endpoints::from(&endpoints[..]),
        payload: b"{}",
        erased: false,
    }))
    .expect("appended");
    log.commit().expect("committed");
    secret.into()
}

#[tokio::test]
async fn a_data_folder_of_layout_1_is_read_and_its_secrets_are_encrypted_at_the_first_start() {
    let usual = Receiver::answering(Answer::Status(204)).await;
    let own = Receiver::answering(Answer::Status(204)).await;
    let site = Site::new(&[]);
    let secret = write_layout_1(site.data(), &usual.url(), &own.url());
    let posthaste = site.start().await;
    posthaste.says("secrets were encrypted with the newest key").await;
    wait_until("the message of before", || own.count() == 1).await;
    assert!(verifies(&own.received()[0], OWN_SECRET));
    assert_eq!(own.received()[0].header("authorization"), "Bearer topsecret-old-token");
    assert!(posthaste.stop().await.success());
    // What was written in plain text is not written over: segments of the log, and pages of sled.
    let old = ["log", "catalog"].map(|folder| site.data().join(folder));
    let is_old = |path: &PathBuf| old.iter().any(|folder| path.starts_with(folder));
    for secret in [b"topsecret-old-token".as_slice(), &secret, &[0x5a; 32]] {
        let found = files_with(site.data(), secret);
        assert!(found.iter().all(is_old), "{found:?}");
    }
    assert_eq!(std::fs::read_to_string(site.data().join("posthaste.version")).expect("text"), "2\n");
    let used = printed(&site, &["list", "--used"]);
    assert!(used.contains("1 endpoints, portal tokens, 0 messages"), "{used}");
    let again = site.start().await;
    assert_eq!(again.log_lines_with("secrets were encrypted with the newest key"), 0, "once is enough");
}

#[tokio::test]
async fn the_key_file_is_named_by_an_environment_variable_like_every_setting() {
    let (_folder, path, _) = key_file();
    let site = Site::new(&[]);
    let mut serve = site.serve();
    serve.env("POSTHASTE_SECRETS__KEY_FILE", &path);
    let posthaste = Posthaste::spawn(serve).accepting().await;
    posthaste.says("a key for secrets was made").await;
    assert!(path.exists() && !site.data().join("secrets.key").exists());
    assert!(posthaste.stop().await.success());
    // A key from elsewhere, appended by hand, is a rotation too.
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("opened");
    writeln!(file, "{}", BASE64_STANDARD.encode([3; 32])).expect("written");
    let mut serve = site.serve();
    serve.env("POSTHASTE_SECRETS__KEY_FILE", &path);
    assert!(Posthaste::spawn(serve).accepting().await.stop().await.success());
}
