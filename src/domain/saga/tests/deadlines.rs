//! The table of deadlines against what happens.

use super::*;

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
    let docs = include_str!("../../../../docs/orders.md");
    for text in [deadlines_to_markdown(), format!("```mermaid\n{}```\n", deadlines_to_mermaid())] {
        assert!(docs.contains(&text), "docs/orders.md must contain this:\n{text}");
    }
}
