//! Counts of denied requests, which show bursts of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::quota::table::{QuotaTable, TableBounds};
use crate::domain::quota::{Decision, Window};
use crate::telemetry::Metrics;

use super::subject::{QuotaKey, QuotaSubject};

/// Denials in a minute of one user or address beyond which they count as a burst: more than a person clicks.
const DENIALS_A_MINUTE: u32 = 20;

/// Users and addresses whose denials are counted at once, 2.5 MiB at most.
const DENIED: TableBounds = TableBounds { subjects: 14_336, slots: 131_072 };

/// The denials of the last minute, by user or address.
#[derive(Debug)]
pub(in crate::http) struct Denials {
    started: Instant,
    table: Mutex<QuotaTable<QuotaKey>>,
}

impl Default for Denials {
    fn default() -> Self {
        let quota = Window::new(DENIALS_A_MINUTE, Duration::from_secs(60)).into();
        Self { started: Instant::now(), table: Mutex::new(QuotaTable::new(quota, DENIED)) }
    }
}

impl Denials {
    /// Counts one denial, and a burst if the subject has had more than 20 within a minute.
    pub(in crate::http) fn record(&self, metrics: &Metrics, subject: QuotaSubject) {
        let events = &metrics.security_events_total;
        events.with_label_values(&["access_denied"]).inc();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Decision::Refused { .. }, _) = table.consume(subject.owner(), self.started.elapsed()) {
            events.with_label_values(&["access_denied_burst"]).inc();
        }
    }
}
