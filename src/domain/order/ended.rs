//! The reason of an order that was rejected, cancelled or failed.

use serde::{Deserialize, Serialize};

use crate::domain::string_enum::string_enum;

use super::status::{Party, Status};

string_enum! {
    /// The party or the cause that ended an order.
    pub enum EndedCode {
        /// No member of the business answered in time.
        Unanswered = "unanswered",
        /// The payment did not arrive in time.
        Unpaid = "unpaid",
        /// No driver was found for the delivery.
        NoDriver = "no_driver",
        /// The business ended it.
        Merchant = "merchant",
        /// The customer ended it.
        Customer = "customer",
        /// An operator ended it.
        Operator = "operator",
        /// The driver ended it.
        Driver = "driver",
        /// The business had closed when the payment arrived.
        BusinessClosed = "business_closed",
    }
}

impl EndedCode {
    /// The code when `party` ends an order whose status was `from`. The hub itself ends one because its wait there was in vain.
    pub const fn of(party: Party, from: Status) -> Self {
        match (party, from) {
            (Party::Customer, _) => Self::Customer,
            (Party::Member, _) => Self::Merchant,
            (Party::Driver, _) => Self::Driver,
            (Party::Admin, _) => Self::Operator,
            (Party::System, Status::PendingPayment) => Self::Unpaid,
            (Party::System, Status::Placed) => Self::Unanswered,
            (Party::System, _) => Self::NoDriver,
        }
    }
}

/// The reason of an order that was rejected, cancelled or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedReason {
    /// The party or the cause.
    pub code: EndedCode,
    /// The reason in the words of that party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
