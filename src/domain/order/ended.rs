//! Why an order ended otherwise than well.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::table::{Party, Status};

/// Who or what ended an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedCode {
    /// Nobody at the business answered in time.
    Unanswered,
    /// Its payment did not come in time.
    Unpaid,
    /// Nobody was found to bring it.
    NoDriver,
    /// The business.
    Merchant,
    /// The customer.
    Customer,
    /// An operator.
    Operator,
    /// The driver.
    Driver,
    /// The business had closed when the payment came.
    BusinessClosed,
}

impl EndedCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::Unanswered,
        Self::Unpaid,
        Self::NoDriver,
        Self::Merchant,
        Self::Customer,
        Self::Operator,
        Self::Driver,
        Self::BusinessClosed,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Unpaid => "unpaid",
            Self::NoDriver => "no_driver",
            Self::Merchant => "merchant",
            Self::Customer => "customer",
            Self::Operator => "operator",
            Self::Driver => "driver",
            Self::BusinessClosed => "business_closed",
        }
    }

    /// What it is when `party` ends an order that stood at `from`. The hub itself ends one for what it waited for there.
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

impl FromStr for EndedCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

/// A word that is no reason for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason for the end of an order")]
pub struct UnknownCode;

/// Why an order was rejected, cancelled or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedReason {
    /// Who or what ended it.
    pub code: EndedCode,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
