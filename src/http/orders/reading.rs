//! Reading one order (requirement 3.5).

use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderMap, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, get, web};

use crate::domain::ids::OrderId;
use crate::protocol::views::OrderView;

use super::super::freshness::Parts;
use super::super::identity::SignedIn;
use super::super::input::PathId;
use super::super::problem::ApiError;
use super::super::state::Api;
use super::{etag, view_for};

/// Read an order.
#[utoipa::path(tag = "orders", security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` you have"),
    ),
    responses(
        (status = 200, description = "The order; phone and address for those who may see them", body = OrderView,
         headers(("ETag" = String, description = "Its version"), ("Cache-Status" = String,
         description = "Only on a copy whose time is over, while the store is away: `bellhop; hit; ttl=-42; detail=stale`"))),
        (status = 304, description = "You have the present version"),
    ))]
#[get("/orders/{id}")]
pub(super) async fn read(
    api: web::Data<Api>,
    who: SignedIn,
    id: PathId<OrderId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let mut parts = Parts::new();
    let (order, party) = api.order_shown_to(who.principal, id.0, &mut parts).await?;
    let mut response = if has_version(request.headers(), order.version) {
        HttpResponse::NotModified().finish()
    } else {
        HttpResponse::Ok().json(view_for(&order, party))
    };
    parts.mark(&mut response);
    let headers = response.headers_mut();
    headers.insert(ETAG, etag(order.version));
    headers.insert(CACHE_CONTROL, actix_web::http::header::HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// Whether the client says it has this version; weak tags compare like strong ones here (RFC 9110 §13.1.2).
fn has_version(headers: &HeaderMap, version: i64) -> bool {
    let present = format!("\"{version}\"");
    headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|line| {
        line.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == present)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_client_that_has_the_version_is_not_sent_it_again() {
        let has = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            has_version(&headers, 3)
        };
        for yes in ["\"3\"", "W/\"3\"", "\"1\", \"3\"", "*"] {
            assert!(has(yes), "{yes}");
        }
        for no in ["\"2\"", "3", "", "\"33\""] {
            assert!(!has(no), "{no}");
        }
        assert!(!has_version(&HeaderMap::new(), 3));
    }
}
