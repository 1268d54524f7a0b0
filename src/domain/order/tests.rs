use std::time::Duration;

use super::*;
use crate::domain::business::{Business, BusinessState, MenuItem, sample};
use crate::domain::delivery::{DeliveredBy, DeliveryStatus};
use crate::domain::event::EventType;
use crate::domain::ids::{BusinessId, EventId, NotificationId, OrderId, UserId};
use crate::domain::time::Timestamp;

pub(crate) const SOON: Timestamp = Timestamp::from_unix_seconds(1_000);

fn business() -> Business {
    sample::business(SOON)
}

fn draft(fulfilment: Fulfilment) -> Draft {
    Draft {
        id: OrderId::generate(),
        business_id: BusinessId::generate(),
        customer_id: UserId::generate(),
        placed_by: Party::Customer,
        customer_name: "Zoë".to_owned(),
        phone: None,
        address: None,
        fulfilment,
        items: vec![DraftItem { sku: "soup".to_owned(), qty: 2 }],
        table: None,
        notes: None,
        payment: PaymentMethod::Cash,
        expected_total_minor: None,
    }
}

fn placed(draft: Draft, business: &Business) -> Result<Order, PlaceRefusal> {
    place(draft, Some(business), &[soup(250)], SOON).map(|new| new.order)
}

fn soup(price_minor: i64) -> MenuItem {
    let (sku, name) = ("soup".to_owned(), "Soup".to_owned());
    MenuItem { sku, name, category: None, price_minor, available: true }
}

pub(crate) fn order(fulfilment: Fulfilment) -> Order {
    placed(draft(fulfilment), &business()).unwrap()
}

fn to(order: &Order, to: Status) -> MoveRequest {
    MoveRequest { party: Party::Member, to, version: order.version, prep_minutes: None, delivered_by: None }
}

/// Moves an order as a member of `business`.
fn go(order: &mut Order, status: Status, business: &Business) {
    let request = to(order, status);
    order.apply(request, Some("because"), Some(business.acceptance(SOON)), SOON).unwrap();
}

#[test]
fn an_order_that_costs_nothing_does_not_wait_for_a_payment() {
    for (price, status, payment) in
        [(250, Status::PendingPayment, PaymentStatus::Pending), (0, Status::Placed, PaymentStatus::Paid)]
    {
        let draft = Draft { payment: PaymentMethod::Online, ..draft(Fulfilment::Pickup) };
        let new = place(draft, Some(&business()), &[soup(price)], SOON).unwrap();
        assert_eq!((new.order.status, new.order.payment_status), (status, payment), "{price}");
        assert_eq!(new.follows.contains(&FollowUp::StartAlert), price == 0);
    }
}

#[test]
fn busy_minutes_are_added_to_the_default_and_never_to_what_a_person_named() {
    let busy = Business { state: BusinessState::Busy { extra_minutes: 15 }, ..business() };
    for (named, at, minutes) in [(None, &business(), 20), (None, &busy, 35), (Some(10), &busy, 10)] {
        let mut order = order(Fulfilment::Pickup);
        let request = MoveRequest { prep_minutes: named, ..to(&order, Status::Accepted) };
        order.apply(request, None, Some(at.acceptance(SOON)), SOON).unwrap();
        let ready_at = SOON.plus(Duration::from_secs(60 * u64::from(minutes)));
        assert_eq!((order.prep_minutes, order.ready_at), (Some(minutes), Some(ready_at)), "{named:?}");
    }
}

