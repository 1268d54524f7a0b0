//! The alert ladder of an order that waits for an answer.

use super::*;

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
