//! Planted faults: the checker finds each of them, and nothing in a history that is whole.

use serde_json::json;

use super::*;

fn at(seq: u64) -> Cursor {
    Cursor { epoch: 7, seq }
}

fn event(seq: u64, kind: &str, data: Value) -> StoredEvent {
    StoredEvent { at: at(seq), id: format!("e{seq}"), kind: kind.to_owned(), data }
}

fn seen(seq: u64) -> Seen {
    Seen::Event { at: at(seq), id: format!("e{seq}") }
}

fn order(n: i64, moves: &[&str]) -> StoredOrder {
    let mut from = None;
    let moves = (1..).zip(moves).map(|(version, to)| {
        let made = StoredMove { version, from: from.take(), to: (*to).to_owned() };
        from = Some((*to).to_owned());
        made
    });
    let moves: Vec<StoredMove> = moves.collect();
    StoredOrder {
        id: format!("o{n}"),
        business: "b".to_owned(),
        number: (1, n),
        key: format!("k{n}"),
        status: moves.last().unwrap().to.clone(),
        ended_code: None,
        version: moves.len() as i64,
        total_minor: 500,
        moves,
    }
}

fn payment(id: &str, order: &str, counts: bool, money: [i64; 2]) -> (StoredPayment, (String, HeldPayment)) {
    let [captured_minor, refunded_minor] = money;
    let returned = if refunded_minor > 0 { vec![(format!("r-{id}"), refunded_minor)] } else { Vec::new() };
    let held = HeldPayment { order: order.to_owned(), captured_minor, returned };
    let (id, order, state) = (id.to_owned(), order.to_owned(), "succeeded".to_owned());
    (StoredPayment { id: id.clone(), order, state, counts, captured_minor, refunded_minor }, (id, held))
}

fn offer(id: &str, driver: &str, attempt: i64, state: &str) -> StoredOffer {
    let (id, delivery, driver) = (id.to_owned(), "d1".to_owned(), driver.to_owned());
    StoredOffer { id, delivery, driver, attempt, state: state.to_owned() }
}

/// Two orders: the first delivered by a driver, the second paid twice, cancelled and given back.
fn whole() -> History {
    let updated = |driver: Option<&str>| {
        let driver = driver.map_or(Value::Null, |id| json!({"id": id}));
        json!({"order_id": "o1", "delivery_id": "d1", "driver": driver})
    };
    let events = vec![
        event(1, "order_created", json!({"order_id": "o1"})),
        event(2, "order_created", json!({"order_id": "o2"})),
        event(3, "delivery_updated", updated(Some("ann"))),
        event(4, "delivery_updated", updated(None)),
        event(5, "delivery_updated", updated(Some("bob"))),
    ];
    let room = StoredRoom { room: "business:b".to_owned(), head: at(5), events };
    let log = |client: &str, seen: Vec<Seen>| ClientLog {
        client: client.to_owned(),
        room: "business:b".to_owned(),
        seen,
        until_end: true,
    };
    let back = vec![
        Seen::Follows(at(0)),
        seen(1),
        seen(2),
        Seen::Follows(at(2)),
        seen(2),
        seen(3),
        seen(4),
        seen(5),
    ];
    let late = vec![Seen::Follows(at(2)), seen(3), seen(4), seen(5)];
    let wish =
        |n: u32| Wish { key: format!("k{n}"), orders: vec![format!("o{n}"), format!("o{n}")], refused: None };
    let paid = [payment("p1", "o2", true, [500, 500]), payment("p2", "o2", false, [500, 500])];
    let (payments, held): (Vec<_>, Vec<_>) = paid.into_iter().unzip();
    let delivery = StoredDelivery {
        id: "d1".to_owned(),
        order: "o1".to_owned(),
        driver: Some("bob".to_owned()),
        counts: true,
    };
    let refused =
        Wish { key: "k3".to_owned(), refused: Some("business_paused".to_owned()), ..Wish::default() };
    History {
        clients: vec![log("till", back), log("late", late)],
        rooms: vec![room],
        wishes: vec![wish(1), wish(2), refused],
        confirmed: vec![Confirmed { order: "o1".to_owned(), version: 2, status: "accepted".to_owned() }],
        orders: vec![
            order(1, &["placed", "accepted", "delivered"]),
            order(2, &["pending_payment", "placed", "cancelled"]),
        ],
        payments,
        held: held.into_iter().collect(),
        offers: vec![offer("f1", "ann", 1, "accepted"), offer("f2", "bob", 2, "accepted")],
        deliveries: vec![delivery],
        drivers: vec![StoredDriver { id: "bob".to_owned(), active: 1, capacity: 2 }],
        taken: vec![Taken { driver: "bob".to_owned(), offer: "f2".to_owned(), delivery: "d1".to_owned() }],
    }
}

