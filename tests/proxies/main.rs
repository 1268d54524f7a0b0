//! The hub behind nginx and HAProxy as Debian ships them, with the lines of `docs/operations.md` and no others. Needs both
//! programs, and a JDK: `scripts/proxies` installs them and runs this.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod running;
mod upgrades;

use reqwest::Method;
use serde_json::{Value, json};

use running::{Running, address_without_a_listener, block};
use support::{Answer, Device, Endpoint, Followers, StoreKind, TestApp, Wire};

/// The origin of a page in a web view on iOS.
const APP: &str = "capacitor://localhost";

/// Believes both proxies and takes pages of an app.
const SETTINGS: [(&str, &str); 2] =
    [("server.trusted_proxies", "127.0.0.1"), ("server.allowed_origins", APP)];

/// Compresses every JSON answer, as many sites do.
const NGINX_GZIP: &str = "listen 80; gzip_types application/json; gzip_min_length 1;";
const HAPROXY_GZIP: &str = "    compression algo gzip\n    compression type application/json\n";

/// nginx with the documented lines.
async fn nginx(app: &TestApp) -> Running {
    let lines = block("nginx").replace("listen 80;", NGINX_GZIP);
    Running::nginx(&lines, "listen 80;", app.address).await
}

/// HAProxy with the documented lines.
async fn haproxy(app: &TestApp) -> Running {
    Running::haproxy(&format!("{}{HAPROXY_GZIP}", block("haproxy")), app.address).await
}

async fn everything_works_through(app: &TestApp, proxy: &Running) {
    let through = Endpoint::new(proxy.address);
    let (olga, zoe) = (through.person("merchant", "Olga").await, through.person("customer", "Zoe").await);
    let business = olga.business(&through).await;
    let followers = Followers::open(&through, &olga, &business).await;
    while app.sessions().readers() < 2 {
        tokio::task::yield_now().await;
    }
    let order = zoe.order(&through, &business).await;
    let (mut socket, mut stream, _) = followers.hear(&order).await;

    // A tag that a proxy has made weak is as good as the hub's own.
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let read =
        olga.request(&through, Method::GET, &path).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(read.headers()["content-encoding"], "gzip", "it is compressed on its way");
    let tag = read.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with("W/"), "{tag}");
    let accept = olga.request(&through, Method::PATCH, &format!("{path}/status"));
    Answer::of(accept.header("if-match", &tag).json(&json!({"status": "accepted"}))).await.expect(200);
    assert_eq!(socket.next().await["event"]["data"]["status"], "accepted");
    assert_eq!(stream.next().await.event, "order_updated");

    // A page of an app, and one that is traced.
    let ask = through.http.request(Method::OPTIONS, through.url("/api/v1/orders"));
    let ask = ask.header("origin", APP).header("access-control-request-method", "POST");
    let allowed = Answer::of(ask.header("access-control-request-headers", "authorization,traceparent")).await;
    let allowed = allowed.expect(200);
    assert_eq!(allowed.headers["access-control-allow-origin"], APP);
    assert_eq!(allowed.headers["access-control-allow-headers"], "authorization,traceparent");
    let address = format!("/ws/notifications/{business}");
    let of_app = Device::dial(&through, Some(&olga.token), &address, &[("origin", APP)]).await;
    of_app.expect("a page of an app").close().await;

    // The hub's own page, whatever port it is on, and one of somebody else.
    let own = format!("http://{}", proxy.address);
    let of_hub = Device::dial(&through, Some(&olga.token), &address, &[("origin", &own)]).await;
    of_hub.expect("the hub's own page").close().await;
    let origin = [("origin", "https://evil.example")];
    let refused = Device::dial(&through, Some(&olga.token), &address, &origin).await.err().unwrap();
    let problem: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    for named in ["https://evil.example", &proxy.address.to_string(), "server.allowed_origins"] {
        assert!(detail.contains(named), "{named} in {detail}");
    }
    socket.close().await;
}

#[tokio::test]
#[ignore = "needs nginx: scripts/proxies"]
async fn everything_works_through_nginx_with_the_documented_lines() {
    let app = TestApp::start_with(StoreKind::Sqlite, &SETTINGS).await;
    let proxy = nginx(&app).await;
    everything_works_through(&app, &proxy).await;
}

