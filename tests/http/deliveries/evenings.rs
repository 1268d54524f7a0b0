//! What goes otherwise than planned: a business that is late, a step far from its place, and a second delivery on the same way.

use serde_json::{Value, json};

use super::{City, delivery_of, path_of};
use crate::payments;
use crate::support::{Person, StoreKind};

crate::on_both_stores!(
    who_waited_for_late_food_leaves_without_fault_and_who_leaves_early_does_not,
    a_step_far_from_its_place_is_taken_and_flagged,
    a_driver_with_room_is_offered_what_goes_the_same_way_before_one_who_is_nearer,
);

impl City {
    /// A driver is somewhere now, as their device said.
    async fn is_at(&self, driver: &Person, (lat, lng): (f64, f64)) {
        let now = self.app.timers().now().as_micros();
        let row = format!(
            "UPDATE drivers SET lat = {lat}, lng = {lng}, position_at = {now}, alive_at = {now} WHERE user_id = '{}'",
            driver.id
        );
        self.app.execute(row).await;
    }

    /// Comes on near the business, that far to its north.
    async fn comes_on(&self, driver: &Person, metres: f64) {
        let profile = json!({"zones": ["lisbon"], "capacity": 2, "vehicle": "scooter"});
        driver.patch(&self.app, "/drivers/me", &profile).await.expect(200);
        driver.put(&self.app, "/drivers/me/status", &json!({"online": true})).await.expect(200);
        let place = json!({"lat": 38.7 + metres / 111_195.0, "lng": -9.1});
        driver.put(&self.app, "/drivers/me/location", &place).await.expect(204);
    }

    /// The next offer to a driver.
    async fn offered(&self, driver: &Person) -> Value {
        let is_there = |list: &Value| list["items"].get(0).is_some();
        let list = payments::until(&self.app, driver, "/drivers/me/offers", is_there).await;
        list["items"][0].clone()
    }
}

async fn who_waited_for_late_food_leaves_without_fault_and_who_leaves_early_does_not(kind: StoreKind) {
    let city = City::open(kind).await;
    // The order is to be ready a minute after it was accepted; ten more is how long a driver waits for it.
    for (minutes, reason, counted) in [(10, "driver", 1), (11, "business_late", 1)] {
        let placed = city.placed().await;
        let accept = json!({"status": "accepted", "version": placed["version"], "prep_minutes": 1});
        let order = city.owner.patch(&city.app, &format!("{}/status", path_of(&placed)), &accept).await;
        let order = order.expect(200).json();
        let delivery = delivery_of(&order);
        city.assign(&delivery, &city.driver).await.expect(200);
        city.goes(&delivery, "at_pickup").await;
        for _ in 0..minutes {
            city.later(60).await;
            city.is_at(&city.driver, (38.7, -9.1)).await;
        }
        let unassign = format!("/deliveries/{delivery}/unassign");
        city.driver.post(&city.app, &unassign, &json!({"reason": "business_late"})).await.expect(200);
        let room = format!("order:{}", order["id"].as_str().unwrap());
        let told = crate::history(&city.app, &city.operator, &room).await;
        assert!(told.text.contains(&format!(r#""reason":"{reason}""#)), "{reason}");
        let ended = format!("SELECT delivered FROM drivers WHERE user_id = '{}'", city.driver.id);
        assert_eq!(city.app.numbers(&ended).await, [Some(counted)], "{reason}");
    }
}

async fn a_step_far_from_its_place_is_taken_and_flagged(kind: StoreKind) {
    let city = City::open(kind).await;
    let (order, delivery) = city.carried().await;
    city.is_at(&city.driver, (38.7, -9.1)).await;
    city.goes(&delivery, "picked_up").await;
    city.is_at(&city.driver, (38.72, -9.1)).await;
    city.goes(&delivery, "delivered").await;
    let timeline = city.owner.get(&city.app, &format!("{}/timeline", path_of(&order))).await.expect(200);
    let timeline = timeline.json();
    let items = timeline["items"].as_array().unwrap().iter();
    let steps: Vec<&Value> = items.filter(|item| item["kind"] == "step").collect();
    assert_eq!((&steps[0]["step"], &steps[0]["far"]), (&json!("picked_up"), &json!(false)), "{timeline}");
    assert_eq!((&steps[1]["step"], &steps[1]["far"]), (&json!("delivered"), &json!(true)), "{timeline}");
    assert!(steps[1]["far_m"].as_i64().unwrap() > 500, "{timeline}");
    assert_eq!(city.read(&city.customer, &order).await["status"], "delivered");
}

async fn a_driver_with_room_is_offered_what_goes_the_same_way_before_one_who_is_nearer(kind: StoreKind) {
    let city = City::open(kind).await;
    city.comes_on(&city.driver, 900.0).await;
    let first = city.owner.move_order(&city.app, &city.accepted().await, "ready").await;
    let offer = city.offered(&city.driver).await;
    assert_eq!((&offer["delivery_id"], &offer["stacked"]), (&json!(delivery_of(&first)), &json!(false)));
    city.answers(&city.driver, offer["offer_id"].as_str().unwrap(), "accept").await.expect(200);
    let nearer = city.rider("Eve").await;
    city.comes_on(&nearer, 100.0).await;
    let second = city.owner.move_order(&city.app, &city.accepted().await, "ready").await;
    let offer = city.offered(&city.driver).await;
    assert_eq!((&offer["delivery_id"], &offer["stacked"]), (&json!(delivery_of(&second)), &json!(true)));
    city.answers(&city.driver, offer["offer_id"].as_str().unwrap(), "accept").await.expect(200);
    // There is no room for a third.
    let third = city.owner.move_order(&city.app, &city.accepted().await, "ready").await;
    let offer = city.offered(&nearer).await;
    assert_eq!((&offer["delivery_id"], &offer["stacked"]), (&json!(delivery_of(&third)), &json!(false)));
    let carried = city.driver.get(&city.app, "/drivers/me/deliveries").await.expect(200).json();
    assert_eq!(carried["current"].as_array().unwrap().len(), 2, "{carried}");
}
