//! The lives of orders after a commit: their sagas on this node, their rings, their intents, their money, and what is counted of them.

use crate::domain::ephemeral::{EphemeralPayload, OrderRing};
use crate::domain::order::{Order, Party, order_number};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::ephemeral::EphemeralEvent;
use crate::storage::commands::{AnswerState, Committed, FireOutcome, RingDue};
use crate::telemetry::Metrics;

use super::intents::Intents;
use super::money::Money;
use super::order_saga::OrderSagas;
use super::room::Rooms;

/// Tells what commits have left to do for orders. Nothing here waits; a ring that is dropped is followed by the next one, and
/// everything else is in the store.
#[derive(Clone)]
pub struct OrderLives {
    sagas: OrderSagas,
    intents: Intents,
    money: Money,
    rooms: Rooms,
    metrics: Metrics,
}

impl OrderLives {
    /// Lives with these parts.
    pub fn new(sagas: OrderSagas, intents: Intents, money: Money, rooms: Rooms, metrics: Metrics) -> Self {
        Self { sagas, intents, money, rooms, metrics }
    }

    /// Passes on what a commit has left.
    pub(super) fn committed(&self, committed: &Committed) {
        for ring in &committed.rings {
            self.rooms.publish_ephemeral(rung_out(ring, committed.now));
        }
        for saga in &committed.sagas {
            self.sagas.schedule(saga, committed.now);
        }
        if committed.intents > 0 {
            self.intents.due();
        }
        if committed.money_due {
            self.money.due();
        }
    }

    /// Counts what a deadline did.
    pub(super) fn fired(&self, fired: &FireOutcome) {
        let Some(report) = &fired.report else { return };
        let late = report.fired_at.since(report.due_at).as_secs_f64();
        self.metrics.deadline_lateness_seconds.with_label_values(&[report.kind.as_str()]).observe(late);
        // A rung that uses two channels is taken once.
        let mut rungs = report.rungs.clone();
        rungs.sort_unstable();
        rungs.dedup();
        for rung in rungs {
            self.metrics.order_rings_total.with_label_values(&[rung.as_str()]).inc();
        }
        match report.answer {
            AnswerState::Open => {}
            AnswerState::Unanswered | AnswerState::Paused => self.metrics.orders_unanswered_total.inc(),
        }
    }

    /// Counts the time of an answer, if this transition by a person was one. Orders of members are not waited for.
    pub(super) fn moved(&self, order: &Order) {
        let answered = order.answered_at.filter(|at| *at == order.updated_at);
        if let (Some(placed), Some(answered), Party::Customer) = (order.placed_at, answered, order.placed_by)
        {
            self.metrics.order_answer_seconds.observe(answered.since(placed).as_secs_f64());
        }
    }
}

/// A ring as the devices of the business, or of a driver, hear it.
fn rung_out(due: &RingDue, now: Timestamp) -> EphemeralEvent {
    let deadline_at = due.ring.deadline_at;
    let remaining = deadline_at.map(|at| at.since(now).as_millis());
    let ring = OrderRing {
        order_id: due.order,
        order_number: order_number(due.order_number),
        kind: due.ring.kind,
        ring: due.ring.ring,
        deadline_at,
        remaining_ms: remaining.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
        now,
    };
    let room = due.driver.map_or(RoomId::Business(due.business), RoomId::Driver);
    EphemeralEvent::new(room, now, &EphemeralPayload::OrderRing(ring))
}
