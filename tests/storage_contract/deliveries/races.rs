//! Many drivers who accept at once, over lanes that know nothing of each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::*;
use bellhop::domain::dispatch::DispatchRules;

const ORDERS: usize = 20;
const DRIVERS: usize = 20;
const ACCEPTS: usize = 200;

/// Rounds of the race; `BELLHOP_RACE_ROUNDS=50` for all of them.
fn rounds() -> u64 {
    std::env::var("BELLHOP_RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

/// The same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end as u64).unwrap()
    }
}

type SharedLane = Arc<Mutex<Box<dyn Lane>>>;

/// What came of an answer.
type Answered = (Offer, Result<DeliveryChanged, AnswerRefusal>);

/// Accepts all of these, some in one transaction, all lanes at once.
async fn race(lanes: &[SharedLane], mut offers: Vec<Offer>, chance: &mut Chance) -> Vec<Answered> {
    let mut running = tokio::task::JoinSet::new();
    while !offers.is_empty() {
        let batch: Vec<Offer> = offers.drain(..offers.len().min(1 + chance.below(6))).collect();
        let lane = lanes[chance.below(lanes.len())].clone();
        running.spawn(async move {
            let accepts = batch.iter().map(|offer| answer(offer, OfferAnswer::Accept)).collect();
            let committed = run(&mut **lane.lock().await, accepts).await;
            let outcomes: Vec<Answered> =
                batch.into_iter().zip(committed.outcomes.iter().map(answered)).collect();
            let again = committed.look_again.into_iter().map(Write::LookAgain).collect::<Vec<_>>();
            if !again.is_empty() {
                run(&mut **lane.lock().await, again).await;
            }
            outcomes
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

/// One winner an order, whom it is told again; everybody else is told that it is taken or that they have no room.
fn judge(answers: &[Answered]) -> BTreeMap<OrderId, UserId> {
    let (mut winners, mut news) = (BTreeMap::new(), 0);
    for (offer, answered) in answers {
        if let Ok(DeliveryChanged { already, .. }) = answered {
            let first = winners.insert(offer.order, offer.driver);
            assert!(first.is_none_or(|first| first == offer.driver), "two have it");
            news += usize::from(!already);
        }
    }
    assert_eq!(news, winners.len(), "each is won once, and heard again after that");
    for (offer, answered) in answers {
        let is_right = match (answered, winners.get(&offer.order)) {
            (Ok(_), Some(winner)) => *winner == offer.driver,
            (Err(AnswerRefusal::Taken), Some(winner)) => *winner != offer.driver,
            (Err(AnswerRefusal::OverCapacity), _) => true,
            _ => false,
        };
        assert!(is_right, "{answered:?} for {offer:?}");
    }
    winners
}

async fn round(store: &TestStore, lanes: &[SharedLane], chance: &mut Chance) {
    let mut guard = lanes[0].lock().await;
    let lane = &mut **guard;
    let worlds = [crate::fixtures::world(lane).await, crate::fixtures::world(lane).await];
    let mut drivers = BTreeMap::new();
    for _ in 0..DRIVERS {
        let capacity = 1 + chance.below(3);
        drivers.insert(driver(lane, u8::try_from(capacity).unwrap()).await, capacity);
    }
    let asked: Vec<UserId> = drivers.keys().copied().collect();
    let mut orders = Vec::new();
    for n in 0..ORDERS {
        let order = ready(&worlds[n % 2], lane).await;
        assert_eq!(opened(&open(store, lane, &order, &asked).await) as usize, DRIVERS);
        orders.push(order);
    }
    let mut offers = Vec::new();
    for driver in &asked {
        offers.extend(store.store.open_offers_of(*driver).await.unwrap().into_iter().map(|(offer, _)| offer));
    }
    drop(guard);
    assert_eq!(offers.len(), ORDERS * DRIVERS);
    // Half of all offers are accepted, in any order, and some of them twice.
    for place in (1..offers.len()).rev() {
        offers.swap(place, chance.below(place + 1));
    }
    offers.truncate(ACCEPTS * 9 / 10);
    for _ in 0..ACCEPTS - offers.len() {
        offers.push(offers[chance.below(offers.len())].clone());
    }
    let winners = judge(&race(lanes, offers.clone(), chance).await);
    let won: Vec<Offer> =
        offers.iter().filter(|one| winners.get(&one.order) == Some(&one.driver)).cloned().collect();
    let again = race(lanes, won, chance).await;
    assert!(again.iter().all(|(_, answered)| matches!(answered, Ok(one) if one.already)), "{again:?}");
    for (driver, capacity) in drivers {
        let carried = store.store.carried_by(driver).await.unwrap();
        let theirs = winners.values().filter(|winner| **winner == driver).count();
        let active = usize::from(driver_now(store, driver).await.active);
        assert!(theirs <= capacity && theirs == active && theirs == carried.len(), "{theirs} {active}");
    }
    for order in orders {
        let delivery = delivery(store, &order).await.delivery;
        assert_eq!(delivery.driver, winners.get(&order.id).copied());
        assert_eq!(delivery.status == DeliveryStatus::Assigned, delivery.driver.is_some());
    }
}

on_every_store! {
    /// 200 accepts of 20 orders by 20 drivers with room for one to three, all at once.
    #[expect(clippy::print_stderr, reason = "deadlocks are counted, not forbidden: the database ends them and the lane tries again")]
    async fn of_all_who_accept_one_has_each_order_and_nobody_too_many(store) {
        let rules = DispatchRules { wave: vec![0], ..DispatchRules::default() };
        store.store.set_clocks(Clocks { dispatch: rules.clone(), ..Clocks::default() });
        let mut lanes = store.lanes().await;
        if store.store.max_lanes() > 1 {
            // Another node, whose lanes share no key with these.
            let other = store.again().await;
            other.set_clocks(Clocks { dispatch: rules, ..Clocks::default() });
            for _ in 0..4 {
                lanes.push(Arc::new(Mutex::new(other.open_lane().await.unwrap())));
            }
        }
        for seed in 1..=rounds() {
            round(&store, &lanes, &mut Chance(seed)).await;
        }
        if store.store.max_lanes() > 1 {
            let deadlocks = store.peek("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await;
            eprintln!("{} rounds, {deadlocks} deadlocks", rounds());
        }
    }
}
