//! Money over HTTP: paying online, what the provider says of it, what people record, and what goes back.

mod ends;
mod letters;
mod messages;
mod paying;
mod refunds;
mod simulated;

use std::time::Duration;

use bellhop::auth::webhook_signature::WebhookSecrets;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, Endpoint, Person, StoreKind, TestApp, order_body};
use crate::with;

/// Signs the provider's messages.
pub(crate) const WEBHOOK_SECRET: &str = "a secret of the payment provider";

/// What nothing takes as long as on a healthy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub with a payment provider that never pays by itself, a business, and a customer.
pub(crate) struct Shop {
    pub(crate) app: TestApp,
    pub(crate) owner: Person,
    pub(crate) customer: Person,
    pub(crate) operator: Person,
    pub(crate) business: String,
}

impl Shop {
    pub(crate) async fn open(kind: StoreKind) -> Self {
        Self::open_with(kind, &[]).await
    }

    pub(crate) async fn open_with(kind: StoreKind, settings: &[(&str, &str)]) -> Self {
        Self::of(TestApp::start_with(kind, &[&simulated()[..], settings].concat()).await).await
    }

    pub(crate) async fn of(app: TestApp) -> Self {
        let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
        let business = owner.business(&app).await;
        let operator = app.operator("Ada").await;
        Self { app, owner, customer, operator, business }
    }

    /// An order of the customer for 250 that is to be paid online.
    pub(crate) async fn order(&self) -> Value {
        let body = with(order_body(&self.business), json!({"payment": "online"}));
        let order = self.customer.post(&self.app, "/orders", &body).await.expect(201).json();
        assert_eq!(order["status"], "pending_payment", "{order}");
        order
    }

    /// Begins to pay an order, or finds the payment that is open.
    pub(crate) async fn initiate(&self, order: &Value) -> Answer {
        self.customer.post(&self.app, "/payments/initiate", &json!({"order_id": order["id"]})).await
    }

    /// An order, and the payment that is open for it.
    pub(crate) async fn open_payment(&self) -> (Value, Value) {
        let order = self.order().await;
        let payment = self.initiate(&order).await.expect(201).json();
        (order, payment)
    }

    /// An order that is paid and placed.
    pub(crate) async fn paid(&self) -> (Value, Value) {
        let (order, payment) = self.open_payment().await;
        self.tell(&payment, json!({"status": "SUCCESS"})).await.expect(200);
        let order = self.until(&order, |order| order["status"] == "placed").await;
        assert_eq!(order["payment"]["status"], "paid", "{order}");
        (order, payment)
    }

    /// Sends a message of the provider about a payment.
    pub(crate) async fn tell(&self, payment: &Value, says: Value) -> Answer {
        Answer::of(message(&self.app, &of(payment, says))).await
    }

    pub(crate) async fn read(&self, order: &Value) -> Value {
        let path = format!("/orders/{}", text(&order["id"]));
        self.customer.get(&self.app, &path).await.expect(200).json()
    }

    /// The order, once it is as wanted.
    pub(crate) async fn until(&self, order: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/orders/{}", text(&order["id"]));
        until(&self.app, &self.customer, &path, wanted).await
    }

    /// The refunds in a state, once there are so many of them.
    pub(crate) async fn refunds(&self, state: &str, count: usize) -> Vec<Value> {
        let path = format!("/admin/refunds?limit=50&state={state}");
        let list = until(&self.app, &self.operator, &path, |list| items(list).len() == count).await;
        items(&list).to_vec()
    }

    /// The open dead letters, once there are so many of them.
    pub(crate) async fn letters(&self, count: usize) -> Vec<Value> {
        let found = |list: &Value| items(list).len() == count;
        let list = until(&self.app, &self.operator, "/admin/dead-letters?kind=payment", found).await;
        items(&list).to_vec()
    }

    /// Waits until every message of the provider was worked on.
    pub(crate) async fn all_messages_done(&self) {
        wait_for(&self.app, "SELECT COUNT(*) FROM payment_messages WHERE state <> 'done'", 0).await;
    }

    /// Moves an order, as its business.
    pub(crate) async fn move_to(&self, order: &Value, status: &str, reason: Option<&str>) -> Value {
        let now = self.read(order).await;
        let mut body = json!({"status": status, "version": now["version"]});
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        let path = format!("/orders/{}/status", text(&order["id"]));
        self.owner.patch(&self.app, &path, &body).await.expect(200).json()
    }

    /// What was captured and has not gone back, over all payments of the hub.
    pub(crate) async fn kept(&self) -> i64 {
        let kept = "SELECT CAST(COALESCE(SUM(captured_minor - refunded_minor), 0) AS BIGINT) FROM payments";
        self.app.numbers(kept).await[0].unwrap()
    }
}

/// The settings of a hub with a provider that is simulated.
pub(crate) fn simulated() -> [(&'static str, &'static str); 2] {
    [("payments.provider", "simulated"), ("payments.webhook_secrets", WEBHOOK_SECRET)]
}

/// A message about a payment.
pub(crate) fn of(payment: &Value, says: Value) -> Value {
    with(json!({"payment_id": payment["payment_id"], "order_id": payment["order_id"]}), says)
}

/// The message of a provider that signs it as it should.
pub(crate) fn message(app: &Endpoint, body: &Value) -> RequestBuilder {
    let body = body.to_string();
    let signature = sign(WEBHOOK_SECRET, &body);
    unsigned(app, body).header("x-signature", signature)
}

pub(crate) fn unsigned(app: &Endpoint, body: String) -> RequestBuilder {
    let url = app.url("/api/v1/payments/webhook");
    app.http.request(Method::POST, url).header("content-type", "application/json").body(body)
}

pub(crate) fn sign(secret: &str, body: &str) -> String {
    WebhookSecrets::new(&[secret.into()]).sign(body.as_bytes()).unwrap()
}

/// Waits until a query finds this number.
pub(crate) async fn wait_for(app: &TestApp, sql: &str, wanted: i64) {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let found = async {
        while app.numbers(sql).await[0] != Some(wanted) {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{sql} is never {wanted}"));
}

/// What is read there, once it is as wanted.
pub(crate) async fn until(app: &TestApp, who: &Person, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let mut last = Value::Null;
    let found = async {
        loop {
            looks.tick().await;
            last = who.get(app, path).await.expect(200).json();
            if wanted(&last) {
                return;
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, found).await;
    assert!(ended.is_ok(), "{path} stays {last}");
    last
}

pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().expect("a list has items")
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
