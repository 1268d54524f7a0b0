//! The reasons for which an order fails, and whose fault each of them is.

use crate::domain::string_enum::string_enum;

string_enum! {
    /// The reason for which an order failed. It decides about its money.
    pub enum FailureReason {
        /// Nobody opened, and nobody answered the telephone.
        CustomerUnreachable = "customer_unreachable",
        /// The address does not exist or is not the customer's.
        WrongAddress = "wrong_address",
        /// The customer did not take it.
        Refused = "refused",
        /// It arrived broken or cold.
        Damaged = "damaged",
        /// The driver lost it or did not come.
        DriverFault = "driver_fault",
        /// The customer did not fetch it.
        NoShow = "no_show",
    }
}

impl FailureReason {
    /// The reasons for which an order fails on its way to the customer.
    pub const ON_THE_WAY: &[Self] =
        &[Self::CustomerUnreachable, Self::WrongAddress, Self::Refused, Self::Damaged, Self::DriverFault];

    /// Whether the customer gets the money back by itself. For the other reasons an operator decides.
    pub const fn refunds(self) -> bool {
        match self {
            Self::Damaged | Self::DriverFault => true,
            Self::CustomerUnreachable | Self::WrongAddress | Self::Refused | Self::NoShow => false,
        }
    }
}
