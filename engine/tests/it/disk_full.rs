//! A full disk: publishers are refused, deliveries go on, and publishers are accepted again when there is space.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use posthaste_protocol::StreamId;
use posthaste_protocol::value::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    APPLICATION, Answer, EVENT_TYPE, NO_LOCKOUT, Receiver, Site, World, bulk, error_text, skip, steady,
    wait_for_async,
};

/// A small disk in memory. Unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None`, after saying so, where nothing may be mounted.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if mounted {
            return Some(Self { folder });
        }
        match rustix::process::geteuid().is_root() {
            true => skip("root may not mount a tmpfs here"),
            false => eprintln!("SKIPPED: only root may mount a tmpfs"),
        }
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Fills it until only so many bytes are left, or none.
    fn fill(&self, left: u64) {
        let mut file = File::create(self.filler()).expect("a file");
        let block = vec![0; 64 << 10];
        while self.available() > left + block.len() as u64 {
            if file.write_all(&block).is_err() {
                return;
            }
        }
        // The last bytes, if none shall be left.
        while left == 0 && file.write_all(&[0; 512]).is_ok() {}
    }

    fn available(&self) -> u64 {
        let space = rustix::fs::statvfs(self.path()).expect("a file system");
        space.f_bavail * space.f_frsize
    }

    fn free(&self) {
        fs::remove_file(self.filler()).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}

/// A world on the disk, with messages that a receiver does not take yet.
async fn world(disk: &SmallDisk) -> World {
    let small = [("storage.segment_bytes", "'1MiB'"), ("storage.retention_bytes", "'16MiB'")];
    let site = Site::with_data(&disk.path().join("data"), &[&small, &NO_LOCKOUT[..]].concat());
    let endpoint = json!({ "retryPolicy": steady("300ms") });
    let world = World::on(site, endpoint, Receiver::answering(Answer::Status(500)).await).await;
    world.publish(100).await;
    world.receiver.had(100).await;
    world
}

async fn refused(world: &World) -> String {
    let mut resp = world.resp().await;
    wait_for_async("a refusal", async || match resp.xadd(APPLICATION, EVENT_TYPE, "{}").await {
        Value::Error(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        _ => None,
    })
    .await
}

async fn readiness(world: &World) -> (u16, serde_json::Value) {
    let (status, body) = world.api().call(hyper::Method::GET, "/api/v1/health/ready", None).await;
    (status, body["code"].clone())
}

async fn accepted_again(world: &World) {
    let mut resp = world.resp().await;
    let id = wait_for_async("a message to be accepted", async || {
        let reply = resp.xadd(APPLICATION, EVENT_TYPE, "{}").await;
        let is_accepted = !matches!(reply, Value::Error(_));
        if !is_accepted {
            assert!(error_text(&reply).starts_with("OOM "), "{reply:?}");
        }
        is_accepted.then(|| StreamId::parse(bulk(&reply).as_bytes(), 0).expect("an id"))
    })
    .await;
    world.receiver.had_message(id).await;
}

#[tokio::test]
async fn below_the_reserve_publishers_are_refused_and_deliveries_are_made_and_recorded() {
    let Some(disk) = SmallDisk::mount() else { return };
    let world = world(&disk).await;
    let follower = world.follow().await;
    disk.fill(512 << 10);
    let refusal = refused(&world).await;
    assert_eq!(refusal, "OOM the disk is full; publish again later");
    let body = json!({ "name": "late", "uid": "late" });
    let (status, answer) = world.api().call(hyper::Method::POST, "/api/v1/app", Some(&body)).await;
    assert_eq!((status, &answer["code"]), (507, &json!("disk_full")));
    world.posthaste.says("publishers are refused").await;
    assert_eq!(readiness(&world).await, (503, json!("disk_full")));

    let stored = world.resp().await.xlen(APPLICATION).await;
    world.receiver.answers(Answer::Status(204));
    follower.saw(usize::try_from(stored).expect("a count"), "delivered").await;
    assert!(refused(&world).await.starts_with("OOM "), "still");

    disk.free();
    accepted_again(&world).await;
    assert_eq!(readiness(&world).await, (204, json!(null)));
}

#[tokio::test]
async fn with_no_space_at_all_deliveries_are_made_and_recorded_when_there_is_some() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut world = world(&disk).await;
    let mut follower = world.follow().await;
    disk.fill(0);
    assert!(refused(&world).await.starts_with("OOM "));
    world.receiver.answers(Answer::Status(204));
    let before = world.receiver.count();
    world.receiver.had(before + 100).await;

    disk.free();
    accepted_again(&world).await;
    let stored = usize::try_from(world.resp().await.xlen(APPLICATION).await).expect("a count");
    follower.saw(stored, "delivered").await;
    // It is all on the disk: a kill changes nothing.
    let arrived = world.receiver.count();
    world.kill_and_start().await;
    follower.turn_to(world.posthaste.tcp()).await;
    let id = world.publish_one().await;
    world.receiver.had_message(id).await;
    assert_eq!(world.receiver.count(), arrived + 1, "nothing is repeated");
}
