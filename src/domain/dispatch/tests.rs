use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::driver::MAX_POSITION_AGE;
use super::*;
use crate::domain::ids::{BusinessId, UserId};
use crate::domain::location::Location;
use crate::domain::time::Timestamp;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const SPEED: u32 = 5;
const SHOP: Location = Location { lat: 38.7, lng: -9.1 };

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

/// So many metres north of the business.
fn north(metres: f64) -> Location {
    Location { lat: SHOP.lat + metres / 111_195.0, lng: SHOP.lng }
}

fn job() -> Job {
    Job {
        business: BusinessId::from_uuid(Uuid::from_u128(1)),
        pickup: SHOP,
        dropoff: north(1_000.0),
        ready_at: NOW.plus(Duration::from_secs(600)),
        is_cash: false,
        radius_m: 1_500,
        most: 10,
        not: Vec::new(),
        after: Vec::new(),
    }
}

fn stand(n: u128, metres: f64) -> DriverStand {
    DriverStand {
        user: user(n),
        vehicle: Vehicle::Bicycle,
        capacity: 2,
        jobs: Vec::new(),
        takes_cash: true,
        position: Some(Position { location: north(metres), at: NOW }),
        waiting_since: None,
        delivered: 0,
        on_time: 0,
        is_asked: false,
    }
}

/// Food of the same business, ready at the same time, for the same corner.
fn same_way() -> OtherJob {
    let Job { business, ready_at, dropoff, .. } = job();
    OtherJob { business, ready_at, dropoff, is_under_way: false }
}

fn order_of(job: &Job, drivers: &[DriverStand]) -> Vec<u128> {
    rank(job, drivers.iter(), SPEED, NOW).iter().map(|found| found.driver.uuid().as_u128()).collect()
}

#[test]
fn who_is_out_of_question_is_not_proposed_whatever_the_reason() {
    let far_away = Job { dropoff: north(8_000.0), ..job() };
    let cash = Job { is_cash: true, ..job() };
    let without = Job { not: vec![user(1)], ..job() };
    let fine = stand(1, 100.0);
    let busy = DriverStand { jobs: vec![same_way(); 2], ..fine.clone() };
    for (what, job, driver) in [
        ("no position", job(), DriverStand { position: None, ..fine.clone() }),
        ("outside of the radius", job(), stand(1, 1_510.0)),
        ("no room", job(), busy),
        ("asked already", job(), DriverStand { is_asked: true, ..fine.clone() }),
        ("no cash", cash.clone(), DriverStand { takes_cash: false, ..fine.clone() }),
        ("too far for a bicycle", far_away.clone(), fine.clone()),
        ("not again", without, fine.clone()),
    ] {
        assert_eq!(order_of(&job, &[driver]), Vec::<u128>::new(), "{what}");
    }
    let car = DriverStand { vehicle: Vehicle::Car, ..fine.clone() };
    assert_eq!(order_of(&far_away, &[car]), [1]);
    assert_eq!(order_of(&cash, std::slice::from_ref(&fine)), [1]);
    assert_eq!(order_of(&job(), &[fine]), [1]);
}

#[test]
fn who_did_not_answer_comes_behind_everybody_else_whatever_speaks_for_them() {
    let job = Job { after: vec![user(1), user(2)], ..job() };
    let loaded = DriverStand { jobs: vec![same_way()], ..stand(1, 0.0) };
    assert_eq!(order_of(&job, &[loaded.clone(), stand(2, 10.0), stand(3, 1_400.0)]), [3, 1, 2]);
    let best = Job { most: 1, ..job.clone() };
    assert_eq!(order_of(&best, &[loaded.clone(), stand(3, 1_400.0)]), [3]);
    assert_eq!(order_of(&best, &[loaded]), [1], "nobody else is there");
}

