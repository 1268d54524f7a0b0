//! The OpenAPI document, generated from the routes and their types, and the pages that show it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::{App, HttpResponse, web};
use utoipa::PartialSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, PathItem, Server};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::domain::ephemeral::EphemeralPayload;
use crate::domain::event::EventPayload;
use crate::protocol::problem::{FieldError, Problem};

use crate::http::middleware::request_path::DOCUMENTATION;
use crate::http::routes;

mod refusals;
mod schemas;

const ABOUT: &str = "A realtime order and notification hub: an order rings every device of the business until somebody \
answers.\n\n\
Sign up, sign in, and send the access token as `Authorization: Bearer`. Every refusal is an RFC 9457 problem whose `code` is a \
stable word. Money is whole minor units, times are RFC 3339 in UTC.\n\n\
Live events come over the sockets `/ws/notifications/{business_id}`, `/ws/orders/{order_id}` and `/ws/driver`, which OpenAPI cannot describe, or \
by long poll and event stream under `/api/v1/rooms`.\n\n\
An answer with `Cache-Status: bellhop; hit; ttl=-42; detail=stale` is a copy whose time is over by 42 seconds, shown while the \
database is away.";

/// The path of the document.
const JSON: &str = "/openapi.json";

/// Groups of routes in the order a newcomer needs them.
const TAGS: [(&str, &str); 9] = [
    ("accounts", "Accounts, login sessions and tickets"),
    ("businesses", "Businesses, their members and invitations"),
    ("menu", "What a business sells"),
    ("orders", "Orders and what became of them"),
    ("drivers", "Drivers, what they are offered, and deliveries"),
    ("payments", "Payments of orders, and what goes back"),
    ("rooms", "Events as they happen, and those that were missed"),
    ("notifications", "Messages to every device of a business"),
    ("operations", "Health, metrics and what operators do"),
];

/// The document as JSON. Its parts, some 2 MiB, are not kept.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| generate().to_pretty_json().expect("the document is made of texts and numbers"));

fn generate() -> OpenApi {
    let app = App::new().into_utoipa_app().configure(routes::documented);
    let (_, mut document) = app.split_for_parts();
    document.info = InfoBuilder::new()
        .title("Bellhop")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
        ))
        .build();
    // Wherever the document was read from; a proxy may stand in front.
    document.servers = Some(vec![Server::new("/")]);
    let tag = |(name, about): (&str, &str)| TagBuilder::new().name(name).description(Some(about)).build();
    document.tags = Some(TAGS.into_iter().map(tag).collect());
    let components = document.components.get_or_insert_default();
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    components.schemas.insert("FieldError".to_owned(), FieldError::schema());
    components.schemas.extend(EventPayload::schemas());
    components.schemas.extend(EphemeralPayload::schemas());
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let mut bodies = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations_mut(item) {
            let facts = routes::TABLE.facts(&method, path).expect("every route states its facts");
            if facts.roles.is_some() {
                operation.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
            }
            refusals::add(facts, operation, &mut components.examples);
            schemas::never_null(operation);
            bodies.extend(schemas::names_in(&operation.request_body));
            // A route without credentials says so.
            operation.security.get_or_insert_default();
        }
    }
    schemas::optional_is_nullable(components, bodies);
    document
}

/// The document as JSON.
pub fn openapi_json() -> String {
    DOCUMENT.clone()
}

/// Mounts the document and the pages that show it under `/docs/`. They load nothing from elsewhere.
pub fn pages(config: &mut web::ServiceConfig) {
    let to_docs = || {
        web::get().to(|| async {
            HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{DOCUMENTATION}/"))).finish()
        })
    };
    config
        .route(JSON, web::get().to(json))
        .route(DOCUMENTATION, to_docs())
        .route("/redoc", to_docs())
        .service(SwaggerUi::new(format!("{DOCUMENTATION}/{{_:.*}}")).config(Config::new([JSON])));
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}

