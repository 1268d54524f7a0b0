use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::domain::delivery::table::{DeliveryStep, TABLE, find};
use crate::domain::dispatch::{DispatchRules, Driver};
use crate::domain::ids::{DeliveryId, OfferId, UserId};
use crate::domain::order::tests::order;
use crate::domain::order::{Fulfilment, Order, Party, Status};
use crate::domain::time::Timestamp;

const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const ZONE: &str = "centre";

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn driver(capacity: u8) -> Driver {
    let mut driver = Driver::new(UserId::generate(), "Rui".to_owned(), true, START);
    (driver.capacity, driver.zones) = (capacity, vec![ZONE.to_owned()]);
    driver.set_online(START).unwrap();
    driver
}

fn begun() -> (OrderDelivery, Order) {
    let order = Order { status: Status::Accepted, ready_at: Some(at(600)), ..order(Fulfilment::Delivery) };
    let delivery =
        OrderDelivery::begin(DeliveryId::generate(), &order, ZONE.to_owned(), "1234".to_owned(), START);
    (delivery, order)
}

fn wave_of(delivery: &OrderDelivery, drivers: &[&Driver]) -> Wave {
    let candidate = |driver: &&Driver| Candidate { driver: driver.user, distance_m: 10, stacked: false };
    Wave {
        number: 1,
        attempt: delivery.delivery().attempt,
        candidates: drivers.iter().map(candidate).collect(),
        payout_minor: 300,
        is_cash: false,
    }
}

fn known(drivers: &[&Driver]) -> BTreeMap<UserId, Driver> {
    drivers.iter().map(|driver| (driver.user, (*driver).clone())).collect()
}

fn opened(delivery: &mut OrderDelivery, drivers: &[&Driver], rules: &DispatchRules) -> Vec<OfferId> {
    let wave = wave_of(delivery, drivers);
    let (known, asked) = (known(drivers), BTreeSet::new());
    delivery.open_wave(&wave, &known, &asked, OfferId::generate, rules, START);
    delivery.offers().iter().map(|offer| offer.id).collect()
}

#[test]
fn of_many_who_accept_one_wins_and_the_others_hear_that_it_is_taken() {
    let rules = DispatchRules { wave: vec![0], ..DispatchRules::default() };
    let (mut delivery, _) = begun();
    let (mut a, mut b) = (driver(1), driver(1));
    let offers = opened(&mut delivery, &[&a, &b], &rules);
    assert!(matches!(delivery.accept(offers[0], &mut a, None, at(1)), Ok(Accepted::Now(_))));
    assert_eq!(delivery.accept(offers[1], &mut b, None, at(1)), Err(AnswerRefusal::Taken));
    assert_eq!(delivery.accept(offers[0], &mut a, None, at(2)), Ok(Accepted::Already));
    assert_eq!((a.active, b.active), (1, 0));
    assert_eq!(delivery.delivery().driver, Some(a.user));
}

#[test]
fn an_offer_is_judged_by_the_time_of_the_store_swept_or_not() {
    let rules = DispatchRules::default();
    let (mut delivery, _) = begun();
    let mut a = driver(1);
    let offers = opened(&mut delivery, &[&a], &rules);
    assert_eq!(delivery.accept(offers[0], &mut a, None, at(45)), Err(AnswerRefusal::Expired));
    let in_grace = delivery.accept(offers[0], &mut a, Some(at(60)), at(45));
    assert!(matches!(in_grace, Ok(Accepted::Now(_))), "nobody could answer while the hub was away");
}

#[test]
fn whoever_declined_or_gave_it_back_is_not_asked_again() {
    let rules = DispatchRules::default();
    let (mut delivery, _) = begun();
    let (mut a, mut b) = (driver(1), driver(1));
    let offers = opened(&mut delivery, &[&a], &rules);
    delivery.decline(offers[0], &mut a, None, at(1)).unwrap();
    assert_eq!(delivery.delivery().status, DeliveryStatus::Unassigned);
    let second = opened(&mut delivery, &[&a, &b], &rules);
    assert_eq!(delivery.offer(second[1]).unwrap().driver, b.user);
    delivery.accept(second[1], &mut b, None, at(2)).unwrap();
    let user = Some(b.user);
    delivery.leave((Party::Driver, user), LeaveReason::Driver, true, Some(&mut b), at(3)).unwrap();
    assert_eq!((b.active, delivery.delivery().driver), (0, None));
    assert!(delivery.is_not_for(a.user) && delivery.is_not_for(b.user));
    assert_eq!(opened(&mut delivery, &[&a, &b], &rules).len(), 2, "nobody is left to ask");
}

