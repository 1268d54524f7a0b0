//! Strict query strings: unknown and doubled names are refused, empty values count as not given.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::problem::ApiError;

use super::{check, typed};

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
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| ApiError::invalid_field("query", "could not be read"))?
        .into_inner();
    let mut fields = Map::new();
    for (name, value) in pairs {
        if fields.contains_key(&name) {
            return Err(ApiError::invalid_field(name, "is given twice"));
        }
        fields.insert(name, Value::String(value));
    }
    // Kept until here so that an unknown name is refused even when it is empty.
    let known = |name: &str| typed::<T>(Value::Object(Map::from_iter([(name.to_owned(), "".into())])));
    for (name, _) in fields.iter().filter(|(_, value)| *value == "") {
        known(name)?;
    }
    fields.retain(|_, value| *value != "");
    let value: T = typed(Value::Object(fields))?;
    check(&value)?;
    Ok(value)
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

    #[test]
    fn empty_values_count_as_not_given_and_unknown_names_do_not_pass() {
        let filter: Filter = read("status=&q=%C3%A9+x").unwrap();
        assert!(filter.status.is_none());
        assert_eq!(filter.q.as_deref(), Some("é x"));
        let field = |query| read::<Filter>(query).unwrap_err().problem().errors[0].field.clone();
        assert_eq!(field("status=lost"), "status");
        assert_eq!(field("x=1"), "x");
        assert_eq!(field("x="), "x");
        assert_eq!(field("q=1&q=2"), "q");
        assert_eq!(field("q=long"), "q");
    }
}
