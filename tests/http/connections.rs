//! Connections before and around their requests, as bytes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Endpoint, Person, StoreKind, TestApp, Wire, order_body, until};

const TIGHT: (&str, &str) = ("server.header_timeout_s", "1");

/// An ordinary request whose offers are `fields`.
fn with_fields(request: &str, fields: &str) -> String {
    format!("{request} HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n")
}

/// An order of one soup as bytes, with more fields.
pub(crate) fn order(zoe: &Person, business: &str, fields: &str) -> String {
    let body = order_body(business).to_string();
    format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n{fields}\
         content-length: {}\r\n\r\n{body}",
        zoe.token,
        body.len()
    )
}

fn refused(app: &TestApp, reason: &str) -> u64 {
    app.metrics().http_connections_refused_total.with_label_values(&[reason]).get()
}

/// Waits until no long poll or stream is served.
async fn until_no_reader(app: &TestApp) {
    until("the readers end with their clients", || app.sessions().readers() == 0).await;
}

async fn until_readers(app: &TestApp, readers: usize) {
    until("the readers are served", || app.sessions().readers() >= readers).await;
}

#[tokio::test]
async fn a_head_that_stops_is_refused_in_time_whichever_request_of_its_connection_it_is() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[TIGHT, ("ops.bind", "127.0.0.1:0")]).await;
    for (n, address) in [app.address, app.ops().address].into_iter().enumerate() {
        let mut first = Wire::open(address).await;
        first.send("GET /health/live HTTP/1.1\r\nho").await;
        first.answer().await.expect_problem(408, "request_timeout");
        assert_eq!(first.rest().await, "");
        let mut later = Wire::open(address).await;
        assert_eq!(later.ask("GET /health/live").await.status(), 200);
        later.send("GET /h").await;
        let answer = later.answer().await;
        answer.expect_problem(408, "request_timeout");
        assert_eq!(answer.field("connection"), "close");
        assert_eq!(later.rest().await, "");
        assert_eq!(refused(&app, "head_timeout"), 2 * (n as u64 + 1));
        let silent = Wire::open(address).await;
        assert_eq!(silent.rest().await, "", "nobody asked anything");
    }
}

