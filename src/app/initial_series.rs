//! Counters whose labels are known begin at 0: a rate over a series that appears with its first event misses that event.

use crate::actors::jobs::JobName;
use crate::domain::control::ControlKind;
use crate::domain::hold::HeldAction;
use crate::domain::order::Status;
use crate::domain::payment::PaymentState;
use crate::domain::saga::{Channel, DeadlineKind, Rung};
use crate::http::connection::REFUSALS;
use crate::protocol::close::CloseReason;
use crate::telemetry::Metrics;

const SECURITY_EVENTS: [&str; 8] = [
    "access_denied",
    "access_denied_burst",
    "bad_webhook_signature",
    "login_failed",
    "origin_refused",
    "payment_of_another_order",
    "rate_limited",
    "refresh_reuse",
];

const CACHES: [&str; 6] = ["business", "membership", "menu", "order", "orders", "stats"];

/// Makes every series whose labels are known.
pub(super) fn begin_at_zero(metrics: &Metrics) {
    let one = |family: &prometheus::IntCounterVec, values: &[&str]| {
        for value in values {
            family.with_label_values(&[value]).inc_by(0);
        }
    };
    let closes: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let reached =
        Status::ALL.into_iter().filter(|status| !matches!(status, Status::PendingPayment | Status::Placed));
    let reached: Vec<_> = reached.map(Status::as_str).collect();
    let jobs = JobName::ALL.map(JobName::as_str);
    one(&metrics.websocket_closes_total, &closes);
    one(&metrics.orders_processed_total, &reached);
    one(&metrics.http_connections_refused_total, &REFUSALS);
    one(&metrics.notifications_sent_total, &["NEW_ORDER", "CUSTOM"]);
    one(&metrics.deliveries_total, &["live", "history"]);
    one(&metrics.bus_messages_total, &["sent", "received", "dropped", "refused", "unknown"]);
    one(&metrics.epoch_rotations_total, &["store_behind", "other_event"]);
    one(&metrics.control_events_total, &ControlKind::ALL.map(ControlKind::as_str));
    one(&metrics.order_rings_total, &Rung::ALL.map(Rung::as_str));
    for kind in DeadlineKind::ALL {
        let _ = metrics.deadline_lateness_seconds.with_label_values(&[kind.as_str()]);
    }
    one(&metrics.payments_total, &PaymentState::ALL.map(PaymentState::as_str));
    one(&metrics.offers_total, &["opened", "accepted", "declined", "taken", "expired", "withdrawn"]);
    one(&metrics.refunds_total, &["succeeded", "pending", "failed", "unknown"]);
    begin_intents(metrics);
    begin_gauges(metrics);
    one(&metrics.security_events_total, &SECURITY_EVENTS);
    one(&metrics.job_rows_deleted_total, &jobs);
    let two = |family: &prometheus::IntCounterVec, firsts: &[&str], seconds: &[&str]| {
        for first in firsts {
            for second in seconds {
                family.with_label_values(&[first, second]).inc_by(0);
            }
        }
    };
    two(&metrics.jobs_total, &jobs, &["done", "busy", "failed", "lost"]);
    two(&metrics.cache_requests_total, &CACHES, &["hit", "miss", "stale"]);
}

fn begin_intents(metrics: &Metrics) {
    for channel in Channel::ALL {
        for result in ["sent", "failed", "not_configured", "cancelled"] {
            metrics.intents_total.with_label_values(&[channel.as_str(), result]).inc_by(0);
        }
    }
}

fn begin_gauges(metrics: &Metrics) {
    for state in ["failed", "late"] {
        let _ = metrics.refunds_waiting.with_label_values(&[state]);
    }
    for what in HeldAction::ALL {
        let _ = metrics.hold_age_seconds.with_label_values(&[what.as_str()]);
    }
}
