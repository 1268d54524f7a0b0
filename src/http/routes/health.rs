//! Health and metrics: what supervisors, load balancers and Prometheus ask.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::time::Timestamp;
use crate::outbound::ProviderHealth;
use crate::redis_client::{RedisClient, RedisHealth};
use crate::storage::Circuit;
use crate::telemetry::Metrics;

use crate::http::app_state::AppState;
use crate::http::readiness::Phase;
use crate::http::route_table::{Endpoint, Exposure, Mount, RouteFacts};

/// Longest time of a check.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// Longest wait of the readiness probe for the database: less than the usual second of its caller.
const PROBE_WITHIN: Duration = Duration::from_millis(800);

/// From here on a filesystem is almost full, in time for somebody to make room.
const FULL_PERCENT: f64 = 98.0;

const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";
const NOT_CONFIGURED: &str = "not_configured";

const FULL: &str = "the filesystem of the data folder is almost full";
const SHEDS: &str = "the writers have more to do than they can: new orders are refused";

const REDIS_AWAY: &str =
    "Redis does not answer; events of other nodes come by the database, up to 1.5 s later";

const PROVIDER_AWAY: &str = "the payment provider does not answer; refunds wait and are sent when it does";

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(health)
        .endpoint(live)
        .endpoint(ready)
        .endpoint(detailed)
        .endpoint(version)
        .endpoint(health_metrics)
        .endpoint(metrics);
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

