//! The example of every body in the document is accepted as it stands: what `/docs` shows first can be sent.

use std::collections::BTreeMap;
use std::time::Duration;

use bellhop::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::with;
use crate::{deliveries, login, payments};

/// Operations in an order in which each finds what it needs, with who asks; others come after them.
const FIRST: [(&str, Who); 8] = [
    ("signUp", Who::Nobody),
    ("signIn", Who::Nobody),
    ("createBusiness", Who::Merchant),
    ("addMenuItem", Who::Merchant),
    ("placeOrder", Who::Customer),
    ("recordPayment", Who::Merchant),
    ("refundOrder", Who::Operator),
    ("initiatePayment", Who::Customer),
];

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Nobody,
    Customer,
    Merchant,
    Driver,
    Operator,
}

struct Operation {
    id: String,
    method: Method,
    path: String,
    is_open: bool,
    example: Value,
}

fn with_bodies(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(schema) = schema.as_str() else { continue };
            found.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                is_open: operation["security"].as_array().unwrap().is_empty(),
                example: document.pointer(schema.strip_prefix('#').unwrap()).unwrap()["example"].clone(),
            });
        }
    }
    let place = |operation: &Operation| FIRST.iter().position(|(id, _)| *id == operation.id);
    found.sort_by_key(|operation| place(operation).unwrap_or(FIRST.len()));
    found
}

