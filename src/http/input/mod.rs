//! Input is parsed, not pattern-matched: bodies, queries and paths become typed values, and every field that is
//! wrong is named.

mod body;
mod body_limits;
mod faults;
mod list;
mod parsed;
mod query;
pub mod rules;

pub use body::Body;
pub(super) use body_limits::BodyBudget;
pub use list::List;
pub use parsed::{Bounds, FromText, Parsed, one_of, schema_of};
pub use query::Query;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::protocol::problem::FieldError;

use super::response::problem::{ApiError, MAX_FIELD_ERRORS};

/// Checks every field of `value` and names all that are wrong.
///
/// # Errors
/// 422 with one entry for each wrong field, up to [`MAX_FIELD_ERRORS`].
pub fn check<T>(value: &T) -> Result<(), ApiError>
where
    T: garde::Validate,
    T::Context: Default,
{
    match faults_of(value) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(ApiError::invalid(faults)),
    }
}

/// Every field of `value` that is wrong, up to [`MAX_FIELD_ERRORS`].
fn faults_of<T>(value: &T) -> Vec<FieldError>
where
    T: garde::Validate,
    T::Context: Default,
{
    let Err(report) = value.validate() else { return Vec::new() };
    let fields = report
        .iter()
        .take(MAX_FIELD_ERRORS)
        .map(|(path, error)| FieldError { field: path.to_string(), message: reworded(error.message()) });
    fields.collect()
}

/// The words of the rules that come with garde, as our own rules would put them.
fn reworded(message: &str) -> String {
    let bound = |prefix: &str| message.strip_prefix(prefix);
    if let Some(min) = bound("length is lower than ") {
        format!("must have at least {min} {}", if min == "1" { "character" } else { "characters" })
    } else if let Some(max) = bound("length is greater than ") {
        format!("must be at most {max} characters long")
    } else if let Some(min) = bound("lower than ") {
        format!("must be at least {min}")
    } else if let Some(max) = bound("greater than ") {
        format!("must be at most {max}")
    } else {
        message.to_owned()
    }
}

/// The refusal of a value that is no `T`, as `error` was the first to say.
fn refused<T>(
    node: faults::Node,
    error: &serde_path_to_error::Error<serde_json::Error>,
    bytes: usize,
) -> ApiError
where
    T: DeserializeOwned + garde::Validate,
    T::Context: Default,
{
    match faults::collect::<T>(node, bytes) {
        faults if faults.is_empty() => ApiError::invalid(vec![faults::first(error)]),
        faults => ApiError::invalid(faults),
    }
}

/// Reads a value that is JSON already and checks it; every field that is wrong is named.
fn read<T>(value: Value, bytes: usize) -> Result<T, ApiError>
where
    T: DeserializeOwned + garde::Validate,
    T::Context: Default,
{
    match serde_path_to_error::deserialize::<_, T>(&value) {
        Ok(read) => check(&read).map(|()| read),
        Err(error) => Err(refused::<T>(value.into(), &error, bytes)),
    }
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Basket {
        #[garde(dive)]
        items: List<Line, 0, 3>,
        #[garde(inner(custom(rules::line::<5>)))]
        name: Option<String>,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[garde(range(min = 1, max = 999))]
        qty: i64,
    }

    fn errors(json: serde_json::Value) -> Vec<(String, String)> {
        let refused = read::<Basket>(json, 100).unwrap_err();
        refused.problem().errors.iter().map(|e| (e.field.clone(), e.message.clone())).collect()
    }

    #[test]
    fn a_wrong_type_an_unknown_and_a_missing_field_are_named_by_their_path() {
        for (body, field, message) in [
            (json!({"items": [{"qty": "2"}]}), "items[0].qty", "expected a whole number"),
            (
                json!({"items": [{"qty": 1.5}]}),
                "items[0].qty",
                "expected a whole number, without a decimal point",
            ),
            (json!({"items": [{"qty": 1, "x": 1}]}), "items[0].x", "is not a known field"),
            (json!({"items": [{}]}), "items[0].qty", "is required"),
            (json!({"items": {}}), "items", "expected a list"),
            (json!({"items": [], "nam": 1}), "nam", "is not a known field"),
            (json!({}), "items", "is required"),
            (json!([]), "body", "expected an object"),
        ] {
            assert_eq!(errors(body.clone()), [(field.to_owned(), message.to_owned())], "{body}");
        }
    }

    #[test]
    fn every_bad_value_is_named_at_once() {
        let fields = errors(json!({"items": [{"qty": 0}, {"qty": -1}], "name": "too long"}));
        let fields: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["items[0].qty", "items[1].qty", "name"]);
    }

    #[test]
    fn a_list_that_is_too_long_is_named_and_none_of_its_entries() {
        let wrong: Vec<_> = (0..50_000).map(|_| json!({"qty": 0})).collect();
        let fields = errors(json!({ "items": wrong }));
        assert_eq!(fields, [("items".to_owned(), "must have at most 3 items".to_owned())]);
    }

    #[test]
    fn the_words_of_all_rules_are_those_of_one_hand() {
        #[derive(Validate)]
        struct Bounds {
            #[garde(length(chars, min = 1))]
            short: &'static str,
            #[garde(length(bytes, max = 2))]
            long: &'static str,
            #[garde(range(min = 1))]
            low: i64,
            #[garde(range(max = 9))]
            high: i64,
            #[garde(dive)]
            items: List<Line, 1, 3>,
        }
        let items = serde_json::from_value(json!([])).unwrap();
        let faults = faults_of(&Bounds { short: "", long: "xyz", low: 0, high: 10, items });
        let said: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(
            said,
            [
                "must be at most 9",
                "must have at least 1 item",
                "must be at most 2 characters long",
                "must be at least 1",
                "must have at least 1 character"
            ]
        );
    }

    #[test]
    fn a_problem_names_a_hundred_fields_at_most() {
        #[derive(Debug, Validate)]
        struct Many {
            #[garde(dive)]
            items: List<Line, 0, 1000>,
        }
        let items = serde_json::from_value(json!(vec![json!({"qty": 0}); 1000])).unwrap();
        let refused = check(&Many { items }).unwrap_err();
        assert_eq!(refused.problem().errors.len(), 100);
    }
}
