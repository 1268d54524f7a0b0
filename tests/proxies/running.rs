//! nginx and HAProxy as processes of a test, on free ports, with files of their own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

/// The documentation whose lines are tried.
const DOCUMENTED: &str = include_str!("../../docs/operations.md");

/// Longest wait for a proxy to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the documented lines say that the hub is.
const HUB: &str = "127.0.0.1:8000";

/// A proxy that runs until it is dropped.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

/// The documented block of a language.
pub(crate) fn block(language: &str) -> String {
    let fence = format!("```{language}\n");
    let rest = DOCUMENTED.split_once(fence.as_str()).expect("the documentation has such a block").1;
    rest.split_once("```").expect("a block ends").0.to_owned()
}

/// An address of this machine that nobody listens on, as far as that can be known.
pub(crate) fn address_without_a_listener() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound")
}

impl Running {
    /// nginx as Debian configures it, with these lines for its only site; `listen` stands for where it listens. What is
    /// written to files goes into a folder of the test.
    pub(crate) async fn nginx(lines: &str, listen: &str, hub: SocketAddr) -> Self {
        let (folder, address) = (tempfile::tempdir().expect("a folder"), address_without_a_listener());
        let path = folder.path().display();
        let lines = put(lines, listen, &format!("listen {address};"));
        let lines = put(&lines, HUB, &hub.to_string());
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = kinds.map(|kind| format!("{kind}_temp_path {path}/{kind};\n")).concat();
        let file = folder.path().join("nginx.conf");
        let shipped = std::fs::read_to_string("/etc/nginx/nginx.conf").expect("nginx is Debian's");
        let own = ["user ", "pid ", "error_log ", "access_log ", "include /etc/nginx/conf.d/"];
        let kept = shipped.lines().filter(|line| !own.iter().any(|word| line.trim_start().starts_with(word)));
        let kept = kept.collect::<Vec<_>>().join("\n");
        let site = format!("access_log off;\n{temporary}{lines}\n");
        let config = put(&kept, "include /etc/nginx/sites-enabled/*;", &site);
        let config =
            format!("daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log stderr;\n{config}");
        std::fs::write(&file, config).expect("it is written");
        let mut command = Command::new("nginx");
        command.arg("-e").arg("stderr").arg("-c").arg(&file);
        Self::start(command, address, folder, &file).await
    }

    /// HAProxy with these lines.
    pub(crate) async fn haproxy(lines: &str, hub: SocketAddr) -> Self {
        let (folder, address) = (tempfile::tempdir().expect("a folder"), address_without_a_listener());
        let lines = put(&put(lines, "bind :80", &format!("bind {address}")), HUB, &hub.to_string());
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, lines).expect("it is written");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        Self::start(command, address, folder, &file).await
    }

    async fn start(mut command: Command, address: SocketAddr, folder: TempDir, config: &Path) -> Self {
        // Debian has both where only root looks.
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let process = command.env("PATH", places).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let process = process.expect("the proxy is installed (scripts/proxies)");
        let mut running = Self { address, process, _folder: folder };
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                if let Ok(Some(status)) = running.process.try_wait() {
                    let config = std::fs::read_to_string(config).unwrap_or_default();
                    panic!("the proxy ended with {status}:\n{config}");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.expect("the proxy listens");
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `text` with `known` replaced, which has to be there.
fn put(text: &str, known: &str, wanted: &str) -> String {
    assert!(text.contains(known), "{known} is not in:\n{text}");
    text.replace(known, wanted)
}
