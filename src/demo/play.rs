//! A run of the demo: devices come on, customers order until the time is up, open orders run to their end, and the ledger
//! is compared with what the hub lists.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock, by which it judges deadlines")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_client::{Account, CallError, Request, Rng};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::business::PauseView;
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::{PaymentStatus, Status};
use crate::domain::time::Timestamp;

use super::customer;
use super::ledger::{Audit, AuditScope, COUNTER, DEVICES, Ledger, Listed};
use super::merchant::Device;
use super::options::Options;
use super::provider::Provider;
use super::rider::Rider;
use super::scenario::Scenario;
use super::simulation::Simulation;

/// Time limit for devices to open their sockets. Orders are placed after it in any case, and show what is wrong.
const OPENING_WITHIN: Duration = Duration::from_secs(20);

/// Time limit for open orders to reach their end once no more is ordered: a driver who vanished is missed after a minute and a half.
/// Mostly it takes some seconds.
const CLOSING_WITHIN: Duration = Duration::from_secs(120);

/// In runs shorter than this no driver vanishes: their end would be waited for longer than they last.
const VANISH_FROM: Duration = Duration::from_secs(60);

/// Interval of the check whether every order has reached its end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Age of a list on one of several nodes, at most: another one may have changed it.
const LIST_AGE: Duration = Duration::from_secs(2);

/// Settings of one run.
#[derive(Debug)]
pub(super) struct Plan {
    /// Orders a second, on average.
    pub(super) pace: f64,
    /// Time in which customers order; no limit but `closing` unless given.
    pub(super) run_for: Option<Duration>,
    /// Lists are as old as this at most.
    list_age: Duration,
    /// Cancelled from outside to end early.
    pub(super) closing: CancellationToken,
    /// Cancelled from outside to wait for nothing any more.
    pub(super) hurry: CancellationToken,
}

impl Plan {
    /// The part of the options that concerns a run, and what ends it early.
    pub(super) fn new(options: &Options, [closing, hurry]: [CancellationToken; 2]) -> Self {
        let list_age = if options.nodes == 1 { Duration::ZERO } else { LIST_AGE };
        let pace = f64::from(options.orders_per_second);
        Self { pace, run_for: options.run_for, list_age, closing, hurry }
    }
}

/// What the hub's lists say at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) audit: Audit,
    /// The names of businesses that are paused.
    pub(super) paused: Vec<String>,
}

/// Plays the scenario until it closes and everything has run to its end, at most two minutes later; then audits. The
/// devices are still there afterwards, until [`Simulation::go_home`].
///
/// # Errors
/// When the hub's lists could not be read at the end.
pub(super) async fn play(
    scenario: Scenario,
    run: Uuid,
    ledger: Arc<Mutex<Ledger>>,
    provider: Provider,
    (mut rng, plan): (Rng, Plan),
) -> Result<(Arc<Simulation>, Findings), CallError> {
    let simulation = Arc::new(Simulation::new(scenario, run, ledger, provider, plan.closing.clone()));
    // An order placed before a device has its place in the room would not ring on it: each holds an end of this channel
    // until then.
    let (opened, mut all_opened) = mpsc::channel::<Infallible>(1);
    for business in 0..simulation.scenario.businesses.len() {
        for slot in 0..DEVICES {
            let device = Device::new(simulation.clone(), business, slot, rng.fork());
            simulation.tasks.spawn(device.run(opened.clone()));
        }
    }
    drop(opened);
    drivers_ride(&simulation, &mut rng, &plan);
    tokio::select! {
        _ = tokio::time::timeout(OPENING_WITHIN, all_opened.recv()) => customers_order(&simulation, rng, &plan).await,
        () = plan.hurry.cancelled() => {}
    }
    simulation.closing.cancel();
    tokio::select! {
        _ = tokio::time::timeout(CLOSING_WITHIN, everything_settled(&simulation)) => {}
        () = plan.hurry.cancelled() => {}
    }
    // Before the lists are read: an order may come to its end meanwhile.
    let scope = if plan.hurry.is_cancelled() {
        simulation.ledger(|ledger| ledger.settled())
    } else {
        AuditScope::Everything
    };
    let listed = list_everything(&simulation, plan.list_age).await?;
    let now = Timestamp::now();
    let audit = simulation.ledger(|ledger| ledger.audit(&listed, &scope, now));
    let paused = paused_businesses(&simulation).await?;
    Ok((simulation, Findings { audit, paused }))
}

fn drivers_ride(simulation: &Arc<Simulation>, rng: &mut Rng, plan: &Plan) {
    let may_vanish = plan.run_for.is_none_or(|run_for| run_for >= VANISH_FROM);
    for n in 0..simulation.scenario.couriers.len() {
        let rider = Rider::new(simulation.clone(), n, may_vanish, rng.fork());
        simulation.tasks.spawn(rider.run());
    }
}

async fn customers_order(simulation: &Arc<Simulation>, rng: Rng, plan: &Plan) {
    let time_is_up = async {
        match plan.run_for {
            Some(run_for) => tokio::time::sleep(run_for).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = customer::order_at_pace(simulation, plan.pace, rng) => {}
        () = time_is_up => {}
        () = simulation.closing.cancelled() => {}
    }
}

async fn everything_settled(simulation: &Simulation) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        if simulation.ledger(|ledger| ledger.is_settled()) {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: OrderId,
    status: Status,
    version: i64,
    notes: Option<String>,
    deadline_at: Option<Timestamp>,
    payment: ItemPayment,
}

#[derive(Deserialize)]
struct ItemPayment {
    status: PaymentStatus,
}

/// Every order of this run that the hub lists, business by business, once its lists know of everything that has happened.
async fn list_everything(simulation: &Simulation, age: Duration) -> Result<Vec<Listed>, CallError> {
    tokio::time::sleep(age).await;
    let floor = simulation.ledger(|ledger| ledger.floor());
    let mut listed = Vec::new();
    for place in &simulation.scenario.businesses {
        let mut next = None;
        loop {
            let page = page_of(&place.team[COUNTER], place.id, next).await?;
            // Newest first: what is older than the run needs no look.
            let done = page.items.last().is_none_or(|oldest| oldest.id < floor);
            let ours = page.items.into_iter().filter(|item| item.id >= floor);
            listed.extend(ours.map(|item| Listed {
                key: item.notes.as_deref().and_then(|notes| simulation.key_number(notes)),
                id: item.id,
                status: item.status,
                version: item.version,
                deadline_at: item.deadline_at,
                payment: item.payment.status,
                is_driven: place.kind.delivered_by() == DeliveredBy::Drivers,
            }));
            next = page.next_cursor;
            if done || next.is_none() {
                break;
            }
        }
    }
    Ok(listed)
}

#[derive(Deserialize)]
struct Standing {
    pauses: Vec<PauseView>,
}

/// The names of businesses that are paused now.
async fn paused_businesses(simulation: &Simulation) -> Result<Vec<String>, CallError> {
    let mut paused = Vec::new();
    for place in &simulation.scenario.businesses {
        let business = Request::get(format!("/businesses/{}", place.id));
        if !place.team[COUNTER].ask::<Standing>(&business).await?.pauses.is_empty() {
            paused.push(place.name.clone());
        }
    }
    Ok(paused)
}

async fn page_of(member: &Account, business: BusinessId, cursor: Option<String>) -> Result<Page, CallError> {
    let mut path = format!("/orders?business_id={business}&limit=50");
    if let Some(cursor) = cursor {
        path.push_str(&format!("&cursor={cursor}"));
    }
    member.ask(&Request::get(path)).await
}
