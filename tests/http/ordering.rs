//! What an evening asks of orders: prices that change, busy kitchens, deliveries of one's own, guests at tables, requests sent
//! twice.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Device, Person, StoreKind, TestApp, order_body};
use crate::{each, fields, header, with};

crate::on_both_stores!(
    a_price_that_changed_is_told_and_nothing_is_ordered,
    a_busy_business_needs_longer_and_a_promise_is_kept_as_it_was_made,
    a_business_brings_its_own_deliveries_to_their_end,
    drivers_bring_what_is_theirs_and_members_do_not,
    a_kitchen_reads_nothing_more_to_print_an_order,
    only_where_there_are_tables_a_guest_names_one,
    what_staff_enter_is_the_staffs_and_does_not_carry_their_name,
    the_contact_of_a_business_is_for_its_members,
    a_request_that_makes_something_is_answered_once_for_its_key,
    the_timeline_says_who_had_an_order_on_which_device,
    a_filter_without_a_value_is_refused_whichever_it_is,
);

async fn change(app: &TestApp, who: &Person, order: &Value, body: Value) -> Answer {
    let body = with(body, json!({"version": order["version"]}));
    who.patch(app, &format!("/orders/{}/status", order["id"].as_str().unwrap()), &body).await
}

fn delivery(business: &str) -> Value {
    let address = json!({"text": "Rua Augusta 1", "lat": 38.71, "lng": -9.13});
    with(order_body(business), json!({"fulfilment": "delivery", "address": address}))
}

async fn a_price_that_changed_is_told_and_nothing_is_ordered(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let told = |total: i64| with(order_body(&business), json!({"expected_total_minor": total}));
    let send = async |key: &str, body: Value| {
        Answer::of(zoe.request(&app, Method::POST, "/orders").header("idempotency-key", key).json(&body))
            .await
    };
    let item = format!("/businesses/{business}/menu/items/soup");
    merchant.patch(&app, &item, &json!({"price_minor": 300})).await.expect(200);
    for _ in 0..2 {
        let problem = send("k", told(250)).await.expect_problem(409, "price_changed");
        assert_eq!((&problem["total_minor"], &problem["currency"]), (&json!(300), &json!("EUR")));
    }
    assert_eq!(zoe.get(&app, "/orders").await.expect(200).json()["total"], 0);
    // The key is free for what the customer says to the new price.
    let placed = send("k", told(300)).await.expect(201);
    assert_eq!(placed.json()["total_minor"], 300);
    assert_eq!(header(&send("k", told(300)).await.expect(201), "idempotency-replayed"), "true");
    assert_eq!(fields(&send("n", told(-1)).await.expect_problem(422, "invalid")), ["expected_total_minor"]);
}

async fn a_busy_business_needs_longer_and_a_promise_is_kept_as_it_was_made(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let place = format!("/businesses/{business}");
    let accepted = async |body: Value| {
        let order = zoe.order(&app, &business).await;
        assert!(order.get("ready_at").is_none() && order.get("prep_minutes").is_none(), "{order}");
        change(&app, &merchant, &order, with(json!({"status": "accepted"}), body)).await.expect(200).json()
    };
    let usual = accepted(json!({})).await;
    merchant.patch(&app, &place, &json!({"state": "busy", "extra_minutes": 15})).await.expect(200);
    let (busy, named) = (accepted(json!({})).await, accepted(json!({"prep_minutes": 7})).await);
    for (order, minutes) in [(usual, 20), (busy, 35), (named, 7)] {
        assert_eq!(order["prep_minutes"], minutes, "{order}");
        let at = |name: &str| {
            let text = order[name].as_str().unwrap_or_else(|| panic!("no {name}: {order}"));
            bellhop::domain::time::Timestamp::parse_rfc3339(text).unwrap()
        };
        assert_eq!(at("ready_at"), at("updated_at").plus(std::time::Duration::from_secs(60 * minutes)));
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        assert_eq!(zoe.get(&app, &path).await.expect(200).json()["ready_at"], order["ready_at"]);
    }
}

