//! Customers: they order at a pace, tap twice when they are impatient, and sometimes change their minds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::order::{Fulfilment, Status};

use super::chance::Chance;
use super::client::{Account, Call, CallError};
use super::ledger::OrderEvent;
use super::merchant::View;
use super::seed::{Place, TABLES};
use super::simulation::Stage;

/// Customers whose answer is awaited at once; beyond it the pace is not kept.
const MAX_UNDER_WAY: u64 = 64;

/// How long a customer waits who could not order for want of room.
const ROOM_AGAIN: Duration = Duration::from_millis(20);

/// How far orders may be behind before the backlog is forgotten instead of caught up with.
const MAX_BEHIND: Duration = Duration::from_millis(500);

/// What one customer will do, decided before.
struct Wish {
    number: u64,
    business: usize,
    customer: Arc<Account>,
    body: Value,
    manner: Manner,
}

/// How the customer goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Calm,
    /// Sends the order twice at once with the same key.
    TapsTwice,
    /// Cancels shortly after.
    ChangesMind,
}

/// Places orders at random moments, `pace` a second on average, as long as it is polled.
pub(super) async fn order_at_pace(stage: &Arc<Stage>, pace: f64, mut chance: Chance) {
    let mut at = Instant::now();
    for number in 0.. {
        at += chance.gap(pace);
        tokio::time::sleep_until(at).await;
        while !stage.books(|books| books.has_room() && books.under_way() < MAX_UNDER_WAY) {
            tokio::time::sleep(ROOM_AGAIN).await;
        }
        at = at.max(Instant::now().checked_sub(MAX_BEHIND).unwrap_or(at));
        let wish = wish(stage, number, &mut chance);
        let stage = stage.clone();
        stage.books(|books| books.ask());
        stage.tasks.clone().spawn(async move {
            fulfil(&stage, wish).await;
            stage.books(|books| books.answered());
        });
    }
}

fn wish(stage: &Stage, number: u64, chance: &mut Chance) -> Wish {
    let business = chance.below(stage.town.places.len());
    let place = &stage.town.places[business];
    let customer = chance.pick(&stage.town.customers).clone();
    let body = order(place, &customer, stage.key_text(number), chance);
    let manner = match chance.below(100) {
        0..5 => Manner::TapsTwice,
        5..7 => Manner::ChangesMind,
        _ => Manner::Calm,
    };
    Wish { number, business, customer, body, manner }
}

fn order(place: &Place, customer: &Account, notes: String, chance: &mut Chance) -> Value {
    let first = chance.below(place.skus.len());
    let dishes = 1 + chance.below(2);
    let items: Vec<Value> = (first..first + dishes)
        .map(|n| json!({"sku": place.skus[n % place.skus.len()], "qty": 1 + chance.below(3)}))
        .collect();
    let mut body = json!({
        "business_id": place.id,
        "items": items,
        "customer": {"name": customer.name, "phone": "+351 900 000 000"},
        "notes": notes,
        "payment": "cash",
    });
    match chance.below(3) {
        0 => {
            body["fulfilment"] = json!(Fulfilment::Delivery);
            body["address"] = json!({"text": "Rua do Exemplo 1, 2.º", "lat": 38.7139, "lng": -9.1394});
        }
        1 => body["fulfilment"] = json!(Fulfilment::Pickup),
        _ => {
            body["fulfilment"] = json!(Fulfilment::DineIn);
            body["table"] = json!(1 + chance.below(usize::from(TABLES)));
        }
    }
    body
}

async fn fulfil(stage: &Stage, wish: Wish) {
    let call = Call::post("/orders", wish.body).keyed(stage.key_text(wish.number));
    let place = || place(stage, wish.number, wish.business, &wish.customer, &call);
    let placed = if wish.manner == Manner::TapsTwice {
        let (one, other) = tokio::join!(place(), place());
        let same = matches!((&one, &other), (Ok(one), Ok(other)) if one.id == other.id);
        stage.books(|books| books.repeated(same));
        one.or(other)
    } else {
        place().await
    };
    match placed {
        Ok(order) if wish.manner == Manner::ChangesMind => {
            cancel(stage, wish.business, &wish.customer, order).await;
        }
        Ok(_) => {}
        Err(error) => stage.books(|books| books.refused(error.to_string())),
    }
}

async fn place(
    stage: &Stage,
    number: u64,
    business: usize,
    customer: &Account,
    call: &Call,
) -> Result<OrderEvent, CallError> {
    let order = OrderEvent::from(customer.ask::<View>(call).await?);
    stage.books(|books| books.placed(number, business, &order));
    Ok(order)
}

/// Calls the order off unless the merchant has said yes meanwhile.
async fn cancel(stage: &Stage, business: usize, customer: &Account, order: OrderEvent) {
    let change = json!({"status": Status::Cancelled, "version": order.version});
    let call = Call::patch(format!("/orders/{}/status", order.id), change);
    match customer.ask::<View>(&call).await {
        Ok(view) => stage.books(|books| books.moved(business, &view.into())),
        Err(error) if error.status() == Some(409) => {}
        Err(error) => stage.books(|books| books.fault(error.to_string())),
    }
}
