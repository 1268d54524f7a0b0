//! The clocks of orders and alerts.

use std::time::Duration;

use crate::domain::dispatch::DispatchRules;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Every span of time by which the hub acts on an order by itself. The defaults are those of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// From `placed` until the webhook is used when no device has acknowledged.
    pub undelivered: Duration,
    /// From `placed` until mail is used when no device has acknowledged.
    pub mail: Duration,
    /// Between two rings of an order.
    pub ring_every: Duration,
    /// From `placed` until all members and every fallback channel are used, acknowledged or not.
    pub escalate: Duration,
    /// From `placed` until the telephone is used.
    pub call: Duration,
    /// From `placed` until the order is cancelled.
    pub accept: Duration,
    /// Between two calls, and between two mails, of one business.
    pub call_every: Duration,
    /// How long a changed or cancelled order rings at most.
    pub attention: Duration,
    /// From the creation of an order until it is cancelled as unpaid.
    pub unpaid: Duration,
    /// From when the provider is asked to close its payment, until it is cancelled though the provider has not said anything.
    pub unpaid_unknown: Duration,
    /// From `ready_at` until the devices are reminded of an order that is not ready.
    pub late: Duration,
    /// From `ready_at` until operators are told of an order that is not ready.
    pub very_late: Duration,
    /// From `ready` until operators are told that nobody took it.
    pub handover: Duration,
    /// From `picked_up` until operators are told that it was not delivered.
    pub under_way: Duration,
    /// From the last transition until an order that is not a delivery ends by itself.
    pub forgotten: Duration,
    /// A hub without a commit for this long was away.
    pub outage: Duration,
    /// After an outage no deadline ends earlier than this.
    pub grace: Duration,
    /// Until a deadline that is held is looked at again.
    pub held: Duration,
    /// Orders in a row without an answer that pause a business.
    pub unanswered_pause: u32,
    /// Without a device that can ring for this long, a business is paused. Zero: never.
    pub unreachable: Duration,
    /// More than this part of the open businesses, percent, is not paused by machine within `unreachable`.
    pub brake_percent: u32,
    /// Fewer businesses than this never count for the brake.
    pub brake_least: u32,
    /// The rules by which drivers are searched and watched.
    pub dispatch: DispatchRules,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            undelivered: Duration::from_secs(5),
            mail: Duration::from_secs(20),
            ring_every: Duration::from_secs(15),
            escalate: minutes(1),
            call: minutes(1),
            accept: minutes(8),
            call_every: minutes(2),
            attention: minutes(5),
            unpaid: minutes(15),
            unpaid_unknown: minutes(15),
            late: minutes(20),
            very_late: minutes(60),
            handover: minutes(60),
            under_way: minutes(60),
            forgotten: minutes(12 * 60),
            outage: minutes(1),
            grace: minutes(2),
            held: Duration::from_secs(30),
            unanswered_pause: 3,
            unreachable: minutes(5),
            brake_percent: 20,
            brake_least: 5,
            dispatch: DispatchRules::default(),
        }
    }
}
