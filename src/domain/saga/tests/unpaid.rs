//! Orders that wait for their payment.

use super::*;

fn waiting(clocks: &Clocks) -> (Order, OrderSaga) {
    let mut order = Order { payment_method: PaymentMethod::Online, ..order(Status::PendingPayment) };
    let saga = OrderSaga::begin(&mut order, SagaTerms::default(), clocks, START);
    (order, saga)
}

fn fire(
    saga: &mut OrderSaga,
    order: &mut Order,
    unpaid: UnpaidFacts,
    (clocks, now): (&Clocks, Timestamp),
) -> Vec<SagaEffect> {
    saga.fire(order, &Facts { unpaid, ..facts(clocks, now) })
}

#[test]
fn the_provider_is_asked_every_quarter_of_a_minute_and_after_as_long_again_the_order_is_cancelled() {
    let clocks = Clocks::default();
    let (mut order, mut saga) = waiting(&clocks);
    // The hub was away for a while: the provider is asked all the same.
    let first = at(7200);
    let mut asked = Vec::new();
    let mut now = first;
    while order.status == Status::PendingPayment {
        let effects = fire(&mut saga, &mut order, UnpaidFacts::Open, (&clocks, now));
        if effects == [SagaEffect::ClosePayment] {
            asked.push(now);
            now = saga.next_due().unwrap();
        }
    }
    assert_eq!((asked[0], asked.len()), (first, 60));
    assert_eq!(now, first.plus(clocks.unpaid_unknown));
    assert_eq!(order.ended_reason.unwrap().code, EndedCode::Unpaid);
    assert_eq!(saga.next_due(), None);
}

#[test]
fn an_order_with_something_unprocessed_waits_however_long_that_takes() {
    let clocks = Clocks::default();
    let (mut order, mut saga) = waiting(&clocks);
    for _ in 0..10_000 {
        let now = saga.next_due().unwrap();
        assert_eq!(fire(&mut saga, &mut order, UnpaidFacts::Unprocessed, (&clocks, now)), []);
    }
    assert_eq!(order.status, Status::PendingPayment);
}

#[test]
fn a_payment_that_fails_ends_its_order_only_if_the_hub_had_asked_to_close_it() {
    let clocks = Clocks::default();
    let (mut order, mut saga) = waiting(&clocks);
    assert!(!saga.payment_closed(at(600)), "the customer may begin another");
    let due = saga.next_due();
    assert_eq!(due, Some(START.plus(clocks.unpaid)));
    fire(&mut saga, &mut order, UnpaidFacts::Open, (&clocks, at(900)));
    // As it is read back from the store.
    let mut saga: OrderSaga = serde_json::from_str(&serde_json::to_string(&saga).unwrap()).unwrap();
    assert!(saga.payment_closed(at(903)));
    assert!(!saga.payment_closed(at(903)), "it is due already");
    let effects = fire(&mut saga, &mut order, UnpaidFacts::Nothing, (&clocks, at(903)));
    assert!(matches!(effects[..], [SagaEffect::Moved { from: Status::PendingPayment, .. }]));
    assert_eq!(order.status, Status::Cancelled);
}

#[test]
fn a_paid_order_is_placed_or_cancelled_as_its_business_closed_and_moves_once() {
    let clocks = Clocks::default();
    for (takes, status) in [(true, Status::Placed), (false, Status::Cancelled)] {
        let (mut order, mut saga) = waiting(&clocks);
        let terms = SagaTerms::default();
        assert!(saga.paid(&mut order, takes, terms, &clocks, at(60)).is_some());
        assert_eq!(order.status, status);
        assert!(saga.paid(&mut order, takes, terms, &clocks, at(61)).is_none());
        let code = order.ended_reason.as_ref().map(|ended| ended.code);
        assert_eq!(code, (!takes).then_some(EndedCode::BusinessClosed));
        assert_eq!(saga.next_due().is_some(), takes, "its alert begins, or nothing does");
        assert_eq!(order.deadline_at.is_some(), takes);
    }
}
