use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::dispatch::{Driver, OtherJob};
use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::location::Location;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const ZONE: &str = "centre";
const SHOP: Location = Location { lat: 38.7, lng: -9.1 };

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn north(metres: f64) -> Location {
    Location { lat: SHOP.lat + metres / 111_195.0, lng: SHOP.lng }
}

fn driver(n: u128, metres: f64) -> PoolDriver {
    let mut driver = Driver::new(user(n), format!("driver {n}"), true, NOW);
    driver.zones = vec![ZONE.to_owned()];
    driver.set_online(NOW).unwrap();
    driver.position = Some(Position { location: north(metres), at: NOW });
    PoolDriver { driver, jobs: Vec::new(), is_asked: false }
}

fn look() -> LookDue {
    let business = BusinessId::from_uuid(Uuid::from_u128(1));
    LookDue {
        order: OrderId::generate(),
        business,
        zone: ZONE.to_owned(),
        attempt: 4,
        wave: 1,
        payout_minor: 300,
        job: Job {
            business,
            pickup: SHOP,
            dropoff: north(500.0),
            ready_at: NOW,
            is_cash: false,
            radius_m: 0,
            most: 0,
            not: Vec::new(),
            after: Vec::new(),
        },
    }
}

fn pool_with(rules: DispatchRules, drivers: Vec<PoolDriver>) -> PoolState {
    let mut pool = PoolState::new(ZONE.to_owned(), Arc::new(rules));
    assert_eq!(pool.load(), Some(PoolAction::Load));
    assert_eq!(pool.loaded(Some(drivers), NOW), []);
    pool
}

fn pool(drivers: Vec<PoolDriver>) -> PoolState {
    pool_with(DispatchRules::default(), drivers)
}

fn proposal(action: Option<PoolAction>) -> Proposal {
    match action {
        Some(PoolAction::Open(proposal)) => *proposal,
        other => panic!("expected a proposal: {other:?}"),
    }
}

fn proposed(action: Option<PoolAction>) -> (u32, Vec<u128>) {
    let wave = proposal(action).wave.wave;
    (wave.number, wave.candidates.iter().map(|found| found.driver.uuid().as_u128()).collect())
}

#[test]
fn a_look_before_the_drivers_are_read_waits_for_them() {
    let mut pool = PoolState::new(ZONE.to_owned(), Arc::default());
    let (first, second) = (look(), look());
    assert_eq!(pool.look(first.clone(), NOW), Some(PoolAction::Load));
    assert_eq!(pool.look(second.clone(), NOW), None, "they are being read");
    assert_eq!(pool.loaded(None, NOW), [], "the store did not answer");
    assert_eq!(pool.load(), Some(PoolAction::Load));
    let actions = pool.loaded(Some(vec![driver(1, 10.0), driver(2, 20.0)]), NOW);
    let orders: Vec<_> = actions.into_iter().map(|action| proposal(Some(action)).wave.order).collect();
    assert_eq!(orders, [first.order, second.order]);
}

#[test]
fn the_first_wave_whose_radius_has_somebody_is_proposed_with_the_fence_of_the_look() {
    let mut pool = pool(vec![driver(1, 4_000.0), driver(2, 2_500.0)]);
    let due = look();
    let Proposal { wave, .. } = proposal(pool.look(due.clone(), NOW));
    assert_eq!((wave.order, wave.wave.attempt, wave.wave.payout_minor), (due.order, 4, 300));
    assert_eq!(wave.wave.number, 2);
    let later = LookDue { wave: 3, ..look() };
    assert_eq!(proposed(pool.look(later, NOW)), (3, vec![1]), "the other one is being asked");
    assert_eq!(pool.look(look(), NOW), None, "nobody is left in the widest radius");
    assert_eq!(pool.look(LookDue { wave: 9, ..look() }, NOW), None);
}

#[test]
fn who_did_not_answer_is_proposed_again_when_no_radius_has_anybody_else() {
    let again = |wave| {
        let due = look();
        LookDue { wave, job: Job { after: vec![user(1)], ..due.job }, ..due }
    };
    let near_and_far = || pool(vec![driver(1, 10.0), driver(2, 4_000.0)]);
    assert_eq!(proposed(near_and_far().look(again(2), NOW)), (3, vec![2, 1]), "the other one first");
    assert_eq!(proposed(near_and_far().look(look(), NOW)), (1, vec![1]), "for another order");
    assert_eq!(proposed(pool(vec![driver(1, 10.0)]).look(again(2), NOW)), (2, vec![1]));
}

