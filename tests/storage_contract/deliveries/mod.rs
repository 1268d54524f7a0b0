//! Deliveries by drivers: offers, answers, steps and changes of hands, each with everything that follows in the same commit.

use std::time::Duration;

use bellhop::domain::access::Role;
use bellhop::domain::delivery::{
    AnswerRefusal, Candidate, DeliveryStatus, LeaveReason, Offer, OfferState, Step, StepReport, Wave,
};
use bellhop::domain::dispatch::{Driver, DriverChange, Position, Sharing};
use bellhop::domain::event::EventType;
use bellhop::domain::ids::{OfferId, OrderId, UserId};
use bellhop::domain::location::Location;
use bellhop::domain::order::{MoveRequest, Order, Party, PaymentStatus, Status};
use bellhop::domain::saga::Clocks;
use bellhop::domain::time::Timestamp;
use bellhop::storage::commands::{
    AnswerOffer, AssignDriver, ChangeDriver, Committed, DeliveryChanged, DriverSeen, FireDeadline,
    LeaveDelivery, LookDue, OfferAnswer, OpenWave, Outcome, ReportStep, SagaDue, SetDriverOnline, Write,
};
use bellhop::storage::{Lane, ListedDelivery};

use crate::fixtures::{Fixture, beat, move_to, place_one, run, run_one, user, wish};
use crate::harness::TestStore;

mod drivers;
mod offers;
mod races;
mod search;
mod steps;
mod ways;

pub(super) const S: fn(u64) -> Duration = Duration::from_secs;

/// A driver of the zone of the business who is on and has room for so many deliveries.
pub(crate) async fn driver(lane: &mut dyn Lane, capacity: u8) -> UserId {
    let account = user(Role::Driver);
    let id = account.id;
    run(lane, vec![Write::CreateUser(Box::new(account))]).await;
    let change = DriverChange {
        capacity: Some(capacity),
        zones: Some(vec!["centre".to_owned()]),
        ..DriverChange::default()
    };
    let change = ChangeDriver { driver: id, change, sharing: Sharing::AtOnce };
    let outcome = run_one(lane, Write::ChangeDriver(Box::new(change))).await;
    assert!(matches!(outcome, Outcome::DriverChanged(Ok(()))), "{outcome:?}");
    set_online(lane, id, true).await;
    id
}

pub(crate) async fn set_online(lane: &mut dyn Lane, driver: UserId, online: bool) -> Committed {
    run(lane, vec![Write::SetDriverOnline(SetDriverOnline { driver, online })]).await
}

/// Accepts an order for drivers of the hub.
pub(crate) fn accept_for_drivers(order: &Order) -> Write {
    use bellhop::domain::delivery::DeliveredBy;
    let request = MoveRequest {
        party: Party::Member,
        to: Status::Accepted,
        version: order.version,
        prep_minutes: Some(25),
        delivered_by: Some(DeliveredBy::Drivers),
    };
    wish(order, request)
}

/// An order that drivers are to bring.
pub(super) async fn driven(world: &Fixture, lane: &mut dyn Lane) -> Order {
    let order = place_one(lane, world.draft()).await;
    match run_one(lane, accept_for_drivers(&order)).await {
        Outcome::Moved(Ok(order)) => *order,
        other => panic!("expected an accepted order, got {other:?}"),
    }
}

/// The same, with food that is ready, so that the search begins at once.
pub(crate) async fn ready(world: &Fixture, lane: &mut dyn Lane) -> Order {
    let order = driven(world, lane).await;
    match run_one(lane, move_to(&order, Status::Ready)).await {
        Outcome::Moved(Ok(order)) => *order,
        other => panic!("expected a ready order, got {other:?}"),
    }
}

/// The commits of everything that comes due within a time, each at its moment, while a node lives and hears of these drivers.
pub(super) async fn live(
    store: &TestStore,
    lane: &mut dyn Lane,
    during: Duration,
    heard: &[UserId],
) -> Vec<Committed> {
    let (clock, mut commits) = (store.store.clock(), Vec::new());
    let end = clock.now().plus(during);
    loop {
        let now = clock.now();
        let due = store.store.due_sagas(now, None, 100).await.unwrap();
        if !due.is_empty() {
            let fire = |due: &SagaDue| {
                Write::FireDeadline(FireDeadline {
                    order: due.order,
                    business: due.business,
                    attempt: due.attempt,
                })
            };
            commits.push(run(lane, due.iter().map(fire).collect()).await);
            continue;
        }
        if now >= end {
            return commits;
        }
        let next = store.store.next_saga_due(now).await.unwrap().filter(|next| *next <= end);
        clock.advance(next.unwrap_or(end).since(clock.now()).min(S(20)));
        beat(lane).await;
        let alive_at = clock.now();
        let seen = |driver: &UserId| DriverSeen { driver: *driver, alive_at, position: None };
        run_one(lane, Write::StoreDriversSeen(heard.iter().map(seen).collect())).await;
    }
}

