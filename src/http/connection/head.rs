//! The facts of a request's head that the hub needs before the web server sees it: its end, the body behind it, and
//! anything that must not get through.

use std::mem::MaybeUninit;

use actix_web::http::Uri;

use super::chunks::Chunks;
use super::refusal::{Reason, Refused};

/// Fields of one head; as many as the web server takes.
const MAX_FIELDS: usize = 96;

/// The body behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A body of this many bytes; 0 when there is none.
    Length(u64),
    /// Chunks, as far as they were read.
    Chunked(Chunks),
}

/// A head that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes, its empty line included.
    pub(super) length: usize,
    /// The body behind it.
    pub(super) body: Body,
    /// Asks for a socket where there may be one.
    pub(super) socket: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects: bool,
    /// Has to be written anew before it is passed on: see [`rewrite`].
    pub(super) to_rewrite: bool,
}

/// The result of parsing the first bytes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// The head has not arrived as a whole.
    Partial,
    /// A whole head.
    Whole(Head),
    /// No request, or one that no two readers would read alike.
    Refused(Refused),
}

/// One option of a field that is a list, whatever its case.
fn has_option(value: &[u8], option: &str) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

/// Looks at what begins a request. `sockets` says whether there are addresses that take an upgrade.
pub(super) fn judge(bytes: &[u8], sockets: bool) -> Judged {
    let refused = |detail| Judged::Refused(Refused::new(Reason::Malformed, detail));
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Judged::Partial,
        Err(error) => return Judged::Refused(unreadable(error, bytes)),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return refused("This is no HTTP request.");
    };
    if method == "CONNECT" {
        return refused("This hub is no proxy.");
    }
    if !is_target(target) {
        return refused("The address of the request could not be read.");
    }
    let mut found = Found::default();
    for field in request.headers.iter() {
        if let Err(detail) = found.take(field.name, field.value) {
            return refused(detail);
        }
    }
    match found.judge(method, minor) {
        Err(detail) => refused(detail),
        Ok(body) => {
            let offered = found.upgrade_to_socket && found.connection_upgrade;
            let socket = sockets && offered && method == "GET" && is_socket_path(target);
            if socket && body != Body::Length(0) {
                return refused("A request for a socket has no body.");
            }
            let offers = found.upgrade || found.connection_upgrade;
            let expects = found.expects && minor == 1;
            let to_rewrite = expects || if socket { !found.only_socket } else { offers };
            Judged::Whole(Head { length, body, socket, expects, to_rewrite })
        }
    }
}

/// The refusal of bytes that the parser does not take.
fn unreadable(error: httparse::Error, bytes: &[u8]) -> Refused {
    let malformed = |detail| Refused::new(Reason::Malformed, detail);
    match error {
        httparse::Error::TooManyHeaders => {
            Refused::new(Reason::HeadTooLarge, "At most 96 header fields are taken.")
        }
        httparse::Error::Version => {
            malformed("Speak HTTP/1.1 or HTTP/1.0 (HTTP/2 ends at the proxy in between).")
        }
        // A TLS hello begins with the type of its record and the version.
        _ if bytes.starts_with(&[0x16, 0x03]) => {
            malformed("This is TLS, and the port speaks plain HTTP: let the proxy in between use http://.")
        }
        _ => malformed("This is no HTTP request: a line of its head is not a valid one."),
    }
}

/// The fields of a head that concern framing and the connection.
#[derive(Debug, Default)]
struct Found {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
    expects: bool,
    upgrade: bool,
    upgrade_to_socket: bool,
    /// The one field `Upgrade` says nothing but `websocket`.
    only_socket: bool,
    connection_upgrade: bool,
}

