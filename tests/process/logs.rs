//! A log that cannot be written, or that nobody reads, changes nothing for clients and for whoever stops the hub.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Endpoint, Person, order_body};

/// Far longer than anything takes that is waited for.
const LONG: Duration = Duration::from_secs(60);

/// The largest file the limited hub may write; a few dozen orders fit into the write-ahead log.
const FILE_LIMIT: u64 = 16 << 20;

struct Hub {
    child: Child,
    data: TempDir,
    at: Endpoint,
}

impl Hub {
    /// Starts `bellhop serve` with what `prepare` does to the command.
    async fn start(level: &str, prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        let data = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        // The limit of a file's size stands for a full disk; the signal that comes with it is the shell's to ignore.
        let blocks = FILE_LIMIT / 512;
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_bellhop"));
        command.arg("--data").arg(data.path().join("data")).args(["serve", "--port", &port.to_string()]);
        command.env_clear().envs([
            ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
            ("BELLHOP__LOG__LEVEL", level),
            ("BELLHOP__LIMITS__ENABLED", "false"),
        ]);
        prepare(&mut command, data.path());
        let child = command.spawn().unwrap();
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
    async fn people(&self) -> (Person, String, Person) {
        let merchant = self.at.person("merchant", "Mia").await;
        let business = merchant.business(&self.at).await;
        (merchant, business, self.at.person("customer", "Zoe").await)
    }

    async fn dropped_lines(&self) -> f64 {
        let text = self.at.http.get(self.at.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with("log_lines_dropped_total ")).expect("it is there");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Tells the process to end and waits for it.
    fn stop(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

/// Orders are taken, and after it the process ends as it should.
async fn serves_and_stops(hub: Hub, orders: usize) {
    let (merchant, business, customer) = hub.people().await;
    for _ in 0..orders {
        customer.post(&hub.at, "/orders", &order_body(&business)).await.expect(201);
    }
    let listed = merchant.get(&hub.at, "/orders?limit=50").await.expect(200).json();
    assert_eq!(listed["total"], orders);
    let status = hub.stop();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

#[tokio::test]
async fn a_reader_of_the_log_that_went_away_costs_lines_only() {
    let mut hub = Hub::start("info", |command, _| {
        command.stderr(Stdio::piped());
    })
    .await;
    let mut log = BufReader::new(hub.child.stderr.take().unwrap());
    log.read_line(&mut String::new()).unwrap();
    drop(log);
    serves_and_stops(hub, 20).await;
}

#[tokio::test]
async fn a_reader_of_the_log_that_stands_still_holds_nobody_up() {
    let mut hub = Hub::start("trace", |command, _| {
        command.stderr(Stdio::piped());
    })
    .await;
    let _unread = hub.child.stderr.take().unwrap();
    // Until the pipe and the queue are full, and somewhat further.
    let fill = async { while hub.dropped_lines().await == 0.0 {} };
    tokio::time::timeout(LONG, fill).await.expect("the queue is bounded");
    serves_and_stops(hub, 20).await;
}

#[tokio::test]
async fn a_log_that_could_never_be_written_costs_lines_only() {
    let hub = Hub::start("info", |command, _| {
        command.stderr(File::options().write(true).open("/dev/full").unwrap());
    })
    .await;
    assert!(hub.dropped_lines().await > 0.0);
    serves_and_stops(hub, 20).await;
}

#[tokio::test]
async fn a_log_whose_disk_is_full_costs_lines_until_there_is_room() {
    let hub = Hub::start("info", |command, folder| {
        let log = folder.join("log");
        File::create(&log).unwrap().set_len(FILE_LIMIT).unwrap();
        command.stderr(File::options().append(true).open(&log).unwrap());
    })
    .await;
    let (_, business, customer) = hub.people().await;
    customer.post(&hub.at, "/orders", &order_body(&business)).await.expect(201);
    assert!(hub.dropped_lines().await > 0.0);
    let log = hub.data.path().join("log");
    File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    let written = async {
        while !fs::read_to_string(&log).unwrap_or_default().contains("lines of the log were dropped here") {
            customer.get(&hub.at, "/orders").await.expect(200);
        }
    };
    tokio::time::timeout(LONG, written).await.expect("the log goes on and says what it lacks");
    serves_and_stops(hub, 5).await;
}

#[tokio::test]
async fn a_disk_full_of_log_and_data_refuses_orders_and_ends_nothing() {
    let hub = Hub::start("info", |command, folder| {
        let log = folder.join("log");
        File::create(&log).unwrap().set_len(FILE_LIMIT).unwrap();
        command.stderr(File::options().append(true).open(&log).unwrap());
    })
    .await;
    let (_, business, customer) = hub.people().await;
    // A reader of another process keeps the write-ahead log from being folded in, so that it grows until it is full.
    let file = hub.data.path().join("data/bellhop.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
    let mut reader = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM users").fetch_one(&mut reader).await.unwrap();
    let mut refused = 0;
    let fill = async {
        while refused < 3 {
            let answer = customer.post(&hub.at, "/orders", &order_body(&business)).await;
            match answer.status.as_u16() {
                201 => {}
                503 => refused += 1,
                status => panic!("{status} {}", answer.text),
            }
        }
    };
    tokio::time::timeout(LONG, fill).await.expect("the disk is full soon");
    customer.post(&hub.at, "/auth/logout", &json!({})).await;
    let live = hub.at.http.get(hub.at.url("/health/live")).send().await.unwrap();
    assert_eq!(live.status().as_u16(), 200);
    drop(reader);
    let status = hub.stop();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
