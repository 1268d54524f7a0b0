//! The choice of answers that are worth compressing.

use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::middleware::Next;

/// Smallest body that is compressed, bytes: smaller ones would grow or hardly shrink.
const WORTH_COMPRESSING: u64 = 1024;

/// Marks answers that the compressor around this layer is to leave alone.
pub(in crate::http) async fn choose_compression(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    if !is_worth_compressing(&response) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(response)
}

/// Refusals get their bodies after this layer, streams have to flow, and small answers stay as they are.
fn is_worth_compressing(response: &ServiceResponse<BoxBody>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let small =
        matches!(response.response().body().size(), BodySize::None | BodySize::Sized(..WORTH_COMPRESSING));
    let refused = response.status().is_client_error() || response.status().is_server_error();
    !(small || refused || kind.starts_with("text/event-stream"))
        || response.headers().contains_key(CONTENT_ENCODING)
}
