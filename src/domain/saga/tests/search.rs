//! The search for a driver, and the watch over the one who has it.

use super::*;
use crate::domain::delivery::{Accepted, Candidate, DeliveryStatus, LeaveReason, OrderDelivery, Wave};
use crate::domain::dispatch::{DispatchRules, Driver, GiveUp, Position};
use crate::domain::ids::{DeliveryId, OfferId};
use crate::domain::location::Location;
use crate::domain::order::Address;
use std::collections::{BTreeMap, BTreeSet};

const SHOP: Location = Location { lat: 38.7, lng: -9.1 };

/// So many metres north of the business.
fn north(metres: f64) -> Location {
    Location { lat: SHOP.lat + metres / 111_195.0, lng: SHOP.lng }
}

/// An accepted order with its delivery and its saga, and one driver.
struct Evening {
    clocks: Clocks,
    order: Order,
    delivery: OrderDelivery,
    saga: OrderSaga,
    driver: Driver,
    grace: Option<Grace>,
    cancel_held: bool,
    search_held: bool,
}

impl Evening {
    /// Accepted at the start, ready after so many seconds.
    fn accepted(ready_s: u64, rules: DispatchRules) -> Self {
        let clocks = Clocks { dispatch: rules, ..Clocks::default() };
        let mut order = order(Status::Accepted);
        order.fulfilment = Fulfilment::Delivery;
        order.delivered_by = Some(DeliveredBy::Drivers);
        order.ready_at = Some(at(ready_s));
        order.answered_at = Some(START);
        order.address = Some(Address { text: "Rua 1".to_owned(), location: north(1_000.0) });
        let saga = OrderSaga::begin(&mut order, SagaTerms::default(), &clocks, START);
        let code = "1234".to_owned();
        let delivery = OrderDelivery::begin(DeliveryId::generate(), &order, "centre".to_owned(), code, START);
        let mut driver = Driver::new(UserId::generate(), "Rui".to_owned(), true, START);
        driver.zones = vec!["centre".to_owned()];
        driver.set_online(START).unwrap();
        let (grace, cancel_held, search_held) = (None, false, false);
        let mut evening = Self { clocks, order, delivery, saga, driver, grace, cancel_held, search_held };
        evening.changed(0);
        evening
    }

    fn changed(&mut self, now: u64) {
        let open = self.delivery.offers().iter().filter(|offer| offer.ended_at.is_none());
        let until = open.map(|offer| offer.deadline_at).max();
        self.order.set_delivery(self.delivery.delivery());
        self.saga.delivery_changed(&self.order, self.delivery.delivery(), until, &self.clocks, at(now));
    }

    fn facts(&self) -> DeliveryFacts {
        let grace_until = self.grace.map(|grace| grace.until);
        let open = self.delivery.offers().iter().filter(|offer| offer.ended_at.is_none());
        DeliveryFacts {
            status: self.delivery.delivery().status,
            driver: self.delivery.delivery().driver,
            position: self.driver.position,
            alive_at: self.driver.alive_at,
            may_work: self.driver.approved,
            pickup: SHOP,
            offers_until: open.map(|offer| offer.ends_at(grace_until)).max(),
            held: self.search_held,
        }
    }

    /// Everything of the search that happens until then, each with its second. The saga is stored and read back after each.
    fn until(&mut self, end: u64) -> Vec<(u64, SagaEffect)> {
        let mut seen = Vec::new();
        while let Some(due) = self.saga.next_due().filter(|due| *due <= at(end)) {
            let now = due.since(START).as_secs();
            let facts = Facts {
                delivery: Some(self.facts()),
                grace: self.grace,
                cancel_held: self.cancel_held,
                ..facts(&self.clocks, due)
            };
            let effects = self.saga.fire(&mut self.order, &facts);
            assert!(self.saga.next_due().is_none_or(|next| next > due), "{:?}", self.saga);
            self.saga = serde_json::from_str(&serde_json::to_string(&self.saga).unwrap()).unwrap();
            seen.extend(effects.into_iter().filter(is_of_search).map(|effect| (now, effect)));
            if seen.iter().any(|(_, effect)| *effect == SagaEffect::ExpireOffers) {
                self.expire(now);
            }
        }
        seen
    }

