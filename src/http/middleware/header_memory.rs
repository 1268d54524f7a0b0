//! Bounded memory for the header fields of a request.

use actix_web::http::header::{HeaderMap, HeaderValue};
use bytes::BytesMut;

/// Fields that fit into a table of 16 places; programs send fewer, browsers sometimes more.
const FIELDS: usize = 14;

/// Gives the fields values of their own, all in one allocation, and a table that fits them.
///
/// As they come, the values are windows into the connection's read buffer of 8 KiB, and the table of a new head takes
/// 7 KiB. Each worker keeps up to 128 finished requests for reuse, as they are: the most that were ever under way at once.
/// Those at the bottom of its stack are hardly ever reused, and would keep 15 KiB each until the end.
pub(in crate::http) fn own_headers(headers: &mut HeaderMap) {
    let mut text = BytesMut::with_capacity(headers.iter().map(|(_, value)| value.len()).sum());
    headers.retain(|_, value| {
        text.extend_from_slice(value.as_bytes());
        // Parsed once already; one that could not be parsed again would stay the window it is.
        if let Ok(own) = HeaderValue::from_maybe_shared(text.split().freeze()) {
            *value = own;
        }
        true
    });
    if headers.capacity() > FIELDS && headers.len_keys() <= FIELDS {
        let mut fitting = HeaderMap::with_capacity(FIELDS);
        headers.iter().for_each(|(name, value)| fitting.append(name.clone(), value.clone()));
        *headers = fitting;
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ACCEPT, COOKIE, HOST, HeaderName};
    use bytes::Bytes;

    use super::*;

    fn window(buffer: &Bytes, text: &str) -> HeaderValue {
        let start = std::str::from_utf8(buffer).unwrap().find(text).unwrap();
        HeaderValue::from_maybe_shared(buffer.slice(start..start + text.len())).unwrap()
    }

    #[test]
    fn the_read_buffer_is_let_go_and_every_value_kept_in_its_order() {
        let buffer = Bytes::from("hub.example | one=1 | two=2 | text/plain | caf\u{e9}".to_owned());
        let mut headers = HeaderMap::with_capacity(16);
        headers.append(HOST, window(&buffer, "hub.example"));
        headers.append(COOKIE, window(&buffer, "one=1"));
        headers.append(ACCEPT, window(&buffer, "text/plain"));
        headers.append(COOKIE, window(&buffer, "two=2"));
        headers.append(HeaderName::from_static("x-name"), window(&buffer, "caf\u{e9}"));
        let sorted = |headers: &HeaderMap| {
            let mut fields: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            let own = |(name, value): (String, HeaderValue)| (name, value.as_bytes().to_vec());
            fields.into_iter().map(own).collect::<Vec<_>>()
        };
        let before = sorted(&headers);
        assert!(!buffer.is_unique());
        own_headers(&mut headers);
        assert!(buffer.is_unique());
        assert_eq!(sorted(&headers), before);
        assert_eq!(headers.get_all(COOKIE).collect::<Vec<_>>(), ["one=1", "two=2"]);
    }

    #[test]
    fn a_table_is_as_large_as_its_fields_need() {
        let mut headers = HeaderMap::with_capacity(16);
        own_headers(&mut headers);
        assert_eq!(headers.capacity(), FIELDS);
        let name = |number: usize| HeaderName::try_from(format!("x-{number}")).unwrap();
        (0..FIELDS).for_each(|number| headers.append(name(number), HeaderValue::from(number)));
        assert_eq!(headers.capacity(), FIELDS, "grows for what it was made for");
        own_headers(&mut headers);
        assert_eq!(headers.len(), FIELDS);
        headers.append(name(FIELDS), HeaderValue::from(FIELDS));
        own_headers(&mut headers);
        assert_eq!(headers.len(), FIELDS + 1);
        assert_eq!(headers.get("x-14").unwrap(), "14");
    }
}
