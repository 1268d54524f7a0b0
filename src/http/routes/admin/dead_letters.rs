//! Messages that could not be worked on.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::ids::DeadLetterId;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{
    Executed, IdempotentRequest, KeyCheck, PreparedResponse, check_key, execute,
};
use crate::http::input::{Body, FromText, Parsed, Query, one_of, schema_of};
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};
use crate::storage::DeadLetter;
use crate::storage::commands::ReplayDeadLetters;

/// Most dead letters that are let go again at once.
const MOST_AT_ONCE: u32 = 1000;

/// The kind of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterKind {
    /// A message of the payment provider.
    Payment,
}

impl LetterKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
        }
    }
}

impl FromText for LetterKind {
    const EXAMPLE: &'static str = "payment";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&[Self::Payment], Self::as_str, text)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(vec![Self::Payment.as_str()])
    }
}

/// The dead letters that the list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadLetterFilter {
    /// Only those of this kind: `payment`.
    #[garde(dive)]
    #[param(schema_with = schema_of::<LetterKind>)]
    kind: Option<Parsed<LetterKind>>,
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// The `next_cursor` of the page before.
    #[garde(dive)]
    #[param(schema_with = schema_of::<DeadLetterId>)]
    cursor: Option<Parsed<DeadLetterId>>,
}

/// A message that could not be worked on.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetterView {
    /// `dlt_…`
    #[schema(example = "dlt_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// `payment`: a message of the payment provider.
    #[schema(example = "payment")]
    kind: String,
    /// `unknown_payment`, `wrong_order`, `amount_mismatch`, `unreadable` or `failing`.
    #[schema(example = "amount_mismatch")]
    reason: &'static str,
    /// `ord_…`: the order that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    /// `pay_…`: the payment that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<String>,
    /// `open`, `replayed`: it is worked on again, or `done`.
    #[schema(example = "open")]
    state: &'static str,
    /// How often it was worked on again.
    #[schema(example = 0)]
    replays: u32,
    /// The message as it came; only where one letter is read, and not of what the provider said when it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// When its state last changed; RFC 3339.
    updated_at: String,
}

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLettersView {
    /// Those that are open, newest first.
    items: Vec<DeadLetterView>,
    /// The most entries of the page.
    limit: u32,
    /// Whether more follow.
    has_more: bool,
    /// For the next page.
    next_cursor: Option<String>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id.to_string(),
            kind: letter.kind,
            reason: letter.reason.as_str(),
            order_id: letter.order.map(|order| order.to_string()),
            payment_id: letter.payment.map(|payment| payment.to_string()),
            state: letter.state.as_str(),
            replays: letter.replays,
            body: letter.body.map(|body| body.0),
            created_at: letter.created_at.to_rfc3339(),
            updated_at: letter.updated_at.to_rfc3339(),
        }
    }
}

/// List the dead letters that wait for an operator, newest first.
#[utoipa::path(operation_id = "listDeadLetters", tag = "operations", params(DeadLetterFilter), responses(
    (status = 200, description = "A page", body = DeadLettersView),
))]
#[get("/admin/dead-letters")]
pub(super) async fn list(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
    query: Query<DeadLetterFilter>,
) -> Result<HttpResponse, ApiError> {
    let DeadLetterFilter { kind, limit, cursor } = query.0;
    let limit = limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let kind = kind.map(|kind| kind.into_inner().as_str());
    let mut found = app.store.dead_letters(kind, cursor.map(Parsed::into_inner), limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| last.id.to_string());
    let items = found.into_iter().map(DeadLetterView::from).collect();
    Ok(HttpResponse::Ok().json(DeadLettersView { items, limit, has_more, next_cursor }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// Read a dead letter with the message as it came.
#[utoipa::path(operation_id = "readDeadLetter", tag = "operations",
    params(("id" = String, Path, description = "`dlt_…`")),
    responses((status = 200, description = "The dead letter", body = DeadLetterView)))]
#[get("/admin/dead-letters/{id}")]
pub(super) async fn read(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
    id: PathId<DeadLetterId>,
) -> Result<HttpResponse, ApiError> {
    let letter = app.store.dead_letter(id.0).await?.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(DeadLetterView::from(letter)))
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// How many dead letters are worked on again.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayView {
    /// The number of them; 0 when none was open, and `null` where the answer to several is given again.
    #[schema(example = 1)]
    replayed: Option<u32>,
}

/// Work on a dead letter again. It is open again when it does not work again; one that is not open stays as it is.
#[utoipa::path(operation_id = "replayDeadLetter", tag = "operations",
    params(
        ("id" = String, Path, description = "`dlt_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 202, description = "It is worked on, if it was open", body = ReplayView),
        (status = 409, description = "`request_in_flight`"),
    ))]
#[post("/admin/dead-letters/{id}/replay")]
pub(super) async fn replay_one(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    id: PathId<DeadLetterId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    app.store.dead_letter(id.0).await?.ok_or_else(ApiError::not_found)?;
    let route = format!("POST /admin/dead-letters/{}/replay", id.0);
    let keyed = match check_key(&app, who.principal, &request, &route, &()).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(answer) => return Ok(answer.repeat(None)),
    };
    let user = who.principal.user;
    let write = ReplayDeadLetters { id: Some(id.0), kind: None, limit: 1, user };
    replay(&app, keyed, write, Some(1)).await
}

impl Endpoint for replay_one {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// The dead letters to work on again.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "payment"}))]
pub(super) struct ReplayWish {
    /// Only those of this kind: `payment`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<LetterKind>)]
    kind: Option<Parsed<LetterKind>>,
}

/// Work on all open dead letters again, oldest first, at most 1,000 at once: repeat it until none is left.
#[utoipa::path(operation_id = "replayDeadLetters", tag = "operations", request_body = ReplayWish,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses(
        (status = 202, description = "They are worked on", body = ReplayView),
        (status = 409, description = "`request_in_flight`"),
    ))]
#[post("/admin/dead-letters/replay")]
pub(super) async fn replay_all(
    app: web::Data<AppState>,
    who: SignedIn<Operators>,
    request: HttpRequest,
    body: Body<ReplayWish>,
) -> Result<HttpResponse, ApiError> {
    let keyed =
        match check_key(&app, who.principal, &request, "POST /admin/dead-letters/replay", &body.0).await? {
            KeyCheck::New(keyed) => keyed,
            KeyCheck::Repetition(answer) => return Ok(answer.repeat(None)),
        };
    let kind = body.0.kind.map(|kind| kind.into_inner().as_str().to_owned());
    let user = who.principal.user;
    let write = ReplayDeadLetters { id: None, kind, limit: MOST_AT_ONCE, user };
    replay(&app, keyed, write, None).await
}

impl Endpoint for replay_all {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// Lets dead letters be worked on again; `expected` is the number in the answer that is kept under a key.
async fn replay(
    app: &AppState,
    keyed: IdempotentRequest,
    write: ReplayDeadLetters,
    expected: Option<u32>,
) -> Result<HttpResponse, ApiError> {
    let by = write.user;
    let kept = PreparedResponse::new(StatusCode::ACCEPTED, &ReplayView { replayed: expected });
    match execute(app, keyed, Box::new(write), kept).await? {
        Executed::Now(replayed, _) => {
            tracing::info!(replayed, %by, "dead letters are worked on again");
            Ok(HttpResponse::Accepted().json(ReplayView { replayed: Some(replayed) }))
        }
        Executed::Before(answer) => Ok(answer.repeat(None)),
    }
}