#[test]
fn distance_load_waiting_and_history_decide_by_seconds() {
    let waited = |seconds| Some(NOW.minus(Duration::from_secs(seconds)));
    let elsewhere = OtherJob { business: BusinessId::from_uuid(Uuid::from_u128(9)), ..same_way() };
    for (what, first, second) in [
        ("the nearer", stand(2, 100.0), stand(1, 200.0)),
        // 1,250 m more are 250 s, a delivery that is carried 240 s.
        (
            "the empty one of two as near",
            stand(2, 1_000.0),
            DriverStand { jobs: vec![elsewhere], ..stand(1, 1_000.0) },
        ),
        (
            "the loaded one who is much nearer",
            DriverStand { jobs: vec![elsewhere], ..stand(2, 0.0) },
            stand(1, 1_250.0),
        ),
        // 600 s of waiting are 120 s of way, which are 600 m.
        (
            "who waited longer",
            DriverStand { waiting_since: waited(700), ..stand(2, 600.0) },
            DriverStand { waiting_since: waited(60), ..stand(1, 50.0) },
        ),
        (
            "waiting counts for half an hour at most",
            stand(2, 100.0),
            DriverStand { waiting_since: waited(86_400), ..stand(1, 100.0 + 1_810.0) },
        ),
        (
            "who was in time",
            DriverStand { delivered: 95, on_time: 95, ..stand(2, 300.0) },
            DriverStand { delivered: 95, on_time: 0, ..stand(1, 0.0) },
        ),
        (
            "one late delivery of a beginner weighs little",
            DriverStand { delivered: 1, on_time: 0, ..stand(2, 0.0) },
            DriverStand { delivered: 100, on_time: 100, ..stand(1, 150.0) },
        ),
        ("by id where all is equal", stand(1, 100.0), stand(2, 100.0)),
    ] {
        let job = Job { radius_m: 3_000, ..job() };
        let expected = [&first, &second].map(|driver| driver.user.uuid().as_u128());
        for drivers in [[first.clone(), second.clone()], [second.clone(), first.clone()]] {
            assert_eq!(order_of(&job, &drivers), expected, "{what}");
        }
    }
}

#[test]
fn who_carries_food_of_the_same_kitchen_for_the_same_corner_comes_first() {
    let near = stand(1, 0.0);
    let with = |other: OtherJob| DriverStand { jobs: vec![other], ..stand(2, 1_400.0) };
    let later = |seconds| job().ready_at.plus(Duration::from_secs(seconds));
    let earlier = |seconds| job().ready_at.minus(Duration::from_secs(seconds));
    let aside = |metres: f64| north(1_000.0 + metres);
    let other_shop = BusinessId::from_uuid(Uuid::from_u128(9));
    for (what, other, goes_together) in [
        ("the same", same_way(), true),
        ("ready ten minutes later", OtherJob { ready_at: later(600), ..same_way() }, true),
        ("ready ten minutes before", OtherJob { ready_at: earlier(600), ..same_way() }, true),
        ("ready later", OtherJob { ready_at: later(601), ..same_way() }, false),
        ("ready before", OtherJob { ready_at: earlier(601), ..same_way() }, false),
        ("nearly two kilometres aside", OtherJob { dropoff: aside(1_990.0), ..same_way() }, true),
        ("more than two kilometres aside", OtherJob { dropoff: aside(2_010.0), ..same_way() }, false),
        ("of another kitchen", OtherJob { business: other_shop, ..same_way() }, false),
        ("already on its way", OtherJob { is_under_way: true, ..same_way() }, false),
    ] {
        let found = rank(&job(), [near.clone(), with(other)].iter(), SPEED, NOW);
        let stacked: Vec<_> = found.iter().map(|found| found.stacked).collect();
        let expected: &[bool] = if goes_together { &[true, false] } else { &[false, false] };
        assert_eq!(stacked, expected, "{what}");
        assert_eq!(found[0].driver == user(2), goes_together, "{what}");
    }
    let full = DriverStand { capacity: 1, ..with(same_way()) };
    assert_eq!(order_of(&job(), &[full, near]), [1], "room comes before everything");
}

#[test]
fn a_distance_is_told_to_the_metre() {
    let found = rank(&job(), [stand(1, 432.0)].iter(), SPEED, NOW);
    assert_eq!(found[0].distance_m, 432);
}

#[test]
fn a_wave_looks_farther_than_the_one_before_and_the_last_numbers_hold_on() {
    let rules = DispatchRules { wave: vec![1, 1, 3], ..DispatchRules::default() };
    let radii: Vec<_> = (0..6).map(|wave| rules.radius_of(wave)).collect();
    assert_eq!(radii, [1_500, 1_500, 3_000, 6_000, 6_000, 6_000]);
    let sizes: Vec<_> = (1..6).map(|wave| rules.size_of(wave)).collect();
    assert_eq!(sizes, [1, 1, 3, 3, 3]);
    assert_eq!((1..5).map(|wave| rules.is_widest(wave)).collect::<Vec<_>>(), [false, false, true, true]);
    let broadcast = DispatchRules { wave: vec![0], ..rules };
    assert_eq!((broadcast.size_of(1), broadcast.is_broadcast(7)), (DispatchRules::MAX_WAVE, true));
}

