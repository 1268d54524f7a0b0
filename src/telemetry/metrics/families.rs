//! The table of all metrics: name, kind, labels, and the help text on `/metrics`.

use prometheus::{GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::register::Register;

/// Bounds of latencies that a promise is measured by, in seconds: 0.5 ms to 10 s, close together around 50 ms (delivery) and
/// 100 ms (HTTP), so that a quantile read from them is off by less than a third.
const FINE_SECONDS: [f64; 26] = [
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
];

/// Bounds of latencies with many label values, in seconds: each bound costs one series for each value.
const COARSE_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Bounds of the time people take to answer an order, in seconds: 1 s to 20 min, close together where the alert changes.
const ANSWER_SECONDS: [f64; 15] =
    [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 180.0, 300.0, 480.0, 720.0, 1200.0];

/// Bounds of the number of commands in a transaction; the last is the default of `persistence.batch_commands`.
const BATCH_COMMANDS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0];

macro_rules! type_of {
    (counter) => {
        IntCounter
    };
    (counters) => {
        IntCounterVec
    };
    (gauge) => {
        IntGauge
    };
    (gauges) => {
        IntGaugeVec
    };
    (float_gauges) => {
        GaugeVec
    };
    (histogram) => {
        Histogram
    };
    (histograms) => {
        HistogramVec
    };
}

