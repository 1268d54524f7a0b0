//! Background jobs, statistics, and what is answered from memory.

use serde_json::json;

use crate::support::{StoreKind, TestApp};

crate::on_both_stores!(
    operators_see_every_job_and_nobody_else_does,
    statistics_follow_every_order_at_once,
    who_wrote_reads_what_they_wrote_while_others_fill_the_cache,
);

async fn operators_see_every_job_and_nobody_else_does(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    merchant.get(&app, "/admin/jobs").await.expect_problem(403, "forbidden");
    let admin = app.operator("Ops").await;
    let jobs = admin.get(&app, "/admin/jobs").await.expect(200).json();
    let names = crate::each(&jobs, "name");
    for name in ["expired_tickets", "expired_sessions", "idempotency_keys", "commands", "room_events"] {
        assert!(names.iter().any(|known| known == name), "{name} is missing from {names:?}");
    }
    for job in jobs["items"].as_array().unwrap() {
        assert!(job["at"].is_string() && job["period_s"].as_u64().is_some_and(|s| s > 0), "{job}");
    }
}

async fn statistics_follow_every_order_at_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Cleo").await);
    let business = merchant.business(&app).await;
    let path = format!("/businesses/{business}/stats");
    let stats = async || {
        let stats = merchant.get(&app, &path).await.expect(200).json();
        ["today_orders", "today_revenue_minor", "pending_orders"].map(|name| stats[name].as_i64().unwrap())
    };
    assert_eq!(stats().await, [0, 0, 0]);
    let first = customer.order(&app, &business).await;
    assert_eq!(stats().await, [1, 250, 1]);
    let second = customer.order(&app, &business).await;
    assert_eq!(stats().await, [2, 500, 2]);
    merchant.move_order(&app, &first, "accepted").await;
    assert_eq!(stats().await, [2, 500, 1]);
    merchant.move_order(&app, &second, "rejected").await;
    assert_eq!(stats().await, [2, 250, 0]);
    customer.get(&app, &path).await.expect_problem(403, "forbidden");
    let stranger = app.person("merchant", "Sam").await;
    stranger.get(&app, &path).await.expect_problem(404, "not_found");
}

async fn who_wrote_reads_what_they_wrote_while_others_fill_the_cache(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Cleo").await);
    let business = merchant.business(&app).await;
    let menu = format!("/businesses/{business}/menu");
    let (stop, stopped) = tokio::sync::watch::channel(());
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (app, customer, menu, stopped) =
                ((*app).clone(), customer.clone(), menu.clone(), stopped.clone());
            tokio::spawn(async move {
                while !stopped.has_changed().unwrap() {
                    customer.get(&app, &menu).await.expect(200);
                    customer.get(&app, "/orders").await.expect(200);
                }
            })
        })
        .collect();
    for round in 1..=15 {
        let price = json!({"price_minor": round});
        merchant.patch(&app, &format!("/businesses/{business}/menu/items/bread"), &price).await.expect(200);
        let items = customer.get(&app, &menu).await.expect(200).json();
        let bread =
            items["items"].as_array().unwrap().iter().find(|item| item["sku"] == "bread").unwrap().clone();
        assert_eq!(bread["price_minor"], round);

        let order = customer.order(&app, &business).await;
        for person in [&customer, &merchant] {
            let list = person.get(&app, "/orders").await.expect(200).json();
            assert_eq!(list["items"][0]["id"], order["id"], "the newest comes first");
            assert_eq!(list["total"], round);
        }
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        assert_eq!(customer.get(&app, &path).await.json()["status"], "placed");
        merchant.move_order(&app, &order, "accepted").await;
        assert_eq!(customer.get(&app, &path).await.json()["status"], "accepted");
        assert_eq!(customer.get(&app, "/orders").await.json()["items"][0]["status"], "accepted");
    }
    stop.send(()).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    let hits = app.metrics().cache_requests_total.with_label_values(&["orders", "hit"]).get();
    assert!(hits > 0, "lists come from memory");
}

#[tokio::test]
async fn upkeep_of_a_database_that_is_not_there_fails_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["epochs", "rotate"][..], &["keys", "rotate"], &["backup", "copy.sqlite"]] {
        let mut bellhop = std::process::Command::new(env!("CARGO_BIN_EXE_bellhop"));
        bellhop.env_clear().current_dir(folder.path()).args(["--data", "elsewhere"]).args(command);
        let ended = bellhop.output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{command:?}: {said}");
        let named = folder.path().join("elsewhere").join("bellhop.sqlite");
        assert!(said.contains(&format!("there is no database at {}", named.display())), "{said}");
        assert!(!named.exists() && !folder.path().join("copy.sqlite").exists(), "{command:?}");
    }
}
