//! Holds: operators stop what the hub does by itself, or new orders, for a time.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{StoreKind, TestApp, order_body};
use crate::{fields, header, with};

crate::on_both_stores!(
    a_hold_stops_new_orders_in_its_scope_and_ends_when_it_is_lifted,
    an_order_that_was_placed_before_a_hold_is_answered_again_during_it,
    a_business_neither_leaves_nor_enters_a_held_zone_by_its_own_hand,
    a_hold_ends_by_itself_and_names_its_reason,
    every_hold_and_its_end_is_in_the_audit,
);

fn hold(scope: &str, seconds: u64) -> Value {
    let until = Timestamp::now().plus(Duration::from_secs(seconds)).to_rfc3339();
    json!({"what": "new_orders", "scope": scope, "until": until, "reason": "the payment provider is down"})
}

async fn a_hold_stops_new_orders_in_its_scope_and_ends_when_it_is_lifted(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Ada").await;
    let (business, other) = (owner.business(&app).await, owner.business(&app).await);
    // Both businesses are in the zone `lisbon`.
    for (scope, held) in
        [(business.as_str(), [true, false]), ("zone:lisbon", [true, true]), ("all", [true, true])]
    {
        operator.put(&app, "/admin/holds", &hold(scope, 600)).await.expect(200);
        for (business, held) in [&business, &other].into_iter().zip(held) {
            let answer = customer.post(&app, "/orders", &order_body(business)).await;
            if held { drop(answer.expect_problem(409, "orders_held")) } else { drop(answer.expect(201)) }
        }
        let lifted = json!({"what": "new_orders", "scope": scope, "until": null, "reason": "it is back"});
        operator.put(&app, "/admin/holds", &lifted).await.expect(200);
        customer.order(&app, &business).await;
    }
    operator.put(&app, "/admin/holds", &hold("zone:porto", 600)).await.expect(200);
    customer.order(&app, &business).await;
}

async fn an_order_that_was_placed_before_a_hold_is_answered_again_during_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Ada").await;
    let business = owner.business(&app).await;
    let keyed = with(order_body(&business), json!({"client_token": "k"}));
    let first = customer.post(&app, "/orders", &keyed).await.expect(201);
    operator.put(&app, "/admin/holds", &hold("all", 600)).await.expect(200);
    let again = customer.post(&app, "/orders", &keyed).await.expect(201);
    assert_eq!((again.text.as_str(), header(&again, "idempotency-replayed")), (first.text.as_str(), "true"));
    let other = with(keyed, json!({"notes": "more"}));
    customer.post(&app, "/orders", &other).await.expect_problem(422, "idempotency_mismatch");
    let new = with(order_body(&business), json!({"client_token": "new"}));
    customer.post(&app, "/orders", &new).await.expect_problem(409, "orders_held");
}

async fn a_business_neither_leaves_nor_enters_a_held_zone_by_its_own_hand(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let operator = app.operator("Ada").await;
    let path = format!("/businesses/{}", owner.business(&app).await);
    let to = |zone: &str| json!({"zone": zone});
    // The business is in the zone `lisbon`.
    for (held, wanted) in [("zone:lisbon", "porto"), ("zone:porto", "porto")] {
        operator.put(&app, "/admin/holds", &hold(held, 600)).await.expect(200);
        owner.patch(&app, &path, &to(wanted)).await.expect_problem(409, "zone_held");
        assert_eq!(owner.get(&app, &path).await.expect(200).json()["zone"], "lisbon");
        owner.patch(&app, &path, &to("lisbon")).await.expect(200);
        let lifted = json!({"what": "new_orders", "scope": held, "until": null, "reason": "it is back"});
        operator.put(&app, "/admin/holds", &lifted).await.expect(200);
    }
    operator.put(&app, "/admin/holds", &hold("zone:lisbon", 600)).await.expect(200);
    operator.patch(&app, &path, &to("porto")).await.expect(200);
    owner.patch(&app, &path, &to("faro")).await.expect(200);
}

async fn a_hold_ends_by_itself_and_names_its_reason(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let operator = app.operator("Ada").await;
    operator.put(&app, "/admin/holds", &hold("all", 600)).await.expect(200);
    let listed = operator.get(&app, "/admin/holds").await.expect(200).json();
    let listed = &listed["items"][0];
    assert_eq!((&listed["what"], &listed["scope"]), (&json!("new_orders"), &json!("all")));
    assert_eq!(listed["reason"], "the payment provider is down");
    assert_eq!(listed["set_by"], operator.id);
    for (wrong, field) in [
        (json!({"until": "2020-01-01T00:00:00Z"}), "until"),
        (json!({"until": Timestamp::now().plus(Duration::from_secs(86_400 * 31)).to_rfc3339()}), "until"),
        (json!({"scope": "everywhere"}), "scope"),
        (json!({"scope": "zone:"}), "scope"),
        (json!({"what": "everything"}), "what"),
        (json!({"reason": " "}), "reason"),
    ] {
        let wrong = with(hold("all", 600), wrong);
        let refused = operator.put(&app, "/admin/holds", &wrong).await.expect_problem(422, "invalid");
        assert_eq!(fields(&refused), [field], "{wrong}");
    }
}

async fn every_hold_and_its_end_is_in_the_audit(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let operator = app.operator("Ada").await;
    operator.put(&app, "/admin/holds", &hold("all", 600)).await.expect(200);
    let lifted = json!({"what": "new_orders", "scope": "all", "until": null, "reason": "it is back"});
    operator.put(&app, "/admin/holds", &lifted).await.expect(200);
    assert_eq!(operator.get(&app, "/admin/holds").await.expect(200).json()["items"], json!([]));
    for action in ["hold.set", "hold.lifted"] {
        let audited = format!("SELECT count(*) FROM audit WHERE action = '{action}' AND target = 'all'");
        assert_eq!(app.numbers(&audited).await, [Some(1)], "{action}");
    }
}