/// `known` in the place of ids and tokens that only examples have.
fn filled(mut example: Value, known: &BTreeMap<&str, String>) -> Value {
    for (name, value) in example.as_object_mut().into_iter().flatten() {
        if let Some(known) = known.get(name.as_str()) {
            *value = json!(known);
        }
    }
    example
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Person {
    let body = login(email, password);
    let answer =
        Answer::of(app.http.post(app.url("/api/v1/auth/login")).json(&body)).await.expect(200).json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let (token, refresh_token) = (text("access_token"), text("refresh_token"));
    Person { id: String::new(), email: email.to_owned(), token, refresh_token }
}

/// The order, delivery or offer that an operation is about.
async fn to_deliver(
    app: &TestApp,
    operation: &str,
    (customer, merchant, operator, driver): (&Person, &Person, &Person, &Person),
    known: &BTreeMap<&str, String>,
) -> String {
    // The example of a profile has room for one delivery.
    app.execute("UPDATE deliveries SET counts = FALSE".to_owned()).await;
    app.execute("UPDATE drivers SET active = 0".to_owned()).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let address = json!({"text": "Rua Augusta 1", "lat": 38.71, "lng": -9.14});
    let items = json!([{"sku": known["sku"], "qty": 1}]);
    let wish = json!({"fulfilment": "delivery", "address": address, "items": items});
    let body = with(order_body(&known["business_id"]), wish);
    let order = text(&customer.post(app, "/orders", &body).await.expect(201).json()["id"]);
    let accept = json!({"status": "accepted", "version": 1, "delivered_by": "drivers"});
    let accepted = merchant.patch(app, &format!("/orders/{order}/status"), &accept).await.expect(200).json();
    let delivery = text(&accepted["delivery"]["id"]);
    match operation {
        "fetchOrder" => order,
        "declineOffer" => deliveries::open_offer(app, &delivery, driver).await,
        "reportStep" | "unassignDelivery" => {
            let body = json!({"driver_id": driver.id});
            operator.post(app, &format!("/deliveries/{delivery}/assign"), &body).await.expect(200);
            delivery
        }
        _ => delivery,
    }
}

#[tokio::test]
async fn the_example_of_every_body_is_accepted_as_it_stands() {
    let app = TestApp::start_with(StoreKind::Sqlite, &payments::simulated()).await;
    let document = Answer::of(app.http.get(app.url("/openapi.json"))).await.expect(200).json();
    let operations = with_bodies(&document);
    assert!(operations.len() >= 11 && operations[0].id == "signUp", "bodies are found");
    let (merchant, operator) = (app.person("merchant", "Ana").await, app.operator("Ada").await);
    let driver = app.person("driver", "Dan").await;
    let mut customer = None;
    let soon = Timestamp::now().plus(Duration::from_secs(3600)).to_rfc3339();
    let mut known = BTreeMap::from([
        ("user", merchant.id.clone()),
        ("driver_id", driver.id.clone()),
        ("give_up_at", soon),
    ]);
    for operation in operations {
        let named = FIRST.iter().find(|(id, _)| *id == operation.id).map(|(_, who)| *who);
        let who = named.unwrap_or(match operation.is_open {
            true => Who::Nobody,
            false if operation.path.contains("/auth/") => Who::Customer,
            false if operation.path.contains("/admin/") => Who::Operator,
            false if operation.path.contains("/drivers/") || operation.path.contains("/offers/") => {
                Who::Driver
            }
            false if ["reportStep", "unassignDelivery"].contains(&operation.id.as_str()) => Who::Driver,
            false if operation.path.contains("/deliveries/") => Who::Operator,
            false if operation.id == "fetchOrder" => Who::Customer,
            false => Who::Merchant,
        });
        let mut path = operation.path.clone();
        for (name, value) in &known {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        if ["/deliveries/", "/offers/", "/fulfilment"].iter().any(|part| path.contains(part)) {
            let customer: &Person = customer.as_ref().expect("signing in comes first");
            let id = to_deliver(&app, &operation.id, (customer, &merchant, &operator, &driver), &known).await;
            path = path.replace("{id}", &id);
        }
        let id = match &path {
            path if path.contains("/drivers/") => "driver_id",
            path if path.contains("/orders/") => "order_id",
            path if path.contains("/refunds/") => "refund_id",
            _ => "business_id",
        };
        path = path.replace("{id}", known.get(id).map_or("", String::as_str));
        let request = app.http.request(operation.method, app.url(&path));
        let request = match who {
            Who::Nobody => request,
            Who::Merchant => request.bearer_auth(&merchant.token),
            Who::Operator => request.bearer_auth(&operator.token),
            Who::Driver => request.bearer_auth(&driver.token),
            Who::Customer => {
                let customer: &Person = customer.as_ref().expect("signing in comes first");
                request.bearer_auth(&customer.token)
            }
        };
        let mut body = filled(operation.example.clone(), &known);
        if operation.id == "initiatePayment" {
            let customer: &Person = customer.as_ref().expect("signing in comes first");
            let online = with(
                order_body(&known["business_id"]),
                json!({"payment": "online", "items": [{"sku": known["sku"], "qty": 1}]}),
            );
            body["order_id"] = customer.post(&app, "/orders", &online).await.expect(201).json()["id"].clone();
        }
        if operation.id == "acknowledgeEvents" {
            let events = merchant.get(&app, &format!("/rooms/{}/events", known["room"])).await.expect(200);
            body["cursor"] = events.json()["cursor"].clone();
        }
        let request = match operation.id.as_str() {
            "receivePaymentMessage" => {
                let signature = payments::sign(payments::WEBHOOK_SECRET, &body.to_string());
                request.header("x-signature", signature)
            }
            _ => request,
        };
        let answer = Answer::of(request.json(&body)).await;
        let (id, example) = (&operation.id, &operation.example);
        assert!(answer.status.is_success(), "{id} refuses {example}: {} {}", answer.status, answer.text);
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        match operation.id.as_str() {
            "signIn" => {
                let field = |name: &str| example[name].as_str().unwrap();
                customer = Some(sign_in(&app, field("email"), field("password")).await);
                known.insert("refresh_token", text("refresh_token"));
            }
            "createBusiness" => {
                known.insert("room", format!("business:{}", text("id")));
                known.insert("business_id", text("id"));
            }
            "addMenuItem" => drop(known.insert("sku", text("sku"))),
            "placeOrder" => drop(known.insert("order_id", text("id"))),
            "refundOrder" => drop(known.insert("refund_id", text("id"))),
            _ => {}
        }
    }
}
