//! Deliveries by drivers over HTTP: what drivers say and are asked, what they carry, and what operators and businesses do about it.

mod evenings;
mod hands;
mod offers;
mod profile;
mod sight;
mod steps;
mod ways;

use std::time::Duration;

use bellhop::domain::ids::OfferId;
use serde_json::{Value, json};

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::with;

/// A hub with a business whose orders drivers bring, its people, and a driver who is off: nobody is asked but by the test.
pub(crate) struct City {
    pub(crate) app: TestApp,
    pub(crate) owner: Person,
    pub(crate) customer: Person,
    pub(crate) operator: Person,
    pub(crate) driver: Person,
    pub(crate) business: String,
}

impl City {
    pub(crate) async fn open(kind: StoreKind) -> Self {
        let app = TestApp::start(kind).await;
        let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
        let (operator, driver) = (app.operator("Ada").await, rider(&app, "Dan").await);
        let business = owner.business(&app).await;
        let by_drivers = json!({"delivered_by": "drivers", "contact": {"phone": "+351 21 111 22 33"}});
        owner.patch(&app, &format!("/businesses/{business}"), &by_drivers).await.expect(200);
        Self { app, owner, customer, operator, driver, business }
    }

    /// An order to the customer's door, for 250 in cash, that is accepted: a driver is searched for it.
    pub(crate) async fn accepted(&self) -> Value {
        self.owner.move_order(&self.app, &self.placed().await, "accepted").await
    }

    /// The same before it is accepted.
    pub(crate) async fn placed(&self) -> Value {
        let body = with(
            order_body(&self.business),
            json!({
                "fulfilment": "delivery", "address": {"text": "Rua Augusta 1", "lat": 38.7103, "lng": -9.1365},
                "customer": {"name": "Zoe", "phone": "+351 21 000 00 00"},
            }),
        );
        self.customer.post(&self.app, "/orders", &body).await.expect(201).json()
    }

    /// Another driver who is off.
    pub(crate) async fn rider(&self, name: &str) -> Person {
        rider(&self.app, name).await
    }

    /// Gives the delivery of an order to a driver by an operator's hand.
    pub(crate) async fn assign(&self, delivery: &str, driver: &Person) -> Answer {
        let path = format!("/deliveries/{delivery}/assign");
        self.operator.post(&self.app, &path, &json!({"driver_id": driver.id})).await
    }

    /// An order, and its delivery that the driver carries.
    pub(crate) async fn carried(&self) -> (Value, String) {
        let order = self.accepted().await;
        let delivery = delivery_of(&order);
        self.assign(&delivery, &self.driver).await.expect(200);
        (order, delivery)
    }

    /// Reports a step.
    pub(crate) async fn step(&self, who: &Person, delivery: &str, body: Value) -> Answer {
        who.post(&self.app, &format!("/deliveries/{delivery}/steps"), &body).await
    }

    /// A step without anything else, that counts.
    pub(crate) async fn goes(&self, delivery: &str, step: &str) -> Value {
        self.step(&self.driver, delivery, json!({"step": step})).await.expect(200).json()
    }

    /// An order as somebody reads it.
    pub(crate) async fn read(&self, who: &Person, order: &Value) -> Value {
        who.get(&self.app, &path_of(order)).await.expect(200).json()
    }

    /// An open offer of the delivery of an order to a driver.
    pub(crate) async fn offer(&self, order: &Value, driver: &Person) -> String {
        open_offer(&self.app, &delivery_of(order), driver).await
    }

    /// The answer of a driver to an offer.
    pub(crate) async fn answers(&self, driver: &Person, offer: &str, answer: &str) -> Answer {
        driver.post(&self.app, &format!("/offers/{offer}/{answer}"), &json!({})).await
    }

    /// Lets time go by for the hub.
    pub(crate) async fn later(&self, seconds: u64) {
        self.app.advance(Duration::from_secs(seconds)).await;
    }
}

/// A driver of whom the hub knows more than the account: nobody else is asked.
async fn rider(app: &TestApp, name: &str) -> Person {
    let driver = app.person("driver", name).await;
    driver.patch(app, "/drivers/me", &json!({"takes_cash": true})).await.expect(200);
    driver
}

/// The path of an order.
pub(crate) fn path_of(order: &Value) -> String {
    format!("/orders/{}", order["id"].as_str().expect("an order has an id"))
}

/// The id of the delivery of an order.
pub(crate) fn delivery_of(order: &Value) -> String {
    order["delivery"]["id"].as_str().unwrap_or_else(|| panic!("no delivery by drivers: {order}")).to_owned()
}

/// An open offer of a delivery to a driver, for 300 and 45 seconds, as a wave opens it.
pub(crate) async fn open_offer(app: &TestApp, delivery: &str, driver: &Person) -> String {
    let offer = OfferId::generate();
    let opened = format!(
        "INSERT INTO offers (id, delivery_id, order_id, business_id, driver_id, wave, attempt, state, distance_m, payout_minor, \
         deadline_at, created_at) SELECT '{offer}', id, order_id, business_id, '{}', 1, attempt, 'open', 800, 300, \
         updated_at + 45000000, updated_at FROM deliveries WHERE id = '{delivery}'",
        driver.id,
    );
    app.execute(opened).await;
    app.execute(format!("UPDATE deliveries SET status = 'offered' WHERE id = '{delivery}'")).await;
    app.execute(format!("UPDATE orders SET delivery_status = 'offered' WHERE delivery_id = '{delivery}'"))
        .await;
    offer.to_string()
}
