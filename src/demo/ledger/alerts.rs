//! Orders that waited for an answer, and businesses that were paused for it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts};
use serde::Deserialize;

use crate::domain::business::{PauseCause, PauseView};
use crate::domain::ids::OrderId;

/// Bounds of the time to an answer, in seconds: people answer within one, and orders wait for devices that are away for a minute.
const ANSWER_SECONDS: [f64; 20] = [
    0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 27.0, 40.0, 120.0,
];

/// The data of `order_ring`, as far as devices need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::demo) struct OrderNudge {
    pub(in crate::demo) order_id: OrderId,
}

/// The data of `business_updated`, as far as the demo looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::demo) struct BusinessChange {
    pub(in crate::demo) pauses: Vec<PauseView>,
}

/// Counts of rings, answers and pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Alerts {
    /// Rings that devices heard beside the first one.
    pub(in crate::demo) rings_heard: u64,
    /// Orders that the hub accepted for their business.
    pub(in crate::demo) accepted_by_itself: u64,
    /// Pauses that began.
    pub(in crate::demo) paused: u64,
    /// Pauses that ended.
    pub(in crate::demo) resumed: u64,
    /// Customers who were told that the business is paused.
    pub(in crate::demo) refused_by_pause: u64,
}

/// Everything about answers and their absence.
#[derive(Debug)]
pub(in crate::demo) struct AlertBook {
    counts: Alerts,
    /// The causes for which each business is paused.
    pauses: HashMap<usize, BTreeSet<PauseCause>>,
    answer_times: Histogram,
}

impl AlertBook {
    pub(super) fn new() -> Self {
        let times = HistogramOpts::new("answers", "Time to an answer").buckets(ANSWER_SECONDS.to_vec());
        let answer_times = Histogram::with_opts(times).expect("the bounds rise and the name is a word");
        Self { counts: Alerts::default(), pauses: HashMap::new(), answer_times }
    }

    /// A device was told that an order still waits for its business.
    pub(super) fn rang(&mut self) {
        self.counts.rings_heard += 1;
    }

    /// The hub accepted an order for its business.
    pub(in crate::demo) fn accepted_by_itself(&mut self) {
        self.counts.accepted_by_itself += 1;
    }

    /// A business is paused for these causes now, and for no other.
    pub(in crate::demo) fn changed(&mut self, business: usize, change: &BusinessChange) {
        let now: BTreeSet<PauseCause> =
            change.pauses.iter().filter_map(|pause| pause.cause.parse().ok()).collect();
        let before = self.pauses.entry(business).or_default();
        self.counts.paused += now.difference(before).count() as u64;
        self.counts.resumed += before.difference(&now).count() as u64;
        *before = now;
    }

    /// A customer was told that the business is paused.
    pub(in crate::demo) fn refused_by_pause(&mut self) {
        self.counts.refused_by_pause += 1;
    }

    /// A member answered an order within this time.
    pub(in crate::demo) fn answered_in(&mut self, time: Duration) {
        self.answer_times.observe(time.as_secs_f64());
    }

    /// Counts of rings, answers and pauses.
    pub(in crate::demo) fn counts(&self) -> Alerts {
        self.counts
    }

    /// Times from placing to the answer of a member.
    pub(in crate::demo) fn answer_times(&self) -> &Histogram {
        &self.answer_times
    }
}
