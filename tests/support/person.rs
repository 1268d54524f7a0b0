use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::app::Endpoint;

/// How long a hub that refuses new work is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

pub const PASSWORD: &str = "correct horse battery";

/// Somebody signed in.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
    pub refresh_token: String,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("the hub answers")).await
    }

    pub async fn read(response: Response) -> Self {
        let bellhop_client::Answer { status, headers, text } =
            bellhop_client::Answer::read(response).await.expect("the body arrives");
        Self { status, headers, text }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    /// The status, or the whole answer in the panic.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// A problem of this code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
        problem
    }
}

impl Person {
    pub(super) async fn new(app: &Endpoint, role: &str, name: &str) -> Self {
        let email = format!("{}-{}@example.org", name.to_lowercase(), uuid::Uuid::new_v4().simple());
        let body = json!({"email": email, "password": PASSWORD, "role": role, "name": name});
        let made = anonymously(app, "/auth/signup", &body).await.expect(201).json();
        let id = made["id"].as_str().expect("an id").to_owned();
        let mut person = Self { id, email, token: String::new(), refresh_token: String::new() };
        person.sign_in(app, None).await;
        person
    }

    /// Signs in again, on a device if one is named.
    pub async fn sign_in(&mut self, app: &Endpoint, device: Option<&str>) {
        let mut body = json!({"email": self.email, "password": PASSWORD});
        if let Some(device) = device {
            body["device"] = json!({"id": device, "name": device, "platform": "test"});
        }
        let answer = anonymously(app, "/auth/login", &body).await.expect(200).json();
        self.token = answer["access_token"].as_str().expect("a token").to_owned();
        self.refresh_token = answer["refresh_token"].as_str().expect("a token").to_owned();
    }

    pub fn request(&self, app: &Endpoint, method: Method, path: &str) -> RequestBuilder {
        app.http.request(method, app.url(&format!("/api/v1{path}"))).bearer_auth(&self.token)
    }

    pub async fn get(&self, app: &Endpoint, path: &str) -> Answer {
        Answer::of(self.request(app, Method::GET, path)).await
    }

    pub async fn post(&self, app: &Endpoint, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(app, Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, app: &Endpoint, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(app, Method::PATCH, path).json(body)).await
    }

    pub async fn put(&self, app: &Endpoint, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(app, Method::PUT, path).json(body)).await
    }

    pub async fn delete(&self, app: &Endpoint, path: &str) -> Answer {
        Answer::of(self.request(app, Method::DELETE, path)).await
    }

    /// A business of this merchant with soup (250) and bread (100) on the menu, in EUR, with 20 tables.
    pub async fn business(&self, app: &Endpoint) -> String {
        let body = json!({
            "name": "Soup Kitchen", "location": {"lat": 38.7, "lng": -9.1}, "zone": "lisbon", "currency": "EUR", "tables": 20,
        });
        let business = self.post(app, "/businesses", &body).await.expect(201).json();
        let id = business["id"].as_str().expect("an id").to_owned();
        for (sku, price) in [("soup", 250), ("bread", 100)] {
            let item = json!({"sku": sku, "name": sku, "price_minor": price, "available": true});
            self.post(app, &format!("/businesses/{id}/menu/items"), &item).await.expect(201);
        }
        id
    }

    /// Invites `staff`, who accepts.
    pub async fn take_in(&self, app: &Endpoint, business: &str, staff: &Person) {
        let body = json!({"user_id": staff.id, "role": "staff"});
        self.post(app, &format!("/businesses/{business}/members"), &body).await.expect(202);
        staff.accept_invitation(app, business).await;
    }

    /// Accepts the invitation of this business.
    pub async fn accept_invitation(&self, app: &Endpoint, business: &str) {
        let invitations = self.get(app, "/invitations").await.expect(200).json();
        let invitations = invitations["items"].as_array().expect("a list");
        let of_it = invitations.iter().find(|invitation| invitation["business"]["id"] == business);
        let id = of_it.expect("an invitation of the business")["id"].as_str().expect("an id");
        self.post(app, &format!("/invitations/{id}/accept"), &json!({})).await.expect(200);
    }

    /// A cash order of one soup for pickup.
    pub async fn order(&self, app: &Endpoint, business: &str) -> Value {
        self.post(app, "/orders", &order_body(business)).await.expect(201).json()
    }

    /// Moves an order; the answer is the order as it is then.
    pub async fn move_order(&self, app: &Endpoint, order: &Value, status: &str) -> Value {
        let path = format!("/orders/{}/status", order["id"].as_str().expect("an id"));
        self.patch(app, &path, &json!({"status": status, "version": order["version"]}))
            .await
            .expect(200)
            .json()
    }
}

/// The answer to somebody who has no token yet. On a machine that is too busy the hub refuses for a moment, and is asked again,
/// as any client is told.
async fn anonymously(app: &Endpoint, path: &str, body: &Value) -> Answer {
    let began = Instant::now();
    loop {
        let answer = Answer::of(app.http.post(app.url(&format!("/api/v1{path}"))).json(body)).await;
        if answer.status != 503 || began.elapsed() > PATIENCE {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub fn order_body(business: &str) -> Value {
    json!({"business_id": business, "fulfilment": "pickup", "items": [{"sku": "soup", "qty": 1}], "payment": "cash"})
}
