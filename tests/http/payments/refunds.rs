//! Money that goes back: what people demand, what fails, and what the provider does by itself.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Shop, items, text};
use crate::support::{Answer, StoreKind};
use crate::{fields, header};

crate::on_both_stores!(
    several_refunds_of_one_payment_never_exceed_what_was_paid,
    operators_give_money_back_and_owners_where_the_settings_say_so,
    a_key_makes_one_refund,
    money_goes_back_for_fourteen_days_after_the_end,
    a_refund_that_does_not_arrive_is_sent_again,
    a_refund_that_does_not_arrive_is_given_by_hand,
    money_that_went_back_by_itself_is_booked_and_the_rest_is_sent,
    nothing_goes_back_of_an_order_that_nobody_paid,
    the_timeline_tells_of_payments_and_refunds,
);

impl Shop {
    /// An order that is paid and given back, its payment, and the id of the refund.
    async fn given_back(&self) -> (Value, Value, String) {
        let (order, payment) = self.paid().await;
        self.demand(&order, json!({"reason": "Cold"})).await.expect(201);
        let done = self.refunds("succeeded", 1).await;
        (order, payment, text(&done[0]["id"]).to_owned())
    }

    async fn demand(&self, order: &Value, body: Value) -> Answer {
        self.operator.post(&self.app, &format!("/orders/{}/refunds", text(&order["id"])), &body).await
    }
}

async fn several_refunds_of_one_payment_never_exceed_what_was_paid(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.paid().await;
    let part = shop.demand(&order, json!({"amount_minor": 100, "reason": "The drink was missing"})).await;
    let part = part.expect(201).json();
    assert_eq!((&part["amount_minor"], &part["payment_id"]), (&json!(100), &payment["payment_id"]));
    assert_eq!((&part["cause"], &part["reason"]), (&json!("demanded"), &json!("The drink was missing")));
    let too_much = json!({"amount_minor": 151, "reason": "All"});
    let refused = shop.demand(&order, too_much).await.expect_problem(409, "refund_too_large");
    assert_eq!(refused["left_minor"], 150);
    shop.demand(&order, json!({"reason": "The rest"})).await.expect(201);
    let refunds = shop.refunds("succeeded", 2).await;
    let amounts: Vec<i64> = refunds.iter().map(|refund| refund["amount_minor"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [150, 100], "newest first");
    let all_back = shop.until(&order, |order| order["payment"]["status"] == "refunded").await;
    assert_eq!(all_back["status"], "placed", "in every status");
    let refused = shop.demand(&order, json!({"reason": "More"})).await;
    assert_eq!(refused.expect_problem(409, "refund_too_large")["left_minor"], 0);
    for (wrong, named) in [
        (json!({}), "reason"),
        (json!({"reason": ""}), "reason"),
        (json!({"reason": "x", "amount_minor": 0}), "amount_minor"),
        (json!({"reason": "x", "amount_minor": -1}), "amount_minor"),
        (json!({"reason": "x", "reference": "y"}), "reference"),
        (json!({"method": "online"}), "method"),
    ] {
        let refused = shop.demand(&order, wrong.clone()).await.expect_problem(422, "invalid");
        assert_eq!(fields(&refused), [named], "{wrong}");
    }
    assert_eq!(shop.kept().await, 0);
}

async fn operators_give_money_back_and_owners_where_the_settings_say_so(kind: StoreKind) {
    let mut shop = Shop::open(kind).await;
    let (order, _) = shop.paid().await;
    let staff = shop.app.person("merchant", "Sam").await;
    shop.owner.take_in(&shop.app, &shop.business, &staff).await;
    let stranger = shop.app.person("merchant", "Otto").await;
    let path = format!("/orders/{}/refunds", text(&order["id"]));
    let body = json!({"amount_minor": 10, "reason": "Cold"});
    for who in [&shop.owner, &staff, &shop.customer] {
        who.post(&shop.app, &path, &body).await.expect_problem(403, "forbidden");
    }
    stranger.post(&shop.app, &path, &body).await.expect_problem(404, "not_found");
    shop.app.set("payments.owner_refunds", "true");
    shop.app.restart().await;
    shop.owner.post(&shop.app, &path, &body).await.expect(201);
    staff.post(&shop.app, &path, &body).await.expect_problem(403, "forbidden");
}

async fn a_key_makes_one_refund(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, _) = shop.paid().await;
    let path = format!("/orders/{}/refunds", text(&order["id"]));
    let send = async |amount: i64| {
        let request = shop.operator.request(&shop.app, Method::POST, &path).header("idempotency-key", "r-1");
        Answer::of(request.json(&json!({"amount_minor": amount, "reason": "Cold"}))).await
    };
    let all = futures_util::future::join_all((0..10).map(|_| send(50))).await;
    let ids: Vec<Value> = all.iter().map(|answer| answer.clone().expect(201).json()["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(all.iter().filter(|answer| header(answer, "idempotency-replayed") == "true").count(), 9);
    send(60).await.expect_problem(422, "idempotency_mismatch");
    shop.refunds("succeeded", 1).await;
    // Given again, it is the refund as it is now.
    assert_eq!(send(50).await.expect(201).json()["state"], "succeeded");
    assert_eq!(shop.kept().await, 200);
}

async fn money_goes_back_for_fourteen_days_after_the_end(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, _) = shop.paid().await;
    for status in ["accepted", "ready", "delivered"] {
        shop.move_to(&order, status, None).await;
    }
    shop.app.be_away(Duration::from_secs(14 * 24 * 3600 - 60)).await;
    shop.demand(&order, json!({"amount_minor": 1, "reason": "Cold"})).await.expect(201);
    shop.app.be_away(Duration::from_secs(120)).await;
    let late = shop.demand(&order, json!({"amount_minor": 1, "reason": "Cold"})).await;
    late.expect_problem(409, "refund_too_late");
}

async fn a_refund_that_does_not_arrive_is_sent_again(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (_, payment, refund) = shop.given_back().await;
    let path = |verb: &str| format!("/admin/refunds/{refund}/{verb}");
    shop.operator.post(&shop.app, &path("retry"), &json!({})).await.expect_problem(409, "refund_not_now");
    // Days later the customer's bank sends it back.
    let bounced = json!({"status": "REFUND_FAILED", "refund_id": refund, "event_id": "bounced-1"});
    shop.tell(&payment, bounced).await.expect(200);
    let failed = shop.refunds("failed", 1).await;
    assert_eq!((&failed[0]["id"], &failed[0]["paid_by"]), (&json!(refund), &json!("online")));
    assert_eq!(shop.kept().await, 250);
    let list = shop.operator.get(&shop.app, "/admin/refunds").await.expect(200).json();
    assert_eq!(items(&list).len(), 1, "what has not succeeded is listed");
    let again = shop.operator.post(&shop.app, &path("retry"), &json!({})).await.expect(200).json();
    assert_eq!(again["id"], json!(refund));
    shop.refunds("succeeded", 1).await;
    assert_eq!(shop.kept().await, 0);

    // It may be about the attempt before: the provider is asked, and says that it is done.
    let bounced = json!({"status": "REFUND_FAILED", "refund_id": refund, "event_id": "bounced-2"});
    shop.tell(&payment, bounced).await.expect(200);
    shop.all_messages_done().await;
    shop.refunds("succeeded", 1).await;
    assert_eq!(shop.kept().await, 0);
}

async fn a_refund_that_does_not_arrive_is_given_by_hand(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment, refund) = shop.given_back().await;
    let path = |verb: &str| format!("/admin/refunds/{refund}/{verb}");
    let bounced = json!({"status": "REFUND_FAILED", "refund_id": refund, "event_id": "bounced"});
    shop.tell(&payment, bounced).await.expect(200);
    shop.refunds("failed", 1).await;
    let by_hand = json!({"method": "transfer"});
    let refused = shop.operator.post(&shop.app, &path("settle"), &by_hand).await;
    assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["reference"]);
    let by_hand = json!({"method": "transfer", "reference": "SEPA 42"});
    let settled = shop.operator.post(&shop.app, &path("settle"), &by_hand).await.expect(200).json();
    assert_eq!((&settled["state"], &settled["method"]), (&json!("succeeded"), &json!("transfer")));
    shop.operator.post(&shop.app, &path("settle"), &by_hand).await.expect_problem(409, "refund_not_now");
    let list = shop.operator.get(&shop.app, "/admin/refunds").await.expect(200).json();
    assert!(items(&list).is_empty(), "{list}");
    assert_eq!(shop.kept().await, 0);
    assert_eq!(shop.read(&order).await["payment"]["status"], "refunded");
}

