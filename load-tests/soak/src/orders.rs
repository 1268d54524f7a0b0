//! Orders through their whole life: placed, repeated, followed by their customer, moved to an end by the merchant.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bellhop_client::{Account, Arrival, Frame, GapDetector, Request, Rng, Room};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};

use crate::event_reader::{EventReader, Transport};
use crate::scenario::{SKUS, Scenario};

/// Orders that may be open at once; the pace is not kept beyond it.
const MAX_OPEN: usize = 400;

/// Time limit for the last event of an order that has ended.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// Tries for one order before it is given up; six moves are the longest life.
const MAX_TRIES: usize = 20;

/// Places orders at random moments, `pace` a second on average, until the scenario closes.
pub(crate) async fn order_at_pace(scenario: Arc<Scenario>, pace: f64, mut rng: Rng) {
    let room = Arc::new(Semaphore::new(MAX_OPEN));
    for number in 0_u64.. {
        tokio::select! {
            () = tokio::time::sleep(rng.gap(pace)) => {}
            () = scenario.closing.cancelled() => return,
        }
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (order, rng) = (Order::draw(&scenario, number, &mut rng), rng.fork());
        let scenario_ = scenario.clone();
        scenario.tasks.spawn(async move {
            let what = order.key.clone();
            if let Err(error) = order.live(&scenario_, rng).await {
                scenario_.fault(format!("order {what}: {error:#}"));
            }
            drop(permit);
        });
    }
}

/// The way an order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Served,
    Rejected,
    /// By the customer, before anybody answers.
    Withdrawn,
    /// By the merchant, after accepting.
    CalledOff,
}

/// The way a customer sends an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Once,
    /// Twice at once with the same key.
    TwiceAtOnce,
    /// Again with the same key, when it has long ended.
    AgainLater,
}

struct Order {
    key: String,
    business: usize,
    customer: Arc<Account>,
    body: Value,
    delivery: bool,
    course: Course,
    sent: Sent,
    transport: Transport,
}

impl Order {
    fn draw(scenario: &Scenario, number: u64, rng: &mut Rng) -> Self {
        let key = format!("soak-{number}");
        let business = rng.below(scenario.business_count());
        let mut body = json!({
            "business_id": scenario.businesses[business].id,
            "items": [{"sku": SKUS[rng.below(SKUS.len())], "qty": 1 + rng.below(3)}],
            "customer": {"name": "Zoë", "phone": "+351 900 000 000"},
            "notes": key,
            "payment": "cash",
        });
        let fulfilment = ["delivery", "pickup", "dine_in"][rng.below(3)];
        body["fulfilment"] = json!(fulfilment);
        match fulfilment {
            "delivery" => {
                body["address"] = json!({"text": "Rua do Exemplo 1", "lat": 38.7139, "lng": -9.1394})
            }
            "dine_in" => body["table"] = json!(1 + rng.below(12)),
            _ => {}
        }
        Self {
            key,
            business,
            customer: scenario.customers[rng.below(scenario.customers.len())].clone(),
            body,
            delivery: fulfilment == "delivery",
            course: match rng.below(20) {
                0 => Course::Rejected,
                1 => Course::Withdrawn,
                2 => Course::CalledOff,
                _ => Course::Served,
            },
            sent: match rng.below(10) {
                0 => Sent::TwiceAtOnce,
                1 => Sent::AgainLater,
                _ => Sent::Once,
            },
            transport: [Transport::Socket, Transport::Socket, Transport::Stream, Transport::Poll]
                [rng.below(4)],
        }
    }

    async fn place(&self, scenario: &Scenario) -> Result<Value> {
        let call = Request::post("/orders", self.body.clone()).keyed(self.key.clone());
        let order = self.customer.call(&call).await?;
        let id = order["id"].as_str().context("an order has an id")?;
        scenario.ledger(|ledger| ledger.placed(self.business, &self.key, id));
        Ok(order)
    }

