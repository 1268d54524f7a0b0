//! Orders that are paid online.

use std::time::Duration;

use bellhop::domain::ids::OrderId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Shop, text, wait_for};
use crate::support::{Answer, Device, StoreKind, order_body};
use crate::{header, history, with};

crate::on_both_stores!(
    an_order_is_placed_when_it_is_paid_and_rings_nobody_before,
    an_open_payment_is_answered_again_and_after_one_that_failed_another_begins,
    a_key_begins_one_payment_and_answers_with_it_again,
    only_who_placed_an_order_pays_it_and_only_one_that_waits,
    without_a_provider_nothing_is_paid_online,
    an_unpaid_order_is_cancelled_after_its_time_and_a_late_payment_goes_back,
    of_two_payments_one_goes_back,
    an_order_paid_by_terminal_and_online_gives_the_online_payment_back,
    what_a_person_records_places_the_order_and_is_given_back_by_hand,
    a_payment_changes_the_tag_of_an_order_and_no_move,
);

async fn an_order_is_placed_when_it_is_paid_and_rings_nobody_before(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let mut device = Device::of_business(&shop.app, &shop.owner, &shop.business, None).await;
    let (order, payment) = shop.open_payment().await;
    assert_eq!((&payment["amount_minor"], &payment["currency"]), (&json!(250), &json!("EUR")));
    assert!(text(&payment["redirect_url"]).contains(text(&payment["payment_id"])), "{payment}");
    device.settle().await;
    shop.tell(&payment, json!({"status": "SUCCESS", "amount_minor": 250, "currency": "EUR"}))
        .await
        .expect(200);
    let placed = shop.until(&order, |order| order["status"] == "placed").await;
    assert_eq!(placed["payment"]["status"], "paid");
    assert!(placed["placed_at"].is_string() && placed["deadline_at"].is_string(), "{placed}");
    let mut heard = [device.next_numbered().await, device.next_numbered().await]
        .map(|frame| text(&frame["event"]["type"]).to_owned());
    heard.sort();
    assert_eq!(heard, ["order_created", "payment_received"]);
    let room = history(&shop.app, &shop.customer, &format!("order:{}", text(&order["id"]))).await;
    assert!(
        room.text.contains("payment_received") && room.text.contains(text(&payment["payment_id"])),
        "{}",
        room.text
    );
    device.close().await;
}

async fn an_open_payment_is_answered_again_and_after_one_that_failed_another_begins(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, first) = shop.open_payment().await;
    assert_eq!(shop.initiate(&order).await.expect(200).json(), first);
    shop.tell(&first, json!({"status": "FAILED"})).await.expect(200);
    let second = loop {
        let again = shop.initiate(&order).await;
        if again.status == 201 {
            break again.json();
        }
        assert_eq!(again.json(), first, "the message is not worked on yet");
    };
    assert_ne!(second["payment_id"], first["payment_id"]);
    assert_eq!(shop.read(&order).await["status"], "pending_payment");
    // Lower news of a payment that is paid changes nothing.
    shop.tell(&second, json!({"status": "SUCCESS"})).await.expect(200);
    shop.until(&order, |order| order["status"] == "placed").await;
    shop.tell(&second, json!({"status": "FAILED"})).await.expect(200);
    shop.all_messages_done().await;
    assert_eq!(shop.read(&order).await["payment"]["status"], "paid");
    assert_eq!(shop.kept().await, 250);
}

async fn a_key_begins_one_payment_and_answers_with_it_again(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let order = shop.order().await;
    let send = async |order: &Value| {
        let request = shop.customer.request(&shop.app, Method::POST, "/payments/initiate");
        Answer::of(request.header("idempotency-key", "pay-1").json(&json!({"order_id": order["id"]}))).await
    };
    let all = futures_util::future::join_all((0..10).map(|_| send(&order))).await;
    let first = all[0].clone().expect(201).json();
    for answer in &all {
        assert_eq!(answer.clone().expect(201).json(), first);
    }
    assert_eq!(all.iter().filter(|answer| header(answer, "idempotency-replayed") == "true").count(), 9);
    shop.tell(&first, json!({"status": "FAILED"})).await.expect(200);
    wait_for(&shop.app, "SELECT COUNT(*) FROM payments WHERE state = 'failed'", 1).await;
    let again = send(&order).await.expect(201);
    assert_eq!((again.json(), header(&again, "idempotency-replayed")), (first, "true"), "it is no new wish");
    send(&shop.order().await).await.expect_problem(422, "idempotency_mismatch");
}

