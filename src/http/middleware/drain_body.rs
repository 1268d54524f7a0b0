//! Answers in the place of a route.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::{HttpMessage as _, ResponseError as _};
use futures_util::StreamExt as _;

use crate::http::connection::awaits_continue;
use crate::http::response::problem::ApiError;

/// Bytes of a refused request's body that are read and dropped, more than nearly any order has.
const MAX_DRAINED_BYTES: usize = 16 * 1024;

/// Time in which the body of a refused request has to arrive.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

/// Refuses a request. Its body is read all the same: with an unread body the connection is closed, and a new one costs
/// both sides more than the rest of a refusal.
pub(super) async fn refuse(mut request: ServiceRequest, error: ApiError) -> ServiceResponse<BoxBody> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let is_large = declared.is_some_and(|length: usize| length > MAX_DRAINED_BYTES)
        || request.headers().contains_key(TRANSFER_ENCODING);
    if is_large || awaits_continue(request.request()) {
        return request.into_response(error.error_response());
    }
    let mut payload = request.take_payload();
    let drain_body = async {
        let mut left = MAX_DRAINED_BYTES;
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // A client that takes longer, or sends more, is cut off.
    let _ = tokio::time::timeout(DRAIN_WITHIN, drain_body).await;
    request.into_response(error.error_response())
}
