//! Nodes that know each other, and the jobs they share.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Device, Person, StoreKind, TestApp};

async fn two_hubs() -> [TestApp; 2] {
    let one = TestApp::start(StoreKind::Postgres).await;
    let other = one.start_another().await;
    for hub in [&one, &other, &one] {
        hub.renew_leases().await;
    }
    [one, other]
}

async fn items(hub: &TestApp, ops: &Person, path: &str) -> Vec<Value> {
    ops.get(hub, path).await.expect(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_every_node_wherever_they_ask_and_those_that_have_gone() {
    let [one, mut other] = two_hubs().await;
    let ops = one.operator("Ops").await;
    let of_one = items(&one, &ops, "/admin/nodes").await;
    let of_other = items(&other, &ops, "/admin/nodes").await;
    assert_eq!(of_one.len(), 2);
    for (here, there) in of_one.iter().zip(&of_other) {
        assert_eq!((&here["id"], &here["state"]), (&there["id"], &json!("ready")));
        assert_ne!(here["answers"], there["answers"], "each knows itself");
        assert_eq!(here["version"], env!("CARGO_PKG_VERSION"));
        assert!(here["schema_version"].as_i64().is_some_and(|schema| schema >= 16), "{here}");
    }
    tokio::task::block_in_place(|| other.stop());
    let left = items(&one, &ops, "/admin/nodes").await;
    let gone: Vec<&Value> = left.iter().filter(|node| node["state"] == "gone").collect();
    assert_eq!(gone.len(), 1, "{left:?}");
    assert_eq!(gone[0]["answers"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_on_one_node_and_every_node_shows_the_same() {
    let [one, other] = two_hubs().await;
    let ops = one.operator("Ops").await;
    let job = async |hub: &TestApp| {
        let jobs = items(hub, &ops, "/admin/jobs").await;
        jobs.into_iter().find(|job| job["name"] == "order_deadlines").unwrap()
    };
    let ran = async {
        loop {
            let job = job(&one).await;
            if job["last_run"].is_object() && job["running"] == false {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(30), ran).await.expect("it is due within seconds");
    assert_eq!(job(&other).await, seen);
    let nodes = items(&one, &ops, "/admin/nodes").await;
    assert!(nodes.iter().any(|node| node["id"] == seen["last_run"]["node"]), "{seen}");
    let times = one.numbers("SELECT fence FROM job_leases WHERE job = 'order_deadlines'").await;
    assert_eq!(times, [Some(1)], "the other node did not run it as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_whose_only_device_was_on_a_node_that_died_is_told_when_its_lease_runs_out() {
    let [one, _other] = two_hubs().await;
    let (ops, owner) = (one.operator("Ops").await, one.person("merchant", "Olga").await);
    let business = owner.business(&one).await;
    let mut screen = Device::of_business(&one, &owner, &business, None).await;
    // As a node leaves it that was killed: nobody takes it back.
    let until = Timestamp::now().plus(Duration::from_secs(10)).as_micros();
    let node = "nod_0190f3c1a2b37d4e8f00112233445566";
    one.execute(format!(
        "INSERT INTO nodes (node, version, schema_version, state, sockets, rooms, started_at, until) \
         VALUES ('{node}', '0', 1, 'ready', 1, 1, 0, {until})"
    ))
    .await;
    one.execute(format!(
        "INSERT INTO reach_leases (business_id, node, devices, until) VALUES ('{business}', '{node}', 2, {until})"
    ))
    .await;
    one.renew_leases().await;
    let room = ops.get(&one, &format!("/admin/rooms/business:{business}")).await.expect(200).json();
    assert_eq!(room["devices"], json!([{"node": node, "devices": 2}]));
    assert_eq!((&room["here"]["members"], &room["here"]["in_use"]), (&json!(1), &json!(true)));
    let told = async {
        loop {
            // Something is heard all the time, so that no single frame is waited for for long.
            screen.send(json!({"type": "ping"})).await;
            let frame = screen.next().await;
            if frame["event"]["type"] == "presence" {
                return frame["event"]["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(40), told).await.expect("it is told");
    assert_eq!((&told["reachable"], &told["devices"]), (&json!(false), &json!(0)));
    assert!(Timestamp::now().as_micros() >= until, "not before");
    let room = ops.get(&one, &format!("/admin/rooms/business:{business}")).await.expect(200).json();
    assert_eq!(room["devices"], json!([]));
    ops.get(&one, "/admin/rooms/nothing").await.expect_problem(404, "not_found");
}
