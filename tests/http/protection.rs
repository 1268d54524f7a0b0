//! What every answer tells browsers, by which names the hub is asked, how long a body may take.

use std::io::Write as _;
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};

use crate::header;
use crate::support::{Answer, Device, Endpoint, Person, StoreKind, TestApp};

/// An encryption key and a signing key as production wants them.
const PRODUCTION: [(&str, &str); 3] = [
    ("environment", "production"),
    ("auth.secret_key", "Qm9yZWFsLXN0b3JtLW92ZXItdGhlLWhhcmJvdXItNDI3"),
    ("encryption.keys", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
];

/// The header fields every answer has, and those it lacks outside of production.
fn assert_protected(headers: &reqwest::header::HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'self'"),
    ] {
        assert_eq!(headers.get(name).map(|v| v.to_str().unwrap()), Some(value), "{name}");
    }
}

#[tokio::test]
async fn every_answer_is_protected_whatever_it_says_and_wherever_it_comes_from() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let zoe = app.person("customer", "Zoe").await;
    for path in ["/health", "/api/v1/orders", "/nowhere", "/metrics", "/openapi.json"] {
        let answer = Answer::of(app.http.get(app.url(path))).await;
        assert_protected(&answer.headers);
        assert_eq!(header(&answer, "strict-transport-security"), "", "this is no production");
    }
    let malformed = app.http.post(app.url("/api/v1/auth/login")).header("content-type", "application/json");
    assert_protected(&Answer::of(malformed.body("{")).await.expect(400).headers);
    let docs = Answer::of(app.http.get(app.url("/docs/"))).await.expect(200);
    assert!(header(&docs, "content-security-policy").contains("img-src 'self' data:"));
    let refused = Device::dial(&app, None, "/ws/orders/nonsense", &[]).await.err().unwrap();
    assert_protected(refused.headers());
    let missing = Device::dial(&app, Some(&zoe.token), "/ws/nowhere", &[]).await.err().unwrap();
    assert_protected(missing.headers());
}

#[tokio::test]
async fn production_holds_browsers_to_https_and_has_no_way_to_reset_limits() {
    let app = TestApp::start_with(StoreKind::Sqlite, &PRODUCTION).await;
    let answer = Answer::of(app.http.get(app.url("/api/v1/orders"))).await.expect(401);
    assert_eq!(header(&answer, "strict-transport-security"), "max-age=31536000; includeSubDomains");
    let operator = app.operator("Ada").await;
    operator.delete(&app, "/admin/rate-limits").await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn production_shows_metrics_to_this_machine_and_trusted_networks_only() {
    let trusting = [PRODUCTION.as_slice(), &[("ops.trusted_networks", "10.0.0.0/8")]].concat();
    let app = TestApp::start_with(StoreKind::Sqlite, &trusting).await;
    for path in ["/metrics", "/health/metrics", "/health/detailed", "/health/detailed/"] {
        Answer::of(app.http.get(app.url(path))).await.expect(200);
        // A proxy on this machine that is not trusted speaks for somebody who is not here.
        for said in ["x-forwarded-for", "x-real-ip"] {
            let forwarded = app.http.get(app.url(path)).header(said, "203.0.113.9");
            Answer::of(forwarded).await.expect_problem(404, "not_found");
        }
    }
    let networks =
        [("server.trusted_proxies", "127.0.0.1,192.0.2.0/24"), ("ops.trusted_networks", "10.0.0.0/8")];
    let through = [PRODUCTION.as_slice(), &networks].concat();
    let app = TestApp::start_with(StoreKind::Sqlite, &through).await;
    for (client, status) in [("203.0.113.9", 404), ("10.1.2.3", 200), ("192.0.2.7", 404)] {
        for said in ["x-forwarded-for", "x-real-ip"] {
            let asked = app.http.get(app.url("/metrics")).header(said, client);
            Answer::of(asked).await.expect(status);
        }
    }
}

#[tokio::test]
async fn a_listener_of_their_own_shows_operators_what_the_main_one_hides() {
    let settings = [("ops.bind", "127.0.0.1:0"), ("server.trusted_hosts", "shop.example,127.0.0.1")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let ops = app.ops();
    for path in ["/metrics", "/health/metrics", "/health/detailed"] {
        Answer::of(app.http.get(app.url(path))).await.expect_problem(404, "not_found");
        let by_address = ops.http.get(ops.url(path)).header("host", "10.0.0.7");
        assert_protected(&Answer::of(by_address).await.expect(200).headers);
    }
    Answer::of(ops.http.get(ops.url("/health/ready"))).await.expect(200);
    Answer::of(ops.http.get(ops.url("/api/v1/orders"))).await.expect(404);
    Answer::of(ops.http.get(ops.url("/docs/"))).await.expect(404);
}

/// Method and path of every route below `/api/v1/admin`; what is for ids in them is an `x`.
fn administration() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(below) = path.strip_prefix("/api/v1/admin/") else { continue };
        let parts = below.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = format!("/admin/{}", parts.collect::<Vec<_>>().join("/"));
        for verb in item.as_object().unwrap().keys() {
            routes.push((Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap(), path.clone()));
        }
    }
    assert!(!routes.is_empty());
    routes
}

