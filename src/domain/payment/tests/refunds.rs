use super::*;
use crate::domain::payment::demand::{MAX_REFUNDS, REFUND_WITHIN};
use crate::domain::payment::refunding::{ALARM_AFTER, CALL_WITHIN};

pub(super) fn begin(money: &mut OrderMoney, id: RefundId, now: Timestamp) -> Option<(RefundStep, u32)> {
    let attempt = money.refund(id).unwrap().attempt;
    money.begin_refund(id, attempt, now).map(|(step, refund)| (step, refund.attempt))
}

pub(super) fn answer(
    money: &mut OrderMoney,
    order: &mut Order,
    (id, attempt): (RefundId, u32),
    answer: RefundAnswer,
    now: Timestamp,
) -> Vec<MoneyEffect> {
    money.refund_answered(id, attempt, &answer, order, RefundId::generate, now)
}

pub(super) fn done() -> RefundAnswer {
    RefundAnswer::Done { reference: Some("re_1".to_owned()) }
}

pub(super) fn state(money: &OrderMoney, id: RefundId) -> RefundState {
    money.refund(id).unwrap().state
}

pub(super) fn demand(amount_minor: Option<i64>, by_hand: Option<MoneyWay>) -> RefundDemand {
    RefundDemand {
        id: RefundId::generate(),
        amount_minor,
        reason: Some("cold".to_owned()),
        by_hand,
        reference: None,
        user: user(),
    }
}

#[test]
fn a_refund_is_due_sent_and_done_and_the_order_is_refunded() {
    let (mut money, mut order, id) = cancelled();
    assert_eq!((state(&money, id), order.payment_status), (RefundState::Due, PaymentStatus::RefundDue));
    let (step, attempt) = begin(&mut money, id, at(3)).unwrap();
    assert_eq!(step, RefundStep::Send);
    assert_eq!(begin(&mut money, id, at(4)), None, "nobody else begins it meanwhile");
    let effects = answer(&mut money, &mut order, (id, attempt), done(), at(5));
    assert_eq!(effects, [MoneyEffect::Returned(id)]);
    assert_eq!((state(&money, id), order.payment_status), (RefundState::Succeeded, PaymentStatus::Refunded));
    assert_eq!((money.kept_minor(), money.refund(id).unwrap().due_at), (0, None));
}

#[test]
fn what_may_have_been_sent_is_looked_up_before_it_is_sent_again() {
    let (mut money, mut order, id) = cancelled();
    let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
    // The node died: its time passes.
    let later = at(3).plus(CALL_WITHIN);
    let (step, second) = begin(&mut money, id, later).unwrap();
    assert_eq!(step, RefundStep::LookUp);
    assert_eq!(answer(&mut money, &mut order, (id, attempt), RefundAnswer::Refused, later), []);
    assert_eq!(state(&money, id), RefundState::Sent, "an attempt that was followed says nothing");
    answer(&mut money, &mut order, (id, second), RefundAnswer::NoAnswer, later);
    assert_eq!(state(&money, id), RefundState::Unknown);
    let due = money.refund(id).unwrap().due_at.unwrap();
    assert_eq!(begin(&mut money, id, due).unwrap().0, RefundStep::LookUp);
}

#[test]
fn pauses_grow_to_an_hour_and_the_refund_is_tried_until_it_is_done() {
    let (mut money, mut order, id) = cancelled();
    let (mut now, mut pauses) = (at(3), Vec::new());
    for _ in 0..40 {
        let (_, attempt) = begin(&mut money, id, now).unwrap();
        answer(&mut money, &mut order, (id, attempt), RefundAnswer::NoAnswer, now);
        let due = money.refund(id).unwrap().due_at.unwrap();
        pauses.push(due.since(now).as_secs());
        now = due;
    }
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!((pauses[0], pauses[39]), (10, 3600));
}

#[test]
fn operators_are_told_once_of_a_refund_that_is_late_and_at_once_of_one_that_failed() {
    let (mut money, mut order, id) = cancelled();
    assert_eq!(money.refund_late(id, at(3)), []);
    let late = at(2).plus(ALARM_AFTER);
    assert_eq!(money.refund_late(id, late), [MoneyEffect::RefundFailed(id)]);
    assert_eq!(money.refund_late(id, late), []);
    let (_, attempt) = begin(&mut money, id, late).unwrap();
    let effects = answer(&mut money, &mut order, (id, attempt), RefundAnswer::Refused, late);
    assert_eq!(effects, [MoneyEffect::RefundFailed(id)]);
    assert_eq!((state(&money, id), order.payment_status), (RefundState::Failed, PaymentStatus::RefundDue));
}

