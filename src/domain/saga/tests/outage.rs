//! Deadlines after an outage, and while cancels are held.

use super::*;

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
