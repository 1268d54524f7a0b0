//! Entity tags of orders: `"<version>.<delivery>.<payment>"`, and `.<edits>` once there were any. All of it says whether a copy is the present one; a move is judged by
//! the first number alone, or a refund would make it outdated.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::order::{Fulfilment, Order};
use crate::protocol::problem::ProblemCode;

use super::problem::ApiError;

/// The numbers of an order's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct OrderTag {
    version: i64,
    delivery: i64,
    payment: i64,
    edits: i64,
}

impl OrderTag {
    pub(in crate::http) fn of(order: &Order) -> Self {
        let is_delivery = order.fulfilment == Fulfilment::Delivery;
        let delivery = if is_delivery { order.delivery_version } else { 0 };
        Self { version: order.version, delivery, payment: order.payment_version, edits: order.edits }
    }

    /// The tag of an answer to placing an order, also of one that an older release gave.
    pub(in crate::http) fn of_shown(version: i64, delivery: Option<i64>, payment: Option<i64>) -> Self {
        Self { version, delivery: delivery.unwrap_or(0), payment: payment.unwrap_or(1), edits: 0 }
    }

    fn text(self) -> String {
        match self {
            Self { version, delivery, payment, edits: 0 } => format!("\"{version}.{delivery}.{payment}\""),
            Self { version, delivery, payment, edits } => {
                format!("\"{version}.{delivery}.{payment}.{edits}\"")
            }
        }
    }

    /// As the value of `ETag`.
    pub(in crate::http) fn header(self) -> HeaderValue {
        HeaderValue::from_str(&self.text()).expect("digits, dots and quotation marks are a header value")
    }

    /// Whether the client says it has this (RFC 9110 §13.1.2): weak tags compare like strong ones.
    pub(in crate::http) fn is_in(self, headers: &HeaderMap, name: HeaderName) -> bool {
        let present = self.text();
        headers.get_all(name).filter_map(|value| value.to_str().ok()).any(|line| {
            line.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == present)
        })
    }
}

/// The versions that the tags of a header name; `None` without the header and for `*`, which names none. What comes behind the
/// first number of a tag and whether it is weak, as proxies that compress make it, does not matter. A tag that is none of ours
/// matches nothing, like one of a version long gone.
///
/// # Errors
/// 400 for a value that is no list of entity tags.
pub(in crate::http) fn versions(
    headers: &HeaderMap,
    name: &HeaderName,
) -> Result<Option<Vec<i64>>, ApiError> {
    let mut lines = headers.get_all(name).map(|value| value.to_str().unwrap_or_default().trim()).peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let lines: Vec<&str> = lines.collect();
    if lines.iter().all(|line| *line == "*") {
        return Ok(None);
    }
    let mut versions = Vec::new();
    for tag in lines.iter().flat_map(|line| line.split(',')).map(str::trim) {
        let quoted = tag.strip_prefix("W/").unwrap_or(tag);
        let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let opaque = opaque.filter(|text| !text.contains('"')).ok_or_else(|| {
            ApiError::new(
                ProblemCode::Malformed,
                format!("{name} is not an entity tag: send the ETag of the order with its quotation marks, like \"3.1.1\"."),
            )
        })?;
        versions.extend(opaque.split('.').next().and_then(|number| number.parse::<i64>().ok()));
    }
    Ok(Some(versions))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{IF_MATCH, IF_NONE_MATCH};

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn a_client_that_has_all_of_the_tag_is_not_sent_the_order_again() {
        let tag = OrderTag { version: 3, delivery: 0, payment: 2, edits: 0 };
        let has = |value| tag.is_in(&headers(IF_NONE_MATCH, value), IF_NONE_MATCH);
        for yes in ["\"3.0.2\"", "W/\"3.0.2\"", "\"1.0.1\", \"3.0.2\"", "*"] {
            assert!(has(yes), "{yes}");
        }
        for no in ["\"3\"", "\"3.0.1\"", "3.0.2", "", "\"33.0.2\""] {
            assert!(!has(no), "{no}");
        }
        assert!(!tag.is_in(&HeaderMap::new(), IF_NONE_MATCH));
        let edited = OrderTag { edits: 1, ..tag };
        let has = |value| edited.is_in(&headers(IF_NONE_MATCH, value), IF_NONE_MATCH);
        assert!(has("\"3.0.2.1\"") && !has("\"3.0.2\"") && !has("\"3.0.2.2\""));
    }

    #[test]
    fn a_tag_names_the_version_that_it_begins_with_weak_or_not() {
        let named = |value| versions(&headers(IF_MATCH, value), &IF_MATCH).map_err(|error| error.code());
        for three in ["\"3\"", "W/\"3\"", "\"3.1.1\"", "W/\"3.0.2\"", " \"3.9.9\" "] {
            assert_eq!(named(three), Ok(Some(vec![3])), "{three}");
        }
        assert_eq!(named("\"3\", W/\"4.1.1\""), Ok(Some(vec![3, 4])));
        assert_eq!(named("*"), Ok(None));
        assert_eq!(versions(&HeaderMap::new(), &IF_MATCH).map_err(|error| error.code()), Ok(None));
        for foreign in ["\"three\"", "\"\"", "\"x.1\""] {
            assert_eq!(named(foreign), Ok(Some(Vec::new())), "{foreign}");
        }
        for malformed in ["3", "", "\"3", "w/\"3\"", "'3'", "\"3\" \"4\"", "\"3\", *", "\"3\","] {
            assert_eq!(named(malformed), Err(ProblemCode::Malformed), "{malformed}");
        }
    }
}
