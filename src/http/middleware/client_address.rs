//! The address of the client, seen through trusted proxies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{
    FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO,
};
use actix_web::{HttpMessage as _, HttpRequest};

use crate::domain::address::AddressBlock;

use super::cidr::Network;

/// The address of a client that a trusted proxy could not name. It is not the proxy's, which may see more than others.
pub(in crate::http) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The only field in which some proxies name the client.
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The client's address, kept with the request.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct ClientAddress(pub(in crate::http) IpAddr);

/// The block of the client's address, by which all limits count.
pub(in crate::http) fn address_block(request: &HttpRequest) -> AddressBlock {
    let known = request.extensions().get::<ClientAddress>().map(|client| client.0);
    AddressBlock::of(known.unwrap_or(UNKNOWN))
}

/// Whether the fields that `address` adds about its client are believed.
pub(in crate::http) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// Whether a request has been through a proxy that says so.
pub(in crate::http) fn is_forwarded(headers: &HeaderMap) -> bool {
    [X_FORWARDED_FOR, X_REAL_IP, X_FORWARDED_HOST, X_FORWARDED_PROTO, FORWARDED]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// The address of the client: the peer, or, when that is a trusted proxy, the nearest address it or the trusted
/// proxies before it name in `X-Forwarded-For` that is not itself trusted; without that field, the one in `X-Real-IP`.
/// What an untrusted peer says is not believed; where a trusted one says what cannot be read it is `0.0.0.0`, for all of
/// them together.
pub(in crate::http) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    let lines: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).map(|value| value.as_bytes()).collect();
    if lines.is_empty() {
        // Of several the last was added last.
        let named = headers.get_all(X_REAL_IP).last();
        return named.map_or(client, |named| {
            hop_of(named.as_bytes()).map_or(UNKNOWN, |address| address.to_canonical())
        });
    }
    // In bytes: a client's own share of a line may be anything, and must not hide what a proxy has added to it.
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        let Some(address) = hop_of(hop) else { return UNKNOWN };
        client = address.to_canonical();
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

/// An address as proxies write it, some of them with a port.
fn hop_of(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let lines: Vec<&[u8]> = forwarded.iter().map(|line| line.as_bytes()).collect();
        seen_raw(peer, &lines)
    }

    fn seen_raw(peer: &str, forwarded: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn an_address_that_the_client_made_up_is_not_taken() {
        assert_eq!(seen("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("::1", &[]), "::1");
    }

    #[test]
    fn what_cannot_be_read_is_never_a_trusted_address() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), "0.0.0.0");
        assert_eq!(seen("10.0.0.1", &["unknown"]), "0.0.0.0");
        assert_eq!(seen("10.0.0.1", &[""]), "0.0.0.0");
        assert_eq!(seen_raw("10.0.0.1", &[b"\xff"]), "0.0.0.0");
        assert_eq!(seen_raw("10.0.0.1", &[b"\xff, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen_raw("10.0.0.1", &[b"\xff, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_may_name_the_client_by_x_real_ip_alone() {
        let told = |peer: &str, real: &'static str, forwarded: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.append(X_REAL_IP, HeaderValue::from_static(real));
            if let Some(forwarded) = forwarded {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_static(forwarded));
            }
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            address(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(told("10.0.0.1", "203.0.113.9", None), "203.0.113.9");
        assert_eq!(told("10.0.0.1", "[2001:db8::1]:4711", None), "2001:db8::1");
        assert_eq!(told("10.0.0.1", "203.0.113.9", Some("198.51.100.1")), "198.51.100.1");
        assert_eq!(told("198.51.100.1", "203.0.113.9", None), "198.51.100.1");
        assert_eq!(told("10.0.0.1", "somebody", None), "0.0.0.0");
    }

    #[test]
    fn a_port_is_no_part_of_an_address() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::1]:4711, 10.0.0.2"]), "2001:db8::1");
    }
}
