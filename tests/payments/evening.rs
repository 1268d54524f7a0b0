//! A hub as a process of its own, with a database, a provider that records everything, and people who try again until they are answered.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Endpoint, KilledHub, PATIENCE, Person, RecordingProvider, StoreKind, WEBHOOK_SECRET, order_body,
    signed_message,
};

/// Refunds under way are due a minute earlier: what would take a minute is waited for by nobody.
const A_MINUTE_PASSES: &str = "UPDATE refunds SET due_at = due_at - 60000000 WHERE due_at IS NOT NULL";

/// The same for refunds of which nobody knows how they stand.
const A_MINUTE_PASSES_FOR_UNKNOWN: &str =
    "UPDATE refunds SET due_at = due_at - 60000000 WHERE state = 'unknown'";

/// What the shop's soup costs.
pub(crate) const PRICE: i64 = 250;

/// One evening of one hub; it begins again whenever it has died.
pub(crate) struct Evening {
    pub(crate) provider: RecordingProvider,
    pub(crate) hub: KilledHub,
    merchant: Person,
    customer: Person,
    business: String,
}

impl Evening {
    pub(crate) async fn begin(kind: StoreKind, settings: &[(&str, &str)]) -> Self {
        let provider = RecordingProvider::start().await;
        let mut all = provider.settings();
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let hub = KilledHub::begin(kind, all, Some(A_MINUTE_PASSES)).await;
        let merchant = hub.at.person("merchant", "Mia").await;
        let business = merchant.business(&hub.at).await;
        let customer = hub.at.person("customer", "Carl").await;
        Self { provider, hub, merchant, customer, business }
    }

    /// An order to be paid online, placed once however often it is asked for.
    pub(crate) async fn order(&mut self) -> Value {
        let key = uuid::Uuid::new_v4().to_string();
        let mut body = order_body(&self.business);
        body["payment"] = json!("online");
        let customer = &self.customer;
        let order = self.hub.ask(|at| {
            customer.request(at, Method::POST, "/orders").header("idempotency-key", &key).json(&body)
        });
        order.await.expect(201).json()
    }

    /// The payment of an order, begun once however often it is asked for.
    pub(crate) async fn initiate(&mut self, order: &Value) -> String {
        let key = uuid::Uuid::new_v4().to_string();
        let body = json!({"order_id": order["id"]});
        let customer = &self.customer;
        let answer = self.hub.ask(|at| {
            let request = customer.request(at, Method::POST, "/payments/initiate");
            request.header("idempotency-key", &key).json(&body)
        });
        let answer = answer.await;
        assert!(matches!(answer.status.as_u16(), 200 | 201), "{answer:?}");
        let payment = answer.json();
        assert!(payment["redirect_url"].is_string(), "{payment}");
        payment["payment_id"].as_str().unwrap().to_owned()
    }

    /// Tells the hub what became of a payment, until it has taken it in.
    pub(crate) async fn tell(&mut self, order: &Value, payment: &str, status: &str) {
        let body = json!({"payment_id": payment, "order_id": order["id"], "status": status});
        self.hub.ask(|at| signed_message(at, WEBHOOK_SECRET, &body)).await.expect(200);
    }

    /// The business refuses an order.
    pub(crate) async fn reject(&mut self, order: &Value) {
        let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
        let body = json!({"status": "rejected", "version": order["version"]});
        let merchant = &self.merchant;
        let answer = self.hub.ask(|at| merchant.request(at, Method::PATCH, &path).json(&body));
        let answer = answer.await;
        // The answer may have been lost and the move not.
        assert!(matches!(answer.status.as_u16(), 200 | 409), "{answer:?}");
    }

    /// Waits until an order stands so, and lets time pass for refunds that wait to be asked about.
    pub(crate) async fn until(&mut self, order: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let mut last = Value::Null;
        for _ in 0..PATIENCE.as_millis() / 50 {
            let merchant = &self.merchant;
            let read = self.hub.ask(|at| merchant.request(at, Method::GET, &path));
            last = read.await.expect(200).json();
            if holds(&last) {
                return last;
            }
            self.hub.execute(A_MINUTE_PASSES_FOR_UNKNOWN).await;
            pace.tick().await;
        }
        panic!("never {what}: {last}");
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.hub.at.clone()
    }

    /// Waits until no message is left to work on.
    pub(crate) async fn until_worked_on(&self) {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let left = "SELECT COUNT(*) FROM payment_messages WHERE due_at IS NOT NULL";
        while self.hub.number(left).await > 0 {
            pace.tick().await;
        }
    }

    /// Everything once: one payment, captured once; one refund, returned once; one event of each; nothing is left.
    pub(crate) async fn expect_once(&self, order: &Value, payment: &str, case: &str) {
        let id = order["id"].as_str().unwrap();
        assert_eq!(self.provider.stands(payment).unwrap().captures, 1, "{case}: captured once");
        assert_eq!(self.provider.returned(payment), (1, PRICE), "{case}: returned once");
        let of_order = self.provider.book().payments.values().filter(|paid| paid.order == id).count();
        assert_eq!(of_order, 1, "{case}: one payment at the provider");
        for (what, sql) in [
            ("payments", format!("SELECT COUNT(*) FROM payments WHERE order_id = '{id}'")),
            (
                "refunds",
                format!("SELECT COUNT(*) FROM refunds WHERE order_id = '{id}' AND state = 'succeeded'"),
            ),
            ("refunds in all", format!("SELECT COUNT(*) FROM refunds WHERE order_id = '{id}'")),
            ("payment_received", events(id, "payment_received")),
            ("payment_refunded", events(id, "payment_refunded")),
        ] {
            assert_eq!(self.hub.number(&sql).await, 1, "{case}: {what}");
        }
        let left = "SELECT COUNT(*) FROM dead_letters WHERE state = 'open'";
        assert_eq!(self.hub.number(left).await, 0, "{case}: no fault of the hub makes a dead letter");
    }
}

fn events(order: &str, kind: &str) -> String {
    format!("SELECT COUNT(*) FROM room_events WHERE room = 'order:{order}' AND kind = '{kind}'")
}