impl Endpoint for health {
    const FACTS: RouteFacts = RouteFacts::health().any_host();
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

impl Endpoint for live {
    const FACTS: RouteFacts = RouteFacts::health().any_host();
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
    /// `healthy`, `unhealthy` or `not_configured`. It never decides: without Redis events of other nodes come later.
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
async fn ready(app: web::Data<AppState>) -> HttpResponse {
    let asked = app.clone();
    let answers =
        app.database_probe.answers(|| async move { database_answers(&asked, PROBE_WITHIN).await }).await;
    let (code, status) = match app.readiness.get() {
        Phase::Ready if answers || !app.settings.health.database_gates_ready => (StatusCode::OK, "ready"),
        Phase::Ready | Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let database = if answers { HEALTHY } else { UNHEALTHY };
    let redis = match app.redis.as_ref().map(RedisClient::health) {
        None => NOT_CONFIGURED,
        Some(RedisHealth::Healthy) => HEALTHY,
        Some(RedisHealth::Away) => UNHEALTHY,
    };
    HttpResponse::build(code).json(ReadyView { status, database, redis })
}

impl Endpoint for ready {
    const FACTS: RouteFacts = RouteFacts::health().any_host();
}

/// The state of one part.
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
    /// The fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// The state of every part.
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

/// The state of every part.
#[utoipa::path(operation_id = "readHealthDetails", tag = "operations", responses(
    (status = 200, description = "Healthy or degraded", body = DetailedView),
    (status = 503, description = "Unhealthy", body = DetailedView),
))]
#[get("/health/detailed")]
async fn detailed(app: web::Data<AppState>) -> HttpResponse {
    let started = Instant::now();
    let answers = database_answers(&app, CHECK_WITHIN).await;
    let took = started.elapsed();
    let redis = redis(&app).await;
    let reads = match app.store.circuit() {
        Circuit::Closed => "pass",
        Circuit::Open => "refused",
    };
    // Postgres looks after its own.
    let wal_bytes = (app.store.name() == "sqlite").then(|| app.metrics.sqlite_wal_bytes.get());
    let (open, idle) = app.store.pool_size();
    let sheds = app.persistence.takes_new_work().is_err();
    let disk = app.metrics.disk_usage_percent();
    let full = disk.is_some_and(|percent| percent >= FULL_PERCENT);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let checks = BTreeMap::from([
        (
            "database",
            CheckView {
                status: if answers { HEALTHY } else { UNHEALTHY },
                response_time: seconds(took),
                details: Some(json!({
                    "store": app.store.name(), "reads": reads, "wal_bytes": wal_bytes,
                })),
                error: app.store.fault().or((!answers).then_some("it does not answer")),
            },
        ),
        ("pools", judged(sheds.then_some(SHEDS), json!({ "open": open, "idle": idle }))),
        ("system", judged(full.then_some(FULL), json!({ "cpus": cpus, "disk_usage_percent": disk }))),
        ("redis", redis),
        ("payment_provider", payment_provider(&app)),
        ("smtp", at_once(NOT_CONFIGURED, None)),
    ]);
    let status = overall(&checks);
    let code = if status == UNHEALTHY { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let timestamp = Timestamp::now().to_rfc3339();
    HttpResponse::build(code).json(DetailedView { status, timestamp, checks })
}

impl Endpoint for detailed {
    const FACTS: RouteFacts = RouteFacts::health().exposure(Exposure::OperatorsNetwork);
}

/// Whether Redis answers now.
async fn redis(app: &AppState) -> CheckView {
    let Some(redis) = &app.redis else { return at_once(NOT_CONFIGURED, None) };
    let looked = redis.look().await;
    let details = json!({ "cluster": redis.is_cluster() });
    let view = judged(looked.is_err().then_some(REDIS_AWAY), details);
    CheckView { response_time: looked.map_or(0.0, seconds), ..view }
}

/// To the microsecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

/// Whether the payment provider answers, as far as calls have shown; nobody is asked for this.
fn payment_provider(app: &AppState) -> CheckView {
    let details = json!({ "provider": app.payments.settings().provider });
    match app.payments.health() {
        ProviderHealth::NotConfigured => at_once(NOT_CONFIGURED, None),
        ProviderHealth::Healthy => judged(None, details),
        ProviderHealth::Away => judged(Some(PROVIDER_AWAY), details),
    }
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

/// The program and its version.
#[derive(Serialize, ToSchema)]
pub struct VersionView {
    /// `bellhop`.
    #[schema(example = "bellhop")]
    name: &'static str,
    /// Semantic.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The newest change of the schema that the program knows.
    #[schema(example = 16)]
    schema_version: i64,
    /// The newest change of the schema that the database has, as of five seconds ago: more than the program knows after an update that
    /// was taken back. `null` before the first look.
    #[schema(example = 16)]
    database_schema_version: Option<i64>,
}

/// The program and its version.
#[utoipa::path(operation_id = "readVersion", tag = "operations", responses((status = 200, description = "Its version", body = VersionView)))]
#[get("/health/version")]
async fn version(app: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(VersionView {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        schema_version: app.store.known_schema(),
        database_schema_version: app.nodes.schema(),
    })
}

impl Endpoint for version {
    const FACTS: RouteFacts = RouteFacts::health();
}

/// The same as `/metrics`.
#[utoipa::path(operation_id = "readHealthMetrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
))]
#[get("/health/metrics")]
async fn health_metrics(app: web::Data<AppState>) -> HttpResponse {
    render_metrics(&app)
}

impl Endpoint for health_metrics {
    const FACTS: RouteFacts = RouteFacts::health().exposure(Exposure::OperatorsNetwork);
}

/// Every metric.
#[utoipa::path(operation_id = "readMetrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
))]
#[get("/metrics")]
async fn metrics(app: web::Data<AppState>) -> HttpResponse {
    render_metrics(&app)
}

impl Endpoint for metrics {
    const FACTS: RouteFacts = RouteFacts::health().exposure(Exposure::OperatorsNetwork);
}

async fn database_answers(app: &AppState, within: Duration) -> bool {
    match tokio::time::timeout(within, app.store.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database failed its check");
            false
        }
        Err(_) => false,
    }
}

fn render_metrics(app: &AppState) -> HttpResponse {
    let (open, idle) = app.store.pool_size();
    let connections = &app.metrics.database_pool_connections;
    connections.with_label_values(&["idle"]).set(i64::from(idle));
    connections.with_label_values(&["used"]).set(i64::from(open.saturating_sub(idle)));
    let refused = i64::from(app.store.circuit() == Circuit::Open);
    app.metrics.database_circuit_open.set(refused);
    HttpResponse::Ok().content_type(Metrics::content_type()).body(app.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

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
