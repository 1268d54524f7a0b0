//! Killed at every step around payments, messages and refunds: one capture, one refund, none missing.

use bellhop::fail_point::STEPS;
use serde_json::{Value, json};

use crate::evening::Evening;
use crate::support::{Call, CallFault, StoreKind, crash_repeats};

crate::on_both_stores!(
    killed_at_any_step_of_a_paid_order_that_is_refused_money_moves_once_each_way,
    killed_while_it_asks_what_became_of_a_payment_an_order_that_was_paid_is_placed,
);

/// The steps of the question what became of a payment that nobody has told of, or all others: those of an order which is paid, told of,
/// refused and refunded.
fn steps(of_question: bool) -> impl Iterator<Item = &'static str> {
    STEPS.iter().copied().filter(move |step| step.starts_with("void_") == of_question)
}

fn is_refunded(order: &Value) -> bool {
    order["status"] == "rejected" && order["payment"]["status"] == "refunded"
}

/// From the moment an order is placed on: the business refuses it, and the money goes back.
async fn refused_and_refunded(evening: &mut Evening, order: &Value, payment: &str, case: &str) {
    let placed = evening.until(order, "placed", |order| order["status"] == "placed").await;
    evening.reject(&placed).await;
    evening.until(order, "refunded", is_refunded).await;
    // The last step lies behind the last change.
    evening.hub.until_dead(case).await;
    evening.expect_once(order, payment, case).await;
}

async fn killed_at_any_step_of_a_paid_order_that_is_refused_money_moves_once_each_way(kind: StoreKind) {
    let mut evening = Evening::begin(kind, &[]).await;
    for repeat in 0..crash_repeats() {
        for step in steps(false) {
            let case = format!("{step}, time {repeat}");
            evening.hub.die_at(step).await;
            if step == "refund_asked" {
                // Only a refund whose answer was lost is asked about.
                evening.provider.fail_next(Call::Refund, &[CallFault::LoseAnswer]);
            }
            let order = evening.order().await;
            let payment = evening.initiate(&order).await;
            assert!(evening.provider.pay(&payment), "{case}: it is open at the provider");
            evening.tell(&order, &payment, "SUCCESS").await;
            evening.tell(&order, &payment, "SUCCESS").await;
            refused_and_refunded(&mut evening, &order, &payment, &case).await;
        }
    }
}

async fn killed_while_it_asks_what_became_of_a_payment_an_order_that_was_paid_is_placed(kind: StoreKind) {
    let mut evening = Evening::begin(kind, &[("payments.unpaid_s", "4")]).await;
    for repeat in 0..crash_repeats() {
        for step in steps(true) {
            let case = format!("{step}, time {repeat}");
            evening.hub.die_at(step).await;
            let order = evening.order().await;
            let payment = evening.initiate(&order).await;
            assert!(evening.provider.pay(&payment), "{case}: it is open at the provider");
            refused_and_refunded(&mut evening, &order, &payment, &case).await;
            assert_eq!(order["payment"]["method"], json!("online"));
        }
    }
}