#[test]
fn an_order_that_ends_holds_no_driver() {
    let rules = DispatchRules::default();
    for accepts in [false, true] {
        let (mut delivery, order) = begun();
        let mut a = driver(1);
        let offers = opened(&mut delivery, &[&a], &rules);
        if accepts {
            delivery.accept(offers[0], &mut a, None, at(1)).unwrap();
        }
        let order = Order { status: Status::Cancelled, ..order };
        delivery.follow_order(&order, Party::Admin, Some(&mut a), at(2));
        assert_eq!((a.active, delivery.delivery().status), (0, DeliveryStatus::Cancelled));
        assert!(!delivery.has_open_offers() && !delivery.delivery().counts);
    }
}

#[test]
fn what_is_under_way_is_taken_from_a_driver_by_no_machine() {
    for from in [DeliveryStatus::PickedUp, DeliveryStatus::AtDropoff] {
        for party in Party::ALL {
            assert_eq!(find(from, DeliveryStep::Leave, party), None, "{from} by {party}");
            assert_eq!(find(from, DeliveryStep::Cancel, party), None, "{from} by {party}");
        }
    }
    assert!(TABLE.iter().all(|row| !row.parties.is_empty()));
}

#[test]
fn a_step_of_a_driver_whose_order_ended_meanwhile_is_late() {
    let rules = DispatchRules::default();
    let (mut delivery, order) = begun();
    let mut a = driver(1);
    let offers = opened(&mut delivery, &[&a], &rules);
    delivery.accept(offers[0], &mut a, None, at(1)).unwrap();
    let ended = Order { status: Status::Cancelled, ..order.clone() };
    let mut cancelled = delivery.clone();
    cancelled.follow_order(&ended, Party::Admin, Some(&mut a.clone()), at(2));
    let by = (Party::Driver, a.user);
    let late = cancelled.report(&StepReport::of(Step::PickedUp), by, &ended, None, &rules, at(3));
    assert_eq!(late, Ok(StepOutcome::Late));
    delivery.report(&StepReport::of(Step::PickedUp), by, &order, Some(&mut a), &rules, at(4)).unwrap();
    let failed = Order { status: Status::Failed, ..order };
    delivery.follow_order(&failed, Party::Admin, Some(&mut a), at(5));
    let late = delivery.report(&StepReport::of(Step::Delivered), by, &failed, None, &rules, at(6));
    assert_eq!(late, Ok(StepOutcome::Late), "an operator gave up on a driver who was silent");
}

#[test]
fn whoever_takes_over_on_the_way_has_not_reached_the_customer_yet() {
    let rules = DispatchRules::default();
    let (mut delivery, order) = begun();
    let (mut a, mut b) = (driver(1), driver(1));
    let offers = opened(&mut delivery, &[&a], &rules);
    delivery.accept(offers[0], &mut a, None, at(1)).unwrap();
    for step in [Step::PickedUp, Step::AtDropoff] {
        let by = (Party::Driver, a.user);
        delivery.report(&StepReport::of(step), by, &order, Some(&mut a), &rules, at(2)).unwrap();
    }
    let effects = delivery.assign(&mut b, Some(&mut a), 300, OfferId::generate(), at(3)).unwrap();
    assert!(effects.contains(&DeliveryEffect::Left(a.user)));
    assert_eq!((a.active, b.active), (0, 1));
    let unreachable = StepReport {
        reason: Some(crate::domain::order::FailureReason::CustomerUnreachable),
        ..StepReport::of(Step::Failed)
    };
    let by = (Party::Driver, b.user);
    let early = delivery.report(&unreachable, by, &order, Some(&mut b), &rules, at(900));
    assert!(matches!(early, Err(StepRefusal::TooEarly { .. })), "{early:?}");
}

#[test]
fn the_documented_table_of_deliveries_is_this_one() {
    let docs = include_str!("../../../docs/deliveries.md");
    for text in [super::table::to_markdown(), super::table::to_mermaid()] {
        assert!(docs.contains(&text), "docs/deliveries.md must contain this:\n{text}");
    }
}
