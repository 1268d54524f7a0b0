//! The ledger counts each stage of an order, and finds what is lost, doubled or missed.

use uuid::Uuid;

use super::*;

fn id(n: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(n))
}

fn order(n: u128, status: Status, version: i64) -> OrderEvent {
    let fulfilment = Fulfilment::Pickup;
    OrderEvent { id: id(n), order_number: format!("{n:03}"), status, version, fulfilment }
}

fn listed(n: u128, key: u64, status: Status, version: i64) -> Listed {
    Listed { id: id(n), key: Some(key), status, version }
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
    assert_eq!(ledger.audit(&[listed(5, 1, Status::Rejected, 2)], &AuditScope::Everything), Audit::default());
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
fn an_order_that_is_not_listed_not_rung_or_not_ended_is_lost_once() {
    let mut ledger = ledger();
    run_through(&mut ledger, 5, 1);
    assert_eq!(ledger.audit(&[], &AuditScope::Everything).lost, 1);
    assert_eq!(ledger.audit(&[listed(5, 1, Status::Ready, 2)], &AuditScope::Everything).lost, 1);
    ledger.placed(2, 0, &order(6, Status::Placed, 1));
    let list = [listed(5, 1, Status::Rejected, 2), listed(6, 2, Status::Cancelled, 2)];
    assert_eq!(ledger.audit(&list, &AuditScope::Everything), Audit { lost: 1, ..Audit::default() });
}

#[test]
fn one_key_with_two_orders_is_doubled_whoever_shows_it() {
    let mut ledger = ledger();
    run_through(&mut ledger, 5, 1);
    let both = [listed(5, 1, Status::Rejected, 2), listed(6, 1, Status::Placed, 1)];
    assert_eq!(ledger.audit(&both, &AuditScope::Everything), Audit { doubled: 1, ..Audit::default() });
    ledger.placed(1, 0, &order(6, Status::Placed, 1));
    assert_eq!(ledger.audit(&both, &AuditScope::Everything).doubled, 1, "the same second order counts once");
    ledger.placed(1, 0, &order(5, Status::Placed, 1));
    assert_eq!(
        ledger.audit(&both, &AuditScope::Everything).doubled,
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
    let audit = ledger.audit(&[listed(5, 1, Status::Rejected, 3)], &AuditScope::Everything);
    assert_eq!(audit, Audit { lost: 0, doubled: 1, missed: 3 + DEVICES as u64, left: 0 });
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
    assert_eq!(ledger.audit(&[], &AuditScope::Everything), Audit::default());
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
    assert_eq!(ledger.audit(&both, &ledger.settled()), Audit { left: 1, ..Audit::default() });
    assert_eq!(ledger.audit(&both, &AuditScope::Everything).lost, 1);
    let audit = ledger.audit(&both[1..], &ledger.settled());
    assert_eq!((audit.lost, audit.left), (1, 1), "a settled one that the hub lacks is lost all the same");
}
