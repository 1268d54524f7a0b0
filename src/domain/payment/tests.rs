use std::time::Duration;

use super::table::{PAYMENTS, REFUNDS, RefundEvent, after, refund_after};
use super::*;
use crate::domain::ids::{OrderId, PaymentId, RefundId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::{
    Fulfilment, MoveRequest, Order, Party, PaymentMethod, PaymentStatus, Status, tests as orders,
};
use crate::domain::time::Timestamp;

mod books;
mod late;
mod refunds;

const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const TOTAL: i64 = 1000;

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

/// An order that waits for its payment.
fn order() -> Order {
    Order {
        status: Status::PendingPayment,
        payment_method: PaymentMethod::Online,
        payment_status: PaymentStatus::Pending,
        total_minor: TOTAL,
        ..orders::order(Fulfilment::Pickup)
    }
}

fn user() -> UserId {
    UserId::generate()
}

/// Begins a payment.
fn initiate(money: &mut OrderMoney, order: &Order) -> PaymentId {
    match money.initiate(order, PaymentId::generate(), user(), START) {
        Ok(Initiated::New(payment) | Initiated::Open(payment)) => payment.id,
        Err(refusal) => panic!("{refusal:?}"),
    }
}

fn news(order: &Order, payment: PaymentId, status: NewsStatus) -> PaymentNews {
    let (amount_minor, currency, refund, is_foreign) = (None, None, None, false);
    PaymentNews { payment, order: order.id, status, amount_minor, currency, refund, is_foreign }
}

fn hear(
    money: &mut OrderMoney,
    order: &mut Order,
    news: &PaymentNews,
) -> Result<Vec<MoneyEffect>, NewsRefusal> {
    money.hear(news, order, true, RefundId::generate, at(1))
}

/// The provider says this of a payment, and nothing more.
fn tell(
    money: &mut OrderMoney,
    order: &mut Order,
    payment: PaymentId,
    status: NewsStatus,
) -> Result<Vec<MoneyEffect>, NewsRefusal> {
    let told = news(order, payment, status);
    hear(money, order, &told)
}

/// An order that was paid online and placed.
fn paid() -> (OrderMoney, Order, PaymentId) {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let payment = initiate(&mut money, &order);
    let success = news(&order, payment, NewsStatus::Success);
    let effects = hear(&mut money, &mut order, &success).unwrap();
    assert_eq!(effects, [MoneyEffect::Received(payment), MoneyEffect::Place]);
    assert!(order.apply_by_system(Status::Placed, None, at(1)).is_some());
    (money, order, payment)
}

/// The same, cancelled: a refund is due.
fn cancelled() -> (OrderMoney, Order, RefundId) {
    let (mut money, mut order, _) = paid();
    assert!(order.apply_by_system(Status::Cancelled, None, at(2)).is_some());
    money.settle(&mut order, RefundId::generate, at(2));
    let refund = money.refunds()[0].id;
    (money, order, refund)
}

#[test]
fn news_changes_a_payment_as_the_table_says_and_no_other_way() {
    for from in PaymentState::ALL {
        for status in NewsStatus::ALL {
            let rows: Vec<_> = PAYMENTS.iter().filter(|row| row.from == from && row.news == status).collect();
            assert!(rows.len() <= 1, "{from} {status}");
            assert_eq!(after(from, status), rows.first().map(|row| row.to));
            assert!(after(from, status).is_none_or(|to| to > from), "a payment rises: {from} {status}");
        }
    }
    assert_eq!(PAYMENTS.len(), 3);
}

#[test]
fn a_refund_has_one_row_for_a_state_and_an_event_and_only_the_provider_takes_success_back() {
    for from in RefundState::ALL {
        for event in RefundEvent::ALL {
            let rows: Vec<_> = REFUNDS.iter().filter(|row| row.from == from && row.event == event).collect();
            assert!(rows.len() <= 1, "{from} {event:?}");
            let to = refund_after(from, event);
            if from == RefundState::Succeeded {
                let expected = match event {
                    RefundEvent::Refused => Some(RefundState::Failed),
                    RefundEvent::Doubted => Some(RefundState::Unknown),
                    _ => None,
                };
                assert_eq!(to, expected, "{event:?}");
            }
        }
    }
}

#[test]
fn an_order_has_one_open_payment_and_after_it_failed_a_new_one() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let first = initiate(&mut money, &order);
    assert_eq!(initiate(&mut money, &order), first);
    tell(&mut money, &mut order, first, NewsStatus::Failed).unwrap();
    assert_eq!((order.status, order.payment_status), (Status::PendingPayment, PaymentStatus::Pending));
    let second = initiate(&mut money, &order);
    assert_ne!(second, first);
    // The first succeeds after all: the second is closed.
    let effects = tell(&mut money, &mut order, first, NewsStatus::Success).unwrap();
    assert_eq!(effects, [MoneyEffect::Received(first), MoneyEffect::Place]);
    assert_eq!(money.payment(second).unwrap().ask_at, Some(at(1)));
    assert!(money.refunds().is_empty());
}

