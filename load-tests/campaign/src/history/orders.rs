//! Orders: each wish came to one order or to none, and no confirmed move is lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{History, StoredOrder, Violation};

/// The statuses from which nothing moves on by itself.
pub(crate) const ENDS: [&str; 4] = ["delivered", "rejected", "cancelled", "failed"];

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = of_wishes(history);
    found.extend(of_numbers(history));
    found.extend(of_moves(history));
    found.extend(of_announcements(history));
    found
}

fn of_wishes(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut by_key: HashMap<&str, Vec<&str>> = HashMap::new();
    for order in &history.orders {
        by_key.entry(&order.key).or_default().push(&order.id);
    }
    let mut wished: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for wish in &history.wishes {
        let stored = by_key.remove(wish.key.as_str()).unwrap_or_default();
        let told: BTreeSet<&str> = wish.orders.iter().map(String::as_str).collect();
        let (key, owned) = (wish.key.clone(), |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect());
        if told.len() > 1 {
            let orders = told.iter().map(|id| (*id).to_owned()).collect();
            found.push(Violation::AnsweredDifferently { key: key.clone(), orders });
        }
        for order in told {
            wished.entry(order).or_default().push(key.clone());
            if !stored.contains(&order) {
                found.push(Violation::OrderLost { key: key.clone(), order: order.to_owned() });
            }
        }
        if stored.len() > 1 {
            found.push(Violation::OrderDoubled { key: key.clone(), orders: owned(&stored) });
        }
        if let (Some(refused), [order, ..]) = (&wish.refused, stored.as_slice()) {
            let (refused, order) = (refused.clone(), (*order).to_owned());
            found.push(Violation::RefusedAndStored { key, refused, order });
        }
    }
    for (order, keys) in wished {
        if keys.len() > 1 {
            found.push(Violation::OneOrderForTwoKeys { order: order.to_owned(), keys });
        }
    }
    for (key, orders) in by_key {
        let nobody =
            |order: &&str| Violation::NobodyAsked { key: key.to_owned(), order: (*order).to_owned() };
        found.extend(orders.iter().map(nobody));
    }
    found
}

fn of_numbers(history: &History) -> Vec<Violation> {
    let mut numbers: BTreeMap<(&str, (i64, i64)), Vec<String>> = BTreeMap::new();
    for order in &history.orders {
        numbers.entry((&order.business, order.number)).or_default().push(order.id.clone());
    }
    let twice = numbers.into_iter().filter(|(_, orders)| orders.len() > 1);
    let violation = |((business, (_, number)), orders): ((&str, _), _)| Violation::NumberTwice {
        business: business.to_owned(),
        number,
        orders,
    };
    twice.map(violation).collect()
}

fn of_moves(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for order in &history.orders {
        found.extend(follow(order));
        if !ENDS.contains(&order.status.as_str()) {
            found.push(Violation::NotAtAnEnd { order: order.id.clone(), status: order.status.clone() });
        }
    }
    let orders: HashMap<&str, &StoredOrder> =
        history.orders.iter().map(|order| (order.id.as_str(), order)).collect();
    for told in &history.confirmed {
        let moves = orders.get(told.order.as_str()).map(|order| order.moves.as_slice()).unwrap_or_default();
        let is_it = |made: &super::StoredMove| made.version == told.version && made.to == told.status;
        if !moves.iter().any(is_it) {
            let (order, status) = (told.order.clone(), told.status.clone());
            found.push(Violation::MoveLost { order, version: told.version, status });
        }
    }
    found
}

/// Each transition begins where the one before ended, with the next version, and the last one is where the order stands.
fn follow(order: &StoredOrder) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut differ = |after: String, next: String| {
        if after != next {
            found.push(Violation::MovesDoNotFollow { order: order.id.clone(), after, next });
        }
    };
    let (mut status, mut version) = (None, 0);
    for made in &order.moves {
        version += 1;
        let words = |status: &Option<String>, version: i64| format!("{version} from {status:?}");
        differ(words(&status, version), words(&made.from, made.version));
        (status, version) = (Some(made.to.clone()), made.version);
    }
    differ(format!("{status:?}"), format!("{:?}", Some(&order.status)));
    found
}

/// The room of the business heard once of each order that was placed, and never of another.
fn of_announcements(history: &History) -> Vec<Violation> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for room in history.rooms.iter().filter(|room| room.room.starts_with("business:")) {
        for event in room.events.iter().filter(|event| event.kind == "order_created") {
            if let Some(order) = event.data["order_id"].as_str() {
                *times.entry(order).or_default() += 1;
            }
        }
    }
    let mut found = Vec::new();
    for order in &history.orders {
        let placed = order.moves.iter().any(|made| made.to == "placed");
        let times = times.get(order.id.as_str()).copied().unwrap_or_default();
        if times != usize::from(placed) {
            found.push(Violation::Announced { order: order.id.clone(), times, placed });
        }
    }
    found
}
