//! Every refusal as an RFC 9457 body. Causes go to the log once; clients get the stable word and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};

use crate::actors::persistence::{RETRY_AFTER, SubmitError};
use crate::actors::room::RoomUnavailable;
use crate::domain::delivery::ProofRule;
use crate::domain::money::Currency;
use crate::domain::order::Status;
use crate::domain::time::Timestamp;
use crate::protocol::problem::{FieldError, OfferedOrders, Problem, ProblemCode};
use crate::storage::StoreError;

use crate::auth::password::PasswordError;

/// The media type of every refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most fields a problem names: an answer does not grow far beyond the request it refuses.
pub const MAX_FIELD_ERRORS: usize = 100;

/// A refusal on its way to the client. The request id is filled in by the middleware, which knows it.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug, Clone)]
struct Refusal {
    code: ProblemCode,
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// A refusal of this code; `detail` is shown to the client.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let error =
            Self(Box::new(Refusal { code, problem: Problem::new(code, detail), headers: Vec::new() }));
        match code.status() {
            401 if code != ProblemCode::BadSignature => {
                error.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            503 => error.retry_after(RETRY_AFTER),
            _ => error,
        }
    }

    /// The one answer for what is absent, what is somebody else's and what no id could name.
    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "Nothing that you may see has this address.")
    }

    /// Bad values; `fields` names all of them, of which the first [`MAX_FIELD_ERRORS`] are told.
    pub fn invalid(mut fields: Vec<FieldError>) -> Self {
        fields.truncate(MAX_FIELD_ERRORS);
        let mut error = Self::new(ProblemCode::Invalid, "Correct the fields that are named and try again.");
        error.0.problem.errors = fields;
        error
    }

    /// One bad value.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// Something broke here: `cause` is logged now and never shown.
    pub fn internal(cause: &(dyn StdError + 'static)) -> Self {
        tracing::error!(error = cause, "a request failed");
        Self::new(ProblemCode::Internal, "The fault is ours and was recorded.")
    }

    /// The code of the refusal.
    pub fn code(&self) -> ProblemCode {
        self.0.code
    }

    /// The body, its request id still empty.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Names the moves that are allowed instead.
    pub fn allowed(mut self, moves: Vec<String>) -> Self {
        self.0.problem.allowed = Some(moves);
        self
    }

    /// Names the present version and where the order stands in it.
    pub fn current(mut self, version: i64, status: Status) -> Self {
        self.0.problem.current_version = Some(version);
        self.0.problem.current_status = Some(status.as_str().to_owned());
        self
    }

    /// Names what the order costs now.
    pub fn total(mut self, total_minor: i64, currency: Currency) -> Self {
        self.0.problem.total_minor = Some(total_minor);
        self.0.problem.currency = Some(currency.to_string());
        self
    }

    /// Names what of a payment can still go back.
    pub fn left(mut self, left_minor: i64) -> Self {
        self.0.problem.left_minor = Some(left_minor);
        self
    }

    /// Names how often a code can still be tried.
    pub fn tries_left(mut self, tries: u8) -> Self {
        self.0.problem.tries_left = Some(tries);
        self
    }

    /// Names the proof that is needed.
    pub fn proof(mut self, proof: ProofRule) -> Self {
        self.0.problem.proof = Some(proof.as_str().to_owned());
        self
    }

    /// Says from when on it can be done.
    pub fn until(mut self, until: Timestamp) -> Self {
        self.0.problem.until = Some(until.to_rfc3339());
        self
    }

    /// Names the orders that the business takes.
    pub fn offered(mut self, orders: OfferedOrders) -> Self {
        self.0.problem.offered = Some(orders);
        self
    }

    /// As the answer to a request with an idempotency key, which can be repeated where it is not known what came of it.
    pub fn of_keyed_request(mut self) -> Self {
        if self.0.code == ProblemCode::OutcomeUnknown {
            self.0.problem.detail =
                "It may have happened. Repeat the request with the same idempotency key.".to_owned();
        }
        self
    }

    /// Says when to come back, in whole seconds and at least one.
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let value = HeaderValue::from_str(&seconds.to_string()).expect("digits are a header value");
        self.with_header(header::RETRY_AFTER, value)
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())
    }
}