#[test]
fn a_payment_that_is_closed_while_it_is_opened_is_closed_once_more() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let payment = initiate(&mut money, &order);
    assert!(money.ask(at(1)));
    let refused = money.initiate(&order, PaymentId::generate(), user(), at(1));
    assert_eq!(refused, Err(InitiateRefusal::NotWaiting), "nothing is begun for one that is being closed");
    tell(&mut money, &mut order, payment, NewsStatus::Failed).unwrap();
    assert_eq!(money.payment(payment).unwrap().ask_at, None);
    // The call that opens it came to the provider after the one that closes it.
    let noted = money.opened(payment, None, "https://pay.example".to_owned(), at(2)).unwrap();
    assert_eq!((noted.state, noted.ask_at, &noted.redirect_url), (PaymentState::Failed, Some(at(2)), &None));
    money.ask_again(payment, at(9));
    assert_eq!(money.payment(payment).unwrap().ask_at, Some(at(9)), "until the provider says what it is");
    tell(&mut money, &mut order, payment, NewsStatus::Failed).unwrap();
    assert_eq!(money.payment(payment).unwrap().ask_at, None);
}

#[test]
fn a_payment_that_is_opened_once_more_may_come_to_the_provider_for_as_long_again() {
    let (mut money, order) = (OrderMoney::default(), order());
    let payment = initiate(&mut money, &order);
    let begun_at = |money: &OrderMoney| money.payment(payment).unwrap().updated_at;
    assert!(may_be_opening(begun_at(&money), at(29)) && !may_be_opening(begun_at(&money), at(30)));
    money.initiate(&order, PaymentId::generate(), user(), at(20)).unwrap();
    assert!(may_be_opening(begun_at(&money), at(49)) && !may_be_opening(begun_at(&money), at(50)));
    // Where it is paid is known: nothing is opened any more.
    money.opened(payment, None, "https://pay.example".to_owned(), at(25));
    money.initiate(&order, PaymentId::generate(), user(), at(60)).unwrap();
    assert!(!may_be_opening(begun_at(&money), at(60)));
}

#[test]
fn payments_of_one_order_have_a_bound() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    for _ in 0..20 {
        let payment = initiate(&mut money, &order);
        tell(&mut money, &mut order, payment, NewsStatus::Failed).unwrap();
    }
    let refused = money.initiate(&order, PaymentId::generate(), user(), START);
    assert_eq!(refused, Err(InitiateRefusal::TooMany));
}

#[test]
fn an_order_is_paid_online_only_while_it_waits_for_that() {
    let mut money = OrderMoney::default();
    let cash = Order { payment_method: PaymentMethod::Cash, ..order() };
    let ended = Order { status: Status::Cancelled, ..order() };
    let paid = Order { payment_status: PaymentStatus::Paid, ..order() };
    for (order, refusal) in [
        (cash, InitiateRefusal::NotOnline),
        (ended, InitiateRefusal::NotWaiting),
        (paid, InitiateRefusal::Paid),
    ] {
        assert_eq!(money.initiate(&order, PaymentId::generate(), user(), START), Err(refusal));
    }
    assert_eq!(money, OrderMoney::default());
}

