//! What drivers say about themselves, and their signs of life.

use super::*;
use bellhop::domain::dispatch::{DriverRefusal, Vehicle};
use bellhop::storage::DriverFilter;
use bellhop::storage::commands::{Approval, ApproveZones, EndSilentDrivers};

fn changed(outcome: &Outcome) -> Result<(), DriverRefusal> {
    match outcome {
        Outcome::DriverChanged(changed) => changed.clone(),
        other => panic!("expected a change, got {other:?}"),
    }
}

fn change(driver: UserId, change: DriverChange, sharing: Sharing) -> Write {
    Write::ChangeDriver(Box::new(ChangeDriver { driver, change, sharing }))
}

fn zones(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

on_every_store! {
    async fn a_driver_who_has_said_nothing_is_as_a_new_one(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let account = user(Role::Driver);
        let id = account.id;
        run(&mut *lane, vec![Write::CreateUser(Box::new(account))]).await;
        let driver = driver_now(&store, id).await;
        assert_eq!((driver.capacity, driver.online, &*driver.name), (1, false, "Zoë Ünal"));
        assert_eq!(store.store.driver(world.customer).await.unwrap(), None, "no account of a driver");
        let outcome = run_one(&mut *lane, change(world.customer, DriverChange::default(), Sharing::AtOnce)).await;
        assert_eq!(changed(&outcome), Err(DriverRefusal::NoSuchDriver));
    }

    async fn zones_count_once_an_operator_approves_them(store) {
        let (_, mut lane) = Fixture::new(&store).await;
        let account = user(Role::Driver);
        let id = account.id;
        run(&mut *lane, vec![Write::CreateUser(Box::new(account))]).await;
        let wish = DriverChange {
            vehicle: Some(Vehicle::Car),
            capacity: Some(3),
            zones: zones(&["centre", "harbour"]),
            takes_cash: Some(false),
        };
        assert_eq!(changed(&run_one(&mut *lane, change(id, wish, Sharing::Approved)).await), Ok(()));
        let online = SetDriverOnline { driver: id, online: true };
        let refused = run_one(&mut *lane, Write::SetDriverOnline(online)).await;
        assert_eq!(changed(&refused), Err(DriverRefusal::NoZone));
        let waiting = DriverFilter { waiting: true, ..DriverFilter::default() };
        let listed = store.store.drivers(&waiting, None, 10).await.unwrap();
        assert_eq!(listed[0].wanted_zones, zones(&["centre", "harbour"]));
        let approve = ApproveZones { driver: id, zones: zones(&["harbour"]).unwrap(), user: UserId::generate() };
        run_one(&mut *lane, Write::ApproveZones(Box::new(approve))).await;
        assert_eq!(changed(&run_one(&mut *lane, Write::SetDriverOnline(online)).await), Ok(()));
        let driver = driver_now(&store, id).await;
        assert_eq!((driver.vehicle, driver.capacity, driver.takes_cash), (Vehicle::Car, 3, false));
        assert_eq!((driver.zones, driver.wanted_zones, driver.online), (zones(&["harbour"]).unwrap(), None, true));
        assert!(store.store.drivers(&waiting, None, 10).await.unwrap().is_empty());
        assert_eq!(store.store.driver_zones(10).await.unwrap(), ["harbour"]);
        assert_eq!(store.store.online_by_zone(10).await.unwrap(), [("harbour".to_owned(), 1)]);
        assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action = 'driver_zones_approved'").await, 1);
    }

    async fn a_driver_allows_themselves_no_more_than_the_hub_does(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let driver = driver(&mut *lane, 2).await;
        for _ in 0..2 {
            let order = ready(&world, &mut *lane).await;
            assigned(&store, &mut *lane, &order, driver).await;
        }
        for capacity in [0, 1, 4] {
            let wish = DriverChange { capacity: Some(capacity), ..DriverChange::default() };
            let refused = changed(&run_one(&mut *lane, change(driver, wish, Sharing::AtOnce)).await);
            assert_eq!(refused, Err(DriverRefusal::Capacity { active: 2, most: 3 }), "{capacity}");
        }
    }

    /// What they carry stays theirs.
    async fn a_driver_who_goes_off_is_asked_no_more(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (carried, asked) = (ready(&world, &mut *lane).await, ready(&world, &mut *lane).await);
        let driver = driver(&mut *lane, 2).await;
        assigned(&store, &mut *lane, &carried, driver).await;
        open(&store, &mut *lane, &asked, &[driver]).await;
        let committed = set_online(&mut *lane, driver, false).await;
        assert_eq!(told(&committed), [("driver".to_owned(), EventType::OfferClosed)]);
        assert_eq!(committed.look_again.iter().map(|look| look.order).collect::<Vec<_>>(), [asked.id]);
        let now = driver_now(&store, driver).await;
        assert_eq!((now.online, now.active), (false, 1));
        assert_eq!(committed.drivers.iter().map(|one| (one.driver.user, one.is_asked)).collect::<Vec<_>>(), [(driver, false)]);
        assert_eq!(taken_on(&store, driver).await, 1);
    }

    async fn a_pool_reads_who_is_on_and_what_they_carry(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = driven(&world, &mut *lane).await;
        let (one, off) = (driver(&mut *lane, 2).await, driver(&mut *lane, 1).await);
        set_online(&mut *lane, off, false).await;
        assigned(&store, &mut *lane, &order, one).await;
        let pool = store.store.pool_of("centre", 10).await.unwrap();
        assert_eq!(pool.iter().map(|pooled| pooled.driver.user).collect::<Vec<_>>(), [one]);
        let (of, job) = pool[0].jobs[0];
        assert_eq!((of, job.business, job.is_under_way), (order.id, world.business.id, false));
        assert_eq!(job.dropoff, order.address.as_ref().unwrap().location);
        assert!(store.store.pool_of("harbour", 10).await.unwrap().is_empty());
        let since = now(&store);
        assert!(store.store.drivers_changed(since, 10).await.unwrap().is_empty());
        let another = ready(&world, &mut *lane).await;
        open(&store, &mut *lane, &another, &[one]).await;
        let changed = store.store.drivers_changed(since, 10).await.unwrap();
        assert_eq!(changed.iter().map(|one| (one.driver.user, one.is_asked)).collect::<Vec<_>>(), [(one, true)]);
    }

    /// In one statement, whatever the number of drivers.
    async fn signs_of_life_and_positions_never_go_back(store) {
        let (_, mut lane) = Fixture::new(&store).await;
        let driver = driver(&mut *lane, 1).await;
        let start = now(&store);
        let seen = |after: u64, lat: Option<f64>| {
            let at = start.plus(S(after));
            let position = lat.map(|lat| Position { location: Location { lat, lng: 13.5 }, at });
            DriverSeen { driver, alive_at: at, position }
        };
        for (seen, alive, lat) in [
            (seen(10, Some(52.5)), 10, 52.5),
            (seen(20, None), 20, 52.5),
            (seen(15, Some(52.25)), 20, 52.25),
            (seen(5, Some(50.0)), 20, 52.25),
        ] {
            run_one(&mut *lane, Write::StoreDriversSeen(vec![seen])).await;
            let now = driver_now(&store, driver).await;
            assert_eq!(now.alive_at, Some(start.plus(S(alive))));
            assert_eq!(now.position.unwrap().location, Location { lat, lng: 13.5 });
        }
        let changed = store.store.drivers_changed(now(&store).plus(S(1)), 10).await.unwrap();
        assert!(changed.is_empty(), "a position is no change of the row");
    }

    /// Not when the hub itself may not have heard them.
    async fn a_driver_of_whom_nothing_is_heard_goes_off(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        beat(&mut *lane).await;
        let (silent, heard) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        let order = ready(&world, &mut *lane).await;
        let end = || Write::EndSilentDrivers(EndSilentDrivers { limit: 100 });
        store.store.clock().advance(S(600));
        let away = run_one(&mut *lane, end()).await;
        assert!(matches!(away, Outcome::Purged(0)), "{away:?}");
        live(&store, &mut *lane, S(60), &[silent, heard]).await;
        open(&store, &mut *lane, &order, &[silent]).await;
        live(&store, &mut *lane, S(140), &[heard]).await;
        assert!(matches!(run_one(&mut *lane, end()).await, Outcome::Purged(0)));
        live(&store, &mut *lane, S(20), &[heard]).await;
        let committed = run(&mut *lane, vec![end()]).await;
        assert!(matches!(committed.outcomes[0], Outcome::Purged(1)), "{:?}", committed.outcomes);
        let online = [driver_now(&store, silent).await.online, driver_now(&store, heard).await.online];
        assert_eq!(online, [false, true]);
    }

    /// Until an operator has looked at the account.
    async fn a_driver_who_is_not_approved_does_not_go_on(store) {
        let (_, mut lane) = Fixture::new(&store).await;
        let account = bellhop::storage::commands::NewUser { approved: Approval::Pending, ..user(Role::Driver) };
        let id = account.id;
        run(&mut *lane, vec![Write::CreateUser(Box::new(account))]).await;
        run_one(&mut *lane, change(id, DriverChange { zones: zones(&["centre"]), ..DriverChange::default() }, Sharing::AtOnce)).await;
        let on = run_one(&mut *lane, Write::SetDriverOnline(SetDriverOnline { driver: id, online: true })).await;
        assert_eq!(changed(&on), Err(DriverRefusal::NoSuchDriver));
    }
}

async fn taken_on(store: &TestStore, driver: UserId) -> usize {
    store.store.carried_by(driver).await.unwrap().len()
}
