//! Dead letters: messages that could not be worked on, and how they are worked on again.

use std::time::Duration;

use bellhop::domain::ids::{DeadLetterId, PaymentId};
use serde_json::{Value, json};

use super::{Shop, items, message, of, text};
use crate::support::{Answer, StoreKind, until};

crate::on_both_stores!(
    a_payment_of_too_little_or_of_another_currency_places_nothing,
    a_payment_of_too_much_places_the_order_and_the_rest_can_go_back,
    a_payment_of_another_order_is_a_dead_letter_and_a_security_event,
    a_message_of_an_unknown_payment_is_tried_three_times_more_and_can_be_replayed,
    all_dead_letters_are_replayed_at_once_and_pages_go_on,
    no_order_is_cancelled_as_unpaid_while_a_message_of_it_waits_for_an_operator,
);

async fn a_payment_of_too_little_or_of_another_currency_places_nothing(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let wrong = [
        json!({"status": "SUCCESS", "amount_minor": 249, "event_id": "1"}),
        json!({"status": "SUCCESS", "amount_minor": 250, "currency": "USD", "event_id": "2"}),
        json!({"status": "SUCCESS", "amount_minor": 0, "event_id": "3"}),
        json!({"status": "SUCCESS", "amount_minor": -250, "event_id": "4"}),
    ];
    for says in &wrong {
        shop.tell(&payment, says.clone()).await.expect(200);
    }
    for letter in shop.letters(4).await {
        assert_eq!(letter["reason"], "amount_mismatch", "{letter}");
        assert_eq!((&letter["order_id"], &letter["payment_id"]), (&order["id"], &payment["payment_id"]));
    }
    assert_eq!(shop.read(&order).await["status"], "pending_payment");
    let ops = shop.operator.get(&shop.app, "/rooms/ops/events").await.expect(200).json();
    let epoch = text(&ops["cursor"]).split_once('.').unwrap().0.to_owned();
    let told = shop.operator.get(&shop.app, &format!("/rooms/ops/events?cursor={epoch}.0")).await.expect(200);
    assert!(told.text.contains("PAYMENT_MISMATCH"), "{}", told.text);
    shop.tell(&payment, json!({"status": "SUCCESS", "event_id": "5"})).await.expect(200);
    shop.until(&order, |order| order["status"] == "placed").await;
}

async fn a_payment_of_too_much_places_the_order_and_the_rest_can_go_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    shop.tell(&payment, json!({"status": "SUCCESS", "amount_minor": 300})).await.expect(200);
    shop.until(&order, |order| order["status"] == "placed").await;
    assert_eq!(shop.kept().await, 300);
    let path = format!("/orders/{}/refunds", text(&order["id"]));
    let over = json!({"amount_minor": 50, "reason": "The tip was a slip"});
    shop.operator.post(&shop.app, &path, &over).await.expect(201);
    shop.refunds("succeeded", 1).await;
    shop.move_to(&order, "rejected", None).await;
    shop.refunds("succeeded", 2).await;
    assert_eq!(shop.kept().await, 0);
}

async fn a_payment_of_another_order_is_a_dead_letter_and_a_security_event(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (first, payment) = shop.open_payment().await;
    let (second, _) = shop.open_payment().await;
    let crossed = json!({"status": "SUCCESS", "order_id": second["id"]});
    shop.tell(&payment, crossed).await.expect(200);
    let letters = shop.letters(1).await;
    assert_eq!(letters[0]["reason"], "wrong_order");
    for order in [&first, &second] {
        assert_eq!(shop.read(order).await["status"], "pending_payment");
    }
    let counted = shop.app.metrics().security_events_total.with_label_values(&["payment_of_another_order"]);
    until("it is counted once", || counted.get() == 1).await;
}

async fn a_message_of_an_unknown_payment_is_tried_three_times_more_and_can_be_replayed(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let order = shop.order().await;
    let stray = json!({"payment_id": PaymentId::generate(), "order_id": order["id"], "status": "SUCCESS"});
    Answer::of(message(&shop.app, &stray)).await.expect(200);
    let mut steps = 0;
    loop {
        let list = shop.operator.get(&shop.app, "/admin/dead-letters").await.expect(200).json();
        if let [letter] = items(&list) {
            assert_eq!(letter["reason"], "unknown_payment");
            break;
        }
        steps += 1;
        assert!(steps < 200, "it is never given up");
        shop.app.advance(Duration::from_secs(1)).await;
    }
    let letter = shop.letters(1).await.remove(0);
    let path = format!("/admin/dead-letters/{}", text(&letter["id"]));
    let read = shop.operator.get(&shop.app, &path).await.expect(200).json();
    assert_eq!(serde_json::from_str::<Value>(text(&read["body"])).unwrap(), stray);
    let replayed = shop.operator.post(&shop.app, &format!("{path}/replay"), &json!({})).await;
    assert_eq!(replayed.expect(202).json()["replayed"], 1);
    let read = shop.operator.get(&shop.app, &path).await.expect(200).json();
    assert_eq!(read["replays"], 1);
    let absent = format!("/admin/dead-letters/{}", DeadLetterId::generate());
    shop.operator.get(&shop.app, &absent).await.expect_problem(404, "not_found");
    shop.operator
        .post(&shop.app, &format!("{absent}/replay"), &json!({}))
        .await
        .expect_problem(404, "not_found");
}

async fn all_dead_letters_are_replayed_at_once_and_pages_go_on(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    for event in 0..5 {
        let says = json!({"status": "SUCCESS", "amount_minor": 1, "event_id": event});
        shop.tell(&payment, says).await.expect(200);
    }
    shop.letters(5).await;
    let first = shop.operator.get(&shop.app, "/admin/dead-letters?limit=3").await.expect(200).json();
    assert_eq!((items(&first).len(), &first["has_more"]), (3, &json!(true)));
    let next = format!("/admin/dead-letters?limit=3&cursor={}", text(&first["next_cursor"]));
    let rest = shop.operator.get(&shop.app, &next).await.expect(200).json();
    assert_eq!((items(&rest).len(), &rest["has_more"]), (2, &json!(false)));
    // Once the order has ended, whatever was paid goes back, and nothing is too little.
    let path = format!("/orders/{}/status", text(&order["id"]));
    let cancel = json!({"status": "cancelled", "version": 1});
    shop.customer.patch(&shop.app, &path, &cancel).await.expect(200);
    let all = "/admin/dead-letters/replay";
    let replayed = shop.operator.post(&shop.app, all, &json!({"kind": "payment"})).await.expect(202);
    assert_eq!(replayed.json()["replayed"], 5);
    shop.letters(0).await;
    let refunds = shop.refunds("succeeded", 1).await;
    assert_eq!(refunds[0]["amount_minor"], 1);
    assert_eq!(shop.kept().await, 0);
    let none = shop.operator.post(&shop.app, all, &json!({})).await.expect(202);
    assert_eq!(none.json()["replayed"], 0);
    shop.operator.post(&shop.app, all, &json!({"kind": "mail"})).await.expect_problem(422, "invalid");
    shop.owner.post(&shop.app, all, &json!({})).await.expect_problem(403, "forbidden");
}

async fn no_order_is_cancelled_as_unpaid_while_a_message_of_it_waits_for_an_operator(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (order, payment) = shop.open_payment().await;
    let little = of(&payment, json!({"status": "SUCCESS", "amount_minor": 249}));
    Answer::of(message(&shop.app, &little)).await.expect(200);
    shop.letters(1).await;
    shop.app.advance(Duration::from_secs(40 * 60)).await;
    assert_eq!(shop.read(&order).await["status"], "pending_payment");
}
