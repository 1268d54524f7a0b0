//! The path of a request as the router is to see it.

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;

/// The documentation, the only path whose trailing slash means a folder.
pub(in crate::http) const DOCUMENTATION: &str = "/docs";

/// Whether a path lies in the folder of the documentation.
pub(super) fn is_documentation(path: &str) -> bool {
    path.strip_prefix(DOCUMENTATION).is_some_and(|rest| rest.starts_with('/'))
}

/// Takes trailing slashes off: `/orders/` is `/orders`.
pub(super) fn trim_slash(request: &mut ServiceRequest) {
    let path = request.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || trimmed.is_empty() || trimmed == DOCUMENTATION {
        return;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    let Ok(target) = PathAndQuery::try_from(target) else { return };
    parts.path_and_query = Some(target);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_trailing_slash_goes_and_the_query_stays() {
        let trimmed = |uri: &str| {
            let mut request = TestRequest::with_uri(uri).to_srv_request();
            trim_slash(&mut request);
            assert_eq!(request.uri().path(), request.path());
            request.uri().to_string()
        };
        assert_eq!(trimmed("/api/v1/orders/?q=a/"), "/api/v1/orders?q=a/");
        assert_eq!(trimmed("/health//"), "/health");
        for same in ["/", "/docs/", "/health", "/health?x=/"] {
            assert_eq!(trimmed(same), same);
        }
    }
}
