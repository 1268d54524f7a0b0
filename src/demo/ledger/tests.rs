//! The ledger counts each stage of an order, and finds what is lost, doubled or missed.

use std::time::Duration;

use uuid::Uuid;

use super::money::Money;
use super::*;
use crate::domain::business::{PauseCause, PauseView};
use crate::domain::order::PaymentStatus;
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);

fn id(n: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(n))
}

fn order(n: u128, status: Status, version: i64) -> OrderEvent {
    let fulfilment = Fulfilment::Pickup;
    OrderEvent { id: id(n), order_number: format!("{n:03}"), status, version, fulfilment, ended_reason: None }
}

fn listed(n: u128, key: u64, status: Status, version: i64) -> Listed {
    let payment = PaymentStatus::Pending;
    Listed { id: id(n), key: Some(key), status, version, deadline_at: None, payment, is_driven: false }
}

fn ledger() -> Ledger {
    Ledger::new(id(0))
}

/// An order that went all the way.
fn run_through(ledger: &mut Ledger, n: u128, key: u64) {
    ledger.placed(key, 0, &order(n, Status::Placed, 1));
    for device in 0..DEVICES {
        ledger.heard(device, 0, &order(n, Status::Placed, 1));
        ledger.acked(device, 0, &order(n, Status::Placed, 1));
        ledger.heard(device, 0, &order(n, Status::Rejected, 2));
    }
}

#[test]
fn an_order_is_rung_when_every_device_heard_it_and_settled_when_all_heard_its_end() {
    let mut ledger = ledger();
    ledger.placed(1, 0, &order(5, Status::Placed, 1));
    ledger.heard(0, 0, &order(5, Status::Placed, 1));
    ledger.acked(0, 0, &order(5, Status::Placed, 1));
    assert_eq!(ledger.totals(), Totals { placed: 1, ..Totals::default() });
    ledger.heard(1, 0, &order(5, Status::Placed, 1));
    ledger.acked(1, 0, &order(5, Status::Placed, 1));
    assert_eq!((ledger.totals().rung, ledger.totals().acked), (1, 1));
    ledger.moved(0, &order(5, Status::Rejected, 2));
    assert_eq!((ledger.totals().completed, ledger.is_settled()), (1, false));
    ledger.heard(0, 0, &order(5, Status::Rejected, 2));
    ledger.heard(1, 0, &order(5, Status::Rejected, 2));
    assert!(ledger.is_settled());
    assert_eq!(
        ledger.audit(&[listed(5, 1, Status::Rejected, 2)], &AuditScope::Everything, NOW),
        Audit::default()
    );
}

#[test]
fn it_does_not_matter_whether_the_customer_or_the_devices_hear_first() {
    let (mut early, mut late) = (ledger(), ledger());
    let placed = order(5, Status::Placed, 1);
    early.placed(1, 0, &placed);
    (0..DEVICES).for_each(|device| early.heard(device, 0, &placed));
    (0..DEVICES).for_each(|device| late.heard(device, 0, &placed));
    assert_eq!(late.totals(), Totals::default());
    late.placed(1, 0, &placed);
    assert_eq!(early.totals(), late.totals());
}

#[test]
fn an_order_that_is_not_listed_or_not_rung_is_lost_once() {
    let mut ledger = ledger();
    run_through(&mut ledger, 5, 1);
    assert_eq!(ledger.audit(&[], &AuditScope::Everything, NOW).lost, 1);
    ledger.placed(2, 0, &order(6, Status::Placed, 1));
    let list = [listed(5, 1, Status::Rejected, 2), listed(6, 2, Status::Cancelled, 2)];
    assert_eq!(ledger.audit(&list, &AuditScope::Everything, NOW), Audit { lost: 1, ..Audit::default() });
}

#[test]
fn an_order_without_a_deadline_ahead_or_a_member_who_moves_it_is_stuck() {
    let mut ledger = ledger();
    ledger.placed(1, 0, &order(5, Status::Placed, 1));
    (0..DEVICES).for_each(|device| ledger.heard(device, 0, &order(5, Status::Placed, 1)));
    let ahead = Some(NOW.plus(Duration::from_secs(1)));
    let just_over = Some(NOW.minus(Duration::from_secs(4)));
    let long_over = Some(NOW.minus(Duration::from_secs(5)));
    for (status, deadline_at, stuck, live) in [
        (Status::Placed, ahead, 0, 1),
        (Status::Placed, just_over, 0, 1),
        (Status::Placed, long_over, 1, 0),
        (Status::Placed, None, 1, 0),
        (Status::PendingPayment, None, 1, 0),
        (Status::Ready, None, 0, 1),
        (Status::Ready, long_over, 1, 0),
        (Status::Cancelled, long_over, 0, 0),
    ] {
        let one = Listed { deadline_at, ..listed(5, 1, status, 1) };
        let audit = ledger.audit(&[one], &AuditScope::Everything, NOW);
        assert_eq!(audit, Audit { stuck, live, ..Audit::default() }, "{status} {deadline_at:?}");
    }
}