#[test]
fn a_refund_that_failed_is_sent_again_with_another_key_after_the_provider_was_asked() {
    let (mut money, mut order, id) = cancelled();
    let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
    let key = money.refund(id).unwrap().key();
    answer(&mut money, &mut order, (id, attempt), RefundAnswer::Refused, at(4));
    money.retry_refund(id, at(5)).unwrap();
    assert_eq!(state(&money, id), RefundState::Due);
    let (step, attempt) = begin(&mut money, id, at(5)).unwrap();
    assert_eq!(step, RefundStep::SendAgain);
    assert_ne!(money.refund(id).unwrap().key(), key);
    answer(&mut money, &mut order, (id, attempt), done(), at(6));
    assert_eq!(order.payment_status, PaymentStatus::Refunded);
    let refused = money.retry_refund(id, at(7));
    assert_eq!(refused, Err(RefundRefusal::NotNow { state: RefundState::Succeeded }));
}

#[test]
fn a_retry_of_what_may_be_on_its_way_asks_at_once_and_keeps_the_key() {
    let (mut money, mut order, id) = cancelled();
    let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
    answer(&mut money, &mut order, (id, attempt), RefundAnswer::Pending { reference: None }, at(4));
    let key = money.refund(id).unwrap().key();
    money.retry_refund(id, at(5)).unwrap();
    let due = money.refund(id).unwrap().due_at.unwrap();
    assert!(due <= at(5).plus(CALL_WITHIN));
    assert_eq!(begin(&mut money, id, due).unwrap().0, RefundStep::LookUp);
    assert_eq!(money.refund(id).unwrap().key(), key);
    let by_hand = (MoneyWay::Transfer, None, user());
    let settled = money.settle_refund(id, &mut order, by_hand, RefundId::generate, due);
    assert_eq!(settled, Err(RefundRefusal::NotNow { state: RefundState::Sent }), "it may arrive twice");
}

#[test]
fn a_refund_that_a_bank_sends_back_days_later_is_owed_again_once() {
    let (mut money, mut order, id) = cancelled();
    let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
    answer(&mut money, &mut order, (id, attempt), done(), at(4));
    let payment = money.payments()[0].id;
    let failed = PaymentNews { refund: Some(id), ..news(&order, payment, NewsStatus::RefundFailed) };
    assert_eq!(hear(&mut money, &mut order, &failed), Ok(vec![MoneyEffect::RefundFailed(id)]));
    assert_eq!((order.payment_status, money.kept_minor()), (PaymentStatus::RefundDue, TOTAL));
    assert_eq!(hear(&mut money, &mut order, &failed), Ok(Vec::new()));
    assert_eq!(money.refunds().len(), 1, "no second one by itself");
    let by_hand = (MoneyWay::Transfer, Some("R1".to_owned()), user());
    let effects = money.settle_refund(id, &mut order, by_hand, RefundId::generate, at(9)).unwrap();
    assert_eq!(effects, [MoneyEffect::Returned(id)]);
    assert_eq!((order.payment_status, money.kept_minor()), (PaymentStatus::Refunded, 0));
    // The message comes again: a person has given the money back since.
    assert_eq!(hear(&mut money, &mut order, &failed), Ok(Vec::new()));
    assert_eq!(order.payment_status, PaymentStatus::Refunded);
    let told = PaymentNews { refund: Some(id), ..news(&order, payment, NewsStatus::Refunded) };
    let refused = hear(&mut money, &mut order, &told);
    assert_eq!(refused, Err(NewsRefusal::AmountMismatch), "it went back twice: operators hear of that");
}

