//! Time in which nobody could answer, and hubs that end and begin.

use serde_json::Value;

use crate::support::{Person, StoreKind, TestApp, until};
use crate::{guests, s, seen};

crate::on_both_stores!(
    after_ten_minutes_without_the_hub_nothing_is_cancelled_for_two_minutes,
    after_a_short_absence_everything_overdue_is_done,
    a_hub_that_starts_again_goes_on_with_the_deadlines_it_finds,
);

/// A business with fifty orders of ten guests: the merchant, the business, a guest and an order of theirs.
async fn fifty_orders(app: &TestApp) -> (Person, String, Person, Value) {
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(app).await;
    let guests = guests(app).await;
    for guest in guests.iter().cycle().take(49) {
        guest.order(app, &business).await;
    }
    let last = guests[9].clone();
    let order = last.order(app, &business).await;
    (merchant, business, last, order)
}

/// How many orders have a status: by one question, since the clocks of orders go on while it is answered.
async fn with_status(app: &TestApp, status: &str) -> Option<i64> {
    app.numbers(&format!("SELECT COUNT(*) FROM orders WHERE status = '{status}'")).await[0]
}

async fn after_ten_minutes_without_the_hub_nothing_is_cancelled_for_two_minutes(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, business, zoe, order) = fifty_orders(&app).await;
    app.be_away(s(600)).await;
    app.advance(s(100)).await;
    assert_eq!(with_status(&app, "placed").await, Some(50));
    merchant.move_order(&app, &order, "accepted").await;
    app.advance(s(25)).await;
    assert_eq!(seen(&app, &zoe, &order).await["status"], "accepted", "an answer in the grace wins");
    assert_eq!(with_status(&app, "cancelled").await, Some(49));
    zoe.order(&app, &business).await;
}

async fn after_a_short_absence_everything_overdue_is_done(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    fifty_orders(&app).await;
    app.advance(s(455)).await;
    assert_eq!(with_status(&app, "placed").await, Some(50));
    // Less than the minute that counts as an outage.
    app.be_away(s(45)).await;
    assert_eq!(with_status(&app, "cancelled").await, Some(50));
}

async fn a_hub_that_starts_again_goes_on_with_the_deadlines_it_finds(kind: StoreKind) {
    // Long enough that the hub which ends does not cancel it.
    let mut app = TestApp::start_with(kind, &[("alerts.accept_s", "8")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let zoe = app.person("customer", "Zoe").await;
    let order = zoe.order(&app, &business).await;
    app.restart().await;
    let mut looks = tokio::time::interval(s(1) / 20);
    let ended = async {
        while seen(&app, &zoe, &order).await["status"] != "cancelled" {
            looks.tick().await;
        }
    };
    tokio::time::timeout(s(20), ended).await.expect("its deadline is found");
    until("it is counted", || app.metrics().orders_unanswered_total.get() == 1).await;
}