async fn a_business_brings_its_own_deliveries_to_their_end(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let mut order = zoe.post(&app, "/orders", &delivery(&business)).await.expect(201).json();
    assert_eq!(order["delivery"], json!({"status": "unassigned", "version": 1}));
    assert!(order.get("delivered_by").is_none(), "{order}");
    for status in ["accepted", "preparing", "ready", "picked_up"] {
        order = merchant.move_order(&app, &order, status).await;
        assert_eq!(order["delivered_by"], "business");
    }
    assert_eq!(order["delivery"], json!({"status": "picked_up", "version": 2}));
    for reason in [json!({}), json!({"reason": "nobody was there"})] {
        let refused = change(&app, &merchant, &order, with(json!({"status": "failed"}), reason)).await;
        assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["reason"]);
    }
    let failed = json!({"status": "failed", "reason": "customer_unreachable"});
    let failed = change(&app, &merchant, &order, failed).await.expect(200);
    // The cash was not taken, which is a change of the payment.
    assert_eq!(header(&failed, "etag"), "\"6.3.2\"");
    let failed = failed.json();
    assert_eq!(failed["delivery"], json!({"status": "failed", "version": 3}));
    assert_eq!(failed["ended_reason"], json!({"code": "merchant", "text": "customer_unreachable"}));
    let own = zoe.get(&app, &format!("/orders/{}", order["id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(own["ended_reason"], failed["ended_reason"]);
    // One that never left.
    let order = zoe.post(&app, "/orders", &delivery(&business)).await.expect(201).json();
    let cancelled = change(&app, &zoe, &order, json!({"status": "cancelled"})).await.expect(200).json();
    assert_eq!(cancelled["delivery"], json!({"status": "cancelled", "version": 2}));
    assert_eq!(cancelled["ended_reason"], json!({"code": "customer"}));
    let fetched = zoe.order(&app, &business).await;
    assert!(fetched.get("delivery").is_none() && fetched.get("delivered_by").is_none(), "{fetched}");
}

async fn drivers_bring_what_is_theirs_and_members_do_not(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Opal").await;
    let business = merchant.business(&app).await;
    let place = format!("/businesses/{business}");
    let by_drivers = json!({"delivered_by": "drivers"});
    let changed = merchant.patch(&app, &place, &by_drivers).await.expect(200).json();
    assert_eq!(changed["delivered_by"], "drivers");
    let ready = async |accept: Value| {
        let order = zoe.post(&app, "/orders", &delivery(&business)).await.expect(201).json();
        let accept = with(json!({"status": "accepted"}), accept);
        let mut order = change(&app, &merchant, &order, accept).await.expect(200).json();
        for status in ["preparing", "ready"] {
            order = merchant.move_order(&app, &order, status).await;
        }
        order
    };
    let theirs = ready(json!({})).await;
    assert_eq!(theirs["delivered_by"], "drivers");
    for status in ["picked_up", "delivered", "failed"] {
        let refused = change(&app, &merchant, &theirs, json!({"status": status, "reason": "damaged"})).await;
        refused.expect_problem(403, "not_your_move");
    }
    // What was decided at accepting stays, whatever the business says later.
    merchant.patch(&app, &place, &json!({"delivered_by": "business"})).await.expect(200);
    change(&app, &merchant, &theirs, json!({"status": "picked_up"}))
        .await
        .expect_problem(403, "not_your_move");
    change(&app, &operator, &theirs, json!({"status": "picked_up"})).await.expect(200);
    merchant.patch(&app, &place, &by_drivers).await.expect(200);
    let own = ready(json!({"delivered_by": "business"})).await;
    assert_eq!(own["delivered_by"], "business");
    merchant.move_order(&app, &own, "picked_up").await;
    let fetched = zoe.order(&app, &business).await;
    let refused =
        change(&app, &merchant, &fetched, json!({"status": "accepted", "delivered_by": "drivers"})).await;
    assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["delivered_by"]);
}

async fn a_kitchen_reads_nothing_more_to_print_an_order(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let mut till = Device::of_business(&app, &merchant, &business, None).await;
    let ordered = json!({
        "fulfilment": "dine_in", "table": 4, "notes": "no\nonions", "items": [{"sku": "soup", "qty": 2}, {"sku": "bread", "qty": 1}],
        "customer": {"name": "Zoë", "phone": "+351 21 000"},
    });
    let order = zoe.post(&app, "/orders", &with(order_body(&business), ordered)).await.expect(201).json();
    let mut guest = Device::open(&app, &zoe, &format!("/ws/orders/{}", order["id"].as_str().unwrap())).await;
    let heard = till.next().await;
    let data = &heard["event"]["data"];
    assert_eq!(data["items"][0], json!({"sku": "soup", "name": "soup", "qty": 2}));
    assert_eq!((&data["notes"], &data["table"]), (&json!("no\nonions"), &json!(4)));
    assert_eq!(data["payment"], json!({"method": "cash", "status": "pending", "version": 1}));
    let accepted = merchant.move_order(&app, &order, "accepted").await;
    let heard = [till.next_numbered().await, guest.next_numbered().await];
    let data = &heard[0]["event"]["data"];
    assert_eq!((&data["prep_minutes"], &data["ready_at"]), (&json!(20), &accepted["ready_at"]));
    let own = heard[1]["event"]["data"].as_object().unwrap();
    let names: Vec<&str> = own.keys().map(String::as_str).collect();
    let row = [
        "currency",
        "customer_name",
        "fulfilment",
        "item_count",
        "order_id",
        "order_number",
        "status",
        "total_minor",
        "version",
    ];
    assert_eq!(names, row);
}

async fn only_where_there_are_tables_a_guest_names_one(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let dine_in = with(order_body(&business), json!({"fulfilment": "dine_in"}));
    let refused = zoe.post(&app, "/orders", &dine_in).await;
    assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["table"]);
    merchant.patch(&app, &format!("/businesses/{business}"), &json!({"tables": 0})).await.expect(200);
    let order = zoe.post(&app, "/orders", &dine_in).await.expect(201).json();
    assert!(order.get("table").is_none(), "{order}");
    let refused = zoe.post(&app, "/orders", &with(dine_in, json!({"table": 1}))).await;
    assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["table"]);
}

