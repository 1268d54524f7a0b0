//! Messages and answers that come late: about a try before the last one, or from before the refund ended otherwise.

use super::refunds::{answer, begin, demand, done, state};
use super::*;

fn told(order: &Order, money: &OrderMoney, status: NewsStatus, id: Option<RefundId>) -> PaymentNews {
    PaymentNews { refund: id, ..news(order, money.payments()[0].id, status) }
}

/// A refund that the provider has refused.
fn failed() -> (OrderMoney, Order, RefundId) {
    let (mut money, mut order, id) = cancelled();
    let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
    answer(&mut money, &mut order, (id, attempt), RefundAnswer::Refused, at(4));
    (money, order, id)
}

/// A part that somebody wanted, and that is done.
fn part(money: &mut OrderMoney, order: &mut Order, amount: i64) -> RefundId {
    let wanted = demand(Some(amount), None);
    let id = wanted.id;
    money.demand(order, wanted, RefundId::generate, at(2)).unwrap();
    let (_, attempt) = begin(money, id, at(3)).unwrap();
    answer(money, order, (id, attempt), done(), at(4));
    id
}

#[test]
fn an_answer_from_before_a_message_said_more_leaves_the_refund_to_a_person() {
    for late in [RefundAnswer::NoAnswer, RefundAnswer::Pending { reference: None }, RefundAnswer::Refused] {
        let (mut money, mut order, id) = cancelled();
        let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
        let said = told(&order, &money, NewsStatus::RefundFailed, Some(id));
        hear(&mut money, &mut order, &said).unwrap();
        let before = money.clone();
        assert_eq!(answer(&mut money, &mut order, (id, attempt), late.clone(), at(4)), []);
        assert_eq!(money, before, "{late:?}");
        money.retry_refund(id, at(5)).unwrap();
        let before = money.clone();
        answer(&mut money, &mut order, (id, attempt), late.clone(), at(6));
        assert_eq!(money, before, "the retry is due: {late:?}");
        assert!(begin(&mut money, id, at(7)).is_some());
    }
}

#[test]
fn a_message_that_a_refund_failed_may_be_about_an_earlier_try_and_is_asked_about() {
    let (mut money, mut order, id) = failed();
    let said = told(&order, &money, NewsStatus::RefundFailed, Some(id));
    money.retry_refund(id, at(5)).unwrap();
    let (_, attempt) = begin(&mut money, id, at(6)).unwrap();
    hear(&mut money, &mut order, &said).unwrap();
    assert_eq!(state(&money, id), RefundState::Sent);
    answer(&mut money, &mut order, (id, attempt), done(), at(7));
    hear(&mut money, &mut order, &said).unwrap();
    assert_eq!((state(&money, id), order.payment_status), (RefundState::Unknown, PaymentStatus::RefundDue));
    let (step, attempt) = begin(&mut money, id, at(8)).unwrap();
    assert_eq!(step, RefundStep::LookUp);
    answer(&mut money, &mut order, (id, attempt), done(), at(9));
    assert_eq!((money.kept_minor(), order.payment_status), (0, PaymentStatus::Refunded));
}

#[test]
fn a_message_that_a_failed_refund_is_done_may_be_from_before_and_is_asked_about() {
    let (mut money, mut order, id) = failed();
    let said = told(&order, &money, NewsStatus::Refunded, Some(id));
    assert_eq!(hear(&mut money, &mut order, &said), Ok(Vec::new()));
    let refund = money.refund(id).unwrap();
    assert_eq!((refund.state, refund.alarm_at.is_some()), (RefundState::Unknown, true));
    let (step, attempt) = begin(&mut money, id, at(5)).unwrap();
    assert_eq!(step, RefundStep::LookUp);
    let effects = answer(&mut money, &mut order, (id, attempt), RefundAnswer::Refused, at(6));
    assert_eq!(effects, [MoneyEffect::RefundFailed(id)], "operators are told again");
}

#[test]
fn what_went_back_outside_stays_back_when_the_provider_says_later_that_our_call_failed() {
    let (mut money, mut order, _) = paid();
    let id = part(&mut money, &mut order, 300);
    let failed = told(&order, &money, NewsStatus::RefundFailed, Some(id));
    hear(&mut money, &mut order, &failed).unwrap();
    let outside =
        PaymentNews { amount_minor: Some(TOTAL), ..told(&order, &money, NewsStatus::Refunded, None) };
    let effects = hear(&mut money, &mut order, &outside).unwrap();
    assert!(effects.starts_with(&[MoneyEffect::Returned(id), MoneyEffect::ReturnedOutside(id)]));
    let late = told(&order, &money, NewsStatus::RefundFailed, Some(id));
    assert_eq!(hear(&mut money, &mut order, &late), Ok(Vec::new()));
    assert_eq!((state(&money, id), money.kept_minor()), (RefundState::Succeeded, 0));
}

#[test]
fn money_that_went_back_outside_ends_no_refund_for_which_enough_is_left() {
    let (mut money, mut order, _) = paid();
    let wanted = demand(Some(300), None);
    let id = wanted.id;
    money.demand(&mut order, wanted, RefundId::generate, at(2)).unwrap();
    let outside = PaymentNews { amount_minor: Some(400), ..told(&order, &money, NewsStatus::Refunded, None) };
    hear(&mut money, &mut order, &outside).unwrap();
    assert_eq!((state(&money, id), money.kept_minor()), (RefundState::Due, TOTAL - 400));
    // Of the same amount it is that one, done by hand there.
    let same = PaymentNews { amount_minor: Some(300), ..outside };
    hear(&mut money, &mut order, &same).unwrap();
    assert_eq!((state(&money, id), money.kept_minor()), (RefundState::Succeeded, TOTAL - 700));
}

#[test]
fn where_a_message_may_be_about_several_refunds_the_provider_is_asked_about_each() {
    let (mut money, mut order, _) = paid();
    let both = [part(&mut money, &mut order, 300), part(&mut money, &mut order, 200)];
    let said = told(&order, &money, NewsStatus::RefundFailed, None);
    hear(&mut money, &mut order, &said).unwrap();
    for id in both {
        let (step, attempt) = begin(&mut money, id, at(10)).unwrap();
        assert_eq!(step, RefundStep::LookUp);
        answer(&mut money, &mut order, (id, attempt), done(), at(11));
    }
    assert_eq!(money.kept_minor(), TOTAL - 500);
    let said = PaymentNews { amount_minor: Some(200), ..said };
    assert_eq!(hear(&mut money, &mut order, &said), Ok(vec![MoneyEffect::RefundFailed(both[1])]));
}

#[test]
fn a_message_without_an_id_about_a_refund_that_failed_or_is_sent_again_is_asked_about() {
    let (mut money, mut order, id) = failed();
    let said = told(&order, &money, NewsStatus::Refunded, None);
    hear(&mut money, &mut order, &said).unwrap();
    assert_eq!((state(&money, id), money.kept_minor()), (RefundState::Unknown, TOTAL));
    let (mut money, mut order, id) = failed();
    money.retry_refund(id, at(5)).unwrap();
    begin(&mut money, id, at(6)).unwrap();
    let said = told(&order, &money, NewsStatus::Refunded, None);
    hear(&mut money, &mut order, &said).unwrap();
    assert_eq!((state(&money, id), money.kept_minor()), (RefundState::Sent, TOTAL));
}