#[test]
fn the_answer_and_the_message_of_one_refund_are_one_refund_in_either_order() {
    for message_first in [true, false] {
        for has_id in [true, false] {
            let (mut money, mut order, payment) = paid();
            let part = demand(Some(300), None);
            let id = part.id;
            money.demand(&mut order, part, RefundId::generate, at(2)).unwrap();
            let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
            let refund = has_id.then_some(id);
            let told = PaymentNews {
                refund,
                amount_minor: Some(300),
                ..news(&order, payment, NewsStatus::Refunded)
            };
            if !message_first {
                answer(&mut money, &mut order, (id, attempt), done(), at(4));
            }
            hear(&mut money, &mut order, &told).unwrap();
            if message_first {
                assert_eq!(state(&money, id), RefundState::Succeeded);
                answer(&mut money, &mut order, (id, attempt), done(), at(4));
            }
            assert_eq!(
                (money.refunds().len(), money.kept_minor()),
                (1, TOTAL - 300),
                "{message_first} {has_id}"
            );
            assert_eq!(order.payment_status, PaymentStatus::Paid);
        }
    }
}

#[test]
fn money_that_went_back_without_a_request_is_booked_and_later_refunds_send_the_rest() {
    let (mut money, mut order, payment) = paid();
    let told = PaymentNews { amount_minor: Some(400), ..news(&order, payment, NewsStatus::Refunded) };
    let effects = hear(&mut money, &mut order, &told).unwrap();
    let outside = money.refunds()[0].id;
    assert_eq!(effects, [MoneyEffect::Returned(outside), MoneyEffect::ReturnedOutside(outside)]);
    assert_eq!(order.payment_status, PaymentStatus::Paid, "the payment changes, not the order");
    assert!(order.apply_by_system(Status::Cancelled, None, at(2)).is_some());
    money.settle(&mut order, RefundId::generate, at(2));
    let amounts: Vec<_> = money.refunds().iter().map(|one| (one.cause, one.amount_minor)).collect();
    assert_eq!(amounts, [(RefundCause::Outside, 400), (RefundCause::Automatic, 600)]);
}

#[test]
fn money_that_went_back_without_a_request_is_taken_off_what_was_still_to_be_sent() {
    let (mut money, mut order, id) = cancelled();
    let payment = money.payments()[0].id;
    let told = |amount| PaymentNews {
        amount_minor: Some(amount),
        ..news(&order.clone(), payment, NewsStatus::Refunded)
    };
    let (part, rest, too_much) = (told(400), told(600), told(1));
    hear(&mut money, &mut order, &part).unwrap();
    assert_eq!(money.refund(id).unwrap().amount_minor, 600);
    hear(&mut money, &mut order, &rest).unwrap();
    assert_eq!((state(&money, id), order.payment_status), (RefundState::Succeeded, PaymentStatus::Refunded));
    assert_eq!(money.kept_minor(), 0);
    let before = money.clone();
    assert_eq!(hear(&mut money, &mut order, &too_much), Err(NewsRefusal::AmountMismatch));
    assert_eq!(money, before);
}

#[test]
fn money_given_back_elsewhere_is_no_refund_of_the_hub_where_the_provider_names_those() {
    for names in [false, true] {
        let (mut money, mut order, _) = paid();
        let demanded = demand(Some(400), None);
        let (id, _) = money.demand(&mut order, demanded, RefundId::generate, at(2)).unwrap();
        let (_, attempt) = begin(&mut money, id, at(3)).unwrap();
        let done = RefundAnswer::Done { reference: None };
        money.refund_answered(id, attempt, &done, &mut order, RefundId::generate, at(4));
        let payment = money.payments()[0].id;
        let told = PaymentNews { amount_minor: Some(400), ..news(&order, payment, NewsStatus::Refunded) };
        let told = if names { told.of_named_refunds() } else { told };
        hear(&mut money, &mut order, &told).unwrap();
        assert_eq!(money.payments()[0].refunded_minor, if names { 800 } else { 400 });
        let failed = PaymentNews { status: NewsStatus::RefundFailed, ..told };
        let heard = hear(&mut money, &mut order, &failed);
        assert_eq!(heard.is_err(), names, "whose refund did not arrive is for a person");
    }
}

#[test]
fn news_that_does_not_fit_while_a_refund_is_on_its_way_changes_nothing() {
    let (mut money, mut order, id) = cancelled();
    let payment = money.payments()[0].id;
    begin(&mut money, id, at(3)).unwrap();
    let before = (money.clone(), order.clone());
    let told = PaymentNews { amount_minor: Some(400), ..news(&order, payment, NewsStatus::Refunded) };
    assert_eq!(hear(&mut money, &mut order, &told), Err(NewsRefusal::AmountMismatch));
    assert_eq!((money, order), before);
}