    fn expire(&mut self, now: u64) {
        let mut drivers = BTreeMap::from([(self.driver.user, self.driver.clone())]);
        let grace_until = self.grace.map(|grace| grace.until).filter(|until| *until > at(now));
        self.delivery.expire(&mut drivers, grace_until, &self.clocks.dispatch, at(now));
        self.driver = drivers.remove(&self.driver.user).unwrap();
        self.changed(now);
    }

    /// A wave of this number is opened for the driver.
    fn offer(&mut self, number: u32, now: u64) -> OfferId {
        self.driver.alive_at = Some(at(now));
        let candidate = Candidate { driver: self.driver.user, distance_m: 500, stacked: false };
        let attempt = self.delivery.delivery().attempt;
        let wave = Wave { number, attempt, candidates: vec![candidate], payout_minor: 300, is_cash: false };
        let drivers = BTreeMap::from([(self.driver.user, self.driver.clone())]);
        let (asked, rules) = (BTreeSet::new(), &self.clocks.dispatch);
        self.delivery.open_wave(&wave, &drivers, &asked, OfferId::generate, rules, at(now));
        self.saga.wave_opened(number);
        self.changed(now);
        self.delivery.offers().last().unwrap().id
    }

    fn accept(&mut self, offer: OfferId, now: u64) {
        let accepted = self.delivery.accept(offer, &mut self.driver, None, at(now));
        assert!(matches!(accepted, Ok(Accepted::Now(_))), "{accepted:?}");
        self.changed(now);
    }

    /// The driver is so far from the business.
    fn drive(&mut self, metres: f64, now: u64) {
        self.driver.position = Some(Position { location: north(metres), at: at(now) });
        self.driver.alive_at = Some(at(now));
    }

    fn take_from_driver(&mut self, now: u64) {
        let user = (Party::System, None);
        let left = self.delivery.leave(user, LeaveReason::Stalled, true, Some(&mut self.driver), at(now));
        assert!(left.is_ok());
        self.changed(now);
    }
}

fn is_of_search(effect: &SagaEffect) -> bool {
    match effect {
        SagaEffect::Look { .. }
        | SagaEffect::ExpireOffers
        | SagaEffect::NoDriver
        | SagaEffect::AskDriver
        | SagaEffect::TakeFromDriver
        | SagaEffect::Moved { .. } => true,
        SagaEffect::Alarm(alarm) => matches!(alarm, OpsAlarm::NoDriver | OpsAlarm::DriverSilent),
        _ => false,
    }
}

fn looks(seen: &[(u64, SagaEffect)]) -> Vec<(u64, u32)> {
    let look = |(at, effect): &(u64, SagaEffect)| match effect {
        SagaEffect::Look { wave } => Some((*at, *wave)),
        _ => None,
    };
    seen.iter().filter_map(look).collect()
}

fn seconds_of(seen: &[(u64, SagaEffect)], wanted: SagaEffect) -> Vec<u64> {
    seen.iter().filter(|(_, effect)| *effect == wanted).map(|(at, _)| *at).collect()
}

#[test]
fn the_search_starts_so_that_the_driver_arrives_when_the_food_is_ready() {
    // 1,500 m at 5 m/s and two minutes.
    for (ready, first) in [(1_200, 780), (421, 1), (420, 0), (60, 0)] {
        let mut evening = Evening::accepted(ready, DispatchRules::default());
        let seen = looks(&evening.until(first + 25));
        assert_eq!(seen, [(first, 1), (first + 10, 1), (first + 20, 1)], "ready after {ready} s");
    }
}

#[test]
fn the_search_moves_with_the_time_to_be_ready_until_it_has_begun() {
    let mut evening = Evening::accepted(1_200, DispatchRules::default());
    evening.order.ready_at = Some(at(1_800));
    evening.changed(100);
    assert_eq!(looks(&evening.until(1_380)), [(1_380, 1)], "later");
    evening.order.ready_at = Some(at(3_600));
    evening.changed(1_385);
    assert_eq!(looks(&evening.until(1_390)), [(1_390, 1)], "it has begun");
    let mut evening = Evening::accepted(1_200, DispatchRules::default());
    evening.order.ready_at = Some(at(600));
    evening.changed(50);
    assert_eq!(looks(&evening.until(180)), [(180, 1)], "earlier");
}

#[test]
fn food_that_is_ready_is_searched_for_at_once() {
    let mut evening = Evening::accepted(3_000, DispatchRules::default());
    evening.order.status = Status::Ready;
    evening.changed(60);
    assert_eq!(looks(&evening.until(60)), [(60, 1)]);
}