#[tokio::test]
async fn a_head_that_drips_has_no_more_time_than_one_that_stops() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[TIGHT]).await;
    let mut wire = Wire::open(app.address).await;
    assert_eq!(wire.ask("GET /health/live").await.status(), 200);
    wire.send("GET /health/live HTTP/1.1\r\n").await;
    let (read, mut write) = wire.stream.into_split();
    let drip = async {
        for n in 0.. {
            let field = format!("x-{n}: y\r\n");
            if tokio::io::AsyncWriteExt::write_all(&mut write, field.as_bytes()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = async {
        let mut read = tokio::io::BufReader::new(read);
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut read, &mut line).await.unwrap();
        line
    };
    tokio::select! {
        () = drip => panic!("closed without a word"),
        line = heard => assert!(line.starts_with("HTTP/1.1 408 "), "{line}"),
    }
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order_and_each_as_if_alone() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = olga.business(&app).await;
    let bearer = format!("authorization: Bearer {}", olga.token);
    let mut wire = Wire::open(app.address).await;
    let get = with_fields(&format!("GET /api/v1/businesses/{business}"), &bearer);
    let head = with_fields(&format!("HEAD /api/v1/businesses/{business}"), &bearer);
    let live = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = with_fields("GET /health/version", "connection: close");
    let all = [
        get.as_str(),
        &head,
        &order(&zoe, &business, ""),
        &head,
        live,
        "HEAD /health/live HTTP/1.1\r\nhost: x\r\n\r\n",
        &last,
        live,
    ];
    wire.send(&all.concat()).await;
    let found = wire.answer().await;
    assert_eq!((found.status(), found.body.contains(&business)), (200, true), "{found:?}");
    let no_body = wire.answer_to("HEAD").await;
    assert_eq!((no_body.status(), no_body.field("content-length")), (200, found.field("content-length")));
    let placed = wire.answer().await;
    assert_eq!(placed.status(), 201);
    assert_eq!(serde_json::from_str::<Value>(&placed.body).unwrap()["status"], "placed");
    assert_eq!(wire.answer_to("HEAD").await.status(), 200);
    let alive = wire.answer().await;
    assert_eq!((alive.body.as_str(), alive.field("connection")), ("{\"status\":\"alive\"}", ""));
    assert_eq!(wire.answer_to("HEAD").await.field("connection"), "");
    assert_eq!(wire.answer().await.field("connection"), "close");
    assert_eq!(wire.rest().await, "", "what came behind the last request is nobody's");
}

#[tokio::test]
async fn a_request_of_the_old_version_does_not_change_the_answer_before_it() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let olga = app.person("merchant", "Olga").await;
    let business = olga.business(&app).await;
    let bearer = format!("authorization: Bearer {}", olga.token);
    let poll = with_fields(&format!("GET /api/v1/rooms/business:{business}/events?wait=1"), &bearer);
    let mut wire = Wire::open(app.address).await;
    wire.send(&[poll.as_str(), "GET /health/live HTTP/1.0\r\n\r\n"].concat()).await;
    let polled = wire.answer().await;
    assert!(polled.head.starts_with("http/1.1 200 "), "{polled:?}");
    assert_eq!(polled.field("connection"), "");
    assert!(polled.body.contains("\"events\":[]"), "{polled:?}");
    assert!(wire.answer().await.head.starts_with("http/1.0 200 "));
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn what_is_piled_up_behind_a_stream_or_poll_ends_with_its_client() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let olga = app.person("merchant", "Olga").await;
    let business = olga.business(&app).await;
    let bearer = format!("authorization: Bearer {}", olga.token);
    let room = format!("/api/v1/rooms/business:{business}");
    let pile = "GET / HTTP/1.1\r\nHost:a\r\n\r\n".repeat(15_000);
    let mut wires = Vec::new();
    for path in [format!("{room}/stream"), format!("{room}/events?wait=30")] {
        let mut wire = Wire::open(app.address).await;
        wire.send(&[with_fields(&format!("GET {path}"), &bearer), pile.clone()].concat()).await;
        wires.push(wire);
    }
    until_readers(&app, 2).await;
    wires[0].see("event: hello").await;
    olga.post(
        &app,
        &format!("/businesses/{business}/notifications"),
        &json!({"type": "X", "title": "t", "message": "m"}),
    )
    .await
    .expect(201);
    wires[0].see("event: notification").await;
    let polled = wires[1].answer().await;
    assert!(polled.body.contains("\"notification\""), "{polled:?}");
    drop(wires);
    until_no_reader(&app).await;
}

#[tokio::test]
async fn a_client_that_sends_without_end_behind_a_stream_is_cut_off() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let olga = app.person("merchant", "Olga").await;
    let business = olga.business(&app).await;
    let bearer = format!("authorization: Bearer {}", olga.token);
    let mut wire = Wire::open(app.address).await;
    wire.send(&with_fields(&format!("GET /api/v1/rooms/business:{business}/stream"), &bearer)).await;
    wire.see("event: hello").await;
    let flood = "GET / HTTP/1.1\r\nHost:a\r\n\r\n".repeat(1000);
    let cut_off = async {
        let mut sent = 0;
        while tokio::io::AsyncWriteExt::write_all(&mut wire.stream, flood.as_bytes()).await.is_ok() {
            sent += flood.len();
            assert!(sent < 64 * 1024 * 1024, "nobody minds");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cut_off).await.expect("it is cut off");
    until_no_reader(&app).await;
    assert_eq!(refused(&app, "too_far_ahead"), 1);
}