async fn what_staff_enter_is_the_staffs_and_does_not_carry_their_name(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let dine_in = with(order_body(&business), json!({"fulfilment": "dine_in", "table": 4}));
    let order = merchant.post(&app, "/orders", &dine_in).await.expect(201).json();
    assert_eq!(order["customer"]["name"], "Guest");
    let timeline = format!("/orders/{}/timeline", order["id"].as_str().unwrap());
    let placed = merchant.get(&app, &timeline).await.expect(200).json()["items"][0].clone();
    assert_eq!((&placed["party"], &placed["user_id"]), (&json!("member"), &json!(merchant.id)));
    let named = with(dine_in, json!({"customer": {"name": "Table of Zoë"}}));
    let order = merchant.post(&app, "/orders", &named).await.expect(201).json();
    assert_eq!(order["customer"]["name"], "Table of Zoë");
}

async fn the_contact_of_a_business_is_for_its_members(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let (stranger, zoe) = (app.person("merchant", "Otto").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Opal").await;
    let business = owner.business(&app).await;
    owner.take_in(&app, &business, &staff).await;
    let path = format!("/businesses/{business}");
    let contact = json!({"email": "kitchen@example.org", "phone": "030/12345"});
    staff.patch(&app, &path, &json!({"contact": contact})).await.expect_problem(403, "forbidden");
    owner.patch(&app, &path, &json!({"contact": contact})).await.expect(200);
    for who in [&owner, &staff, &operator] {
        assert_eq!(who.get(&app, &path).await.expect(200).json()["contact"], contact);
        assert_eq!(who.get(&app, "/businesses").await.expect(200).json()["items"][0]["contact"], contact);
    }
    for who in [&stranger, &zoe] {
        assert!(who.get(&app, &path).await.expect(200).json().get("contact").is_none());
    }
    assert!(!zoe.get(&app, "/businesses").await.expect(200).text.contains("030/12345"));
    let replaced = owner.patch(&app, &path, &json!({"contact": {"phone": "112"}})).await.expect(200).json();
    assert_eq!(replaced["contact"], json!({"phone": "112"}));
}

async fn a_request_that_makes_something_is_answered_once_for_its_key(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, mia) = (app.person("merchant", "Olga").await, app.person("merchant", "Mia").await);
    let business = owner.business(&app).await;
    let send = async |path: &str, key: &str, body: &Value| {
        Answer::of(owner.request(&app, Method::POST, path).header("idempotency-key", key).json(body)).await
    };
    let notification = json!({"type": "X", "title": "x", "message": "x"});
    let place = json!({"name": "Second", "location": {"lat": 1, "lng": 2}, "currency": "EUR"});
    let (notifications, items) =
        (format!("/businesses/{business}/notifications"), format!("/businesses/{business}/menu/items"));
    let members = format!("/businesses/{business}/members");
    for (path, body, status) in [
        (&*notifications, notification, 201),
        ("/businesses", place, 201),
        (&*items, json!({"sku": "cake", "name": "Cake", "price_minor": 400}), 201),
        (&*members, json!({"user_id": mia.id}), 202),
    ] {
        let all = futures_util::future::join_all((0..8).map(|_| send(path, "one", &body))).await;
        let replayed = all.iter().filter(|answer| header(answer, "idempotency-replayed") == "true").count();
        let heads: Vec<_> =
            all.iter().map(|a| (a.status.as_u16(), a.text.clone(), header(a, "location"))).collect();
        assert!(heads.iter().all(|head| *head == heads[0]), "{path}: {heads:?}");
        assert_eq!((heads[0].0, replayed), (status, 7), "{path}");
        let other = with(body.clone(), json!({"role": "owner"}));
        let other =
            if path == members { other } else { with(body, json!({"name": "Other", "title": "other"})) };
        let other = if path == notifications { with(other, json!({"name": null})) } else { other };
        let other =
            if path == items || path == "/businesses" { with(other, json!({"title": null})) } else { other };
        send(path, "one", &other).await.expect_problem(422, "idempotency_mismatch");
        assert_eq!(
            fields(&send(path, "a b", &other).await.expect_problem(422, "invalid")),
            ["Idempotency-Key"]
        );
    }
    assert_eq!(
        owner.get(&app, &notifications).await.expect(200).json()["items"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        each(&owner.get(&app, "/businesses").await.expect(200).json(), "name"),
        ["Soup Kitchen", "Second"]
    );
    // What was refused is not kept.
    let soup = json!({"sku": "soup", "name": "Soup", "price_minor": 1});
    send(&items, "two", &soup).await.expect_problem(409, "already_exists");
    owner.delete(&app, &format!("{items}/soup")).await.expect(204);
    send(&items, "two", &soup).await.expect(201);
}

async fn the_timeline_says_who_had_an_order_on_which_device(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    owner.sign_in(&app, Some("till")).await;
    let mut till = Device::of_business(&app, &owner, &business, None).await;
    let order = zoe.order(&app, &business).await;
    let heard = till.next().await;
    till.send(json!({"type": "ack", "room": heard["room"], "cursor": heard["cursor"]})).await;
    app.stored_acks(heard["room"].as_str().unwrap()).await;
    let timeline = format!("/orders/{}/timeline", order["id"].as_str().unwrap());
    let items = owner.get(&app, &timeline).await.expect(200).json()["items"].clone();
    let had = &items[1];
    assert_eq!(
        (&had["kind"], &had["device"], &had["user_id"]),
        (&json!("acknowledged"), &json!("till"), &json!(owner.id))
    );
    let seen = zoe.get(&app, &timeline).await.expect(200).json();
    assert_eq!(
        (crate::each(&seen, "kind"), seen["items"][0].get("user_id")),
        (vec!["moved".to_owned(), "deadline".to_owned()], None)
    );
}

async fn a_filter_without_a_value_is_refused_whichever_it_is(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let zoe = app.person("customer", "Zoe").await;
    for name in ["status", "business_id", "cursor", "page", "limit", "q"] {
        let refused = zoe.get(&app, &format!("/orders?{name}=")).await;
        assert_eq!(fields(&refused.expect_problem(422, "invalid")), [name]);
    }
}
