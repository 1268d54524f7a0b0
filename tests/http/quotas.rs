//! Nothing is without a quota, and nobody's is another's.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, EventStream, Person, StoreKind, TestApp, order_body};
use crate::{anonymous, header, login};

const ON: (&str, &str) = ("limits.enabled", "true");

/// Every class with so few that a handful of requests shows its end.
const FEW: [(&str, &str); 9] = [
    ON,
    ("limits.auth", "3"),
    ("limits.refresh", "3"),
    ("limits.orders", "3"),
    ("limits.moves", "3"),
    ("limits.api", "3"),
    ("limits.public", "3"),
    ("limits.frames", "3"),
    ("limits.health", "30"),
];

/// Every documented route, with something in the place of what its path names.
fn routes() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for method in item.as_object().unwrap().keys() {
            if let Ok(method) = method.to_uppercase().parse::<Method>() {
                routes.push((method, path.clone()));
            }
        }
    }
    routes.extend(
        ["/docs/", "/openapi.json", "/health/x", "/api/v1/x", "/x"].map(|p| (Method::GET, p.to_owned())),
    );
    routes
}

async fn give_everything_back(app: &TestApp, operator: &Person) {
    operator.delete(app, "/admin/rate-limits").await.expect(204);
}

#[tokio::test]
async fn every_route_ends_in_429_whoever_asks() {
    let app = TestApp::start_with(StoreKind::Sqlite, &FEW).await;
    let operator = app.operator("Ada").await;
    let mut customer = app.person("customer", "Zoe").await;
    let routes = routes();
    assert!(routes.len() > 40, "{} routes", routes.len());
    for (method, path) in routes {
        for signed_in in [false, true] {
            give_everything_back(&app, &operator).await;
            // Some routes end the sign-in.
            customer.sign_in(&app, None).await;
            let mut statuses = Vec::new();
            while statuses.last() != Some(&429) {
                assert!(statuses.len() < 40, "{method} {path}, signed in: {signed_in}: {statuses:?}");
                let mut request = app.http.request(method.clone(), app.url(&path));
                if signed_in {
                    request = request.bearer_auth(&customer.token);
                }
                if method != Method::GET && method != Method::DELETE {
                    request = request.json(&json!({}));
                }
                statuses.push(Answer::of(request).await.status.as_u16());
            }
        }
    }
}

