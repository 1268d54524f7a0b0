use std::time::Duration;

use super::deadlines::{
    Beginning, Consequence, DEADLINES, DeadlineRow, Sample, deadlines_to_markdown, deadlines_to_mermaid,
};
use super::*;
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::table::{NO_SHOW_AFTER, TABLE};
use crate::domain::order::{EndedCode, FollowUp, Fulfilment, MoveRequest, PaymentMethod, PaymentStatus, Way};

mod attention;
mod deadlines;
mod ladder;
mod outage;
mod search;
mod unpaid;

const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn order(status: Status) -> Order {
    Order {
        id: OrderId::generate(),
        order_number: 1,
        business_id: BusinessId::generate(),
        customer_id: UserId::generate(),
        customer_name: "Ana".to_owned(),
        phone: None,
        address: None,
        fulfilment: Fulfilment::Pickup,
        status,
        payment_method: PaymentMethod::Cash,
        payment_status: PaymentStatus::Pending,
        items: Vec::new(),
        total_minor: 100,
        currency: Currency::stored("EUR").unwrap(),
        notes: None,
        table: None,
        prep_minutes: None,
        ready_at: None,
        delivered_by: None,
        ended_reason: None,
        placed_by: Party::Customer,
        placed_at: None,
        answered_at: None,
        deadline_at: None,
        version: 1,
        delivery_version: 1,
        payment_version: 1,
        delivery: None,
        edits: 0,
        created_at: START,
        updated_at: START,
    }
}

fn facts(clocks: &Clocks, now: Timestamp) -> Facts<'_> {
    Facts {
        now,
        clocks,
        unpaid: UnpaidFacts::Nothing,
        delivery: None,
        delivered: false,
        acted_at: None,
        driver_acted_at: None,
        muted: false,
        called_at: None,
        mailed_at: None,
        grace: None,
        cancel_held: false,
        saga_terms: SagaTerms::default(),
        terms: None,
    }
}

/// Everything that happens to an order nobody answers, each with its second.
fn unanswered(delivered: bool) -> Vec<(u64, SagaEffect)> {
    let clocks = Clocks::default();
    let mut order = order(Status::Placed);
    let mut saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
    let mut seen = Vec::new();
    while let Some(due) = saga.next_due() {
        let effects = saga.fire(&mut order, &Facts { delivered, ..facts(&clocks, due) });
        seen.extend(effects.into_iter().map(|effect| (due.since(START).as_secs(), effect)));
        assert!(saga.next_due().is_none_or(|next| next > due), "{saga:?}");
    }
    seen
}

