//! Customers: they order at a pace, tap twice when they are impatient, and sometimes change their minds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use bellhop_client::{Account, CallError, Request, Rng};

use crate::domain::order::{Fulfilment, Status};
use crate::protocol::problem::ProblemCode;

use super::ledger::OrderEvent;
use super::payer;
use super::scenario::{Business, TABLES};
use super::serving::OrderAnswer;
use super::simulation::Simulation;

/// Customers whose answer is awaited at once; beyond it the pace is not kept.
const MAX_UNDER_WAY: u64 = 64;

/// Pause of a customer who has to wait for room before ordering.
const ROOM_AGAIN: Duration = Duration::from_millis(20);

/// Longest delay of orders that is caught up with; a longer one is dropped.
const MAX_BEHIND: Duration = Duration::from_millis(500);

/// The order that one customer is about to place.
struct PlannedOrder {
    number: u64,
    business: usize,
    customer: Arc<Account>,
    body: Value,
    behaviour: Behaviour,
    /// Choices about its payment, where it is paid online.
    rng: Option<Rng>,
}

/// The behaviour of one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Calm,
    /// Sends the order twice at once with the same key.
    TapsTwice,
    /// Cancels shortly after.
    ChangesMind,
}

/// Places orders at random moments, `pace` a second on average, as long as it is polled.
pub(super) async fn order_at_pace(simulation: &Arc<Simulation>, pace: f64, mut rng: Rng) {
    let mut at = Instant::now();
    for number in 0.. {
        at += rng.gap(pace);
        tokio::time::sleep_until(at).await;
        while !simulation.ledger(|ledger| ledger.has_room() && ledger.under_way() < MAX_UNDER_WAY) {
            tokio::time::sleep(ROOM_AGAIN).await;
        }
        at = at.max(Instant::now().checked_sub(MAX_BEHIND).unwrap_or(at));
        let planned = planned(simulation, number, &mut rng);
        let simulation = simulation.clone();
        simulation.ledger(|ledger| ledger.ask());
        simulation.tasks.clone().spawn(async move {
            fulfil(&simulation, planned).await;
            simulation.ledger(|ledger| ledger.answered());
        });
    }
}

fn planned(simulation: &Simulation, number: u64, rng: &mut Rng) -> PlannedOrder {
    let business = rng.below(simulation.scenario.businesses.len());
    let place = &simulation.scenario.businesses[business];
    let customer = rng.pick(&simulation.scenario.customers).clone();
    let mut body = order(place, &customer, simulation.key_text(number), rng);
    let is_online = rng.below(100) < payer::ONLINE;
    if is_online {
        body["payment"] = json!("online");
    }
    let behaviour = match rng.below(100) {
        0..5 => Behaviour::TapsTwice,
        5..7 => Behaviour::ChangesMind,
        _ => Behaviour::Calm,
    };
    PlannedOrder { number, business, customer, body, behaviour, rng: is_online.then(|| rng.fork()) }
}

fn order(business: &Business, customer: &Account, notes: String, rng: &mut Rng) -> Value {
    let first = rng.below(business.skus.len());
    let dishes = 1 + rng.below(2);
    let items: Vec<Value> = (first..first + dishes)
        .map(|n| json!({"sku": business.skus[n % business.skus.len()], "qty": 1 + rng.below(3)}))
        .collect();
    let mut body = json!({
        "business_id": business.id,
        "items": items,
        "customer": {"name": customer.name(), "phone": "+351 900 000 000"},
        "notes": notes,
        "payment": "cash",
    });
    let fulfilment = *rng.pick(business.kind.fulfilments());
    body["fulfilment"] = json!(fulfilment);
    match fulfilment {
        Fulfilment::Delivery => {
            body["address"] = json!({"text": "Rua do Exemplo 1, 2.º", "lat": 38.7139, "lng": -9.1394});
        }
        Fulfilment::Pickup => {}
        Fulfilment::DineIn => body["table"] = json!(1 + rng.below(usize::from(TABLES))),
    }
    body
}

async fn fulfil(simulation: &Arc<Simulation>, planned: PlannedOrder) {
    let call = Request::post("/orders", planned.body).keyed(simulation.key_text(planned.number));
    let place = || place(simulation, planned.number, planned.business, &planned.customer, &call);
    let placed = if planned.behaviour == Behaviour::TapsTwice {
        let (one, other) = tokio::join!(place(), place());
        let same = matches!((&one, &other), (Ok(one), Ok(other)) if one.id == other.id);
        // A pause that began or ended in between makes no second order.
        if !is_pause(&one) && !is_pause(&other) {
            simulation.ledger(|ledger| ledger.recoveries.repeated(same));
        }
        one.or(other)
    } else {
        place().await
    };
    match (placed, planned.rng) {
        (Ok(order), Some(rng)) => {
            let (simulation, customer) = (simulation.clone(), planned.customer);
            simulation.tasks.clone().spawn(async move {
                payer::pay(&simulation, planned.business, &customer, order, rng).await;
            });
        }
        (Ok(order), None) if planned.behaviour == Behaviour::ChangesMind => {
            cancel(simulation, planned.business, &planned.customer, order).await;
        }
        (Ok(_), None) => {}
        (refused, _) if is_pause(&refused) => simulation.ledger(|ledger| ledger.alerts.refused_by_pause()),
        (Err(error), _) => simulation.ledger(|ledger| ledger.refused(error.to_string())),
    }
}

/// Whether the hub took no order because the business is paused.
fn is_pause(placed: &Result<OrderEvent, CallError>) -> bool {
    matches!(placed, Err(error) if error.code() == Some(ProblemCode::BusinessPaused.as_str()))
}

async fn place(
    simulation: &Simulation,
    number: u64,
    business: usize,
    customer: &Account,
    call: &Request,
) -> Result<OrderEvent, CallError> {
    let order = OrderEvent::from(customer.ask::<OrderAnswer>(call).await?);
    simulation.ledger(|ledger| ledger.placed(number, business, &order));
    Ok(order)
}

/// Calls the order off unless the merchant has said yes meanwhile.
async fn cancel(simulation: &Simulation, business: usize, customer: &Account, order: OrderEvent) {
    let change = json!({"status": Status::Cancelled, "version": order.version});
    let call = Request::patch(format!("/orders/{}/status", order.id), change);
    match customer.ask::<OrderAnswer>(&call).await {
        Ok(view) => simulation.ledger(|ledger| ledger.moved(business, &view.into())),
        Err(error) if error.status() == Some(409) => {}
        // Of an accepted order: customers may no longer.
        Err(error) if error.code() == Some(ProblemCode::NotYourMove.as_str()) => {}
        Err(error) => simulation.ledger(|ledger| ledger.fault(error.to_string())),
    }
}
