//! The jobs there are, how often each runs, and what comes of it.

use std::time::Duration;

/// A background job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobName {
    /// Deletes used tickets that ran out a day ago: a clock that is set back by less makes none work twice.
    ExpiredTickets,
    /// Deletes login sessions that expired or were ended a day ago: none of their access tokens is valid any more.
    ExpiredSessions,
    /// Deletes idempotency keys and their answers after 24 hours.
    IdempotencyKeys,
    /// Deletes the record of commands after 24 hours: none is tried again that late.
    Commands,
    /// Deletes room events past `retention.room_events_days`.
    RoomEvents,
    /// Deletes events of the control room that are a day old.
    ControlEvents,
    /// Deletes notifications past `retention.notifications_days`.
    Notifications,
    /// Deletes invitations that have run out.
    Invitations,
    /// Deletes marks of events past `retention.room_events_days`.
    DeviceMarks,
    /// Deletes when devices first had orders, past `retention.room_events_days`.
    OrderAcks,
    /// Deletes sagas of orders that have ended, past `retention.room_events_days`.
    OrderSagas,
    /// Deletes uses of channels to the outside, past `retention.intents_days`.
    Intents,
    /// Deletes messages of the payment provider that were worked on, past `retention.payment_messages_days`.
    PaymentMessages,
    /// Deletes dead letters that came to an end, past `retention.payment_messages_days`.
    DeadLetters,
    /// Deletes offers that nobody can answer any more, past `retention.deliveries_days`.
    Offers,
    /// Deletes steps of deliveries as they were reported, past `retention.deliveries_days`.
    DeliverySteps,
    /// Deletes leases of reachable businesses that ran out an hour ago.
    ReachLeases,
    /// Deletes nodes that were last expected an hour ago.
    Nodes,
    /// Deletes holds that ended a day ago.
    Holds,
    /// Deletes the audit past `retention.audit_days`.
    Audit,
    /// Deletes how far devices have rooms, past `retention.room_events_days`.
    DeviceAcks,
    /// Deletes devices not seen for `retention.room_events_days` and those beyond what a user may have, with what is known
    /// of them.
    Devices,
    /// Deletes the numbers of days that are a week over.
    OrderCounters,
    /// Puts orders into the text index that an older version stored (Postgres; on SQLite the migration does).
    OrderSearch,
    /// Makes orders due that an older version has placed beside this one, and that have no deadlines yet.
    OrderDeadlines,
    /// Tells the query planner how the data is spread (SQLite; Postgres does so by itself).
    Analyze,
    /// Folds the write-ahead log into the file (SQLite).
    Checkpoint,
}

/// The rank of a job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Before all others.
    Urgent,
    /// When no urgent one is due.
    Background,
}

const HOUR: Duration = Duration::from_secs(60 * 60);

impl JobName {
    /// Every job.
    pub const ALL: [Self; 27] = [
        Self::ExpiredTickets,
        Self::ExpiredSessions,
        Self::IdempotencyKeys,
        Self::Commands,
        Self::RoomEvents,
        Self::ControlEvents,
        Self::Notifications,
        Self::Invitations,
        Self::DeviceMarks,
        Self::OrderAcks,
        Self::OrderSagas,
        Self::Intents,
        Self::PaymentMessages,
        Self::DeadLetters,
        Self::Offers,
        Self::DeliverySteps,
        Self::ReachLeases,
        Self::Nodes,
        Self::Holds,
        Self::Audit,
        Self::DeviceAcks,
        Self::Devices,
        Self::OrderCounters,
        Self::OrderSearch,
        Self::OrderDeadlines,
        Self::Analyze,
        Self::Checkpoint,
    ];

