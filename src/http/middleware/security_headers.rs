//! Header fields that tell browsers how to treat an answer.

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::http::deployment::Deployment;

use super::request_path::is_documentation;

/// Content policy of every page but the documentation: everything comes from this host.
const OWN_ONLY: &str = "default-src 'self'";

/// Content policy of the documentation. Swagger UI sets styles from its script and draws its icons from data URLs.
const DOCUMENTATION: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/// HTTPS for a year, as browsers' preload lists ask for.
const HTTPS_ONLY: &str = "max-age=31536000; includeSubDomains";

/// The header fields of an answer to a request for `path`.
pub(in crate::http) fn fields(
    deployment: Deployment,
    path: &str,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let policy = if is_documentation(path) { DOCUMENTATION } else { OWN_ONLY };
    let https = (deployment == Deployment::Production).then_some((STRICT_TRANSPORT_SECURITY, HTTPS_ONLY));
    [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, policy),
    ]
    .into_iter()
    .chain(https)
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_production_holds_browsers_to_https_and_only_the_documentation_may_style_itself() {
        let told = |deployment, path, name: HeaderName| {
            let value = fields(deployment, path).find(|(told, _)| *told == name);
            value.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        assert_eq!(told(Deployment::NonProduction, "/", STRICT_TRANSPORT_SECURITY), None);
        assert_eq!(told(Deployment::Production, "/", STRICT_TRANSPORT_SECURITY).as_deref(), Some(HTTPS_ONLY));
        assert_eq!(
            told(Deployment::NonProduction, "/docs/x", CONTENT_SECURITY_POLICY).as_deref(),
            Some(DOCUMENTATION)
        );
        assert_eq!(
            told(Deployment::NonProduction, "/docsx", CONTENT_SECURITY_POLICY).as_deref(),
            Some(OWN_ONLY)
        );
    }
}
