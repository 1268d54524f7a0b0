//! Labels, numbers and durations of statements in the metrics.

use std::time::{Duration, Instant};

use crate::telemetry::metrics::Metrics;

/// Table of a statement that asks none.
pub(super) const NO_TABLE: &str = "none";

/// Every table there is on either database: a label has no other value than these and [`NO_TABLE`].
const TABLES: [&str; 41] = [
    "audit",
    "businesses",
    "commands",
    "dead_letters",
    "deliveries",
    "delivery_steps",
    "device_acks",
    "device_marks",
    "devices",
    "driver_zones",
    "drivers",
    "holds",
    "hub",
    "idempotency_keys",
    "intents",
    "invitations",
    "job_leases",
    "members",
    "menu_items",
    "nodes",
    "notification_reads",
    "notifications",
    "offers",
    "order_acks",
    "order_counters",
    "order_edits",
    "order_events",
    "order_items",
    "order_sagas",
    "order_search",
    "orders",
    "orders_search",
    "payment_messages",
    "payments",
    "reach_leases",
    "refunds",
    "room_events",
    "room_seq",
    "sessions",
    "tickets",
    "users",
];

/// A statement that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_millis(250);

/// Labels of a statement: the verb of its SQL, and the table it writes or reads first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Select(&'static str),
    Insert(&'static str),
    Update(&'static str),
    Delete(&'static str),
    /// Another verb, such as `ANALYZE`, of no table.
    Other,
}

impl Operation {
    /// Verb and table.
    const fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Select(table) => ["select", table],
            Self::Insert(table) => ["insert", table],
            Self::Update(table) => ["update", table],
            Self::Delete(table) => ["delete", table],
            Self::Other => ["other", NO_TABLE],
        }
    }

    /// Whether the table is one of the schema, and `text` names it and the verb.
    pub(super) fn is_named_in(self, text: &str) -> bool {
        let [verb, table] = self.labels();
        let named = table == NO_TABLE || (TABLES.contains(&table) && text.contains(table));
        named && (self == Self::Other || text.contains(&verb.to_uppercase()))
    }

    /// Measures from now until the timer is dropped.
    pub(super) fn begin(self, metrics: &Metrics) -> QueryTimer<'_> {
        QueryTimer { operation: self, metrics, began: Instant::now() }
    }
}

/// Measures one run of a statement. Counts when it is dropped, so that a run that fails or is given up counts as well.
#[must_use = "it measures until it is dropped"]
pub(super) struct QueryTimer<'m> {
    operation: Operation,
    metrics: &'m Metrics,
    pub(super) began: Instant,
}

impl Drop for QueryTimer<'_> {
    fn drop(&mut self) {
        let labels = self.operation.labels();
        let took = self.began.elapsed();
        if took > SLOW {
            let [operation, table] = labels;
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(operation, table, took_ms, "a slow query");
        }
        let seconds = took.as_secs_f64();
        self.metrics.database_operations_total.with_label_values(&labels).inc();
        self.metrics.database_query_seconds.with_label_values(&labels).observe(seconds);
    }
}

#[cfg(test)]
mod tests;
