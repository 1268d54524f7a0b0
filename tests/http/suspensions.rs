//! Accounts and businesses that operators keep from the hub, and let in again.

use serde_json::json;

use crate::deliveries::{City, delivery_of, path_of};
use crate::support::{Device, PASSWORD, StoreKind, TestApp, order_body};
use crate::{anonymous, fields, login, payments};

crate::on_both_stores!(
    a_suspended_account_is_out_at_once_with_its_tokens_and_sockets_and_comes_back_when_it_is_restored,
    ending_all_sign_ins_of_an_account_leaves_the_account_open,
    a_sign_in_that_a_suspension_overtakes_stores_no_session,
    a_suspended_driver_loses_what_is_not_fetched_and_operators_are_told_of_the_rest,
    a_suspended_business_takes_no_orders_until_it_is_restored,
    every_suspension_and_its_end_is_in_the_audit,
);

async fn a_suspended_account_is_out_at_once_with_its_tokens_and_sockets_and_comes_back_when_it_is_restored(
    kind: StoreKind,
) {
    let app = TestApp::start(kind).await;
    let (mut owner, operator) = (app.person("merchant", "Olga").await, app.operator("Ada").await);
    let business = owner.business(&app).await;
    let staff = app.person("merchant", "Sam").await;
    owner.take_in(&app, &business, &staff).await;
    let mut lost = Device::of_business(&app, &owner, &business, None).await;
    let mut kept = Device::of_business(&app, &staff, &business, None).await;
    let ticket = owner.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let path = format!("/admin/users/{}", owner.id);
    for _ in 0..2 {
        let seen = operator.post(&app, &format!("{path}/suspend"), &json!({})).await.expect(200).json();
        assert_eq!((&seen["id"], &seen["suspended"]), (&json!(owner.id), &json!(true)), "{seen}");
    }
    assert_eq!(lost.closed().await.code, 4001);
    owner.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    let token = json!({"refresh_token": owner.refresh_token});
    anonymous(&app, "/auth/refresh", &token).await.expect_problem(401, "refresh_refused");
    let url = format!("/ws/notifications/{business}?ticket={}", ticket["ticket"].as_str().unwrap());
    let refused = Device::dial(&app, None, &url, &[]).await.err().expect("the ticket ended with the session");
    assert_eq!(refused.status(), 401);
    let with_password = login(&owner.email, PASSWORD);
    anonymous(&app, "/auth/login", &with_password).await.expect_problem(403, "account_suspended");
    let guessed = anonymous(&app, "/auth/login", &login(&owner.email, "a wrong password")).await;
    guessed.expect_problem(401, "bad_credentials");

    let seen = operator.post(&app, &format!("{path}/restore"), &json!({})).await.expect(200).json();
    assert_eq!(seen["suspended"], false, "{seen}");
    owner.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    anonymous(&app, "/auth/refresh", &token).await.expect_problem(401, "refresh_refused");
    owner.sign_in(&app, None).await;
    owner.get(&app, &format!("/businesses/{business}/stats")).await.expect(200);
    kept.settle().await;
    kept.close().await;
}

async fn ending_all_sign_ins_of_an_account_leaves_the_account_open(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut zoe, operator) = (app.person("customer", "Zoe").await, app.operator("Ada").await);
    let mut phone = zoe.clone();
    phone.sign_in(&app, Some("phone")).await;
    let yan = app.person("customer", "Yan").await;
    operator.delete(&app, &format!("/admin/users/{}/sessions", zoe.id)).await.expect(204);
    for ended in [&zoe, &phone] {
        ended.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    }
    yan.get(&app, "/orders").await.expect(200);
    operator.get(&app, "/orders").await.expect(200);
    zoe.sign_in(&app, None).await;
    let own = zoe.get(&app, "/auth/me").await.expect(200).json();
    assert_eq!(own["suspended"], false, "{own}");
}

/// The password was right a moment ago.
async fn a_sign_in_that_a_suspension_overtakes_stores_no_session(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (zoe, operator) = (app.person("customer", "Zoe").await, app.operator("Ada").await);
    let credentials = login(&zoe.email, PASSWORD);
    let path = format!("/admin/users/{}/suspend", zoe.id);
    let nothing = json!({});
    let suspended = operator.post(&app, &path, &nothing);
    let (again, suspended) = tokio::join!(anonymous(&app, "/auth/login", &credentials), suspended);
    suspended.expect(200);
    let live = format!("SELECT COUNT(*) FROM sessions WHERE user_id = '{}' AND ended_at IS NULL", zoe.id);
    assert_eq!(app.numbers(&live).await, [Some(0)], "whichever came first: {again:?}");
}