#[test]
fn who_brings_a_delivery_is_fixed_when_it_is_accepted() {
    let by_drivers = Business { delivered_by: DeliveredBy::Drivers, ..business() };
    for (named, expected) in
        [(None, DeliveredBy::Drivers), (Some(DeliveredBy::Business), DeliveredBy::Business)]
    {
        let mut order = order(Fulfilment::Delivery);
        assert_eq!(order.delivered_by, None);
        let request = MoveRequest { delivered_by: named, ..to(&order, Status::Accepted) };
        order.apply(request, None, Some(by_drivers.acceptance(SOON)), SOON).unwrap();
        for status in [Status::Preparing, Status::Ready] {
            go(&mut order, status, &business());
        }
        assert_eq!(order.delivered_by, Some(expected));
        let request = to(&order, Status::PickedUp);
        let moved = order.apply(request, None, None, SOON);
        assert_eq!(moved == Err(MoveRefusal::NotTheirMove), expected == DeliveredBy::Drivers, "{moved:?}");
    }
    let mut fetched = order(Fulfilment::Pickup);
    go(&mut fetched, Status::Accepted, &by_drivers);
    assert_eq!(fetched.delivered_by, None);
}

#[test]
fn a_delivery_and_a_payment_count_their_own_changes() {
    let counts = |order: &Order| (order.version, order.delivery_version, order.payment_version);
    let mut order = order(Fulfilment::Delivery);
    for (status, counted, delivery) in [
        (Status::Accepted, (2, 1, 1), "unassigned"),
        (Status::Preparing, (3, 1, 1), "unassigned"),
        (Status::Ready, (4, 1, 1), "unassigned"),
        (Status::PickedUp, (5, 2, 1), "picked_up"),
        (Status::Delivered, (6, 3, 2), "delivered"),
    ] {
        go(&mut order, status, &business());
        let status = order.delivery_status().map(DeliveryStatus::as_str);
        assert_eq!((counts(&order), status), (counted, Some(delivery)));
    }
    assert_eq!(order.ended_reason, None);
}

#[test]
fn an_order_that_ends_badly_says_why() {
    for (status, party, code) in [
        (Status::Rejected, Party::Member, EndedCode::Merchant),
        (Status::Cancelled, Party::Customer, EndedCode::Customer),
        (Status::Cancelled, Party::Admin, EndedCode::Operator),
        (Status::Cancelled, Party::System, EndedCode::Unanswered),
    ] {
        let mut order = order(Fulfilment::Delivery);
        let request = MoveRequest { party, ..to(&order, status) };
        order.apply(request, Some("no oven"), None, SOON).unwrap();
        let reason = EndedReason { code, text: Some("no oven".to_owned()) };
        assert_eq!(order.ended_reason, Some(reason), "{party:?}");
        assert_eq!(order.delivery_status(), Some(DeliveryStatus::Cancelled));
    }
}

#[test]
fn a_move_that_nobody_makes_is_refused_before_its_version_is_looked_at() {
    let mut order = order(Fulfilment::Pickup);
    let request = MoveRequest { version: 7, ..to(&order, Status::PickedUp) };
    let refused = order.apply(request, None, None, SOON);
    let allowed = vec![Status::Accepted, Status::Rejected, Status::Cancelled];
    assert_eq!(refused, Err(MoveRefusal::Forbidden { from: Status::Placed, allowed }));
    let request = MoveRequest { version: 7, ..to(&order, Status::Accepted) };
    let refused = order.apply(request, None, None, SOON);
    assert_eq!(refused, Err(MoveRefusal::Stale { current: 1, status: Status::Placed }));
}

#[test]
fn an_order_costs_what_the_customer_was_told_or_is_not_placed() {
    let business = business();
    let told =
        |expected| placed(Draft { expected_total_minor: expected, ..draft(Fulfilment::Pickup) }, &business);
    assert_eq!(told(None).unwrap().total_minor, 500);
    assert_eq!(told(Some(500)).unwrap().total_minor, 500);
    let changed = PlaceRefusal::PriceChanged { total_minor: 500, currency: business.currency };
    assert_eq!(told(Some(499)), Err(changed));
}

#[test]
fn a_guest_names_a_table_where_there_are_tables() {
    let with_tables = Business { tables: 4, ..business() };
    let seated = |table, at: &Business| placed(Draft { table, ..draft(Fulfilment::DineIn) }, at).map(drop);
    assert_eq!(seated(None, &business()), Ok(()));
    assert_eq!(seated(None, &with_tables), Err(PlaceRefusal::TableMissing));
    assert_eq!(seated(Some(4), &with_tables), Ok(()));
    assert_eq!(seated(Some(5), &with_tables), Err(PlaceRefusal::NoSuchTable));
}