async fn only_who_placed_an_order_pays_it_and_only_one_that_waits(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let wish = json!({"order_id": order["id"]});
    let stranger = shop.app.person("customer", "Yan").await;
    for other in [&stranger, &shop.owner] {
        other.post(&shop.app, "/payments/initiate", &wish).await.expect_problem(404, "not_found");
    }
    shop.operator.post(&shop.app, "/payments/initiate", &wish).await.expect_problem(403, "forbidden");
    let absent = json!({"order_id": OrderId::generate()});
    shop.customer.post(&shop.app, "/payments/initiate", &absent).await.expect_problem(404, "not_found");
    shop.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
    shop.until(&order, |order| order["status"] == "placed").await;
    shop.initiate(&order).await.expect_problem(409, "already_paid");
    let cash = shop.customer.order(&shop.app, &shop.business).await;
    shop.initiate(&cash).await.expect_problem(409, "not_payable");
    let (cancelled, _) = shop.open_payment().await;
    let path = format!("/orders/{}/status", text(&cancelled["id"]));
    let cancel = json!({"status": "cancelled", "version": 1});
    shop.customer.patch(&shop.app, &path, &cancel).await.expect(200);
    shop.initiate(&cancelled).await.expect_problem(409, "not_payable");
}

async fn without_a_provider_nothing_is_paid_online(kind: StoreKind) {
    let mut shop = Shop::open(kind).await;
    let order = shop.order().await;
    shop.app.set("payments.provider", "none");
    shop.app.restart().await;
    shop.initiate(&order).await.expect_problem(422, "payment_unavailable");
    let online = with(order_body(&shop.business), json!({"payment": "online"}));
    shop.customer.post(&shop.app, "/orders", &online).await.expect_problem(422, "payment_unavailable");
    shop.customer.order(&shop.app, &shop.business).await;
}

async fn an_unpaid_order_is_cancelled_after_its_time_and_a_late_payment_goes_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let nobody_began = shop.order().await;
    shop.app.advance(Duration::from_secs(14 * 60)).await;
    assert_eq!(shop.read(&order).await["status"], "pending_payment");
    shop.app.advance(Duration::from_secs(120)).await;
    for order in [&order, &nobody_began] {
        let ended = shop.until(order, |order| order["status"] == "cancelled").await;
        assert_eq!(ended["ended_reason"]["code"], "unpaid", "{ended}");
    }
    shop.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
    let refunds = shop.refunds("succeeded", 1).await;
    assert_eq!((&refunds[0]["order_id"], &refunds[0]["amount_minor"]), (&order["id"], &json!(250)));
    assert_eq!(refunds[0]["cause"], "automatic");
    let ended = shop.until(&order, |order| order["payment"]["status"] == "refunded").await;
    assert_eq!(ended["status"], "cancelled", "an end stays");
    assert_eq!(shop.kept().await, 0);
}

async fn of_two_payments_one_goes_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, first) = shop.open_payment().await;
    shop.tell(&first, json!({"status": "FAILED"})).await.expect(200);
    wait_for(&shop.app, "SELECT COUNT(*) FROM payments WHERE state = 'failed'", 1).await;
    let second = shop.initiate(&order).await.expect(201).json();
    // Success counts whatever came before, and twice it is paid once.
    for payment in [&second, &first, &second, &first] {
        shop.tell(payment, json!({"status": "SUCCESS"})).await.expect(200);
    }
    let refunds = shop.refunds("succeeded", 1).await;
    assert_eq!(refunds[0]["amount_minor"], 250);
    let order = shop.until(&order, |order| order["status"] == "placed").await;
    assert_eq!(order["payment"]["status"], "paid");
    assert_eq!(shop.kept().await, 250);
}

async fn an_order_paid_by_terminal_and_online_gives_the_online_payment_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let path = format!("/orders/{}/payments", text(&order["id"]));
    shop.owner.post(&shop.app, &path, &json!({"method": "terminal"})).await.expect(201);
    shop.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
    let refunds = shop.refunds("succeeded", 1).await;
    assert_eq!(refunds[0]["payment_id"], payment["payment_id"]);
    let order = shop.read(&order).await;
    assert_eq!((&order["status"], &order["payment"]["status"]), (&json!("placed"), &json!("paid")));
    assert_eq!(shop.kept().await, 250);
}