#[track_caller]
fn planted(change: impl FnOnce(&mut History), is_it: impl Fn(&Violation) -> bool) {
    let mut history = whole();
    change(&mut history);
    let found = history.violations();
    assert!(found.iter().any(is_it), "not found; there is {found:?}");
}

#[test]
fn a_whole_history_has_no_violations() {
    assert_eq!(whole().violations(), []);
}

#[test]
fn a_fault_in_the_rooms_of_the_store_is_found() {
    planted(|h| drop(h.rooms[0].events.remove(2)), |v| matches!(v, Violation::HoleInRoom { next: 4, .. }));
    planted(
        |h| h.rooms[0].head = at(6),
        |v| matches!(v, Violation::HeadWithoutEvent { head: 6, last: 5, .. }),
    );
    planted(
        |h| h.rooms[0].events[3].id = "e1".to_owned(),
        |v| matches!(v, Violation::EventNumberedTwice { id, .. } if id == "e1"),
    );
    let rotated = |h: &mut History| h.rooms[0].head = Cursor { epoch: 8, seq: 0 };
    planted(rotated, |v| matches!(v, Violation::EpochChanged { .. }));
    let renumbered = |h: &mut History| h.rooms[0].events[4].at.epoch = 8;
    planted(renumbered, |v| matches!(v, Violation::EpochChanged { .. }));
}

#[test]
fn a_fault_in_what_a_client_saw_is_found() {
    planted(|h| drop(h.clients[1].seen.remove(2)), |v| matches!(v, Violation::Skipped { .. }));
    planted(|h| h.clients[1].seen.swap(2, 3), |v| matches!(v, Violation::Skipped { .. }));
    planted(|h| drop(h.clients[1].seen.pop()), |v| matches!(v, Violation::NotToTheEnd { .. }));
    planted(|h| h.clients[1].seen.clear(), |v| matches!(v, Violation::NotToTheEnd { at: None, .. }));
    planted(|h| drop(h.clients[1].seen.remove(0)), |v| matches!(v, Violation::NoStart { .. }));
    let resync = |h: &mut History| h.clients[0].seen[6] = Seen::Resync(at(4));
    planted(resync, |v| matches!(v, Violation::NeedlessResync { .. }));
    let silent = |h: &mut History| drop(h.clients[0].seen.remove(6));
    planted(silent, |v| matches!(v, Violation::Skipped { .. }));
    let elsewhere = |h: &mut History| h.clients[0].seen[3] = Seen::Follows(at(3));
    planted(elsewhere, |v| matches!(v, Violation::ResumedElsewhere { .. }));
    let mut earlier = whole();
    earlier.clients[0].seen[3] = Seen::Follows(at(1));
    assert_eq!(earlier.violations(), [], "what comes again is dropped");
    let another = |h: &mut History| h.clients[0].seen[4] = Seen::Event { at: at(2), id: "x".to_owned() };
    planted(another, |v| matches!(v, Violation::PositionWithTwoEvents { .. }));
    let unstored = |h: &mut History| h.clients[1].seen[3] = Seen::Event { at: at(5), id: "x".to_owned() };
    planted(unstored, |v| matches!(v, Violation::NotStored { .. }));
    let rotated = |h: &mut History| {
        h.clients[1].seen[3] = Seen::Event { at: Cursor { epoch: 8, seq: 1 }, id: "e5".to_owned() };
    };
    planted(rotated, |v| matches!(v, Violation::OtherHistory { .. }));
}

#[test]
fn a_resync_is_right_where_the_history_is_another_one() {
    let mut history = whole();
    let before = Cursor { epoch: 6, seq: 40 };
    history.clients[1].seen.splice(0..1, [Seen::Follows(before), Seen::Resync(at(2))]);
    assert_eq!(history.violations(), []);
}

