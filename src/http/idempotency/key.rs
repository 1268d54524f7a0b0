//! The idempotency key of a request.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;

use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

/// The header that carries the key.
const HEADER: &str = "idempotency-key";

/// The header that marks the repetition of an earlier answer.
pub(in crate::http) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key, characters.
const MAX_KEY_CHARS: usize = 64;

/// Whether `text` can be a key: 1 to 64 visible ASCII characters.
pub(in crate::http) fn is_key(text: &str) -> bool {
    (1..=MAX_KEY_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The key in the header, if there is one.
///
/// # Errors
/// 422 for a header that is no key or is given twice.
pub(in crate::http) fn key_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut values = request.headers().get_all(HEADER);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) if is_key(text) => Ok(Some(text.to_owned())),
            _ => Err(ApiError::invalid_field("Idempotency-Key", "expected 1 to 64 visible ASCII characters")),
        },
        (Some(_), Some(_)) => Err(ApiError::invalid_field("Idempotency-Key", "must be given once")),
    }
}

/// 422: the key belongs to another request.
pub(in crate::http) fn key_reused() -> ApiError {
    ApiError::new(ProblemCode::IdempotencyMismatch, "Take a new key for a new request.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii_and_bounded() {
        assert!(is_key("a-Key_1!"));
        assert!(is_key(&"k".repeat(64)));
        for bad in ["", "a b", "schlüssel", "a\n", &"k".repeat(65)] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }
}
