//! Steps: the order moves with them, and devices without a network or with a wrong clock are believed as far as can be.

use serde_json::{Value, json};

use super::{City, delivery_of};
use crate::fields;
use crate::support::StoreKind;

crate::on_both_stores!(
    an_order_goes_to_the_door_by_its_drivers_steps,
    a_driver_moves_an_order_by_steps_only,
    steps_that_are_left_out_are_filled_in_and_gaps_are_not,
    the_timeline_tells_of_steps_to_those_who_run_the_place,
    a_clock_that_is_a_day_wrong_delivers,
    who_has_it_no_more_is_heard_and_changes_nothing,
    a_customer_who_does_not_open_has_five_minutes,
    the_code_is_the_customers_and_is_tried_five_times,
    cash_that_differs_is_taken_and_told_to_operators,
    what_does_not_go_with_a_step_is_named,
);

async fn an_order_goes_to_the_door_by_its_drivers_steps(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    for (step, of_order, next) in [
        ("at_pickup", "accepted", json!(["picked_up"])),
        ("picked_up", "picked_up", json!(["at_dropoff", "delivered", "failed"])),
        ("at_dropoff", "picked_up", json!(["delivered", "failed"])),
        ("delivered", "delivered", json!([])),
    ] {
        let seen = city.goes(&delivery, step).await;
        assert_eq!((&seen["status"], &seen["order_status"]), (&json!(step), &json!(of_order)), "{seen}");
        assert_eq!(seen["steps"], next, "{seen}");
        // Said again, nothing changes.
        assert_eq!(city.goes(&delivery, step).await["version"], seen["version"], "{step}");
        let read = city.read(&city.customer, &order).await;
        assert_eq!(
            (&read["status"], &read["delivery"]["status"]),
            (&json!(of_order), &json!(step)),
            "{read}"
        );
    }
    let read = city.read(&city.owner, &order).await;
    assert_eq!(read["payment"]["status"], "paid", "the driver took the cash: {read}");
}

async fn a_driver_moves_an_order_by_steps_only(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, _) = city.carried().await;
    let path = format!("{}/status", super::path_of(&order));
    for status in ["picked_up", "ready", "cancelled"] {
        let body = json!({"status": status, "version": order["version"], "reason": "Here"});
        city.driver.patch(&city.app, &path, &body).await.expect_problem(403, "not_your_move");
    }
    let body = json!({"version": order["version"], "notes": "Ring twice"});
    city.driver.patch(&city.app, &super::path_of(&order), &body).await.expect_problem(403, "not_your_move");
    assert_eq!(city.read(&city.customer, &order).await["status"], "accepted");
}

async fn steps_that_are_left_out_are_filled_in_and_gaps_are_not(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    let refused = city.step(&city.driver, &delivery, json!({"step": "delivered"})).await;
    let problem = refused.expect_problem(409, "step_forbidden");
    assert_eq!(problem["allowed"], json!(["at_pickup", "picked_up"]));
    city.goes(&delivery, "picked_up").await;
    city.goes(&delivery, "delivered").await;
    let timeline =
        city.owner.get(&city.app, &format!("{}/timeline", super::path_of(&order))).await.expect(200);
    let moves: Vec<(Value, Value)> = timeline.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["kind"] == "moved" && item["party"] == "driver")
        .map(|item| (item["from"].clone(), item["to"].clone()))
        .collect();
    assert!(moves.contains(&(json!("picked_up"), json!("delivered"))), "{moves:?}");
    assert_eq!(moves.last().map(|(_, to)| to), Some(&json!("delivered")), "{moves:?}");
}

