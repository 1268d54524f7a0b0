//! Health and metrics (requirements 10.1 and 10.2): what supervisors, load balancers and Prometheus ask.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::time::Timestamp;
use crate::storage::Circuit;
use crate::telemetry::Metrics;

use super::state::{Api, Phase};

/// How long a check may take.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// How long the readiness probe waits for the database: less than the usual second of the one who asks.
const PROBE_WITHIN: Duration = Duration::from_millis(800);

/// From here on a filesystem is almost full, in time for somebody to make room.
const FULL_PERCENT: f64 = 98.0;

/// How long what a readiness probe found is told to who asks next.
const PROBE_KEPT: Duration = Duration::from_secs(1);

const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";
const NOT_CONFIGURED: &str = "not_configured";

const FULL: &str = "the filesystem of the data folder is almost full";
const SHEDS: &str = "the writers have more to do than they can: new orders are refused";

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(health)
        .service(live)
        .service(ready)
        .service(detailed)
        .service(version)
        .service(health_metrics)
        .service(metrics);
}

/// The process answers.
#[derive(Serialize, ToSchema)]
pub struct HealthView {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// RFC 3339.
    timestamp: String,
}

/// Whether the process answers.
#[utoipa::path(operation_id = "readHealth", tag = "operations", responses((status = 200, description = "It does", body = HealthView)))]
#[get("/health")]
async fn health() -> HttpResponse {
    HttpResponse::Ok().json(HealthView { status: "healthy", timestamp: Timestamp::now().to_rfc3339() })
}

/// The process answers.
#[derive(Serialize, ToSchema)]
pub struct LiveView {
    /// Always `alive`.
    #[schema(example = "alive")]
    status: &'static str,
}

/// Whether the process answers; if not, start it again.
#[utoipa::path(operation_id = "readLiveness", tag = "operations", responses((status = 200, description = "It does", body = LiveView)))]
#[get("/health/live")]
async fn live() -> HttpResponse {
    HttpResponse::Ok().json(LiveView { status: "alive" })
}

/// Whether new work should come here.
#[derive(Serialize, ToSchema)]
pub struct ReadyView {
    /// `ready`, `not_ready` or `draining`.
    #[schema(example = "ready")]
    status: &'static str,
    /// `healthy` or `unhealthy`. It decides only with `health.database_gates_ready`, so that an outage does not take
    /// every node out.
    #[schema(example = "healthy")]
    database: &'static str,
    /// `not_configured`.
    #[schema(example = "not_configured")]
    redis: &'static str,
}

