//! The version on which a change of an order was decided.

use actix_web::http::header::{HeaderMap, IF_MATCH};

use crate::domain::order::{Order, Status};
use crate::http::response::etag;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

/// On which version a change was decided, and which refusal an outdated one gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// By the field `version`: outdated is 409.
    Field(i64),
    /// By `If-Match`, any of these: outdated is 412.
    Header(Vec<i64>),
}

/// The precondition of the request, if it names a version. `*` names none: whoever moves an order has to have seen it.
pub(super) fn precondition(
    headers: &HeaderMap,
    field: Option<i64>,
) -> Result<Option<Precondition>, ApiError> {
    let Some(versions) = etag::versions(headers, &IF_MATCH)? else {
        return Ok(field.map(Precondition::Field));
    };
    if field.is_some_and(|field| versions != [field]) {
        return Err(ApiError::invalid_field("version", "differs from the header If-Match"));
    }
    Ok(Some(Precondition::Header(versions)))
}

impl Precondition {
    /// The version to move the order on.
    pub(super) fn version(&self, order: &Order) -> Result<i64, ApiError> {
        match self {
            Self::Field(version) if *version == order.version => Ok(order.version),
            Self::Header(versions) if versions.contains(&order.version) => Ok(order.version),
            Self::Field(_) | Self::Header(_) => Err(self.outdated(order.version, order.status)),
        }
    }

    pub(super) fn outdated(&self, current: i64, status: Status) -> ApiError {
        let code = match self {
            Self::Field(_) => ProblemCode::StaleVersion,
            Self::Header(_) => ProblemCode::PreconditionFailed,
        };
        let detail =
            format!("It is {} now, in version {current}. Read the order and decide again.", status.as_str());
        ApiError::new(code, detail).current(current, status)
    }
}

pub(super) fn version_required() -> ApiError {
    ApiError::new(ProblemCode::VersionRequired, "Send the version as version or If-Match.")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn named(
        if_match: Option<&'static str>,
        field: Option<i64>,
    ) -> Result<Option<Precondition>, ProblemCode> {
        let mut headers = HeaderMap::new();
        if let Some(value) = if_match {
            headers.insert(IF_MATCH, HeaderValue::from_static(value));
        }
        precondition(&headers, field).map_err(|error| error.code())
    }

    #[test]
    fn the_version_is_named_by_the_field_or_the_header() {
        assert_eq!(named(None, None), Ok(None));
        assert_eq!(named(Some("*"), None), Ok(None));
        assert_eq!(named(None, Some(3)), Ok(Some(Precondition::Field(3))));
        assert_eq!(named(Some("\"3\""), None), Ok(Some(Precondition::Header(vec![3]))));
        assert_eq!(named(Some("\"3\", \"4\""), None), Ok(Some(Precondition::Header(vec![3, 4]))));
        assert_eq!(named(Some("W/\"3.1.2\""), Some(3)), Ok(Some(Precondition::Header(vec![3]))));
        assert_eq!(named(Some("\"3\""), Some(4)), Err(ProblemCode::Invalid));
    }
}