impl Found {
    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), &'static str> {
        // Most fields are told apart by their length.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                self.hosts += 1;
                if self.hosts > 1 || !is_host(value) {
                    return Err("One Host that is a name or an address belongs to a request.");
                }
            }
            6 if name.eq_ignore_ascii_case("expect") => self.expects |= has_option(value, "100-continue"),
            7 if name.eq_ignore_ascii_case("upgrade") => {
                self.only_socket = !self.upgrade && value.eq_ignore_ascii_case(b"websocket");
                self.upgrade = true;
                self.upgrade_to_socket |= has_option(value, "websocket");
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                self.connection_upgrade |= has_option(value, "upgrade");
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let digits = value.trim_ascii();
                let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
                if self.length.is_some() || !digits.iter().all(u8::is_ascii_digit) || number.is_none() {
                    return Err("One Content-Length that is a number belongs to a body.");
                }
                self.length = number;
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err("Of transfer encodings only chunked is taken, once.");
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn judge(&self, method: &str, minor: u8) -> Result<Body, &'static str> {
        if minor == 1 && self.hosts == 0 {
            return Err("One Host that is a name or an address belongs to a request.");
        }
        if self.chunked && (minor == 0 || self.length.is_some()) {
            return Err("Chunks belong to HTTP/1.1 and have no Content-Length.");
        }
        if minor == 0 && method == "POST" && self.length.is_none() {
            return Err("In HTTP/1.0 a body has a Content-Length.");
        }
        Ok(match self.length {
            _ if self.chunked => Body::Chunked(Chunks::default()),
            length => Body::Length(length.unwrap_or(0)),
        })
    }
}

/// Whether the web server can read a target. Most are made of plain characters and need no parser.
fn is_target(target: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~?=&:%,+@!".contains(&byte);
    (target.starts_with('/') && target.bytes().all(plain)) || target.parse::<Uri>().is_ok()
}

/// Whether a target is below the addresses of sockets, also when it names the host.
fn is_socket_path(target: &str) -> bool {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |start| &rest[start..]),
        _ => target,
    };
    path.starts_with("/ws/")
}

/// A name, or an address, with or without a port (RFC 9110 §7.2); empty is one who has no name.
fn is_host(value: &[u8]) -> bool {
    let host = value.trim_ascii();
    let (name, port) = match host.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let inside = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if end == 0 || !rest[..end].iter().all(inside) {
                return false;
            }
            (&[][..], &rest[end + 1..])
        }
        None => host.split_at(host.iter().position(|byte| *byte == b':').unwrap_or(host.len())),
    };
    let in_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    let is_port = match port.split_first() {
        None => true,
        Some((colon, digits)) => *colon == b':' && digits.iter().all(u8::is_ascii_digit),
    };
    name.iter().all(in_a_name) && is_port
}