#[tokio::test]
async fn a_whole_request_is_answered_though_its_client_has_closed_its_side() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = olga.business(&app).await;
    let mut wire = Wire::open(app.address).await;
    wire.send(&order(&zoe, &business, "")).await;
    wire.close_half().await;
    assert_eq!(wire.answer().await.status(), 201);
    assert_eq!(wire.rest().await, "");
    let mut broken = Wire::open(app.address).await;
    let whole = order(&zoe, &business, "");
    broken.send(&whole[..whole.len() - 1]).await;
    broken.close_half().await;
    broken.answer().await.expect_problem(400, "malformed");
    assert_eq!(broken.rest().await, "");
}

#[tokio::test]
async fn streams_and_polls_end_when_their_client_closes_its_side() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let olga = app.person("merchant", "Olga").await;
    let business = olga.business(&app).await;
    let bearer = format!("authorization: Bearer {}", olga.token);
    for (path, at_once) in
        [("stream", true), ("stream", false), ("events?wait=30", true), ("events?wait=30", false)]
    {
        let mut wire = Wire::open(app.address).await;
        wire.send(&with_fields(&format!("GET /api/v1/rooms/business:{business}/{path}"), &bearer)).await;
        if !at_once {
            until_readers(&app, 1).await;
        }
        wire.close_half().await;
        let rest = tokio::time::timeout(Duration::from_secs(20), wire.rest()).await.expect("it ends");
        assert!(!rest.contains("\"events\""), "{path}: {rest}");
        until_no_reader(&app).await;
    }
}

#[tokio::test]
async fn a_stream_or_poll_with_a_body_that_does_not_come_ends_with_its_client_as_well() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let olga = app.person("merchant", "Olga").await;
    let business = olga.business(&app).await;
    let fields = format!("authorization: Bearer {}\r\ncontent-length: 100", olga.token);
    for path in ["stream", "events?wait=30"] {
        let mut wire = Wire::open(app.address).await;
        wire.send(&with_fields(&format!("GET /api/v1/rooms/business:{business}/{path}"), &fields)).await;
        until_readers(&app, 1).await;
        drop(wire);
        until_no_reader(&app).await;
    }
}

#[tokio::test]
async fn requests_sent_without_a_pause_are_all_answered() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let wire = Wire::open(app.address).await;
    let (mut read, mut write) = wire.stream.into_split();
    let count = 5000;
    // Of different lengths, so that what is read at once ends anywhere in a head.
    let send = async {
        for n in 0..count {
            let request = with_fields("GET /health/live", &format!("x: {}", "y".repeat(n % 97)));
            tokio::io::AsyncWriteExt::write_all(&mut write, request.as_bytes()).await.unwrap();
        }
    };
    let hear = async {
        let (mut text, mut some) = (String::new(), vec![0; 65_536]);
        while text.matches("{\"status\":\"alive\"}").count() < count {
            let heard = tokio::io::AsyncReadExt::read(&mut read, &mut some).await.unwrap();
            assert!(heard > 0, "closed before all were answered");
            text.push_str(std::str::from_utf8(&some[..heard]).unwrap());
        }
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), count);
    };
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(send, hear) }).await.unwrap();
}

