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
        edits: 0,
        created_at: START,
        updated_at: START,
    }
}

fn facts(clocks: &Clocks, now: Timestamp) -> Facts<'_> {
    Facts {
        now,
        clocks,
        delivered: false,
        acted_at: None,
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

#[test]
fn an_order_that_nobody_answers_climbs_the_ladder_and_is_cancelled_at_its_deadline() {
    let seen = unanswered(false);
    let uses: Vec<(u64, Channel, Rung)> = seen
        .iter()
        .filter_map(|(at, effect)| match effect {
            SagaEffect::Use(channel, rung) => Some((*at, *channel, *rung)),
            _ => None,
        })
        .collect();
    assert_eq!(
        uses,
        [
            (5, Channel::Webhook, Rung::Undelivered),
            (20, Channel::Mail, Rung::Mail),
            (60, Channel::Webhook, Rung::Escalate),
            (60, Channel::Mail, Rung::Escalate),
            (60, Channel::Telephone, Rung::Call),
        ]
    );
    let rings: Vec<u64> =
        seen.iter().filter(|(_, effect)| matches!(effect, SagaEffect::Ring(_))).map(|(at, _)| *at).collect();
    let of_undelivered = std::iter::once(5);
    assert_eq!(rings, of_undelivered.chain((1..32).map(|n| n * 15)).collect::<Vec<_>>());
    assert!(matches!(seen.last(), Some((480, SagaEffect::Unanswered(Unanswered { counts: true, .. })))));
}

#[test]
fn an_order_that_a_device_has_is_not_told_as_undelivered_and_people_are_told_that_it_is_ignored() {
    let seen = unanswered(true);
    let uses = seen.iter().filter_map(|(at, effect)| match effect {
        SagaEffect::Use(channel, rung) => Some((*at, *channel, *rung)),
        _ => None,
    });
    let expected =
        [Channel::Webhook, Channel::Mail, Channel::Telephone].map(|used| (60, used, Rung::Escalate));
    assert_eq!(uses.collect::<Vec<_>>(), expected);
    let rings = seen.iter().filter(|(_, effect)| matches!(effect, SagaEffect::Ring(_)));
    assert_eq!(rings.count(), 31);
}

#[test]
fn operators_are_told_of_an_order_that_ran_out_and_it_says_so_itself() {
    let clocks = Clocks::default();
    let mut order = order(Status::Placed);
    let mut saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
    let effects = saga.fire(&mut order, &facts(&clocks, at(480)));
    let [SagaEffect::Moved { from: Status::Placed, .. }, SagaEffect::Alarm(OpsAlarm::OrderUnanswered), last] =
        effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(last, SagaEffect::Unanswered(Unanswered { customer: order.customer_id, counts: true }));
    assert_eq!(order.status, Status::Cancelled);
    assert_eq!(order.ended_reason.map(|reason| reason.code), Some(EndedCode::Unanswered));
    assert_eq!((saga.next_due(), order.deadline_at), (None, None));
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

#[test]
fn orders_of_members_and_of_guests_ring_use_no_channel_and_are_not_cancelled() {
    const FORGOTTEN: u64 = 12 * 3600;
    for (placed_by, fulfilment, told) in [
        (Party::Member, Fulfilment::Pickup, vec![]),
        (Party::Member, Fulfilment::DineIn, vec![]),
        (Party::Member, Fulfilment::Delivery, vec![(FORGOTTEN, OpsAlarm::OrderLate)]),
        (Party::Customer, Fulfilment::DineIn, vec![(480, OpsAlarm::OrderUnanswered)]),
    ] {
        let placed = Order { placed_by, fulfilment, ..order(Status::Placed) };
        let (ended, seen) = life(placed, SagaTerms::default(), |facts| facts);
        assert_eq!(alarms(&seen), told);
        let rings = seen.iter().filter(|(_, effect)| matches!(effect, SagaEffect::Ring(_))).count();
        assert!(rings as u64 >= FORGOTTEN / 15 - 1);
        let is_use = |effect: &SagaEffect| matches!(effect, SagaEffect::Use(..) | SagaEffect::Unanswered(_));
        assert!(!seen.iter().any(|(_, effect)| is_use(effect)));
        let waits = fulfilment == Fulfilment::Delivery;
        assert_eq!(ended.status, if waits { Status::Placed } else { Status::Delivered });
        assert_eq!(
            ended.payment_status,
            if waits { PaymentStatus::Pending } else { PaymentStatus::Uncollected }
        );
    }
}

#[test]
fn a_business_has_its_own_times() {
    let terms = SagaTerms { accept_s: Some(130), ring_every_s: Some(60), auto_accept: false };
    let (ended, seen) = life(order(Status::Placed), terms, |facts| Facts { delivered: true, ..facts });
    let rings = seen.iter().filter(|(_, effect)| matches!(effect, SagaEffect::Ring(_)));
    assert_eq!(rings.map(|(at, _)| *at).collect::<Vec<_>>(), [60, 120]);
    assert_eq!((seen.last().unwrap().0, ended.status), (130, Status::Cancelled));
}

#[test]
fn a_muted_business_gets_neither_calls_nor_mail_and_its_devices_ring() {
    let (_, seen) = life(order(Status::Placed), SagaTerms::default(), |facts| Facts { muted: true, ..facts });
    let uses = seen.iter().filter_map(|(at, effect)| match effect {
        SagaEffect::Use(channel, _) => Some((*at, *channel)),
        _ => None,
    });
    assert_eq!(uses.collect::<Vec<_>>(), [(5, Channel::Webhook), (60, Channel::Webhook)]);
    assert_eq!(seen.iter().filter(|(_, effect)| matches!(effect, SagaEffect::Ring(_))).count(), 32);
}

#[test]
fn a_call_waits_for_the_last_one_and_is_left_out_if_that_named_the_order() {
    let calls = |called: u64, placed: u64| {
        let clocks = Clocks::default();
        let mut order = order(Status::Placed);
        let mut saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, at(placed));
        let mut calls = Vec::new();
        while let Some(due) = saga.next_due() {
            let facts =
                Facts { called_at: Some(at(called)), mailed_at: Some(at(called)), ..facts(&clocks, due) };
            let effects = saga.fire(&mut order, &facts);
            let is_call = |effect: &SagaEffect| matches!(effect, SagaEffect::Use(Channel::Telephone, _));
            calls.extend(effects.iter().any(is_call).then(|| due.since(START).as_secs()));
        }
        calls
    };
    assert_eq!(calls(0, 200)[..1], [260], "the last call was long ago");
    assert_eq!(calls(190, 200)[..1], [310], "the last call was just before the order");
    assert_eq!(calls(201, 200), Vec::<u64>::new(), "the order was named");
}

#[test]
fn an_order_is_accepted_after_the_first_acknowledgement_and_rings_until_somebody_acts() {
    let clocks = Clocks::default();
    let terms = SagaTerms { auto_accept: true, ..SagaTerms::default() };
    let mut order = order(Status::Placed);
    let mut saga = OrderSaga::begin(&mut order, terms, &clocks, START);
    assert!(saga.accepts_by_itself());
    let accepts = Facts { delivered: true, ..facts(&clocks, at(3)) };
    assert!(matches!(saga.fire(&mut order, &accepts)[..], [SagaEffect::Moved { from: Status::Placed, .. }]));
    assert_eq!((order.status, order.answered_at), (Status::Accepted, Some(at(3))));
    for n in 1..=100 {
        let due = saga.next_due().unwrap();
        assert_eq!(due, at(3 + 15 * n));
        let ring = Ring { kind: RingKind::Placed, ring: n as u32, deadline_at: None };
        let rings = saga.fire(&mut order, &facts(&clocks, due));
        assert_eq!(
            rings.into_iter().find(|effect| matches!(effect, SagaEffect::Ring(_))),
            Some(SagaEffect::Ring(ring))
        );
    }
    let acted = Facts { acted_at: Some(at(2)), ..facts(&clocks, saga.next_due().unwrap()) };
    assert_eq!(saga.fire(&mut order, &acted), [], "whoever acted saw it, if before it was accepted");
    assert!(saga.next_due().unwrap() > at(20 * 60 - 1), "only the clocks of an accepted order go on");
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
fn an_order_that_others_cancel_rings_for_five_minutes_or_until_somebody_acts() {
    for (party, rings) in [(Party::Admin, 20), (Party::System, 20), (Party::Member, 0)] {
        for acted in [None, Some(at(31))] {
            let clocks = Clocks::default();
            let mut order = order(Status::Placed);
            let mut saga = accepted(&mut order, &clocks);
            go(&mut order, &mut saga, Status::Cancelled, party, &clocks, at(30));
            let mut seen = Vec::new();
            while let Some(due) = saga.next_due() {
                let facts = Facts { acted_at: acted.filter(|acted| *acted <= due), ..facts(&clocks, due) };
                seen.extend(saga.fire(&mut order, &facts));
            }
            assert!(seen.iter().all(|effect| {
                matches!(effect, SagaEffect::Ring(Ring { kind: RingKind::Cancelled, .. }))
            }));
            assert_eq!(seen.len(), if acted.is_some() { rings.min(1) } else { rings }, "{party}");
        }
    }
}

#[test]
fn an_order_that_others_change_rings_and_its_new_time_counts() {
    for (party, rings) in [(Party::Admin, true), (Party::Customer, true), (Party::Member, false)] {
        let clocks = Clocks::default();
        let mut order = order(Status::Placed);
        let mut saga = accepted(&mut order, &clocks);
        order.ready_at = Some(at(3600));
        saga.changed(&order, party, &clocks, at(30));
        let due = if rings { at(30) } else { at(3600).plus(clocks.late) };
        assert_eq!(saga.next_due(), Some(due));
        let effects = saga.fire(&mut order, &facts(&clocks, due));
        let ring = SagaEffect::Ring(Ring { kind: RingKind::Changed, ring: 1, deadline_at: None });
        assert_eq!(effects, [if rings { ring } else { SagaEffect::Remind }]);
    }
}

#[test]
fn rings_after_an_answer_are_those_the_table_of_transitions_names() {
    for row in TABLE.iter().filter(|row| !matches!(row.from, Status::Delivered)) {
        for party in row.parties {
            let clocks = Clocks::default();
            let mut moved = order(row.from);
            moved.ready_at = Some(START);
            moved.delivered_by = Some(match row.ways[0] {
                Way::DriverDelivery => DeliveredBy::Drivers,
                _ => DeliveredBy::Business,
            });
            if !row.ways.contains(&Way::Pickup) {
                moved.fulfilment = Fulfilment::Delivery;
            }
            let mut saga = OrderSaga::begin(&mut moved, SagaTerms::default(), &clocks, START);
            let late = START.plus(NO_SHOW_AFTER);
            go(&mut moved, &mut saga, row.to, *party, &clocks, late);
            let rings = saga.attention.is_some();
            let named =
                row.follows.iter().any(|follow| matches!(follow, FollowUp::RingOn | FollowUp::RingEnd));
            assert_eq!(rings, named, "{row:?} by {party}");
            assert_eq!(saga.alert.is_some(), row.follows.contains(&FollowUp::StartAlert));
        }
    }
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

/// The hub was away from `from` on and came back at `until`.
fn back(until: u64, clocks: &Clocks) -> Option<Grace> {
    Some(Grace { outage_ended_at: at(until), until: at(until).plus(clocks.grace) })
}

#[test]
fn an_outage_gives_everybody_two_minutes_and_what_runs_out_in_them_does_not_count() {
    let clocks = Clocks::default();
    let mut order = order(Status::Placed);
    let mut saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
    let grace = back(600, &clocks);
    let effects = saga.fire(&mut order, &Facts { grace, ..facts(&clocks, at(600)) });
    let ring = Ring { kind: RingKind::Placed, ring: 1, deadline_at: Some(at(720)) };
    assert_eq!(effects, [SagaEffect::Ring(ring)], "it rings anew, and nobody is called at once");
    assert_eq!(order.deadline_at, Some(at(720)));
    let mut calls = Vec::new();
    while order.status == Status::Placed {
        let due = saga.next_due().unwrap();
        for effect in saga.fire(&mut order, &Facts { grace, ..facts(&clocks, due) }) {
            match effect {
                SagaEffect::Use(channel, _) => calls.push((due.since(START).as_secs(), channel)),
                SagaEffect::Unanswered(unanswered) => assert!(!unanswered.counts),
                _ => {}
            }
        }
    }
    assert_eq!(calls[..2], [(605, Channel::Webhook), (620, Channel::Mail)], "the ladder begins anew");
    assert_eq!(order.updated_at, at(720));
}

#[test]
fn an_order_placed_after_the_outage_or_due_after_the_grace_keeps_its_deadline() {
    let clocks = Clocks::default();
    for (placed, counts) in [(601, true), (0, true)] {
        let mut order = order(Status::Placed);
        let mut saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, at(placed));
        // The other one was placed before an outage that had ended long before its deadline.
        let grace = if placed > 0 { back(600, &clocks) } else { back(200, &clocks) };
        let due = at(placed).plus(clocks.accept);
        let effects = saga.fire(&mut order, &Facts { grace, ..facts(&clocks, due) });
        let unanswered = SagaEffect::Unanswered(Unanswered { customer: order.customer_id, counts });
        assert_eq!(effects.last(), Some(&unanswered));
    }
}

#[test]
fn a_held_cancel_waits_and_comes_when_the_hold_has_ended() {
    let clocks = Clocks::default();
    for status in [Status::Placed, Status::PendingPayment] {
        let mut order = order(status);
        let mut saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
        let due = order.deadline_at.unwrap();
        saga.fire(&mut order, &Facts { cancel_held: true, ..facts(&clocks, due) });
        let later = due.plus(clocks.held);
        assert_eq!((order.status, order.deadline_at), (status, Some(later)));
        saga.fire(&mut order, &facts(&clocks, later));
        assert_eq!(order.status, Status::Cancelled);
    }
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

/// An order that a row of the table of deadlines holds for, entering its status at the start.
fn waiting(row: &DeadlineRow, clocks: &Clocks) -> (Order, OrderSaga) {
    let Sample { rule, is_delivery, .. } = row.holds_for;
    let mut order = order(row.status);
    order.placed_by = if rule == AlertRule::Member { Party::Member } else { Party::Customer };
    order.fulfilment = match (is_delivery, rule) {
        (true, _) => Fulfilment::Delivery,
        (false, AlertRule::Guest) => Fulfilment::DineIn,
        (false, _) => Fulfilment::Pickup,
    };
    order.ready_at = Some(at(600));
    let saga = OrderSaga::begin(&mut order, SagaTerms::default(), clocks, START);
    (order, saga)
}

fn is_of(effect: &SagaEffect, does: Consequence, status: Status) -> bool {
    match (does, effect) {
        (Consequence::Move(to), SagaEffect::Moved { .. }) => to == status,
        (Consequence::Ring, SagaEffect::Ring(_)) => true,
        (Consequence::Webhook, SagaEffect::Use(channel, _)) => *channel == Channel::Webhook,
        (Consequence::Mail, SagaEffect::Use(channel, _)) => *channel == Channel::Mail,
        (Consequence::Call, SagaEffect::Use(channel, _)) => *channel == Channel::Telephone,
        (Consequence::Remind, SagaEffect::Remind) => true,
        (Consequence::TellOperators, SagaEffect::Alarm(_)) => true,
        _ => false,
    }
}

#[test]
fn what_stands_in_the_table_of_deadlines_happens_at_its_time_and_nothing_else_does() {
    let clocks = Clocks::default();
    for row in DEADLINES {
        let (mut order, mut saga) = waiting(row, &clocks);
        let begins = if row.from == Beginning::ReadyAt { at(600) } else { START };
        let expected = begins.plus((row.after)(&clocks));
        let mut happened = false;
        while let Some(due) = saga.next_due() {
            let delivered = row.holds_for.is_delivered;
            let effects = saga.fire(&mut order, &Facts { delivered, ..facts(&clocks, due) });
            happened |= due == expected && effects.iter().any(|effect| is_of(effect, row.does, order.status));
            for effect in effects.iter().filter(|effect| !matches!(effect, SagaEffect::Unanswered(_))) {
                let named = |other: &&DeadlineRow| {
                    other.status == row.status && is_of(effect, other.does, order.status)
                };
                assert!(
                    DEADLINES.iter().any(|other| named(&other)),
                    "{effect:?} is in no row of {}",
                    row.status
                );
            }
        }
        assert!(happened, "{} {} {:?} at {}", row.status, row.orders, row.does, row.setting);
    }
}

#[test]
fn every_live_status_has_a_deadline_and_no_end_has_one() {
    for status in Status::ALL {
        assert_eq!(DEADLINES.iter().any(|row| row.status == status), !status.is_end(), "{status}");
    }
}

#[test]
fn the_printed_deadlines_are_those_in_the_docs() {
    let docs = include_str!("../../../docs/orders.md");
    for text in [deadlines_to_markdown(), format!("```mermaid\n{}```\n", deadlines_to_mermaid())] {
        assert!(docs.contains(&text), "docs/orders.md must contain this:\n{text}");
    }
}