fn ids() -> AnnouncementIds {
    AnnouncementIds {
        notification: NotificationId::generate(),
        in_business: EventId::generate(),
        in_order: EventId::generate(),
    }
}

/// An order that stands where a row of the table begins, on a way the row holds for, and in its time.
fn before(row: &table::Row, payment: PaymentMethod) -> Order {
    let mut order = order(Fulfilment::Delivery);
    order.status = row.from;
    order.payment_method = payment;
    order.payment_status = match payment {
        PaymentMethod::Cash => PaymentStatus::Pending,
        PaymentMethod::Online => PaymentStatus::Paid,
    };
    order.delivered_by = Some(match row.ways[0] {
        Way::DriverDelivery => DeliveredBy::Drivers,
        Way::OwnDelivery | Way::Pickup | Way::DineIn => DeliveredBy::Business,
    });
    if !row.ways.contains(&order.way()) {
        order.fulfilment = Fulfilment::Pickup;
    }
    if row.when == When::CustomerIsLate {
        order.ready_at = Some(SOON.minus(table::NO_SHOW_AFTER));
    }
    order
}

#[test]
fn everything_that_follows_a_transition_happens() {
    for row in table::TABLE {
        for payment in PaymentMethod::ALL {
            let mut moved = before(row, payment);
            let request = MoveRequest { party: row.parties[0], ..to(&moved, row.to) };
            let Ok(Moved::Changed(follows)) = moved.apply(request, Some("damaged"), None, SOON) else {
                panic!("{row:?}");
            };
            let follows_from = |follow| row.follows.contains(&follow);
            let expected = match payment {
                PaymentMethod::Online if follows_from(FollowUp::Refund) => PaymentStatus::RefundDue,
                PaymentMethod::Online if follows_from(FollowUp::RefundFault) => PaymentStatus::RefundDue,
                PaymentMethod::Online => PaymentStatus::Paid,
                PaymentMethod::Cash if follows_from(FollowUp::TakeCash) => PaymentStatus::Paid,
                PaymentMethod::Cash if follows_from(FollowUp::LeaveCash) => PaymentStatus::Uncollected,
                PaymentMethod::Cash => PaymentStatus::Pending,
            };
            assert_eq!(moved.payment_status, expected, "{row:?}");
            let change =
                OrderChange { from: Some(row.from), party: row.parties[0], follows, at: SOON, order: moved };
            let told = change.announce(ids());
            assert_eq!(told.notification.is_some(), follows_from(FollowUp::StartAlert), "{row:?}");
            assert_eq!(told.events.len(), 2, "{row:?}");
            for event in &told.events {
                let rings = event.payload.event_type().rings();
                assert_eq!(rings, follows_from(FollowUp::StartAlert), "{row:?}");
                assert!(!(rings && follows_from(FollowUp::StopAlert)), "{row:?}");
            }
        }
    }
}

#[test]
fn what_was_skipped_on_the_way_stands_in_the_timeline_with_versions_of_its_own() {
    use Status::{Accepted, PickedUp, Preparing, Ready};
    for (from, passed) in [(Accepted, vec![Preparing, Ready]), (Preparing, vec![Ready]), (Ready, vec![])] {
        let mut order = order(Fulfilment::Delivery);
        (order.status, order.delivered_by) = (from, Some(DeliveredBy::Drivers));
        let request = MoveRequest { party: Party::Driver, ..to(&order, PickedUp) };
        let Ok(Moved::Changed(follows)) = order.apply(request, None, None, SOON) else { panic!("{from}") };
        let change = OrderChange { order, from: Some(from), party: Party::Driver, follows, at: SOON };
        let steps: Vec<OrderStep> = change.steps().collect();
        let froms = [vec![from], passed.clone()].concat();
        let tos = [passed, vec![PickedUp]].concat();
        let expected = froms.into_iter().zip(tos).zip(2..);
        let expected = expected
            .map(|((from, to), version)| OrderStep { from: Some(from), to, version })
            .collect::<Vec<_>>();
        assert_eq!(steps, expected);
        assert_eq!(change.order.version, steps.last().unwrap().version);
    }
}