#[test]
fn what_is_known_already_changes_nothing_and_failure_does_not_undo_success() {
    let (mut money, mut order, payment) = paid();
    let before = (money.clone(), order.clone());
    for status in [NewsStatus::Success, NewsStatus::Failed] {
        let told = news(&order, payment, status);
        assert_eq!(hear(&mut money, &mut order, &told), Ok(Vec::new()));
        assert_eq!((&money, &order), (&before.0, &before.1), "{status}");
    }
}

#[test]
fn success_after_the_end_makes_one_refund_due_and_the_end_stays() {
    for status in [Status::Cancelled, Status::Rejected] {
        let (mut money, mut order) = (OrderMoney::default(), order());
        let payment = initiate(&mut money, &order);
        order.status = status;
        let success = news(&order, payment, NewsStatus::Success);
        assert_eq!(hear(&mut money, &mut order, &success), Ok(vec![MoneyEffect::Received(payment)]));
        assert_eq!((order.status, order.payment_status), (status, PaymentStatus::RefundDue));
        let amounts: Vec<i64> = money.refunds().iter().map(|refund| refund.amount_minor).collect();
        assert_eq!(amounts, [TOTAL]);
        assert_eq!(hear(&mut money, &mut order, &success), Ok(Vec::new()));
        assert_eq!(money.refunds().len(), 1);
    }
}

#[test]
fn the_second_of_two_payments_goes_back_and_the_order_stays_paid() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let first = initiate(&mut money, &order);
    tell(&mut money, &mut order, first, NewsStatus::Failed).unwrap();
    let second = initiate(&mut money, &order);
    tell(&mut money, &mut order, second, NewsStatus::Success).unwrap();
    tell(&mut money, &mut order, first, NewsStatus::Success).unwrap();
    assert_eq!(order.payment_status, PaymentStatus::Paid);
    assert_eq!(money.refunds().len(), 1);
    assert_eq!(money.refunds()[0].payment, first);
}

#[test]
fn an_order_paid_at_the_till_and_online_gives_the_online_payment_back() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let online = initiate(&mut money, &order);
    let recorded =
        Recorded { id: PaymentId::generate(), way: MoneyWay::Terminal, reference: None, user: user() };
    let effects = money.record(&mut order, recorded.clone(), RefundId::generate, at(1)).unwrap();
    assert_eq!(effects, [MoneyEffect::Received(recorded.id), MoneyEffect::Place]);
    assert_eq!(money.payment(online).unwrap().ask_at, Some(at(1)), "it is closed at the provider");
    let again = money.record(&mut order, recorded, RefundId::generate, at(1));
    assert_eq!(again, Err(RecordRefusal::Paid));
    tell(&mut money, &mut order, online, NewsStatus::Success).unwrap();
    assert_eq!(order.payment_status, PaymentStatus::Paid);
    let refunds: Vec<_> = money.refunds().iter().map(|one| (one.payment, one.way)).collect();
    assert_eq!(refunds, [(online, MoneyWay::Online)]);
}

#[test]
fn less_than_is_due_and_another_currency_need_a_person_and_more_is_kept() {
    let cases = [
        (Some(TOTAL - 1), None, Err(NewsRefusal::AmountMismatch)),
        (Some(0), None, Err(NewsRefusal::AmountMismatch)),
        (Some(i64::MAX), None, Err(NewsRefusal::AmountMismatch)),
        (None, Some("USD"), Err(NewsRefusal::AmountMismatch)),
        (Some(TOTAL + 200), None, Ok(200)),
        (Some(TOTAL), None, Ok(0)),
    ];
    for (amount_minor, currency, expected) in cases {
        let (mut money, mut order) = (OrderMoney::default(), order());
        order.currency = Currency::stored("EUR").unwrap();
        let payment = initiate(&mut money, &order);
        let before = (money.clone(), order.clone());
        let currency = currency.map(|code| Currency::stored(code).unwrap());
        let told = PaymentNews { amount_minor, currency, ..news(&order, payment, NewsStatus::Success) };
        let heard = hear(&mut money, &mut order, &told);
        match expected {
            Ok(over) => {
                assert!(heard.is_ok());
                assert_eq!(money.payment(payment).unwrap().over_minor(), over);
                assert_eq!(order.payment_status, PaymentStatus::Paid);
                assert!(money.refunds().is_empty(), "what is over is kept until somebody wants it back");
            }
            Err(refusal) => {
                assert_eq!(heard, Err(refusal), "{amount_minor:?}");
                assert_eq!((money, order), before);
            }
        }
    }
}

