//! Strict query strings: unknown and doubled names, empty values and bytes that are not UTF-8 are refused. An empty filter is
//! refused because its sender has lost a value and would otherwise get everything.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::response::problem::ApiError;

use super::faults;
use super::read::read as read_value;

/// A query string as `T`, all of whose fields are texts ([`super::Parsed`] or `String`) and were checked.
#[derive(Clone, Debug)]
pub struct Query<T>(
    /// The value.
    pub T,
);

impl<T> FromRequest for Query<T>
where
    T: DeserializeOwned + garde::Validate + 'static,
    T::Context: Default,
{
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

fn read<T>(query: &str) -> Result<T, ApiError>
where
    T: DeserializeOwned + garde::Validate,
    T::Context: Default,
{
    if !is_text(query) {
        return Err(ApiError::invalid_field("query", "is not UTF-8"));
    }
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| ApiError::invalid_field("query", "could not be read"))?
        .into_inner();
    let mut fields = Map::new();
    for (name, value) in pairs.into_iter().filter(|(name, _)| !is_added(name)) {
        if fields.contains_key(&name) {
            return Err(ApiError::invalid_field(name, "is given twice"));
        }
        fields.insert(name, Value::String(value));
    }
    if let Some((name, _)) = fields.iter().find(|(_, value)| *value == "") {
        // A name that is not known is said to be so, also when it is empty.
        let alone = serde_path_to_error::deserialize::<_, T>(Value::Object(Map::from_iter([(
            name.clone(),
            Value::Null,
        )])));
        let unknown = alone.err().map(|error| faults::first(&error));
        let unknown = unknown.filter(|first| first.field == *name && first.message == faults::UNKNOWN_FIELD);
        let refused = unknown.map(|unknown| ApiError::invalid(vec![unknown]));
        return Err(refused.unwrap_or_else(|| ApiError::invalid_field(name, "must not be empty")));
    }
    read_value(Value::Object(fields), query.len())
}

/// Whether a name is one that caches are kept off with and campaigns are counted by, on every route: `_=1712`,
/// `utm_source=mail`. Somebody else's library adds it, and it is no filter with a slip in it.
fn is_added(name: &str) -> bool {
    name.starts_with('_') || name.starts_with("utm_")
}

/// Whether the bytes a query string stands for are UTF-8. What is read from it would have marks in their place otherwise.
fn is_text(query: &str) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, left) = match (first, after) {
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), left),
                _ => (b'%', after),
            },
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = left;
    }
    std::str::from_utf8(&bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use serde::Deserialize;

    use crate::domain::order::Status;
    use crate::http::input::Parsed;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        #[garde(dive)]
        status: Option<Parsed<Status>>,
        #[garde(length(chars, max = 3))]
        q: Option<String>,
    }

    fn refused(query: &str) -> (String, String) {
        let error = read::<Filter>(query).unwrap_err().problem().errors[0].clone();
        (error.field, error.message)
    }

    #[test]
    fn values_are_read_and_unknown_and_doubled_names_do_not_pass() {
        let filter: Filter = read("q=%C3%A9+x").unwrap();
        assert!(filter.status.is_none());
        assert_eq!(filter.q.as_deref(), Some("é x"));
        assert!(read::<Filter>("").is_ok());
        for (query, field) in [("status=lost", "status"), ("x=1", "x"), ("q=1&q=2", "q"), ("q=long", "q")] {
            assert_eq!(refused(query).0, field, "{query}");
        }
    }

    #[test]
    fn names_that_libraries_add_are_passed_over_and_slips_are_not() {
        for query in ["_=1712", "q=a&_=&_=2&utm_source=mail&utm_medium", "_ticket=x"] {
            assert!(read::<Filter>(query).is_ok(), "{query}");
        }
        for slip in ["staus=placed", "utm=1", "Q=a"] {
            assert_eq!(refused(slip).1, "is not a known field", "{slip}");
        }
        let all = read::<Filter>("staus=placed&status=lost&q=long").unwrap_err();
        assert_eq!(all.problem().errors.len(), 3, "all at once");
    }

    #[test]
    fn a_name_without_a_value_is_refused_and_an_unknown_one_said_to_be_so() {
        for (query, field) in
            [("status=", "status"), ("status", "status"), ("q=&status=placed", "q"), ("q", "q")]
        {
            assert_eq!(refused(query), (field.to_owned(), "must not be empty".to_owned()), "{query}");
        }
        assert_eq!(refused("x="), ("x".to_owned(), "is not a known field".to_owned()));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for query in ["q=%ff", "q=a%C3", "%fe=1", "q=%c3%28"] {
            assert_eq!(refused(query), ("query".to_owned(), "is not UTF-8".to_owned()), "{query}");
        }
        for query in ["q=%", "q=%F0", "q=%zz"] {
            assert_eq!(is_text(query), query != "q=%F0", "{query}");
        }
    }
}
