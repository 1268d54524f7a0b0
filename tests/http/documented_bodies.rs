//! The example of every body in the document is accepted as it stands: what `/docs` shows first can be sent.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::with;
use crate::{login, payments};

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

#[tokio::test]
async fn the_example_of_every_body_is_accepted_as_it_stands() {
    let app = TestApp::start_with(StoreKind::Sqlite, &payments::simulated()).await;
    let document = Answer::of(app.http.get(app.url("/openapi.json"))).await.expect(200).json();
    let operations = with_bodies(&document);
    assert!(operations.len() >= 11 && operations[0].id == "signUp", "bodies are found");
    let (merchant, operator) = (app.person("merchant", "Ana").await, app.operator("Ada").await);
    let mut customer = None;
    let mut known = BTreeMap::from([("user", merchant.id.clone())]);
    for operation in operations {
        let named = FIRST.iter().find(|(id, _)| *id == operation.id).map(|(_, who)| *who);
        let who = named.unwrap_or(match operation.is_open {
            true => Who::Nobody,
            false if operation.path.contains("/auth/") => Who::Customer,
            false if operation.path.contains("/admin/") => Who::Operator,
            false => Who::Merchant,
        });
        let mut path = operation.path.clone();
        for (name, value) in &known {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let id = match &path {
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
            "createBusiness" => drop(known.insert("business_id", text("id"))),
            "addMenuItem" => drop(known.insert("sku", text("sku"))),
            "placeOrder" => drop(known.insert("order_id", text("id"))),
            "refundOrder" => drop(known.insert("refund_id", text("id"))),
            _ => {}
        }
    }
}