#[test]
fn an_order_that_nobody_answered_ends_like_any_other_and_is_counted() {
    let mut ledger = ledger();
    ledger.placed(1, 0, &order(5, Status::Placed, 1));
    let unanswered = EndedReason { code: EndedCode::Unanswered, text: None };
    let ended = OrderEvent { ended_reason: Some(unanswered), ..order(5, Status::Cancelled, 2) };
    for device in 0..DEVICES {
        ledger.heard(device, 0, &order(5, Status::Placed, 1));
        ledger.acked(device, 0, &order(5, Status::Placed, 1));
        (0..3).for_each(|_| ledger.rang(&OrderNudge { order_id: id(5) }));
        ledger.heard(device, 0, &ended);
    }
    let totals = ledger.totals();
    assert_eq!((totals.unanswered, totals.rang_again, ledger.alerts.counts().rings_heard), (1, 1, 6));
    assert!(ledger.is_settled());
    let list = [listed(5, 1, Status::Cancelled, 2)];
    assert_eq!(ledger.audit(&list, &AuditScope::Everything, NOW), Audit::default());
}

#[test]
fn pauses_are_counted_by_their_causes_when_they_begin_and_when_they_end() {
    let mut ledger = ledger();
    let change = |causes: &[PauseCause]| {
        let view = |cause: &PauseCause| PauseView { cause: cause.to_string(), since: NOW, until: None };
        BusinessChange { pauses: causes.iter().map(view).collect() }
    };
    ledger.alerts.changed(1, &change(&[PauseCause::Unanswered]));
    ledger.alerts.changed(2, &change(&[PauseCause::Unreachable]));
    ledger.alerts.changed(1, &change(&[PauseCause::Unanswered, PauseCause::Manual]));
    ledger.alerts.changed(1, &change(&[PauseCause::Unanswered, PauseCause::Manual]));
    assert_eq!((ledger.alerts.counts().paused, ledger.alerts.counts().resumed), (3, 0));
    ledger.alerts.changed(2, &change(&[]));
    ledger.alerts.changed(1, &change(&[PauseCause::Unanswered]));
    assert_eq!((ledger.alerts.counts().paused, ledger.alerts.counts().resumed), (3, 2));
}

#[test]
fn one_key_with_two_orders_is_doubled_whoever_shows_it() {
    let mut ledger = ledger();
    run_through(&mut ledger, 5, 1);
    let both = [listed(5, 1, Status::Rejected, 2), listed(6, 1, Status::Placed, 1)];
    assert_eq!(ledger.audit(&both, &AuditScope::Everything, NOW), Audit { doubled: 1, ..Audit::default() });
    ledger.placed(1, 0, &order(6, Status::Placed, 1));
    assert_eq!(
        ledger.audit(&both, &AuditScope::Everything, NOW).doubled,
        1,
        "the same second order counts once"
    );
    ledger.placed(1, 0, &order(5, Status::Placed, 1));
    assert_eq!(
        ledger.audit(&both, &AuditScope::Everything, NOW).doubled,
        1,
        "the first answer again is no double"
    );
}

#[test]
fn an_event_heard_twice_and_one_never_heard_are_told() {
    let mut ledger = ledger();
    run_through(&mut ledger, 5, 1);
    ledger.heard(1, 0, &order(5, Status::Placed, 1));
    ledger.missed(3);
    let audit = ledger.audit(&[listed(5, 1, Status::Rejected, 3)], &AuditScope::Everything, NOW);
    assert_eq!(audit, Audit { doubled: 1, missed: 3 + DEVICES as u64, ..Audit::default() });
}

#[test]
fn one_device_takes_an_order_in_hand() {
    let mut ledger = ledger();
    assert!(!ledger.claim(id(5)), "nobody heard of it");
    ledger.heard(0, 0, &order(5, Status::Placed, 1));
    assert!(ledger.claim(id(5)));
    assert!(!ledger.claim(id(5)));
}

#[test]
fn nothing_is_settled_while_a_customer_waits_for_an_answer() {
    let mut ledger = ledger();
    ledger.ask();
    assert!(!ledger.is_settled());
    ledger.answered();
    assert!(ledger.is_settled());
}

#[test]
fn orders_of_visitors_are_shown_and_not_counted() {
    let mut ledger = ledger();
    ledger.heard(0, 3, &order(5, Status::Placed, 1));
    ledger.heard(0, 3, &order(5, Status::Accepted, 2));
    assert_eq!(ledger.totals(), Totals::default());
    let number = "005".to_owned();
    let shown =
        OrderLine { id: id(5), rung: false, acked: false, number, business: 3, status: Status::Accepted };
    assert_eq!(ledger.recent(), [shown]);
    assert_eq!(ledger.audit(&[], &AuditScope::Everything, NOW), Audit::default());
}

