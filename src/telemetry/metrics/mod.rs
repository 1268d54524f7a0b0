//! Every metric, in one place: name, labels, unit and meaning. `docs/metrics.md` shows the same to operators.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::system::SystemCollector;

/// Bounds of latencies that have a promise to keep, seconds, 0.5 ms to 10 s: close together around 50 ms (delivery) and
/// 100 ms (HTTP), so that a quantile read from them is off by less than a third.
pub const FINE_SECONDS: [f64; 26] = [
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
];

/// Bounds of latencies with many label values, where each bound costs a series for each of them.
pub const COARSE_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Bounds of how many commands share a transaction; the last is the default of `persistence.batch_commands`.
const BATCH_COMMANDS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0];

/// The metrics of one hub and the registry that holds them. Cheap to clone; every clone counts into the same.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// One field for each metric. Label values are listed in `docs/metrics.md`; they are short and few, never ids.
pub struct Families {
    data: PathBuf,
    registry: Registry,
    descriptions: Vec<Description>,
    /// 1, with the version as its label.
    pub build_info: IntGaugeVec,
    /// Requests answered, by method, route pattern and status.
    pub http_requests_total: IntCounterVec,
    /// From request head to response head, seconds, by method and route pattern.
    pub http_request_duration_seconds: HistogramVec,
    /// Connections that the hub ended without asking a route, by reason.
    pub http_connections_refused_total: IntCounterVec,
    /// Open sockets.
    pub websocket_connections_active: IntGauge,
    /// Sockets closed, by named reason.
    pub websocket_closes_total: IntCounterVec,
    /// Notifications committed, by type.
    pub notifications_sent_total: IntCounterVec,
    /// Frames put into outboxes, by lane: `live`, `history` or `ephemeral`.
    pub deliveries_total: IntCounterVec,
    /// From commit to the write on a socket, seconds.
    pub event_delivery_seconds: Histogram,
    /// From commit to the first acknowledgement of each device that was there, seconds.
    pub event_ack_seconds: Histogram,
    /// Database operations that ended, failed ones too, by operation and table.
    pub database_operations_total: IntCounterVec,
    /// Time of a database operation, a read's wait for a connection included, seconds, by operation and table.
    pub database_query_seconds: HistogramVec,
    /// Connections of the pool, by state: `idle` or `used`.
    pub database_pool_connections: IntGaugeVec,
    /// 1 while reads are refused because the database does not answer, else 0.
    pub database_circuit_open: IntGauge,
    /// Size of SQLite's write-ahead log, bytes; 0 on Postgres.
    pub sqlite_wal_bytes: IntGauge,
    /// Commands waiting for a writer lane.
    pub persistence_queue_depth: IntGauge,
    /// Commands in one transaction.
    pub persistence_batch_size: Histogram,
    /// Time of one transaction, from its begin to the end of its commit, seconds.
    pub persistence_commit_seconds: Histogram,
    /// Commands given up because alone, and twice, they met a time limit of the hub's own.
    pub persistence_too_slow_total: IntCounter,
    /// Orders committed.
    pub orders_created_total: IntCounter,
    /// Orders refused in overload, or valid ones that could not be stored.
    pub order_creation_errors_total: IntCounter,
    /// Order moves committed, by the status reached.
    pub orders_processed_total: IntCounterVec,
    /// Totals of delivered orders, minor units, by currency.
    pub revenue_total_amount: IntCounterVec,
    /// Times a room had to read events that it had not been told of.
    pub room_gap_repairs_total: IntCounter,
    /// Bytes of events that rooms hold in memory.
    pub room_memory_bytes: IntGauge,
    /// Rooms put into a new epoch because the store lacked what was known of them, by cause.
    pub epoch_rotations_total: IntCounterVec,
    /// Background jobs that ended, by job and outcome (`done`, `busy` or `failed`).
    pub jobs_total: IntCounterVec,
    /// Time of a background job, seconds, by job.
    pub job_seconds: HistogramVec,
    /// Rows deleted because their time was over, by job.
    pub job_rows_deleted_total: IntCounterVec,
    /// Reads that may be answered from memory, by what is read and `hit`, `miss` or `stale`.
    pub cache_requests_total: IntCounterVec,
    /// Messages waiting, by kind of actor.
    pub mailbox_depth: IntGaugeVec,
    /// Events of security, by kind.
    pub security_events_total: IntCounterVec,
    /// Stored rows that could not be read and were left out of a list, by table.
    pub unreadable_rows_total: IntCounterVec,
    /// Password hashes being computed.
    pub password_hashes_running: IntGauge,
    /// Most password hashes computed at once since the start.
    pub password_hashes_peak: IntGauge,
}

/// What a metric is called and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Description {
    /// The name on `/metrics`.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Its help text on `/metrics`.
    pub help: String,
}