    async fn live(self, scenario: &Arc<Scenario>, mut rng: Rng) -> Result<()> {
        let mut order = if self.sent == Sent::TwiceAtOnce {
            let (one, other) = tokio::join!(self.place(scenario), self.place(scenario));
            scenario.ledger(|ledger| ledger.did("orders sent again with their key"));
            other?;
            one?
        } else {
            self.place(scenario).await?
        };
        let id = order["id"].as_str().context("an order has an id")?.to_owned();
        let (listening, listens) = oneshot::channel();
        let follower = follow(scenario.clone(), self.customer.clone(), id.clone(), self.transport, listening);
        let follower = tokio::spawn(follower);
        // Whether it listens shows in what it heard.
        let _ = listens.await;
        self.lead_to_its_end(scenario, &id, &mut order, &mut rng).await?;
        tokio::time::timeout(HEARD_WITHIN, follower)
            .await
            .context("its customer did not hear the end")???;
        scenario.ledger(|ledger| ledger.did("orders led to their end and followed"));
        if self.sent == Sent::AgainLater {
            let again = self.place(scenario).await?;
            ensure!(again["id"] == id.as_str(), "the repeated key gave another order");
            scenario.ledger(|ledger| ledger.did("orders sent again with their key"));
        }
        Ok(())
    }

    async fn lead_to_its_end(
        &self,
        scenario: &Scenario,
        id: &str,
        order: &mut Value,
        rng: &mut Rng,
    ) -> Result<()> {
        let merchant = &scenario.businesses[self.business].owner;
        for _ in 0..MAX_TRIES {
            let status = order["status"].as_str().context("an order has a status")?;
            let Some((to, by_customer)) = self.next(status) else { return Ok(()) };
            tokio::time::sleep(rng.millis(300, 1_700)).await;
            let mut change = json!({"status": to, "version": order["version"]});
            match to {
                "accepted" => change["prep_minutes"] = json!(15),
                "rejected" | "cancelled" => change["reason"] = json!("The oven broke"),
                _ => {}
            }
            let who = if by_customer { &self.customer } else { merchant };
            *order = match who.call(&Request::patch(format!("/orders/{id}/status"), change)).await {
                Ok(moved) => moved,
                // A move whose answer was lost has happened: the order is looked at again.
                Err(refused) if refused.status() == Some(409) => {
                    merchant.call(&Request::get(format!("/orders/{id}"))).await?
                }
                Err(refused) => return Err(refused.into()),
            };
        }
        bail!("it did not come to its end")
    }

    /// The next status, and whether the customer moves the order there.
    fn next(&self, status: &str) -> Option<(&'static str, bool)> {
        Some(match (status, self.course) {
            ("placed", Course::Rejected) => ("rejected", false),
            ("placed", Course::Withdrawn) => ("cancelled", true),
            ("placed", _) => ("accepted", false),
            ("accepted", Course::CalledOff) => ("cancelled", false),
            ("accepted", _) => ("preparing", false),
            ("preparing", _) => ("ready", false),
            ("ready", _) if self.delivery => ("picked_up", false),
            ("ready" | "picked_up", _) => ("delivered", false),
            _ => return None,
        })
    }
}

/// Hears an order's own room until it has ended; every event once and in order.
async fn follow(
    scenario: Arc<Scenario>,
    customer: Arc<Account>,
    id: String,
    transport: Transport,
    listening: oneshot::Sender<()>,
) -> Result<()> {
    let mut reader = EventReader::open(&customer, &Room::order(&id), None, transport).await?;
    let (mut gaps, mut listening) = (GapDetector::default(), Some(listening));
    loop {
        match reader.next().await? {
            Frame::Hello { cursor } => {
                ensure!(gaps.on_hello(cursor) == Arrival::Next, "a hello out of place");
                if let Some(listening) = listening.take() {
                    // Nobody waits any more when the order could not be moved.
                    let _ = listening.send(());
                }
            }
            Frame::Event { cursor, data, .. } => {
                let arrival = gaps.on_event(cursor);
                scenario.ledger(|ledger| ledger.count(arrival));
                if matches!(data.status.as_deref(), Some("delivered" | "cancelled" | "rejected")) {
                    reader.close().await;
                    return Ok(());
                }
            }
            Frame::Ephemeral { .. } | Frame::Other | Frame::TokenExpiring => {}
            other => bail!("{other:?} on the room of an order"),
        }
    }
}