async fn a_suspended_driver_loses_what_is_not_fetched_and_operators_are_told_of_the_rest(kind: StoreKind) {
    let city = City::open(kind).await;
    city.driver.patch(&city.app, "/drivers/me", &json!({"capacity": 3})).await.expect(200);
    let (waiting, _) = city.carried().await;
    let (fetched, delivery) = city.carried().await;
    city.goes(&delivery, "picked_up").await;
    let asked = city.accepted().await;
    city.offer(&asked, &city.driver).await;
    let mut device = Device::open(&city.app, &city.driver, "/ws/driver").await;
    let path = format!("/admin/users/{}", city.driver.id);
    city.operator.post(&city.app, &format!("{path}/suspend"), &json!({})).await.expect(200);
    assert_eq!(device.closed().await.code, 4001);
    assert_eq!(city.app.numbers("SELECT COUNT(*) FROM offers WHERE state = 'open'").await, [Some(0)]);
    let is_free = |order: &serde_json::Value| order["delivery"].get("driver").is_none();
    payments::until(&city.app, &city.owner, &path_of(&waiting), is_free).await;
    let whole = format!("/rooms/ops/events?cursor={}", epoch_of_ops(&city).await);
    let is_told = |told: &serde_json::Value| {
        let number = &fetched["order_number"];
        told.to_string().contains(&format!("The driver of order #{} is silent", number.as_str().unwrap()))
    };
    payments::until(&city.app, &city.operator, &whole, is_told).await;
    let seen = city.read(&city.owner, &fetched).await;
    assert_eq!(seen["delivery"]["driver"]["id"], json!(city.driver.id), "nothing is taken by machine");
    let problem = city.assign(&delivery_of(&waiting), &city.driver).await.expect_problem(422, "invalid");
    assert_eq!(fields(&problem), ["driver_id"]);
    city.operator.post(&city.app, &format!("{path}/restore"), &json!({})).await.expect(200);
    let mut back = city.driver.clone();
    back.sign_in(&city.app, None).await;
    let profile = back.get(&city.app, "/drivers/me").await.expect(200).json();
    assert_eq!((&profile["online"], &profile["carries"]), (&json!(false), &json!(1)), "{profile}");
    city.step(&back, &delivery, json!({"step": "delivered"})).await.expect(200);
}

/// The beginning of the room of operators.
async fn epoch_of_ops(city: &City) -> String {
    let head = city.operator.get(&city.app, "/rooms/ops/events").await.expect(200).json();
    let (epoch, _) = head["cursor"].as_str().unwrap().split_once('.').unwrap();
    format!("{epoch}.0")
}

async fn a_suspended_business_takes_no_orders_until_it_is_restored(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Ada").await;
    let business = owner.business(&app).await;
    let before = customer.order(&app, &business).await;
    let path = format!("/admin/businesses/{business}");
    let seen = operator.post(&app, &format!("{path}/suspend"), &json!({})).await.expect(200).json();
    assert_eq!(seen["state"], "paused", "{seen}");
    customer.post(&app, "/orders", &order_body(&business)).await.expect_problem(409, "business_paused");
    owner.move_order(&app, &before, "accepted").await;
    let pause = format!("/businesses/{business}/pauses/operator");
    owner.delete(&app, &pause).await.expect_problem(403, "forbidden");
    owner.patch(&app, &format!("/businesses/{business}"), &json!({"state": "open"})).await.expect(200);
    customer.post(&app, "/orders", &order_body(&business)).await.expect_problem(409, "business_paused");
    let seen = operator.post(&app, &format!("{path}/restore"), &json!({})).await.expect(200).json();
    assert_eq!(seen["state"], "open", "{seen}");
    customer.order(&app, &business).await;
}

async fn every_suspension_and_its_end_is_in_the_audit(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (zoe, operator) = (app.person("customer", "Zoe").await, app.operator("Ada").await);
    let path = format!("/admin/users/{}", zoe.id);
    operator.post(&app, &format!("{path}/suspend"), &json!({})).await.expect(200);
    operator.post(&app, &format!("{path}/restore"), &json!({})).await.expect(200);
    operator.delete(&app, &format!("{path}/sessions")).await.expect(204);
    for action in ["user.suspended", "user.restored", "user.sessions_ended"] {
        let audited = format!(
            "SELECT COUNT(*) FROM audit WHERE action = '{action}' AND target = '{}' AND user_id = '{}'",
            zoe.id, operator.id
        );
        assert_eq!(app.numbers(&audited).await, [Some(1)], "{action}");
    }
    let own = format!("/admin/users/{}/suspend", operator.id);
    operator.post(&app, &own, &json!({})).await.expect_problem(403, "forbidden");
    operator.get(&app, "/admin/holds").await.expect(200);
}
