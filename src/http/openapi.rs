//! The OpenAPI document, generated from the routes and their types, and the pages that show it.

use std::sync::LazyLock;

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::{App, HttpResponse, web};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, LicenseBuilder, OpenApi, PathItem, Ref, RefOr, Response};
use utoipa::{PartialSchema, ToSchema};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::protocol::problem::{FieldError, Problem, ProblemCode};

use super::problem::PROBLEM_JSON;
use super::routes;

const ABOUT: &str = "A realtime order and notification hub. Every refusal is an RFC 9457 problem whose `code` \
is a stable word. Money is whole minor units, times are RFC 3339 in UTC. Live events come over the sockets \
`/ws/notifications/{business_id}` and `/ws/orders/{order_id}`, which OpenAPI cannot describe, or by long poll and event stream under \
`/api/v1/rooms`. While the store is away, what was read before is answered with `Cache-Status: bellhop; hit; ttl=-42; \
detail=stale` (RFC 9211), 42 seconds past its time.";

/// What is told of the document; the document itself, some 2 MiB, is not kept.
struct Description {
    json: String,
    methods: Vec<(ResourceDef, Vec<Method>)>,
}

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let mut document = generate();
    let json = document.to_pretty_json().expect("the document is made of texts and numbers");
    let row = |(path, item): (&String, &mut PathItem)| {
        let methods = operations_mut(item).into_iter().map(|(method, _)| method).collect();
        (ResourceDef::new(path.as_str()), methods)
    };
    Description { json, methods: document.paths.paths.iter_mut().map(row).collect() }
});

fn generate() -> OpenApi {
    let app = App::new().into_utoipa_app().configure(routes::documented);
    let (_, mut document) = app.split_for_parts();
    document.info = InfoBuilder::new()
        .title("Bellhop")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .build();
    let components = document.components.get_or_insert_default();
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    components.schemas.insert("FieldError".to_owned(), FieldError::schema());
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for (path, item) in &mut document.paths.paths {
        for (_, operation) in operations_mut(item) {
            add_refusals(path, operation);
        }
    }
    document
}

/// The document as JSON.
pub fn openapi_json() -> String {
    DESCRIPTION.json.clone()
}

/// The methods a path can be asked with; none for a path that is none of ours.
pub fn methods_of(path: &str) -> Vec<Method> {
    let rows = DESCRIPTION.methods.iter().filter(|(pattern, _)| pattern.is_match(path));
    rows.flat_map(|(_, methods)| methods.iter().cloned()).collect()
}

/// Mounts `/openapi.json` and the pages that show it under `/docs/`. They load nothing from elsewhere.
pub fn pages(config: &mut web::ServiceConfig) {
    let to_docs = || {
        web::get()
            .to(|| async { HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish() })
    };
    config
        .route("/openapi.json", web::get().to(json))
        .route("/docs", to_docs())
        .route("/redoc", to_docs())
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::new(["/openapi.json"])));
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DESCRIPTION.json.as_str())
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

/// What any route of its kind can refuse with, and the form of every refusal.
fn add_refusals(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.iter().flatten();
    let has_parameter = |word: &str| {
        let written = parameters.clone().filter_map(|p| serde_json::to_value(p).ok());
        written.into_iter().any(|p| p["in"] == word)
    };
    let (in_path, in_query) = (has_parameter("path"), has_parameter("query"));
    let mut codes = Vec::new();
    if operation.security.is_some() {
        codes.extend([ProblemCode::Unauthenticated, ProblemCode::Forbidden]);
    }
    if operation.request_body.is_some() {
        codes.extend([
            ProblemCode::Malformed,
            ProblemCode::RequestTimeout,
            ProblemCode::TooLarge,
            ProblemCode::UnsupportedMediaType,
        ]);
    }
    if in_path {
        codes.push(ProblemCode::NotFound);
    }
    if in_query || operation.request_body.is_some() {
        codes.push(ProblemCode::Invalid);
    }
    if path.starts_with("/api/") {
        codes.extend([
            ProblemCode::Misdirected,
            ProblemCode::TooManyRequests,
            ProblemCode::Internal,
            ProblemCode::Unavailable,
        ]);
    }
    let responses = &mut operation.responses.responses;
    for code in codes {
        let general = || Response::new(format!("`{}`: {}", code.as_str(), code.title()));
        responses.entry(code.status().to_string()).or_insert_with(|| RefOr::T(general()));
    }
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
            && response.content.is_empty()
        {
            let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(Problem::name()))));
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(content));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use serde_json::Value;

    use super::*;

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
                assert_eq!(reached, described.contains(&(verb.to_owned(), path.clone())), "{verb} {path}");
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
            let open = ["/auth/signup", "/auth/login", "/auth/refresh"].iter().any(|p| path.ends_with(p));
            let public = open || !path.starts_with("/api/") || (verb == "get" && path.ends_with("/menu"));
            assert_eq!(operation["security"].is_null(), public, "{verb} {path}");
            if path.starts_with("/api/") {
                assert!(operation["responses"]["503"]["content"][PROBLEM_JSON].is_object(), "{verb} {path}");
            }
        }
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }

    #[test]
    fn orders_of_a_business_that_is_not_there_are_described_as_not_found() {
        let document = document();
        for verb in ["get", "post"] {
            let refusal = &document["paths"]["/api/v1/orders"][verb]["responses"]["404"];
            assert!(refusal["content"][PROBLEM_JSON].is_object(), "{verb}");
        }
    }

    #[test]
    fn the_methods_of_a_path_are_known() {
        assert_eq!(methods_of("/api/v1/orders"), [Method::GET, Method::POST]);
        assert_eq!(methods_of("/api/v1/orders/x/status"), [Method::PATCH]);
        assert!(methods_of("/api/v1/order").is_empty());
    }
}
