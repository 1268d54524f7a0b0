//! What `/metrics` costs and shows: series that depend on what the hub can do, not on who uses it; figures of the whole hub.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, StoreKind, TestApp};

/// Most series of a node.
const MOST: usize = 5_000;

async fn metrics(app: &TestApp) -> String {
    Answer::of(app.http.get(app.url("/metrics"))).await.expect(200).text
}

/// Everything but the values.
async fn series(app: &TestApp) -> BTreeSet<String> {
    let metrics = metrics(app).await;
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series.to_owned())).collect()
}

/// A business with a device, an order and requests that nobody else would make. Returns every id and word that came from them.
async fn use_it(app: &TestApp, n: usize) -> Vec<String> {
    let word = format!("chosen{n}");
    let (device, event, customer, business) = Device::with_an_order(app, &word).await;
    let order = event["data"]["order_id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/api/v1/{word}/{business}");
    let method = Method::from_bytes(word.to_uppercase().as_bytes()).unwrap();
    for request in [
        app.http.get(app.url(&path)),
        app.http.request(method, app.url("/api/v1/orders")),
        app.http.get(app.url(&format!("/health?{word}"))),
        app.http
            .post(app.url("/api/v1/auth/login"))
            .json(&json!({"email": format!("{word}@x.example"), "password": word})),
    ] {
        Answer::of(request).await;
    }
    customer.get(app, &format!("/orders/{word}")).await;
    device.close().await;
    vec![word.to_lowercase(), word.to_uppercase(), business, order]
}

#[tokio::test]
async fn no_series_holds_an_id_or_a_word_of_a_client_and_they_do_not_grow_with_use() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("limits.enabled", "false")]).await;
    use_it(&app, 0).await;
    // The first look makes the series of `/metrics` itself.
    series(&app).await;
    let before = series(&app).await;
    let mut chosen = Vec::new();
    for n in 1..=8 {
        chosen.extend(use_it(&app, n).await);
    }
    let after = series(&app).await;
    for word in chosen.iter().filter(|word| !word.is_empty()) {
        assert!(!after.iter().any(|series| series.contains(word)), "a series holds {word}");
    }
    // What runs in the background may have begun meanwhile: jobs, and the count of the mailboxes of each thread.
    let of_requests =
        |series: &&String| !["table=", "job=", "mailbox_depth"].iter().any(|word| series.contains(word));
    let grown: Vec<_> = after.difference(&before).filter(of_requests).collect();
    assert!(grown.is_empty(), "{grown:?}");
    assert!(after.len() < MOST, "{}", after.len());
}

#[tokio::test]
async fn the_last_backup_is_shown_from_the_file_that_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("status.prom");
    std::fs::write(&file, "backup_last_success_timestamp_seconds 1700000100\n").unwrap();
    let app = TestApp::start_with(StoreKind::Sqlite, &[("ops.backup_status", file.to_str().unwrap())]).await;
    shown(&app, "backup_last_success_timestamp_seconds 1700000100").await;
    let without = TestApp::start(StoreKind::Sqlite).await;
    shown(&without, "businesses_in_use{trading=\"open\"} 0").await;
    assert!(!metrics(&without).await.contains("\nbackup_last"), "without the setting there is no series");
}

#[tokio::test]
async fn the_age_of_a_hold_and_the_size_of_the_database_are_shown() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let text = metrics(&app).await;
    for what in ["new_orders", "auto_pause", "auto_cancel", "dispatch", "refunds"] {
        let none = format!("\nhold_age_seconds{{what=\"{what}\"}} 0\n");
        assert!(text.contains(&none), "{none} is missing in\n{text}");
    }
    shown(&app, "database_pool_max_connections 4").await;
    let size = async || {
        let text = metrics(&app).await;
        let value = text.lines().find_map(|line| line.strip_prefix("database_size_bytes "));
        value.and_then(|value| value.parse::<Value>().ok()).and_then(|value| value.as_u64())
    };
    while size().await == Some(0) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(size().await.is_some_and(|bytes| bytes >= 4096));
}

/// Waits until a line is on `/metrics`: figures of the whole hub are read in the background, first at the start.
async fn shown(app: &TestApp, line: &str) {
    let wait = async {
        while !metrics(app).await.lines().any(|shown| shown == line) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait)
        .await
        .unwrap_or_else(|_| panic!("{line} is not shown"));
}
