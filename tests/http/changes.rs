//! Changes of what an order says, what a business offers, and how many orders may wait for its answer.

use serde_json::{Value, json};

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::{fields, header, history, with};

crate::on_both_stores!(
    an_address_is_changed_by_its_customer_until_accepted_and_by_members_until_the_end,
    minutes_until_ready_are_said_by_members_between_accepting_and_hand_over,
    a_customer_does_not_move_a_delivery_beyond_the_radius_of_its_business,
    a_change_is_told_with_what_has_changed_and_stands_in_the_timeline,
    a_customer_changes_an_order_twenty_times_and_its_business_goes_on,
    a_change_names_the_version_it_was_decided_on,
    what_a_business_does_not_offer_is_refused_with_what_it_does,
    five_orders_of_a_customer_may_wait_at_a_business_and_no_sixth,
);

fn delivery(business: &str, lat: f64) -> Value {
    let address = json!({"text": "Rua Augusta 1", "lat": lat, "lng": -9.1});
    with(order_body(business), json!({"fulfilment": "delivery", "address": address}))
}

async fn change(app: &TestApp, who: &Person, order: &Value, changes: Value) -> Answer {
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    who.patch(app, &path, &with(json!({"version": order["version"]}), changes)).await
}

async fn an_address_is_changed_by_its_customer_until_accepted_and_by_members_until_the_end(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Ada").await;
    let business = owner.business(&app).await;
    let order = customer.post(&app, "/orders", &delivery(&business, 38.71)).await.expect(201).json();
    let to = |text: &str| json!({"address": {"text": text, "lat": 38.72, "lng": -9.11}});
    let changed = change(&app, &customer, &order, to("Rua Augusta 10")).await.expect(200).json();
    assert_eq!((&changed["address"]["text"], &changed["version"]), (&json!("Rua Augusta 10"), &json!(1)));
    let phone = json!({"phone": "+351 21 000 00 00", "notes": "No cinnamon"});
    let changed = change(&app, &customer, &order, phone).await.expect(200).json();
    assert_eq!(changed["customer"]["phone"], "+351 21 000 00 00");
    assert_eq!(
        (&changed["notes"], &changed["address"]["text"]),
        (&json!("No cinnamon"), &json!("Rua Augusta 10"))
    );

    let order = owner.move_order(&app, &changed, "accepted").await;
    change(&app, &customer, &order, to("Elsewhere")).await.expect_problem(409, "change_forbidden");
    for (who, text) in [(&owner, "Rua Augusta 11"), (&operator, "Rua Augusta 12")] {
        let changed = change(&app, who, &order, to(text)).await.expect(200).json();
        assert_eq!(changed["address"]["text"], text);
    }
    let cancelled = json!({"status": "cancelled", "version": order["version"], "reason": "no bread"});
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let order = owner.patch(&app, &format!("{path}/status"), &cancelled).await.expect(200).json();
    for who in [&owner, &operator] {
        change(&app, who, &order, to("Nowhere")).await.expect_problem(409, "change_forbidden");
    }
    let stored = customer.get(&app, &path).await.expect(200).json();
    assert_eq!(stored["address"]["text"], "Rua Augusta 12");
    let pickup = customer.order(&app, &business).await;
    let refused = change(&app, &customer, &pickup, to("Home")).await.expect_problem(422, "invalid");
    assert_eq!(fields(&refused), ["address"], "nothing is brought");
}

