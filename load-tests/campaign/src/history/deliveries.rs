//! Deliveries: one an order, with one driver at a time, who was told so.

use std::collections::{BTreeMap, HashMap};

use super::{History, Violation};

/// The state of an offer that a driver has taken.
const ACCEPTED: &str = "accepted";

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = of_offers(history);
    found.extend(of_drivers(history));
    found.extend(of_hands(history));
    found
}

fn of_offers(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut accepted: BTreeMap<(&str, i64), Vec<String>> = BTreeMap::new();
    let mut by_id = HashMap::new();
    for offer in &history.offers {
        by_id.insert(offer.id.as_str(), offer);
        if offer.state == ACCEPTED {
            accepted.entry((&offer.delivery, offer.attempt)).or_default().push(offer.driver.clone());
        }
    }
    for ((delivery, attempt), drivers) in accepted {
        if drivers.len() > 1 {
            found.push(Violation::AssignedTwice { delivery: delivery.to_owned(), attempt, drivers });
        }
    }
    for taken in &history.taken {
        let offer = by_id.get(taken.offer.as_str());
        let is_it = offer.is_some_and(|offer| {
            offer.state == ACCEPTED && offer.driver == taken.driver && offer.delivery == taken.delivery
        });
        if !is_it {
            let (offer, driver) = (taken.offer.clone(), taken.driver.clone());
            let delivery = taken.delivery.clone();
            found.push(Violation::TakenAndNotStored { offer, driver, delivery });
        }
    }
    let mut of_order: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for delivery in &history.deliveries {
        of_order.entry(&delivery.order).or_default().push(delivery.id.clone());
    }
    for (order, deliveries) in of_order {
        if deliveries.len() > 1 {
            found.push(Violation::TwoDeliveries { order: order.to_owned(), deliveries });
        }
    }
    found
}

fn of_drivers(history: &History) -> Vec<Violation> {
    let mut carried: HashMap<&str, i64> = HashMap::new();
    for delivery in history.deliveries.iter().filter(|delivery| delivery.counts) {
        if let Some(driver) = &delivery.driver {
            *carried.entry(driver).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for driver in &history.drivers {
        let carries = carried.get(driver.id.as_str()).copied().unwrap_or_default();
        if driver.active != carries || carries > driver.capacity {
            let (driver, active, capacity) = (driver.id.clone(), driver.active, driver.capacity);
            found.push(Violation::CapacityWrong { driver, active, carries, capacity });
        }
    }
    found
}

/// As the room of the business heard it, a delivery changes its driver only over a moment without one: in a campaign no operator
/// hands it over.
fn of_hands(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for room in history.rooms.iter().filter(|room| room.room.starts_with("business:")) {
        let mut holders: HashMap<&str, Option<&str>> = HashMap::new();
        for event in room.events.iter().filter(|event| event.kind == "delivery_updated") {
            let Some(delivery) = event.data["delivery_id"].as_str() else { continue };
            let driver = event.data["driver"]["id"].as_str();
            let before = holders.insert(delivery, driver).flatten();
            if let (Some(before), Some(driver)) = (before, driver)
                && before != driver
            {
                let drivers = [before.to_owned(), driver.to_owned()];
                found.push(Violation::HandedOverUnasked { delivery: delivery.to_owned(), drivers });
            }
        }
    }
    found
}