impl StdError for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.problem.status).expect("every problem code has a valid HTTP status")
    }

    fn error_response(&self) -> HttpResponse {
        let mut builder = HttpResponseBuilder::new(self.status_code());
        for (name, value) in &self.0.headers {
            builder.insert_header((name.clone(), value.clone()));
        }
        // The body is written once, by `observe`, which knows the request's id.
        let mut response = builder.insert_header((header::CONTENT_TYPE, PROBLEM_JSON)).finish();
        response.extensions_mut().insert(self.0.problem.clone());
        response
    }
}

/// The JSON of a problem.
pub(in crate::http) fn to_body(problem: &Problem) -> String {
    serde_json::to_string(problem).expect("a problem is made of texts and numbers")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "a read failed");
                Self::new(ProblemCode::Unavailable, "The store does not answer; nothing happened.")
            }
            StoreError::TooSlow(_) => {
                tracing::warn!(%error, "a read took too long");
                Self::new(ProblemCode::Unavailable, "The store takes too long; nothing happened.")
            }
            StoreError::OutcomeUnknown(_) => {
                tracing::warn!(%error, "a commit had no answer");
                outcome_unknown()
            }
            StoreError::NotHappened(_) | StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<RoomUnavailable> for ApiError {
    fn from(error: RoomUnavailable) -> Self {
        match error {
            RoomUnavailable::Busy => {
                Self::new(ProblemCode::Unavailable, "The room does not answer; try again.")
            }
            RoomUnavailable::Store(error) => error.into(),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Overloaded => {
                Self::new(ProblemCode::Unavailable, "Too much is waiting to be written; nothing happened.")
            }
            SubmitError::Unavailable => {
                Self::new(ProblemCode::Unavailable, "The store does not answer; nothing happened.")
            }
            SubmitError::TooSlow => {
                Self::new(ProblemCode::Unavailable, "The store takes too long for this; nothing happened.")
            }
            SubmitError::Refused => {
                Self::new(ProblemCode::Internal, "The fault is ours and was recorded; nothing happened.")
            }
            SubmitError::OutcomeUnknown => outcome_unknown(),
        }
    }
}

fn outcome_unknown() -> ApiError {
    ApiError::new(ProblemCode::OutcomeUnknown, "It may have happened. Look before you repeat the request.")
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => {
                Self::new(ProblemCode::Unavailable, "Too many sign-ins at once; nothing happened.")
            }
            PasswordError::MalformedHash | PasswordError::Failed => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_now_says_when_to_come_back_in_whole_seconds() {
        let wait = |error: ApiError| {
            error.error_response().headers().get(header::RETRY_AFTER).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(wait(SubmitError::Overloaded.into()), Some("1".to_owned()));
        assert_eq!(wait(SubmitError::OutcomeUnknown.into()), Some("1".to_owned()));
        let slow = ApiError::new(ProblemCode::TooManyRequests, "").retry_after(Duration::from_millis(1001));
        assert_eq!(wait(slow), Some("2".to_owned()));
        assert_eq!(wait(ApiError::not_found()), None);
    }

    #[test]
    fn only_a_request_with_a_key_is_told_to_repeat_it_with_that_key() {
        let unknown = || ApiError::from(SubmitError::OutcomeUnknown);
        assert!(!unknown().problem().detail.contains("key"), "{}", unknown().problem().detail);
        assert!(unknown().of_keyed_request().problem().detail.contains("the same idempotency key"));
        assert_eq!(ApiError::not_found().of_keyed_request().problem(), ApiError::not_found().problem());
    }

    #[test]
    fn the_words_of_the_store_are_not_shown() {
        let error: ApiError = StoreError::NotHappened("relation users, column password".to_owned()).into();
        assert_eq!(error.code(), ProblemCode::Internal);
        assert!(!to_body(error.problem()).contains("users"));
    }

    #[test]
    fn whoever_is_not_signed_in_is_told_how() {
        let response = ApiError::new(ProblemCode::TokenExpired, "").error_response();
        assert_eq!(response.headers().get(header::WWW_AUTHENTICATE).unwrap(), "Bearer");
        assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), PROBLEM_JSON);
    }
}
