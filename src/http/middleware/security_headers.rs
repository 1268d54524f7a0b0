//! What every answer tells browsers, and by which names this hub is asked (requirement 9.3).

use std::time::Instant;

use actix_http::RequestHead;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::protocol::problem::ProblemCode;

use super::requested_host::Authority;
use super::origin::shown;
use crate::http::response::problem::ApiError;
use crate::http::app_state::{Api, Deployment};

/// Everything comes from here.
const OWN_ONLY: &str = "default-src 'self'";

/// Swagger UI sets styles from its script and draws its icons from data URLs.
const DOCUMENTATION: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/// A year, as browsers' preload lists ask for.
const HTTPS_ONLY: &str = "max-age=31536000; includeSubDomains";

/// RequestedHost by load balancers and kubelets, which know an address and no name.
const FOR_ANY_HOST: [&str; 3] = ["/health", "/health/live", "/health/ready"];

/// The header fields of an answer to a request for `path`.
pub(in crate::http) fn fields(deployment: Deployment, path: &str) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
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

impl Api {
    /// Refuses what is asked of a host that is not trusted.
    ///
    /// # Errors
    /// 421, which names the host and the setting.
    pub(in crate::http) fn check_host(&self, head: &RequestHead) -> Result<(), ApiError> {
        let trusted = &self.settings.server.trusted_hosts;
        if trusted.is_empty() || FOR_ANY_HOST.contains(&head.uri.path().trim_end_matches('/')) {
            return Ok(());
        }
        let asked = self.requested_host(head).authority;
        if asked.is_some_and(|asked| trusted.contains(&Authority::of(asked).host())) {
            return Ok(());
        }
        let host = shown(asked.unwrap_or_default());
        if let Some((refused, _)) = self.refused_hosts.count(Instant::now()) {
            tracing::warn!(host, refused, "requests were refused: their host is not in server.trusted_hosts");
        }
        let detail = format!(
            "The host asked for, {host}, is none of server.trusted_hosts. Ask by one of those, or name it there; a proxy in \
             between has to pass the host on (nginx: proxy_set_header Host $http_host)."
        );
        Err(ApiError::new(ProblemCode::Misdirected, detail))
    }
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
        assert_eq!(told(Deployment::Trial, "/", STRICT_TRANSPORT_SECURITY), None);
        assert_eq!(told(Deployment::Production, "/", STRICT_TRANSPORT_SECURITY).as_deref(), Some(HTTPS_ONLY));
        assert_eq!(
            told(Deployment::Trial, "/docs/x", CONTENT_SECURITY_POLICY).as_deref(),
            Some(DOCUMENTATION)
        );
        assert_eq!(told(Deployment::Trial, "/docsx", CONTENT_SECURITY_POLICY).as_deref(), Some(OWN_ONLY));
    }
}
