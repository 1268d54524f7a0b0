//! `bellhop payments simulate`: an operator plays the provider beside a hub that runs.

use serde_json::json;

use super::{Shop, text};
use crate::support::StoreKind;

crate::on_both_stores!(the_command_tells_a_hub_what_became_of_a_payment, a_real_provider_is_not_played);

async fn the_command_tells_a_hub_what_became_of_a_payment(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let port = shop.app.address.port().to_string();
    let simulate = async |result: &str, order: &serde_json::Value| {
        let line = ["payments", "simulate", result, text(&order["id"]), "--port", &port];
        shop.app.bellhop(&line).await
    };
    let (order, first) = shop.open_payment().await;
    let (done, said) = simulate("failed", &order).await;
    assert!(done && said.contains(text(&first["payment_id"])), "{said}");
    shop.letters(0).await;
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
    while shop.initiate(&order).await.status != 201 {
        looks.tick().await;
    }
    let (done, said) = simulate("success", &order).await;
    assert!(done, "{said}");
    shop.until(&order, |order| order["status"] == "placed").await;
    let (done, said) = simulate("refunded", &order).await;
    assert!(done, "{said}");
    let booked = shop.refunds("succeeded", 1).await;
    assert_eq!(booked[0]["cause"], "outside");
    let unpaid = shop.customer.order(&shop.app, &shop.business).await;
    let (done, said) = simulate("success", &unpaid).await;
    assert!(!done && said.contains("no payment of"), "{said}");
    let (done, _) = simulate("paid", &order).await;
    assert!(!done);
}

async fn a_real_provider_is_not_played(kind: StoreKind) {
    let mut shop = Shop::open(kind).await;
    let (order, _) = shop.open_payment().await;
    shop.app.set("payments.provider", "none");
    let line = ["payments", "simulate", "success", text(&order["id"])];
    let (done, said) = shop.app.bellhop(&line).await;
    assert!(!done && said.contains("payments.provider is none"), "{said}");
    assert_eq!(
        shop.read(&order).await["payment"],
        json!({"method": "online", "status": "pending", "version": 1})
    );
}