#[test]
fn refunds_are_demanded_in_parts_up_to_what_was_captured() {
    let (mut money, mut order, _) = paid();
    let mut want = |money: &mut OrderMoney, amount| {
        money.demand(&mut order, demand(amount, None), RefundId::generate, at(2)).map(|(id, _)| id)
    };
    want(&mut money, Some(300)).unwrap();
    want(&mut money, Some(300)).unwrap();
    assert_eq!(want(&mut money, Some(401)), Err(RefundRefusal::TooMuch { left_minor: 400 }));
    assert_eq!(want(&mut money, Some(0)), Err(RefundRefusal::TooMuch { left_minor: 400 }));
    let rest = want(&mut money, None).unwrap();
    assert_eq!(money.refund(rest).unwrap().amount_minor, 400);
    assert_eq!(want(&mut money, None), Err(RefundRefusal::TooMuch { left_minor: 0 }));
}

#[test]
fn a_refund_is_demanded_until_two_weeks_after_the_end_and_of_what_was_paid() {
    let (mut money, mut order, _) = paid();
    let end = order.updated_at.plus(REFUND_WITHIN);
    let wanted = |order: &mut Order, money: &mut OrderMoney| {
        money.demand(order, demand(Some(1), None), RefundId::generate, end).map(|_| ())
    };
    order.status = Status::Delivered;
    assert_eq!(wanted(&mut order, &mut money), Err(RefundRefusal::TooLate));
    order.status = Status::Accepted;
    assert_eq!(wanted(&mut order, &mut money), Ok(()), "it has not ended");
    assert_eq!(wanted(&mut order, &mut OrderMoney::default()), Err(RefundRefusal::NothingPaid));
}

#[test]
fn refunds_of_one_order_have_a_bound() {
    let (mut money, mut order, _) = paid();
    for _ in 0..MAX_REFUNDS {
        money.demand(&mut order, demand(Some(1), None), RefundId::generate, at(2)).unwrap();
    }
    let refused = money.demand(&mut order, demand(Some(1), None), RefundId::generate, at(2));
    assert_eq!(refused.map(|_| ()), Err(RefundRefusal::TooMany));
}

#[test]
fn what_was_paid_at_a_till_waits_for_a_hand_and_is_settled_by_it() {
    let (mut money, mut order) = (OrderMoney::default(), order());
    let recorded =
        Recorded { id: PaymentId::generate(), way: MoneyWay::Terminal, reference: None, user: user() };
    money.record(&mut order, recorded, RefundId::generate, at(1)).unwrap();
    assert!(order.apply_by_system(Status::Placed, None, at(1)).is_some());
    assert!(order.apply_by_system(Status::Cancelled, None, at(2)).is_some());
    money.settle(&mut order, RefundId::generate, at(2));
    let id = money.refunds()[0].id;
    assert_eq!(begin(&mut money, id, at(1_000_000)), None, "the provider knows nothing of it");
    assert_eq!(
        money.retry_refund(id, at(3)),
        Err(RefundRefusal::NotNow { state: RefundState::Due }),
        "it is a person's"
    );
    let (settled, effects) =
        money.demand(&mut order, demand(None, Some(MoneyWay::Cash)), RefundId::generate, at(3)).unwrap();
    assert_eq!((settled, effects), (id, vec![MoneyEffect::Returned(id)]));
    assert_eq!((order.payment_status, money.kept_minor()), (PaymentStatus::Refunded, 0));
}

#[test]
fn a_delivered_order_is_refunded_when_everything_that_was_demanded_has_gone_back() {
    let (mut money, mut order, _) = paid();
    order.status = Status::Delivered;
    for (amount, status) in [(400, PaymentStatus::Paid), (600, PaymentStatus::Refunded)] {
        let wanted = demand(Some(amount), Some(MoneyWay::Transfer));
        money.demand(&mut order, wanted, RefundId::generate, at(2)).unwrap();
        assert_eq!(order.payment_status, status);
    }
    assert_eq!(money.kept_minor(), 0);
}
