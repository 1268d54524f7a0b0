//! The words of alerts.

use crate::domain::string_enum::string_enum;

string_enum! {
    /// The reason for which devices ring.
    pub enum RingKind {
        /// The order waits for an answer, or was accepted by itself and nobody has looked at it.
        Placed = "placed",
        /// Somebody else than the business has cancelled it.
        Cancelled = "cancelled",
        /// Somebody else than the business has changed it.
        Changed = "changed",
    }
}

string_enum! {
    /// A step of the alert ladder of an order that waits for an answer.
    pub enum Rung {
        /// Devices ring again.
        Ring = "ring",
        /// No device has acknowledged the order: the webhook is used.
        Undelivered = "undelivered",
        /// No device has acknowledged the order: mail is used.
        Mail = "mail",
        /// Nobody has answered: all members and every fallback channel but the telephone are used.
        Escalate = "escalate",
        /// Nobody has answered: the telephone is used.
        Call = "call",
    }
}

string_enum! {
    /// A way to reach a business other than its devices.
    pub enum Channel {
        /// The business's webhook endpoints.
        Webhook = "webhook",
        /// Mail to the contact and the members.
        Mail = "mail",
        /// A call to the contact, then to members.
        Telephone = "telephone",
    }
}

string_enum! {
    /// A deadline of an order, for metrics and the timeline.
    pub enum DeadlineKind {
        /// The payment has to arrive.
        Unpaid = "unpaid",
        /// Somebody has to answer.
        Accept = "accept",
        /// A step of the alert ladder, or a ring.
        Alert = "alert",
        /// The order should have moved on.
        Progress = "progress",
        /// The order ends by itself.
        Forgotten = "forgotten",
        /// A driver is looked for, or looked after.
        Dispatch = "dispatch",
    }
}

string_enum! {
    /// Something that operators are told: the type of a notification in their room.
    pub enum OpsAlarm {
        /// An order was not answered, or does not move on.
        OrderUnanswered = "ORDER_UNANSWERED",
        /// An order is late.
        OrderLate = "ORDER_LATE",
        /// A business was paused by machine, or would have been.
        BusinessPaused = "BUSINESS_PAUSED",
        /// A pause by machine has ended.
        BusinessResumed = "BUSINESS_RESUMED",
        /// What the provider says about money is not what the hub knows.
        PaymentMismatch = "PAYMENT_MISMATCH",
        /// A refund has failed, or has not succeeded for an hour.
        RefundFailed = "REFUND_FAILED",
        /// Nobody brings an order yet.
        NoDriver = "NO_DRIVER",
        /// The driver of an order sends no position, or is late, or took another amount in cash.
        DriverSilent = "DRIVER_SILENT",
    }
}