impl Metrics {
    /// A registry of its own with every metric in it, and figures of the process and the machine; disk use is that of the
    /// filesystem that holds `data`.
    pub fn new(data: &Path) -> Self {
        // The names are constants of this file: whether they collide is known from the tests.
        let families = Families::new(data).expect("every metric has a valid name of its own");
        Self(Arc::new(families))
    }

    /// Everything in the Prometheus text format. Reads a few small files of the kernel, some tens of microseconds.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("writing to memory does not fail");
        String::from_utf8(text).expect("names, labels and help are UTF-8")
    }

    /// Share in use of the filesystem that holds the data folder, 0 to 100; `None` where that is not told.
    pub fn disk_usage_percent(&self) -> Option<f64> {
        super::system::disk_usage_percent(&self.0.data)
    }

    /// The `Content-Type` of [`Metrics::render`].
    pub fn content_type() -> &'static str {
        prometheus::TEXT_FORMAT
    }
}

/// Figures are read on `/metrics`.
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

impl Families {
    /// Every metric there is, also those that nothing has counted into yet.
    pub fn descriptions(&self) -> &[Description] {
        &self.descriptions
    }

    fn new(data: &Path) -> prometheus::Result<Self> {
        let mut add = Registering { registry: Registry::new(), descriptions: Vec::new() };
        #[cfg(target_os = "linux")]
        add.collector(prometheus::process_collector::ProcessCollector::for_self(), "gauge")?;
        add.collector(SystemCollector::new(data)?, "gauge")?;
        // A process has one log, whatever the number of its hubs.
        add.collector(super::log_queue::DROPPED.clone(), "counter")?;
        let build_info = add.gauges("build_info", "What runs here.", &["version"])?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            build_info,
            http_requests_total: add.counters(
                "http_requests_total",
                "Requests answered.",
                &["method", "endpoint", "status"],
            )?,
            http_request_duration_seconds: add.latencies(
                "http_request_duration_seconds",
                "From request head to response head.",
                &["method", "endpoint"],
            )?,
            http_connections_refused_total: add.counters(
                "http_connections_refused_total",
                "Connections that were ended without a route's having been asked.",
                &["reason"],
            )?,
            websocket_connections_active: add.gauge("websocket_connections_active", "Open sockets.")?,
            websocket_closes_total: add.counters("websocket_closes_total", "Sockets closed.", &["reason"])?,
            notifications_sent_total: add.counters(
                "notifications_sent_total",
                "Notifications committed.",
                &["type"],
            )?,
            deliveries_total: add.counters("deliveries_total", "Frames put into outboxes.", &["lane"])?,
            event_delivery_seconds: add.histogram(
                "event_delivery_seconds",
                "From commit to the write on a socket.",
                &FINE_SECONDS,
            )?,
            event_ack_seconds: add.histogram(
                "event_ack_seconds",
                "From commit to the first acknowledgement of each device that was there.",
                &FINE_SECONDS,
            )?,
            database_operations_total: add.counters(
                "database_operations_total",
                "Database operations that ended, failed ones too.",
                &["operation", "table"],
            )?,
            database_query_seconds: add.latencies(
                "database_query_seconds",
                "Time of a database operation.",
                &["operation", "table"],
            )?,
            database_pool_connections: add.gauges(
                "database_pool_connections",
                "Connections of the pool.",
                &["state"],
            )?,
            database_circuit_open: add.gauge(
                "database_circuit_open",
                "Whether reads are refused because the database does not answer.",
            )?,
            sqlite_wal_bytes: add.gauge("sqlite_wal_bytes", "Size of SQLite's write-ahead log.")?,
            persistence_queue_depth: add
                .gauge("persistence_queue_depth", "Commands waiting for a writer lane.")?,
            persistence_batch_size: add.histogram(
                "persistence_batch_size",
                "Commands in one transaction.",
                &BATCH_COMMANDS,
            )?,
            persistence_commit_seconds: add.histogram(
                "persistence_commit_seconds",
                "Time of one transaction, begin to end of commit.",
                &FINE_SECONDS,
            )?,
            persistence_too_slow_total: add.counter(
                "persistence_too_slow_total",
                "Commands given up because alone, and twice, they took longer than the store's time limits.",
            )?,
            orders_created_total: add.counter("orders_created_total", "Orders committed.")?,
            order_creation_errors_total: add.counter(
                "order_creation_errors_total",
                "Orders that were not taken though nothing was wrong with them: overload, or the store.",
            )?,
            orders_processed_total: add.counters(
                "orders_processed_total",
                "Order moves committed.",
                &["status"],
            )?,
            revenue_total_amount: add.counters(
                "revenue_total_amount",
                "Totals of delivered orders, minor units.",
                &["currency"],
            )?,
            room_gap_repairs_total: add.counter(
                "room_gap_repairs_total",
                "Times a room had to read events that it had not been told of.",
            )?,
            room_memory_bytes: add
                .gauge("room_memory_bytes", "Bytes of events that rooms hold in memory.")?,
            epoch_rotations_total: add.counters(
                "epoch_rotations_total",
                "Rooms put into a new epoch because the store lacked what was known of them.",
                &["cause"],
            )?,
            jobs_total: add.counters("jobs_total", "Background jobs that ended.", &["job", "outcome"])?,
            job_seconds: add.latencies("job_seconds", "Time of a background job.", &["job"])?,
            job_rows_deleted_total: add.counters(
                "job_rows_deleted_total",
                "Rows deleted because their time was over.",
                &["job"],
            )?,
            cache_requests_total: add.counters(
                "cache_requests_total",
                "Reads that may be answered from memory.",
                &["cache", "result"],
            )?,
            mailbox_depth: add.gauges("mailbox_depth", "Messages waiting.", &["actor"])?,
            security_events_total: add.counters("security_events_total", "Events of security.", &["kind"])?,
            unreadable_rows_total: add.counters(
                "unreadable_rows_total",
                "Stored rows that could not be read and were left out of a list.",
                &["table"],
            )?,
            password_hashes_running: add
                .gauge("password_hashes_running", "Password hashes being computed.")?,
            password_hashes_peak: add
                .gauge("password_hashes_peak", "Most password hashes computed at once since the start.")?,
            data: data.to_path_buf(),
            registry: add.registry,
            descriptions: add.descriptions,
        })
    }
}

