//! Deliveries: the party that makes them, and their progress.

use super::string_enum::string_enum;

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
    /// The progress of one delivery. It follows from the status of the order and is not stored.
    pub enum DeliveryStatus {
        /// No driver has it yet.
        Unassigned = "unassigned",
        /// On its way to the customer.
        PickedUp = "picked_up",
        /// The customer has it. Final.
        Delivered = "delivered",
        /// It did not reach the customer. Final.
        Failed = "failed",
        /// The order ended before it was picked up. Final.
        Cancelled = "cancelled",
    }
}