fn operations_mut(item: &mut PathItem) -> Vec<(Method, &mut Operation)> {
    [
        (Method::GET, item.get.as_mut()),
        (Method::POST, item.post.as_mut()),
        (Method::PATCH, item.patch.as_mut()),
        (Method::PUT, item.put.as_mut()),
        (Method::DELETE, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.map(|operation| (method, operation)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use serde_json::Value;

    use super::*;

    use crate::http::response::problem::PROBLEM_JSON;

    fn document() -> Value {
        serde_json::from_str(&openapi_json()).unwrap()
    }

    fn described() -> Vec<(String, String)> {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let verbs: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
            verbs.into_iter().map(|verb| (verb, path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// Whether requests for `path` are also requests for `template`, whose parameters stand for any text.
    fn covers(template: &str, path: &str) -> bool {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(one, other)| one == other || one.starts_with('{'))
    }

    #[actix_web::test]
    async fn every_described_route_is_mounted_and_no_other_method_of_its_path() {
        let described: BTreeSet<(String, String)> = described().into_iter().collect();
        let app = App::new().into_utoipa_app().configure(routes::documented);
        // Mounted without state, a handler that is reached fails; what no route takes is 404.
        let app = init_service(app.into_app()).await;
        let paths: BTreeSet<&String> = described.iter().map(|(_, path)| path).collect();
        for path in paths {
            for verb in ["get", "post", "put", "patch", "delete"] {
                let method = Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap();
                let request = TestRequest::with_uri(path.as_str()).method(method).to_request();
                let reached = std::panic::AssertUnwindSafe(try_call_service(&app, request));
                let reached = match futures_util::FutureExt::catch_unwind(reached).await {
                    Ok(Ok(response)) => response.status() != StatusCode::NOT_FOUND,
                    Ok(Err(_)) | Err(_) => true,
                };
                let expected = described.iter().any(|(of, other)| of == verb && covers(other, path));
                assert_eq!(reached, expected, "{verb} {path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                    Value::String(target) if name == "$ref" => {
                        found.insert(target.clone());
                    }
                    value => references(value, found),
                }),
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => (),
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.contains("#/components/schemas/Problem"));
        for reference in found {
            let path = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(path).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_route_says_what_it_refuses_and_who_may_use_it() {
        let document = document();
        for (verb, path) in described() {
            let operation = &document["paths"][&path][&verb];
            assert!(operation["summary"].is_string(), "{verb} {path} has no summary");
            let open = ["/auth/signup", "/auth/login", "/auth/refresh", "/payments/webhook"]
                .iter()
                .any(|p| path.ends_with(p));
            let public = open || !path.starts_with("/api/") || (verb == "get" && path.ends_with("/menu"));
            assert_eq!(operation["security"].as_array().map(Vec::is_empty), Some(public), "{verb} {path}");
            if path.starts_with("/api/") {
                assert!(operation["responses"]["503"]["content"][PROBLEM_JSON].is_object(), "{verb} {path}");
            }
        }
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_a_known_tag() {
        let document = document();
        let mut seen = BTreeSet::new();
        for (verb, path) in described() {
            let operation = &document["paths"][&path][&verb];
            let id = operation["operationId"].as_str().unwrap();
            let is_name =
                id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(char::is_alphanumeric);
            assert!(is_name && id.len() > 4, "{verb} {path}: {id} is no name for a function of a client");
            assert!(seen.insert(id.to_owned()), "{verb} {path}: {id} is taken");
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(TAGS.iter().any(|(known, _)| *known == tag), "{verb} {path}: {tag}");
        }
    }

    #[test]
    fn every_body_has_one_example_and_every_refusal_looks_like_itself() {
        let document = document();
        for (verb, path) in described() {
            let operation = &document["paths"][&path][&verb];
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            if let Some(name) = body.as_str() {
                let schema = document.pointer(name.strip_prefix('#').unwrap()).unwrap();
                assert!(schema["example"].is_object(), "{verb} {path}: {name} has no example");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let Some(content) = response["content"].get(PROBLEM_JSON) else { continue };
                let examples = content["examples"].as_object().unwrap();
                assert!(!examples.is_empty(), "{verb} {path} {status}");
                for code in examples.keys() {
                    let shown = &document["components"]["examples"][code]["value"];
                    assert_eq!(shown["status"].to_string(), *status, "{verb} {path}: {shown}");
                }
            }
        }
    }

    #[test]
    fn parameters_have_their_types_bounds_and_defaults_and_are_never_null() {
        let document = document();
        for (verb, path) in described() {
            for parameter in document["paths"][&path][&verb]["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["schema"]["type"].is_string(), "{verb} {path} {parameter}");
            }
        }
        let limit = &document["paths"]["/api/v1/orders"]["get"]["parameters"].as_array().unwrap().iter();
        let limit = limit.clone().find(|parameter| parameter["name"] == "limit").unwrap();
        let expected = serde_json::json!({"type": "integer", "minimum": 1, "maximum": 50, "default": 20});
        assert_eq!(limit["schema"], expected);
    }

    #[test]
    fn orders_of_a_business_that_is_not_there_are_described_as_not_found() {
        let document = document();
        for verb in ["get", "post"] {
            let refusal = &document["paths"]["/api/v1/orders"][verb]["responses"]["404"];
            assert!(refusal["content"][PROBLEM_JSON].is_object(), "{verb}");
        }
    }
}
