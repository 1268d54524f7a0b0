//! Origins of browser pages, and which of them are allowed.

use super::requested_host::{Authority, RequestedHost};

/// Longest part of a name from outside that is shown, characters.
const MAX_SHOWN: usize = 100;

/// Whether a text is an origin as browsers send it: a scheme and an authority, in lower case, and nothing after (RFC
/// 6454 §6.2). Pages of apps have schemes of their own, such as `capacitor://localhost`.
pub(in crate::http) fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let in_scheme = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    let in_authority = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_~:[]".contains(&b);
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(in_scheme)
        && !authority.is_empty()
        && authority.bytes().all(in_authority)
}

/// Whether two origins are the same, whatever their case and whether or not they name a default port.
fn is_same(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let (Some((scheme, one)), Some((other_scheme, other))) = (one.split_once("://"), other.split_once("://"))
    else {
        return false;
    };
    scheme.eq_ignore_ascii_case(other_scheme) && Authority::of(one).is_same(&Authority::of(other), &[scheme])
}

/// Whether an origin is one of `server.allowed_origins`.
pub(in crate::http) fn is_allowed(origin: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|known| is_same(known, origin))
}

/// Whether an origin is the hub's own, by the host that was asked for.
pub(super) fn is_same_origin(origin: &str, asked: &RequestedHost<'_>) -> bool {
    let (Some((scheme, authority)), Some(name)) = (origin.split_once("://"), asked.authority) else {
        return false;
    };
    // A proxy behind another one that speaks TLS names its own port, not the one of the browser.
    let spoken = asked.scheme.unwrap_or(scheme);
    Authority::of(authority).is_same(&Authority::of(name), &[scheme, spoken])
}

/// The beginning of a name from outside, each other character than visible ASCII replaced by `?`.
pub(in crate::http) fn printable(name: &str) -> String {
    let plain: String =
        name.chars().take(MAX_SHOWN).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
    if name.chars().nth(MAX_SHOWN).is_some() { plain + "…" } else { plain }
}

/// The value of `Origin` among the lines of a head that could not be read as a whole.
pub(in crate::http) fn origin_in(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (name, value) = line.split_at_checked(7)?;
        name.eq_ignore_ascii_case(b"origin:").then_some(value)
    })?;
    std::str::from_utf8(line.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_authority_and_nothing_else() {
        for good in [
            "https://shop.example",
            "http://localhost:3000",
            "http://[::1]:8000",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://bellhop",
            "app://.",
            "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "x-app+v2.beta://till_1",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "shop.example",
            "https://",
            "file://",
            "https://shop.example/",
            "https://Shop.example",
            "://x",
            "1app://x",
            "https://a b",
            "https://user@shop.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn an_allowed_origin_is_known_with_its_default_port_and_in_any_case() {
        let allowed =
            ["https://shop.example", "capacitor://localhost", "http://a.example:80"].map(String::from);
        for good in
            ["https://shop.example:443", "https://SHOP.example", "Capacitor://localhost", "http://a.example"]
        {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in
            ["http://shop.example", "https://shop.example:80", "https://a.example", "ionic://localhost", ""]
        {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn a_page_is_the_hubs_own_by_the_name_the_hub_was_asked_by() {
        let own = |origin: &str, authority: &str, scheme: Option<&str>| {
            is_same_origin(origin, &RequestedHost { authority: Some(authority), scheme })
        };
        assert!(own("https://hub.example", "hub.example", None));
        assert!(own("https://hub.example", "hub.example:443", None));
        assert!(own("http://hub.example:80", "hub.example", None));
        assert!(own("https://hub.example", "hub.example.", None));
        assert!(own("https://hub.example", "hub.example:80", Some("http")), "TLS ends before the proxy");
        assert!(own("http://127.0.0.1:8000", "127.0.0.1:8000", None));
        assert!(!own("https://hub.example", "hub.example:80", None));
        assert!(!own("https://hub.example:8443", "hub.example", None));
        assert!(!own("https://evil.example", "hub.example", None));
        assert!(!own("null", "null", None));
        assert!(!is_same_origin("https://hub.example", &RequestedHost { authority: None, scheme: None }));
    }

    #[test]
    fn the_origin_is_found_in_a_head_that_cannot_be_read() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nORIGIN:  https://shop.example \r\nbad line\r\n";
        assert_eq!(origin_in(head), Some("https://shop.example"));
        for none in
            [&b""[..], b"origin: https://a", b"GET / HTTP/1.1\r\nx-origin: a\r\n", b"\x16\x03\x01\n\xff"]
        {
            assert_eq!(origin_in(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_shown_of_a_name_is_short_and_plain() {
        assert_eq!(printable("https://a\u{7}b"), "https://a?b");
        assert_eq!(printable(&"x".repeat(200)).chars().count(), MAX_SHOWN + 1);
    }
}