/// A whole head as the web server is to see it: without an offer to upgrade that is not taken up, which it would
/// copy into its answer, and without `Expect`, which it would answer before anybody looked at the request. An offer of
/// a socket among others is the offer of a socket.
pub(super) fn rewrite(head: &[u8], socket: bool) -> Vec<u8> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, &mut fields);
    debug_assert!(matches!(parsed, Ok(httparse::Status::Complete(_))), "it was parsed before");
    let mut written = Vec::with_capacity(head.len() + 32);
    let version = if request.version == Some(0) { "HTTP/1.0" } else { "HTTP/1.1" };
    for part in [request.method.unwrap_or_default(), " ", request.path.unwrap_or_default(), " ", version] {
        written.extend_from_slice(part.as_bytes());
    }
    let mut field = |name: &str, value: &[u8]| {
        written.extend_from_slice(b"\r\n");
        written.extend_from_slice(name.as_bytes());
        written.extend_from_slice(b": ");
        written.extend_from_slice(value);
    };
    let (mut close, mut keep_alive) = (false, false);
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("expect") || is("upgrade") {
            continue;
        }
        if is("connection") && !socket {
            close |= has_option(header.value, "close");
            keep_alive |= has_option(header.value, "keep-alive");
            continue;
        }
        field(header.name, header.value);
    }
    match (socket, close, keep_alive) {
        (true, ..) => field("upgrade", b"websocket"),
        (false, true, _) => field("connection", b"close"),
        (false, false, true) => field("connection", b"keep-alive"),
        (false, false, false) => {}
    }
    written.extend_from_slice(b"\r\n\r\n");
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Head {
        match judge(text.as_bytes(), true) {
            Judged::Whole(head) => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_head_says_where_it_ends_and_what_follows() {
        let get = whole("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /next");
        assert_eq!((get.length, get.body, get.to_rewrite), (27, Body::Length(0), false));
        let post = whole("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:  12 \r\n\r\n");
        assert_eq!(post.body, Body::Length(12));
        let chunked = whole("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
        assert_eq!(chunked.body, Body::Chunked(Chunks::default()));
        for partial in ["", "G", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            assert_eq!(judge(partial.as_bytes(), true), Judged::Partial, "{partial:?}");
        }
    }

    #[test]
    fn what_two_readers_would_read_differently_is_refused() {
        let with = |fields: &str| format!("POST /x HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
        for fields in [
            "content-length: 1\r\ncontent-length: 1",
            "content-length: +1",
            "content-length: 1, 1",
            "content-length: ",
            "content-length: 99999999999999999999",
            "content-length: 1\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip",
            "transfer-encoding: identity",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "host: b",
        ] {
            assert!(matches!(judge(with(fields).as_bytes(), true), Judged::Refused(_)), "{fields}");
        }
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
            "GET /caf\u{e9} x HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: folded\r\n line\r\n\r\n",
        ] {
            assert!(matches!(judge(text.as_bytes(), true), Judged::Refused(_)), "{text:?}");
        }
        let many = "x: y\r\n".repeat(MAX_FIELDS);
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n");
        let Judged::Refused(refused) = judge(many.as_bytes(), true) else { panic!("97 fields") };
        assert_eq!(refused.reason, Reason::HeadTooLarge);
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in
            ["a", "shop.example", "shop.example:8000", "10.0.0.1:1", "[::1]", "[::1]:80", "a:", "", " a "]
        {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "a b",
            "a/b",
            "[::1",
            "[]",
            "::1",
            "a:b",
            "a:1:2",
            "[::1]x",
            "a@b",
            "caf\u{e9}",
            "a?b",
            "[::1] :1",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn only_an_offer_of_a_socket_where_there_are_some_is_passed_on() {
        let ask = |method: &str, path: &str, upgrade: &str| {
            whole(&format!(
                "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: {upgrade}\r\n\r\n"
            ))
        };
        let socket = ask("GET", "/ws/orders/x", "WebSocket");
        assert!(socket.socket && !socket.to_rewrite);
        let list = ask("GET", "/ws/orders/x", "websocket, h2c");
        assert!(list.socket && list.to_rewrite);
        assert!(ask("GET", "http://a/ws/orders/x", "websocket").socket);
        for head in [
            ask("POST", "/ws/orders/x", "websocket"),
            ask("GET", "/api/v1/orders", "websocket"),
            ask("GET", "/x?u=http://a/ws/", "websocket"),
            ask("GET", "/ws/orders/x", "h2c"),
        ] {
            assert!(!head.socket && head.to_rewrite, "{head:?}");
        }
        let half = whole("GET /ws/orders/x HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n");
        assert!(!half.socket && half.to_rewrite, "the web server takes it for an ordinary request");
        let elsewhere = "GET /ws/x HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n";
        assert!(matches!(judge(elsewhere.as_bytes(), false), Judged::Whole(head) if !head.socket));
    }

    #[test]
    fn an_offer_that_is_not_taken_leaves_nothing_but_how_the_connection_goes_on() {
        let after = |version: &str, connection: &str| {
            let head = format!(
                "GET /a?b HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nX: y\r\n\r\n"
            );
            String::from_utf8(rewrite(head.as_bytes(), false)).unwrap()
        };
        assert_eq!(after("1.1", "Upgrade, HTTP2-Settings"), "GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
        assert!(after("1.1", "upgrade, close").contains("\r\nconnection: close\r\n"));
        assert!(after("1.0", "keep-alive, upgrade").contains("\r\nconnection: keep-alive\r\n"));
        let socket =
            b"GET /ws/x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c, websocket\r\n\r\n";
        let socket = String::from_utf8(rewrite(socket, true)).unwrap();
        assert!(socket.contains("connection: upgrade\r\n") && socket.contains("upgrade: websocket\r\n"));
    }
}
