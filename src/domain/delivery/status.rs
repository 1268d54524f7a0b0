//! The words of deliveries and offers.

use crate::domain::string_enum::string_enum;

string_enum! {
    /// The party that makes the deliveries of a business, or one of them.
    #[derive(Default)]
    pub enum DeliveredBy {
        /// The business: its members report the progress.
        #[default]
        Business = "business",
        /// Drivers of the hub: only they and operators report the progress.
        Drivers = "drivers",
    }
}

string_enum! {
    /// The progress of one delivery. That of a business's own follows from the status of its order and is not stored.
    pub enum DeliveryStatus {
        /// No driver has it, and none is asked.
        Unassigned = "unassigned",
        /// Drivers are asked.
        Offered = "offered",
        /// A driver has it and is on the way to the business.
        Assigned = "assigned",
        /// The driver is at the business.
        AtPickup = "at_pickup",
        /// On its way to the customer.
        PickedUp = "picked_up",
        /// The driver is at the customer's.
        AtDropoff = "at_dropoff",
        /// The customer has it. An end, which an operator can correct.
        Delivered = "delivered",
        /// It did not reach the customer. An end, but for the way back.
        Failed = "failed",
        /// What did not reach the customer is back at the business. Final.
        Returned = "returned",
        /// The order ended before it was picked up, or is brought another way. Final.
        Cancelled = "cancelled",
    }
}

impl DeliveryStatus {
    /// Whether a driver has it and it counts for what they carry.
    pub const fn is_carried(self) -> bool {
        matches!(self, Self::Assigned | Self::AtPickup | Self::PickedUp | Self::AtDropoff)
    }

    /// Whether the food is with a driver: nothing but a person takes it from them then.
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::PickedUp | Self::AtDropoff)
    }

    /// Whether a driver is wanted.
    pub const fn is_searched(self) -> bool {
        matches!(self, Self::Unassigned | Self::Offered)
    }

    /// Whether nothing more is to be done by anybody; of what failed, the way back is left.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Returned | Self::Cancelled)
    }
}

string_enum! {
    /// A step that a driver reports.
    pub enum Step {
        /// At the business.
        AtPickup = "at_pickup",
        /// The order is taken over.
        PickedUp = "picked_up",
        /// At the customer's.
        AtDropoff = "at_dropoff",
        /// The customer has it.
        Delivered = "delivered",
        /// It did not reach the customer.
        Failed = "failed",
        /// Back at the business, after it failed.
        Returned = "returned",
    }
}

string_enum! {
    /// The state of an offer.
    pub enum OfferState {
        /// It can be accepted until its deadline.
        Open = "open",
        /// Its driver has the delivery, or had it.
        Accepted = "accepted",
        /// Its driver does not want it.
        Declined = "declined",
        /// Its driver did not answer in time.
        Expired = "expired",
        /// Another driver was faster.
        Taken = "taken",
        /// The hub took it back.
        Withdrawn = "withdrawn",
    }
}

string_enum! {
    /// Why an offer is closed, in the event for its driver.
    pub enum OfferEnd {
        /// Another driver was faster.
        Taken = "taken",
        /// The time is over.
        Expired = "expired",
        /// The hub took it back.
        Withdrawn = "withdrawn",
        /// The driver said no, maybe on another device.
        Declined = "declined",
    }
}

impl OfferEnd {
    /// The state of an offer that is closed for it.
    pub const fn state(self) -> OfferState {
        match self {
            Self::Taken => OfferState::Taken,
            Self::Expired => OfferState::Expired,
            Self::Withdrawn => OfferState::Withdrawn,
            Self::Declined => OfferState::Declined,
        }
    }
}

string_enum! {
    /// Why a delivery left its driver, or was cancelled.
    pub enum LeaveReason {
        /// The driver gave it back.
        Driver = "driver",
        /// The driver gave it back because the business is late: nobody's fault but its.
        BusinessLate = "business_late",
        /// No position came, or none that is nearer.
        Stalled = "stalled",
        /// An operator took it away, or gave it to another driver.
        Operator = "operator",
        /// The account of the driver was withdrawn.
        Suspended = "suspended",
        /// The order ended.
        OrderEnded = "order_ended",
        /// The business brings it itself.
        Own = "own",
        /// The customer fetches it.
        Pickup = "pickup",
    }
}
