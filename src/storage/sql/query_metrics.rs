//! Labels, numbers and durations of statements in the metrics.

use std::time::{Duration, Instant};

use crate::telemetry::metrics::Metrics;

/// First word of a statement, behind its `WITH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Verb {
    Select,
    Insert,
    Update,
    Delete,
    /// Any other, such as `ANALYZE`.
    Other,
}

impl Verb {
    pub(in crate::storage) const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

/// Table of a statement that asks none.
pub(in crate::storage) const NO_TABLE: &str = "none";

/// Every table there is on either database: a label has no other value than these and [`NO_TABLE`].
const TABLES: [&str; 24] = [
    "businesses",
    "commands",
    "device_acks",
    "device_marks",
    "devices",
    "hub",
    "idempotency_keys",
    "invitations",
    "members",
    "menu_items",
    "notification_reads",
    "notifications",
    "order_acks",
    "order_counters",
    "order_events",
    "order_items",
    "order_search",
    "orders",
    "orders_search",
    "room_events",
    "room_seq",
    "sessions",
    "tickets",
    "users",
];

/// A statement that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_millis(250);

/// Labels of a statement: its verb, and the table it writes or reads first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Operation {
    verb: Verb,
    table: &'static str,
}

impl Operation {
    pub(in crate::storage) fn new(verb: Verb, table: &'static str) -> Self {
        debug_assert!(table == NO_TABLE || TABLES.contains(&table), "{table} is no table of the schema");
        Self { verb, table }
    }

    /// Whether `text` names the verb and the table.
    pub(in crate::storage) fn is_named_in(self, text: &str) -> bool {
        let verb = self.verb == Verb::Other || text.contains(&self.verb.as_str().to_uppercase());
        verb && (self.table == NO_TABLE || text.contains(self.table))
    }

    /// Measures from now until the timer is dropped.
    pub(in crate::storage) fn begin(self, metrics: &Metrics) -> QueryTimer<'_> {
        QueryTimer { operation: self, metrics, began: Instant::now() }
    }
}

/// Measures one run of a statement. Counts when it is dropped, so that a run that fails or is given up counts as well.
#[must_use = "it measures until it is dropped"]
pub(in crate::storage) struct QueryTimer<'m> {
    operation: Operation,
    metrics: &'m Metrics,
    pub(in crate::storage) began: Instant,
}

impl Drop for QueryTimer<'_> {
    fn drop(&mut self) {
        let labels = [self.operation.verb.as_str(), self.operation.table];
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
