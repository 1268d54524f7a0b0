//! A log that cannot be written, or that nobody reads, changes nothing for clients and for whoever stops the hub.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use crate::hub::{FILE_LIMIT, Hub, LONG};
use crate::support::order_body;
use serde_json::json;

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
    let mut hub = Hub::start("info", "", |command, _| {
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
    let mut hub = Hub::start("trace", "", |command, _| {
        command.stderr(Stdio::piped());
    })
    .await;
    let _unread = hub.child.stderr.take().unwrap();
    // Until the pipe and the queue are full, and somewhat further: what was asked for stands in a line.
    let long = hub.at.url(&format!("/{}", "x".repeat(30_000)));
    let fill = async {
        while hub.dropped_lines().await == 0.0 {
            hub.at.http.get(&long).send().await.unwrap();
        }
    };
    tokio::time::timeout(LONG, fill).await.expect("the queue is bounded");
    serves_and_stops(hub, 20).await;
}

#[tokio::test]
async fn a_log_that_could_never_be_written_costs_lines_only() {
    let hub = Hub::start("info", "", |command, _| {
        command.stderr(File::options().write(true).open("/dev/full").unwrap());
    })
    .await;
    assert!(hub.dropped_lines().await > 0.0);
    serves_and_stops(hub, 20).await;
}

#[tokio::test]
async fn a_log_whose_disk_is_full_costs_lines_until_there_is_room() {
    let hub = Hub::start("info", "", |command, folder| {
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
        while !fs::read_to_string(&log).unwrap_or_default().contains("log lines were dropped here") {
            customer.get(&hub.at, "/orders").await.expect(200);
        }
    };
    tokio::time::timeout(LONG, written).await.expect("the log goes on and says what it lacks");
    serves_and_stops(hub, 5).await;
}

#[tokio::test]
async fn a_disk_full_of_log_and_data_refuses_orders_and_ends_nothing() {
    let hub = Hub::start("info", "", |command, folder| {
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
