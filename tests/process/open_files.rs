//! A usual soft limit of open files is raised at the start, and one that stays low is told.

use std::fs;
use std::process::Stdio;

use crate::hub::{Hub, LONG};

#[tokio::test]
async fn the_limit_of_open_files_is_raised_and_a_low_one_is_told() {
    let hub = Hub::start("info", "ulimit -Sn 256; ulimit -Hn 2048", |command, folder| {
        let log = fs::File::create(folder.join("log")).unwrap();
        command.stderr(Stdio::from(log));
    })
    .await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", hub.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().nth(3), Some("2048"), "{line}");
    let log = hub.data.path().join("log");
    let told = async {
        while !fs::read_to_string(&log).unwrap().contains("few files may be open") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, told).await.expect("the log tells of it");
    assert_eq!(hub.stop().code(), Some(0));
}
