//! A hub as a process of its own, with a database, a business, and drivers who ask for offers and take what they are offered.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Endpoint, KilledHub, PATIENCE, Person, StoreKind, order_body};

/// Between two rounds of what people do.
const PACE: Duration = Duration::from_millis(50);

/// One night of one hub; it begins again whenever it has died.
pub(crate) struct Night {
    pub(crate) hub: KilledHub,
    merchant: Person,
    customer: Person,
    business: String,
    drivers: Vec<Person>,
}

impl Night {
    /// A hub with a business and so many drivers near it, who are on.
    pub(crate) async fn begin(kind: StoreKind, drivers: usize) -> Self {
        let settings = [("dispatch.offer_s", "5"), ("dispatch.wave", "1")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let hub = KilledHub::begin(kind, settings, None).await;
        let merchant = hub.at.person("merchant", "Mia").await;
        let business = merchant.business(&hub.at).await;
        let customer = hub.at.person("customer", "Carl").await;
        let mut all = Vec::new();
        for number in 0..drivers {
            let driver = hub.at.person("driver", &format!("Dora{number}")).await;
            let profile = json!({"zones": ["lisbon"], "vehicle": "car", "capacity": 1});
            driver.patch(&hub.at, "/drivers/me", &profile).await.expect(200);
            all.push(driver);
        }
        Self { hub, merchant, customer, business, drivers: all }
    }

    /// An order for drivers, accepted so that one is searched for at once. Each write happens once however often it is asked for.
    pub(crate) async fn accepted_order(&mut self) -> Value {
        let key = uuid::Uuid::new_v4().to_string();
        let mut body = order_body(&self.business);
        body["fulfilment"] = json!("delivery");
        body["customer"] = json!({"name": "Carl", "phone": "+351210000000"});
        body["address"] = json!({"text": "Rua 1", "lat": 38.702, "lng": -9.1});
        let customer = &self.customer;
        let placed = self.hub.ask(|at| {
            customer.request(at, Method::POST, "/orders").header("idempotency-key", &key).json(&body)
        });
        let order = placed.await.expect(201).json();
        let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
        let body = json!({
            "status": "accepted", "version": order["version"], "prep_minutes": 5, "delivered_by": "drivers",
        });
        let merchant = &self.merchant;
        let accepted = self.hub.ask(|at| merchant.request(at, Method::PATCH, &path).json(&body)).await;
        // The answer may have been lost and the move not.
        assert!(matches!(accepted.status.as_u16(), 200 | 409), "{accepted:?}");
        order
    }

    /// What the app of a driver does: says that they are on and where, asks for offers, and takes what is there.
    async fn drive(&mut self, number: usize) {
        let place = json!({"lat": 38.7 + 0.001 * (number + 1) as f64, "lng": -9.1});
        let Self { hub, drivers, .. } = self;
        let driver = &drivers[number];
        let put = |path: &'static str, body: Value| {
            move |at: &Endpoint| driver.request(at, Method::PUT, path).json(&body)
        };
        hub.ask(put("/drivers/me/location", place)).await.expect(204);
        hub.ask(put("/drivers/me/status", json!({"online": true}))).await.expect(200);
        let offers =
            hub.ask(|at| driver.request(at, Method::GET, "/drivers/me/offers")).await.expect(200).json();
        for offer in offers["items"].as_array().unwrap() {
            let path = format!("/offers/{}/accept", offer["offer_id"].as_str().unwrap());
            let answer = hub.ask(|at| driver.request(at, Method::POST, &path)).await;
            assert!(matches!(answer.status.as_u16(), 200 | 409), "{answer:?}");
        }
    }

    /// Drivers work until the order is with one of them; the number of that one.
    pub(crate) async fn until_assigned(&mut self, order: &Value, case: &str) -> usize {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let mut pace = tokio::time::interval(PACE);
        let begun = tokio::time::Instant::now();
        let mut last = Value::Null;
        while begun.elapsed() < PATIENCE {
            for number in 0..self.drivers.len() {
                self.drive(number).await;
            }
            let merchant = &self.merchant;
            let read = self.hub.ask(|at| merchant.request(at, Method::GET, &path));
            last = read.await.expect(200).json();
            let driver = last["delivery"]["driver"]["id"].as_str();
            if let Some(number) = self.drivers.iter().position(|own| Some(own.id.as_str()) == driver) {
                return number;
            }
            pace.tick().await;
        }
        panic!("{case}: nobody has it: {last}");
    }

    /// The driver brings it to its end, whatever dies meanwhile.
    pub(crate) async fn deliver(&mut self, order: &Value, number: usize) {
        let Self { hub, merchant, drivers, .. } = self;
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let read = hub.ask(|at| merchant.request(at, Method::GET, &path)).await.expect(200).json();
        let path = format!("/deliveries/{}/steps", read["delivery"]["id"].as_str().unwrap());
        for step in ["picked_up", "delivered"] {
            let body = json!({"step": step});
            hub.ask(|at| drivers[number].request(at, Method::POST, &path).json(&body)).await.expect(200);
        }
    }

    /// Nobody has what somebody else has, or more than they may; what drivers' rows say is what they carry.
    pub(crate) async fn expect_consistent(&self, order: &Value, case: &str) {
        let id = order["id"].as_str().unwrap();
        for (what, sql, expected) in [
            (
                "one delivery of the order",
                format!("SELECT COUNT(*) FROM deliveries WHERE order_id = '{id}'"),
                1,
            ),
            (
                "one offer that was accepted",
                format!("SELECT COUNT(*) FROM offers WHERE order_id = '{id}' AND state = 'accepted'"),
                1,
            ),
            (
                "no open offer of what somebody has",
                format!("SELECT COUNT(*) FROM offers WHERE order_id = '{id}' AND state = 'open'"),
                0,
            ),
            (
                "one step to assigned",
                format!(
                    "SELECT COUNT(*) FROM deliveries d JOIN offers o ON o.delivery_id = d.id AND o.state = 'accepted' \
                     WHERE d.order_id = '{id}' AND o.driver_id = d.driver_id"
                ),
                1,
            ),
            (
                "drivers whose row is wrong",
                "SELECT COUNT(*) FROM drivers WHERE active <> (SELECT COUNT(*) FROM deliveries \
                 WHERE counts AND driver_id = user_id)"
                    .to_owned(),
                0,
            ),
            (
                "drivers with more than they may",
                "SELECT COUNT(*) FROM drivers WHERE active > capacity".to_owned(),
                0,
            ),
        ] {
            assert_eq!(self.hub.number(&sql).await, expected, "{case}: {what}");
        }
    }

    /// The events of a kind about this order, in the rooms of drivers or of the order.
    pub(crate) async fn events(&self, kind: &str, status: &str, order: &Value) -> i64 {
        let id = order["id"].as_str().unwrap();
        let sql = format!(
            "SELECT COUNT(*) FROM room_events WHERE room = 'order:{id}' AND kind = '{kind}' \
             AND data LIKE '%\"status\":\"{status}\"%'"
        );
        self.hub.number(&sql).await
    }
}
