//! Offers, and who gets a delivery.

use futures_util::future::join_all;
use serde_json::json;

use super::{City, delivery_of};
use crate::support::StoreKind;

crate::on_both_stores!(
    an_offer_says_what_it_is_worth_and_about_where_it_goes,
    of_ten_who_accept_one_gets_it_and_is_answered_the_same_again,
    an_offer_is_over_at_its_end_whether_it_was_swept_or_not,
    an_offer_is_its_drivers_alone,
    who_declined_is_not_asked_and_who_accepted_gives_it_back_instead,
    nobody_takes_more_than_they_carry,
);

async fn an_offer_says_what_it_is_worth_and_about_where_it_goes(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let offer = city.offer(&order, &city.driver).await;
    let list = city.driver.get(&city.app, "/drivers/me/offers").await.expect(200).json();
    let (shown, now) = (&list["items"][0], &list["now"]);
    let expected = json!({
        "offer_id": offer, "delivery_id": delivery_of(&order), "pickup": {"name": "Soup Kitchen", "lat": 38.7, "lng": -9.1},
        "dropoff": {"lat": 38.71, "lng": -9.14}, "distance_m": 800, "payout_minor": 300, "currency": "EUR",
        "payment": "cash", "collect_minor": 250, "item_count": 1, "stacked": false, "deadline_at": shown["deadline_at"],
        "remaining_ms": shown["remaining_ms"], "now": now,
    });
    assert_eq!(*shown, expected);
    let left = shown["remaining_ms"].as_u64().unwrap();
    assert!((1..=45_000).contains(&left), "{shown}");
    assert!(!list.to_string().contains("Zoe") && !list.to_string().contains("Augusta"), "{list}");
    city.answers(&city.driver, &offer, "decline").await.expect(204);
    assert_eq!(city.driver.get(&city.app, "/drivers/me/offers").await.json()["items"], json!([]));
}

async fn of_ten_who_accept_one_gets_it_and_is_answered_the_same_again(kind: StoreKind) {
    let city = City::open(kind).await;
    // Before there is anything to offer: an offer lasts 45 s.
    let mut drivers = Vec::new();
    for n in 0..10 {
        drivers.push(city.rider(&format!("Dan{n}")).await);
    }
    let order = city.accepted().await;
    let mut asked = Vec::new();
    for driver in drivers {
        let offer = city.offer(&order, &driver).await;
        asked.push((driver, offer));
    }
    let answers = join_all(asked.iter().map(|(driver, offer)| city.answers(driver, offer, "accept"))).await;
    let winners: Vec<usize> = (0..10).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    for (n, answer) in answers.into_iter().enumerate().filter(|(n, _)| *n != winners[0]) {
        let problem = answer.expect_problem(409, "offer_taken");
        assert!(problem["detail"].is_string(), "{n}: {problem}");
    }
    let (winner, offer) = &asked[winners[0]];
    let again = city.answers(winner, offer, "accept").await.expect(200).json();
    assert_eq!((&again["status"], &again["payout_minor"]), (&json!("assigned"), &json!(300)));
    let seen = city.read(&city.owner, &order).await;
    assert_eq!(seen["delivery"]["driver"]["id"], json!(winner.id), "{seen}");
}

async fn an_offer_is_over_at_its_end_whether_it_was_swept_or_not(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let offer = city.offer(&order, &city.driver).await;
    // Less than the hub would take for an outage of its own, after which offers end later.
    city.later(50).await;
    let answer = city.answers(&city.driver, &offer, "accept").await;
    answer.expect_problem(409, "offer_expired");
    city.answers(&city.driver, &offer, "decline").await.expect(204);
    assert_eq!(city.read(&city.customer, &order).await["delivery"].get("driver"), None);
}

async fn an_offer_is_its_drivers_alone(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let (offer, other) = (city.offer(&order, &city.driver).await, city.rider("Eve").await);
    for answer in ["accept", "decline"] {
        city.answers(&other, &offer, answer).await.expect_problem(404, "not_found");
        city.answers(&city.operator, &offer, answer).await.expect_problem(403, "forbidden");
    }
    assert_eq!(other.get(&city.app, "/drivers/me/offers").await.json()["items"], json!([]));
    let path = format!("/deliveries/{}", delivery_of(&order));
    other.get(&city.app, &path).await.expect_problem(404, "not_found");
    city.answers(&city.driver, &offer, "accept").await.expect(200);
}

async fn who_declined_is_not_asked_and_who_accepted_gives_it_back_instead(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let (offer, other) = (city.offer(&order, &city.driver).await, city.rider("Eve").await);
    let path = format!("/offers/{offer}/decline");
    city.driver.post(&city.app, &path, &json!({"reason": "Too far"})).await.expect(204);
    city.answers(&city.driver, &offer, "decline").await.expect(204);
    city.answers(&city.driver, &offer, "accept").await.expect_problem(409, "offer_withdrawn");
    let taken = city.offer(&order, &other).await;
    city.answers(&other, &taken, "accept").await.expect(200);
    city.answers(&other, &taken, "decline").await.expect_problem(409, "offer_accepted");
}

async fn nobody_takes_more_than_they_carry(kind: StoreKind) {
    let city = City::open(kind).await;
    let zones = json!({"zones": ["elsewhere"]});
    city.driver.patch(&city.app, "/drivers/me", &zones).await.expect(200);
    city.driver.put(&city.app, "/drivers/me/status", &json!({"online": true})).await.expect(200);
    let (first, second) = (city.accepted().await, city.accepted().await);
    let (one, two) = (city.offer(&first, &city.driver).await, city.offer(&second, &city.driver).await);
    city.answers(&city.driver, &one, "accept").await.expect(200);
    // It was withdrawn in the commit that took the other.
    assert_eq!(city.driver.get(&city.app, "/drivers/me/offers").await.json()["items"], json!([]));
    city.answers(&city.driver, &two, "accept").await.expect_problem(409, "over_capacity");
    let again = city.offer(&second, &city.driver).await;
    city.answers(&city.driver, &again, "accept").await.expect_problem(409, "over_capacity");
    city.driver.patch(&city.app, "/drivers/me", &json!({"capacity": 2})).await.expect(200);
    city.answers(&city.driver, &again, "accept").await.expect(200);
    let list = city.driver.get(&city.app, "/drivers/me/deliveries").await.expect(200).json();
    assert_eq!(list["current"].as_array().unwrap().len(), 2, "{list}");
    city.driver.patch(&city.app, "/drivers/me", &json!({"capacity": 1})).await.expect_problem(422, "invalid");
}
