//! Background jobs as operators see them.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::jobs::{JobReport, JobState, JobsUnavailable, Urgency};
use crate::protocol::problem::ProblemCode;
use crate::storage::StoredRun;

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
    /// The node that runs it, `nod_…`; `null` when none does.
    node: Option<String>,
    /// The time it began if it runs, else the time it is due; RFC 3339.
    at: String,
    /// The last run, on whichever node.
    last_run: Option<JobRunView>,
}

/// The end of a job.
#[derive(Serialize, ToSchema)]
pub struct JobRunView {
    /// The node that ran it, `nod_…`.
    node: String,
    /// RFC 3339.
    began_at: String,
    /// The time it took, milliseconds.
    duration_ms: u64,
    /// `done`, `failed`, or `busy` when others were in its way and a part is left.
    #[schema(example = "done")]
    outcome: String,
    /// Rows that it deleted; `null` unless it is done.
    rows_deleted: Option<u64>,
    /// The cause of a failure.
    error: Option<String>,
}

/// The background jobs of the hub.
#[derive(Serialize, ToSchema)]
pub struct JobsView {
    /// Every job.
    items: Vec<JobView>,
}

impl From<JobReport> for JobView {
    fn from(report: JobReport) -> Self {
        let (node, at) = match report.state {
            JobState::Running { node, since } => (Some(node), since),
            JobState::Waiting { until } => (None, until),
        };
        Self {
            name: report.name.as_str(),
            urgency: match report.name.urgency() {
                Urgency::Urgent => "urgent",
                Urgency::Background => "background",
            },
            period_s: report.name.period().as_secs(),
            running: node.is_some(),
            node,
            at: at.to_rfc3339(),
            last_run: report.last.map(JobRunView::from),
        }
    }
}

impl From<StoredRun> for JobRunView {
    fn from(run: StoredRun) -> Self {
        let StoredRun { node, began_at, took, outcome, rows, error } = run;
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { node, began_at: began_at.to_rfc3339(), duration_ms, outcome, rows_deleted: rows, error }
    }
}

/// List the background jobs, which run once for all nodes, with their last runs. Every node gives the same answer.
#[utoipa::path(operation_id = "listJobs", tag = "operations", responses(
    (status = 200, description = "Every job", body = JobsView),
))]
#[get("/admin/jobs")]
async fn jobs(app: web::Data<AppState>, _who: SignedIn<Operators>) -> Result<HttpResponse, ApiError> {
    let reports = app.jobs.reports().await.map_err(|error| match error {
        JobsUnavailable::Scheduler(error) => {
            ApiError::new(ProblemCode::Unavailable, format!("Try again: {error}."))
        }
        JobsUnavailable::Store(error) => error.into(),
    })?;
    Ok(HttpResponse::Ok().json(JobsView { items: reports.into_iter().map(JobView::from).collect() }))
}

impl Endpoint for jobs {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}
