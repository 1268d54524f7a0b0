//! The rules of all fields of a value, checked at once.

use crate::http::response::problem::{ApiError, MAX_FIELD_ERRORS};
use crate::protocol::problem::FieldError;

/// Checks every field of `value` and names all that are wrong.
///
/// # Errors
/// 422 with one entry for each wrong field, up to [`MAX_FIELD_ERRORS`].
pub(in crate::http) fn check<T>(value: &T) -> Result<(), ApiError>
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
pub(super) fn faults_of<T>(value: &T) -> Vec<FieldError>
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

/// The message of a rule that comes with garde, in the words of our own rules.
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