async fn what_a_person_records_places_the_order_and_is_given_back_by_hand(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let order = shop.order().await;
    let path = format!("/orders/{}/payments", text(&order["id"]));
    let body = json!({"method": "transfer", "reference": "SEPA 17"});
    let record = async || {
        let request = shop.owner.request(&shop.app, Method::POST, &path);
        Answer::of(request.header("idempotency-key", "k").json(&body)).await.expect(201)
    };
    let first = record().await;
    assert_eq!(first.json()["method"], "transfer");
    let again = record().await;
    assert_eq!((again.text.as_str(), header(&again, "idempotency-replayed")), (first.text.as_str(), "true"));
    let placed = shop.until(&order, |order| order["status"] == "placed").await;
    assert_eq!(placed["payment"]["status"], "paid");
    shop.owner.post(&shop.app, &path, &body).await.expect_problem(409, "already_paid");
    let online = json!({"method": "online"});
    shop.owner.post(&shop.app, &path, &online).await.expect_problem(422, "invalid");
    shop.customer.post(&shop.app, &path, &body).await.expect_problem(403, "forbidden");

    let rejected = shop.move_to(&placed, "rejected", Some("No soup")).await;
    assert_eq!(rejected["payment"]["status"], "refund_due");
    let due = shop.refunds("due", 1).await;
    assert_eq!(
        (&due[0]["method"], due[0].get("due_at")),
        (&json!("transfer"), None),
        "nobody sends it: {due:?}"
    );
    let refund = format!("/orders/{}/refunds", text(&order["id"]));
    let by_hand = json!({"method": "cash", "reference": "till 3"});
    let given = shop.operator.post(&shop.app, &refund, &by_hand).await.expect(201).json();
    assert_eq!((&given["id"], &given["state"]), (&due[0]["id"], &json!("succeeded")));
    assert_eq!((&given["method"], &given["reference"]), (&json!("cash"), &json!("till 3")));
    assert_eq!(shop.read(&order).await["payment"]["status"], "refunded");
    shop.operator.post(&shop.app, &refund, &by_hand).await.expect_problem(409, "refund_too_large");
}

async fn a_payment_changes_the_tag_of_an_order_and_no_move(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (placed, payment) = shop.paid().await;
    let path = format!("/orders/{}", text(&placed["id"]));
    let before = shop.customer.get(&shop.app, &path).await.expect(200);
    let tag = header(&before, "etag").to_owned();
    let refunds = format!("{path}/refunds");
    shop.operator.post(&shop.app, &refunds, &json!({"reason": "Cold"})).await.expect(201);
    let after = shop.until(&placed, |order| order["payment"]["status"] == "refunded").await;
    assert_eq!(after["version"], before.json()["version"], "the order did not move");
    assert!(after["payment"]["version"].as_i64() > before.json()["payment"]["version"].as_i64());
    let read = shop.customer.request(&shop.app, Method::GET, &path).header("if-none-match", &tag);
    Answer::of(read).await.expect(200);
    // A tablet that saw the order before accepts it all the same.
    let accept =
        shop.owner.request(&shop.app, Method::PATCH, &format!("{path}/status")).header("if-match", &tag);
    Answer::of(accept.json(&json!({"status": "accepted"}))).await.expect(200);
    let room = history(&shop.app, &shop.owner, &format!("business:{}", shop.business)).await.json();
    let events: Vec<&Value> = items_of(&room, "payment_refunded");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["payment_id"], payment["payment_id"]);
    assert_eq!((&events[0]["amount_minor"], &events[0]["method"]), (&json!(250), &json!("online")));
    assert_eq!(events[0]["payment_version"], after["payment"]["version"]);
}

/// The data of the events of a type in a room's history.
fn items_of<'a>(history: &'a Value, kind: &str) -> Vec<&'a Value> {
    let events = history["events"].as_array().expect("a history has events");
    events
        .iter()
        .map(|told| &told["event"])
        .filter(|event| event["type"] == kind)
        .map(|event| &event["data"])
        .collect()
}
