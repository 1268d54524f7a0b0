//! Who sees what of a delivery and its people, and for how long.

use serde_json::{Value, json};

use super::{City, delivery_of, path_of};
use crate::header;
use crate::support::StoreKind;

crate::on_both_stores!(
    phones_and_address_are_the_drivers_until_half_an_hour_after_the_end,
    a_customer_sees_who_comes_and_from_the_pickup_on_where_they_are,
    a_driver_lists_what_they_carry_and_has_brought_with_the_days_sum,
    the_tag_of_an_order_counts_its_delivery,
);

async fn phones_and_address_are_the_drivers_until_half_an_hour_after_the_end(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    let path = format!("/deliveries/{delivery}");
    let seen = city.driver.get(&city.app, &path).await.expect(200).json();
    assert_eq!(seen["customer"], json!({"name": "Zoe", "phone": "+351 21 000 00 00"}));
    assert_eq!(seen["dropoff"], json!({"lat": 38.7103, "lng": -9.1365, "text": "Rua Augusta 1"}));
    assert_eq!(seen["pickup"]["phone"], "+351 21 111 22 33", "{seen}");
    city.goes(&delivery, "picked_up").await;
    city.goes(&delivery, "delivered").await;
    city.later(29 * 60).await;
    let seen = city.driver.get(&city.app, &path).await.expect(200).json();
    assert_eq!(seen["dropoff"]["text"], "Rua Augusta 1", "{seen}");
    city.later(2 * 60).await;
    let seen = city.driver.get(&city.app, &path).await.expect(200).json();
    assert_eq!((seen["customer"].get("phone"), seen["pickup"].get("phone")), (None, None), "{seen}");
    assert_eq!(seen["dropoff"], json!({"lat": 38.71, "lng": -9.14}));
    let of_driver = city.read(&city.driver, &order).await;
    assert_eq!((of_driver.get("address"), of_driver["customer"].get("phone")), (None, None), "{of_driver}");
    // Members see them longer, its customer always.
    assert_eq!(city.read(&city.owner, &order).await["address"]["text"], "Rua Augusta 1");
    assert_eq!(city.read(&city.customer, &order).await["address"]["text"], "Rua Augusta 1");
}

async fn a_customer_sees_who_comes_and_from_the_pickup_on_where_they_are(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let delivery = delivery_of(&order);
    assert_eq!(city.read(&city.customer, &order).await["delivery"].get("driver"), None);
    let path = "/drivers/me";
    city.driver.patch(&city.app, path, &json!({"vehicle": "scooter", "zones": ["lisbon"]})).await.expect(200);
    city.assign(&delivery, &city.driver).await.expect(200);
    city.driver
        .put(&city.app, "/drivers/me/location", &json!({"lat": 38.7001, "lng": -9.1001}))
        .await
        .expect(204);
    // A position is written within ten seconds.
    let mut seen = Value::Null;
    for _ in 0..400 {
        seen = city.read(&city.owner, &order).await;
        if seen["delivery"]["driver"].get("position").is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let driver = &seen["delivery"]["driver"];
    assert_eq!(
        (&driver["position"]["lat"], &driver["vehicle"]),
        (&json!(38.7001), &json!("scooter")),
        "{seen}"
    );
    let seen = city.read(&city.customer, &order).await;
    assert_eq!(
        seen["delivery"]["driver"],
        json!({"id": city.driver.id, "name": "Dan", "vehicle": "scooter"})
    );
    city.goes(&delivery, "picked_up").await;
    let seen = city.read(&city.customer, &order).await;
    assert_eq!(seen["delivery"]["driver"]["position"]["lng"], -9.1001, "{seen}");
    // Which does not change its tag, so that it is sent each time.
    let answer = city.customer.get(&city.app, &path_of(&order)).await.expect(200);
    let request = city.customer.request(&city.app, reqwest::Method::GET, &path_of(&order));
    let again = request.header("if-none-match", header(&answer, "etag")).send().await.unwrap();
    assert_eq!(again.status(), 200);
    city.goes(&delivery, "delivered").await;
    let seen = city.read(&city.customer, &order).await;
    assert_eq!(seen["delivery"]["driver"].get("position"), None, "{seen}");
}

async fn a_driver_lists_what_they_carry_and_has_brought_with_the_days_sum(kind: StoreKind) {
    let city = City::open(kind).await;
    let ids = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|delivery| delivery["order_id"].clone()).collect()
    };
    let mut brought = Vec::new();
    for _ in 0..3 {
        let (order, delivery) = city.carried().await;
        city.goes(&delivery, "picked_up").await;
        city.goes(&delivery, "delivered").await;
        brought.insert(0, order["id"].clone());
    }
    let (order, delivery) = city.carried().await;
    let page = city.driver.get(&city.app, "/drivers/me/deliveries?limit=2").await.expect(200).json();
    assert_eq!(
        (ids(&page["current"]), ids(&page["past"])),
        (vec![order["id"].clone()], brought[..2].to_vec())
    );
    assert_eq!((&page["has_more"], &page["limit"]), (&json!(true), &json!(2)));
    let path = format!("/drivers/me/deliveries?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = city.driver.get(&city.app, &path).await.expect(200).json();
    assert_eq!((ids(&rest["past"]), &rest["has_more"]), (brought[2..].to_vec(), &json!(false)));
    let sums = &page["day"]["sums"];
    let payout = page["past"][0]["payout_minor"].as_i64().unwrap();
    assert!(payout > 0, "{page}");
    let expected =
        json!([{"currency": "EUR", "deliveries": 3, "payout_minor": 3 * payout, "collected_minor": 750}]);
    assert_eq!(*sums, expected, "{page}");
    let path = "/drivers/me/deliveries?day=2020-01-01T00:00:00%2B01:00";
    let then = city.driver.get(&city.app, path).await.expect(200).json();
    assert_eq!(
        (&then["day"]["from"], &then["day"]["sums"]),
        (&json!("2019-12-31T23:00:00.000000Z"), &json!([]))
    );
    // As orders, they list those they carry.
    let list = city.driver.get(&city.app, "/orders").await.expect(200).json();
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &order["id"]), "{list}");
    for (query, found) in
        [("status=accepted", 1), ("status=ready", 0), ("q=zo", 1), ("q=yan", 0), ("q=--", 0)]
    {
        let list = city.driver.get(&city.app, &format!("/orders?{query}")).await.expect(200).json();
        assert_eq!(list["total"], found, "{query}");
    }
    city.goes(&delivery, "picked_up").await;
    city.goes(&delivery, "delivered").await;
    assert_eq!(city.driver.get(&city.app, "/orders").await.expect(200).json()["total"], 0);
}

async fn the_tag_of_an_order_counts_its_delivery(kind: StoreKind) {
    let city = City::open(kind).await;
    let order = city.accepted().await;
    let before = city.customer.get(&city.app, &path_of(&order)).await.expect(200);
    city.assign(&delivery_of(&order), &city.driver).await.expect(200);
    let after = city.customer.get(&city.app, &path_of(&order)).await.expect(200);
    assert_ne!(header(&before, "etag"), header(&after, "etag"));
    let (before, after) = (before.json(), after.json());
    assert_eq!(before["version"], after["version"], "it counts the status alone");
    assert!(before["delivery"]["version"].as_i64() < after["delivery"]["version"].as_i64());
}
