//! Steps that drivers report.

use actix_web::{HttpResponse, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::delivery::{Step, StepRefusal, StepReport};
use crate::domain::ids::DeliveryId;
use crate::domain::order::FailureReason;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::DriversAndOperators;
use crate::http::extractors::path_id::PathId;
use crate::http::extractors::signed_in::Approved;
use crate::http::input::{Body, Parsed, rules, schema_of};
use crate::http::limits::Rate;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, RouteFacts};
use crate::protocol::delivery_views::DeliveryDetailsView;
use crate::protocol::problem::{FieldError, ProblemCode};
use crate::storage::commands::{ReportStep, StepTaken};

use super::view::{answer_with, party_of};

/// What proves that an order arrived: one of both.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepProof {
    /// The four digits that the customer sees from `picked_up` on.
    #[garde(inner(custom(four_digits)))]
    #[schema(min_length = 4, max_length = 4, pattern = "^[0-9]{4}$", example = "4711")]
    code: Option<String>,
    /// A reference to a photo, which the hub keeps and does not follow.
    #[garde(inner(custom(rules::line::<200>)))]
    #[schema(min_length = 1, max_length = 200, example = "photos/2026-01-31/0042.jpg")]
    photo: Option<String>,
}

/// A step of a delivery.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"step": "at_pickup", "at": "2026-01-31T18:30:00Z"}))]
pub(super) struct ReportedStep {
    /// `at_pickup`, `picked_up`, `at_dropoff`, `delivered`, `failed`, or after that `returned`. `at_pickup` and `at_dropoff` can be left out.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Step>)]
    step: Parsed<Step>,
    /// When it was, for a step done without a network; now unless given. It is kept as it was said; what counts lies between the assignment
    /// and now.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Timestamp>)]
    at: Option<Parsed<Timestamp>>,
    /// With `delivered`, as `dispatch.proof` asks for it.
    #[garde(dive)]
    proof: Option<StepProof>,
    /// With `delivered`: it was left for a customer who could not be reached. Needs a photo, and `at_dropoff` some minutes before.
    #[garde(skip)]
    #[schema(example = false)]
    left_at_door: Option<bool>,
    /// With `failed`: `customer_unreachable`, `wrong_address`, `refused`, `damaged` or `driver_fault`.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<FailureReason>)]
    reason: Option<Parsed<FailureReason>>,
    /// With `delivered` of an order that is paid in cash: what you took, in minor units; what it costs unless given.
    #[garde(range(min = 0, max = 100_000_000))]
    #[schema(minimum = 0, maximum = 100_000_000, example = 1200)]
    collected_minor: Option<i64>,
}

/// A step that came too late: it is kept and changes nothing.
#[derive(Serialize, ToSchema)]
pub(super) struct LateStepView {
    /// `dlv_…`
    delivery_id: String,
    /// `late`
    #[schema(example = "late")]
    result: &'static str,
    /// What becomes of it.
    detail: &'static str,
}

/// Four digits.
fn four_digits(value: &str, (): &()) -> garde::Result {
    if value.len() == 4 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(garde::Error::new("expected four digits"))
}

