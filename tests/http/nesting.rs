//! JSON that is nested against the parser, sent to every route and frame, and rows that cannot be read any more.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Answer, Device, Person, StoreKind, TestApp};
use crate::{each, fields};

crate::on_both_stores!(a_row_that_cannot_be_read_costs_itself_and_no_list);

/// Texts that hold JSON that holds texts that hold JSON, by the name under which a parser with the feature for it parses them anew:
/// each level begins with a fresh limit of its depth.
fn nest(levels: usize) -> String {
    let mut text = "0".to_owned();
    for _ in 0..levels {
        let inner = text.replace('\\', "\\u005c").replace('"', "\\u0022");
        let (open, close) = ("[".repeat(120), "]".repeat(120));
        text = format!("{open}{{\"$serde_json::private::RawValue\": \"{inner}\"}}{close}");
    }
    text
}

/// The nest where it goes deepest: as a body, and in what is stored as it came.
fn deep_bodies(nest: &str) -> Vec<String> {
    vec![
        nest.to_owned(),
        format!("{{\"unknown\":{nest}}}"),
        format!("{{\"type\":\"X\",\"title\":\"t\",\"message\":\"m\",\"data\":{{\"a\":1,\"b\":{nest}}}}}"),
    ]
}

/// A field that some route knows, the nest under it, and what else that route needs.
fn bodies(nest: &str) -> Vec<String> {
    let fields = [
        "data",
        "name",
        "items",
        "customer",
        "address",
        "location",
        "device",
        "email",
        "user_id",
        "role",
        "status",
        "reason",
        "notes",
        "prep_minutes",
        "price_minor",
        "paused_until",
        "unknown",
    ];
    let mut bodies: Vec<String> = fields.iter().map(|field| format!("{{\"{field}\":{nest}}}")).collect();
    bodies.push(format!("{{\"type\":\"X\",\"title\":\"t\",\"message\":\"m\",\"data\":{{\"a\":{nest}}}}}"));
    bodies.extend(deep_bodies(nest));
    bodies
}

/// The path with ids of the right kind in it.
fn filled(path: &str, business: &str) -> String {
    let id = |prefix: &str| format!("{prefix}{}", uuid::Uuid::now_v7().simple());
    let own = match path {
        path if path.contains("/orders/") => id("ord_"),
        path if path.contains("/invitations/") => id("inv_"),
        path if path.contains("/sessions/") => id("ses_"),
        _ => business.to_owned(),
    };
    let rest = [("{user}", id("usr_")), ("{notification}", id("ntf_")), ("{sku}", "soup".to_owned())];
    let room = format!("business:{business}");
    let path = path.replace("{id}", &own).replace("{room}", &room);
    rest.iter().fold(path, |path, (name, value)| path.replace(name, value))
}

async fn ask(app: &TestApp, who: &Person, method: &Method, path: &str, body: String) -> Option<String> {
    let request = app.http.request(method.clone(), app.url(path)).bearer_auth(&who.token);
    let answer = Answer::of(request.header("content-type", "application/json").body(body)).await;
    let status = answer.status.as_u16();
    // Routes that take no body answer as they would without one. A hub that is too busy for a moment says so, which is no fault.
    (status >= 500 && status != 503).then(|| format!("{method} {path}: {status} {}", answer.text))
}

#[tokio::test]
async fn no_nest_of_json_ends_the_process_or_is_an_error_of_its_own() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let shallow = bodies(&nest(3));
    // The largest that bodies of 4, 8, 16, 32 and 64 KiB have room for, since each route has a limit of its own.
    let deep = [10, 17, 28, 44, 68].map(nest);
    for (nest, kib) in deep.iter().zip([4, 8, 16, 32, 64]) {
        assert!((kib * 820..kib * 1_024).contains(&nest.len()), "{kib} KiB: {}", nest.len());
    }
    let asked: Vec<String> =
        shallow.into_iter().chain(deep.iter().flat_map(|nest| deep_bodies(nest))).collect();
    let mut operator = app.operator("Olga").await;
    let mut faults = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for verb in item.as_object().unwrap().keys().filter(|verb| *verb != "get") {
            let method = Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap();
            // Signed in anew for each route: some of them end sign-ins.
            let merchant = app.person("merchant", "Mia").await;
            let business = merchant.business(&app).await;
            let customer = app.person("customer", "Zoe").await;
            let driver = app.person("driver", "Dan").await;
            operator.sign_in(&app, None).await;
            let path = filled(path, &business);
            let asked = asked.iter().flat_map(|body| {
                [&merchant, &customer, &driver, &operator]
                    .map(|who| ask(&app, who, &method, &path, body.clone()))
            });
            faults.extend(join_all(asked).await.into_iter().flatten());
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Answer::of(app.http.get(app.url("/health/live"))).await.expect(200);
}

#[tokio::test]
async fn no_nest_of_json_in_a_frame_ends_more_than_its_socket() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let nest = nest(60);
    assert!(nest.len() < 60 * 1024);
    for frame in [
        format!("{{\"type\":{nest}}}"),
        format!("{{\"type\":\"ack\",\"room\":{nest},\"cursor\":\"x\"}}"),
        format!("{{\"cursor\":{nest},\"type\":\"ack\",\"room\":\"business:{business}\"}}"),
        format!("{{\"type\":\"device\",\"id\":\"d\",\"can_ring\":{nest}}}"),
        format!("{{\"type\":\"refresh\",\"token\":{nest}}}"),
        nest.clone(),
    ] {
        let mut device = Device::of_business(&app, &merchant, &business, None).await;
        device.send_raw(Message::text(frame)).await;
        let said =
            tokio::time::timeout(Duration::from_secs(20), device.next()).await.expect("it is answered");
        assert_eq!(
            (said["type"].as_str(), said["code"].as_str()),
            (Some("error"), Some("bad_frame")),
            "{said}"
        );
        device.close().await;
    }
}

async fn a_row_that_cannot_be_read_costs_itself_and_no_list(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let path = format!("/businesses/{business}/notifications");
    let note =
        |title: &str, data: Value| json!({"type": "NOTE", "title": title, "message": "m", "data": data});
    for reserved in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let refused = merchant.post(&app, &path, &note("refused", json!({"a": 1, reserved: "x"}))).await;
        assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["data"]);
    }
    let mut ids = Vec::new();
    for title in ["first", "second", "third"] {
        let made = merchant.post(&app, &path, &note(title, json!({"n": 1}))).await.expect(201).json();
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    app.execute(format!("UPDATE notifications SET data = '{{' WHERE id = '{}'", ids[1])).await;
    let listed = merchant.get(&app, &path).await.expect(200).json();
    assert_eq!(each(&listed, "title"), ["third", "first"]);

    // An event keeps its number, so that whoever reads the room is not stopped by it.
    app.execute("UPDATE room_events SET data = 'x' WHERE seq = 2".to_owned()).await;
    app.execute("UPDATE room_events SET kind = 'of_a_newer_release' WHERE seq = 3".to_owned()).await;
    let epoch = merchant.get(&app, &format!("/rooms/business:{business}/events")).await.expect(200).json();
    let epoch = epoch["cursor"].as_str().unwrap().split('.').next().unwrap().to_owned();
    let read = format!("/rooms/business:{business}/events?cursor={epoch}.0");
    let read = merchant.get(&app, &read).await.expect(200).json();
    let kinds: Vec<&str> = read["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| frame["event"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["notification", "unreadable", "of_a_newer_release"], "{read}");
    assert_eq!(app.metrics().unreadable_rows_total.with_label_values(&["notifications"]).get(), 1);
}
