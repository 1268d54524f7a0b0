//! Businesses that do not answer.

use serde_json::json;

use crate::support::{Person, StoreKind, TestApp, order_body};
use crate::{s, seen};

crate::on_both_stores!(
    three_orders_in_a_row_without_an_answer_pause_the_business,
    an_answer_between_begins_the_count_anew,
    orders_of_one_customer_count_once,
);

/// An order of somebody new that runs out.
async fn run_out(app: &TestApp, business: &str, name: &str) -> Person {
    let customer = app.person("customer", name).await;
    let order = customer.order(app, business).await;
    app.advance(s(485)).await;
    assert_eq!(seen(app, &customer, &order).await["status"], "cancelled");
    customer
}

/// A hub whose orders ring rarely, which makes the time that a test moves go by faster.
async fn quiet_hub(kind: StoreKind) -> TestApp {
    TestApp::start_with(kind, &[("alerts.ring_every_s", "60")]).await
}

async fn three_orders_in_a_row_without_an_answer_pause_the_business(kind: StoreKind) {
    let app = quiet_hub(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    for name in ["Ana", "Ben"] {
        run_out(&app, &business, name).await;
    }
    let customer = run_out(&app, &business, "Cleo").await;
    let refused = customer.post(&app, "/orders", &order_body(&business)).await;
    refused.expect_problem(409, "business_paused");
    let paused = "SELECT COUNT(*) FROM businesses WHERE pauses LIKE '%unanswered%'";
    assert_eq!(app.numbers(paused).await, [Some(1)]);
    let recorded =
        "SELECT COUNT(*) FROM audit WHERE user_id IS NULL AND detail LIKE '%\"cause\":\"unanswered\"%'";
    assert_eq!(app.numbers(recorded).await, [Some(1)]);
    assert_eq!(app.metrics().orders_unanswered_total.get(), 3);
}

async fn an_answer_between_begins_the_count_anew(kind: StoreKind) {
    let app = quiet_hub(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    for name in ["Ana", "Ben"] {
        run_out(&app, &business, name).await;
    }
    let order = app.person("customer", "Dora").await.order(&app, &business).await;
    merchant.move_order(&app, &order, "rejected").await;
    for name in ["Cleo", "Eli"] {
        run_out(&app, &business, name).await;
    }
    app.person("customer", "Fay").await.order(&app, &business).await;
}

async fn orders_of_one_customer_count_once(kind: StoreKind) {
    let app = quiet_hub(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let zoe = app.person("customer", "Zoe").await;
    for _ in 0..4 {
        let order = zoe.order(&app, &business).await;
        app.advance(s(485)).await;
        assert_eq!(seen(&app, &zoe, &order).await["ended_reason"], json!({"code": "unanswered"}));
    }
    zoe.order(&app, &business).await;
}
