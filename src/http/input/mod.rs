//! Input is parsed, not pattern-matched: bodies, queries and paths become typed values, and every field that is
//! wrong is named.

mod body;
mod body_limits;
mod list;
mod parsed;
mod path;
mod query;
pub mod rules;

pub use body::Body;
pub(super) use body_limits::BodyBudget;
pub use list::List;
pub use parsed::{FromText, Parsed, one_of, schema_of};
pub use path::{PathId, path_text};
pub use query::Query;

use serde::de::DeserializeOwned;

use crate::protocol::problem::FieldError;

use super::problem::{ApiError, MAX_FIELD_ERRORS};

/// Checks every field of `value` and names all that are wrong.
///
/// # Errors
/// 422 with one entry for each wrong field, up to [`MAX_FIELD_ERRORS`].
pub fn check<T>(value: &T) -> Result<(), ApiError>
where
    T: garde::Validate,
    T::Context: Default,
{
    value.validate().map_err(|report| {
        let fields = report.iter().take(MAX_FIELD_ERRORS).map(|(path, error)| FieldError {
            field: path.to_string(),
            message: error.message().to_string(),
        });
        ApiError::invalid(fields.collect())
    })
}

/// Reads a value that is JSON already; a wrong type or an unknown field is named by its path.
fn typed<T: DeserializeOwned>(json: serde_json::Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(json).map_err(|error| wrong_field(&error))
}

/// What is said of a name that is none.
const UNKNOWN_FIELD: &str = "is not a known field";

/// The field an error is about. The words of serde name values; they are cut down to what was expected.
fn wrong_field(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let path = error.path().to_string();
    let parent = if path == "." { "" } else { path.as_str() };
    let text = error.inner().to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let named = |prefix: &str| text.strip_prefix(prefix)?.split('`').next().map(|name| join(parent, name));
    if let Some(field) = named("unknown field `") {
        ApiError::invalid_field(field, UNKNOWN_FIELD)
    } else if let Some(field) = named("missing field `") {
        ApiError::invalid_field(field, "is required")
    } else if let Some(field) = named("duplicate field `") {
        ApiError::invalid_field(field, "is given twice")
    } else {
        let field = if parent.is_empty() { "body" } else { parent };
        let expected = text.split_once("expected ").map_or("another kind of value", |(_, what)| plain(what));
        ApiError::invalid_field(field, format!("expected {expected}"))
    }
}

/// The name of a type as people know it who do not write Rust.
fn plain(expected: &str) -> &str {
    match expected {
        "i64" | "u64" | "u32" | "u16" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "an object",
        other => other,
    }
}

/// `name` inside `parent`, unless the path ends there already.
fn join(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        _ if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        _ => format!("{parent}.{name}"),
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
        let refused = typed::<Basket>(json).and_then(|basket| check(&basket)).unwrap_err();
        refused.problem().errors.iter().map(|e| (e.field.clone(), e.message.clone())).collect()
    }

    #[test]
    fn a_wrong_type_an_unknown_and_a_missing_field_are_named_by_their_path() {
        for (body, field, message) in [
            (json!({"items": [{"qty": "2"}]}), "items[0].qty", "expected a whole number"),
            (json!({"items": [{"qty": 1.5}]}), "items[0].qty", "expected a whole number"),
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
        assert_eq!(fields, [("items".to_owned(), "length is greater than 3".to_owned())]);
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
