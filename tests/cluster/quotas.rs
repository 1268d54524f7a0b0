//! Quotas and places that all nodes give together.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, Person, StoreKind, TestApp, own_prefix, redis_url, until};

/// Some hubs on one Postgres that know each other; with Redis if there is one to test with and it is wanted.
async fn hubs(count: usize, redis: Option<&str>, settings: &[(&str, &str)]) -> Vec<TestApp> {
    let prefix = own_prefix();
    let mut all = settings.to_vec();
    if let Some(url) = redis {
        // Patient: a busy machine must not let anybody pass.
        all.extend([("redis.url", url), ("redis.prefix", &*prefix), ("limits.redis_timeout_ms", "1000")]);
    }
    let mut hubs = vec![TestApp::start_with(StoreKind::Postgres, &all).await];
    while hubs.len() < count {
        hubs.push(hubs[0].start_another().await);
    }
    for hub in hubs.iter().filter(|_| redis.is_some()) {
        connected(hub).await;
    }
    meet(&hubs).await;
    hubs
}

/// Waits until a hub has its Redis.
async fn connected(hub: &TestApp) {
    let looked = async {
        loop {
            let ready = Answer::of(hub.http.get(hub.url("/health/ready"))).await.json();
            if ready["redis"] == "healthy" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looked).await.expect("it connects to Redis");
}

/// Lets every hub say that it is there and hear of the others.
async fn meet(hubs: &[TestApp]) {
    for _ in 0..2 {
        for hub in hubs {
            hub.renew_leases().await;
        }
    }
}

async fn statuses(asked: impl IntoIterator<Item = reqwest::RequestBuilder>) -> Vec<u16> {
    let asked = asked.into_iter().map(async |request| Answer::of(request).await.status.as_u16());
    join_all(asked).await
}

/// How many of so many requests of one login session pass, spread over the hubs and made at the same time.
async fn passed(hubs: &[TestApp], person: &Person, requests: usize) -> usize {
    let each = (0..requests).map(|n| person.request(&hubs[n % hubs.len()], Method::GET, "/auth/me"));
    let all = statuses(each).await;
    assert!(all.iter().all(|status| matches!(status, 200 | 429)), "{all:?}");
    all.iter().filter(|status| **status == 200).count()
}

/// Waits until a hub refuses a further socket. One that Redis does not answer within 50 ms decides by itself, and admits it.
async fn refused_in_the_end(hub: &TestApp, owner: &Person, path: &str) {
    let before = hub.sessions().open();
    let refused = async {
        while let Some(admitted) = Device::try_dial(hub, &owner.token, path).await {
            drop(admitted);
            // Else that one would take the place of the next.
            until("the place is free again", || hub.sessions().open() == before).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("a fourth is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_that_share_a_limit_of_100_let_exactly_100_pass() {
    let Some(redis) = redis_url("BELLHOP_TEST_REDIS") else { return };
    let settings = [("limits.enabled", "true"), ("limits.api", "100"), ("limits.api_long", "1000")];
    let hubs = hubs(4, Some(&redis), &settings).await;
    let zoe = hubs[0].person("customer", "Zoe").await;
    assert_eq!(passed(&hubs, &zoe, 240).await, 100);
    for hub in &hubs {
        assert_eq!(passed(std::slice::from_ref(hub), &zoe, 3).await, 0, "on every node nothing is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_nodes_have_left_is_told_by_each() {
    let Some(redis) = redis_url("BELLHOP_TEST_REDIS") else { return };
    let settings = [("limits.enabled", "true"), ("limits.api", "10"), ("limits.api_long", "15")];
    let hubs = hubs(2, Some(&redis), &settings).await;
    let zoe = hubs[0].person("customer", "Zoe").await;
    let left = async |hub: &TestApp| {
        let answer = zoe.get(hub, "/auth/me").await;
        answer.headers["ratelimit"].to_str().unwrap().split(';').nth(1).unwrap().to_owned()
    };
    for (n, hub) in [0, 1, 0, 1].into_iter().enumerate() {
        assert_eq!(left(&hubs[hub]).await, format!("r={}", 9 - n));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_that_are_given_back_are_given_back_on_every_node() {
    let Some(redis) = redis_url("BELLHOP_TEST_REDIS") else { return };
    let settings = [("limits.enabled", "true"), ("limits.moves", "3"), ("limits.api", "4")];
    let hubs = hubs(2, Some(&redis), &settings).await;
    let (operator, zoe) = (hubs[0].operator("Ops").await, hubs[0].person("customer", "Zoe").await);
    assert_eq!(passed(&hubs, &zoe, 12).await, 4);
    operator.delete(&hubs[0], "/admin/rate-limits").await.expect(204);
    assert_eq!(passed(&hubs[..1], &zoe, 1).await, 1);
    meet(&hubs).await;
    assert_eq!(passed(&hubs[1..], &zoe, 12).await, 3, "the other node knows, and counts with the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_node_allows_the_number_and_of_sign_ins_its_share() {
    let settings = [("limits.enabled", "true"), ("limits.auth", "40"), ("limits.api", "20")];
    let hubs = hubs(4, None, &settings).await;
    let zoe = hubs[0].person("customer", "Zoe").await;
    assert_eq!(passed(&hubs, &zoe, 120).await, 80, "each its own");
    let sign_in = |hub: &TestApp| hub.http.post(hub.url("/api/v1/auth/login")).json(&json!({}));
    let all = statuses((0..25).map(|_| sign_in(&hubs[3]))).await;
    assert_eq!(all.iter().filter(|status| **status == 422).count(), 10, "{all:?}");
    let ops = hubs[1].operator("Ops").await;
    let asked = (0..20).map(|_| ops.request(&hubs[2], Method::GET, "/admin/nodes"));
    let all = statuses(asked).await;
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 5, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_as_many_sockets_on_all_nodes_together_as_they_may() {
    let Some(redis) = redis_url("BELLHOP_TEST_REDIS") else { return };
    let hubs = hubs(2, Some(&redis), &[("sessions.max_per_user", "3")]).await;
    let (owner, other) = (hubs[0].person("merchant", "Olga").await, hubs[0].person("merchant", "Paul").await);
    let (business, of_other) = (owner.business(&hubs[0]).await, other.business(&hubs[0]).await);
    let path = format!("/ws/notifications/{business}");
    let first = Device::open(&hubs[0], &owner, &path).await;
    let _second = Device::open(&hubs[0], &owner, &path).await;
    let _third = Device::open(&hubs[1], &owner, &path).await;
    for hub in &hubs {
        refused_in_the_end(hub, &owner, &path).await;
    }
    let _others = Device::open(&hubs[1], &other, &format!("/ws/notifications/{of_other}")).await;
    first.close().await;
    let again = async {
        while Device::try_dial(&hubs[1], &owner.token, &path).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("its place is free on the other node");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_redis_is_away_goes_on_by_itself() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("redis://{}/", listener.local_addr().unwrap());
    drop(listener);
    let settings = [("limits.enabled", "true"), ("limits.api", "5"), ("redis.url", &*nowhere)];
    let hub = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let zoe = hub.person("customer", "Zoe").await;
    let hubs = [hub];
    assert_eq!(passed(&hubs, &zoe, 9).await, 5);
    let _: Value = zoe.get(&hubs[0], "/auth/me").await.expect_problem(429, "too_many_requests");
}
