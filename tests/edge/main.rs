//! nginx with the files of `deploy/nginx` before three hubs of one Postgres and one Redis. `scripts/edge` starts all of them and
//! runs this; it says where they are in variables.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod outage;
mod tls;

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use support::{Answer, Device, Endpoint, Followers, Person, order_body};
use tls::Edge;

/// A hub as `scripts/edge` names it.
pub(crate) struct Hub {
    pub(crate) process: u32,
    pub(crate) log: String,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/edge"))
}

/// The server that is tried.
pub(crate) fn edge() -> Edge {
    Edge::new(variable("BELLHOP_EDGE").parse().expect("an address"), &variable("BELLHOP_EDGE_CERTIFICATE"))
}

/// The hubs behind it.
pub(crate) fn hubs() -> Vec<Hub> {
    let named = variable("BELLHOP_EDGE_HUBS");
    let hub = |line: &str| {
        let (process, log) = line.split_once('=').expect("a process and its log");
        Hub { process: process.parse().expect("a number"), log: log.to_owned() }
    };
    named.split(',').map(hub).collect()
}

/// The lines of the hubs' logs that hold `text`, as soon as there is one.
async fn logged(text: &str) -> String {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let logs = hubs().into_iter().map(|hub| std::fs::read_to_string(hub.log).unwrap_or_default());
        let lines: Vec<String> =
            logs.flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let lines: Vec<String> = lines.into_iter().filter(|line| line.contains(text)).collect();
        if !lines.is_empty() {
            return lines.join("\n");
        }
        assert!(Instant::now() < until, "no hub has logged {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A business and its customer, who come through nginx from an address of their own.
struct Shop {
    through: Endpoint,
    olga: Person,
    zoe: Person,
    business: String,
}

async fn shop(address: u8) -> Shop {
    let through = Endpoint::new(edge().from([127, 0, 1, address]).await);
    let (olga, zoe) = (through.person("merchant", "Olga").await, through.person("customer", "Zoe").await);
    let business = olga.business(&through).await;
    Shop { through, olga, zoe, business }
}

#[tokio::test]
#[ignore = "needs nginx and three hubs: scripts/edge"]
async fn sockets_streams_and_long_polls_hear_an_order_at_once() {
    let Shop { through, olga, zoe, business } = shop(1).await;
    let followers = Followers::open(&through, &olga, &business).await;
    // Longer than a proxy would wait that collects an answer, and the poll waits by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let order = zoe.order(&through, &business).await;
    let placed = Instant::now();
    let (socket, _stream, polled) = followers.hear(&order).await;
    let heard = placed.elapsed();
    println!("a socket, a stream and a long poll had the order {heard:?} after the answer to it");
    assert!(heard < Duration::from_secs(2), "{heard:?}");

    // A poll without an event is answered by the hub, after its 30 s, not by the proxy before.
    let asked = Instant::now();
    let cursor = polled["cursor"].as_str().unwrap();
    let events = format!("/rooms/business:{business}/events?cursor={cursor}&wait=30");
    let poll = Answer::of(olga.request(&through, Method::GET, &events)).await;
    println!("a long poll of 30 s was answered after {:?} with {}", asked.elapsed(), poll.status);
    assert!(poll.status.is_success(), "{}", poll.text);

    // The hub's own page, on whatever port, and one of somebody else.
    let path = format!("/ws/notifications/{business}");
    let own = format!("https://{}", through.address);
    let page = Device::dial(&through, Some(&olga.token), &path, &[("origin", &own)]).await;
    page.expect("a page of the hub").close().await;
    let other = [("origin", "https://evil.example")];
    let refused = Device::dial(&through, Some(&olga.token), &path, &other).await.err().unwrap();
    assert_eq!(refused.status(), 403);
    socket.close().await;
}

#[tokio::test]
#[ignore = "needs nginx and three hubs: scripts/edge"]
async fn bodies_pass_up_to_the_limit_of_their_route() {
    let Shop { through, zoe, business, .. } = shop(2).await;
    let mut order = order_body(&business);
    // Blanks may be anywhere in JSON: 60 KiB that the hub has to read, in one piece and in many.
    let text = order.to_string();
    let padded = format!("{}{}", " ".repeat(60 * 1024 - text.len()), text);
    let post = || zoe.request(&through, Method::POST, "/orders").header("content-type", "application/json");
    Answer::of(post().body(padded)).await.expect(201);
    order["notes"] = json!("x".repeat(70 * 1024));
    Answer::of(post().body(order.to_string())).await.expect_problem(413, "too_large");
    let answer = Answer::of(post().body(" ".repeat(1024 * 1024 + 1))).await.expect(413);
    assert!(answer.text.contains("nginx"), "what no route takes does not reach a hub: {}", answer.text);
}

#[tokio::test]
#[ignore = "needs nginx and three hubs: scripts/edge"]
async fn the_client_address_and_the_request_id_are_right_at_the_hub() {
    let edge = edge();
    let through = Endpoint::new(edge.from([127, 0, 1, 3]).await);
    // What a client says about its own address is not passed on.
    let id = format!("edge-{}", uuid::Uuid::new_v4().simple());
    let ask = through.http.get(through.url("/health")).header("x-request-id", &id);
    let ask = ask.header("x-forwarded-for", "203.0.113.9").header("x-real-ip", "203.0.113.9");
    let answer = Answer::of(ask.header("forwarded", "for=203.0.113.9")).await.expect(200);
    assert_eq!(answer.headers["x-request-id"], id.as_str());
    let line = logged(&id).await;
    assert!(line.contains("127.0.1.3") && !line.contains("203.0.113.9"), "{line}");
    println!("the hub's line: {line}");
    // Without an id, or with one that the hub would not take, nginx makes one, and the hub uses it.
    for given in [None, Some("two words")] {
        let mut ask = through.http.get(through.url("/health"));
        if let Some(given) = given {
            ask = ask.header("x-request-id", given);
        }
        let answer = Answer::of(ask).await.expect(200);
        let made = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "nginx made it: {made}");
        logged(&made).await;
    }
}

#[tokio::test]
#[ignore = "needs nginx and three hubs: scripts/edge"]
async fn an_address_that_asks_too_often_is_refused_and_another_one_is_not() {
    let edge = edge();
    let flood = Endpoint::new(edge.from([127, 0, 1, 4]).await);
    let other = Endpoint::new(edge.from([127, 0, 1, 5]).await);
    let began = Instant::now();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let flood = flood.clone();
        asked.spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..100 {
                let answer = flood.http.get(flood.url("/health/live")).send().await.unwrap();
                seen.push(answer.status());
            }
            seen
        });
    }
    let seen: Vec<StatusCode> = asked.join_all().await.concat();
    let took = began.elapsed();
    let passed = seen.iter().filter(|status| **status == StatusCode::OK).count();
    let refused = seen.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
    println!("of 800 requests in {took:?}, {passed} passed and {refused} were refused with 429");
    assert_eq!(passed + refused, seen.len(), "nothing else");
    let allowed = 51.0 + took.as_secs_f64() * 100.0;
    assert!(refused > 0 && passed >= 50 && passed as f64 <= allowed + 5.0, "{passed} of {allowed}");
    Answer::of(other.http.get(other.url("/health/live"))).await.expect(200);
}