#[tokio::test]
async fn accepting_orders_is_not_starved_by_reading_them() {
    let app =
        TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.api", "20"), ("limits.moves", "2")]).await;
    let (mut owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = zoe.order(&app, &business).await;
    while owner.get(&app, "/orders").await.status != 429 {}
    let accepted = owner.move_order(&app, &order, "accepted").await;
    owner.move_order(&app, &accepted, "preparing").await;
    let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
    let refused = owner.patch(&app, &path, &json!({"status": "ready", "version": 3})).await;
    assert!(header(&refused, "ratelimit").starts_with("\"moves\";r=0;"), "{:?}", refused.headers);
    refused.expect_problem(429, "too_many_requests");
    // Another tablet of the same account.
    owner.sign_in(&app, Some("tablet-2")).await;
    owner.get(&app, "/orders").await.expect(200);
}

#[tokio::test]
async fn repetitions_of_an_order_spend_requests_and_so_come_to_an_end() {
    let app =
        TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.orders", "2"), ("limits.api", "10")]).await;
    let owner = app.person("merchant", "Olga").await;
    let business = owner.business(&app).await;
    for over_the_limit in [false, true] {
        let zoe = app.person("customer", "Zoe").await;
        let mut body = order_body(&business);
        body["client_token"] = json!("one");
        zoe.post(&app, "/orders", &body).await.expect(201);
        if over_the_limit {
            zoe.order(&app, &business).await;
        }
        let mut statuses = Vec::new();
        for _ in 0..14 {
            statuses.push(zoe.post(&app, "/orders", &body).await.status.as_u16());
        }
        assert_eq!(statuses[..10], [201; 10], "as many as it has requests");
        assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    }
}

#[tokio::test]
async fn supervisors_have_a_quota_of_their_own_and_made_up_paths_have_not() {
    let settings = [ON, ("limits.public", "1"), ("limits.health", "30")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let ask = async |path: &str| Answer::of(app.http.get(app.url(path))).await;
    ask("/health/made-up").await.expect(404);
    ask("/health/other").await.expect_problem(429, "too_many_requests");
    let ready = ask("/health/ready").await.expect(200);
    assert!(header(&ready, "ratelimit").starts_with("\"health\";r="), "{:?}", ready.headers);
    let mut asked = 0;
    while ask("/health/live").await.status != 429 {
        asked += 1;
        assert!(asked < 40, "supervisors have a quota");
    }
    ask("/metrics").await.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_refresh_with_a_good_token_spends_nothing_of_its_address() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.public", "2")]).await;
    let mut zoe = app.person("customer", "Zoe").await;
    for _ in 0..5 {
        let body = json!({"refresh_token": zoe.refresh_token});
        let answer = anonymous(&app, "/auth/refresh", &body).await.expect(200);
        assert!(header(&answer, "ratelimit").starts_with("\"refresh\";"), "{:?}", answer.headers);
        zoe.refresh_token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn an_attack_on_an_account_keeps_neither_its_people_nor_its_devices_out() {
    let settings = [("server.trusted_proxies", "127.0.0.1/32")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let mut zoe = app.person("customer", "Zoe").await;
    zoe.sign_in(&app, Some("tablet-1")).await;
    let from = async |address: &str, body: &Value| {
        let request = app.http.post(app.url("/api/v1/auth/login")).header("x-forwarded-for", address);
        Answer::of(request.json(body)).await
    };
    let guess = login(&zoe.email, "wrong password");
    // The wait doubles with each guess: one that a slow machine does not outlast in what follows.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let long_wait = async {
        loop {
            pace.tick().await;
            let answer = from("192.0.2.1", &guess).await;
            if answer.status == 429 && header(&answer, "retry-after").parse::<u64>().unwrap() >= 8 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), long_wait).await.expect("guessing is slowed down");
    from("198.51.100.1", &login(&zoe.email, crate::support::PASSWORD)).await.expect(200);
    let mut known = login(&zoe.email, crate::support::PASSWORD);
    from("192.0.2.1", &known).await.expect_problem(429, "too_many_requests");
    known["device"] = json!({"id": "tablet-2"});
    from("192.0.2.1", &known).await.expect_problem(429, "too_many_requests");
    known["device"] = json!({"id": "tablet-1"});
    from("192.0.2.1", &known).await.expect(200);
}

#[tokio::test]
async fn a_ticket_is_not_spent_by_an_opening_that_is_refused() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.max_per_user", "1")]).await;
    let merchant = app.person("merchant", "Olga").await;
    let business = merchant.business(&app).await;
    let ticket = async || {
        let answer = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let (for_socket, for_stream) = (ticket().await, ticket().await);
    let socket = format!("/ws/notifications/{business}?ticket={for_socket}");
    let stream = app.url(&format!("/api/v1/rooms/business:{business}/stream?ticket={for_stream}"));
    let first = Device::of_business(&app, &merchant, &business, None).await;
    assert_eq!(Device::dial(&app, None, &socket, &[]).await.err().unwrap().status(), 429);
    EventStream::start(app.http.get(&stream)).await.err().unwrap().expect(429);
    first.close().await;
    // The place is free a moment after the client knows that its socket is closed.
    let open = loop {
        match Device::dial(&app, None, &socket, &[]).await {
            Ok(open) => break open,
            Err(refused) => assert_eq!(refused.status(), 429, "the ticket still holds"),
        }
    };
    open.close().await;
    let _open = loop {
        match EventStream::start(app.http.get(&stream)).await {
            Ok(open) => break open,
            Err(refused) => assert_eq!(refused.status, 429, "the ticket still holds"),
        }
    };
}

#[tokio::test]
async fn who_has_too_many_sockets_is_told_how_many_there_may_be() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.max_per_user", "1")]).await;
    let merchant = app.person("merchant", "Olga").await;
    let business = merchant.business(&app).await;
    let open = Device::of_business(&app, &merchant, &business, None).await;
    let refused = merchant.get(&app, &format!("/rooms/business:{business}/events?wait=1")).await;
    assert_eq!(header(&refused, "ratelimit"), "\"sockets-user\";r=0;t=11");
    let policy = "\"sockets-user\";q=1;qu=\"concurrent-requests\"";
    assert_eq!(header(&refused, "ratelimit-policy"), policy);
    assert_eq!(header(&refused, "retry-after"), "11");
    refused.expect_problem(429, "too_many_requests");
    open.close().await;
}

#[tokio::test]
async fn opening_sockets_polls_and_streams_spends_requests() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[ON, ("limits.api", "6")]).await;
    let merchant = app.person("merchant", "Olga").await;
    let business = merchant.business(&app).await;
    let room = format!("/rooms/business:{business}");
    let _stream = EventStream::open(&app, &merchant, &format!("{room}/stream")).await;
    merchant.get(&app, &format!("{room}/events")).await.expect(200);
    let path = format!("/ws/notifications/{business}");
    let _open = Device::dial(&app, Some(&merchant.token), &path, &[]).await.expect("the last of six");
    assert_eq!(Device::dial(&app, Some(&merchant.token), &path, &[]).await.err().unwrap().status(), 429);
    merchant.get(&app, &format!("{room}/events")).await.expect(429);
}
