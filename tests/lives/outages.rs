//! Time in which nobody could answer, and hubs that end and begin.

use serde_json::Value;

use crate::support::{Person, StoreKind, TestApp};
use crate::{s, seen};

crate::on_both_stores!(
    after_ten_minutes_without_the_hub_nothing_is_cancelled_for_two_minutes,
    after_a_short_absence_everything_overdue_is_done,
    a_hub_that_starts_again_goes_on_with_the_deadlines_it_finds,
);

async fn fifty_orders(app: &TestApp) -> (Person, String, Vec<(Person, Value)>) {
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(app).await;
    let mut orders = Vec::new();
    for n in 0..10 {
        let customer = app.person("customer", &format!("Guest{n}")).await;
        for _ in 0..5 {
            let order = customer.order(app, &business).await;
            orders.push((customer.clone(), order));
        }
    }
    (merchant, business, orders)
}

async fn with_status(app: &TestApp, orders: &[(Person, Value)], status: &str) -> usize {
    let mut count = 0;
    for (customer, order) in orders {
        count += usize::from(seen(app, customer, order).await["status"] == status);
    }
    count
}

async fn after_ten_minutes_without_the_hub_nothing_is_cancelled_for_two_minutes(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, business, orders) = fifty_orders(&app).await;
    app.be_away(s(600)).await;
    app.advance(s(115)).await;
    assert_eq!(with_status(&app, &orders, "placed").await, 50);
    let (zoe, order) = &orders[0];
    merchant.move_order(&app, order, "accepted").await;
    app.advance(s(10)).await;
    assert_eq!(seen(&app, zoe, order).await["status"], "accepted", "an answer in the grace wins");
    assert_eq!(with_status(&app, &orders, "cancelled").await, 49);
    zoe.order(&app, &business).await;
}

async fn after_a_short_absence_everything_overdue_is_done(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (_, _, orders) = fifty_orders(&app).await;
    app.advance(s(475)).await;
    assert_eq!(with_status(&app, &orders, "placed").await, 50);
    app.be_away(s(30)).await;
    assert_eq!(with_status(&app, &orders, "cancelled").await, 50);
}

async fn a_hub_that_starts_again_goes_on_with_the_deadlines_it_finds(kind: StoreKind) {
    let mut app = TestApp::start_with(kind, &[("alerts.accept_s", "2")]).await;
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
    assert_eq!(app.metrics().orders_unanswered_total.get(), 1);
}
