//! Customers who pay online, or do not, and what the payment provider tells the hub of that: at once or late, once or twice.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::sync::Arc;
use std::time::Duration;

use bellhop_client::{Account, CallError, Request, Rng};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::domain::ids::PaymentId;
use crate::domain::order::Status;
use crate::domain::payment::NewsStatus;

use super::ledger::OrderEvent;
use super::serving::OrderAnswer;
use super::simulation::Simulation;

/// Orders of a hundred that are paid online.
pub(super) const ONLINE: usize = 35;

/// Pause before the customer looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// Looks before nobody waits any more for what the hub makes of a payment.
const MAX_LOOKS: usize = 200;

/// What comes of the payment of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It is paid.
    Pays,
    /// It is paid, and the provider says so three times.
    SaidAgain,
    /// The first card is refused, the second one pays.
    FailsFirst,
    /// The same, and then the first one pays too.
    PaysTwice,
    /// The card is refused, and the customer gives up.
    GivesUp,
    /// It is paid after the hub has cancelled the order.
    PaysLate,
    /// It is paid after the customer has cancelled the order.
    PaysAfterCancel,
}

impl Course {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..62 => Self::Pays,
            62..70 => Self::SaidAgain,
            70..78 => Self::FailsFirst,
            78..84 => Self::PaysTwice,
            84..90 => Self::GivesUp,
            90..95 => Self::PaysLate,
            _ => Self::PaysAfterCancel,
        }
    }
}

/// A payment that was begun.
#[derive(Clone, Debug, Deserialize)]
struct Begun {
    payment_id: PaymentId,
    amount_minor: i64,
}

/// One order that is paid online, and everybody around its payment.
struct Payer<'a> {
    simulation: &'a Simulation,
    business: usize,
    customer: &'a Account,
    order: OrderEvent,
}

/// Pays an order, or does not, until the hub has made of it what it will.
pub(super) async fn pay(
    simulation: &Simulation,
    business: usize,
    customer: &Arc<Account>,
    order: OrderEvent,
    mut rng: Rng,
) {
    simulation.ledger(|ledger| ledger.pays_online(order.id));
    let payer = Payer { simulation, business, customer, order };
    if let Err(error) = payer.go_through(Course::draw(&mut rng), &mut rng).await {
        simulation.ledger(|ledger| ledger.fault(error));
    }
}

impl Payer<'_> {
    async fn go_through(&self, course: Course, rng: &mut Rng) -> Result<(), String> {
        tokio::time::sleep(rng.millis(20, 200)).await;
        let Some(first) = self.begin().await? else { return self.wait_until_it_moves().await };
        tokio::time::sleep(rng.millis(50, 600)).await;
        match course {
            Course::Pays => self.captured(&first).await?,
            Course::SaidAgain => {
                let message = self.message(&first, NewsStatus::Success);
                self.simulation.ledger(|ledger| ledger.captured(self.order.id, first.amount_minor));
                let provider = &self.simulation.provider;
                let (one, other) = tokio::join!(provider.tell(&message), provider.tell(&message));
                one.and(other)?;
                tokio::time::sleep(rng.millis(500, 2_000)).await;
                provider.tell(&message).await?;
            }
            Course::FailsFirst | Course::PaysTwice => {
                self.failed(&first).await?;
                let second = self.begin_after(&first).await?;
                if let Some(second) = &second {
                    self.captured(second).await?;
                }
                if course == Course::PaysTwice {
                    tokio::time::sleep(rng.millis(50, 1_500)).await;
                    self.captured(&first).await?;
                }
            }
            Course::GivesUp => self.failed(&first).await?,
            Course::PaysLate => {
                self.wait_until_it_moves().await?;
                self.captured(&first).await?;
            }
            Course::PaysAfterCancel => {
                self.cancel().await?;
                self.captured(&first).await?;
            }
        }
        self.wait_until_it_moves().await
    }

    /// Begins a payment; `None` when the order waits for none any more.
    async fn begin(&self) -> Result<Option<Begun>, String> {
        let wish = Request::post("/payments/initiate", json!({"order_id": self.order.id}));
        match self.customer.ask::<Begun>(&wish).await {
            Ok(begun) => Ok(Some(begun)),
            Err(error) if error.status() == Some(409) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Begins another payment, once the hub knows that the one before has failed.
    async fn begin_after(&self, before: &Begun) -> Result<Option<Begun>, String> {
        for _ in 0..MAX_LOOKS {
            match self.begin().await? {
                Some(begun) if begun.payment_id == before.payment_id => tokio::time::sleep(LOOK_AGAIN).await,
                other => return Ok(other),
            }
        }
        Err("a payment that failed stays open".to_owned())
    }

    fn message(&self, payment: &Begun, status: NewsStatus) -> String {
        json!({
            "payment_id": payment.payment_id, "order_id": self.order.id, "status": status,
            "event_id": Uuid::now_v7().simple().to_string(),
        })
        .to_string()
    }

    async fn captured(&self, payment: &Begun) -> Result<(), String> {
        self.simulation.ledger(|ledger| ledger.captured(self.order.id, payment.amount_minor));
        self.simulation.provider.tell(&self.message(payment, NewsStatus::Success)).await
    }

    async fn failed(&self, payment: &Begun) -> Result<(), String> {
        self.simulation.provider.tell(&self.message(payment, NewsStatus::Failed)).await
    }

    /// The order as the hub has it now.
    async fn look(&self) -> Result<OrderEvent, CallError> {
        let path = format!("/orders/{}", self.order.id);
        let order = OrderEvent::from(self.customer.ask::<OrderAnswer>(&Request::get(path)).await?);
        self.simulation.ledger(|ledger| ledger.moved(self.business, &order));
        Ok(order)
    }

    async fn wait_until_it_moves(&self) -> Result<(), String> {
        for _ in 0..MAX_LOOKS {
            let order = self.look().await.map_err(|error| error.to_string())?;
            if order.status != Status::PendingPayment {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err("an order waits for its payment though all is said".to_owned())
    }

    /// Calls the order off, if it still waits for its payment.
    async fn cancel(&self) -> Result<(), String> {
        let order = self.look().await.map_err(|error| error.to_string())?;
        let change = json!({"status": Status::Cancelled, "version": order.version});
        let call = Request::patch(format!("/orders/{}/status", order.id), change);
        match self.customer.ask::<OrderAnswer>(&call).await {
            Ok(view) => self.simulation.ledger(|ledger| ledger.moved(self.business, &view.into())),
            Err(error) if matches!(error.status(), Some(403 | 409)) => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_orders_are_paid_and_every_course_is_taken() {
        let mut rng = Rng::new(1);
        let courses: Vec<Course> = (0..1_000).map(|_| Course::draw(&mut rng)).collect();
        let count = |course| courses.iter().filter(|drawn| **drawn == course).count();
        assert!(count(Course::Pays) > 500);
        for course in [
            Course::SaidAgain,
            Course::FailsFirst,
            Course::PaysTwice,
            Course::GivesUp,
            Course::PaysLate,
            Course::PaysAfterCancel,
        ] {
            assert!(count(course) > 20, "{course:?}");
        }
    }
}
