//! Every route does what the facts it states say: quota, body limit, audience, and who can reach it.

use bellhop::domain::access::Role;
use bellhop::http::limits::Rate;
use bellhop::http::route_table::{Exposure, RouteFacts};
use bellhop::http::routes::TABLE;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::header;
use crate::support::{Answer, Endpoint, Person, StoreKind, TestApp};

struct Route {
    method: Method,
    /// With the id of something absent in the place of each parameter.
    path: String,
    has_body: bool,
    facts: RouteFacts,
}

/// Every documented route; the one that ends the login session comes last.
fn routes() -> Vec<Route> {
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = with_ids(path);
        for (verb, operation) in item.as_object().unwrap() {
            let method: Method = verb.to_uppercase().parse().unwrap();
            let known = actix_web::http::Method::from_bytes(method.as_str().as_bytes()).unwrap();
            let facts = *TABLE.facts(&known, &path).unwrap_or_else(|| panic!("{method} {path} has no facts"));
            let has_body = operation["requestBody"].is_object();
            routes.push(Route { method, path: path.clone(), has_body, facts });
        }
    }
    assert!(routes.len() > 40, "{} routes", routes.len());
    routes.sort_by_key(|route| route.path.ends_with("/logout"));
    routes
}

fn with_ids(path: &str) -> String {
    let mut kind = "";
    let parts = path.split('/').map(|part| {
        let prefix = match kind {
            "businesses" => "biz_",
            "invitations" => "inv_",
            "notifications" => "ntf_",
            "orders" => "ord_",
            "refunds" => "ref_",
            "dead-letters" => "dlt_",
            "sessions" => "ses_",
            "deliveries" => "dlv_",
            "offers" => "off_",
            "rooms" => "business:biz_",
            "drivers" | "members" | "users" => "usr_",
            _ => "",
        };
        kind = part;
        if part.starts_with('{') { format!("{prefix}{:032x}", 7) } else { part.to_owned() }
    });
    parts.collect::<Vec<_>>().join("/")
}

impl Route {
    fn ask(&self, at: &Endpoint, who: Option<&Person>) -> RequestBuilder {
        let request = at.http.request(self.method.clone(), at.url(&self.path));
        match who {
            Some(person) => request.bearer_auth(&person.token),
            None => request,
        }
    }
}

async fn everybody(app: &TestApp) -> [(Role, Person); 4] {
    [
        (Role::Customer, app.person("customer", "Zoe").await),
        (Role::Merchant, app.person("merchant", "Olga").await),
        (Role::Driver, app.person("driver", "Dan").await),
        (Role::Admin, app.operator("Ada").await),
    ]
}

#[tokio::test]
async fn a_route_is_for_its_audience_and_nobody_else() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let everybody = everybody(&app).await;
    for route in routes() {
        let Route { method, path, facts, .. } = &route;
        let unknown = Answer::of(route.ask(&app, None)).await;
        // A message of the provider shows a signature instead.
        let asks_for_a_token = unknown.status == 401 && unknown.json()["code"] != "bad_signature";
        assert_eq!(asks_for_a_token, facts.roles.is_some(), "{method} {path}: {}", unknown.status);
        let Some(roles) = facts.roles else { continue };
        for (role, person) in &everybody {
            let answer = Answer::of(route.ask(&app, Some(person))).await;
            assert_ne!(answer.status, 401, "{method} {path} as {role}");
            let refused = answer.status == 403 && answer.json()["code"] == "forbidden";
            assert_eq!(!refused, roles.contains(role), "{method} {path} as {role}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn a_body_may_have_as_many_bytes_as_its_route_says() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let everybody = everybody(&app).await;
    for route in routes().into_iter().filter(|route| route.has_body) {
        let Route { method, path, facts, .. } = &route;
        let allowed = |role: &Role| facts.roles.is_none_or(|roles| roles.contains(role));
        let who = everybody.iter().find(|(role, _)| allowed(role)).map(|(_, person)| person);
        for (bytes, too_large) in [(facts.body_limit, false), (facts.body_limit + 1, true)] {
            let body = " ".repeat(bytes);
            let request = route.ask(&app, who).header("content-type", "application/json").body(body);
            let answer = Answer::of(request).await;
            assert_eq!(answer.status == 413, too_large, "{method} {path}, {bytes} bytes: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn a_request_consumes_the_quota_that_its_route_says() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("limits.enabled", "true")]).await;
    let zoe = app.person("customer", "Zoe").await;
    let class = |answer: &Answer| header(answer, "ratelimit").split('"').nth(1).unwrap_or("").to_owned();
    let base = |class: &str| class.split('-').next().unwrap_or_default().to_owned();
    for route in routes() {
        let Route { method, path, facts, .. } = &route;
        let (unknown, known) = match facts.rate {
            Rate::Caller => ("public", "api"),
            Rate::Auth => ("auth", "auth"),
            // The price of a body without one of our tokens.
            Rate::Refresh => ("public", "public"),
            Rate::Order => ("public", ""),
            Rate::Move => ("public", "moves"),
            Rate::Health => ("health", "health"),
            // The price of a message that nobody signed.
            Rate::Webhook => ("public", "public"),
        };
        let answer = Answer::of(route.ask(&app, None)).await;
        assert_eq!(base(&class(&answer)), unknown, "{method} {path}, not signed in");
        let answer = Answer::of(route.ask(&app, Some(&zoe))).await;
        assert_eq!(base(&class(&answer)), known, "{method} {path}, signed in");
    }
}

#[tokio::test]
async fn operators_routes_are_on_their_own_listener_alone_and_only_probes_answer_any_host() {
    let settings = [("ops.bind", "127.0.0.1:0"), ("server.trusted_hosts", "127.0.0.1")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let ops = app.ops();
    for route in routes() {
        let Route { method, path, facts, .. } = &route;
        let hidden = facts.exposure != Exposure::Public;
        let main = Answer::of(route.ask(&app, None)).await;
        assert!(!hidden || main.status == 404, "{method} {path}: {}", main.status);
        let operators = Answer::of(route.ask(&ops, None)).await;
        let there = hidden || facts.rate == Rate::Health;
        assert_eq!(operators.status != 404, there, "{method} {path} for operators: {}", operators.status);
        let by_address = Answer::of(route.ask(&app, None).header("host", "10.0.0.7")).await;
        assert_eq!(by_address.status == 421, !facts.any_host, "{method} {path}: {}", by_address.status);
    }
}