#[tokio::test]
async fn an_offer_to_upgrade_that_is_not_taken_leaves_no_trace() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = olga.business(&app).await;
    let mut wire = Wire::open(app.address).await;
    for offer in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Connection: upgrade",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
    ] {
        wire.send(&with_fields("GET /health/live", offer)).await;
        let answer = wire.answer().await;
        assert_eq!(
            (answer.status(), answer.field("connection"), answer.field("upgrade")),
            (200, "", ""),
            "{offer}"
        );
        wire.send(&order(&zoe, &business, &format!("{offer}\r\n"))).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status(), answer.field("connection")), (201, ""), "{offer}");
    }
    wire.send(&with_fields("GET /health/live", "connection: close, upgrade")).await;
    assert_eq!(wire.answer().await.field("connection"), "close");
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn a_handshake_that_is_none_is_told_why_and_one_among_other_offers_is_taken() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let olga = app.person("merchant", "Olga").await;
    let business = olga.business(&app).await;
    let handshake = |version: &str, fields: &str| {
        format!(
            "GET /ws/notifications/{business}?token={} HTTP/{version}\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\n{fields}\r\n\r\n",
            olga.token
        )
    };
    let sound =
        "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut old = Wire::open(app.address).await;
    old.send(&handshake("1.0", sound)).await;
    let answer = old.answer().await;
    answer.expect_problem(426, "upgrade_required");
    assert!(answer.body.contains("proxy_http_version 1.1"), "{answer:?}");
    for doubled in ["sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="] {
        let mut wire = Wire::open(app.address).await;
        wire.send(&handshake("1.1", &format!("{sound}\r\n{doubled}"))).await;
        wire.answer().await.expect_problem(400, "malformed");
    }
    let mut listed = Wire::open(app.address).await;
    listed.send(&handshake("1.1", &sound.replace("websocket\r\n", "h2c, WebSocket\r\n"))).await;
    assert_eq!(listed.answer().await.status(), 101);
    listed.see("\"hello\"").await;
}

#[tokio::test]
async fn what_the_parser_refuses_is_a_problem_and_counted() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
    let bad = [
        get("x: y"),
        get("host: a\r\nhost: b"),
        get("host: a b"),
        get("host: a/b"),
        get("host: [::1"),
        get("host: x\r\nfolded: a\r\n b"),
        get("host: x\r\ncontent-length: 1\r\ncontent-length: 2"),
        get("host: x\r\ntransfer-encoding: gzip"),
        get("host: x\r\nx: \0"),
        "GET /caf\u{e9}|{} HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".to_owned(),
        "CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
    ];
    for (n, text) in bad.iter().enumerate() {
        let mut wire = Wire::open(app.address).await;
        wire.send(text).await;
        let answer = wire.answer().await;
        answer.expect_problem(400, "malformed");
        assert_eq!(answer.body.contains("TLS"), text.starts_with('\u{16}'), "{answer:?}");
        assert_eq!(wire.rest().await, "", "{text:?}");
        assert_eq!(refused(&app, "malformed"), n as u64 + 1, "{text:?}");
    }
    let large = [format!("x: {}", "y".repeat(200_000)), "x: y\r\n".repeat(97)];
    let large = large.map(|fields| get(&format!("host: x\r\n{fields}")));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(40_000));
    for text in large.into_iter().chain([long]) {
        let mut wire = Wire::open(app.address).await;
        wire.send(&text).await;
        wire.answer().await.expect_problem(431, "head_too_large");
    }
    assert_eq!(refused(&app, "head_too_large"), 3);
}

#[tokio::test]
async fn an_address_has_so_many_connections_unless_it_is_a_trusted_proxy() {
    let few = ("server.connections_per_address", "5");
    let app = TestApp::start_with(StoreKind::Sqlite, &[few]).await;
    let open = async |at: &Endpoint| {
        let mut wires = Vec::new();
        for _ in 0..9 {
            let mut wire = Wire::open(at.address).await;
            let answer = wire.ask("GET /health/live").await;
            wires.push((answer, wire));
        }
        wires
    };
    let wires = open(&app).await;
    let refusals: Vec<_> =
        wires.iter().map(|(answer, _)| answer).filter(|answer| answer.status() != 200).collect();
    assert!(refusals.len() >= 4, "{}", refusals.len());
    refusals.iter().for_each(|answer| answer.expect_problem(429, "too_many_requests"));
    assert!(refused(&app, "too_many_connections") >= 4);
    drop(wires);
    let room = async { while Wire::open(app.address).await.ask("GET /health/live").await.status() != 200 {} };
    tokio::time::timeout(Duration::from_secs(10), room).await.expect("places are given back");
    let app = TestApp::start_with(StoreKind::Sqlite, &[few, ("server.trusted_proxies", "127.0.0.0/8")]).await;
    assert!(open(&app).await.iter().all(|(answer, _)| answer.status() == 200));
}