impl ReportedStep {
    /// Checks what depends on the step.
    fn check(&self, step: Step) -> Result<(), ApiError> {
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, message: &str| {
            wrong.push(FieldError { field: field.to_owned(), message: message.to_owned() });
        };
        if step != Step::Delivered {
            let named = [
                (self.proof.is_some(), "proof"),
                (self.left_at_door.is_some(), "left_at_door"),
                (self.collected_minor.is_some(), "collected_minor"),
            ];
            for (_, field) in named.into_iter().filter(|(is_named, _)| *is_named) {
                refuse(field, "goes with delivered only");
            }
        }
        if (step == Step::Failed) != self.reason.is_some() {
            refuse(
                "reason",
                if step == Step::Failed { "is required with failed" } else { "goes with failed only" },
            );
        }
        if self.proof.as_ref().is_some_and(|proof| proof.code.is_none() && proof.photo.is_none()) {
            refuse("proof", "names neither code nor photo");
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
    }

    fn into_report(self) -> StepReport {
        let (code, photo) = self.proof.map_or((None, None), |proof| (proof.code, proof.photo));
        StepReport {
            step: self.step.into_inner(),
            said_at: self.at.map(Parsed::into_inner),
            code,
            photo,
            left_at_door: self.left_at_door.unwrap_or(false),
            reason: self.reason.map(Parsed::into_inner),
            collected_minor: self.collected_minor,
        }
    }
}

/// Report a step of a delivery: for its driver, and for operators in their place.
///
/// The order moves with it, also over statuses that nobody reported. A repeated step changes nothing. A step of a driver who has the
/// delivery no more is kept for operators (202).
#[utoipa::path(operation_id = "reportStep", tag = "drivers", request_body = ReportedStep,
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "It counts", body = DeliveryDetailsView),
        (status = 202, description = "The delivery is not the driver's any more: operators are told", body = LateStepView),
        (status = 403, description = "`forbidden`, or `driver_pending`: an operator has to approve the account first"),
        (status = 409, description = "`step_forbidden` with `allowed`, `wrong_code` with `tries_left`, `proof_needed` with `proof`, or \
            `too_early` with `until`: the customer has more time"),
    ))]
#[post("/deliveries/{id}/steps")]
pub(super) async fn report(
    app: web::Data<AppState>,
    who: Approved<DriversAndOperators, (PathId<DeliveryId>, Body<ReportedStep>)>,
) -> Result<HttpResponse, ApiError> {
    let (id, Body(body)) = who.rest;
    let who = who.principal;
    // Whether it is, or was, the driver's is judged with the step.
    let listed = app.store.delivery(id.0).await?.ok_or_else(ApiError::not_found)?;
    body.check(body.step.clone().into_inner())?;
    let report = body.into_report();
    let (order, business) = (listed.order.id, listed.order.business_id);
    let write = ReportStep { order, business, party: party_of(who.role), user: who.user, report };
    match app.persistence.write(Box::new(write)).await?.map_err(refused)? {
        StepTaken::Taken => answer_with(&app, who, id.0).await,
        StepTaken::Late => Ok(HttpResponse::Accepted().json(LateStepView {
            delivery_id: id.0.to_string(),
            result: "late",
            detail: "You have this delivery no more. What you said is kept, and operators are told.",
        })),
    }
}

impl Endpoint for report {
    const FACTS: RouteFacts = RouteFacts::of::<DriversAndOperators>().rate(Rate::Move);
}

fn refused(refusal: StepRefusal) -> ApiError {
    match refusal {
        StepRefusal::NoSuchDelivery => ApiError::not_found(),
        StepRefusal::Forbidden { from, allowed } => {
            let detail = format!("The delivery is {from} now; see allowed for the steps you can report.");
            let allowed = allowed.into_iter().map(|step| step.as_str().to_owned()).collect();
            ApiError::new(ProblemCode::StepForbidden, detail).allowed(allowed)
        }
        StepRefusal::WrongCode { tries_left: 0 } => {
            ApiError::new(ProblemCode::WrongCode, "It was tried too often: send a photo, or ask an operator.")
                .tries_left(0)
        }
        StepRefusal::WrongCode { tries_left } => {
            ApiError::new(ProblemCode::WrongCode, "Ask the customer for the four digits.")
                .tries_left(tries_left)
        }
        StepRefusal::ProofNeeded { proof } => {
            ApiError::new(ProblemCode::ProofNeeded, "Send what proves that it arrived as proof.").proof(proof)
        }
        StepRefusal::TooEarly { until } => ApiError::new(
            ProblemCode::TooEarly,
            "Report at_dropoff first, and wait: the customer has some minutes to open.",
        )
        .until(until),
        StepRefusal::ReasonNeeded => {
            let known: Vec<&str> = FailureReason::ON_THE_WAY.iter().map(|reason| reason.as_str()).collect();
            ApiError::invalid_field("reason", format!("must be one of {}", known.join(", ")))
        }
    }
}