async fn the_timeline_tells_of_steps_to_those_who_run_the_place(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    let said = "2026-01-01T00:00:00.000000Z";
    city.step(&city.driver, &delivery, json!({"step": "picked_up", "at": said})).await.expect(200);
    let other = city.rider("Eve").await;
    city.assign(&delivery, &other).await.expect(200);
    city.step(&city.driver, &delivery, json!({"step": "delivered"})).await.expect(202);
    let path = format!("{}/timeline", super::path_of(&order));
    let of = |timeline: &Value, kind: &str| -> Vec<Value> {
        let items = timeline["items"].as_array().unwrap().iter();
        items.filter(|item| item["kind"] == kind).cloned().collect()
    };
    for who in [&city.owner, &city.operator] {
        let timeline = who.get(&city.app, &path).await.expect(200).json();
        let steps = of(&timeline, "step");
        assert_eq!(steps.len(), 2, "{timeline}");
        assert_eq!(
            (&steps[0]["step"], &steps[0]["said_at"]),
            (&json!("picked_up"), &json!(said)),
            "{timeline}"
        );
        assert_ne!(steps[0]["at"], json!(said), "it was not theirs then");
        assert_eq!(
            (&steps[1]["late"], &steps[1]["user_id"]),
            (&json!(true), &json!(city.driver.id)),
            "{timeline}"
        );
        assert_eq!(of(&timeline, "offered").len(), 2, "whoever an operator gave it to: {timeline}");
    }
    for who in [&city.customer, &other] {
        let timeline = who.get(&city.app, &path).await.expect(200).json();
        assert!(of(&timeline, "step").is_empty() && of(&timeline, "offered").is_empty(), "{timeline}");
        assert!(!timeline.to_string().contains("usr_"), "{timeline}");
    }
}

async fn a_clock_that_is_a_day_wrong_delivers(kind: StoreKind) {
    let city = City::open(kind).await;
    let (_, delivery) = city.carried().await;
    let assigned = city.driver.get(&city.app, &format!("/deliveries/{delivery}")).await.expect(200).json();
    let early = json!({"step": "picked_up", "at": "2020-01-01T00:00:00Z"});
    let seen = city.step(&city.driver, &delivery, early).await.expect(200).json();
    assert_eq!(seen["picked_up_at"], assigned["assigned_at"], "no earlier than it was theirs");
    let late = json!({"step": "delivered", "at": "2120-01-01T00:00:00Z"});
    let seen = city.step(&city.driver, &delivery, late).await.expect(200).json();
    assert_eq!(seen["status"], "delivered");
    assert!(seen["ended_at"].as_str().unwrap() < "2120", "{seen}");
}

async fn who_has_it_no_more_is_heard_and_changes_nothing(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    let other = city.rider("Eve").await;
    city.step(&other, &delivery, json!({"step": "picked_up"})).await.expect_problem(404, "not_found");
    city.assign(&delivery, &other).await.expect(200);
    let heard = city.step(&city.driver, &delivery, json!({"step": "picked_up"})).await.expect(202).json();
    assert_eq!((&heard["result"], &heard["delivery_id"]), (&json!("late"), &json!(delivery)));
    let seen = city.read(&city.owner, &order).await;
    assert_eq!(
        (&seen["status"], &seen["delivery"]["status"]),
        (&json!("accepted"), &json!("assigned")),
        "{seen}"
    );
    assert_eq!(seen["delivery"]["driver"]["id"], json!(other.id));
    city.driver.get(&city.app, &format!("/deliveries/{delivery}")).await.expect_problem(404, "not_found");
    city.driver.get(&city.app, &super::path_of(&order)).await.expect_problem(404, "not_found");
}

async fn a_customer_who_does_not_open_has_five_minutes(kind: StoreKind) {
    let city = City::open(kind).await;
    let unreachable = json!({"step": "failed", "reason": "customer_unreachable"});
    let at_door = json!({"step": "delivered", "left_at_door": true, "proof": {"photo": "doors/1.jpg"}});
    let (order, delivery) = city.carried().await;
    city.goes(&delivery, "picked_up").await;
    for body in [&unreachable, &at_door] {
        city.step(&city.driver, &delivery, body.clone()).await.expect_problem(409, "too_early");
    }
    city.goes(&delivery, "at_dropoff").await;
    let answer = city.step(&city.driver, &delivery, unreachable.clone()).await;
    assert!(answer.expect_problem(409, "too_early")["until"].is_string());
    city.later(301).await;
    let without = json!({"step": "delivered", "left_at_door": true});
    let problem = city.step(&city.driver, &delivery, without).await.expect_problem(409, "proof_needed");
    assert_eq!(problem["proof"], "photo");
    let seen = city.step(&city.driver, &delivery, at_door).await.expect(200).json();
    assert_eq!((&seen["proof"], &seen["photo"]), (&json!("photo"), &json!("doors/1.jpg")));
    assert_eq!(city.read(&city.customer, &order).await["status"], "delivered");

    let (order, delivery) = city.carried().await;
    city.goes(&delivery, "picked_up").await;
    city.goes(&delivery, "at_dropoff").await;
    city.later(301).await;
    city.step(&city.driver, &delivery, unreachable).await.expect(200);
    assert_eq!(city.read(&city.customer, &order).await["status"], "failed");
    assert_eq!(city.goes(&delivery, "returned").await["status"], "returned");
}

