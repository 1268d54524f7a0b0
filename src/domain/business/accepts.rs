//! The orders a business offers to take.

use serde::{Deserialize, Serialize};

use crate::domain::order::{Fulfilment, PaymentMethod};

/// The farthest delivery unless a business says otherwise, metres.
pub const DELIVERY_RADIUS_M: u32 = 8000;

/// The kinds of orders that a business takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepts {
    /// The ways of fulfilment, at least one.
    pub fulfilment: Vec<Fulfilment>,
    /// The methods of payment, at least one.
    pub payment: Vec<PaymentMethod>,
    /// The farthest address of a delivery from the business, metres.
    pub delivery_radius_m: u32,
}

impl Default for Accepts {
    fn default() -> Self {
        Self {
            fulfilment: Fulfilment::ALL.to_vec(),
            payment: PaymentMethod::ALL.to_vec(),
            delivery_radius_m: DELIVERY_RADIUS_M,
        }
    }
}