#[test]
fn drivers_who_are_off_full_silent_or_of_another_zone_are_not_proposed() {
    for (what, change) in [
        ("off", (|driver: &mut Driver| driver.online = false) as fn(&mut Driver)),
        ("not approved", |driver| driver.approved = false),
        ("of another zone", |driver| driver.zones = vec!["harbour".to_owned()]),
        ("full by the row", |driver| driver.active = 1),
        ("silent", |driver| driver.alive_at = Some(NOW.minus(Duration::from_secs(91)))),
        ("without a sign of life", |driver| driver.alive_at = None),
        ("without a position", |driver| driver.position = None),
    ] {
        let mut other = driver(1, 10.0);
        change(&mut other.driver);
        assert_eq!(pool(vec![other.clone()]).look(look(), NOW), None, "{what}");
        let mut changed = pool(vec![driver(1, 10.0)]);
        other.driver.updated_at = later(1);
        changed.changed(std::slice::from_ref(&other), NOW);
        let has_moved = matches!(what, "silent" | "without a sign of life" | "without a position");
        assert_eq!(changed.look(look(), NOW).is_none(), !has_moved, "{what}, by another node");
        let mut written = pool(vec![driver(1, 10.0)]);
        written.written(&DriverNow { driver: other.driver, is_asked: false }, NOW);
        assert_eq!(written.look(look(), NOW).is_none(), !has_moved, "{what}, by this node");
    }
}

#[test]
fn two_searches_at_once_are_given_different_drivers() {
    let mut pool = pool(vec![driver(1, 10.0), driver(2, 20.0), driver(3, 30.0)]);
    let first: Vec<_> = (0..3).map(|_| proposed(pool.look(look(), NOW)).1[0]).collect();
    assert_eq!(first, [1, 2, 3]);
    assert_eq!(pool.look(look(), NOW), None);
}

#[test]
fn a_driver_is_asked_until_the_offer_is_over_or_its_end_was_missed() {
    let mut pool = pool(vec![driver(1, 10.0)]);
    let opened = proposal(pool.look(look(), NOW));
    pool.asked(user(1), NOW);
    assert_eq!(pool.opened(opened, Some(1), NOW), None);
    assert_eq!(pool.look(look(), NOW), None);
    pool.unasked(user(1), NOW);
    assert_eq!(proposed(pool.look(look(), NOW)), (1, vec![1]));
    let mut lost = pool_with(DispatchRules::default(), vec![driver(1, 10.0)]);
    lost.asked(user(1), NOW);
    lost.moved(user(1), Position { location: north(9.0), at: later(70) }, later(70));
    assert_eq!(lost.look(look(), later(74)), None);
    assert_eq!(proposed(lost.look(look(), later(75))), (1, vec![1]), "45 s, and 30 s more");
}

#[test]
fn who_was_proposed_in_vain_is_free_for_others_at_once() {
    let mut pool = pool(vec![driver(1, 10.0)]);
    for answer in [None, Some(0)] {
        let opened = proposal(pool.look(look(), NOW));
        assert_eq!(pool.look(look(), NOW), None, "being written");
        let again = pool.opened(opened, answer, NOW);
        assert_eq!(again, answer.map(|_| PoolAction::Load), "read anew where the store said that nobody can");
        if answer.is_some() {
            let actions = pool.loaded(Some(vec![driver(1, 10.0)]), NOW);
            let second = proposal(actions.into_iter().next());
            assert_eq!(pool.opened(second, Some(0), NOW), None, "not for ever");
        }
    }
    assert_eq!(proposed(pool.look(look(), NOW)), (1, vec![1]));
}