#[tokio::test]
async fn a_listener_of_their_own_is_where_operators_do_what_they_may() {
    let settings = [("ops.bind", "127.0.0.1:0"), ("limits.enabled", "true"), ("limits.api", "10000")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let ops = app.ops();
    let (zoe, ada) = (app.person("customer", "Zoe").await, app.operator("Ada").await);
    // What is the same for every path that is none of ours.
    let told = |answer: Answer| {
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        let mut problem = answer.expect_problem(404, "not_found");
        problem.as_object_mut().unwrap().remove("request_id");
        (names, problem)
    };
    let absent = told(ada.get(&app, "/nowhere").await);
    for (method, path) in administration() {
        let asked = |who: &Person, at: &Endpoint| Answer::of(who.request(at, method.clone(), &path));
        let url = ops.url(&format!("/api/v1{path}"));
        let nobody = Answer::of(ops.http.request(method.clone(), url)).await;
        assert_protected(&nobody.headers);
        assert_ne!(header(&nobody, "ratelimit"), "", "{method} {path}");
        nobody.expect_problem(401, "unauthenticated");
        asked(&zoe, &ops).await.expect_problem(403, "forbidden");
        for who in [&zoe, &ada] {
            assert_eq!(told(asked(who, &app).await), absent, "{method} {path}");
        }
    }
    let jobs = ada.request(&ops, Method::GET, "/admin/jobs").header("host", "10.0.0.7");
    Answer::of(jobs).await.expect(200);
    ada.delete(&ops, "/admin/rate-limits").await.expect(204);
    for hidden in ["/admin", "/admin/", "/admin/jobs/", "/%61dmin/jobs", "/admin/nothing"] {
        assert_eq!(told(ada.get(&app, hidden).await), absent, "{hidden}");
    }
    let nobody = Answer::of(app.http.get(app.url("/api/v1/admin/jobs"))).await;
    nobody.expect_problem(404, "not_found");
    // A method that is not for a path is told where the path is, and there only.
    assert_eq!(told(ada.delete(&app, "/admin/jobs").await), absent);
    let refused = ada.delete(&ops, "/admin/jobs").await;
    assert_eq!(header(&refused, "allow"), "GET, HEAD");
    refused.expect_problem(405, "method_not_allowed");
    ada.delete(&ops, "/orders").await.expect_problem(404, "not_found");
    ada.post(&ops, "/auth/login", &json!({})).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn without_a_listener_of_their_own_operators_use_the_main_one() {
    let app = TestApp::start_with(StoreKind::Sqlite, &PRODUCTION).await;
    let (zoe, ada) = (app.person("customer", "Zoe").await, app.operator("Ada").await);
    for (method, path) in administration() {
        let url = app.url(&format!("/api/v1{path}"));
        let nobody = Answer::of(app.http.request(method.clone(), url)).await;
        nobody.expect_problem(401, "unauthenticated");
        Answer::of(zoe.request(&app, method, &path)).await.expect_problem(403, "forbidden");
    }
    // From outside, where metrics are hidden.
    let jobs = ada.request(&app, Method::GET, "/admin/jobs").header("x-forwarded-for", "203.0.113.9");
    Answer::of(jobs).await.expect(200);
}

#[tokio::test]
async fn requests_for_another_host_are_refused_on_every_door() {
    let app =
        TestApp::start_with(StoreKind::Sqlite, &[("server.trusted_hosts", "127.0.0.1,shop.example")]).await;
    let asked = |path: &str, host: &'static str| Answer::of(app.http.get(app.url(path)).header("host", host));
    asked("/api/v1/orders", "Shop.Example:8000").await.expect(401);
    asked("/api/v1/orders", "evil.example").await.expect_problem(421, "misdirected");
    asked("/nowhere", "evil.example").await.expect_problem(421, "misdirected");
    asked("/health/live", "10.0.0.7:8000").await.expect(200);
    let refused = Device::dial(&app, None, "/ws/orders/x", &[("host", "evil.example")]).await;
    assert_eq!(refused.err().unwrap().status().as_u16(), 421);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("server.body_timeout_s", "1")]).await;
    let address = app.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(
                b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                  connection: close\r\ncontent-length: 100\r\n\r\n{",
            )
            .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"request_timeout\""), "{answer}");
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_can_read_them_and_refusals_stay_readable() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let get = |path: &str| app.http.get(app.url(path)).header("accept-encoding", "gzip");
    let document = Answer::of(app.http.get(app.url("/openapi.json"))).await.expect(200);
    assert_eq!(header(&document, "content-encoding"), "");
    let compressed = get("/openapi.json").send().await.unwrap();
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    assert!(compressed.bytes().await.unwrap().len() < document.text.len() / 4);
    let small = Answer::of(get("/health")).await.expect(200);
    assert_eq!(header(&small, "content-encoding"), "");
    assert_eq!(small.json()["status"], "healthy");
    let refused = Answer::of(get("/api/v1/orders")).await;
    assert_eq!(header(&refused, "content-encoding"), "");
    refused.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn denials_are_counted_and_so_are_bursts_of_them() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let count = |kind: &str| app.metrics().security_events_total.with_label_values(&[kind]).get();
    for _ in 0..25 {
        Answer::of(app.http.get(app.url("/api/v1/orders"))).await.expect(401);
    }
    assert_eq!((count("access_denied"), count("access_denied_burst")), (25, 5));
    let zoe = app.person("customer", "Zoe").await;
    zoe.post(&app, "/businesses", &json!({})).await.expect(403);
    assert_eq!((count("access_denied"), count("access_denied_burst")), (26, 5));
}
