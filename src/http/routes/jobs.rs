//! Background jobs as operators see them.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::jobs::{JobOutcome, JobReport, JobRun, JobState, Urgency};
use crate::protocol::problem::ProblemCode;

use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, Mount, RouteFacts};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(jobs);
}

/// A background job.
#[derive(Serialize, ToSchema)]
pub struct JobView {
    /// The name of the job.
    #[schema(example = "room_events")]
    name: &'static str,
    /// `urgent` jobs that are due go before `background` ones.
    #[schema(example = "background")]
    urgency: &'static str,
    /// From the end of one run to the next, seconds; each time up to a tenth longer.
    #[schema(example = 3600)]
    period_s: u64,
    /// Whether it runs now.
    running: bool,
    /// The time it began if it runs, else the time it is due; RFC 3339.
    at: String,
    /// The last run since this node started.
    last_run: Option<JobRunView>,
}

/// The end of a job.
#[derive(Serialize, ToSchema)]
pub struct JobRunView {
    /// RFC 3339.
    began_at: String,
    /// The time it took, milliseconds.
    duration_ms: u64,
    /// `done`, `failed`, or `busy` when others were in its way and a part is left.
    #[schema(example = "done")]
    outcome: &'static str,
    /// Rows that it deleted; `null` unless it is done.
    rows_deleted: Option<u64>,
    /// The cause of a failure.
    error: Option<String>,
}

/// The background jobs of this node.
#[derive(Serialize, ToSchema)]
pub struct JobsView {
    /// Every job.
    items: Vec<JobView>,
}

impl From<JobReport> for JobView {
    fn from(report: JobReport) -> Self {
        let (running, at) = match report.state {
            JobState::Running { since } => (true, since),
            JobState::Waiting { until } => (false, until),
        };
        Self {
            name: report.name.as_str(),
            urgency: match report.name.urgency() {
                Urgency::Urgent => "urgent",
                Urgency::Background => "background",
            },
            period_s: report.name.period().as_secs(),
            running,
            at: at.to_rfc3339(),
            last_run: report.last.map(JobRunView::from),
        }
    }
}

impl From<JobRun> for JobRunView {
    fn from(run: JobRun) -> Self {
        let word = run.outcome.as_str();
        let (outcome, rows_deleted, error) = match run.outcome {
            JobOutcome::Done(rows) => (word, Some(rows), None),
            JobOutcome::Busy => (word, None, None),
            JobOutcome::Failed(cause) => (word, None, Some(cause)),
        };
        let duration_ms = u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX);
        Self { began_at: run.began_at.to_rfc3339(), duration_ms, outcome, rows_deleted, error }
    }
}

/// List the background jobs of the node that answers, with their last runs.
#[utoipa::path(operation_id = "listJobs", tag = "operations", responses(
    (status = 200, description = "Every job", body = JobsView),
))]
#[get("/admin/jobs")]
async fn jobs(app: web::Data<AppState>, _who: SignedIn<Operators>) -> Result<HttpResponse, ApiError> {
    let reports = app
        .jobs
        .reports()
        .await
        .map_err(|error| ApiError::new(ProblemCode::Unavailable, format!("Try again: {error}.")))?;
    Ok(HttpResponse::Ok().json(JobsView { items: reports.into_iter().map(JobView::from).collect() }))
}

impl Endpoint for jobs {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}