async fn minutes_until_ready_are_said_by_members_between_accepting_and_hand_over(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = customer.order(&app, &business).await;
    let ten_more = json!({"ready_in_minutes": 10});
    change(&app, &customer, &order, ten_more.clone()).await.expect_problem(403, "not_your_move");
    change(&app, &owner, &order, ten_more.clone()).await.expect_problem(409, "change_forbidden");
    let accepted = owner.move_order(&app, &order, "accepted").await;
    // Whatever the version: no version makes it theirs.
    change(&app, &customer, &order, ten_more.clone()).await.expect_problem(403, "not_your_move");
    let changed = change(&app, &owner, &accepted, ten_more.clone()).await.expect(200).json();
    assert!(changed["ready_at"].as_str() < accepted["ready_at"].as_str(), "10 minutes instead of 20");
    for minutes in [0, 121] {
        let wrong = json!({"ready_in_minutes": minutes});
        let refused = change(&app, &owner, &accepted, wrong).await.expect_problem(422, "invalid");
        assert_eq!(fields(&refused), ["ready_in_minutes"]);
    }
    let mut order = accepted;
    for status in ["preparing", "ready", "delivered"] {
        change(&app, &owner, &order, ten_more.clone()).await.expect(200);
        order = owner.move_order(&app, &order, status).await;
    }
    change(&app, &owner, &order, ten_more).await.expect_problem(409, "change_forbidden");
}

async fn a_customer_does_not_move_a_delivery_beyond_the_radius_of_its_business(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = customer.post(&app, "/orders", &delivery(&business, 38.71)).await.expect(201).json();
    // Some 13 km away, while the business delivers within 8.
    let far = json!({"address": {"text": "Far away", "lat": 38.82, "lng": -9.1}});
    let refused = change(&app, &customer, &order, far.clone()).await.expect_problem(409, "not_offered");
    assert_eq!(refused["offered"]["delivery_radius_m"], 8000);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(customer.get(&app, &path).await.expect(200).json()["address"], order["address"]);
    // The kitchen knows how far it goes for once.
    change(&app, &owner, &order, far).await.expect(200);
}

async fn a_change_is_told_with_what_has_changed_and_stands_in_the_timeline(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = customer.post(&app, "/orders", &delivery(&business, 38.71)).await.expect(201).json();
    let id = order["id"].as_str().unwrap();
    let secret = json!({
        "phone": "+351 21 555 01 99", "address": {"text": "Rua do Segredo 7", "lat": 38.72, "lng": -9.11},
    });
    let before = customer.get(&app, &format!("/orders/{id}")).await.expect(200);
    let changed = change(&app, &customer, &order, secret).await.expect(200);
    assert_ne!(
        header(&before, "etag"),
        header(&changed, "etag"),
        "a copy from before is not the present one"
    );
    let again = customer.get(&app, &format!("/orders/{id}")).await.expect(200);
    assert_eq!(header(&again, "etag"), header(&changed, "etag"));
    for room in [format!("order:{id}"), format!("business:{business}")] {
        let told = history(&app, &owner, &room).await;
        assert!(!told.text.contains("Segredo") && !told.text.contains("555"), "events hold no contact");
        let told = told.json();
        let event = &told["events"][1]["event"];
        assert_eq!(event["type"], "order_updated", "{told}");
        assert_eq!(event["data"]["changed"], json!(["address", "phone"]), "{told}");
        assert_eq!(event["data"]["version"], 1);
        assert!(told["events"][0]["event"]["data"].get("changed").is_none());
    }
    // What is already so is no change: nothing is told.
    let repeated = change(&app, &customer, &order, json!({"phone": "+351 21 555 01 99"})).await.expect(200);
    assert_eq!(header(&repeated, "etag"), header(&changed, "etag"));
    let told = history(&app, &owner, &format!("order:{id}")).await.json();
    assert_eq!(told["events"].as_array().unwrap().len(), 2);
    let timeline = owner.get(&app, &format!("/orders/{id}/timeline")).await.expect(200).json();
    let entry = timeline["items"].as_array().unwrap().iter().find(|item| item["kind"] == "changed").unwrap();
    assert_eq!((&entry["changed"], &entry["party"]), (&json!(["address", "phone"]), &json!("customer")));
    assert_eq!(entry["user_id"], customer.id);
}