#[test]
fn only_settled_orders_are_forgotten_and_the_books_stay_bounded() {
    let mut ledger = ledger();
    for n in 1..=(MAX_KEPT as u64 + 10) {
        run_through(&mut ledger, u128::from(n), n);
    }
    assert_eq!(ledger.orders.len(), MAX_KEPT);
    assert_eq!((ledger.keys.len(), ledger.floor()), (MAX_KEPT, id(11)));
    assert!(ledger.is_settled() && ledger.has_room());
    ledger.heard(0, 0, &order(5, Status::Rejected, 2));
    assert_eq!(ledger.orders.len(), MAX_KEPT, "a forgotten order does not come back");
    for n in 0..MAX_OPEN {
        ledger.placed(1_000_000 + n, 0, &order(1_000_000 + u128::from(n), Status::Placed, 1));
    }
    assert!(!ledger.has_room());
}

#[test]
fn whoever_leaves_early_leaves_what_is_open_unjudged_and_only_that() {
    let mut ledger = ledger();
    run_through(&mut ledger, 5, 1);
    ledger.placed(2, 0, &order(6, Status::Placed, 1));
    let both = [listed(5, 1, Status::Rejected, 2), listed(6, 2, Status::Placed, 1)];
    assert_eq!(ledger.audit(&both, &ledger.settled(), NOW), Audit { left: 1, ..Audit::default() });
    assert_eq!(ledger.audit(&both, &AuditScope::Everything, NOW).lost, 1, "no device heard of it");
    let audit = ledger.audit(&both[1..], &ledger.settled(), NOW);
    assert_eq!((audit.lost, audit.left), (1, 1), "a settled one that the hub lacks is lost all the same");
}

fn moved_money(n: u128, amount_minor: i64) -> MoneyMoved {
    MoneyMoved { order_id: id(n), amount_minor }
}

/// An order that is paid online waits for its payment, and the provider captures it.
fn captured(n: u128, key: u64) -> Ledger {
    let mut ledger = ledger();
    ledger.placed(key, 0, &order(n, Status::PendingPayment, 1));
    ledger.pays_online(id(n));
    ledger.captured(id(n), 500);
    ledger
}

#[test]
fn an_order_that_was_never_placed_is_settled_once_its_money_has_gone_back() {
    let mut ledger = captured(5, 1);
    (0..DEVICES).for_each(|device| ledger.heard(device, 0, &order(5, Status::Cancelled, 2)));
    for (flow, is_settled) in [(Flow::Received, false), (Flow::Refunded, true)] {
        (0..DEVICES).for_each(|device| ledger.heard_of_money(device, flow, moved_money(5, 500)));
        assert_eq!(ledger.is_settled(), is_settled, "{flow:?}");
    }
    let audit = ledger.audit(&[listed(5, 1, Status::Cancelled, 2)], &AuditScope::Everything, NOW);
    let money = Money { online: 1, captured_minor: 500, refunded_minor: 500, owed_minor: 0, wrong: 0 };
    assert_eq!(audit, Audit { money, ..Audit::default() });
}

#[test]
fn money_that_was_not_received_or_is_not_owed_and_stays_is_found() {
    let delivered = |ledger: &mut Ledger| {
        for device in 0..DEVICES {
            ledger.heard(device, 0, &order(5, Status::Placed, 2));
            ledger.acked(device, 0, &order(5, Status::Placed, 2));
            ledger.heard(device, 0, &order(5, Status::Delivered, 3));
        }
    };
    let wrong = |ledger: &Ledger| ledger.money(true).wrong;
    let mut missing = captured(5, 1);
    delivered(&mut missing);
    assert_eq!(wrong(&missing), 1, "the hub says nothing of the money");
    missing.heard_of_money(0, Flow::Received, moved_money(5, 500));
    assert_eq!((wrong(&missing), missing.is_settled()), (0, true), "one device has heard of it");
    missing.captured(id(5), 500);
    assert_eq!((wrong(&missing), missing.is_settled()), (1, false), "it was paid twice");
    missing.heard_of_money(0, Flow::Received, moved_money(5, 500));
    assert_eq!(wrong(&missing), 1, "and nothing went back");
    missing.heard_of_money(1, Flow::Refunded, moved_money(5, 500));
    assert_eq!((wrong(&missing), missing.is_settled()), (0, true));
    missing.heard_of_money(1, Flow::Refunded, moved_money(5, 500));
    assert_eq!(wrong(&missing), 1, "it went back twice");
}

#[test]
fn orders_whose_cash_nobody_took_are_counted_from_the_list() {
    let uncollected = Listed { payment: PaymentStatus::Uncollected, ..listed(6, 2, Status::Failed, 4) };
    let list = [listed(5, 1, Status::Delivered, 4), uncollected];
    assert_eq!(ledger().audit(&list, &AuditScope::Everything, NOW).uncollected, 1);
}
