//! Orders: placing one, moving one. The state table is in [`table`].

mod placing;
pub mod table;

use serde::{Deserialize, Serialize};

pub use placing::{Draft, DraftItem, NewOrder, PlaceRefusal, place};
pub use table::{FollowUp, Fulfilment, Party, Status, Verdict};

use super::business::Location;
use super::ids::{BusinessId, OrderId, UserId};
use super::money::Currency;
use super::time::Timestamp;

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentMethod {
    /// Before the merchant hears of it.
    Online,
    /// At hand-over.
    Cash,
}

impl PaymentMethod {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Cash => "cash",
        }
    }
}

/// Where the money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Not taken.
    Pending,
    /// Taken.
    Paid,
    /// Taken, and owed to the customer.
    RefundDue,
}

impl PaymentStatus {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::RefundDue => "refund_due",
        }
    }
}

/// Where a delivery is taken.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// As a person would write it.
    pub text: String,
    /// Where that is.
    #[serde(flatten)]
    pub location: Location,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

/// One line of an order, priced when it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The menu's code.
    pub sku: String,
    /// The menu's name at the time.
    pub name: String,
    /// How many.
    pub qty: u32,
    /// Price of one at the time, in minor units.
    pub price_minor: i64,
}

/// An order as the store keeps it, phone and address in the clear.
#[derive(Clone, PartialEq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Short, unique for its business and day.
    pub order_number: u32,
    /// Where it was placed.
    pub business_id: BusinessId,
    /// Who placed it.
    pub customer_id: UserId,
    /// The name on the receipt.
    pub customer_name: String,
    /// How to reach the customer.
    pub phone: Option<String>,
    /// Where to take it.
    pub address: Option<Address>,
    /// How the customer gets it.
    pub fulfilment: Fulfilment,
    /// Where it stands.
    pub status: Status,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// Where the money is.
    pub payment_status: PaymentStatus,
    /// What was ordered.
    pub items: Vec<OrderItem>,
    /// The sum of the items.
    pub total_minor: i64,
    /// The business's currency at the time.
    pub currency: Currency,
    /// For the kitchen.
    pub notes: Option<String>,
    /// For dine-in.
    pub table: Option<u16>,
    /// Minutes the merchant promised on accepting.
    pub prep_minutes: Option<u16>,
    /// Counts changes, from 1.
    pub version: i64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without what says who it is for and where they live.
        f.debug_struct("Order")
            .field("id", &self.id)
            .field("order_number", &self.order_number)
            .field("business_id", &self.business_id)
            .field("customer_id", &self.customer_id)
            .field("fulfilment", &self.fulfilment)
            .field("status", &self.status)
            .field("payment_method", &self.payment_method)
            .field("payment_status", &self.payment_status)
            .field("items", &self.items)
            .field("total_minor", &self.total_minor)
            .field("prep_minutes", &self.prep_minutes)
            .field("version", &self.version)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}

/// Why an order was not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveRefusal {
    /// The order has changed since the version named.
    Stale {
        /// Its version now.
        current: i64,
    },
    /// This party may never make this move.
    NotTheirMove,
    /// Not from here.
    Forbidden {
        /// Where it stands.
        from: Status,
        /// What this party may do instead.
        allowed: Vec<Status>,
    },
}

/// What moving an order came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Moved {
    /// It is somewhere else now; the follow-ups are due.
    Changed(&'static [FollowUp]),
    /// It was there already.
    Unchanged,
}

/// A wish to move an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// In which capacity.
    pub party: Party,
    /// Where to.
    pub to: Status,
    /// The version the wish was made on.
    pub version: i64,
    /// What the merchant promises on accepting.
    pub prep_minutes: Option<u16>,
}

impl Order {
    /// Makes the move on this order if it is theirs to make, was made on the present version and stands in the
    /// table, in that order of answers. A refusal changes nothing.
    pub fn apply(&mut self, request: MoveRequest, now: Timestamp) -> Result<Moved, MoveRefusal> {
        let verdict = table::verdict(self.status, request.to, self.fulfilment, request.party);
        if matches!(verdict, Verdict::NotTheirMove) {
            return Err(MoveRefusal::NotTheirMove);
        }
        if request.version != self.version {
            return Err(MoveRefusal::Stale { current: self.version });
        }
        match verdict {
            Verdict::AlreadyThere => Ok(Moved::Unchanged),
            Verdict::Forbidden { allowed } => Err(MoveRefusal::Forbidden { from: self.status, allowed }),
            Verdict::NotTheirMove => Err(MoveRefusal::NotTheirMove),
            Verdict::Allowed(row) => {
                self.status = row.to;
                self.version += 1;
                self.updated_at = now;
                if row.to == Status::Accepted {
                    self.prep_minutes = request.prep_minutes.or(self.prep_minutes);
                }
                self.settle(row.follows);
                Ok(Moved::Changed(row.follows))
            }
        }
    }

    fn settle(&mut self, follows: &[FollowUp]) {
        let cash = self.payment_method == PaymentMethod::Cash;
        if cash && follows.contains(&FollowUp::TakeCash) {
            self.payment_status = PaymentStatus::Paid;
        }
        if !cash && self.payment_status == PaymentStatus::Paid && follows.contains(&FollowUp::Refund) {
            self.payment_status = PaymentStatus::RefundDue;
        }
    }
}