#[test]
fn some_are_in_reserve_for_those_whom_the_store_knows_better() {
    let drivers = (1..10).map(|n| driver(n, 10.0 * n as f64)).collect();
    let mut pool = pool(drivers);
    assert_eq!(proposed(pool.look(look(), NOW)), (1, vec![1, 2, 3, 4]));
    assert_eq!(proposed(pool.look(look(), NOW)), (1, vec![2, 3, 4, 5]), "who is in reserve is not taken");
    assert_eq!(proposed(pool.look(LookDue { wave: 3, ..look() }, NOW)).1, [3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_broadcast_asks_everybody_however_many_offers_they_have() {
    let rules = DispatchRules { wave: vec![0], ..DispatchRules::default() };
    let drivers = vec![driver(1, 10.0), driver(2, 20.0)];
    let mut pool = pool_with(rules, drivers);
    for _ in 0..3 {
        assert_eq!(proposed(pool.look(look(), NOW)), (1, vec![1, 2]));
    }
}

#[test]
fn what_is_older_than_what_is_known_changes_nothing() {
    let mut newer = driver(1, 10.0);
    newer.driver.updated_at = later(5);
    let mut pool = pool(vec![newer]);
    let mut off = driver(1, 10.0);
    off.driver.online = false;
    pool.changed(std::slice::from_ref(&off), NOW);
    pool.written(&DriverNow { driver: off.driver.clone(), is_asked: false }, NOW);
    pool.moved(user(1), Position { location: north(9_000.0), at: NOW }, NOW);
    assert_eq!(proposed(pool.look(look(), NOW)), (1, vec![1]));
}

#[test]
fn a_read_that_began_before_an_offer_does_not_free_its_driver() {
    let mut pool = pool(vec![driver(1, 10.0)]);
    pool.asked(user(1), NOW);
    let read = driver(1, 10.0);
    pool.changed(std::slice::from_ref(&read), later(1));
    assert_eq!(pool.loaded(Some(vec![read.clone()]), later(2)), []);
    assert_eq!(pool.look(look(), later(2)), None);
    pool.changed(std::slice::from_ref(&read), later(4));
    assert_eq!(proposed(pool.look(look(), later(4))), (1, vec![1]), "it is over");
}

#[test]
fn a_read_that_began_before_the_end_of_an_offer_does_not_hold_its_driver() {
    let mut pool = pool(vec![driver(1, 10.0)]);
    pool.asked(user(1), NOW);
    pool.unasked(user(1), later(1));
    let read = PoolDriver { is_asked: true, ..driver(1, 10.0) };
    pool.changed(std::slice::from_ref(&read), later(2));
    assert_eq!(proposed(pool.look(look(), later(2))), (1, vec![1]));
    pool.unasked(user(1), later(3));
    pool.changed(std::slice::from_ref(&read), later(6));
    assert_eq!(pool.look(look(), later(6)), None, "another node asks them");
}

#[test]
fn who_has_accepted_is_asked_for_more_at_once() {
    let mut busy = driver(1, 10.0);
    busy.driver.capacity = 2;
    let mut pool = pool(vec![busy.clone()]);
    pool.asked(user(1), NOW);
    busy.driver.active = 1;
    pool.written(&DriverNow { driver: busy.driver, is_asked: false }, later(1));
    assert_eq!(proposed(pool.look(look(), later(1))), (1, vec![1]));
}

#[test]
fn a_newer_position_outlives_a_row_that_is_behind() {
    let mut pool = pool(vec![driver(1, 10.0), driver(2, 20.0)]);
    pool.moved(user(1), Position { location: north(50.0), at: later(5) }, later(5));
    assert_eq!(pool.loaded(Some(vec![driver(1, 10.0), driver(2, 20.0)]), later(6)), []);
    let first = proposal(pool.look(look(), later(6))).wave.wave.candidates[0];
    assert_eq!(first.driver, user(2));
}

#[test]
fn what_a_driver_has_taken_on_counts_before_it_is_read() {
    let mut busy = driver(1, 10.0);
    busy.driver.capacity = 2;
    let mut pool = pool(vec![busy.clone()]);
    busy.driver.active = 2;
    pool.written(&DriverNow { driver: busy.driver, is_asked: false }, NOW);
    assert_eq!(pool.look(look(), NOW), None);
}

prop_compose! {
    fn any_driver()(
        n in 0..30_u128,
        metres in 0.0..8_000.0,
        capacity in 1..4_u8,
        active in 0..4_u8,
        flags in vec(prop::bool::weighted(0.8), 4),
        silent_s in 0..120_u64,
        is_asked in prop::bool::weighted(0.2),
    ) -> PoolDriver {
        let mut made = driver(n, metres);
        let row = &mut made.driver;
        (row.capacity, row.active) = (capacity, active.min(capacity));
        (row.online, row.approved, row.takes_cash) = (flags[0], flags[1], flags[2]);
        if !flags[3] {
            row.zones = vec!["harbour".to_owned()];
        }
        row.alive_at = Some(NOW.minus(Duration::from_secs(silent_s)));
        let job = OtherJob {
            business: BusinessId::from_uuid(Uuid::from_u128(1)),
            ready_at: NOW,
            dropoff: north(500.0),
            is_under_way: false,
        };
        made.jobs = (0..row.active).map(|_| (OrderId::generate(), job)).collect();
        made.is_asked = is_asked;
        made
    }
}

proptest! {
    #[test]
    fn nobody_is_proposed_whom_the_rows_would_refuse(
        drivers in vec(any_driver(), 0..30),
        wave in 1..6_u32,
        is_cash in any::<bool>(),
        not in vec((0..30_u128).prop_map(user), 0..5),
    ) {
        let mut seen = BTreeSet::new();
        let drivers: Vec<_> = drivers.into_iter().filter(|d| seen.insert(d.driver.user)).collect();
        let rules = DispatchRules::default();
        let mut pool = pool(drivers.clone());
        let job = Job { is_cash, not: not.clone(), ..look().job };
        let mut asked = BTreeSet::new();
        while let Some(PoolAction::Open(proposal)) =
            pool.look(LookDue { job: job.clone(), wave, ..look() }, NOW)
        {
            let proposed = proposal.wave.wave;
            prop_assert!(proposed.number >= wave);
            prop_assert!(proposed.candidates.len() <= rules.size_of(proposed.number) + RESERVE);
            for candidate in &proposed.candidates {
                let found = drivers.iter().find(|d| d.driver.user == candidate.driver).unwrap();
                prop_assert!(found.driver.can_be_asked(ZONE, is_cash, &rules, NOW));
                prop_assert!(!found.is_asked && !not.contains(&candidate.driver));
                prop_assert!(candidate.distance_m <= i64::from(rules.radius_of(proposed.number)));
                prop_assert!(!asked.contains(&candidate.driver), "asked for another order");
            }
            let size = rules.size_of(proposed.number);
            asked.extend(proposed.candidates.iter().take(size).map(|candidate| candidate.driver));
        }
    }
}
