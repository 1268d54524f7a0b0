//! Figures of the whole hub for those on call; those of money are with the money.

use std::time::Duration;

use bellhop::storage::{BusinessesInUse, Overdue};

use crate::deliveries::{driver, ready, set_online};
use crate::fixtures::{Fixture, place_one};
use crate::harness::Place;

const S: fn(u64) -> Duration = Duration::from_secs;

on_every_store! {
    async fn a_deadline_on_which_nobody_acts_is_overdue_after_five_seconds(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        place_one(&mut *lane, world.draft()).await;
        let now = store.store.clock().now();
        assert_eq!(store.store.overdue(now).await.unwrap(), Overdue::default());
        let late = store.store.overdue(now.plus(S(3600))).await.unwrap();
        assert_eq!(late, Overdue { deadlines: 1, ..Overdue::default() });
    }

    async fn deliveries_wait_in_a_zone_until_a_driver_is_on(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        assert_eq!(store.store.without_driver(10).await.unwrap(), []);
        ready(&world, &mut *lane).await;
        ready(&world, &mut *lane).await;
        assert_eq!(store.store.without_driver(10).await.unwrap(), [("centre".to_owned(), 2)]);
        assert_eq!(store.store.without_driver(0).await.unwrap(), []);
        let someone = driver(&mut *lane, 3).await;
        assert_eq!(store.store.without_driver(10).await.unwrap(), []);
        set_online(&mut *lane, someone, false).await;
        assert_eq!(store.store.without_driver(10).await.unwrap(), [("centre".to_owned(), 2)]);
    }

    async fn the_size_grows_from_more_than_nothing_and_a_store_without_a_standby_has_no_lag(store) {
        let (_world, _lane) = Fixture::new(&store).await;
        let size = store.store.size().await.unwrap();
        assert!((4096..1 << 30).contains(&size), "{size}");
        if matches!(store.place, Place::Sqlite { .. }) {
            assert_eq!(store.store.replica_lags(10).await.unwrap(), []);
        } else {
            store.store.replica_lags(10).await.unwrap();
        }
    }

    async fn a_business_without_an_order_for_a_week_is_in_no_figure(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let now = store.store.clock().now();
        assert_eq!(store.store.businesses_in_use(now).await.unwrap(), BusinessesInUse::default());
        place_one(&mut *lane, world.draft()).await;
        let open = BusinessesInUse { open: 1, paused_by_machine: 0 };
        assert_eq!(store.store.businesses_in_use(now).await.unwrap(), open);
        let later = now.plus(S(8 * 24 * 3600));
        assert_eq!(store.store.businesses_in_use(later).await.unwrap(), BusinessesInUse::default());
    }
}