#[test]
fn a_failure_pays_back_what_was_not_the_customers_fault() {
    for reason in FailureReason::ALL {
        for row in table::TABLE.iter().filter(|row| row.to == Status::Failed && row.from != Status::Delivered)
        {
            let mut failed = before(row, PaymentMethod::Online);
            let request = MoveRequest { party: Party::Admin, ..to(&failed, Status::Failed) };
            failed.apply(request, Some(reason.as_str()), None, SOON).unwrap();
            let back = failed.payment_status == PaymentStatus::RefundDue;
            assert_eq!(
                back,
                matches!(reason, FailureReason::Damaged | FailureReason::DriverFault),
                "{reason}"
            );
        }
    }
}

#[test]
fn a_pickup_is_a_no_show_from_half_an_hour_after_it_was_ready() {
    let mut waiting = order(Fulfilment::Pickup);
    for status in [Status::Accepted, Status::Ready] {
        go(&mut waiting, status, &business());
    }
    let late = waiting.ready_at.unwrap().plus(table::NO_SHOW_AFTER);
    let fail = |now| {
        let mut order = waiting.clone();
        order.apply(to(&order, Status::Failed), Some("no_show"), None, now).map(|_| order.payment_status)
    };
    let allowed = vec![Status::Preparing, Status::Delivered, Status::Cancelled];
    let early = MoveRefusal::Forbidden { from: Status::Ready, allowed };
    assert_eq!(fail(late.minus(Duration::from_micros(1))), Err(early));
    assert_eq!(fail(late), Ok(PaymentStatus::Uncollected));
}

#[test]
fn operators_correct_a_delivered_order_for_a_day_and_its_money_stays() {
    let mut done = order(Fulfilment::Delivery);
    for status in [Status::Accepted, Status::Ready, Status::PickedUp, Status::Delivered] {
        go(&mut done, status, &business());
    }
    let correct = |party, status, now| {
        let mut order = done.clone();
        let request = MoveRequest { party, ..to(&order, status) };
        order.apply(request, Some("damaged"), None, now).map(|_| order.payment_status)
    };
    let over = SOON.plus(table::CORRECTION_WITHIN);
    let late = MoveRefusal::Forbidden { from: Status::Delivered, allowed: vec![] };
    for status in [Status::PickedUp, Status::Failed] {
        let in_time = over.minus(Duration::from_micros(1));
        assert_eq!(correct(Party::Admin, status, in_time), Ok(PaymentStatus::Paid));
        assert_eq!(correct(Party::Admin, status, over), Err(late.clone()));
        assert!(correct(Party::Member, status, in_time).is_err());
    }
}

#[test]
fn a_business_hears_of_an_order_when_it_can_answer_it() {
    let soup = |draft: Draft| {
        let menu = MenuItem {
            sku: "soup".to_owned(),
            name: "Soup".to_owned(),
            category: None,
            price_minor: 250,
            available: true,
        };
        place(draft, Some(&business()), &[menu], SOON).unwrap()
    };
    for (payment, told) in [(PaymentMethod::Cash, 2), (PaymentMethod::Online, 0)] {
        let NewOrder { order, placed_by, follows, .. } = soup(Draft { payment, ..draft(Fulfilment::Pickup) });
        let change = OrderChange { order, from: None, party: placed_by, follows, at: SOON };
        let announcement = change.announce(ids());
        assert_eq!(announcement.events.len(), told);
        assert_eq!(announcement.notification.is_some(), told > 0);
        assert!(
            announcement.events.iter().all(|event| event.payload.event_type() == EventType::OrderCreated)
        );
    }
}
