//! Merchants that move an order to its end, step by step.

use std::time::Duration;

use bellhop_client::{Account, CallError, Request, Rng};
use serde::Deserialize;
use serde_json::json;

use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::OrderId;
use crate::domain::order::{EndedReason, Fulfilment, Status};
use crate::domain::time::Timestamp;

use super::ledger::OrderEvent;
use super::simulation::Simulation;

/// Pause before a move is tried again that was refused or not answered.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Moves tried for one order before it is given up; four or five are enough when nobody interferes.
const MAX_TRIES: usize = 30;

/// A merchant's plan for one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Serve,
    Refuse,
    CallOff,
}

impl Course {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..3 => Self::Refuse,
            3..5 => Self::CallOff,
            _ => Self::Serve,
        }
    }

    /// The next status after `status`; `None` at an end, and where merchants have nothing to do: what drivers bring is theirs to
    /// fetch.
    fn next(self, status: Status, fulfilment: Fulfilment, by: DeliveredBy) -> Option<Status> {
        Some(match (status, fulfilment, self) {
            (Status::Placed, _, Self::Refuse) => Status::Rejected,
            (Status::Placed, ..) => Status::Accepted,
            (Status::Accepted, _, Self::CallOff) => Status::Cancelled,
            (Status::Accepted, ..) => Status::Preparing,
            (Status::Preparing, ..) => Status::Ready,
            (Status::Ready | Status::PickedUp, Fulfilment::Delivery, _) if by == DeliveredBy::Drivers => {
                return None;
            }
            (Status::Ready, Fulfilment::Delivery, _) => Status::PickedUp,
            (Status::Ready | Status::PickedUp, ..) => Status::Delivered,
            _ => return None,
        })
    }
}

/// Moves an order to its end in compressed time, adopting whatever somebody else did to it meanwhile.
pub(super) async fn serve(
    simulation: &Simulation,
    business: usize,
    account: &Account,
    mut order: OrderEvent,
    mut rng: Rng,
) {
    let course = Course::draw(&mut rng);
    let by = simulation.scenario.businesses[business].kind.delivered_by();
    for _ in 0..MAX_TRIES {
        let Some(to) = course.next(order.status, order.fulfilment, by) else { return };
        let (least, most) = if order.status == Status::Placed { (100, 600) } else { (100, 700) };
        tokio::time::sleep(rng.millis(least, most)).await;
        match push(account, &order, to).await {
            Ok(view) => {
                let answered_in = view.answered_in().filter(|_| order.status == Status::Placed);
                order = view.into();
                simulation.ledger(|ledger| {
                    ledger.moved(business, &order);
                    if let Some(time) = answered_in {
                        ledger.alerts.answered_in(time);
                    }
                });
            }
            Err(error) => {
                simulation.ledger(|ledger| ledger.fault(error.to_string()));
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Makes one move; a refused one gives the order as it is.
async fn push(account: &Account, order: &OrderEvent, to: Status) -> Result<OrderAnswer, CallError> {
    let mut change = json!({"status": to, "version": order.version});
    match to {
        Status::Accepted => change["prep_minutes"] = json!(15),
        Status::Rejected => change["reason"] = json!("Sold out"),
        Status::Cancelled => change["reason"] = json!("The oven broke"),
        _ => {}
    }
    let moved: Result<OrderAnswer, _> =
        account.ask(&Request::patch(format!("/orders/{}/status", order.id), change)).await;
    match moved {
        Ok(view) => Ok(view),
        // Somebody else was faster: a customer who cancelled, or a visitor.
        Err(error) if error.status() == Some(409) => {
            account.ask(&Request::get(format!("/orders/{}", order.id))).await
        }
        Err(error) => Err(error),
    }
}

/// An order as answers show it.
#[derive(Deserialize)]
pub(super) struct OrderAnswer {
    id: OrderId,
    order_number: String,
    status: Status,
    version: i64,
    fulfilment: Fulfilment,
    ended_reason: Option<EndedReason>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl OrderAnswer {
    /// The time from its placing to its answer, if the answer is the last that happened to it.
    fn answered_in(&self) -> Option<Duration> {
        let answers = matches!(self.status, Status::Accepted | Status::Rejected);
        answers.then(|| self.updated_at.since(self.created_at))
    }
}

impl From<OrderAnswer> for OrderEvent {
    fn from(view: OrderAnswer) -> Self {
        let OrderAnswer { id, order_number, status, version, fulfilment, ended_reason, .. } = view;
        Self { id, order_number, status, version, fulfilment, ended_reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::table::verdict;
    use crate::domain::order::{Party, Verdict, Way};

    #[test]
    fn every_course_is_allowed_by_the_state_table_and_leads_to_an_end() {
        for course in [Course::Serve, Course::Refuse, Course::CallOff] {
            for fulfilment in Fulfilment::ALL {
                for by in DeliveredBy::ALL {
                    let mut status = Status::Placed;
                    while let Some(next) = course.next(status, fulfilment, by) {
                        let way = Way::of(fulfilment, by);
                        let allowed = verdict(status, next, way, Party::Member);
                        assert!(
                            matches!(allowed, Verdict::Allowed(_)),
                            "{course:?} {fulfilment:?} {status:?} to {next:?}"
                        );
                        status = next;
                    }
                    let waits_for_driver = by == DeliveredBy::Drivers && status == Status::Ready;
                    assert!(
                        status.is_end() || waits_for_driver,
                        "{course:?} {fulfilment:?} stops at {status:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn most_orders_are_served_and_some_are_not() {
        let mut rng = Rng::new(1);
        let courses: Vec<Course> = (0..1_000).map(|_| Course::draw(&mut rng)).collect();
        let count = |course| courses.iter().filter(|drawn| **drawn == course).count();
        assert!(count(Course::Serve) > 900 && count(Course::Refuse) > 10 && count(Course::CallOff) > 5);
    }
}
