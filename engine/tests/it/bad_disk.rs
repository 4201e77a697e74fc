//! A disk that fails while the process runs: what producers, the operator and the next start see of it.
//!
//! Between the process and the disk stands a small library in C (`loadtest/src/torture/faults.c`), which counts what is
//! asked of a folder and lets calls fail: the next one, or all from then on, when the test says so.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use posthaste_protocol::value::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    APPLICATION, Answer, Api, EVENT_TYPE, NO_LOCKOUT, Posthaste, Receiver, Site, Tool, World, bulk, steady,
    wait_for_async,
};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/src/torture/faults.c");
/// The number of the call that fails. The count jumps to it when the test says so; by itself it never gets there.
const NTH: i64 = 1_000_000_000;

/// The library, compiled, and the page that is shared with it.
struct Shim {
    folder: TempDir,
    page: File,
}

impl Shim {
    /// `None`, after saying so, where there is no C compiler.
    async fn compile() -> Option<Self> {
        let cc = Tool::find("cc")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = folder.path().join("faults.so");
        let arguments = ["-O1", "-shared", "-fPIC", "-o", library.to_str().expect("text"), SOURCE, "-ldl"];
        cc.run(arguments).await;
        let page = File::options().read(true).write(true).create_new(true).open(folder.path().join("page"));
        let page = page.expect("a file");
        page.set_len(16).expect("a page");
        Some(Self { folder, page })
    }

    /// Starts the site with it: what fails is a call of this kind below this part of the data folder.
    async fn start(&self, site: &Site, kind: &str, part: &str) -> Posthaste {
        let mut command = site.serve();
        let path = |name: &str| self.folder.path().join(name);
        command.env("LD_PRELOAD", path("faults.so")).env("TORTURE_PAGE", path("page"));
        let part: PathBuf = site.data().join(part);
        command.env("TORTURE_FOLDER", part).env("TORTURE_KIND", kind).env("TORTURE_NTH", NTH.to_string());
        Posthaste::spawn(command).accepting().await
    }

    /// The next call that is counted fails; of the kind `sticky` all do from then on.
    fn fail_next(&self) {
        self.page.write_all_at(&(NTH - 1).to_ne_bytes(), 0).expect("the page");
    }

    /// Nothing fails any more.
    fn heal(&self) {
        self.page.write_all_at(&0_i64.to_ne_bytes(), 0).expect("the page");
    }

    fn has_failed(&self) -> bool {
        let mut failed = [0; 8];
        self.page.read_exact_at(&mut failed, 8).expect("the page");
        i64::from_ne_bytes(failed) > 0
    }
}

/// A world on such a disk, whose receiver refuses everything for now, retried after this time.
async fn world(shim: &Shim, kind: &str, part: &str, wait: &str) -> World {
    let site = Site::new(&[&[("ledger.flush_after", "'1s'")][..], &NO_LOCKOUT].concat());
    let receiver = Receiver::answering(Answer::Status(500)).await;
    let posthaste = shim.start(&site, kind, part).await;
    let api = Api::at(posthaste.http());
    api.make_application(APPLICATION).await;
    api.make_event_type(EVENT_TYPE).await;
    let endpoint = json!({ "url": receiver.url(), "retryPolicy": steady(wait) });
    let endpoint = api.make_endpoint(APPLICATION, &endpoint).await;
    World { site, posthaste, receiver, endpoint }
}

#[tokio::test]
async fn after_a_sync_that_failed_everybody_is_told_and_a_restart_has_what_was_acknowledged() {
    let Some(shim) = Shim::compile().await else { return };
    let mut world = world(&shim, "sync", "log", "300ms").await;
    let kept = world.publish(20).await;
    shim.fail_next();
    let mut resp = world.resp().await;
    let refusal =
        wait_for_async("a refusal", async || match resp.xadd(APPLICATION, EVENT_TYPE, "{}").await {
            Value::Error(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            _ => None,
        })
        .await;
    assert!(shim.has_failed() && refusal.starts_with("MISCONF "), "{refusal}");
    world.posthaste.says("the log stopped: nothing is accepted or recorded until a restart").await;
    assert_eq!(world.api().metric("posthaste_log_poisoned").await, 1);
    let (status, answer) = world.api().call(hyper::Method::GET, "/api/v1/health/ready", None).await;
    assert_eq!((status, &answer["code"]), (503, &json!("log_stopped")));
    let path = format!("/api/v1/app/{APPLICATION}/msg");
    let body = json!({ "eventType": EVENT_TYPE, "payload": {} });
    let (status, answer) = world.api().call(hyper::Method::POST, &path, Some(&body)).await;
    assert_eq!(status, 503, "{answer}");

    world.receiver.answers(Answer::Status(204));
    world.kill_and_start().await;
    for id in kept {
        world.receiver.had_message(id).await;
    }
    let (status, _) = world.api().call(hyper::Method::GET, "/api/v1/health/ready", None).await;
    assert_eq!(status, 204);
    let later = world.publish_one().await;
    world.receiver.had_message(later).await;
}

#[tokio::test]
async fn a_ledger_that_fails_is_rebuilt_while_messages_are_accepted_and_loses_no_late_retry() {
    let Some(shim) = Shim::compile().await else { return };
    // Due far beyond the horizon: nobody but the ledger knows of them.
    let mut world = world(&shim, "sticky", "ledger", "1h").await;
    let late = world.publish(20).await;
    world.receiver.had(20).await;
    wait_for_async("the ledger to fail", async || {
        // Something for it to write. A failure may hit sled's own thread, which says so and goes on.
        shim.fail_next();
        world.publish_one().await;
        (world.posthaste.log_lines_with("the ledger failed; it is rebuilt from the log") > 0).then_some(())
    })
    .await;
    let mut resp = world.resp().await;
    bulk(&resp.xadd(APPLICATION, EVENT_TYPE, "{}").await);
    world.posthaste.says("the ledger cannot be rebuilt yet").await;
    assert_eq!(world.api().metric("posthaste_ledger_failed").await, 1);
    shim.heal();
    world.posthaste.says("the ledger was rebuilt from the log").await;
    assert_eq!(world.api().metric("posthaste_ledger_failed").await, 0);
    let (status, _) = world.api().call(hyper::Method::GET, "/api/v1/health/ready", None).await;
    assert_eq!(status, 204, "it never was a reason to refuse anything");
    let all = resp.xlen(APPLICATION).await as usize;
    let pending = async || world.api().metric("posthaste_deliveries_pending").await as usize;
    assert_eq!(pending().await, all, "all of them failed once, and wait");
    // Taken back, they are found where they wait.
    let path = |id: &posthaste_protocol::StreamId| format!("/api/v1/app/{APPLICATION}/msg/msg_{id}");
    for id in &late {
        let (status, answer) = world.api().call(hyper::Method::DELETE, &path(id), None).await;
        assert!(status < 300, "{status} {answer}");
    }
    wait_for_async("them to be gone", async || (pending().await == all - late.len()).then_some(())).await;
    world.restart().await;
    let left = world.api().metric("posthaste_deliveries_pending").await as usize;
    assert_eq!(left, all - late.len());
}
