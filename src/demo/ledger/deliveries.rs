//! Deliveries by drivers, as devices of businesses hear of them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::EventType;
use crate::domain::ids::OrderId;

/// Most orders whose delivery is followed at once.
const MAX_FOLLOWED: usize = 10_000;

/// The data of `delivery_updated`, as far as the demo looks at it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct DeliveryChange {
    order_id: OrderId,
    status: DeliveryStatus,
}

/// Deliveries that have not ended, and how often one lost its driver.
#[derive(Debug, Default)]
pub(in crate::demo) struct DeliveryBook {
    open: HashMap<OrderId, DeliveryStatus>,
    searched_anew: u64,
}

impl DeliveryBook {
    /// A device heard an event, each once and in order.
    pub(in crate::demo) fn heard(&mut self, kind: &str, data: &Value) {
        if kind != EventType::DeliveryUpdated.as_str() {
            return;
        }
        let Ok(DeliveryChange { order_id, status }) = DeliveryChange::deserialize(data) else { return };
        let before = self.open.get(&order_id).copied();
        let is_lost = before.is_some_and(DeliveryStatus::is_carried) && status.is_searched();
        self.searched_anew += u64::from(is_lost);
        if status.is_end() {
            self.open.remove(&order_id);
        } else if before.is_some() || self.open.len() < MAX_FOLLOWED {
            self.open.insert(order_id, status);
        }
    }

    /// How often a delivery left a driver who had it, and was offered anew.
    pub(in crate::demo) fn searched_anew(&self) -> u64 {
        self.searched_anew
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delivery_that_leaves_its_driver_is_searched_anew_and_one_that_nobody_took_is_not() {
        let mut book = DeliveryBook::default();
        let order = OrderId::from_uuid(uuid::Uuid::nil());
        for (status, expected) in [
            ("offered", 0),
            ("unassigned", 0),
            ("offered", 0),
            ("assigned", 0),
            ("unassigned", 1),
            ("offered", 1),
            ("assigned", 1),
            ("picked_up", 1),
            ("delivered", 1),
        ] {
            book.heard("delivery_updated", &json!({"order_id": order, "status": status}));
            assert_eq!(book.searched_anew(), expected, "{status}");
        }
        assert!(book.open.is_empty());
    }
}