macro_rules! families {
    ($($name:ident: $kind:ident($($argument:expr),*), $help:literal;)*) => {
        /// One field for each metric, with its help text. `docs/metrics.md` lists the label values; they are short and few, never
        /// ids.
        pub struct Families {
            $(#[doc = $help] pub $name: type_of!($kind),)*
        }

        impl Families {
            pub(super) fn new(register: &mut Register) -> prometheus::Result<Self> {
                Ok(Self { $($name: register.$kind(stringify!($name), $help $(, &$argument)*)?,)* })
            }
        }
    };
}

families! {
    build_info: gauges(["version"]), "Always 1; the label says which version runs.";
    http_requests_total: counters(["method", "endpoint", "status"]), "Requests answered.";
    http_request_duration_seconds: histograms(COARSE_SECONDS, ["method", "endpoint"]),
        "Time from request head to response head.";
    http_connections_refused_total: counters(["reason"]), "Connections closed before a route was asked.";
    websocket_connections_active: gauge(), "Open WebSocket connections.";
    websocket_closes_total: counters(["reason"]), "WebSocket connections closed.";
    notifications_sent_total: counters(["type"]), "Notifications committed.";
    deliveries_total: counters(["lane"]), "Frames put into outboxes: live, or from history.";
    event_delivery_seconds: histogram(FINE_SECONDS), "Time from commit to the write on a socket.";
    event_ack_seconds: histogram(FINE_SECONDS),
        "Time from commit to the first acknowledgement of each device that was connected.";
    database_operations_total: counters(["operation", "table"]), "Database operations ended, failed ones included.";
    database_query_seconds: histograms(COARSE_SECONDS, ["operation", "table"]),
        "Time of a database operation; for a read with its wait for a connection.";
    database_pool_connections: gauges(["state"]), "Connections of the read pool.";
    database_pool_max_connections: gauge(), "Most connections of the read pool.";
    database_replica_lag_seconds: float_gauges(["replica"]), "Time by which standbys of this Postgres are behind.";
    database_size_bytes: gauge(), "Size of the database.";
    backup_last_success_timestamp_seconds: gauges([]), "When the last backup succeeded, as ops.backup_status says.";
    database_circuit_open: gauge(), "1 while reads are refused because the database does not answer, else 0.";
    sqlite_wal_bytes: gauge(), "Size of the write-ahead log of SQLite; 0 on Postgres.";
    persistence_queue_depth: gauge(), "Commands that wait for a writer lane.";
    persistence_batch_size: histogram(BATCH_COMMANDS), "Commands in one transaction.";
    persistence_commit_seconds: histogram(FINE_SECONDS), "Time of one transaction, from BEGIN to the end of COMMIT.";
    persistence_too_slow_total: counter(),
        "Commands given up because they exceeded the time limits of the store twice, alone in their transaction.";
    orders_created_total: counter(), "Orders committed.";
    order_creation_errors_total: counter(), "Valid orders that were refused: overload, or the store failed.";
    orders_processed_total: counters(["status"]), "Transitions of orders committed, by the status reached.";
    revenue_total_amount: counters(["currency"]), "Sum of the totals of delivered orders, in minor units.";
    order_answer_seconds: histogram(ANSWER_SECONDS),
        "Time from the commit that placed an order to the commit that accepted or rejected it.";
    order_rings_total: counters(["rung"]), "Times that orders rang or were passed on because nobody answered.";
    orders_unanswered_total: counter(), "Orders that ended because nobody answered.";
    deadline_lateness_seconds: histograms(COARSE_SECONDS, ["kind"]),
        "Time from the moment a deadline was due to the commit that acted on it.";
    deadlines_overdue: gauge(), "Deadlines on which nobody has acted 5 s after their time.";
    intents_total: counters(["channel", "result"]), "Messages to the outside ended.";
    payments_total: counters(["status"]), "Payments begun, and news of them taken in.";
    refunds_total: counters(["result"]), "Attempts at refunds, by what the payment provider said.";
    refunds_waiting: gauges(["state"]), "Refunds that failed, or have not succeeded for an hour.";
    orders_paid_not_placed: gauge(), "Orders whose payment was told of 2 minutes ago and that are not placed.";
    dead_letters: gauge(), "Messages that could not be worked on and wait for an operator.";
    webhook_queue_depth: gauge(), "Messages of the payment provider that were taken in and are not worked on yet.";
    bus_connected: gauge(), "1 while messages of other nodes arrive, else 0.";
    bus_messages_total: counters(["result"]), "Messages between nodes.";
    bridge_lag_seconds: histogram(FINE_SECONDS), "Time of a probe from this node through the bus back to it.";
    room_gap_repairs_total: counter(), "Times a room had to read events that it had not received.";
    room_memory_bytes: gauge(), "Bytes of events that rooms keep in memory.";
    control_events_total: counters(["kind"]), "Changes that every node has to hear of, acted on.";
    control_resyncs_total: counter(), "Times everything cached was dropped because such changes could not be read.";
    control_age_seconds: gauge(), "Time since all such changes were last known.";
    epoch_rotations_total: counters(["cause"]),
        "Rooms put into a new epoch because the store lacked events that were committed.";
    jobs_total: counters(["job", "outcome"]), "Background jobs ended.";
    job_seconds: histograms(COARSE_SECONDS, ["job"]), "Time of a background job.";
    job_rows_deleted_total: counters(["job"]), "Rows deleted because their retention was over.";
    cache_requests_total: counters(["cache", "result"]), "Reads of the cache.";
    actors_hung_total: counters(["actor"]), "Actors and threads that stood still for some seconds.";
    mailbox_depth: gauges(["actor"]), "Messages that wait in a mailbox.";
    security_events_total: counters(["kind"]), "Security events.";
    offers_total: counters(["outcome"]), "Offers of deliveries to drivers.";
    dispatch_assign_seconds: histogram(ANSWER_SECONDS), "Time from the first look for a driver until one has the delivery.";
    deliveries_without_driver: gauges(["zone"]), "Deliveries searched for in zones in which no driver is on, of at most 100 zones.";
    businesses_in_use: gauges(["trading"]), "Businesses with an order in the last week, by whether they take orders.";
    hold_age_seconds: gauges(["what"]), "Time since the oldest hold of each kind was set; 0 without one.";
    drivers_online: gauges(["zone"]), "Drivers who are on, of at most 100 zones.";
    unreadable_rows_total: counters(["table"]), "Stored rows that could not be read and were left out of a list.";
    password_hashes_running: gauge(), "Password hashes being computed now.";
    password_hashes_peak: gauge(), "Most password hashes computed at the same time since the start.";
}