#[test]
fn a_wave_that_is_ignored_is_followed_by_the_next_at_its_end() {
    let mut evening = Evening::accepted(420, DispatchRules::default());
    assert_eq!(looks(&evening.until(0)), [(0, 1)]);
    evening.offer(1, 1);
    let seen = evening.until(46);
    assert_eq!(seen, [(46, SagaEffect::ExpireOffers), (46, SagaEffect::Look { wave: 2 })]);
    // The pool went on to a wider wave by itself.
    evening.offer(3, 47);
    assert_eq!(looks(&evening.until(92)), [(92, 4)]);
}

#[test]
fn a_declined_offer_is_followed_by_the_next_wave_at_once() {
    let mut evening = Evening::accepted(420, DispatchRules::default());
    evening.until(0);
    let offer = evening.offer(1, 1);
    evening.delivery.decline(offer, &mut evening.driver, None, at(5)).unwrap();
    evening.changed(5);
    assert_eq!(looks(&evening.until(5)), [(5, 2)]);
}

#[test]
fn operators_and_the_business_are_told_once_after_five_minutes_or_when_the_food_is_ready() {
    for (ready, told) in [(1_200, 1_080), (420, 300), (200, 200), (0, 10)] {
        let mut evening = Evening::accepted(ready, DispatchRules::default());
        assert_eq!(seconds_of(&evening.until(2_000), SagaEffect::NoDriver), [told], "ready after {ready} s");
    }
}

#[test]
fn nobody_found_cancels_half_an_hour_after_the_food_was_to_be_ready_and_not_before() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(2_399);
    assert_eq!(evening.order.status, Status::Accepted);
    let seen = evening.until(2_400);
    assert!(matches!(seen.last(), Some((2_400, SagaEffect::Moved { .. }))), "{seen:?}");
    assert_eq!(evening.order.status, Status::Cancelled);
    assert_eq!(evening.order.ended_reason.as_ref().map(|reason| reason.code), Some(EndedCode::NoDriver));
    assert_eq!(evening.saga.search_gives_up_at(), None);
    assert_eq!(looks(&evening.until(10_000)), [], "nobody is looked for any more");
}

#[test]
fn the_end_of_the_search_moves_with_the_time_to_be_ready_and_by_an_operator() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.order.ready_at = Some(at(1_200));
    evening.changed(10);
    assert_eq!(evening.saga.search_gives_up_at(), Some(at(3_000)));
    assert!(evening.saga.extend_search(at(5_000)));
    evening.until(4_999);
    assert_eq!(evening.order.status, Status::Accepted);
    evening.until(5_000);
    assert_eq!(evening.order.status, Status::Cancelled);
}

#[test]
fn a_held_order_is_kept_for_operators_who_are_told_every_five_minutes() {
    let rules = DispatchRules { on_give_up: GiveUp::Hold, ..DispatchRules::default() };
    let mut evening = Evening::accepted(600, rules);
    let seen = evening.until(3_100);
    let told = seconds_of(&seen, SagaEffect::Alarm(OpsAlarm::NoDriver));
    assert_eq!(told, [2_400, 2_700, 3_000]);
    assert_eq!(evening.order.status, Status::Accepted);
    assert!(looks(&seen).last().unwrap().0 > 3_090, "it is searched on");
}

#[test]
fn held_cancels_and_held_searches_wait_and_go_on_afterwards() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.search_held = true;
    assert_eq!(looks(&evening.until(1_000)), []);
    evening.search_held = false;
    assert!(!looks(&evening.until(1_040)).is_empty());
    evening.cancel_held = true;
    evening.until(3_000);
    assert_eq!(evening.order.status, Status::Accepted);
    evening.cancel_held = false;
    evening.until(3_030);
    assert_eq!(evening.order.status, Status::Cancelled);
}