/// Whether new work should come here; if not, send it elsewhere.
#[utoipa::path(operation_id = "readReadiness", tag = "operations", responses(
    (status = 200, description = "It should", body = ReadyView),
    (status = 503, description = "The hub is starting or draining, or, with `health.database_gates_ready`, its database does \
not answer", body = ReadyView),
))]
#[get("/health/ready")]
async fn ready(api: web::Data<Api>) -> HttpResponse {
    let (probe, asked) = (api.probe.clone(), api.clone());
    let answers = probe.ask(|| async move { asked.database_answers(PROBE_WITHIN).await }).await;
    let (code, status) = match api.readiness.get() {
        Phase::Ready if answers || !api.settings.health.database_gates_ready => (StatusCode::OK, "ready"),
        Phase::Ready | Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let database = if answers { HEALTHY } else { UNHEALTHY };
    HttpResponse::build(code).json(ReadyView { status, database, redis: "not_configured" })
}

/// How one part is.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckView {
    /// `healthy`, `unhealthy` or `not_configured`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// Seconds.
    #[schema(example = 0.0004)]
    response_time: f64,
    /// Figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// How every part is.
#[derive(Serialize, ToSchema)]
pub struct DetailedView {
    /// `healthy`, `degraded` while fewer than half of the configured checks fail, else `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// RFC 3339.
    timestamp: String,
    /// By name.
    checks: BTreeMap<&'static str, CheckView>,
}

/// How every part is.
#[utoipa::path(operation_id = "readHealthDetails", tag = "operations", responses(
    (status = 200, description = "Healthy or degraded", body = DetailedView),
    (status = 503, description = "Unhealthy", body = DetailedView),
))]
#[get("/health/detailed")]
async fn detailed(api: web::Data<Api>) -> HttpResponse {
    let started = Instant::now();
    let answers = api.database_answers(CHECK_WITHIN).await;
    let reads = match api.store.circuit() {
        Circuit::Closed => "pass",
        Circuit::Open => "refused",
    };
    // Postgres looks after its own.
    let wal_bytes = (api.store.name() == "sqlite").then(|| api.metrics.sqlite_wal_bytes.get());
    let (open, idle) = api.store.pool_size();
    let sheds = api.persistence.takes_new_work().is_err();
    let disk = api.metrics.disk_usage_percent();
    let full = disk.is_some_and(|percent| percent >= FULL_PERCENT);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let checks = BTreeMap::from([
        (
            "database",
            CheckView {
                status: if answers { HEALTHY } else { UNHEALTHY },
                // To the microsecond.
                response_time: (started.elapsed().as_secs_f64() * 1e6).round() / 1e6,
                details: Some(json!({
                    "store": api.store.name(), "reads": reads, "wal_bytes": wal_bytes,
                })),
                error: api.store.fault().or((!answers).then_some("it does not answer")),
            },
        ),
        ("pools", judged(sheds.then_some(SHEDS), json!({ "open": open, "idle": idle }))),
        ("system", judged(full.then_some(FULL), json!({ "cpus": cpus, "disk_usage_percent": disk }))),
        ("redis", at_once(NOT_CONFIGURED, None)),
        ("payment_provider", at_once(NOT_CONFIGURED, None)),
        ("smtp", at_once(NOT_CONFIGURED, None)),
    ]);
    let status = overall(&checks);
    let code = if status == UNHEALTHY { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let timestamp = Timestamp::now().to_rfc3339();
    HttpResponse::build(code).json(DetailedView { status, timestamp, checks })
}

fn at_once(status: &'static str, details: Option<Value>) -> CheckView {
    CheckView { status, response_time: 0.0, details, error: None }
}

/// Unhealthy if there is something wrong.
fn judged(error: Option<&'static str>, details: Value) -> CheckView {
    let status = if error.is_some() { UNHEALTHY } else { HEALTHY };
    CheckView { error, ..at_once(status, Some(details)) }
}

fn overall(checks: &BTreeMap<&'static str, CheckView>) -> &'static str {
    let of = |status: &str| checks.values().filter(|check| check.status == status).count();
    // What is not configured cannot fail, and is no weight against what does.
    let (failed, configured) = (of(UNHEALTHY), checks.len() - of(NOT_CONFIGURED));
    match failed {
        0 => HEALTHY,
        _ if failed * 2 < configured => "degraded",
        _ => UNHEALTHY,
    }
}

/// What runs here.
#[derive(Serialize, ToSchema)]
pub struct VersionView {
    /// `bellhop`.
    #[schema(example = "bellhop")]
    name: &'static str,
    /// Semantic.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// What runs here.
#[utoipa::path(operation_id = "readVersion", tag = "operations", responses((status = 200, description = "Its version", body = VersionView)))]
#[get("/health/version")]
async fn version() -> HttpResponse {
    HttpResponse::Ok().json(VersionView { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// The same as `/metrics`.
#[utoipa::path(operation_id = "readHealthMetrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
))]
#[get("/health/metrics")]
async fn health_metrics(api: web::Data<Api>) -> HttpResponse {
    api.render_metrics()
}

/// Every metric.
#[utoipa::path(operation_id = "readMetrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
))]
#[get("/metrics")]
async fn metrics(api: web::Data<Api>) -> HttpResponse {
    api.render_metrics()
}

/// Whether the database answered of late. However many ask, one question at most is under way, and none within a second
/// after an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Probe(Arc<Mutex<Probed>>);

