//! nginx: a receiver that was not made for us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{APPLICATION, Answer, Killed, Receiver, Tool, World, wait_until};

const MESSAGES: usize = 2_000;

/// An nginx of our own, in a temporary folder. Without a master process, the child is all of it.
struct Nginx {
    folder: TempDir,
    _child: Killed,
    port: u16,
}

impl Nginx {
    async fn start(tool: &Tool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let config = folder.path().join("nginx.conf");
        fs::write(&config, configuration(folder.path(), port)).expect("written");
        let mut command = tool.command();
        command.arg("-p").arg(folder.path()).arg("-c").arg(&config).stderr(Stdio::null());
        let child = Killed(command.spawn().expect("nginx starts"));
        wait_until("nginx to accept", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        Self { folder, _child: child, port }
    }

    fn access_log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// The POSTs it has logged, by message.
    fn posts(&self) -> Vec<String> {
        let log = fs::read_to_string(self.access_log()).unwrap_or_default();
        log.lines().filter_map(|line| line.strip_prefix("POST /hook 204 ")).map(str::to_owned).collect()
    }
}

fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n\
           log_format posts '$request_method $uri $status $http_webhook_id';\n\
           access_log {folder}/access.log posts;\n\
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
           server {{ listen 127.0.0.1:{port}; location = /hook {{ return 204; }} }}\n\
         }}\n"
    )
}

#[tokio::test]
async fn nginx_logs_one_post_for_every_message() {
    let Some(tool) = Tool::find("nginx") else { return };
    let nginx = Nginx::start(&tool).await;
    let world = World::with(&[], json!({}), Receiver::answering(Answer::Status(204)).await).await;
    let url = format!("http://127.0.0.1:{}/hook", nginx.port);
    world.api().make_endpoint(APPLICATION, &json!({ "url": url })).await;
    let published = world.publish(MESSAGES).await;
    wait_until("the posts in its log", || nginx.posts().len() >= MESSAGES).await;
    let mut posts = nginx.posts();
    posts.sort_unstable();
    let mut expected: Vec<String> = published.iter().map(|id| format!("msg_{id}")).collect();
    expected.sort_unstable();
    assert_eq!(posts, expected);
}
