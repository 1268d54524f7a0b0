//! Killed between the offer, the answer, the commit and its announcement: one driver has each order, and every order finds its way.

use bellhop::fail_point::DISPATCH_STEPS;

use crate::night::Night;
use crate::support::StoreKind;

crate::on_both_stores!(killed_at_any_step_of_a_search_an_order_is_with_one_driver_within_a_deadline,);

/// How often each step is the last one; `BELLHOP_CRASH_REPEATS` sets it.
fn repeats() -> usize {
    std::env::var("BELLHOP_CRASH_REPEATS").map_or(1, |text| text.parse().expect("a number"))
}

async fn killed_at_any_step_of_a_search_an_order_is_with_one_driver_within_a_deadline(kind: StoreKind) {
    let mut night = Night::begin(kind, 2).await;
    for repeat in 0..repeats() {
        for step in DISPATCH_STEPS {
            let case = format!("{step}, time {repeat}");
            night.die_at(step).await;
            let order = night.accepted_order().await;
            let driver = night.until_assigned(&order, &case).await;
            night.until_dead(&case).await;
            night.expect_consistent(&order, &case).await;
            assert_eq!(night.events("delivery_updated", "assigned", &order).await, 1, "{case}: told once");
            night.deliver(&order, driver).await;
        }
    }
}
