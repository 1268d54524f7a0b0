//! Reading a typed value from JSON.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::response::problem::ApiError;

use super::faults;
use super::validate::check;

/// The refusal of a value that is no `T`, as `error` was the first to say.
pub(super) fn refused<T>(
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
pub(super) fn read<T>(value: Value, bytes: usize) -> Result<T, ApiError>
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

    use super::super::validate::{check, faults_of};
    use super::super::{List, rules};
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
