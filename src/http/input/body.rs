//! JSON bodies: bounded, typed, every field checked.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::http::app_state::AppState;
use crate::http::limits::body_budget::BodyShare;
use crate::http::middleware::client_address::address_block;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{BODY_LIMIT, RouteTable};
use crate::protocol::problem::ProblemCode;

use super::faults;
use super::read::refused;
use super::validate::check;

/// A JSON body as `T`, with every field checked.
#[derive(Debug)]
pub struct Body<T>(
    /// The value.
    pub T,
);

impl<T> FromRequest for Body<T>
where
    T: DeserializeOwned + garde::Validate + 'static,
    T::Context: Default,
{
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = request.mime_type().is_ok_and(|mime| {
            mime.is_some_and(|mime| mime.subtype() == "json" || mime.suffix().is_some_and(|s| s == "json"))
        });
        let encoded = request.headers().get(header::CONTENT_ENCODING).is_some_and(|v| v != "identity");
        let whole = whole(request, payload);
        Box::pin(async move {
            let (bytes, _share) = whole.await?;
            if !is_json || encoded {
                return Err(ApiError::new(
                    ProblemCode::UnsupportedMediaType,
                    "The body must be JSON, not compressed, with the content type application/json.",
                ));
            }
            read(&bytes).map(Self)
        })
    }
}

/// A body as its bytes came, whatever they are said to be.
#[derive(Debug)]
pub struct RawBody(
    /// The bytes.
    pub BytesMut,
);

impl FromRequest for RawBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let whole = whole(request, payload);
        Box::pin(async move { Ok(Self(whole.await?.0)) })
    }
}

/// All of a body within the limits of its route and of the hub, and its share of what bodies may hold while they arrive.
fn whole(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<(BytesMut, BodyShare), ApiError>> + use<> {
    let app = AppState::of(request);
    let table =
        request.app_data::<&'static RouteTable>().expect("the routes are mounted together with their table");
    let facts = table.facts(request.method(), request.match_info().as_str());
    let server = &app.settings.server;
    let limit = facts.map_or(BODY_LIMIT, |facts| facts.body_limit).min(server.body_bytes);
    let within = Duration::from_secs(server.body_timeout_s);
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let mut share = app.body_budget.open(address_block(request));
    let payload = payload.take();
    async move {
        // By its head, before any of it is asked for.
        if declared.is_some_and(|declared: u64| declared > limit as u64) {
            return Err(too_large(limit));
        }
        let arrived = tokio::time::timeout(within, collect(payload, limit, &mut share));
        let bytes = arrived.await.map_err(|_| {
            let wait = within.as_secs();
            ApiError::new(ProblemCode::RequestTimeout, format!("The body has to arrive within {wait} s."))
        })??;
        Ok((bytes, share))
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ProblemCode::TooLarge, format!("At most {limit} bytes are taken."))
}

async fn collect(mut payload: Payload, limit: usize, share: &mut BodyShare) -> Result<BytesMut, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| ApiError::new(ProblemCode::Malformed, "The body did not arrive whole."))?;
        let length = bytes.len().saturating_add(chunk.len());
        if length > limit {
            return Err(too_large(limit));
        }
        share.grow(length)?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The mark that some editors and systems put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn read<T>(bytes: &[u8]) -> Result<T, ApiError>
where
    T: DeserializeOwned + garde::Validate,
    T::Context: Default,
{
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    // Serde would also read an object from a list of its fields.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return match json.into_iter::<IgnoredAny>().find_map(Result::err) {
            Some(error) => Err(malformed(&error)),
            None if bytes.trim_ascii().is_empty() => {
                Err(ApiError::new(ProblemCode::Malformed, "The body is empty, send a JSON object."))
            }
            None => Err(ApiError::invalid_field("body", "expected an object")),
        };
    }
    let value =
        serde_path_to_error::deserialize(&mut json).map_err(|error| refusal_of::<T>(bytes, &error))?;
    json.end().map_err(|error| malformed(&error))?;
    check(&value)?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    ApiError::new(ProblemCode::Malformed, format!("The body is not JSON: see line {line}, column {column}."))
}

/// The refusal of a body that is no `T`, as `error` was the first to say.
fn refusal_of<T>(bytes: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError
where
    T: DeserializeOwned + garde::Validate,
    T::Context: Default,
{
    match error.inner().classify() {
        Category::Syntax | Category::Eof | Category::Io => malformed(error.inner()),
        // A wrong field may stand before broken syntax, which is the greater fault.
        Category::Data => match serde_json::from_slice::<IgnoredAny>(bytes) {
            Err(broken) => malformed(&broken),
            // A body that is nested deeper than is read has one fault.
            Ok(_) => match serde_json::from_slice(bytes) {
                Ok(node) => refused::<T>(node, error, bytes.len()),
                Err(_) => ApiError::invalid(vec![faults::first(error)]),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Greeting {
        #[garde(skip)]
        name: String,
    }

    #[test]
    fn broken_syntax_is_malformed_and_a_wrong_type_is_invalid() {
        let code = |body: &[u8]| read::<Greeting>(body).map(|g| g.name).map_err(|e| e.code());
        assert_eq!(code(br#"{"name":"Zo\u00eb"}"#), Ok("Zoë".to_owned()));
        assert_eq!(code(b"\xef\xbb\xbf{\"name\":\"x\"}"), Ok("x".to_owned()), "a byte order mark");
        for malformed in [
            &b""[..],
            b"\xef\xbb\xbf",
            b"{",
            b"{\"name\":\"x\"} x",
            b"{} {}",
            b"{name:1}",
            b"\xff",
            b"{\"name\":\"\xff\"}",
            b"nul",
        ] {
            assert_eq!(code(malformed), Err(ProblemCode::Malformed), "{malformed:?}");
        }
        for invalid in [&b"{\"name\":1}"[..], b"[]", b"{}", b"null", b"{\"name\":\"x\",\"y\":1}"] {
            assert_eq!(code(invalid), Err(ProblemCode::Invalid), "{invalid:?}");
        }
    }
}