#[tokio::test]
#[ignore = "needs HAProxy: scripts/proxies"]
async fn everything_works_through_haproxy_with_the_documented_lines() {
    let app = TestApp::start_with(StoreKind::Sqlite, &SETTINGS).await;
    let proxy = haproxy(&app).await;
    everything_works_through(&app, &proxy).await;
}

/// Asks for something public from an address of this machine.
async fn from(address: &str, proxy: &Running) -> u16 {
    let client = reqwest::Client::builder().no_proxy().local_address(Some(address.parse().unwrap()));
    let asked = client.build().unwrap().get(format!("http://{}/api/v1/orders", proxy.address));
    asked.send().await.unwrap().status().as_u16()
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy: scripts/proxies"]
async fn clients_have_a_quota_each_once_their_proxy_is_trusted() {
    let few = [("limits.enabled", "true"), ("limits.public", "2")];
    let trusting = [&few[..], &[("server.trusted_proxies", "127.0.0.1")]].concat();
    for settings in [trusting, few.to_vec()] {
        let trusts = settings.len() > 2;
        let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
        let (nginx, haproxy) = (nginx(&app).await, haproxy(&app).await);
        for (proxy, one, other) in [(&nginx, "127.0.0.2", "127.0.0.3"), (&haproxy, "127.0.0.4", "127.0.0.5")]
        {
            let mut first = Vec::new();
            for _ in 0..3 {
                first.push(from(one, proxy).await);
            }
            assert_eq!(first.last(), Some(&429), "{one}");
            // Without trust they are one client, the proxy.
            assert_eq!(from(other, proxy).await, if trusts { 401 } else { 429 }, "{other}");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx: scripts/proxies"]
async fn what_a_bare_nginx_gets_wrong_is_named_in_the_refusal() {
    let settings =
        [("server.trusted_proxies", "127.0.0.1"), ("server.trusted_hosts", "shop.example,127.0.0.1")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let upgrade = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
    let page = [("origin", "http://shop.example:8080"), ("host", "shop.example:8080")];
    let socket = "/ws/orders/ord_0190f3c1a2b37d4e8f00112233445566";
    for (lines, status, code, named) in [
        ("", 426, "upgrade_required", "proxy_set_header Upgrade $http_upgrade"),
        (upgrade, 403, "origin_refused", "proxy_set_header Host $http_host"),
        (
            &format!("{upgrade} proxy_set_header Host $host;"),
            403,
            "origin_refused",
            "asked for as shop.example",
        ),
        (&format!("{upgrade} proxy_set_header Host hub;"), 421, "misdirected", "server.trusted_hosts"),
        (&format!("{upgrade} proxy_set_header Host $http_host;"), 401, "unauthenticated", "Authorization"),
    ] {
        let server =
            format!("server {{ listen 80; location / {{ {lines} proxy_pass http://127.0.0.1:8000; }} }}");
        let proxy = Running::nginx(&server, "listen 80;", app.address).await;
        let refused = Device::dial(&Endpoint::new(proxy.address), None, socket, &page).await.err().unwrap();
        let problem: Value = serde_json::from_slice(refused.body().as_deref().unwrap_or_default()).unwrap();
        assert_eq!(
            (refused.status().as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{lines}: {problem}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(named), "{lines}: {problem}");
    }
    let tls = "server { listen 80; location / { proxy_pass https://127.0.0.1:8000; } }";
    let proxy = Running::nginx(tls, "listen 80;", app.address).await;
    let answer =
        Answer::of(Endpoint::new(proxy.address).http.get(format!("http://{}/", proxy.address))).await;
    answer.expect(502);
    let refused = &app.metrics().http_connections_refused_total;
    assert_eq!(refused.with_label_values(&["malformed"]).get(), 1, "and the log says that it is TLS");
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy: scripts/proxies"]
async fn a_hub_that_is_away_is_a_502_or_503_of_the_proxy() {
    let nowhere = address_without_a_listener();
    let proxy = Running::nginx(&block("nginx"), "listen 80;", nowhere).await;
    let mut wire = Wire::open(proxy.address).await;
    assert_eq!(wire.ask("GET /health/live").await.status(), 502);
    let proxy = Running::haproxy(&block("haproxy"), nowhere).await;
    let mut wire = Wire::open(proxy.address).await;
    assert_eq!(wire.ask("GET /health/live").await.status(), 503);
}