#[test]
fn a_position_that_is_old_or_not_newer_is_left() {
    let mut driver = Driver::new(user(1), "Rui".to_owned(), true, NOW);
    let position = |age: u64| Position { location: SHOP, at: NOW.minus(Duration::from_secs(age)) };
    assert!(!driver.moved_to(position(MAX_POSITION_AGE.as_secs() + 1), NOW));
    assert!(driver.moved_to(position(30), NOW));
    assert!(!driver.moved_to(position(30), NOW), "the same again");
    assert!(!driver.moved_to(position(31), NOW), "one from before");
    assert!(driver.moved_to(position(29), NOW));
    assert_eq!((driver.position, driver.alive_at), (Some(position(29)), Some(NOW)));
}

#[test]
fn a_driver_is_asked_only_while_everything_allows_it() {
    let rules = DispatchRules::default();
    let mut driver = Driver::new(user(1), "Rui".to_owned(), true, NOW);
    assert_eq!(driver.set_online(NOW), Err(DriverRefusal::NoZone));
    driver.approve_zones(vec!["centre".to_owned()], NOW);
    assert!(!driver.can_be_asked("centre", false, &rules, NOW), "not on");
    driver.set_online(NOW).unwrap();
    let later = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert!(driver.can_be_asked("centre", true, &rules, later(90)));
    assert!(!driver.can_be_asked("centre", true, &rules, later(91)), "silent");
    assert!(!driver.can_be_asked("harbour", true, &rules, NOW), "of another zone");
    let no_cash = Driver { takes_cash: false, ..driver.clone() };
    assert!(!no_cash.can_be_asked("centre", true, &rules, NOW));
    assert!(no_cash.can_be_asked("centre", false, &rules, NOW));
    assert!(!Driver { approved: false, ..driver.clone() }.can_be_asked("centre", false, &rules, NOW));
    assert!(!Driver { active: 1, ..driver }.can_be_asked("centre", false, &rules, NOW), "no room");
}

#[test]
fn three_offers_in_a_row_without_an_answer_set_offline_who_carries_nothing() {
    let rules = DispatchRules::default();
    let mut driver = Driver::new(user(1), "Rui".to_owned(), true, NOW);
    (driver.zones, driver.capacity) = (vec!["centre".to_owned()], 2);
    driver.set_online(NOW).unwrap();
    assert!(!driver.ignored_offer(&rules, NOW) && !driver.ignored_offer(&rules, NOW));
    driver.answered(NOW);
    assert!(!driver.ignored_offer(&rules, NOW) && !driver.ignored_offer(&rules, NOW), "counted anew");
    driver.take(NOW);
    for _ in 0..5 {
        assert!(!driver.ignored_offer(&rules, NOW), "with a bag in hand");
    }
    driver.release(NOW);
    assert_eq!((1..=3).map(|_| driver.ignored_offer(&rules, NOW)).collect::<Vec<_>>(), [false, false, true]);
    assert!(!driver.online && !driver.ignored_offer(&rules, NOW), "off");
}

fn any_location() -> impl Strategy<Value = Location> {
    (-0.03..0.03, -0.03..0.03).prop_map(|(lat, lng)| Location { lat: SHOP.lat + lat, lng: SHOP.lng + lng })
}

fn any_other_job() -> impl Strategy<Value = OtherJob> {
    (0..3_u128, 0..2_000_u64, any_location(), any::<bool>()).prop_map(
        |(business, ready, dropoff, is_under_way)| OtherJob {
            business: BusinessId::from_uuid(Uuid::from_u128(business)),
            ready_at: NOW.plus(Duration::from_secs(ready)),
            dropoff,
            is_under_way,
        },
    )
}

prop_compose! {
    fn any_stand()(
        n in 0..40_u128,
        vehicle in prop::sample::select(Vehicle::ALL.to_vec()),
        capacity in 1..4_u8,
        jobs in vec(any_other_job(), 0..4),
        takes_cash in any::<bool>(),
        location in prop::option::of(any_location()),
        waited in prop::option::of(0..10_000_u64),
        ended in (0..50_i64, 0..50_i64),
        is_asked in prop::bool::weighted(0.2),
    ) -> DriverStand {
        DriverStand {
            user: user(n),
            vehicle,
            capacity,
            jobs,
            takes_cash,
            position: location.map(|location| Position { location, at: NOW }),
            waiting_since: waited.map(|seconds| NOW.minus(Duration::from_secs(seconds))),
            delivered: ended.0.max(ended.1),
            on_time: ended.1,
            is_asked,
        }
    }
}