/// Every look for a driver of these commits.
pub(super) fn looks(commits: &[Committed]) -> Vec<&LookDue> {
    commits.iter().flat_map(|commit| &commit.looks).collect()
}

pub(super) fn now(store: &TestStore) -> Timestamp {
    store.store.clock().now()
}

/// A wave to these drivers, on the attempt of the delivery as it is now.
pub(super) async fn wave(store: &TestStore, order: &Order, number: u32, drivers: &[UserId]) -> Write {
    let delivery = delivery(store, order).await.delivery;
    let candidate = |driver: &UserId| Candidate { driver: *driver, distance_m: 800, stacked: false };
    Write::OpenWave(Box::new(OpenWave {
        order: order.id,
        business: order.business_id,
        wave: Wave {
            number,
            attempt: delivery.attempt,
            candidates: drivers.iter().map(candidate).collect(),
            payout_minor: 400,
            is_cash: true,
        },
    }))
}

pub(super) async fn open(
    store: &TestStore,
    lane: &mut dyn Lane,
    order: &Order,
    drivers: &[UserId],
) -> Committed {
    let wave = wave(store, order, 3, drivers).await;
    run(lane, vec![wave]).await
}

pub(super) fn opened(committed: &Committed) -> u32 {
    match committed.outcomes[0] {
        Outcome::WaveOpened(drivers) => drivers,
        ref other => panic!("expected a wave, got {other:?}"),
    }
}

/// The order's present row.
pub(super) async fn order_now(store: &TestStore, order: OrderId) -> Order {
    store.store.order(order).await.unwrap().unwrap()
}

pub(super) async fn delivery(store: &TestStore, order: &Order) -> ListedDelivery {
    let order = order_now(store, order.id).await;
    store.store.delivery(order.delivery.expect("it has a delivery").id).await.unwrap().unwrap()
}

/// The open offer of a driver for an order.
pub(super) async fn offer_of(store: &TestStore, driver: UserId, order: &Order) -> Offer {
    let open = store.store.open_offers_of(driver).await.unwrap();
    let offer = open.into_iter().find(|(offer, _)| offer.order == order.id);
    offer.expect("the driver is asked").0
}

pub(super) fn answer(offer: &Offer, answer: OfferAnswer) -> Write {
    Write::AnswerOffer(Box::new(AnswerOffer {
        offer: offer.id,
        order: offer.order,
        business: offer.business,
        driver: offer.driver,
        answer,
    }))
}

pub(super) fn answered(outcome: &Outcome) -> Result<DeliveryChanged, AnswerRefusal> {
    match outcome {
        Outcome::OfferAnswered(answered) => *answered,
        other => panic!("expected an answer, got {other:?}"),
    }
}

pub(super) async fn accept(lane: &mut dyn Lane, offer: &Offer) -> Result<DeliveryChanged, AnswerRefusal> {
    answered(&run_one(lane, answer(offer, OfferAnswer::Accept)).await)
}

/// An order that this driver has.
pub(super) async fn assigned(store: &TestStore, lane: &mut dyn Lane, order: &Order, driver: UserId) -> Offer {
    assert_eq!(opened(&open(store, lane, order, &[driver]).await), 1);
    let offer = offer_of(store, driver, order).await;
    assert!(accept(lane, &offer).await.is_ok());
    offer
}

pub(super) async fn driver_now(store: &TestStore, driver: UserId) -> Driver {
    store.store.driver(driver).await.unwrap().unwrap()
}

pub(super) fn step(order: &Order, driver: UserId, report: StepReport) -> Write {
    Write::ReportStep(Box::new(ReportStep {
        order: order.id,
        business: order.business_id,
        party: Party::Driver,
        user: driver,
        report,
    }))
}

pub(super) fn leave(order: &Order, party: Party, user: Option<UserId>) -> Write {
    Write::LeaveDelivery(Box::new(LeaveDelivery {
        order: order.id,
        business: order.business_id,
        party,
        user,
        reason: LeaveReason::Operator,
        text: None,
    }))
}

pub(crate) fn assign(order: &Order, driver: UserId) -> Write {
    Write::AssignDriver(AssignDriver {
        order: order.id,
        business: order.business_id,
        driver,
        user: UserId::generate(),
        offer: OfferId::generate(),
    })
}

/// The rooms and types of what was told, in order.
pub(super) fn told(committed: &Committed) -> Vec<(String, EventType)> {
    let told = |event: &bellhop::protocol::event::RoomEvent| {
        let kind = event.kind.as_str().parse().unwrap();
        (event.room.to_string().split(':').next().unwrap().to_owned(), kind)
    };
    committed.events.iter().map(told).collect()
}
