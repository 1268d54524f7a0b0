//! Orders that go another way while a driver is searched for them.

use serde_json::json;

use super::{City, delivery_of, path_of};
use crate::fields;
use crate::support::StoreKind;

crate::on_both_stores!(
    a_customer_fetches_what_nobody_brings,
    a_business_brings_what_nobody_brings,
    an_operator_says_how_long_a_driver_is_searched_for,
    nothing_changes_once_a_driver_has_it,
);

async fn a_customer_fetches_what_nobody_brings(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let path = format!("{}/fulfilment", path_of(&order));
    let problem = city.customer.post(&city.app, &path, &json!({"fulfilment": "dine_in"})).await;
    assert_eq!(fields(&problem.expect_problem(422, "invalid")), ["fulfilment"]);
    let stranger = city.app.person("customer", "Eve").await;
    stranger.post(&city.app, &path, &json!({"fulfilment": "pickup"})).await.expect_problem(404, "not_found");
    let changed =
        city.customer.post(&city.app, &path, &json!({"fulfilment": "pickup"})).await.expect(200).json();
    assert_eq!((&changed["fulfilment"], changed.get("delivery")), (&json!("pickup"), None), "{changed}");
    let again =
        city.customer.post(&city.app, &path, &json!({"fulfilment": "pickup"})).await.expect(200).json();
    assert_eq!(again, changed);
    // From then on it goes as every order that is fetched.
    let ready = city.owner.move_order(&city.app, &changed, "ready").await;
    assert_eq!(city.owner.move_order(&city.app, &ready, "delivered").await["status"], "delivered");
}

async fn a_business_brings_what_nobody_brings(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let offer = city.offer(&order, &city.driver).await;
    let path = format!("/deliveries/{}/own", delivery_of(&order));
    let changed = city.owner.post(&city.app, &path, &json!({})).await.expect(200).json();
    assert_eq!(changed["delivered_by"], "business", "{changed}");
    assert_eq!(
        (&changed["delivery"]["status"], changed["delivery"].get("id")),
        (&json!("unassigned"), None),
        "{changed}"
    );
    assert_eq!(city.owner.post(&city.app, &path, &json!({})).await.expect(200).json(), changed);
    city.answers(&city.driver, &offer, "accept").await.expect_problem(409, "offer_withdrawn");
    let mut now = changed;
    for status in ["ready", "picked_up", "delivered"] {
        now = city.owner.move_order(&city.app, &now, status).await;
    }
    assert_eq!(now["status"], "delivered", "its members report the progress");
}

async fn an_operator_says_how_long_a_driver_is_searched_for(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let path = format!("/deliveries/{}", delivery_of(&order));
    for bad in ["2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"] {
        let answer = city.operator.patch(&city.app, &path, &json!({"give_up_at": bad})).await;
        assert_eq!(fields(&answer.expect_problem(422, "invalid")), ["give_up_at"]);
    }
    let at = bellhop::domain::time::Timestamp::parse_rfc3339(order["created_at"].as_str().unwrap()).unwrap();
    let later = at.plus(std::time::Duration::from_secs(4 * 3600)).to_rfc3339();
    city.operator.patch(&city.app, &path, &json!({"give_up_at": later})).await.expect(200);
    city.owner.patch(&city.app, &path, &json!({"give_up_at": later})).await.expect_problem(403, "forbidden");
}

async fn nothing_changes_once_a_driver_has_it(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    let fetch = format!("{}/fulfilment", path_of(&order));
    let refused = city.customer.post(&city.app, &fetch, &json!({"fulfilment": "pickup"})).await;
    refused.expect_problem(409, "not_searched");
    let own = format!("/deliveries/{delivery}/own");
    city.owner.post(&city.app, &own, &json!({})).await.expect_problem(409, "not_searched");
    let at = bellhop::domain::time::Timestamp::parse_rfc3339(order["created_at"].as_str().unwrap()).unwrap();
    let body = json!({"give_up_at": at.plus(std::time::Duration::from_secs(3600)).to_rfc3339()});
    let path = format!("/deliveries/{delivery}");
    city.operator.patch(&city.app, &path, &body).await.expect_problem(409, "not_searched");
}
