//! How a business is alerted of its orders and which orders it takes, in requests and answers.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::{Accepts, AlertPolicy, DELIVERY_RADIUS_M};
use crate::domain::order::{Fulfilment, PaymentMethod};
use crate::http::input::{List, Parsed};
use crate::storage::commands::AlertTimes;

use super::state::bounded;

/// The times of alerts of a business; what is left out is as the hub has it.
#[derive(Debug, Default, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsBody {
    /// Seconds until an order that nobody answers is cancelled.
    #[garde(range(min = 120, max = 1200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 120, maximum = 1200, example = 480)]
    accept_s: Option<i64>,
    /// Seconds between two rings of an order.
    #[garde(range(min = 5, max = 60))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 60, example = 15)]
    ring_every_s: Option<i64>,
}

impl From<AlertsBody> for AlertTimes {
    fn from(body: AlertsBody) -> Self {
        Self { accept_s: body.accept_s.map(bounded), ring_every_s: body.ring_every_s.map(bounded) }
    }
}

impl AlertsBody {
    pub(super) fn of(alerts: &AlertPolicy) -> Self {
        Self { accept_s: alerts.accept_s.map(Into::into), ring_every_s: alerts.ring_every_s.map(Into::into) }
    }
}

/// The orders that a business takes; what is left out is everything, and deliveries within 8,000 m.
#[derive(Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptsBody {
    /// The ways in which customers get them.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 3, example = json!(["delivery", "pickup"]))]
    fulfilment: Option<List<Parsed<Fulfilment>, 1, 3>>,
    /// The ways in which customers pay.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 2, example = json!(["cash"]))]
    payment: Option<List<Parsed<PaymentMethod>, 1, 2>>,
    /// The farthest address of a delivery, as the crow flies, metres.
    #[garde(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000, example = 8000)]
    delivery_radius_m: Option<i64>,
}

impl From<AcceptsBody> for Accepts {
    fn from(body: AcceptsBody) -> Self {
        let all = Self::default();
        let metres = |metres| u32::try_from(metres).expect("the range of the field lies within 32 bits");
        Self {
            // In the order in which they are always listed, each once.
            fulfilment: body.fulfilment.map_or(all.fulfilment, |named| chosen(named, &Fulfilment::ALL)),
            payment: body.payment.map_or(all.payment, |named| chosen(named, &PaymentMethod::ALL)),
            delivery_radius_m: body.delivery_radius_m.map_or(DELIVERY_RADIUS_M, metres),
        }
    }
}

fn chosen<T: Copy + PartialEq, const MOST: usize>(named: List<Parsed<T>, 1, MOST>, all: &[T]) -> Vec<T> {
    let named: Vec<T> = named.into_inner().into_iter().map(Parsed::into_inner).collect();
    all.iter().copied().filter(|one| named.contains(one)).collect()
}