#[derive(Debug, Default)]
enum Probed {
    #[default]
    Never,
    /// Under way; what came of it is sent to everybody who waits.
    Asking(watch::Receiver<Option<bool>>),
    At(Instant, bool),
}

impl Probe {
    async fn ask<F>(&self, question: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = bool> + 'static,
    {
        let mut asked = {
            let mut probed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*probed {
                Probed::At(at, answers) if at.elapsed() < PROBE_KEPT => return *answers,
                // The worker thread that asked has ended if its side is gone.
                Probed::Asking(asked) if asked.has_changed().is_ok() => asked.clone(),
                Probed::Never | Probed::Asking(_) | Probed::At(..) => {
                    let (answer, asked) = watch::channel(None);
                    *probed = Probed::Asking(asked.clone());
                    let (probe, question) = (self.clone(), question());
                    // Not in the request's own time: who asked first may leave.
                    actix_web::rt::spawn(async move {
                        let answers = question.await;
                        *probe.0.lock().unwrap_or_else(PoisonError::into_inner) =
                            Probed::At(Instant::now(), answers);
                        answer.send_replace(Some(answers));
                    });
                    asked
                }
            }
        };
        asked.wait_for(Option::is_some).await.is_ok_and(|answers| *answers == Some(true))
    }
}

impl Api {
    async fn database_answers(&self, within: Duration) -> bool {
        match tokio::time::timeout(within, self.store.ping()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database failed its check");
                false
            }
            Err(_) => false,
        }
    }

    fn render_metrics(&self) -> HttpResponse {
        let (open, idle) = self.store.pool_size();
        let connections = &self.metrics.database_pool_connections;
        connections.with_label_values(&["idle"]).set(i64::from(idle));
        connections.with_label_values(&["used"]).set(i64::from(open.saturating_sub(idle)));
        let refused = i64::from(self.store.circuit() == Circuit::Open);
        self.metrics.database_circuit_open.set(refused);
        HttpResponse::Ok().content_type(Metrics::content_type()).body(self.metrics.render())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn however_many_ask_one_question_is_under_way_and_its_answer_is_kept_for_a_second() {
        actix_rt::System::new().block_on(async {
            let (probe, asked) = (Probe::default(), Arc::new(AtomicUsize::new(0)));
            let (answer, answered) = watch::channel(false);
            let ask = || {
                let (asked, mut answered) = (asked.clone(), answered.clone());
                probe.ask(move || async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answered.wait_for(|answered| *answered).await.is_ok()
                })
            };
            let many = futures_util::future::join_all((0..100).map(|_| ask()));
            let (answers, ()) = futures_util::future::join(many, async {
                tokio::task::yield_now().await;
                // Whoever asked first may leave.
                drop(ask());
                answer.send_replace(true);
            })
            .await;
            assert_eq!((answers, asked.load(Ordering::Relaxed)), (vec![true; 100], 1));
            assert!(ask().await);
            assert_eq!(asked.load(Ordering::Relaxed), 1);
            let long_ago = Instant::now().checked_sub(PROBE_KEPT).expect("a machine runs for a second");
            *probe.0.lock().unwrap() = Probed::At(long_ago, true);
            assert!(ask().await);
            assert_eq!(asked.load(Ordering::Relaxed), 2);
        });
    }

    #[test]
    fn fewer_than_half_failing_is_degraded() {
        let with = |failing: usize| {
            let names = ["a", "b", "c", "d"];
            let check = |i| at_once(if i < failing { UNHEALTHY } else { HEALTHY }, None);
            overall(&names.iter().enumerate().map(|(i, name)| (*name, check(i))).collect())
        };
        assert_eq!([0, 1, 2, 4].map(with), ["healthy", "degraded", "unhealthy", "unhealthy"]);
        let half = [("a", UNHEALTHY), ("b", HEALTHY), ("c", NOT_CONFIGURED), ("d", NOT_CONFIGURED)];
        let half = half.into_iter().map(|(name, status)| (name, at_once(status, None))).collect();
        assert_eq!(overall(&half), "unhealthy", "what is not configured is no weight");
    }
}