#[test]
fn in_an_outage_nothing_is_given_up_and_nobody_has_ignored_an_offer() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.grace = Some(Grace { outage_ended_at: at(2_500), until: at(2_620) });
    // Nothing was fired meanwhile.
    let due =
        Facts { delivery: Some(evening.facts()), grace: evening.grace, ..facts(&evening.clocks, at(2_500)) };
    let effects = evening.saga.fire(&mut evening.order, &due);
    assert!(!effects.iter().any(|effect| matches!(effect, SagaEffect::Moved { .. })), "{effects:?}");
    assert!(!effects.contains(&SagaEffect::ExpireOffers));
    let grace_until = evening.grace.map(|grace| grace.until);
    let accepted = evening.delivery.accept(offer, &mut evening.driver, grace_until, at(2_600));
    assert!(matches!(accepted, Ok(Accepted::Now(_))), "it can still be accepted: {accepted:?}");
    evening.changed(2_600);
    assert_eq!(evening.order.status, Status::Accepted);
    assert_eq!(evening.driver.ignored, 0);
}

#[test]
fn a_driver_who_has_it_ends_the_search() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 190);
    assert_eq!(evening.saga.search_gives_up_at(), None);
    assert!(!evening.saga.extend_search(at(9_000)));
    for now in (190..900).step_by(30) {
        evening.drive(1_000.0 - now as f64, now);
        assert_eq!(looks(&evening.until(now)), []);
    }
}

#[test]
fn a_silent_driver_is_asked_once_and_a_minute_later_somebody_else_is_searched() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 181);
    evening.drive(900.0, 190);
    let mut seen = Vec::new();
    for now in (190..500).step_by(10) {
        seen.extend(evening.until(now));
        if seconds_of(&seen, SagaEffect::TakeFromDriver).len() == 1 {
            break;
        }
    }
    let asked = seconds_of(&seen, SagaEffect::AskDriver);
    let taken = seconds_of(&seen, SagaEffect::TakeFromDriver);
    assert_eq!((asked.len(), taken.len()), (1, 1), "{seen:?}");
    assert!((310..=330).contains(&asked[0]), "{asked:?}");
    assert_eq!(taken[0], asked[0] + 60);
    let now = taken[0];
    evening.take_from_driver(now);
    assert_eq!(looks(&evening.until(now)), [(now, 1)], "it is offered anew at once");
    assert_eq!(evening.saga.search_gives_up_at(), Some(at(2_400)));
}

#[test]
fn one_who_answers_the_question_keeps_the_delivery() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 181);
    evening.drive(900.0, 190);
    let seen = evening.until(330);
    assert_eq!(seconds_of(&seen, SagaEffect::AskDriver).len(), 1);
    evening.drive(700.0, 340);
    assert!(seconds_of(&evening.until(450), SagaEffect::TakeFromDriver).is_empty());
}

#[test]
fn a_driver_who_comes_no_nearer_is_asked_though_their_device_speaks() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 181);
    let mut seen = Vec::new();
    for now in (190..700).step_by(10) {
        evening.drive(900.0 + (now % 40) as f64, now);
        seen.extend(evening.until(now));
    }
    let asked = seconds_of(&seen, SagaEffect::AskDriver);
    assert!((490..=510).contains(&asked[0]), "{asked:?}");
    assert_eq!(seconds_of(&seen, SagaEffect::TakeFromDriver)[0], asked[0] + 60);
}

#[test]
fn one_who_waits_at_the_business_is_neither_silent_nor_stalled() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 181);
    evening.drive(20.0, 200);
    let mut seen = Vec::new();
    for now in (200..3_000).step_by(60) {
        evening.drive(20.0, now);
        seen.extend(evening.until(now));
    }
    assert_eq!(seen, []);
}

#[test]
fn a_second_search_has_the_same_end_as_the_first_one_after_a_driver_left() {
    let mut evening = Evening::accepted(60, DispatchRules::default());
    evening.until(0);
    let offer = evening.offer(1, 1);
    evening.accept(offer, 2);
    evening.drive(500.0, 10);
    evening.take_from_driver(1_500);
    assert_eq!(evening.saga.search_gives_up_at(), Some(at(3_300)), "a whole search from now on");
    evening.driver = Driver { user: UserId::generate(), ..evening.driver.clone() };
    evening.until(1_500);
    let offer = evening.offer(1, 1_501);
    evening.accept(offer, 1_502);
    evening.take_from_driver(2_500);
    assert_eq!(evening.saga.search_gives_up_at(), Some(at(3_300)), "but only once");
}

