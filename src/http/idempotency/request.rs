//! Requests with an optional idempotency key, other than orders. Their response is known before they are executed and is
//! stored with the key in the same commit.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::actors::persistence::Once;
use crate::domain::access::Principal;
use crate::domain::private::Private;
use crate::storage::commands::{IdempotencyKey, KeyedRepeat, RenderedResponse, StoredResponse, WriteRequest};

use super::in_flight::{KeyGuard, WAIT};
use super::key::{REPLAYED, key_of, key_reused};
use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;

/// Keeps fingerprints of these requests apart from everything else that is fingerprinted.
const MAC_DOMAIN: &str = "idempotent request v1";

/// A request to be executed; with a key, no other request of this node works on that key until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct IdempotentRequest(Option<(IdempotencyKey, KeyGuard)>);

/// The response to a request that succeeds.
#[derive(Debug)]
pub(in crate::http) struct PreparedResponse {
    /// The HTTP status.
    pub(in crate::http) status: StatusCode,
    /// The body, JSON.
    pub(in crate::http) body: Private<String>,
}

/// The result of executing a request.
#[derive(Debug)]
pub(in crate::http) enum Executed<T> {
    /// Executed now, with its outcome.
    Now(T, PreparedResponse),
    /// Executed before; this was the response.
    Before(PreparedResponse),
}

impl PreparedResponse {
    /// A response with this body as JSON.
    pub(in crate::http) fn new(status: StatusCode, view: &impl Serialize) -> Self {
        let body = serde_json::to_string(view).expect("a view is made of texts and numbers");
        Self { status, body: Private(body) }
    }

    /// The response, with `Location` if the new resource has an address.
    pub(in crate::http) fn respond(self, address: Option<String>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/json");
        if let Some(address) = address {
            response.insert_header((LOCATION, address));
        }
        response.body(self.body.0)
    }

    /// The response again, marked as a repetition.
    pub(in crate::http) fn repeat(self, address: Option<String>) -> HttpResponse {
        let mut response = self.respond(address);
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }

    /// The `id` in the body, if it has one.
    pub(in crate::http) fn id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Identified {
            id: String,
        }
        serde_json::from_str::<Identified>(&self.body.0).ok().map(|made| made.id)
    }
}

impl From<StoredResponse> for PreparedResponse {
    fn from(kept: StoredResponse) -> Self {
        let status = StatusCode::from_u16(kept.status).expect("the store keeps statuses that were answered");
        Self { status, body: Private(kept.body) }
    }
}

/// The result of looking for an earlier request with the same key.
#[derive(Debug)]
pub(in crate::http) enum KeyCheck {
    /// None: it is to be executed.
    New(IdempotentRequest),
    /// Executed before; this was the response.
    Repetition(PreparedResponse),
}

/// A fingerprint, the same for requests that mean the same, however they are spaced.
pub(in crate::http) fn fingerprint(app: &AppState, domain: &'static str, request: &impl Serialize) -> String {
    let canonical = serde_json::to_vec(request).expect("a request is made of texts and numbers");
    app.cipher.mac(domain, &canonical).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks whether a request with a key was answered before. `route` is its method and path. Of requests with one key one is
/// let through at a time.
///
/// # Errors
/// 422 for a key that is none or belongs to another request, 409 `request_in_flight`.
pub(in crate::http) async fn check_key(
    app: &AppState,
    who: Principal,
    request: &HttpRequest,
    route: &str,
    body: &impl Serialize,
) -> Result<KeyCheck, ApiError> {
    let Some(key) = key_of(request)? else { return Ok(KeyCheck::New(IdempotentRequest(None))) };
    let request_mac = fingerprint(app, MAC_DOMAIN, body);
    let key = IdempotencyKey { scope: format!("{} {route}", who.user), key, request_mac };
    let guard = app.in_flight_keys.enter(&key.scope, &key.key, WAIT).await?;
    match app.store.stored_response(&key.scope, &key.key).await? {
        Some(kept) if kept.request_mac == key.request_mac => Ok(KeyCheck::Repetition(kept.into())),
        Some(_) => Err(key_reused()),
        None => Ok(KeyCheck::New(IdempotentRequest(Some((key, guard))))),
    }
}

/// Executes a write, whose response is `response` if it succeeds.
///
/// # Errors
/// 422 when the key belongs to another request, 503 when it was not executed, or that is not known.
pub(in crate::http) async fn execute<W: WriteRequest>(
    app: &AppState,
    request: IdempotentRequest,
    write: W,
    response: PreparedResponse,
) -> Result<Executed<W::Output>, ApiError> {
    let Some((key, _guard)) = request.0 else {
        return Ok(Executed::Now(app.persistence.write(write).await?, response));
    };
    let rendered = RenderedResponse { status: response.status.as_u16(), body: response.body.clone() };
    let done = app.persistence.write_once(key, rendered, write).await;
    match done.map_err(|error| ApiError::from(error).of_keyed_request())? {
        Once::Repeated(KeyedRepeat::Answered(kept)) => Ok(Executed::Before(kept.into())),
        Once::Repeated(KeyedRepeat::KeyReused) => Err(key_reused()),
        Once::Now(output) => Ok(Executed::Now(output, response)),
    }
}