async fn the_code_is_the_customers_and_is_tried_five_times(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    assert_eq!(city.read(&city.customer, &order).await["delivery"].get("code"), None, "not before");
    city.goes(&delivery, "picked_up").await;
    let code = city.read(&city.customer, &order).await["delivery"]["code"].as_str().unwrap().to_owned();
    assert!(code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    for who in [&city.owner, &city.operator, &city.driver] {
        let seen = city.read(who, &order).await;
        assert_eq!(seen["delivery"].get("code"), None, "{seen}");
    }
    let wrong = if code == "0000" { "0001" } else { "0000" };
    let with_code = |code: &str| json!({"step": "delivered", "proof": {"code": code}});
    for left in [4, 3, 2, 1, 0] {
        let answer = city.step(&city.driver, &delivery, with_code(wrong)).await;
        assert_eq!(answer.expect_problem(409, "wrong_code")["tries_left"], left);
    }
    // The right one comes too late: a photo, or an operator.
    city.step(&city.driver, &delivery, with_code(&code)).await.expect_problem(409, "wrong_code");
    let photo = json!({"step": "delivered", "proof": {"photo": "doors/2.jpg"}});
    city.step(&city.driver, &delivery, photo).await.expect(200);
    let (order, delivery) = city.carried().await;
    city.goes(&delivery, "picked_up").await;
    let code = city.read(&city.customer, &order).await["delivery"]["code"].as_str().unwrap().to_owned();
    let seen = city.step(&city.driver, &delivery, with_code(&code)).await.expect(200).json();
    assert_eq!(seen["proof"], "code");
}

async fn cash_that_differs_is_taken_and_told_to_operators(kind: StoreKind) {
    let city = City::open(kind).await;
    let (_, delivery) = city.carried().await;
    let seen = city.goes(&delivery, "picked_up").await;
    assert_eq!(seen["collect_minor"], 250);
    let body = json!({"step": "delivered", "collected_minor": 200});
    let seen = city.step(&city.driver, &delivery, body).await.expect(200).json();
    assert_eq!((&seen["collected_minor"], &seen["collect_minor"]), (&json!(200), &json!(0)), "{seen}");
    let told = crate::history(&city.app, &city.operator, "ops").await;
    assert!(told.text.contains(r#""difference_minor":-50"#), "{}", told.text);
    let list = city.driver.get(&city.app, "/drivers/me/deliveries").await.expect(200).json();
    let sum = &list["day"]["sums"][0];
    assert_eq!((&sum["deliveries"], &sum["collected_minor"]), (&json!(1), &json!(200)), "{list}");
}

async fn what_does_not_go_with_a_step_is_named(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let delivery = delivery_of(&order);
    for (body, named) in [
        (json!({"step": "assigned"}), "step"),
        (json!({"step": "failed"}), "reason"),
        (json!({"step": "failed", "reason": "rain"}), "reason"),
        (json!({"step": "delivered", "reason": "refused"}), "reason"),
        (json!({"step": "picked_up", "collected_minor": 5}), "collected_minor"),
        (json!({"step": "delivered", "collected_minor": -5}), "collected_minor"),
        (json!({"step": "delivered", "proof": {}}), "proof"),
        (json!({"step": "delivered", "proof": {"code": "12345"}}), "proof.code"),
        (json!({"step": "delivered", "proof": {"photo": "x".repeat(201)}}), "proof.photo"),
        (json!({"step": "delivered", "at": "yesterday"}), "at"),
    ] {
        let problem = city.step(&city.driver, &delivery, body.clone()).await.expect_problem(422, "invalid");
        assert_eq!(fields(&problem), [named], "{body}");
    }
    let late = json!({"step": "failed", "reason": "no_show"});
    city.assign(&delivery, &city.driver).await.expect(200);
    city.goes(&delivery, "picked_up").await;
    let problem = city.step(&city.driver, &delivery, late).await.expect_problem(422, "invalid");
    assert_eq!(fields(&problem), ["reason"]);
}
