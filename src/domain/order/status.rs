//! The words of orders: statuses, ways of fulfilment, parties.

use crate::domain::string_enum::string_enum;

string_enum! {
    /// The status of an order.
    pub enum Status {
        /// Waits for an online payment; the business does not see it yet.
        PendingPayment = "pending_payment",
        /// Devices of the business ring until a member answers.
        Placed = "placed",
        /// The business has accepted it.
        Accepted = "accepted",
        /// It is being made.
        Preparing = "preparing",
        /// It is made and waits to be handed over.
        Ready = "ready",
        /// It is on its way to the customer.
        PickedUp = "picked_up",
        /// The customer has it. An end, which an operator can correct.
        Delivered = "delivered",
        /// The business has refused it. Final.
        Rejected = "rejected",
        /// It was cancelled. Final.
        Cancelled = "cancelled",
        /// It could not be delivered. Final.
        Failed = "failed",
    }
}

impl Status {
    /// Whether the order is over. Only an operator's correction leads out of it, and only out of `delivered`.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Delivered | Self::Rejected | Self::Cancelled | Self::Failed)
    }

    /// Whether it is an end at which the customer has nothing: no revenue, and with a reason.
    pub const fn is_end_without_delivery(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled | Self::Failed)
    }
}

string_enum! {
    /// The way in which a customer gets an order.
    pub enum Fulfilment {
        /// It is brought to an address.
        Delivery = "delivery",
        /// The customer fetches it.
        Pickup = "pickup",
        /// It is eaten at a table.
        DineIn = "dine_in",
    }
}

string_enum! {
    /// The capacity in which somebody makes a transition.
    pub enum Party {
        /// The customer who ordered.
        Customer = "customer",
        /// A member of the business.
        Member = "member",
        /// The driver of the delivery.
        Driver = "driver",
        /// An operator of the hub.
        Admin = "admin",
        /// The hub itself: payments and deadlines.
        System = "system",
    }
}
