//! What the hubs of the demo count of themselves.

use prometheus::Histogram;

use crate::telemetry::Metrics;

use super::figures::{DeliveryReport, Quantiles};

/// What hubs count of themselves, together.
#[derive(Clone, Debug)]
pub(super) struct Counts(Vec<Metrics>);

impl Counts {
    /// Counts of these hubs.
    pub(super) fn new(metrics: Vec<Metrics>) -> Self {
        Self(metrics)
    }

    /// A count, over all of them.
    pub(super) fn sum(&self, of: impl Fn(&Metrics) -> u64) -> u64 {
        self.0.iter().map(of).sum()
    }

    /// Open sockets.
    pub(super) fn sockets(&self) -> i64 {
        self.0.iter().map(|metrics| metrics.websocket_connections_active.get()).sum()
    }

    /// Orders that each of them took, the first one first.
    pub(super) fn orders_by_node(&self) -> Vec<u64> {
        self.0.iter().map(|metrics| metrics.orders_created_total.get()).collect()
    }

    /// Events sent to devices from the history so far.
    pub(super) fn caught_up(&self) -> u64 {
        self.sum(|metrics| metrics.deliveries_total.with_label_values(&["history"]).get())
    }

    /// From commit to a device's acknowledgement so far.
    pub(super) fn commit_to_ack(&self) -> Option<Quantiles> {
        self.quantiles(|metrics| &metrics.event_ack_seconds)
    }

    /// Adds what they counted to what people saw of deliveries.
    pub(super) fn deliveries(&self, seen: DeliveryReport, searched_anew: u64) -> DeliveryReport {
        let count =
            |outcome: &str| self.sum(|metrics| metrics.offers_total.with_label_values(&[outcome]).get());
        DeliveryReport {
            offers: count("opened"),
            declined_taken_expired: (count("declined"), count("taken"), count("expired")),
            searched_anew,
            time_to_assign: self.quantiles(|metrics| &metrics.dispatch_assign_seconds),
            ..seen
        }
    }

    /// Quantiles of a histogram, over all of them.
    fn quantiles(&self, of: impl Fn(&Metrics) -> &Histogram) -> Option<Quantiles> {
        Quantiles::of(&self.0.iter().map(of).collect::<Vec<_>>())
    }
}