#[test]
fn a_fault_in_orders_is_found() {
    planted(|h| drop(h.orders.remove(0)), |v| matches!(v, Violation::OrderLost { .. }));
    let doubled = |h: &mut History| {
        let again = StoredOrder { id: "o9".to_owned(), number: (1, 9), ..h.orders[0].clone() };
        h.orders.push(again);
    };
    planted(doubled, |v| matches!(v, Violation::OrderDoubled { key, .. } if key == "k1"));
    planted(
        |h| h.wishes[0].orders[1] = "o2".to_owned(),
        |v| matches!(v, Violation::AnsweredDifferently { .. }),
    );
    planted(
        |h| h.wishes[2].orders.push("o1".to_owned()),
        |v| matches!(v, Violation::OneOrderForTwoKeys { .. }),
    );
    let refused = |h: &mut History| h.wishes[0].refused = Some("internal".to_owned());
    planted(refused, |v| matches!(v, Violation::RefusedAndStored { .. }));
    planted(|h| drop(h.wishes.remove(0)), |v| matches!(v, Violation::NobodyAsked { .. }));
    planted(|h| h.orders[1].number = (1, 1), |v| matches!(v, Violation::NumberTwice { .. }));
    planted(|h| h.confirmed[0].version = 9, |v| matches!(v, Violation::MoveLost { .. }));
    let undone = |h: &mut History| h.orders[0].moves[1].to = "preparing".to_owned();
    planted(undone, |v| matches!(v, Violation::MovesDoNotFollow { .. }));
    planted(|h| h.orders[0].moves[1].version = 3, |v| matches!(v, Violation::MovesDoNotFollow { .. }));
    let open = |h: &mut History| h.orders[0].status = "ready".to_owned();
    planted(open, |v| matches!(v, Violation::NotAtAnEnd { .. }));
    let silent = |h: &mut History| h.rooms[0].events[1].kind = "notification".to_owned();
    planted(silent, |v| matches!(v, Violation::Announced { times: 0, placed: true, .. }));
    let again = |h: &mut History| h.rooms[0].events[1].data = json!({"order_id": "o1"});
    planted(again, |v| matches!(v, Violation::Announced { times: 2, .. }));
}

#[test]
fn a_fault_in_money_is_found() {
    let books = |h: &mut History| h.payments[0].captured_minor = 0;
    planted(books, |v| matches!(v, Violation::BooksDiffer { captured: [0, 500], .. }));
    let twice = |h: &mut History| {
        let held = h.held.get_mut("p1").unwrap();
        held.returned.push(("r-p1".to_owned(), 500));
    };
    planted(twice, |v| matches!(v, Violation::RefundedTwice { .. }));
    planted(twice, |v| matches!(v, Violation::MoneyWrong { keeps: -500, owes: 0, .. }));
    planted(|h| drop(h.payments.remove(1)), |v| matches!(v, Violation::UnknownPayment { .. }));
    let kept = |h: &mut History| {
        h.held.get_mut("p2").unwrap().returned.clear();
        h.payments[1].refunded_minor = 0;
    };
    planted(kept, |v| matches!(v, Violation::MoneyWrong { keeps: 500, owes: 0, .. }));
    let served = |h: &mut History| h.orders[1] = order(2, &["pending_payment", "placed", "delivered"]);
    planted(served, |v| matches!(v, Violation::MoneyWrong { keeps: 0, owes: 500, .. }));
}

#[test]
fn a_fault_in_deliveries_is_found() {
    let two = |h: &mut History| h.offers[0].attempt = 2;
    planted(two, |v| matches!(v, Violation::AssignedTwice { attempt: 2, .. }));
    let unstored = |h: &mut History| h.offers[1].state = "expired".to_owned();
    planted(unstored, |v| matches!(v, Violation::TakenAndNotStored { .. }));
    let strange = |h: &mut History| h.taken[0].driver = "ann".to_owned();
    planted(strange, |v| matches!(v, Violation::TakenAndNotStored { .. }));
    let second = |h: &mut History| {
        let again = StoredDelivery { id: "d2".to_owned(), ..h.deliveries[0].clone() };
        h.deliveries.push(again);
    };
    planted(second, |v| matches!(v, Violation::TwoDeliveries { .. }));
    planted(|h| h.drivers[0].active = 0, |v| matches!(v, Violation::CapacityWrong { .. }));
    planted(|h| h.drivers[0].capacity = 0, |v| matches!(v, Violation::CapacityWrong { .. }));
    let handed =
        |h: &mut History| h.rooms[0].events[3].data = json!({"delivery_id": "d1", "driver": {"id": "bob"}});
    planted(handed, |v| matches!(v, Violation::HandedOverUnasked { .. }));
}
