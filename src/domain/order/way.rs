//! Another way to the customer than by drivers.

use crate::domain::delivery::DeliveredBy;
use crate::domain::time::Timestamp;

use super::edit::OrderField;
use super::model::Order;
use super::status::Fulfilment;

impl Order {
    /// The business brings it itself from now on. A change of its delivery, and of what it says.
    pub fn bring_by_business(&mut self, now: Timestamp) -> Vec<OrderField> {
        self.delivered_by = Some(DeliveredBy::Business);
        self.another_way(now);
        vec![OrderField::DeliveredBy]
    }

    /// The customer fetches it. A change of its delivery, and of what it says.
    pub fn fetch_by_customer(&mut self, now: Timestamp) -> Vec<OrderField> {
        self.fulfilment = Fulfilment::Pickup;
        self.delivered_by = None;
        self.another_way(now);
        vec![OrderField::Fulfilment]
    }

    fn another_way(&mut self, now: Timestamp) {
        self.delivery_version += 1;
        self.edits += 1;
        self.updated_at = now;
    }
}
