//! Drivers' own profiles, and operators who approve them.

use reqwest::Method;
use serde_json::{Value, json};

use super::City;
use crate::fields;
use crate::support::{Answer, Device, StoreKind, TestApp};

crate::on_both_stores!(
    a_driver_says_what_they_ride_and_how_much_they_carry,
    zones_wait_for_an_operator_who_may_say_others,
    a_driver_is_on_where_a_zone_is_approved_and_goes_off_with_what_they_carry,
    a_driver_who_is_not_approved_gets_no_further_than_that,
    operators_list_drivers_by_zone_and_by_whether_they_wait,
);

async fn a_driver_says_what_they_ride_and_how_much_they_carry(kind: StoreKind) {
    let city = City::open(kind).await;
    let new = city.driver.get(&city.app, "/drivers/me").await.expect(200).json();
    let expected = json!({
        "id": city.driver.id, "name": "Dan", "approved": true, "vehicle": "bicycle", "capacity": 1, "zones": [],
        "takes_cash": true, "online": false, "carries": 0, "ignored": 0, "delivered": 0, "on_time": 0,
    });
    assert_eq!(new, expected);
    let body = json!({"vehicle": "car", "capacity": 3, "takes_cash": false, "zones": ["b", "a", "b"]});
    let changed = city.driver.patch(&city.app, "/drivers/me", &body).await.expect(200).json();
    let seen = |field: &str| changed[field].clone();
    assert_eq!(
        [seen("vehicle"), seen("capacity"), seen("takes_cash")],
        [json!("car"), json!(3), json!(false)]
    );
    assert_eq!(seen("zones"), json!(["a", "b"]), "in development they count at once");
    for (body, named) in [
        (json!({"capacity": 4}), "capacity"),
        (json!({"capacity": 0}), "capacity"),
        (json!({"vehicle": "plane"}), "vehicle"),
        (json!({"zones": [""]}), "zones[0]"),
        (json!({"zones": vec!["z"; 17]}), "zones"),
        (json!({}), "body"),
    ] {
        let answer = city.driver.patch(&city.app, "/drivers/me", &body).await;
        assert_eq!(fields(&answer.expect_problem(422, "invalid")), [named], "{body}");
    }
}

async fn zones_wait_for_an_operator_who_may_say_others(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[("drivers.auto_approve", "false")]).await;
    let (operator, driver) = (app.operator("Ada").await, app.person("driver", "Dan").await);
    let customer = app.person("customer", "Zoe").await;
    let approve = format!("/admin/users/{}/approve", driver.id);
    operator.post(&app, &approve, &json!({})).await.expect(200);
    let asked = driver.patch(&app, "/drivers/me", &json!({"zones": ["lisbon", "porto"]})).await;
    let asked = asked.expect(200).json();
    assert_eq!(
        (&asked["zones"], &asked["wanted_zones"]),
        (&json!([]), &json!(["lisbon", "porto"])),
        "{asked}"
    );
    driver.put(&app, "/drivers/me/status", &json!({"online": true})).await.expect_problem(409, "no_zone");
    let path = format!("/admin/drivers/{}", driver.id);
    let approved = operator.put(&app, &path, &json!({"zones": ["lisbon"]})).await.expect(200).json();
    assert_eq!((&approved["zones"], approved.get("wanted_zones")), (&json!(["lisbon"]), None), "{approved}");
    let on = driver.put(&app, "/drivers/me/status", &json!({"online": true})).await.expect(200).json();
    assert_eq!(on["online"], true);
    // Without a zone there is nothing to be on for.
    let none = operator.put(&app, &path, &json!({"zones": []})).await.expect(200).json();
    assert_eq!(none["online"], false, "{none}");
    let nobody = format!("/admin/drivers/{}", customer.id);
    operator.put(&app, &nobody, &json!({"zones": []})).await.expect_problem(404, "not_found");
}

