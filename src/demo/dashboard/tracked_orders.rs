//! Orders that the dashboard follows.

use std::time::Duration;

use crate::demo::ledger::{Ledger, OrderLine};
use crate::domain::order::Status;

/// Time that an ended order stays on the screen.
const ENDED_FOR: Duration = Duration::from_millis(1_500);

/// Orders followed at once.
const FOLLOWED: usize = 6;

/// Orders that are followed from their ring to their end.
#[derive(Debug, Default)]
pub(super) struct TrackedOrders(Vec<TrackedOrder>);

#[derive(Debug)]
struct TrackedOrder {
    order: OrderLine,
    /// The stages it has reached, in order.
    trail: Vec<&'static str>,
    ended_at: Option<Duration>,
}

impl TrackedOrders {
    /// Looks at the orders again at `now`: those that ended a while ago make room for the latest.
    pub(super) fn update(&mut self, now: Duration, ledger: &Ledger) {
        for tracked in &mut self.0 {
            if let Some(order) = ledger.line(tracked.order.id) {
                tracked.see(order, now);
            }
        }
        self.0.retain(|tracked| tracked.ended_at.is_none_or(|at| now.saturating_sub(at) < ENDED_FOR));
        for order in ledger.recent().into_iter().rev() {
            let is_new = !order.status.is_end() && self.0.iter().all(|tracked| tracked.order.id != order.id);
            if is_new && self.0.len() < FOLLOWED {
                let mut tracked = TrackedOrder { order: order.clone(), trail: Vec::new(), ended_at: None };
                tracked.see(order, now);
                self.0.push(tracked);
            }
        }
    }

    pub(super) fn lines(&self, businesses: &[String]) -> Vec<String> {
        let line = |tracked: &TrackedOrder| {
            let name = businesses.get(tracked.order.business).map_or("", String::as_str);
            format!("  #{:<4} {name:<22} {}", tracked.order.number, tracked.trail.join(" > "))
        };
        self.0.iter().map(line).collect()
    }
}

impl TrackedOrder {
    fn see(&mut self, order: OrderLine, now: Duration) {
        let stages = [(order.rung, "rung"), (order.acked, "acked")];
        for stage in stages.into_iter().filter(|(reached, _)| *reached).map(|(_, stage)| stage) {
            if !self.trail.contains(&stage) {
                self.trail.push(stage);
            }
        }
        let status = order.status.as_str();
        if order.status != Status::Placed && !self.trail.contains(&status) {
            self.trail.push(status);
        }
        if order.status.is_end() {
            self.ended_at.get_or_insert(now);
        }
        self.order = order;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::ledger::OrderEvent;
    use crate::domain::ids::OrderId;
    use crate::domain::order::Fulfilment;

    #[test]
    fn an_order_is_followed_from_its_ring_to_its_end_and_then_makes_room() {
        let mut ledger = Ledger::new(OrderId::from_uuid(uuid::Uuid::nil()));
        let mut tracked = TrackedOrders::default();
        let (id, second) = (OrderId::generate(), Duration::from_secs(1));
        let order = |status, version| OrderEvent {
            id,
            order_number: "007".to_owned(),
            status,
            version,
            fulfilment: Fulfilment::Pickup,
            ended_reason: None,
        };
        ledger.placed(1, 0, &order(Status::Placed, 1));
        tracked.update(second, &ledger);
        for device in 0..2 {
            ledger.heard(device, 0, &order(Status::Placed, 1));
            ledger.acked(device, 0, &order(Status::Placed, 1));
        }
        tracked.update(second, &ledger);
        ledger.moved(0, &order(Status::Accepted, 2));
        tracked.update(second, &ledger);
        ledger.moved(0, &order(Status::Cancelled, 3));
        tracked.update(2 * second, &ledger);
        let lines = tracked.lines(&["Casa Pastel".to_owned()]);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("#007  Casa Pastel"), "{lines:?}");
        assert!(lines[0].ends_with("rung > acked > accepted > cancelled"), "{lines:?}");
        tracked.update(4 * second, &ledger);
        assert!(tracked.0.is_empty());
    }
}