#[test]
fn too_little_for_an_order_that_has_ended_goes_back_as_it_is() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let payment = initiate(&mut money, &order);
    order.status = Status::Cancelled;
    let told = PaymentNews { amount_minor: Some(400), ..news(&order, payment, NewsStatus::Success) };
    hear(&mut money, &mut order, &told).unwrap();
    assert_eq!(money.refunds()[0].amount_minor, 400);
    assert_eq!(order.payment_status, PaymentStatus::RefundDue);
}

#[test]
fn news_of_another_order_or_an_unknown_payment_changes_nothing() {
    let (mut money, mut order, payment) = paid();
    let recorded = OrderMoney::default();
    let before = (money.clone(), order.clone());
    let of_another = PaymentNews { order: OrderId::generate(), ..news(&order, payment, NewsStatus::Success) };
    assert_eq!(hear(&mut money, &mut order, &of_another), Err(NewsRefusal::WrongOrder));
    let unknown = news(&order, PaymentId::generate(), NewsStatus::Success);
    assert_eq!(hear(&mut money, &mut order, &unknown), Err(NewsRefusal::UnknownPayment));
    assert_eq!((money, order), before);
    assert_eq!(recorded.kept_minor(), 0);
}

#[test]
fn a_business_that_takes_no_more_orders_cancels_what_is_paid_and_owes_it() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let payment = initiate(&mut money, &order);
    let success = news(&order, payment, NewsStatus::Success);
    let effects = money.hear(&success, &mut order, false, RefundId::generate, at(1)).unwrap();
    assert_eq!(effects, [MoneyEffect::Received(payment), MoneyEffect::CancelClosed]);
    assert_eq!(order.payment_status, PaymentStatus::RefundDue);
    assert_eq!(money.refunds().len(), 1);
}

#[test]
fn cash_that_was_taken_at_hand_over_is_never_refunded_by_the_hub() {
    let mut order = Order {
        payment_method: PaymentMethod::Cash,
        payment_status: PaymentStatus::RefundDue,
        status: Status::Failed,
        ..order()
    };
    let mut money = OrderMoney::default();
    money.settle(&mut order, RefundId::generate, at(1));
    assert_eq!((order.payment_status, money.refunds().len()), (PaymentStatus::Paid, 0));
}

#[test]
fn uncollected_cash_can_be_recorded_later() {
    let mut order = Order {
        payment_method: PaymentMethod::Cash,
        payment_status: PaymentStatus::Uncollected,
        status: Status::Failed,
        ..order()
    };
    let mut money = OrderMoney::default();
    let recorded = Recorded { id: PaymentId::generate(), way: MoneyWay::Cash, reference: None, user: user() };
    let effects = money.record(&mut order, recorded.clone(), RefundId::generate, at(1));
    assert_eq!(effects, Ok(vec![MoneyEffect::Received(recorded.id)]));
    assert_eq!(order.payment_status, PaymentStatus::Paid);
}

#[test]
fn cash_that_went_back_before_the_hand_over_is_not_taken_again() {
    let mut order = Order {
        status: Status::Accepted,
        payment_method: PaymentMethod::Cash,
        payment_status: PaymentStatus::Refunded,
        ..order()
    };
    let request = MoveRequest {
        party: Party::Member,
        to: Status::Delivered,
        version: order.version,
        prep_minutes: None,
        delivered_by: None,
    };
    assert!(order.apply(request, None, None, at(2)).is_ok());
    assert_eq!((order.status, order.payment_status), (Status::Delivered, PaymentStatus::Refunded));
}
