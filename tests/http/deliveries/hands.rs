//! Deliveries that operators give and take, and that drivers give back.

use serde_json::json;

use super::{City, delivery_of};
use crate::fields;
use crate::support::StoreKind;

crate::on_both_stores!(
    an_operator_gives_a_delivery_whatever_the_ranking_but_never_over_capacity,
    a_driver_gives_back_what_is_not_picked_up_and_nobody_takes_the_rest,
    an_operator_gives_what_is_under_way_to_another_driver,
    a_wrong_tap_at_the_end_is_taken_back_by_an_operator,
    the_end_of_an_order_takes_it_from_its_driver_who_keeps_the_payout_from_the_door_on,
);

async fn an_operator_gives_a_delivery_whatever_the_ranking_but_never_over_capacity(kind: StoreKind) {
    let city = City::open(kind).await;
    let (first, second) = (city.accepted().await, city.accepted().await);
    let given = city.assign(&delivery_of(&first), &city.driver).await.expect(200).json();
    assert_eq!((&given["status"], &given["driver"]["name"]), (&json!("assigned"), &json!("Dan")), "{given}");
    let again = city.assign(&delivery_of(&first), &city.driver).await.expect(200).json();
    assert_eq!(again["version"], given["version"]);
    city.assign(&delivery_of(&second), &city.driver).await.expect_problem(409, "over_capacity");
    let problem = city.assign(&delivery_of(&second), &city.customer).await.expect_problem(422, "invalid");
    assert_eq!(fields(&problem), ["driver_id"]);
    city.goes(&delivery_of(&first), "picked_up").await;
    city.goes(&delivery_of(&first), "delivered").await;
    let other = city.rider("Eve").await;
    city.assign(&delivery_of(&first), &other).await.expect_problem(409, "delivery_not_now");
    city.assign(&delivery_of(&second), &city.driver).await.expect(200);
}

async fn a_driver_gives_back_what_is_not_picked_up_and_nobody_takes_the_rest(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    let path = format!("/deliveries/{delivery}/unassign");
    let other = city.rider("Eve").await;
    let why = json!({"reason": "A flat tyre"});
    other.post(&city.app, &path, &why).await.expect_problem(404, "not_found");
    city.driver.post(&city.app, &path, &json!({"reason": ""})).await.expect_problem(422, "invalid");
    city.driver.post(&city.app, &path, &why).await.expect(200);
    let seen = city.read(&city.owner, &order).await;
    assert_eq!((&seen["status"], seen["delivery"].get("driver")), (&json!("accepted"), None), "{seen}");
    assert!(["unassigned", "offered"].contains(&seen["delivery"]["status"].as_str().unwrap()), "{seen}");
    let profile = city.driver.get(&city.app, "/drivers/me").await.expect(200).json();
    assert_eq!(profile["carries"], 0, "{profile}");
    city.assign(&delivery, &other).await.expect(200);
    city.operator.post(&city.app, &path, &json!({"reason": "He is lost"})).await.expect(200);
    city.assign(&delivery, &other).await.expect(200);
    city.step(&other, &delivery, json!({"step": "picked_up"})).await.expect(200);
    for who in [&other, &city.operator] {
        who.post(&city.app, &path, &why).await.expect_problem(409, "delivery_not_now");
    }
}

async fn an_operator_gives_what_is_under_way_to_another_driver(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    city.goes(&delivery, "picked_up").await;
    let other = city.rider("Eve").await;
    let seen = city.assign(&delivery, &other).await.expect(200).json();
    assert_eq!((&seen["status"], &seen["driver"]["id"]), (&json!("picked_up"), &json!(other.id)), "{seen}");
    city.step(&city.driver, &delivery, json!({"step": "delivered"})).await.expect(202);
    city.step(&other, &delivery, json!({"step": "delivered"})).await.expect(200);
    assert_eq!(city.read(&city.customer, &order).await["status"], "delivered");
    // An operator reports in the place of a driver.
    let (order, delivery) = city.carried().await;
    for step in ["picked_up", "delivered"] {
        city.step(&city.operator, &delivery, json!({"step": step})).await.expect(200);
    }
    assert_eq!(city.read(&city.customer, &order).await["status"], "delivered");
}

async fn a_wrong_tap_at_the_end_is_taken_back_by_an_operator(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    for step in ["picked_up", "delivered"] {
        city.goes(&delivery, step).await;
    }
    let path = format!("{}/status", super::path_of(&order));
    let version = city.read(&city.operator, &order).await["version"].clone();
    let body = json!({"status": "picked_up", "version": version, "reason": "The other bag"});
    city.owner.patch(&city.app, &path, &body).await.expect_problem(403, "not_your_move");
    let back = city.operator.patch(&city.app, &path, &body).await.expect(200).json();
    assert_eq!(
        (&back["status"], &back["delivery"]["status"]),
        (&json!("picked_up"), &json!("picked_up")),
        "{back}"
    );
    assert_eq!(back["delivery"]["driver"]["id"], json!(city.driver.id), "{back}");
    let profile = city.driver.get(&city.app, "/drivers/me").await.expect(200).json();
    assert_eq!(profile["carries"], 1, "{profile}");
    city.goes(&delivery, "delivered").await;
    let profile = city.driver.get(&city.app, "/drivers/me").await.expect(200).json();
    assert_eq!(profile["carries"], 0, "{profile}");
    assert_eq!(city.read(&city.customer, &order).await["status"], "delivered");
}

async fn the_end_of_an_order_takes_it_from_its_driver_who_keeps_the_payout_from_the_door_on(kind: StoreKind) {
    let city = City::open(kind).await;
    for (comes, keeps) in [(false, false), (true, true)] {
        let (order, delivery) = city.carried().await;
        if comes {
            city.goes(&delivery, "at_pickup").await;
        }
        let version = city.read(&city.operator, &order).await["version"].clone();
        let path = format!("{}/status", super::path_of(&order));
        let body = json!({"status": "cancelled", "version": version, "reason": "The customer rang"});
        city.operator.patch(&city.app, &path, &body).await.expect(200);
        let past = city.driver.get(&city.app, "/drivers/me/deliveries").await.expect(200).json();
        assert_eq!(past["current"], json!([]), "{past}");
        let ended = &past["past"][0];
        assert_eq!((&ended["id"], &ended["status"]), (&json!(delivery), &json!("cancelled")), "{past}");
        assert_eq!(ended["payout_minor"].as_i64().unwrap() > 0, keeps, "{ended}");
        let told = crate::history(&city.app, &city.operator, &format!("driver:{}", city.driver.id)).await;
        assert!(told.text.contains(r#""status":"cancelled""#), "{}", told.text);
        city.driver.get(&city.app, &super::path_of(&order)).await.expect_problem(404, "not_found");
        let profile = city.driver.get(&city.app, "/drivers/me").await.expect(200).json();
        assert_eq!(profile["carries"], 0, "{profile}");
    }
}
