//! `bellhop serve` as a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Endpoint, PATIENT_VARIABLE, Person};

/// Far longer than anything takes that is waited for.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The largest file the limited hub may write; a few dozen orders fit into the write-ahead log.
pub(crate) const FILE_LIMIT: u64 = 16 << 20;

/// A process that ends with its value, also when a test fails.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // It is gone either way.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

pub(crate) struct Hub {
    pub(crate) child: Process,
    pub(crate) data: TempDir,
    pub(crate) at: Endpoint,
}

impl Hub {
    /// Starts `bellhop serve` under the shell's `limits`, with what `prepare` does to the command.
    pub(crate) async fn start(level: &str, limits: &str, prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        let data = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        // The limit of a file's size stands for a full disk; the signal that comes with it is the shell's to ignore.
        let blocks = FILE_LIMIT / 512;
        let limits = if limits.is_empty() { ":" } else { limits };
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; {limits}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_bellhop"));
        command.arg("--data").arg(data.path().join("data")).args(["serve", "--port", &port.to_string()]);
        command.env_clear().envs([
            ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
            ("BELLHOP__LOG__LEVEL", level),
            ("BELLHOP__LIMITS__ENABLED", "false"),
            PATIENT_VARIABLE,
        ]);
        prepare(&mut command, data.path());
        let child = Process::start(&mut command);
        let hub = Self { child, data, at: Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port))) };
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            while hub.at.http.get(hub.at.url("/health/ready")).send().await.is_err() {
                pace.tick().await;
            }
        };
        tokio::time::timeout(LONG, ready).await.expect("the hub starts");
        hub
    }

    /// A merchant's business and a customer.
    pub(crate) async fn people(&self) -> (Person, String, Person) {
        let merchant = self.at.person("merchant", "Mia").await;
        let business = merchant.business(&self.at).await;
        (merchant, business, self.at.person("customer", "Zoe").await)
    }

    pub(crate) async fn dropped_lines(&self) -> f64 {
        let text = self.at.http.get(self.at.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with("log_lines_dropped_total ")).expect("it is there");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Tells the process to end and waits for it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}