async fn money_that_went_back_by_itself_is_booked_and_the_rest_is_sent(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.paid().await;
    // Somebody gives a part back in the provider's own console.
    let outside = json!({"status": "REFUNDED", "amount_minor": 100, "event_id": "chargeback"});
    shop.tell(&payment, outside).await.expect(200);
    let booked = shop.refunds("succeeded", 1).await;
    assert_eq!((&booked[0]["cause"], &booked[0]["amount_minor"]), (&json!("outside"), &json!(100)));
    let now = shop.read(&order).await;
    assert_eq!((&now["status"], &now["payment"]["status"]), (&json!("placed"), &json!("paid")));
    shop.move_to(&order, "rejected", None).await;
    let all = shop.refunds("succeeded", 2).await;
    assert_eq!((&all[0]["cause"], &all[0]["amount_minor"]), (&json!("automatic"), &json!(150)));
    assert_eq!(shop.kept().await, 0);
}

async fn nothing_goes_back_of_an_order_that_nobody_paid(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let order = shop.customer.order(&shop.app, &shop.business).await;
    shop.demand(&order, json!({"reason": "Cold"})).await.expect_problem(409, "nothing_paid");
    let (open, _) = shop.open_payment().await;
    shop.demand(&open, json!({"reason": "Cold"})).await.expect_problem(409, "nothing_paid");
    let absent = json!({"id": bellhop::domain::ids::OrderId::generate()});
    shop.demand(&absent, json!({"reason": "Cold"})).await.expect_problem(404, "not_found");
}

async fn the_timeline_tells_of_payments_and_refunds(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, _) = shop.paid().await;
    shop.demand(&order, json!({"amount_minor": 50, "reason": "Cold"})).await.expect(201);
    shop.refunds("succeeded", 1).await;
    let path = format!("/orders/{}/timeline", text(&order["id"]));
    let kinds = async |who| {
        let person: &crate::support::Person = who;
        let timeline = person.get(&shop.app, &path).await.expect(200).json();
        let items = items(&timeline).iter().map(|item| text(&item["kind"]).to_owned());
        items.collect::<Vec<_>>()
    };
    for (who, messages) in [(&shop.customer, false), (&shop.owner, true), (&shop.operator, true)] {
        let kinds = kinds(who).await;
        let has = |kind: &str| kinds.iter().any(|known| known == kind);
        assert!(has("payment") && has("refund"), "{kinds:?}");
        assert_eq!(has("message"), messages, "{kinds:?}");
    }
}