    /// The word in metrics and for operators.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExpiredTickets => "expired_tickets",
            Self::ExpiredSessions => "expired_sessions",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::Commands => "commands",
            Self::RoomEvents => "room_events",
            Self::ControlEvents => "control_events",
            Self::Notifications => "notifications",
            Self::Invitations => "invitations",
            Self::DeviceMarks => "device_marks",
            Self::OrderAcks => "order_acks",
            Self::OrderSagas => "order_sagas",
            Self::Intents => "intents",
            Self::PaymentMessages => "payment_messages",
            Self::DeadLetters => "dead_letters",
            Self::Offers => "offers",
            Self::DeliverySteps => "delivery_steps",
            Self::ReachLeases => "reach_leases",
            Self::Nodes => "nodes",
            Self::Holds => "holds",
            Self::Audit => "audit",
            Self::DeviceAcks => "device_acks",
            Self::Devices => "devices",
            Self::OrderCounters => "order_counters",
            Self::OrderSearch => "order_search",
            Self::OrderDeadlines => "order_deadlines",
            Self::Analyze => "analyze",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Urgent for tables that grow with every request.
    pub const fn urgency(self) -> Urgency {
        match self {
            Self::ExpiredTickets
            | Self::ExpiredSessions
            | Self::IdempotencyKeys
            | Self::Commands
            | Self::OrderDeadlines
            | Self::Devices => Urgency::Urgent,
            Self::RoomEvents
            | Self::ControlEvents
            | Self::Notifications
            | Self::Invitations
            | Self::DeviceMarks
            | Self::OrderAcks
            | Self::OrderSagas
            | Self::Intents
            | Self::PaymentMessages
            | Self::DeadLetters
            | Self::Offers
            | Self::DeliverySteps
            | Self::ReachLeases
            | Self::Nodes
            | Self::Holds
            | Self::Audit
            | Self::DeviceAcks
            | Self::OrderCounters
            | Self::OrderSearch
            | Self::Analyze
            | Self::Checkpoint => Urgency::Background,
        }
    }

    /// From the end of one run to the next, up to a tenth longer: short enough that a run has little to do, long
    /// enough that idle runs cost nothing that can be seen.
    pub const fn period(self) -> Duration {
        match self {
            Self::ExpiredTickets
            | Self::IdempotencyKeys
            | Self::Commands
            | Self::Devices
            | Self::OrderSearch => Duration::from_secs(5 * 60),
            Self::OrderDeadlines => Duration::from_secs(60),
            Self::Checkpoint => Duration::from_secs(10 * 60),
            Self::ExpiredSessions
            | Self::RoomEvents
            | Self::ControlEvents
            | Self::Notifications
            | Self::Invitations
            | Self::DeviceMarks
            | Self::OrderAcks
            | Self::OrderSagas
            | Self::Intents
            | Self::PaymentMessages
            | Self::DeadLetters
            | Self::Offers
            | Self::DeliverySteps
            | Self::ReachLeases
            | Self::Nodes => HOUR,
            Self::DeviceAcks | Self::OrderCounters | Self::Holds | Self::Audit | Self::Analyze => {
                Duration::from_secs(24 * 60 * 60)
            }
        }
    }
}

/// The result of a run on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done, and so many rows were deleted.
    Done(u64),
    /// Blocked by other work: a part is left for the next run, which is soon.
    Busy,
    /// The cause; it is tried again soon.
    Failed(String),
    /// It took so long that another node has taken it over.
    Lost,
    /// It was not begun: another node runs it, or has run it. It may be due here after this.
    Elsewhere(Duration),
}

/// A job that failed or was blocked is tried again after this, or after its period if that is shorter.
const RETRY_AFTER: Duration = Duration::from_secs(60);

impl JobOutcome {
    /// From this end of a job to its next run.
    pub fn pause(&self, name: JobName) -> Duration {
        match self {
            Self::Done(_) => name.period(),
            Self::Busy | Self::Failed(_) | Self::Lost => name.period().min(RETRY_AFTER),
            Self::Elsewhere(wait) => name.period().min(*wait),
        }
    }

    /// The word in metrics and for operators.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Busy => "busy",
            Self::Failed(_) => "failed",
            Self::Lost => "lost",
            Self::Elsewhere(_) => "elsewhere",
        }
    }
}
