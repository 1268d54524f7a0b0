//! Which end of an order gives the money back, and payments that come when the business takes orders no more.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use serde_json::json;

use super::{Shop, text};
use crate::history;
use crate::support::{Device, StoreKind};

crate::on_both_stores!(
    an_order_that_its_business_or_nobody_answers_gives_the_money_back,
    an_order_that_fails_gives_the_money_back_by_its_reason,
    a_payment_for_a_business_that_has_closed_goes_back_and_rings_nothing,
    a_payment_in_a_pause_by_hand_is_placed_where_a_device_can_ring,
    what_the_provider_never_paid_is_nothing_to_give_back,
);

async fn an_order_that_its_business_or_nobody_answers_gives_the_money_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (rejected, _) = shop.paid().await;
    let answer = shop.move_to(&rejected, "rejected", Some("No soup")).await;
    assert_eq!(answer["payment"]["status"], "refund_due");
    let (cancelled, _) = shop.paid().await;
    shop.move_to(&cancelled, "accepted", None).await;
    shop.move_to(&cancelled, "cancelled", Some("The oven broke")).await;
    let (unanswered, _) = shop.paid().await;
    shop.app.advance(Duration::from_secs(15 * 60)).await;
    assert_eq!(shop.read(&unanswered).await["ended_reason"]["code"], "unanswered");
    shop.refunds("succeeded", 3).await;
    for order in [&rejected, &cancelled, &unanswered] {
        shop.until(order, |order| order["payment"]["status"] == "refunded").await;
    }
    assert_eq!(shop.kept().await, 0);
}

async fn an_order_that_fails_gives_the_money_back_by_its_reason(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (kept, _) = shop.paid().await;
    for status in ["accepted", "ready"] {
        shop.move_to(&kept, status, None).await;
    }
    shop.app.advance(Duration::from_secs(3600)).await;
    let failed = shop.move_to(&kept, "failed", Some("no_show")).await;
    assert_eq!((&failed["status"], &failed["payment"]["status"]), (&json!("failed"), &json!("paid")));
    assert_eq!(shop.kept().await, 250, "an operator decides");
    let path = format!("/orders/{}/refunds", text(&kept["id"]));
    shop.operator.post(&shop.app, &path, &json!({"reason": "They had called"})).await.expect(201);
    shop.until(&kept, |order| order["payment"]["status"] == "refunded").await;
    assert_eq!(shop.kept().await, 0);
}

async fn a_payment_for_a_business_that_has_closed_goes_back_and_rings_nothing(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let business = format!("/businesses/{}", shop.business);
    shop.owner.patch(&shop.app, &business, &json!({"state": "closed"})).await.expect(200);
    shop.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
    let ended = shop.until(&order, |order| order["payment"]["status"] == "refunded").await;
    assert_eq!(
        (&ended["status"], &ended["ended_reason"]["code"]),
        (&json!("cancelled"), &json!("business_closed"))
    );
    assert_eq!(shop.kept().await, 0);
    let told = history(&shop.app, &shop.owner, &format!("business:{}", shop.business)).await.text;
    assert!(told.contains("payment_refunded") && !told.contains("order_created"), "{told}");
    shop.app.advance(Duration::from_secs(20 * 60)).await;
    let stats = shop.owner.get(&shop.app, &format!("{business}/stats")).await.expect(200).json();
    assert_eq!(stats["unanswered_today"], json!(0), "it counts for nothing: {stats}");
}

async fn a_payment_in_a_pause_by_hand_is_placed_where_a_device_can_ring(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let business = format!("/businesses/{}", shop.business);
    let pause = json!({
        "state": "paused", "paused_until": Timestamp::now().plus(Duration::from_secs(3600)).to_rfc3339(),
    });
    let (placed, payment) = shop.open_payment().await;
    let mut owner = shop.owner.clone();
    owner.sign_in(&shop.app, Some("till-1")).await;
    let mut device = Device::of_business(&shop.app, &owner, &shop.business, None).await;
    device.send(json!({"type": "device", "id": "till-1", "can_ring": true})).await;
    device.settle().await;
    shop.app.renew_leases().await;
    shop.owner.patch(&shop.app, &business, &pause).await.expect(200);
    shop.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
    shop.until(&placed, |order| order["status"] == "placed").await;
    device.close().await;
    let operators = json!({"state": "paused"});
    let (order, payment) = {
        shop.owner.delete(&shop.app, &format!("{business}/pauses/manual")).await.expect(200);
        shop.open_payment().await
    };
    shop.operator.patch(&shop.app, &business, &operators).await.expect(200);
    shop.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
    let ended = shop.until(&order, |order| order["status"] == "cancelled").await;
    assert_eq!(ended["ended_reason"]["code"], "business_closed");
    shop.until(&order, |order| order["payment"]["status"] == "refunded").await;
}

async fn what_the_provider_never_paid_is_nothing_to_give_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let cash = shop.customer.order(&shop.app, &shop.business).await;
    shop.move_to(&cash, "rejected", None).await;
    assert_eq!(shop.read(&cash).await["payment"]["status"], "pending");
    assert_eq!(shop.app.numbers("SELECT COUNT(*) FROM refunds").await, [Some(0)]);
}