async fn a_customer_changes_an_order_twenty_times_and_its_business_goes_on(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = customer.order(&app, &business).await;
    let notes = |n: u32| json!({"notes": format!("No {n}")});
    for n in 0..20 {
        change(&app, &customer, &order, notes(n)).await.expect(200);
    }
    let refused = change(&app, &customer, &order, notes(20)).await.expect_problem(409, "change_forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("as often as"), "{refused}");
    change(&app, &customer, &order, notes(19)).await.expect(200);
    assert_eq!(app.numbers("SELECT count(*) FROM order_edits").await, [Some(20)]);
    change(&app, &owner, &order, notes(20)).await.expect(200);
}

async fn a_change_names_the_version_it_was_decided_on(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = customer.order(&app, &business).await;
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let notes = json!({"notes": "No cinnamon"});
    customer.patch(&app, &path, &notes).await.expect_problem(428, "version_required");
    let stale = customer.patch(&app, &path, &with(notes, json!({"version": 2}))).await;
    assert_eq!(stale.expect_problem(409, "stale_version")["current_version"], 1);
    let by_header = |tag: &str| {
        let request = customer.request(&app, reqwest::Method::PATCH, &path);
        Answer::of(request.header("if-match", tag).json(&json!({"notes": "No sugar"})))
    };
    by_header("\"1.0.1\"").await.expect(200);
    by_header("\"7.0.1\"").await.expect_problem(412, "precondition_failed");
    change(&app, &customer, &order, json!({})).await.expect_problem(422, "invalid");
}

async fn what_a_business_does_not_offer_is_refused_with_what_it_does(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    // Some 13 km away, while the business delivers within 8 unless it says otherwise.
    let far =
        customer.post(&app, "/orders", &delivery(&business, 38.82)).await.expect_problem(409, "not_offered");
    assert_eq!(far["offered"]["delivery_radius_m"], 8000);
    assert_eq!(far["offered"]["fulfilment"], json!(["delivery", "pickup", "dine_in"]));
    let path = format!("/businesses/{business}");
    owner.patch(&app, &path, &json!({"accepts": {"delivery_radius_m": 20000}})).await.expect(200);
    customer.post(&app, "/orders", &delivery(&business, 38.82)).await.expect(201);
    let accepts = json!({"accepts": {"fulfilment": ["pickup"], "payment": ["online"]}});
    owner.patch(&app, &path, &accepts).await.expect(200);
    let refused =
        customer.post(&app, "/orders", &order_body(&business)).await.expect_problem(409, "not_offered");
    assert_eq!(refused["offered"]["payment"], json!(["online"]));
    let refused = customer.post(&app, "/orders", &delivery(&business, 38.71)).await;
    assert_eq!(refused.expect_problem(409, "not_offered")["offered"]["fulfilment"], json!(["pickup"]));
}

async fn five_orders_of_a_customer_may_wait_at_a_business_and_no_sixth(kind: StoreKind) {
    let limits = [("limits.enabled", "true"), ("limits.orders", "1000"), ("limits.auth", "1000")];
    let app = TestApp::start_with(kind, &limits).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let (business, other) = (owner.business(&app).await, owner.business(&app).await);
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(customer.order(&app, &business).await);
    }
    let sixth = customer.post(&app, "/orders", &order_body(&business)).await;
    sixth.expect_problem(429, "too_many_open_orders");
    // Neither another business nor another customer is kept out, nor members, who order for their tables.
    customer.order(&app, &other).await;
    app.person("customer", "Yan").await.order(&app, &business).await;
    for table in 1..=7 {
        let body = with(order_body(&business), json!({"fulfilment": "dine_in", "table": table}));
        owner.post(&app, "/orders", &body).await.expect(201);
    }
    owner.move_order(&app, &orders[0], "accepted").await;
    customer.order(&app, &business).await;
    customer.post(&app, "/orders", &order_body(&business)).await.expect_problem(429, "too_many_open_orders");
}