prop_compose! {
    fn any_job()(
        dropoff in any_location(),
        is_cash in any::<bool>(),
        radius_m in 100..5_000_u32,
        most in 0..12_usize,
        not in vec((0..40_u128).prop_map(user), 0..5),
        after in vec((0..40_u128).prop_map(user), 0..5),
    ) -> Job {
        Job { dropoff, is_cash, radius_m, most, not, after, ..job() }
    }
}

fn distinct(drivers: Vec<DriverStand>) -> Vec<DriverStand> {
    let mut seen = BTreeSet::new();
    drivers.into_iter().filter(|driver| seen.insert(driver.user)).collect()
}

proptest! {
    #[test]
    fn whoever_is_proposed_fits_in_every_respect(job in any_job(), drivers in vec(any_stand(), 0..40)) {
        let drivers = distinct(drivers);
        let found = rank(&job, drivers.iter(), SPEED, NOW);
        prop_assert!(found.len() <= job.most);
        for found in &found {
            let driver = drivers.iter().find(|driver| driver.user == found.driver).unwrap();
            let metres = driver.position.unwrap().location.metres_to(job.pickup);
            prop_assert!(metres <= f64::from(job.radius_m));
            prop_assert!(!driver.is_asked && !job.not.contains(&driver.user));
            prop_assert!(driver.jobs.len() < usize::from(driver.capacity));
            prop_assert!(driver.takes_cash || !job.is_cash);
        }
    }

    #[test]
    fn the_best_few_are_the_head_of_the_whole_ranking(job in any_job(), drivers in vec(any_stand(), 0..40)) {
        let drivers = distinct(drivers);
        let whole = rank(&Job { most: usize::MAX, ..job.clone() }, drivers.iter(), SPEED, NOW);
        let found = rank(&job, drivers.iter(), SPEED, NOW);
        prop_assert_eq!(&found[..], &whole[..found.len()]);
        prop_assert_eq!(found.len(), whole.len().min(job.most));
    }

    #[test]
    fn every_node_ranks_alike_in_whatever_order_it_knows_drivers(
        job in any_job(),
        drivers in vec(any_stand(), 0..20),
    ) {
        let drivers = distinct(drivers);
        let mut reversed = drivers.clone();
        reversed.reverse();
        prop_assert_eq!(rank(&job, drivers.iter(), SPEED, NOW), rank(&job, reversed.iter(), SPEED, NOW));
    }

    #[test]
    fn who_comes_nearer_or_waits_longer_never_falls_behind(
        job in any_job(),
        drivers in vec(any_stand(), 1..20),
        longer in 1..2_000_u64,
    ) {
        let mut drivers = distinct(drivers);
        let fits = stand(99, f64::from(job.radius_m) * 0.9);
        let waiting_since = drivers[0].waiting_since;
        drivers.insert(0, DriverStand { vehicle: Vehicle::Car, waiting_since, ..fits });
        let job = Job { most: usize::MAX, ..job };
        let place = |drivers: &[DriverStand]| {
            rank(&job, drivers.iter(), SPEED, NOW).iter().position(|found| found.driver == drivers[0].user)
        };
        let before = place(&drivers);
        prop_assert!(before.is_some());
        let waited = drivers[0].waiting_since.unwrap_or(NOW);
        drivers[0].waiting_since = Some(waited.minus(Duration::from_secs(longer)));
        let at = drivers[0].position.unwrap();
        let halfway = Location {
            lat: f64::midpoint(at.location.lat, job.pickup.lat),
            lng: f64::midpoint(at.location.lng, job.pickup.lng),
        };
        drivers[0].position = Some(Position { location: halfway, ..at });
        prop_assert!(place(&drivers) <= before);
    }
}

/// Run by hand in release: `cargo test --release --lib ranking_a_thousand -- --ignored`.
#[test]
#[ignore = "measures; run in release"]
fn ranking_a_thousand_drivers_takes_less_than_a_millisecond() {
    let place = |n: u128| (n * 37 % 1_500) as f64;
    let with_job = |n: u128| if n.is_multiple_of(3) { vec![same_way()] } else { Vec::new() };
    let drivers: Vec<_> =
        (0..1_000).map(|n| DriverStand { jobs: with_job(n), ..stand(n, place(n)) }).collect();
    let job = Job { most: 4, not: (2_000..2_010).map(user).collect(), ..job() };
    let rounds = 1_000;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        assert_eq!(rank(&job, drivers.iter(), SPEED, NOW).len(), 4);
    }
    let each = begun.elapsed() / rounds;
    assert!(each < Duration::from_millis(1), "{each:?}");
}
