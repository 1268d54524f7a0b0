//! Requests that make something and may carry an idempotency key, other than orders: what they answer is known before it is made, and
//! is kept with the key in the same commit (requirement 3.2).

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::actors::persistence::Once;
use crate::domain::access::Principal;
use crate::domain::private::Private;
use crate::storage::commands::{IdempotencyKey, KeyedRepeat, RenderedResponse, StoredResponse, WriteRequest};

use super::idempotency::{Passage, REPLAYED, WAIT, key_of, key_reused};
use super::problem::ApiError;
use super::state::Api;

const REPLAYED_NAME: HeaderName = HeaderName::from_static(REPLAYED);

/// Keeps fingerprints of these requests apart from everything else that is fingerprinted.
const MAC_DOMAIN: &str = "idempotent request v1";

/// A request that makes something, and happens once if it has a key.
#[derive(Debug)]
pub struct Making(Option<(IdempotencyKey, Passage)>);

/// What somebody is answered for whom something was made.
#[derive(Debug)]
pub struct MadeAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// JSON.
    pub body: Private<String>,
}

/// What came of a request that makes something.
#[derive(Debug)]
pub enum Made<T> {
    /// It was done now, and came to this.
    Now(T, MadeAnswer),
    /// It was done before; this was the answer.
    Before(MadeAnswer),
}

impl MadeAnswer {
    /// An answer to be given.
    pub fn new(status: StatusCode, view: &impl Serialize) -> Self {
        let body = serde_json::to_string(view).expect("a view is made of texts and numbers");
        Self { status, body: Private(body) }
    }

    /// The answer, with the address of what was made if it has one.
    pub fn respond(self, address: Option<String>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/json");
        if let Some(address) = address {
            response.insert_header((LOCATION, address));
        }
        response.body(self.body.0)
    }

    /// The answer again.
    pub fn repeat(self, address: Option<String>) -> HttpResponse {
        let mut response = self.respond(address);
        response.headers_mut().insert(REPLAYED_NAME, HeaderValue::from_static("true"));
        response
    }

    /// The id of what was made, if its body has one.
    pub fn id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Identified {
            id: String,
        }
        serde_json::from_str::<Identified>(&self.body.0).ok().map(|made| made.id)
    }
}

impl From<StoredResponse> for MadeAnswer {
    fn from(kept: StoredResponse) -> Self {
        let status = StatusCode::from_u16(kept.status).expect("the store keeps statuses that were answered");
        Self { status, body: Private(kept.body) }
    }
}

/// What is known of a request before anything is made for it.
#[derive(Debug)]
pub enum Beginning {
    /// It is to be done.
    First(Making),
    /// It was done before; this was the answer.
    Repeated(MadeAnswer),
}

impl Api {
    /// The same for requests that mean the same, however they are spaced.
    pub(super) fn fingerprint(&self, domain: &'static str, request: &impl Serialize) -> String {
        let canonical = serde_json::to_vec(request).expect("a request is made of texts and numbers");
        self.cipher.mac(domain, &canonical).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Looks whether a request with a key was answered before. `route` is its method and path. Of requests with one key one is
    /// let through at a time.
    ///
    /// # Errors
    /// 422 for a key that is none or belongs to another request, 409 `request_in_flight`.
    pub(super) async fn begin_making(
        &self,
        who: Principal,
        request: &HttpRequest,
        route: &str,
        body: &impl Serialize,
    ) -> Result<Beginning, ApiError> {
        let Some(key) = key_of(request)? else { return Ok(Beginning::First(Making(None))) };
        let request_mac = self.fingerprint(MAC_DOMAIN, body);
        let key = IdempotencyKey { scope: format!("{} {route}", who.user), key, request_mac };
        let passage = self.gate.enter(&key.scope, &key.key, WAIT).await?;
        match self.store.stored_response(&key.scope, &key.key).await? {
            Some(kept) if kept.request_mac == key.request_mac => Ok(Beginning::Repeated(kept.into())),
            Some(_) => Err(key_reused()),
            None => Ok(Beginning::First(Making(Some((key, passage))))),
        }
    }

    /// Makes something, which is answered by `answer` if it is made.
    ///
    /// # Errors
    /// 422 when the key belongs to another request, 503 when it was not made, or nobody knows.
    pub(super) async fn make<W: WriteRequest>(
        &self,
        making: Making,
        write: W,
        answer: MadeAnswer,
    ) -> Result<Made<W::Output>, ApiError> {
        let Some((key, _passage)) = making.0 else {
            return Ok(Made::Now(self.persistence.write(write).await?, answer));
        };
        let response = RenderedResponse { status: answer.status.as_u16(), body: answer.body.clone() };
        let done = self.persistence.write_once(key, response, write).await;
        match done.map_err(|error| ApiError::from(error).of_keyed_request())? {
            Once::Repeated(KeyedRepeat::Answered(kept)) => Ok(Made::Before(kept.into())),
            Once::Repeated(KeyedRepeat::KeyReused) => Err(key_reused()),
            Once::Now(output) => Ok(Made::Now(output, answer)),
        }
    }
}
