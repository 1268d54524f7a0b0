//! The body of every refusal: a problem with its request id.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::http::response::problem::{PROBLEM_JSON, to_body};
use crate::protocol::problem::{Problem, ProblemCode};

use super::request_id::RequestId;

/// Gives a refusal its body: ours get their request id, the framework's own become problems.
pub(super) fn with_problem(
    mut response: ServiceResponse<BoxBody>,
    id: &RequestId,
) -> ServiceResponse<BoxBody> {
    let ours = response.response_mut().extensions_mut().remove::<Problem>();
    let problem = match ours {
        Some(problem) => problem,
        None if is_bare_refusal(response.response()) => {
            Problem::new(code_for(response.status()), "The request could not be answered.")
        }
        None => return response,
    };
    let body = to_body(&Problem { request_id: id.as_str().to_owned(), ..problem });
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

fn is_bare_refusal(response: &HttpResponse) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    (response.status().is_client_error() || response.status().is_server_error())
        && !kind.is_some_and(|kind| kind.contains("json"))
}

fn code_for(status: StatusCode) -> ProblemCode {
    match status {
        StatusCode::NOT_FOUND => ProblemCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::UnsupportedMediaType,
        status if status.is_client_error() => ProblemCode::Malformed,
        _ => ProblemCode::Internal,
    }
}
