//! Files of the database that go away, or may not grow, under a running hub.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::scenario::{text, until_placed};
use crate::support::{Answer, Endpoint, PATIENT_VARIABLE, Person, StoreKind, TestApp};

/// Nothing here takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(30);

async fn database_health(app: &TestApp) -> Value {
    Answer::of(app.http.get(app.url("/health/detailed"))).await.expect(200).json()["checks"]["database"]
        .clone()
}

async fn until_placed_again(app: &TestApp, customer: &Person, business: &str) -> Value {
    let ask = async || customer.post(app, "/orders", &crate::support::order_body(business)).await;
    tokio::time::timeout(PATIENCE, until_placed(ask)).await.expect("writes go on")
}

/// The file of the database with this end of its name.
fn file(app: &TestApp, end: &str) -> PathBuf {
    app.data_folder().join(format!("bellhop.sqlite{end}"))
}

async fn refused_while_a_file_is_away(end: &str, instead: Option<&str>) {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    customer.order(&app, &business).await;
    assert_eq!(database_health(&app).await["status"], "healthy");
    let away = app.data_folder().join("away");
    std::fs::rename(file(&app, end), &away).unwrap();
    if let Some(text) = instead {
        std::fs::write(file(&app, end), text).unwrap();
    }
    for _ in 0..3 {
        let refused =
            customer.post(&app, "/orders", &crate::support::order_body(&business)).await.expect(503);
        assert!(refused.headers.contains_key("retry-after"));
    }
    let health = database_health(&app).await;
    assert_eq!(health["status"], "unhealthy");
    assert!(text(&health, "error").contains("moved, replaced or removed"), "{health}");
    // What readiness says of the database may be a second old.
    let mut polls = tokio::time::interval(std::time::Duration::from_millis(50));
    let told = async {
        while Answer::of(app.http.get(app.url("/health/ready"))).await.expect(200).json()["database"]
            != "unhealthy"
        {
            polls.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.expect("readiness tells of it");
    std::fs::rename(&away, file(&app, end)).unwrap();
    let order = until_placed_again(&app, &customer, &business).await;
    customer.get(&app, &format!("/orders/{}", text(&order, "id"))).await.expect(200);
    assert_eq!(database_health(&app).await["status"], "healthy");
}

#[tokio::test]
async fn while_the_database_file_is_moved_away_nothing_is_acknowledged() {
    refused_while_a_file_is_away("", None).await;
}

#[tokio::test]
async fn while_another_file_is_in_the_place_of_the_database_nothing_is_acknowledged() {
    refused_while_a_file_is_away("", Some("")).await;
}

#[tokio::test]
async fn while_the_write_ahead_log_is_moved_away_nothing_is_acknowledged() {
    refused_while_a_file_is_away("-wal", None).await;
}

#[tokio::test]
async fn while_the_index_of_the_log_is_moved_away_nothing_is_acknowledged() {
    refused_while_a_file_is_away("-shm", None).await;
}

/// A hub in a process of its own, ended with its value.
struct Hub(Child);

impl Hub {
    /// Whose files may not grow beyond so many blocks of 512 bytes.
    fn start(folder: &Path, port: u16, blocks: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -f {blocks} && exec \"$0\" --data \"$1\" serve --port \"$2\"")]);
        shell.arg(env!("CARGO_BIN_EXE_bellhop")).arg(folder).arg(port.to_string());
        shell.env_clear().env("BELLHOP__LIMITS__ENABLED", "false").env("RUST_LOG", "error");
        // Only a full disk is a reason to refuse.
        shell.envs([PATIENT_VARIABLE]);
        Self(shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_file_that_may_not_grow_any_more_is_a_full_disk_and_not_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut hub = Hub::start(folder.path(), port, 4_000);
    let at = Endpoint::new(([127, 0, 0, 1], port).into());
    let ready = async {
        let ask = || at.http.get(at.url("/health/ready")).send();
        let mut polls = tokio::time::interval(Duration::from_millis(20));
        while !ask().await.is_ok_and(|answer| answer.status().is_success()) {
            polls.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("it starts");
    let (merchant, customer) = (at.person("merchant", "Mia").await, at.person("customer", "Carl").await);
    let business = merchant.business(&at).await;
    let full = async {
        loop {
            let answer = customer.post(&at, "/orders", &crate::support::order_body(&business)).await;
            match answer.status.as_u16() {
                201 => {}
                _ => return answer,
            }
        }
    };
    tokio::time::timeout(4 * PATIENCE, full).await.expect("it is full in the end").expect(503);
    assert!(hub.0.try_wait().unwrap().is_none(), "it goes on");
    Answer::of(at.http.get(at.url("/health/live"))).await.expect(200);
}
