//! The host and the scheme that a client asks for, seen through trusted proxies.

use std::net::IpAddr;

use actix_http::RequestHead;
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, X_FORWARDED_HOST, X_FORWARDED_PROTO};

use super::cidr::Network;
use super::client_address::{UNKNOWN, is_trusted};

/// A host and its port, as `Host` and an origin have them. Borrowed, so that a comparison allocates nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a> {
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Authority<'a> {
    /// Splits `host[:port]`; a dot at the end of the host, which is the root of all names, is no part of it.
    pub(super) fn of(text: &'a str) -> Self {
        let (host, port) = match text.rfind(':') {
            // The colons inside of brackets belong to an IPv6 address.
            Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
            _ => (text, None),
        };
        Self { host: host.strip_suffix('.').unwrap_or(host), port: port.filter(|port| !port.is_empty()) }
    }

    /// The host in lower case, without a port.
    pub(super) fn host(&self) -> String {
        self.host.to_ascii_lowercase()
    }

    /// Whether both name the same place for a client that speaks one of `schemes`: their default ports may be left out.
    pub(super) fn is_same(&self, other: &Authority<'_>, schemes: &[&str]) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port(schemes) == other.port(schemes)
    }

    /// The port, unless it is the default one of a scheme.
    fn port(&self, schemes: &[&str]) -> Option<&'a str> {
        self.port.filter(|port| !schemes.iter().any(|scheme| default_port(scheme) == Some(*port)))
    }
}

/// The port that browsers leave out.
fn default_port(scheme: &str) -> Option<&'static str> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if is("https") || is("wss") {
        Some("443")
    } else if is("http") || is("ws") {
        Some("80")
    } else {
        None
    }
}

/// The host and the scheme a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestedHost<'a> {
    /// `host[:port]`; `None` when the request names none or several.
    pub(super) authority: Option<&'a str>,
    /// The scheme the client spoke, where a trusted proxy says so.
    pub(super) scheme: Option<&'a str>,
}

impl<'a> RequestedHost<'a> {
    /// The host and scheme that a request asks for.
    pub(super) fn of(head: &'a RequestHead, trusted: &[Network]) -> Self {
        let peer = head.peer_addr.map_or(UNKNOWN, |peer| peer.ip());
        requested_host(&head.uri, head.headers(), peer, trusted)
    }
}

/// The host is that of the target, else the one `Host`. A trusted proxy's `X-Forwarded-Host` goes before both, and only a
/// trusted proxy's `X-Forwarded-Proto` is believed.
fn requested_host<'a>(
    uri: &'a Uri,
    headers: &'a HeaderMap,
    peer: IpAddr,
    trusted: &[Network],
) -> RequestedHost<'a> {
    let by_proxy = is_trusted(peer, trusted);
    let forwarded = |name: HeaderName| by_proxy.then(|| last_of(headers, name)).flatten();
    let own = || match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => {
            let mut hosts = headers.get_all(HOST);
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => host.to_str().ok(),
                _ => None,
            }
        }
    };
    RequestedHost {
        authority: forwarded(X_FORWARDED_HOST).or_else(own),
        scheme: forwarded(X_FORWARDED_PROTO),
    }
}

/// The last entry of a list that proxies append to: the nearest one's. What stands before it may be the client's own.
fn last_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let line = headers.get_all(name).last()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn asked(
        peer: &str,
        uri: &str,
        fields: &[(HeaderName, &'static str)],
    ) -> (Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        fields.iter().for_each(|(name, value)| headers.append(name.clone(), HeaderValue::from_static(value)));
        let uri = uri.parse().unwrap();
        let asked = requested_host(&uri, &headers, peer.parse().unwrap(), &["10.0.0.0/8".parse().unwrap()]);
        (asked.authority.map(str::to_owned), asked.scheme.map(str::to_owned))
    }

    #[test]
    fn the_name_is_that_of_the_target_or_of_the_one_host() {
        let name = |uri: &str, hosts: &[&'static str]| {
            let fields: Vec<_> = hosts.iter().map(|host| (HOST, *host)).collect();
            asked("203.0.113.9", uri, &fields).0.map(|name| Authority::of(&name).host())
        };
        assert_eq!(name("/", &["Shop.example:8000"]).as_deref(), Some("shop.example"));
        assert_eq!(name("/", &["shop.example."]).as_deref(), Some("shop.example"));
        assert_eq!(name("/", &["[::1]:8000"]).as_deref(), Some("[::1]"));
        assert_eq!(name("/", &["[::1]"]).as_deref(), Some("[::1]"));
        assert_eq!(name("http://other.example/", &["shop.example"]).as_deref(), Some("other.example"));
        assert_eq!(name("/", &[]), None);
        assert_eq!(name("/", &["a.example", "b.example"]), None);
    }

    #[test]
    fn only_a_trusted_proxy_says_by_which_name_and_scheme_it_was_asked() {
        let fields = [(HOST, "hub:8000"), (X_FORWARDED_HOST, "shop.example"), (X_FORWARDED_PROTO, "https")];
        let told = |peer| asked(peer, "/", &fields);
        assert_eq!(told("203.0.113.9"), (Some("hub:8000".to_owned()), None));
        assert_eq!(told("10.0.0.1"), (Some("shop.example".to_owned()), Some("https".to_owned())));
        let made_up = [(HOST, "hub"), (X_FORWARDED_HOST, "evil.example, shop.example")];
        assert_eq!(asked("10.0.0.1", "/", &made_up).0.as_deref(), Some("shop.example"), "the nearest one's");
        let empty = [(HOST, "hub"), (X_FORWARDED_HOST, " ")];
        assert_eq!(asked("10.0.0.1", "/", &empty).0.as_deref(), Some("hub"));
    }

    #[test]
    fn default_ports_case_and_the_dot_of_the_root_make_no_difference() {
        let same = |one, other, schemes: &[&str]| Authority::of(one).is_same(&Authority::of(other), schemes);
        for (one, other) in [
            ("hub.example", "HUB.example:443"),
            ("hub.example:443", "hub.example."),
            ("hub.example.:8443", "hub.example:8443"),
            ("[::1]", "[::1]:443"),
        ] {
            assert!(same(one, other, &["https"]), "{one} {other}");
        }
        for (one, other) in [
            ("hub.example", "hub.example:80"),
            ("hub.example", "hub.example:8443"),
            ("hub.example", "other.example"),
            ("hub.example:8443", "hub.example:9443"),
            ("[::1]", "[::2]"),
        ] {
            assert!(!same(one, other, &["https"]), "{one} {other}");
        }
        assert!(same("hub.example", "hub.example:80", &["https", "http"]), "as the proxy was asked");
    }
}