/// What a placed order does until it is over: each effect with its second.
fn life(
    mut order: Order,
    terms: SagaTerms,
    change: impl Fn(Facts<'static>) -> Facts<'static>,
) -> (Order, Vec<(u64, SagaEffect)>) {
    let clocks: &'static Clocks = Box::leak(Box::default());
    let mut saga = OrderSaga::begin(&mut order, terms, clocks, START);
    let mut seen = Vec::new();
    while let Some(due) = saga.next_due() {
        assert!(due <= START.plus(clocks.forgotten), "{saga:?}");
        let effects = saga.fire(&mut order, &change(facts(clocks, due)));
        seen.extend(effects.into_iter().map(|effect| (due.since(START).as_secs(), effect)));
        assert!(saga.next_due().is_none_or(|next| next > due), "{saga:?}");
        // As it is read back from the store.
        saga = serde_json::from_str(&serde_json::to_string(&saga).unwrap()).unwrap();
    }
    (order, seen)
}

fn alarms(seen: &[(u64, SagaEffect)]) -> Vec<(u64, OpsAlarm)> {
    let alarm = |(at, effect): &(u64, SagaEffect)| match effect {
        SagaEffect::Alarm(alarm) => Some((*at, *alarm)),
        _ => None,
    };
    seen.iter().filter_map(alarm).collect()
}

/// A saga of an order that a member accepted at the start.
fn accepted(order: &mut Order, clocks: &Clocks) -> OrderSaga {
    let mut saga = OrderSaga::begin(order, SagaTerms::default(), clocks, START);
    go(order, &mut saga, Status::Accepted, Party::Member, clocks, START);
    saga
}

fn go(order: &mut Order, saga: &mut OrderSaga, to: Status, party: Party, clocks: &Clocks, now: Timestamp) {
    let from = order.status;
    let request =
        MoveRequest { party, to, version: order.version, prep_minutes: Some(20), delivered_by: None };
    order.apply(request, Some("a reason"), None, now).unwrap();
    saga.moved(order, from, party, SagaTerms::default(), clocks, now);
}

#[test]
fn an_order_that_does_not_move_on_is_told_to_devices_then_to_operators_and_ends_forgotten() {
    for (fulfilment, ends) in [(Fulfilment::Pickup, true), (Fulfilment::Delivery, false)] {
        let clocks = Clocks::default();
        let mut order = Order { fulfilment, ..order(Status::Placed) };
        let mut saga = accepted(&mut order, &clocks);
        let ready_at = order.ready_at.unwrap();
        assert_eq!(saga.next_due(), Some(ready_at.plus(clocks.late)));
        assert_eq!(saga.fire(&mut order, &facts(&clocks, ready_at.plus(clocks.late))), [SagaEffect::Remind]);
        let late = ready_at.plus(clocks.very_late);
        assert_eq!(saga.fire(&mut order, &facts(&clocks, late)), [SagaEffect::Alarm(OpsAlarm::OrderLate)]);
        go(&mut order, &mut saga, Status::Ready, Party::Member, &clocks, late);
        let waits = late.plus(clocks.handover);
        assert_eq!(saga.next_due(), Some(waits));
        assert_eq!(saga.fire(&mut order, &facts(&clocks, waits)), [SagaEffect::Alarm(OpsAlarm::OrderLate)]);
        let forgotten = late.plus(clocks.forgotten);
        assert_eq!(
            (saga.next_due(), order.deadline_at),
            if ends { (Some(forgotten), Some(forgotten)) } else { (None, None) }
        );
        if ends {
            saga.fire(&mut order, &facts(&clocks, forgotten));
            assert_eq!((order.status, order.payment_status), (Status::Delivered, PaymentStatus::Uncollected));
            assert_eq!(saga.next_due(), None);
        }
    }
}

#[test]
fn what_is_made_anew_late_has_a_clock_of_its_own() {
    let clocks = Clocks::default();
    let mut order = Order { fulfilment: Fulfilment::Delivery, ..order(Status::Placed) };
    let mut saga = accepted(&mut order, &clocks);
    let late = order.ready_at.unwrap().plus(clocks.very_late);
    go(&mut order, &mut saga, Status::Ready, Party::Member, &clocks, late);
    go(&mut order, &mut saga, Status::Preparing, Party::Member, &clocks, late);
    assert_eq!(saga.next_due(), Some(late.plus(clocks.very_late)), "no reminder at once, operators later");
}

#[test]
fn an_order_that_another_release_placed_or_moved_is_taken_over_from_where_it_stands() {
    let clocks = Clocks::default();
    let mut old = order(Status::Placed);
    let mut saga = OrderSaga::default();
    saga.fire(&mut old, &facts(&clocks, at(100)));
    assert_eq!(old.deadline_at, Some(at(580)), "its time begins now");
    let request = MoveRequest {
        party: Party::Member,
        to: Status::Accepted,
        version: old.version,
        prep_minutes: Some(20),
        delivered_by: None,
    };
    old.apply(request, None, None, at(110)).unwrap();
    let effects = saga.fire(&mut old, &facts(&clocks, saga.next_due().unwrap()));
    assert_eq!(effects, [], "an answered order rings no more");
    assert_eq!(saga.next_due(), Some(old.ready_at.unwrap().plus(clocks.late)));
}

#[test]
fn the_next_deadline_has_a_kind() {
    let clocks = Clocks::default();
    let begun = |status| {
        let mut order = order(status);
        OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START).next_kind()
    };
    assert_eq!(begun(Status::PendingPayment), Some(DeadlineKind::Unpaid));
    assert_eq!(begun(Status::Placed), Some(DeadlineKind::Alert));
    assert_eq!(begun(Status::Accepted), Some(DeadlineKind::Progress));
    assert_eq!(begun(Status::Cancelled), None);
    let terms = SagaTerms { accept_s: Some(120), ring_every_s: Some(600), auto_accept: false };
    let mut order = order(Status::Placed);
    let mut saga = OrderSaga::begin(&mut order, terms, &clocks, START);
    saga.fire(&mut order, &facts(&clocks, at(61)));
    assert_eq!(saga.next_kind(), Some(DeadlineKind::Accept));
}

#[test]
fn a_saga_reads_back_from_what_is_stored_and_one_of_a_newer_release_does_not() {
    let clocks = Clocks::default();
    let mut order = order(Status::Placed);
    let saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
    let stored = serde_json::to_string(&saga).unwrap();
    assert!(stored.len() < 1024, "{}", stored.len());
    assert_eq!(serde_json::from_str::<OrderSaga>(&stored).unwrap(), saga);
    assert_eq!(order.deadline_at, Some(at(480)));
    assert!(serde_json::from_str::<OrderSaga>(r#"{"version":1,"dispatch":{}}"#).is_err());
}
