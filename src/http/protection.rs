//! What every answer tells browsers, and by which names this hub is asked (requirement 9.3).

use actix_web::http::Uri;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::protocol::problem::ProblemCode;

use super::problem::ApiError;
use super::state::{Api, Deployment};

/// Everything comes from here.
const OWN_ONLY: &str = "default-src 'self'";

/// Swagger UI sets styles from its script and draws its icons from data URLs.
const DOCUMENTATION: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/// A year, as browsers' preload lists ask for.
const HTTPS_ONLY: &str = "max-age=31536000; includeSubDomains";

/// Asked by load balancers and kubelets, which know an address and no name.
const FOR_ANY_HOST: [&str; 3] = ["/health", "/health/live", "/health/ready"];

/// The header fields of an answer to a request for `path`.
pub(super) fn fields(deployment: Deployment, path: &str) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let policy = if path.starts_with("/docs/") { DOCUMENTATION } else { OWN_ONLY };
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

/// The name a request asks for, in lower case and without a port; `None` when it names none or several.
pub(super) fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => {
            let mut hosts = headers.get_all(HOST);
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => host.to_str().ok()?,
                _ => return None,
            }
        }
    };
    let host = match authority.rfind(':') {
        // The colons inside of brackets belong to an IPv6 address.
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    };
    Some(host.to_ascii_lowercase())
}

impl Api {
    /// Refuses what is asked of a host that is not trusted.
    ///
    /// # Errors
    /// 421.
    pub(super) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let trusted = &self.settings.server.trusted_hosts;
        if trusted.is_empty() || FOR_ANY_HOST.contains(&uri.path().trim_end_matches('/')) {
            return Ok(());
        }
        match host_of(uri, headers) {
            Some(host) if trusted.contains(&host) => Ok(()),
            _ => {
                Err(ApiError::new(ProblemCode::Misdirected, "Ask by one of the names this hub is known by."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_without_its_port_and_an_unclear_one_is_none() {
        let host = |uri: &str, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            hosts.iter().for_each(|host| headers.append(HOST, HeaderValue::from_static(host)));
            host_of(&uri.parse().unwrap(), &headers)
        };
        assert_eq!(host("/", &["Shop.example:8000"]).as_deref(), Some("shop.example"));
        assert_eq!(host("/", &["[::1]:8000"]).as_deref(), Some("[::1]"));
        assert_eq!(host("/", &["[::1]"]).as_deref(), Some("[::1]"));
        assert_eq!(host("http://other.example/", &["shop.example"]).as_deref(), Some("other.example"));
        assert_eq!(host("/", &[]), None);
        assert_eq!(host("/", &["a.example", "b.example"]), None);
    }

    #[test]
    fn only_production_holds_browsers_to_https_and_only_the_documentation_may_style_itself() {
        let told = |deployment, path, name: HeaderName| {
            let value = fields(deployment, path).find(|(told, _)| *told == name);
            value.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        assert_eq!(told(Deployment::Trial, "/", STRICT_TRANSPORT_SECURITY), None);
        assert_eq!(told(Deployment::Production, "/", STRICT_TRANSPORT_SECURITY).as_deref(), Some(HTTPS_ONLY));
        assert_eq!(
            told(Deployment::Trial, "/docs/x", CONTENT_SECURITY_POLICY).as_deref(),
            Some(DOCUMENTATION)
        );
        assert_eq!(told(Deployment::Trial, "/docsx", CONTENT_SECURITY_POLICY).as_deref(), Some(OWN_ONLY));
    }
}
