//! Parameters of a path.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::http::input::FromText;
use crate::http::response::problem::ApiError;

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

/// Codes that the router leaves encoded. The per cent sign is last: decoding it makes new ones.
const PROTECTED: [(&str, &str); 5] = [("%2F", "/"), ("%2f", "/"), ("%2B", "+"), ("%2b", "+"), ("%25", "%")];

/// A part of the path as text, percent-decoded.
///
/// # Errors
/// 404 for control characters: nothing is called by them, and not every database can be asked for them.
pub fn path_text(request: &HttpRequest, name: &str) -> Result<String, ApiError> {
    let raw = request.match_info().get(name).ok_or_else(ApiError::not_found)?;
    let text = PROTECTED.iter().fold(raw.to_owned(), |text, (code, plain)| text.replace(code, plain));
    if text.chars().any(char::is_control) { Err(ApiError::not_found()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use actix_web::{App, HttpResponse, test, web};

    use super::*;

    #[actix_web::test]
    async fn a_part_of_a_path_is_decoded_once() {
        let route = web::get().to(|request: HttpRequest| async move {
            path_text(&request, "sku").map(|sku| HttpResponse::Ok().body(sku))
        });
        let app = test::init_service(App::new().route("/{sku}", route)).await;
        for (sent, meant) in
            [("a-1", "a-1"), ("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("a%2bb", "a+b"), ("%E5%AF%BF", "寿")]
        {
            let request = TestRequest::with_uri(&format!("/{sent}")).to_request();
            assert_eq!(test::call_and_read_body(&app, request).await, meant, "{sent}");
        }
    }
}
