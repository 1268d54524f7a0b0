//! Moving an order along its table (requirement 3.5).

use actix_web::http::header::{ETAG, HeaderMap, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse, patch, web};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::ids::OrderId;
use crate::domain::order::table::verdict;
use crate::domain::order::{MoveRefusal, MoveRequest, Order, Party, Status, Verdict};
use crate::protocol::problem::ProblemCode;
use crate::protocol::views::OrderView;
use crate::storage::command::{MoveError, MoveOrder};

use super::super::identity::SignedIn;
use super::super::input::{Body, Parsed, PathId, rules, schema_of};
use super::super::problem::ApiError;
use super::super::state::Api;
use super::{etag, view_for};

/// Where an order is to go.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusChange {
    /// Where to.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Status>)]
    status: Parsed<Status>,
    /// The version this was decided on; or send `If-Match`.
    #[garde(range(min = 1))]
    #[schema(minimum = 1, example = 1)]
    version: Option<i64>,
    /// Why; members and operators who cancel have to say.
    #[garde(inner(custom(rules::block::<300>)))]
    #[schema(min_length = 1, max_length = 300, example = "The oven broke")]
    reason: Option<String>,
    /// Minutes promised; counts with `accepted`.
    #[garde(range(min = 1, max = 600))]
    #[schema(minimum = 1, maximum = 600, example = 25)]
    prep_minutes: Option<i64>,
}

/// On which version a change was decided, and which refusal an outdated one gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Precondition {
    /// By the field `version`: outdated is 409.
    Field(i64),
    /// By `If-Match`, any of these: outdated is 412.
    Header(Vec<i64>),
}

/// Move an order.
///
/// The version has to be named, by `version` or by `If-Match`. An order that stands there already is answered
/// unchanged.
#[utoipa::path(tag = "orders", security(("bearer" = [])), request_body = StatusChange,
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` this was decided on"),
    ),
    responses(
        (status = 200, description = "The order as it is now", body = OrderView,
         headers(("ETag" = String, description = "Its version"))),
        (status = 403, description = "`not_your_move`"),
        (status = 409, description = "`stale_version` with `current_version`, or `move_forbidden` with `allowed`"),
        (status = 412, description = "`precondition_failed` with `current_version`: `If-Match` is outdated"),
        (status = 428, description = "`version_required`"),
    ))]
#[patch("/orders/{id}/status")]
pub(super) async fn change_status(
    api: web::Data<Api>,
    who: SignedIn,
    id: PathId<OrderId>,
    request: HttpRequest,
    body: Body<StatusChange>,
) -> Result<HttpResponse, ApiError> {
    let StatusChange { status, version, reason, prep_minutes } = body.0;
    let to = status.into_inner();
    let (order, party) = api.order_for(who.principal, id.0).await?;
    let verdict = verdict(order.status, to, order.fulfilment, party);
    if matches!(verdict, Verdict::NotTheirMove) {
        return Err(not_their_move());
    }
    let precondition = precondition(request.headers(), version)?.ok_or_else(|| {
        ApiError::new(ProblemCode::VersionRequired, "Send the version as version or If-Match.")
    })?;
    let version = precondition.version(&order)?;
    let unexplained = to == Status::Cancelled && party != Party::Customer && reason.is_none();
    if unexplained && matches!(verdict, Verdict::Allowed(_)) {
        return Err(ApiError::invalid_field("reason", "is required to cancel"));
    }
    let prep_minutes = prep_minutes
        .map(|minutes| u16::try_from(minutes).expect("the range of the field lies within 16 bits"));
    let request = MoveRequest { party, to, version, prep_minutes };
    let wish = MoveOrder { order: id.0, user: Some(who.principal.user), request, reason };
    match api.persistence.move_order(order.business_id, wish).await? {
        Ok(order) => {
            let response = HttpResponse::Ok().json(view_for(&order, party));
            Ok(with_etag(response, order.version))
        }
        Err(MoveError::NoSuchOrder) => Err(ApiError::not_found()),
        Err(MoveError::Refused(refusal)) => Err(refused(refusal, &precondition)),
    }
}

fn with_etag(mut response: HttpResponse, version: i64) -> HttpResponse {
    response.headers_mut().insert(ETAG, etag(version));
    response
}

/// What the client named, if it named a version. `*` names none: whoever moves an order has to have seen it.
fn precondition(headers: &HeaderMap, field: Option<i64>) -> Result<Option<Precondition>, ApiError> {
    let lines: Vec<&str> = headers.get_all(IF_MATCH).map(|v| v.to_str().unwrap_or_default()).collect();
    if lines.iter().all(|line| line.trim() == "*") {
        return Ok(field.map(Precondition::Field));
    }
    // A tag that is none of ours matches nothing, like one of a version long gone.
    let versions: Vec<i64> =
        lines.iter().flat_map(|line| line.split(',')).filter_map(|tag| version_of(tag.trim())).collect();
    if field.is_some_and(|field| versions != [field]) {
        return Err(ApiError::invalid_field("version", "differs from the header If-Match"));
    }
    Ok(Some(Precondition::Header(versions)))
}

fn version_of(tag: &str) -> Option<i64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

impl Precondition {
    /// The version to move the order on.
    fn version(&self, order: &Order) -> Result<i64, ApiError> {
        match self {
            Self::Field(version) if *version == order.version => Ok(order.version),
            Self::Header(versions) if versions.contains(&order.version) => Ok(order.version),
            Self::Field(_) | Self::Header(_) => Err(self.outdated(order.version)),
        }
    }

    fn outdated(&self, current: i64) -> ApiError {
        let code = match self {
            Self::Field(_) => ProblemCode::StaleVersion,
            Self::Header(_) => ProblemCode::PreconditionFailed,
        };
        ApiError::new(code, "Read the order and decide again.").current_version(current)
    }
}

fn not_their_move() -> ApiError {
    ApiError::new(ProblemCode::NotYourMove, "Somebody else makes this move.")
}

fn refused(refusal: MoveRefusal, precondition: &Precondition) -> ApiError {
    match refusal {
        MoveRefusal::NotTheirMove => not_their_move(),
        MoveRefusal::Stale { current } => precondition.outdated(current),
        MoveRefusal::Forbidden { from, allowed } => ApiError::new(
            ProblemCode::MoveForbidden,
            format!("It is {} now; see allowed for where you can move it.", from.as_str()),
        )
        .allowed(allowed.into_iter().map(|status| status.as_str().to_owned()).collect()),
    }
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
        assert_eq!(named(Some("\"3\""), Some(3)), Ok(Some(Precondition::Header(vec![3]))));
        assert_eq!(named(Some("\"3\""), Some(4)), Err(ProblemCode::Invalid));
    }

    #[test]
    fn a_tag_that_is_none_of_ours_matches_nothing() {
        for tag in ["W/\"3\"", "3", "\"three\"", "\"\""] {
            assert_eq!(named(Some(tag), None), Ok(Some(Precondition::Header(Vec::new()))), "{tag}");
        }
    }
}
