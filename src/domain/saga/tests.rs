use std::time::Duration;

use super::*;
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::{Fulfilment, PaymentMethod, PaymentStatus};

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
    assert_eq!(rings, (1..32).map(|n| n * 15).collect::<Vec<_>>());
    assert!(matches!(seen.last(), Some((480, SagaEffect::Unanswered(Unanswered { counts: true, .. })))));
}

#[test]
fn an_order_that_a_device_has_is_not_told_as_undelivered() {
    let seen = unanswered(true);
    assert!(
        !seen.iter().any(|(_, effect)| matches!(effect, SagaEffect::Use(_, Rung::Undelivered | Rung::Mail)))
    );
    assert!(seen.iter().any(|(at, effect)| *at == 60 && matches!(effect, SagaEffect::Use(_, Rung::Call))));
}

#[test]
fn a_saga_reads_back_from_what_is_stored() {
    let clocks = Clocks::default();
    let mut order = order(Status::Placed);
    let saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
    let stored = serde_json::to_string(&saga).unwrap();
    assert_eq!(serde_json::from_str::<OrderSaga>(&stored).unwrap(), saga);
    assert_eq!(order.deadline_at, Some(at(480)));
}