/// Makes metrics, registers them and remembers what they are called.
struct Registering {
    registry: Registry,
    descriptions: Vec<Description>,
}

impl Registering {
    fn collector<C: Collector + 'static>(
        &mut self,
        collector: C,
        kind: &'static str,
    ) -> prometheus::Result<()> {
        self.descriptions.extend(collector.desc().into_iter().map(|desc| Description::new(desc, kind)));
        self.registry.register(Box::new(collector))
    }

    fn kept<C: Collector + Clone + 'static>(
        &mut self,
        collector: C,
        kind: &'static str,
    ) -> prometheus::Result<C> {
        self.collector(collector.clone(), kind)?;
        Ok(collector)
    }

    fn counter(&mut self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.kept(IntCounter::new(name, help)?, "counter")
    }

    fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.kept(IntCounterVec::new(Opts::new(name, help), labels)?, "counter")
    }

    fn gauge(&mut self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.kept(IntGauge::new(name, help)?, "gauge")
    }

    fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.kept(IntGaugeVec::new(Opts::new(name, help), labels)?, "gauge")
    }

    fn histogram(&mut self, name: &str, help: &str, bounds: &[f64]) -> prometheus::Result<Histogram> {
        self.kept(Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))?, "histogram")
    }

    fn latencies(&mut self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(COARSE_SECONDS.to_vec());
        self.kept(HistogramVec::new(opts, labels)?, "histogram")
    }
}

impl Description {
    fn new(desc: &Desc, kind: &'static str) -> Self {
        // The process collector mixes one counter with its gauges; the suffix is the convention that tells them apart.
        let kind = if desc.fq_name.ends_with("_total") { "counter" } else { kind };
        Self {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(&std::env::temp_dir())
    }

    /// The rows of the table in the documentation: name, kind, labels.
    fn documented() -> BTreeSet<(String, String, Vec<String>)> {
        let rows = include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
            let labels = labels.filter(|label| !label.is_empty()).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), labels)
        })
        .collect()
    }

    #[test]
    fn the_documentation_lists_every_metric_with_its_kind_and_labels_and_no_other() {
        let metrics = metrics();
        let registered = metrics.descriptions().iter().cloned();
        let registered: BTreeSet<_> =
            registered.map(|metric| (metric.name, metric.kind.to_owned(), metric.labels)).collect();
        let documented = documented();
        assert_eq!(
            registered.difference(&documented).collect::<Vec<_>>(),
            Vec::<&_>::new(),
            "not documented"
        );
        assert_eq!(
            documented.difference(&registered).collect::<Vec<_>>(),
            Vec::<&_>::new(),
            "not registered"
        );
    }

    #[test]
    fn what_any_clone_counts_is_rendered_under_the_name_of_the_contract() {
        let metrics = metrics();
        metrics.clone().http_requests_total.with_label_values(&["GET", "/health", "200"]).inc();
        metrics.clone().websocket_connections_active.set(7);
        let text = metrics.render();
        assert!(
            text.contains("\nhttp_requests_total{endpoint=\"/health\",method=\"GET\",status=\"200\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("\nwebsocket_connections_active 7\n"), "{text}");
    }

    #[test]
    fn the_figures_of_process_and_machine_are_rendered() {
        let text = metrics().render();
        for name in
            ["process_resident_memory_bytes ", "system_memory_usage_bytes ", "system_disk_usage_percent "]
        {
            assert!(text.contains(&format!("\n{name}")), "{name} is missing");
        }
    }

    #[test]
    fn two_hubs_in_one_process_do_not_share_metrics() {
        let (one, other) = (metrics(), metrics());
        one.orders_created_total.inc();
        assert_eq!(other.orders_created_total.get(), 0);
    }
}