#[test]
fn food_under_way_is_taken_from_nobody_and_operators_are_told_once() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 181);
    evening.order.status = Status::PickedUp;
    evening.delivery.follow_order(&evening.order, Party::Admin, Some(&mut evening.driver), at(600));
    assert_eq!(evening.delivery.delivery().status, DeliveryStatus::PickedUp);
    evening.changed(600);
    evening.drive(500.0, 610);
    let seen = evening.until(5_000);
    assert!(seconds_of(&seen, SagaEffect::TakeFromDriver).is_empty());
    assert!(seconds_of(&seen, SagaEffect::AskDriver).is_empty());
    let told = seconds_of(&seen, SagaEffect::Alarm(OpsAlarm::DriverSilent));
    assert_eq!(told.len(), 2, "of the silence, and of the late arrival: {told:?}");
    assert!((790..=840).contains(&told[0]), "{told:?}");
    // 1,000 m at 5 m/s and twenty minutes after it was picked up.
    assert!((2_000..=2_040).contains(&told[1]), "{told:?}");
}

#[test]
fn when_people_are_told_that_nobody_was_found_moves_with_the_start_of_the_search() {
    let told = |evening: &mut Evening| seconds_of(&evening.until(5_000), SagaEffect::NoDriver);
    let mut later = Evening::accepted(1_200, DispatchRules::default());
    later.order.ready_at = Some(at(3_600));
    later.changed(100);
    assert_eq!(told(&mut later), [3_480], "five minutes after it starts");
    let mut ready = Evening::accepted(3_000, DispatchRules::default());
    ready.order.status = Status::Ready;
    ready.changed(60);
    assert_eq!(told(&mut ready), [360], "the food stands there");
}

#[test]
fn food_that_is_put_off_while_a_driver_has_it_is_searched_for_as_long_as_any_other() {
    let mut evening = Evening::accepted(60, DispatchRules::default());
    evening.until(0);
    let offer = evening.offer(1, 1);
    evening.accept(offer, 2);
    evening.drive(500.0, 10);
    evening.order.ready_at = Some(at(3_000));
    evening.changed(20);
    evening.take_from_driver(30);
    assert_eq!(evening.saga.search_gives_up_at(), Some(at(4_800)));
}

#[test]
fn a_driver_who_leaves_when_the_search_was_over_leaves_time_for_another() {
    let mut evening = Evening::accepted(60, DispatchRules::default());
    for (offered, left) in [(0, 1_500), (1_500, 3_400)] {
        evening.until(offered);
        let offer = evening.offer(1, offered + 1);
        evening.accept(offer, offered + 2);
        evening.take_from_driver(left);
        evening.driver = Driver { user: UserId::generate(), ..evening.driver.clone() };
    }
    assert_eq!(evening.saga.search_gives_up_at(), Some(at(3_700)), "as long as until people are told");
}

#[test]
fn a_driver_whose_account_is_suspended_loses_what_is_not_fetched_and_operators_are_told_of_the_rest() {
    for under_way in [false, true] {
        let mut evening = Evening::accepted(600, DispatchRules::default());
        evening.until(180);
        let offer = evening.offer(1, 181);
        evening.accept(offer, 181);
        if under_way {
            evening.order.status = Status::PickedUp;
            evening.delivery.follow_order(&evening.order, Party::Admin, Some(&mut evening.driver), at(190));
            evening.changed(190);
        }
        evening.drive(500.0, 200);
        evening.until(204);
        evening.driver.suspend(at(205));
        assert!(evening.saga.look_at_driver(at(205)));
        let seen = evening.until(230);
        let (taken, told) = (SagaEffect::TakeFromDriver, SagaEffect::Alarm(OpsAlarm::DriverSilent));
        let expected = if under_way { told } else { taken };
        assert_eq!(seconds_of(&seen, expected).first(), Some(&205), "{seen:?}");
        let times = seconds_of(&seen, told).len();
        assert_eq!(times, usize::from(under_way), "operators are told once");
        assert!(!under_way || seconds_of(&seen, taken).is_empty(), "{seen:?}");
    }
}

#[test]
fn a_driver_who_comes_is_looked_at_once_a_minute_at_most() {
    let mut evening = Evening::accepted(600, DispatchRules::default());
    evening.until(180);
    let offer = evening.offer(1, 181);
    evening.accept(offer, 181);
    let mut looks = Vec::new();
    for now in (190..490).step_by(10) {
        evening.drive(4_000.0 - 10.0 * now as f64, now);
        evening.until(now);
        looks.push(evening.saga.next_due().unwrap());
    }
    looks.dedup();
    assert!(looks.len() <= 300 / 60 + 2, "{} writes in five minutes", looks.len());
}
