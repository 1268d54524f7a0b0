//! Pages of apps and other sites, and the proxies they come through: who is let in, and what the others are told.

use reqwest::Method;
use serde_json::Value;

use crate::header;
use crate::support::{Answer, Device, StoreKind, TestApp, Wire};

/// What pages in web views, desktop shells and extensions send.
const APPS: [&str; 5] = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "app://bellhop",
    "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
];

/// What tracers and libraries put on requests.
const TRACED: &str = "authorization, baggage, b3, cache-control, content-type, if-match, last-event-id, newrelic, pragma, \
    sentry-trace, traceparent, tracestate, x-datadog-origin, x-datadog-parent-id, x-datadog-sampling-priority, \
    x-datadog-trace-id, x-requested-with";

/// A socket address that is there and needs a sign-in.
const SOCKET: &str = "/ws/orders/ord_0190f3c1a2b37d4e8f00112233445566";

async fn preflight(app: &TestApp, origin: &str, method: &str, headers: &str) -> Answer {
    let request = app.http.request(Method::OPTIONS, app.url("/api/v1/orders"));
    let request = request.header("origin", origin).header("access-control-request-method", method);
    Answer::of(request.header("access-control-request-headers", headers)).await
}

/// The status and the problem of a handshake that is refused.
async fn refused(app: &TestApp, path: &str, headers: &[(&'static str, &str)]) -> (u16, Value) {
    let refused = Device::dial(app, None, path, headers).await.err().expect("it is refused");
    let problem = serde_json::from_slice(refused.body().as_deref().unwrap_or_default());
    (refused.status().as_u16(), problem.expect("a problem"))
}

/// Whether a handshake from a page got past the look at its origin, to the missing sign-in.
async fn is_let_in(app: &TestApp, headers: &[(&'static str, &str)]) -> bool {
    let (status, problem) = refused(app, SOCKET, headers).await;
    match (status, problem["code"].as_str()) {
        (401, Some("unauthenticated")) => true,
        (403, Some("origin_refused")) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pages_of_apps_call_the_api_and_open_sockets_once_they_are_allowed() {
    let all = APPS.join(",");
    let app = TestApp::start_with(StoreKind::Sqlite, &[("server.allowed_origins", &all)]).await;
    for origin in APPS {
        let allowed = preflight(&app, origin, "POST", "content-type").await.expect(200);
        assert_eq!(header(&allowed, "access-control-allow-origin"), origin);
        let call = app.http.get(app.url("/health/version")).header("origin", origin);
        assert_eq!(header(&Answer::of(call).await.expect(200), "access-control-allow-origin"), origin);
        assert!(is_let_in(&app, &[("origin", origin)]).await, "{origin}");
    }
    for origin in ["capacitor://elsewhere", "null", "file://", "https://localhost"] {
        preflight(&app, origin, "POST", "content-type").await.expect_problem(403, "origin_refused");
        assert!(!is_let_in(&app, &[("origin", origin)]).await, "{origin}");
    }
}

#[tokio::test]
async fn a_traced_page_may_send_the_headers_of_its_tracer() {
    let setting = ("server.allowed_origins", "https://shop.example");
    let app = TestApp::start_with(StoreKind::Sqlite, &[setting]).await;
    let allowed = preflight(&app, "https://shop.example", "PATCH", TRACED).await.expect(200);
    assert_eq!(header(&allowed, "access-control-allow-headers"), TRACED);
    assert_eq!(header(&allowed, "access-control-allow-credentials"), "", "there are no cookies");
    let put = preflight(&app, "https://shop.example", "PUT", TRACED).await;
    put.clone().expect_problem(405, "method_not_allowed");
    assert!(put.json()["detail"].as_str().unwrap().contains("PATCH"), "{}", put.text);
}

#[tokio::test]
async fn a_refused_page_is_told_its_origin_the_host_and_the_setting() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let refused_before = app.metrics().security_events_total.with_label_values(&["origin_refused"]).get();
    let answer = preflight(&app, "http://localhost:5173", "POST", "content-type").await;
    answer.clone().expect_problem(403, "origin_refused");
    let (_, problem) = refused(&app, SOCKET, &[("origin", "http://localhost:5173")]).await;
    for problem in [answer.json(), problem] {
        let detail = problem["detail"].as_str().unwrap().to_owned();
        for named in ["http://localhost:5173", &app.address.to_string(), "server.allowed_origins"] {
            assert!(detail.contains(named), "{named} in {detail}");
        }
    }
    let refused_now = app.metrics().security_events_total.with_label_values(&["origin_refused"]).get();
    assert_eq!(refused_now - refused_before, 2);
    let long = format!("https://{}.example", "x".repeat(3000));
    let detail = refused(&app, SOCKET, &[("origin", &long)]).await.1["detail"].to_string();
    assert!(detail.len() < 700, "{detail}");
}

#[tokio::test]
async fn a_page_can_read_every_refusal_also_of_what_is_no_request() {
    let settings =
        [("server.allowed_origins", "capacitor://localhost"), ("server.trusted_hosts", "shop.example")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let misdirected = app.http.get(app.url("/api/v1/orders")).header("origin", "capacitor://localhost");
    let misdirected = Answer::of(misdirected).await;
    misdirected.clone().expect_problem(421, "misdirected");
    assert_eq!(header(&misdirected, "access-control-allow-origin"), "capacitor://localhost");
    let many = "x: y\r\n".repeat(97);
    for (fields, status) in [(many.as_str(), 431), ("content-length: 1\r\ncontent-length: 2\r\n", 400)] {
        for (origin, told) in
            [("capacitor://localhost", "capacitor://localhost"), ("https://evil.example", "")]
        {
            let mut wire = Wire::open(app.address).await;
            wire.send(&format!("GET / HTTP/1.1\r\nhost: shop.example\r\nOrigin: {origin}\r\n{fields}\r\n"))
                .await;
            let answer = wire.answer().await;
            assert_eq!((answer.status(), answer.field("access-control-allow-origin")), (status, told));
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_trusted_is_named_with_the_setting() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("server.trusted_hosts", "shop.example")]).await;
    let asked = app.http.get(app.url("/api/v1/orders")).header("host", "Other.example:8000");
    let answer = Answer::of(asked).await;
    answer.clone().expect_problem(421, "misdirected");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("Other.example:8000") && detail.contains("server.trusted_hosts"), "{detail}");
    let dotted = app.http.get(app.url("/api/v1/orders")).header("host", "shop.example.");
    Answer::of(dotted).await.expect(401);
}

#[tokio::test]
async fn the_hubs_own_pages_are_known_behind_proxies() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("server.trusted_proxies", "127.0.0.1")]).await;
    for (fields, own) in [
        (&[("origin", "https://hub.example"), ("host", "hub.example:443")][..], true),
        (&[("origin", "https://HUB.example"), ("host", "hub.example.")], true),
        (&[("origin", "https://hub.example:443"), ("host", "hub.example")], true),
        (&[("origin", "http://hub.example:8080"), ("host", "hub.example:8080")], true),
        (
            &[("origin", "https://hub.example"), ("host", "upstream"), ("x-forwarded-host", "hub.example")],
            true,
        ),
        (
            &[("origin", "https://hub.example"), ("host", "hub.example:80"), ("x-forwarded-proto", "http")],
            true,
        ),
        (&[("origin", "https://hub.example"), ("host", "upstream")], false),
        (&[("origin", "http://hub.example:8080"), ("host", "hub.example")], false),
        (
            &[("origin", "https://evil.example"), ("host", "upstream"), ("x-forwarded-host", "hub.example")],
            false,
        ),
    ] {
        assert_eq!(is_let_in(&app, fields).await, own, "{fields:?}");
    }
    let nobody = TestApp::start(StoreKind::Sqlite).await;
    let forwarded = [("origin", "https://hub.example"), ("host", "up"), ("x-forwarded-host", "hub.example")];
    assert!(!is_let_in(&nobody, &forwarded).await, "only a trusted proxy is believed");
}

#[tokio::test]
async fn a_socket_address_without_an_upgrade_says_what_the_proxy_has_to_do() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let with_keys =
        "connection: keep-alive\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13";
    let half =
        "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13";
    let mut wire = Wire::open(app.address).await;
    for fields in ["x: y", with_keys, half, "connection: upgrade"] {
        for path in [SOCKET, "/ws/notifications/nonsense", "/ws/orders/x/"] {
            wire.send(&format!("GET {path}?ticket=t HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n")).await;
            let answer = wire.answer().await;
            answer.expect_problem(426, "upgrade_required");
            assert_eq!(answer.field("upgrade"), "websocket");
            assert_eq!(answer.field("connection"), "upgrade", "and it goes on");
            assert_eq!(answer.field("sec-websocket-version"), "13");
            assert!(answer.body.contains("proxy_set_header Upgrade $http_upgrade"), "{}", answer.body);
        }
    }
    assert_eq!(wire.ask(&format!("POST {SOCKET}")).await.field("allow"), "get");
    assert_eq!(wire.ask("GET /ws/elsewhere").await.status(), 404);
}

#[tokio::test]
async fn a_handshake_of_another_version_or_with_a_subprotocol_is_told_so() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let ask = async |fields: &str| {
        let mut wire = Wire::open(app.address).await;
        wire.send(&format!(
            "GET {SOCKET} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n\r\n"
        ))
        .await;
        wire.answer().await
    };
    for version in ["sec-websocket-version: 8", "x: y"] {
        let answer = ask(version).await;
        answer.expect_problem(426, "upgrade_required");
        assert_eq!(answer.field("sec-websocket-version"), "13");
        assert_eq!(answer.field("connection"), "close, upgrade");
    }
    let offered = ask("sec-websocket-version: 13\r\nsec-websocket-protocol: bearer, x").await;
    offered.expect_problem(400, "malformed");
    assert!(offered.body.contains("Sec-WebSocket-Protocol"), "{}", offered.body);
}

#[tokio::test]
async fn an_api_address_under_an_upgrade_is_answered_as_ever() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let mut wire = Wire::open(app.address).await;
    for _ in 0..2 {
        wire.send(
            "GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )
        .await;
        let answer = wire.answer().await;
        assert_eq!((answer.status(), answer.field("connection")), (200, ""));
    }
}
