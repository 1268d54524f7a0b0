//! Rings of orders that were accepted by themselves, cancelled or changed.

use super::*;

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
