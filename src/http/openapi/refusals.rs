//! Refusals in the document: those that each route can give, with an example of each.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::example::Example;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{Content, Ref, RefOr, Response};

use crate::http::limits::Rate;
use crate::http::response::problem::PROBLEM_JSON;
use crate::http::route_table::RouteFacts;
use crate::protocol::problem::{FieldError, Problem, ProblemCode};

/// A refusal of each code that is shown anywhere, by its code.
pub(super) type Examples = BTreeMap<String, RefOr<Example>>;

/// Adds what any route of its kind can refuse with, and the form of every refusal.
pub(super) fn add(facts: &RouteFacts, operation: &mut Operation, shown: &mut Examples) {
    let codes = codes_of_kind(facts, operation);
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
            let mut content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(Problem::name()))));
            for code in codes_of(status, &response.description) {
                let name = code.as_str().to_owned();
                let place = format!("#/components/examples/{name}");
                content.examples.insert(name.clone(), RefOr::Ref(Ref::new(place)));
                shown.entry(name).or_insert_with(|| RefOr::T(sample(code)));
            }
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(content));
        }
    }
}

/// The codes that every route of its kind can refuse with.
fn codes_of_kind(facts: &RouteFacts, operation: &Operation) -> Vec<ProblemCode> {
    let has = |place: ParameterIn| {
        operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if p.parameter_in == place))
    };
    let (in_path, in_query) = (has(ParameterIn::Path), has(ParameterIn::Query));
    let mut codes = Vec::new();
    if facts.roles.is_some() {
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
    // Supervisors get the plain answers of their route.
    if facts.rate != Rate::Health {
        codes.extend([
            ProblemCode::Misdirected,
            ProblemCode::TooManyRequests,
            ProblemCode::Internal,
            ProblemCode::Unavailable,
        ]);
    }
    codes
}

/// The codes that the description of a response names, or the usual one of its status.
fn codes_of(status: &str, description: &str) -> Vec<ProblemCode> {
    let of_status = || ProblemCode::ALL.iter().copied().filter(|code| code.status().to_string() == status);
    let is_named = |code: &ProblemCode| description.contains(&format!("`{}`", code.as_str()));
    let named: Vec<_> = of_status().filter(is_named).collect();
    if named.is_empty() { of_status().take(1).collect() } else { named }
}

/// A refusal as a client sees it.
fn sample(code: ProblemCode) -> Example {
    let detail = match code {
        ProblemCode::Invalid => "See errors.".to_owned(),
        ProblemCode::NotFound => "Nothing that you may see has this address.".to_owned(),
        ProblemCode::TooManyRequests => "Ask again when Retry-After says.".to_owned(),
        ProblemCode::Unavailable => "The store does not answer; nothing happened.".to_owned(),
        ProblemCode::OutcomeUnknown => "Repeat the request with the same idempotency key.".to_owned(),
        ProblemCode::StaleVersion | ProblemCode::PreconditionFailed => {
            "Read the order and decide again.".to_owned()
        }
        _ => format!("{}.", code.title()),
    };
    let mut problem = Problem::new(code, detail);
    problem.request_id = "0190f3c1-a2b3-7d4e-8f00-112233445566".to_owned();
    match code {
        ProblemCode::Invalid => {
            let (field, message) = ("items[0].qty".to_owned(), "lower than 1".to_owned());
            problem.errors.push(FieldError { field, message });
        }
        ProblemCode::StaleVersion | ProblemCode::PreconditionFailed => problem.current_version = Some(2),
        ProblemCode::MoveForbidden => {
            problem.allowed = Some(vec!["accepted".to_owned(), "rejected".to_owned()]);
        }
        _ => {}
    }
    let mut example = Example::new();
    example.value = Some(json!(problem));
    example
}
