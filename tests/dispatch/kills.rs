//! Killed between the offer, the answer, the commit and its announcement: one driver has each order, and every order finds its way.

use bellhop::fail_point::DISPATCH_STEPS;

use crate::night::Night;
use crate::support::{StoreKind, crash_repeats};

crate::on_both_stores!(killed_at_any_step_of_a_search_an_order_is_with_one_driver_within_a_deadline,);

async fn killed_at_any_step_of_a_search_an_order_is_with_one_driver_within_a_deadline(kind: StoreKind) {
    let mut night = Night::begin(kind, 2).await;
    for repeat in 0..crash_repeats() {
        for step in DISPATCH_STEPS {
            let case = format!("{step}, time {repeat}");
            night.hub.die_at(step).await;
            let order = night.accepted_order().await;
            let driver = night.until_assigned(&order, &case).await;
            night.hub.until_dead(&case).await;
            night.expect_consistent(&order, &case).await;
            assert_eq!(night.events("delivery_updated", "assigned", &order).await, 1, "{case}: told once");
            night.deliver(&order, driver).await;
        }
    }
}
