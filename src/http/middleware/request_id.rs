//! The id of a request in logs and answers, and the trace it is part of.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the request id in and out.
pub(in crate::http) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken from a client, characters.
const MAX_REQUEST_ID: usize = 64;

/// The id of a request, visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct RequestId(String);

impl RequestId {
    /// The client's own id if it is 1 to 64 visible ASCII characters, else a new one.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Self {
        let sane = |text: &&str| {
            (1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
        Self(given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }

    /// The id as text.
    pub(in crate::http) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as the value of [`REQUEST_ID`].
    pub(in crate::http) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("a request id is visible ASCII")
    }
}

/// The trace a request is part of, by `traceparent` (W3C Trace Context §3.2); `None` for a field that is not valid.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    let sound = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    // Later versions may say more; this one says no more.
    let whole = version != "ff" && (version != "00" || parts.next().is_none());
    (sound && whole && !zero(trace) && !zero(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_request_id_is_kept_and_any_other_replaced() {
        let id = |given: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
            RequestId::of(&headers).0
        };
        assert_eq!(id(b"abc-123"), "abc-123");
        for bad in [&b""[..], b"two words", b"\xff", &[b'x'; 65]] {
            assert_eq!(id(bad).len(), 36, "{bad:?}");
        }
    }

    #[test]
    fn a_trace_is_named_by_a_sound_traceparent_only() {
        let trace = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static("traceparent"), HeaderValue::from_str(given).unwrap());
            trace_id(&headers).map(str::to_owned)
        };
        let (id, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert_eq!(trace(&format!("00-{id}-{parent}-01")).as_deref(), Some(id));
        assert_eq!(trace(&format!("01-{id}-{parent}-01-more")).as_deref(), Some(id));
        for bad in [
            String::new(),
            format!("00-{id}-{parent}"),
            format!("00-{id}-{parent}-01-more"),
            format!("ff-{id}-{parent}-01"),
            format!("00-{}-{parent}-01", id.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{}-{parent}-01", &id[1..]),
        ] {
            assert_eq!(trace(&bad), None, "{bad}");
        }
        assert_eq!(trace_id(&HeaderMap::new()), None);
    }
}
