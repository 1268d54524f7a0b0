//! What stands in a path.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::http::problem::ApiError;

use super::FromText;

/// The id in the path, which every route writes `{id}`. A text that is no id of this kind is answered as one of
/// something absent.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(
    /// The id.
    pub T,
);

impl<T: FromText> FromRequest for PathId<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = path_text(request, "id").and_then(|t| T::from_text(&t).map_err(|_| ApiError::not_found()));
        ready(id.map(Self))
    }
}

/// A part of the path as text, percent-decoded.
///
/// # Errors
/// 404 for bytes that are no text.
pub fn path_text(request: &HttpRequest, name: &str) -> Result<String, ApiError> {
    let raw = request.match_info().get(name).ok_or_else(ApiError::not_found)?;
    // The router has decoded what it may; a `%2F` or `%25` is still as it was sent.
    Ok(raw.replace("%2F", "/").replace("%2f", "/").replace("%25", "%"))
}
