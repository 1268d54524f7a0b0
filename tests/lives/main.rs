//! The lives of orders by themselves: rings, rungs, deadlines and pauses by a clock that the tests move, restarts and kills.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod deadlines;
mod outages;
mod restarts;
mod rules;
mod rungs;
mod tills;

use serde_json::Value;
use std::time::Duration;
use support::{Person, TestApp};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Ten customers. A password takes long to hash on a slow machine: they are made before the clock of an order begins.
async fn guests(app: &TestApp) -> Vec<Person> {
    let mut guests = Vec::new();
    for n in 0..10 {
        guests.push(app.person("customer", &format!("Guest{n}")).await);
    }
    guests
}

/// How often orders have taken a rung.
fn taken(app: &TestApp, rung: &str) -> u64 {
    app.metrics().order_rings_total.with_label_values(&[rung]).get()
}

/// The order as its customer sees it.
async fn seen(app: &TestApp, customer: &Person, order: &Value) -> Value {
    customer.get(app, &format!("/orders/{}", order["id"].as_str().unwrap())).await.expect(200).json()
}