async fn a_driver_is_on_where_a_zone_is_approved_and_goes_off_with_what_they_carry(kind: StoreKind) {
    let city = City::open(kind).await;
    let status = "/drivers/me/status";
    city.driver.put(&city.app, status, &json!({"online": true})).await.expect_problem(409, "no_zone");
    // A zone without orders: nobody is asked but by the test.
    let room = json!({"zones": ["elsewhere"], "capacity": 2});
    city.driver.patch(&city.app, "/drivers/me", &room).await.expect(200);
    let on = city.driver.put(&city.app, status, &json!({"online": true})).await.expect(200).json();
    assert!(on["online"] == true && on["waiting_since"].is_string() && on["alive_at"].is_string(), "{on}");
    let (order, delivery) = city.carried().await;
    let offered = city.accepted().await;
    let offer = city.offer(&offered, &city.driver).await;
    let off = city.driver.put(&city.app, status, &json!({"online": false})).await.expect(200).json();
    assert_eq!((&off["online"], &off["carries"]), (&json!(false), &json!(1)), "{off}");
    city.answers(&city.driver, &offer, "accept").await.expect_problem(409, "offer_withdrawn");
    // What is carried stays, and its steps are taken.
    city.goes(&delivery, "picked_up").await;
    city.goes(&delivery, "delivered").await;
    assert_eq!(city.read(&city.customer, &order).await["status"], "delivered");
}

async fn a_driver_who_is_not_approved_gets_no_further_than_that(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[("drivers.auto_approve", "false")]).await;
    let driver = app.person("driver", "Dan").await;
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let is_drivers = ["/drivers/", "/offers/", "/deliveries/"].iter().any(|part| path.contains(part));
        for (verb, operation) in item.as_object().unwrap() {
            let refusal = &operation["responses"]["403"]["content"]["application/problem+json"]["examples"];
            let says_pending = refusal.get("driver_pending").is_some();
            assert!(!says_pending || is_drivers, "{verb} {path}");
            if !says_pending {
                continue;
            }
            asked += 1;
            let id = if path.contains("/offers/") { "off_" } else { "dlv_" };
            let path = path.replace("{id}", &format!("{id}{:032x}", 7)).replace("/api/v1", "");
            let method: Method = verb.to_uppercase().parse().unwrap();
            // Whatever else is wrong with it.
            let request =
                driver.request(&app, method, &path).header("content-type", "application/json").body("{");
            Answer::of(request).await.expect_problem(403, "driver_pending");
        }
    }
    assert!(asked >= 11, "{asked} routes of drivers");
    let refused = Device::dial(&app, Some(&driver.token), "/ws/driver", &[]).await.err().expect("no socket");
    assert_eq!(refused.status(), 403);
    let operator = app.operator("Ada").await;
    operator.post(&app, &format!("/admin/users/{}/approve", driver.id), &json!({})).await.expect(200);
    driver.get(&app, "/drivers/me").await.expect(200);
}

async fn operators_list_drivers_by_zone_and_by_whether_they_wait(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[("drivers.auto_approve", "false")]).await;
    let operator = app.operator("Ada").await;
    let mut people = Vec::new();
    for (name, zone) in [("Dan", "lisbon"), ("Eve", "porto"), ("Fay", "")] {
        let driver = app.person("driver", name).await;
        if !zone.is_empty() {
            operator.post(&app, &format!("/admin/users/{}/approve", driver.id), &json!({})).await.expect(200);
            let path = format!("/admin/drivers/{}", driver.id);
            operator.put(&app, &path, &json!({"zones": [zone]})).await.expect(200);
        }
        people.push(driver);
    }
    people[1].put(&app, "/drivers/me/status", &json!({"online": true})).await.expect(200);
    people[0].patch(&app, "/drivers/me", &json!({"zones": ["lisbon", "porto"]})).await.expect(200);
    for (query, found) in [
        ("", vec!["Dan", "Eve", "Fay"]),
        ("?zone=lisbon", vec!["Dan"]),
        ("?online=true", vec!["Eve"]),
        ("?online=false&zone=porto", vec![]),
        ("?waiting=true", vec!["Dan", "Fay"]),
    ] {
        let list = operator.get(&app, &format!("/admin/drivers{query}")).await.expect(200).json();
        let mut names = crate::each(&list, "name");
        names.sort_unstable();
        assert_eq!(names, found, "{query}: {list}");
    }
    let first = operator.get(&app, "/admin/drivers?limit=2").await.expect(200).json();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["has_more"]), (2, &json!(true)));
    let path = format!("/admin/drivers?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = operator.get(&app, &path).await.expect(200).json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["has_more"]), (1, &json!(false)));
    operator.get(&app, "/admin/drivers?online=maybe").await.expect_problem(422, "invalid");
}
