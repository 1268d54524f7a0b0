//! What the log says of requests that are refused because of a setting.

use std::fs;
use std::process::Stdio;

use crate::hub::Hub;

#[tokio::test]
async fn refused_origins_and_hosts_are_named_once_in_the_log_however_many_there_are() {
    let hub = Hub::start("warn", "", |command, folder| {
        let log = fs::File::create(folder.join("log")).unwrap();
        command.stderr(Stdio::from(log)).env("BELLHOP__SERVER__TRUSTED_HOSTS", "127.0.0.1");
    })
    .await;
    let url = hub.at.url("/api/v1/orders");
    for _ in 0..20 {
        let asked = hub.at.http.request(reqwest::Method::OPTIONS, &url).header("origin", "https://a.example");
        let refused = asked.header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(refused.status(), 403);
        let misdirected = hub.at.http.get(&url).header("host", "b.example:8000").send().await.unwrap();
        assert_eq!(misdirected.status(), 421);
    }
    let log = hub.data.path().join("log");
    let text = || fs::read_to_string(&log).unwrap();
    let told = |setting: &str| text().lines().filter(|line| line.contains(setting)).count();
    let both = async {
        while told("server.allowed_origins") == 0 || told("server.trusted_hosts") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::hub::LONG, both).await.expect("the log tells of both");
    let lines = text();
    assert!(lines.contains("https://a.example") && lines.contains("b.example:8000"), "{lines}");
    assert!(told("server.allowed_origins") < 10 && told("server.trusted_hosts") < 10, "{lines}");
    assert_eq!(hub.stop().code(), Some(0));
}
